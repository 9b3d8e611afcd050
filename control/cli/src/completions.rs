//! `loadlock completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `completions`.
#[derive(Args)]
pub struct Arguments {
    /// The shell that will read it
    shell: Shell,
}

impl Arguments {
    /// Prints the shell's script, made from the verbs as they are.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut crate::Arguments::command(),
            "loadlock",
            &mut script,
        );
        output::write(&String::from_utf8_lossy(&script))?;
        Ok(exit::OK)
    }
}
