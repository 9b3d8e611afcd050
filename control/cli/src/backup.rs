//! `loadlock backup` and `loadlock restore`: the store as one file.

use std::path::PathBuf;

use clap::Args;
use loadlock_settings::Settings;

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `backup`.
#[derive(Args)]
pub struct BackUp {
    /// The file to write; one that exists is never written over
    file: PathBuf,
    /// Configuration file that names the store
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Arguments of `restore`.
#[derive(Args)]
pub struct Restore {
    /// The backup
    file: PathBuf,
    /// Configuration file that names the store
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl BackUp {
    /// Makes the copy.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Store`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        let number =
            loadlock_store::back_up(&settings.control.store, &self.file).map_err(Failure::Store)?;
        output::write(&format!(
            "{}: the whole store, checked; policy version {number} is in force in it\n",
            self.file.display()
        ))?;
        Ok(exit::OK)
    }
}

impl Restore {
    /// Replaces the store.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Store`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        let store = &settings.control.store;
        let restored = loadlock_store::restore(store, &self.file).map_err(Failure::Store)?;
        let before = match restored.aside {
            Some(aside) => format!("what was there before is {}", aside.display()),
            None => "there was none before".to_owned(),
        };
        output::write(&format!(
            "{}: restored, {before}\nnext: start control; it puts policy version {} in force\n",
            store.display(),
            restored.in_force
        ))?;
        Ok(exit::OK)
    }
}
