//! `loadlock run`: both processes, started and kept running.

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;
use loadlock_settings::{Machine, Settings};
use loadlock_supervisor::{Program, supervise};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::control::{CONFIG_DEFAULT, flag_of};
use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `run`.
#[derive(Args)]
pub struct Arguments {
    /// The configuration file for both processes
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
    /// The dataplane's program; without it the one beside this program, else the one on PATH
    #[arg(long, value_name = "FILE")]
    dataplane: Option<PathBuf>,
}

const DATAPLANE: &str = "loadlock-dataplane";

/// Control's exit codes that a restart doesn't mend: a damaged or busy store is as final as a wrong configuration.
const CONTROL_REFUSALS: [u8; 3] = [exit::USAGE, exit::CONFIGURATION, exit::STORE];
/// The dataplane's, as its help has them: all but a worker's death.
const DATAPLANE_REFUSALS: [u8; 5] = [2, 3, 4, 5, 6];

impl Arguments {
    /// Supervises until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Machine`], [`Failure::Signals`], [`Failure::Supervise`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        settings.check_machine(&Machine::here()?)?;
        // What it logs itself stays as it is; control takes over its own.
        let _unchanged = output::log_to_stderr(settings.control.log);
        let own = env::current_exe().map_err(Failure::OwnPath)?;
        let dataplane = self.dataplane.clone().unwrap_or_else(|| beside(&own));
        let config = ["--config".to_owned(), self.config.display().to_string()];
        // A terminal that is closed ends the run.
        let stop = flag_of(&[SIGTERM, SIGINT, SIGHUP])?;
        let control = [vec!["control".to_owned()], config.to_vec()].concat();
        let programs = vec![
            Program { name: "control", path: own, arguments: control, refusals: &CONTROL_REFUSALS },
            Program {
                name: "dataplane",
                path: dataplane,
                arguments: config.to_vec(),
                refusals: &DATAPLANE_REFUSALS,
            },
        ];
        supervise(programs, &stop).map_err(Failure::Supervise)?;
        Ok(exit::OK)
    }
}

/// The dataplane beside this program, or just its name, which the system looks up on PATH.
fn beside(own: &Path) -> PathBuf {
    let sibling = own.with_file_name(DATAPLANE);
    if sibling.is_file() { sibling } else { DATAPLANE.into() }
}
