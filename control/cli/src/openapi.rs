//! `loadlock openapi`: the description of the API.

use clap::Args;

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `openapi`.
#[derive(Args)]
pub struct Arguments {}

impl Arguments {
    /// Writes the document that this program's control serves; asks nobody.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        output::write(&loadlock_api::openapi())?;
        Ok(exit::OK)
    }
}
