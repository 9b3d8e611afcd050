//! `loadlock evaluate`: how good learning is, in figures, beside two baselines.

use std::path::PathBuf;

use clap::Args;
use loadlock_evaluate::{ScenarioOptions, evaluate_scenario};

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `evaluate`.
#[derive(Args)]
pub struct Arguments {
    /// A site (config/scenarios has some)
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
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
        let report = evaluate_scenario(&ScenarioOptions {
            scenario: self.scenario.clone(),
            with: self.with.clone(),
            days: self.days,
            seed: self.seed,
            seeds: self.seeds,
        })?;
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
