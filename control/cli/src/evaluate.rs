//! `loadlock evaluate`: how good learning is, in figures, beside two baselines.

use std::path::PathBuf;

use clap::Args;
use loadlock_evaluate::{CaptureOptions, ScenarioOptions, evaluate_capture, evaluate_scenario};
use loadlock_replay::LearnUntil;

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `evaluate`.
#[derive(Args)]
pub struct Arguments {
    /// A site (config/scenarios has some)
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "capture",
        conflicts_with = "capture"
    )]
    scenario: Option<PathBuf>,
    /// A real capture: judged with nobody answering
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// What the capture's packets are: JSON lines of `generate`, or lines of first packet, last packet and label [default: all benign]
    #[arg(long, value_name = "FILE", requires = "capture")]
    labels: Option<PathBuf>,
    /// Learn from the capture up to here: a fraction of the time span, `280s` from the start, or an RFC 3339 time [default: 0.5]
    #[arg(long, value_name = "FRACTION|TIME", requires = "capture")]
    learn_until: Option<LearnUntil>,
    /// Take VLAN tags off the capture's frames: where one direction is tagged and the other not
    #[arg(long, requires = "capture")]
    ignore_vlans: bool,
    /// Parts of the site that its scenario has as variants
    #[arg(long, value_name = "VARIANT,…", value_delimiter = ',')]
    with: Vec<String>,
    /// Days of the site [default: the scenario's]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
    /// Seed of all that is random
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other: mean and worst are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: u32,
    /// Write the figures here as JSON, and charts beside it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Arguments {
    /// Evaluates, and prints the figures.
    ///
    /// # Errors
    /// [`Failure::Evaluate`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let report = match (&self.scenario, &self.capture) {
            (_, Some(capture)) => evaluate_capture(&CaptureOptions {
                capture: capture.clone(),
                labels: self.labels.clone(),
                learn_until: self.learn_until.unwrap_or(LearnUntil::Fraction(0.5)),
                ignore_vlans: self.ignore_vlans,
            })?,
            (scenario, None) => evaluate_scenario(&ScenarioOptions {
                scenario: scenario.clone().unwrap_or_default(),
                with: self.with.clone(),
                days: self.days,
                seed: self.seed,
                seeds: self.seeds,
            })?,
        };
        let mut text = report.to_string();
        if let Some(file) = &self.report {
            for file in report.write(file)? {
                text.push_str(&format!("wrote {}\n", file.display()));
            }
        }
        output::write(&text)?;
        Ok(exit::OK)
    }
}
