//! `loadlock generate`: synthetic captures with ground truth.

use std::path::PathBuf;

use clap::Args;
use loadlock_generate::{GenerateOptions, SidesOptions};

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `generate`.
#[derive(Args)]
pub struct Arguments {
    /// The scenario file (config/scenarios has some)
    scenario: PathBuf,
    /// Write the capture here, compressed if the name ends with .gz
    #[arg(long, value_name = "FILE", required_unless_present_any = ["labels", "sides"])]
    out: Option<PathBuf>,
    /// Write what each packet is here, as JSON lines
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Write one capture per side and part into this folder, for net_pcap ports
    #[arg(long, value_name = "FOLDER")]
    sides: Option<PathBuf>,
    /// Where part 1 of the sides ends, as a fraction of the duration
    #[arg(long, value_name = "FRACTION", default_value_t = 0.5, requires = "sides")]
    split: f64,
    /// Seed of all that is random: the same seed gives the same packets
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// Generates and writes the captures.
    ///
    /// # Errors
    /// [`Failure::Generate`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let split_fraction = self.split;
        let summary = loadlock_generate::run(&GenerateOptions {
            scenario: self.scenario.clone(),
            out: self.out.clone(),
            labels: self.labels.clone(),
            sides: self.sides.clone().map(|folder| SidesOptions { folder, split_fraction }),
            seed: self.seed,
        })?;
        output::write(&summary.to_string())?;
        Ok(exit::OK)
    }
}
