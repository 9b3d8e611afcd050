//! `loadlock man`: manual pages from the verbs as they are.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::exit;
use crate::failure::Failure;
use crate::output;
use crate::units::counted;

/// Arguments of `man`.
#[derive(Args)]
pub struct Arguments {
    /// Folder to write loadlock.1, loadlock-status.1 and so on into; made if it is missing
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

impl Arguments {
    /// Writes a page for the program, and one for each verb and each verb of a verb.
    ///
    /// # Errors
    /// [`Failure::Write`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let failed = |source| Failure::Write { path: self.dir.clone(), source };
        fs::create_dir_all(&self.dir).map_err(failed)?;
        clap_mangen::generate_to(crate::Arguments::command(), &self.dir).map_err(failed)?;
        let pages = fs::read_dir(&self.dir).map_err(failed)?.count() as u64;
        output::write(&format!("{} in {}\n", counted(pages, "page", "pages"), self.dir.display()))?;
        Ok(exit::OK)
    }
}
