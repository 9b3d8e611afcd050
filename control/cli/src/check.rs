//! `loadlock check`: is a configuration file right, and does it fit this machine?

use std::path::PathBuf;

use clap::Args;
use loadlock_settings::{Machine, Settings, reference};

use crate::exit;
use crate::failure::Failure;
use crate::output;
use crate::units::counted;

/// Arguments of `check`.
#[derive(Args)]
pub struct Arguments {
    /// The configuration file
    #[arg(required_unless_present = "reference")]
    file: Option<PathBuf>,
    /// Check the file alone, not whether it fits this machine
    #[arg(long)]
    file_only: bool,
    /// Print every key with its meaning, range and default, as a file to start from
    #[arg(long, conflicts_with_all = ["file", "file_only"])]
    reference: bool,
}

impl Arguments {
    /// Checks the file.
    ///
    /// # Errors
    /// All mistakes, as [`Failure::Settings`]; [`Failure::Machine`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let Some(file) = &self.file else {
            output::write(&reference())?;
            return Ok(exit::OK);
        };
        let settings = Settings::load(file)?;
        let machine = if self.file_only { None } else { Some(Machine::here()?) };
        if let Some(machine) = &machine {
            settings.check_machine(machine)?;
        }
        let fits =
            if self.file_only { "this machine wasn't looked at" } else { "it fits this machine" };
        let counts = [
            counted(settings.segments.len() as u64, "segment", "segments"),
            counted(settings.ports.len() as u64, "port", "ports"),
            counted(settings.dataplane.worker_cores.len() as u64, "worker", "workers"),
        ];
        output::write(&format!(
            "{}: no mistakes, {fits}: {}\n{}{}",
            file.display(),
            counts.join(", "),
            settings.sums_in_words(),
            settings.queues_in_words(|core| machine.as_ref()?.node_of(core))
        ))?;
        Ok(exit::OK)
    }
}
