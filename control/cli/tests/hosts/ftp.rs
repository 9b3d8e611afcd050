//! vsftpd and curl on two hosts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Host, Running};
use crate::appliance::wait_until;

/// What the server has.
pub const CONTENT: &str = "recipe 17: etch 30 s";

/// vsftpd on a host, with one file for anonymous users, until the value is dropped.
pub fn serve(host: &Host, folder: &Path) -> Running {
    let [root, config] = ["ftp", "vsftpd.conf"].map(|name| folder.join(name));
    fs::create_dir_all(root.join("pub")).unwrap();
    fs::write(root.join("pub/recipe"), CONTENT).unwrap();
    let text = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nno_anon_password=YES\n\
         anon_root={}\nport_enable=YES\npasv_enable=YES\nconnect_from_port_20=YES\nseccomp_sandbox=NO\nisolate_network=NO\n",
        root.display()
    );
    fs::write(&config, text).unwrap();
    // vsftpd wants this folder, which a service manager would make.
    fs::create_dir_all("/var/run/vsftpd/empty").unwrap();
    // The anonymous user must be able to reach the files.
    for path in [folder, &root, &root.join("pub")] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let running = host.spawn("vsftpd", &[config.to_str().unwrap()]);
    wait_until("vsftpd listens", Duration::from_secs(10), || {
        host.run("ss", &["-Hltn", "sport = :21"]).1.contains(":21")
    });
    running
}

/// How curl fetches the file.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// Control connection only: the file's size.
    Size,
    /// PASV.
    Passive,
    /// EPSV.
    ExtendedPassive,
    /// PORT.
    Active,
    /// EPRT.
    ExtendedActive,
}

/// What curl got; its exit code where that isn't 0. `server` as in a URL.
pub fn fetch(client: &Host, server: &str, how: How, patience: Duration) -> Result<String, i32> {
    let patience = patience.as_secs().to_string();
    let url = format!("ftp://{server}/pub/recipe");
    let how: &[&str] = match how {
        How::Size => &["--head"],
        How::Passive => &["--disable-epsv"],
        How::ExtendedPassive => &[],
        How::Active => &["--disable-eprt", "--ftp-port", "-"],
        How::ExtendedActive => &["--ftp-port", "-"],
    };
    let (code, text) = client.run(
        "curl",
        &[&["-sS", "--max-time", &patience, "--noproxy", "*", "--globoff", &url], how].concat(),
    );
    match code {
        Some(0) => Ok(text),
        other => Err(other.unwrap_or(-1)),
    }
}
