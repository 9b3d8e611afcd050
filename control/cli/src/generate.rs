//! `loadlock generate`: synthetic captures with ground truth.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use loadlock_generate::{
    GenerateError, GenerateOptions, ScenarioError, SidesOptions, Site, SiteOptions, write_site,
};

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
    /// Days of a site [default: the scenario's]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=366))]
    days: Option<u32>,
    /// Parts of a site that its scenario has as variants
    #[arg(long, value_name = "VARIANT,…", value_delimiter = ',')]
    with: Vec<String>,
    /// The segment of a site whose packets --out is of
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    bay: u8,
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
        let text = fs::read_to_string(&self.scenario).map_err(|source| {
            GenerateError::from(ScenarioError::Read {
                file: self.scenario.display().to_string(),
                source,
            })
        })?;
        if Site::is_site(&text) {
            return self.run_site();
        }
        if self.days.is_some() || !self.with.is_empty() || self.bay != 0 {
            return Err(Failure::Usage(format!(
                "--days, --with and --bay are for sites; {} is a line of packets, with `duration_s` in its [line]: leave them out, \
                 or take config/scenarios/fab-40.toml",
                self.scenario.display()
            )));
        }
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

    fn run_site(&self) -> Result<u8, Failure> {
        if self.sides.is_some() {
            return Err(Failure::Usage(
                "--sides is for lines of packets such as config/scenarios/demo.toml; of a site, use --out and --bay".to_owned(),
            ));
        }
        let site = Site::open(&self.scenario, &self.with).map_err(GenerateError::from)?;
        if self.bay >= site.bays() {
            return Err(Failure::Usage(format!(
                "--bay {}; the site has bays 0 to {}",
                self.bay,
                site.bays() - 1
            )));
        }
        let days = self.days.unwrap_or(site.days());
        let options = SiteOptions {
            out: self.out.clone(),
            labels: self.labels.clone(),
            segment: self.bay,
            seed: self.seed,
        };
        let summary = write_site(&site.for_days(days), &options)?;
        output::write(&summary.to_string())?;
        Ok(exit::OK)
    }
}
