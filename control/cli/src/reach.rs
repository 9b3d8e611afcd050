//! Where control is, and who asks.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use loadlock_api::{Client, SOCKET_DEFAULT};
use loadlock_settings::Settings;

use crate::failure::Failure;

/// `--socket`, `--config` and `--server`, of every client verb.
#[derive(Args)]
pub struct Reach {
    /// Control's socket [default: that of --config, else /run/loadlock/control.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration file that names the socket
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// Control of another machine, over TLS: https://HOST or https://HOST:PORT
    #[arg(long, value_name = "URL", conflicts_with_all = ["socket", "config"])]
    server: Option<String>,
    /// PEM file with the authority that vouches for --server [default: those that this system trusts]
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// File with the token to show [default with --server: the session that `loadlock login` has opened]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Reach {
    /// The configuration file, if one was named.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Connects to control.
    ///
    /// # Errors
    /// The configuration's mistakes, a token file that can't be used, or why control can't be reached.
    pub fn connect(&self) -> Result<Client, Failure> {
        let client = self.connect_unknown()?;
        let secret = match (&self.token_file, self.session_file()) {
            (Some(file), _) => Some(read_secret(file)?),
            (None, Some(file)) if file.exists() => Some(read_secret(&file)?),
            _ => None,
        };
        match secret {
            Some(secret) => Ok(client.with_secret(&secret)?),
            None => Ok(client),
        }
    }

    /// Connects without showing anything, to log in.
    ///
    /// # Errors
    /// As [`Reach::connect`].
    pub fn connect_unknown(&self) -> Result<Client, Failure> {
        if let Some(server) = &self.server {
            return Ok(Client::connect_tls(server, self.ca.as_deref())?);
        }
        let socket = match (&self.socket, &self.config) {
            (Some(socket), _) => socket.clone(),
            (None, Some(config)) => Settings::load(config)?.control.socket,
            (None, None) => Path::new(SOCKET_DEFAULT).to_owned(),
        };
        Ok(Client::connect(&socket)?)
    }

    /// Where the session with `--server` is kept; `None` without one, or without a home.
    pub fn session_file(&self) -> Option<PathBuf> {
        let server = self.server.as_ref()?.trim_end_matches('/').strip_prefix("https://")?;
        let name: String = server
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
            .collect();
        let folder = std::env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty());
        let folder = folder
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
        Some(folder.join("loadlock").join(format!("{name}.session")))
    }
}

/// The secret in a file that nobody else may read.
fn read_secret(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::Input { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let reason = format!(
            "it has mode {mode:04o}, so that others may read the token; chmod 0600 it, and think about a new token"
        );
        return Err(failed(io::Error::other(reason)));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.trim().to_owned())
}

/// Writes a secret to a file for this user alone; one that is there is replaced whole.
///
/// # Errors
/// [`Failure::Write`].
pub fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(format!("{secret}\n").as_bytes()).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
