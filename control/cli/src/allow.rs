//! `loadlock allow`: a right for a time.

use clap::Args;
use loadlock_api::Allow;

use crate::exit;
use crate::failure::Failure;
use crate::policy::{self, Ends, seconds};

/// Arguments of `allow`.
#[derive(Args)]
pub struct Arguments {
    /// Who asks: device:NAME, role:NAME, zone:NAME, an address or a prefix
    from: String,
    /// Who answers
    to: String,
    /// What they talk: a service of the policy, or such as tcp/5000
    service: String,
    /// How long, such as 8h; at most 30d
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: u64,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Where, if neither end is a device of a segment
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    #[command(flatten)]
    ends: Ends,
}

impl Arguments {
    /// Asks for it; it is in force when this returns, or waits for another person's approval.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let details = Allow {
            from: self.from.clone(),
            to: self.to.clone(),
            service: self.service.clone(),
            segment: self.segment.clone(),
            for_s: self.time,
            reason: self.reason.clone(),
        };
        let answer = self.ends.connect()?.allow(&details)?;
        self.ends.output.show(&answer, policy::changed)?;
        Ok(exit::OK)
    }
}
