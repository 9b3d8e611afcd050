//! `loadlock island`: cut a zone off, and let it back.

use clap::Args;
use clap::builder::PossibleValuesParser;
use loadlock_api::IslandSwitch;

use crate::exit;
use crate::failure::Failure;
use crate::policy::{self, Ends};

/// Arguments of `island`.
#[derive(Args)]
pub struct Arguments {
    /// Name of the zone in the policy in force
    zone: String,
    /// on: nothing crosses the zone's boundary; off: as before
    #[arg(value_parser = PossibleValuesParser::new(["on", "off"]))]
    switch: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ends: Ends,
}

impl Arguments {
    /// Switches; it is in force when this returns.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let switch = IslandSwitch { island: self.switch == "on", reason: self.reason.clone() };
        let answer = self.ends.connect()?.set_island(&self.zone, &switch)?;
        self.ends.output.show(&answer, policy::changed)?;
        Ok(exit::OK)
    }
}
