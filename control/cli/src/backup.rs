//! `loadlock backup` and `loadlock restore`: the whole store in one file, and back. Both work on the files, beside control or without it.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use loadlock_api::{Time, thousands};
use loadlock_settings::Settings;
use loadlock_store::BackupSummary;

use crate::control::CONFIG_DEFAULT;
use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output;
use crate::units::{counted, memory};

/// Arguments of `backup`.
#[derive(Args)]
pub struct Backup {
    /// Where to; a backup that is there is replaced once the new one is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration file, which says where the store is
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

impl Backup {
    /// Writes a backup and checks it; control may run.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Store`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        let summary =
            loadlock_store::back_up(&settings.control.store, &self.file).map_err(Failure::Store)?;
        output::write(&format!("{}: {}\n", self.file.display(), contents(&summary)))?;
        Ok(exit::OK)
    }
}

/// Arguments of `restore`.
///
/// Stop control first: the dataplane keeps the policy in force meanwhile.
#[derive(Args)]
pub struct Restore {
    /// A file that `loadlock backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration file, which says where the store is
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

impl Restore {
    /// Puts a backup in the store's place.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Store`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        let store = &settings.control.store;
        let restored =
            loadlock_store::restore(store, &self.file, &loadlock_api::local_user(), now_ns())
                .map_err(Failure::Store)?;
        let mut text = format!("restored: {}\n", contents(&restored.summary));
        if let Some(number) = restored.in_force {
            text += &format!(
                "in force with the next start of control: version {number}, which tells of the restore\n"
            );
        }
        if let Some(before) = restored.before {
            text += &format!("the store before is kept as {}\n", before.display());
        }
        output::write(&text)?;
        Ok(exit::OK)
    }
}

fn contents(summary: &BackupSummary) -> String {
    let in_force = match (summary.in_force, summary.created_ns) {
        (Some(number), Some(created_ns)) => {
            let since = LocalTime::here().seconds(Time::from_ns(created_ns));
            format!("version {number} of {since} in force")
        }
        _ => "nothing in force".to_owned(),
    };
    format!(
        "{in_force}; {}, {} audit entries, {} of evidence, {}",
        counted(summary.versions as u64, "version", "versions"),
        thousands(summary.audit_entries as u64),
        counted(summary.evidence_rows as u64, "row", "rows"),
        memory(summary.bytes)
    )
}

/// By the wall clock, since 1970.
fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
