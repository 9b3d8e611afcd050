//! `loadlock support-bundle`: what support needs to see, in one file, without secrets.
//!
//! What goes in is a list: answers of the API that a viewer may read, the configuration, and a few files that describe the machine. The store, its users
//! and tokens, and key files are never opened. What remains is scrubbed all the same, since people paste things into the wrong place.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use loadlock_api::{Client, ClientError, EventFilter, FlowQuery, RuleQuery, printable};
use serde::Serialize;

use crate::exit;
use crate::failure::Failure;
use crate::output;
use crate::reach::Reach;
use crate::units::counted;

/// Items of each list.
const ITEMS_MAX: u32 = 1_000;
/// Bytes of each file of the machine.
const FILE_BYTES_MAX: u64 = 1 << 20;

const OF_THE_MACHINE: [&str; 8] = [
    "/etc/os-release",
    "/proc/version",
    "/proc/cmdline",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/mounts",
    "/proc/interrupts",
];

/// Arguments of `support-bundle`.
#[derive(Args)]
pub struct Arguments {
    /// The file to write, such as loadlock.tar.gz; one that exists is never written over
    file: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

struct Bundle {
    tar: tar::Builder<GzEncoder<fs::File>>,
    missing: String,
    files: u64,
}

impl Bundle {
    fn add(&mut self, name: &str, text: &str) -> std::io::Result<()> {
        let text = scrubbed(text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        self.files += 1;
        self.tar.append_data(&mut header, format!("loadlock/{name}"), text.as_bytes())
    }

    /// What can't be read is said in the bundle, and doesn't stop the rest.
    fn answer<T: Serialize>(
        &mut self,
        name: &str,
        answer: Result<T, ClientError>,
    ) -> std::io::Result<()> {
        match answer {
            Ok(answer) => {
                let json = loadlock_api::to_json(&answer).map_err(std::io::Error::from)?;
                self.add(name, &json)
            }
            Err(error) => self.miss(name, &error.to_string()),
        }
    }

    fn miss(&mut self, name: &str, why: &str) -> std::io::Result<()> {
        self.missing.push_str(&format!("{name}: {}\n", printable(why)));
        Ok(())
    }

    fn file(&mut self, name: &str, path: &Path) -> std::io::Result<()> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let opened = fs::File::open(path);
        match opened.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => self.add(name, &String::from_utf8_lossy(&bytes)),
            Err(error) => self.miss(name, &error.to_string()),
        }
    }
}

impl Arguments {
    /// Writes the bundle.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Write`], [`Failure::Output`]. A control that doesn't answer is no failure, but said in the bundle.
    pub fn run(&self) -> Result<u8, Failure> {
        let failed = |source| Failure::Write { path: self.file.clone(), source };
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&self.file);
        let tar = tar::Builder::new(GzEncoder::new(file.map_err(failed)?, Compression::default()));
        let mut bundle = Bundle { tar, missing: String::new(), files: 0 };
        match self.reach.connect() {
            Ok(client) => of_control(&mut bundle, &client).map_err(failed)?,
            Err(Failure::Client(error)) => {
                bundle.miss("control", &error.to_string()).map_err(failed)?;
            }
            Err(other) => return Err(other),
        }
        if let Some(config) = self.reach.config() {
            bundle.file("configuration.toml", config).map_err(failed)?;
        }
        for path in OF_THE_MACHINE {
            let name = format!("machine{}", path.replace('/', "-"));
            bundle.file(&name, Path::new(path)).map_err(failed)?;
        }
        let missing = std::mem::take(&mut bundle.missing);
        if !missing.is_empty() {
            bundle.add("missing.txt", &missing).map_err(failed)?;
        }
        let files = counted(bundle.files, "file", "files");
        let mut gz = bundle.tar.into_inner().map_err(failed)?;
        gz.flush().map_err(failed)?;
        gz.finish().and_then(|file| file.sync_all()).map_err(failed)?;
        output::write(&format!(
            "{}: {files}; no passwords, tokens or keys, but names and addresses of the site: look through it before you send it\n",
            self.file.display()
        ))?;
        Ok(exit::OK)
    }
}

fn of_control(bundle: &mut Bundle, client: &Client) -> std::io::Result<()> {
    bundle.answer("status.json", client.status())?;
    bundle.answer("drops.json", client.drops())?;
    bundle.answer("policy-versions.json", client.policy_versions(ITEMS_MAX))?;
    bundle.answer("policy.json", client.policy_text(None))?;
    let rules = RuleQuery { segment: None, limit: ITEMS_MAX };
    bundle.answer("bindings.json", client.bindings(&rules))?;
    let flows = FlowQuery { address: None, limit: ITEMS_MAX };
    bundle.answer("flows.json", client.flows(&flows))?;
    bundle.answer("events.json", client.recent_events(&EventFilter::default(), ITEMS_MAX))?;
    bundle.answer("questions.json", client.questions(ITEMS_MAX))?;
    bundle.answer("windows.json", client.windows(ITEMS_MAX))
}

/// Words in the name of a key whose value is left out.
const SECRET: [&str; 7] =
    ["password", "passphrase", "secret", "token", "key", "credential", "community"];
/// What stands in the place of a secret.
const LEFT_OUT: &str = "(left out)";

/// The text without what looks like a secret: values of keys that are named like one, PEM blocks, password hashes.
fn scrubbed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN ") {
            in_pem = true;
            out.push_str(LEFT_OUT);
            out.push('\n');
        }
        let was_in_pem = in_pem;
        if line.contains("-----END ") {
            in_pem = false;
        }
        if was_in_pem {
            continue;
        }
        let assigned = line.split_once('=').filter(|(name, _)| {
            let name = name.trim().to_lowercase();
            name.len() <= 64 && SECRET.iter().any(|word| name.contains(word))
        });
        match assigned {
            Some((name, _)) => out.push_str(&format!("{name}= \"{LEFT_OUT}\"\n")),
            None => out.push_str(&without_hashes(line)),
        }
    }
    out
}

/// Password hashes in the modular crypt format: `$argon2id$…` and the like.
fn without_hashes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = ["$argon2", "$2b$", "$2y$", "$5$", "$6$", "$y$"]
        .iter()
        .filter_map(|mark| rest.find(mark))
        .min()
    {
        out.push_str(&rest[..at]);
        out.push_str(LEFT_OUT);
        let end = rest[at..].find(|c: char| !(c.is_ascii_alphanumeric() || "$+/=,.-_".contains(c)));
        rest = end.map_or("", |end| &rest[at + end..]);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let text = "[api]\nlisten = \"127.0.0.1:8443\"\nTls_Key = \"/etc/k.pem\" # x\nadmin_password=\"hunter2\"\n\
            note = \"$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA and more\"\n-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\nlast = 1\n";
        let out = scrubbed(text);
        println!("{out}");
        for secret in ["k.pem", "hunter2", "argon2id", "aGFzaA", "MIIEvQ", "PRIVATE"] {
            assert!(!out.contains(secret), "{secret}: {out}");
        }
        assert!(
            out.contains("127.0.0.1:8443")
                && out.contains(" and more\"")
                && out.ends_with("last = 1\n")
        );
        assert_eq!(scrubbed("a\nb"), "a\nb");
    }
}
