//! `loadlock control`: the daemon that learns, keeps versions and publishes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use loadlock_settings::{Machine, Settings};

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Where both processes look for their configuration unless told otherwise.
pub const CONFIG_DEFAULT: &str = "/etc/loadlock/loadlock.toml";

/// Arguments of `control`.
#[derive(Args)]
pub struct Arguments {
    /// The configuration file, the same as the dataplane's
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

impl Arguments {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Machine`], [`Failure::Signals`], [`Failure::Engine`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        settings.check_machine(&Machine::here()?)?;
        output::log_to_stderr(settings.control.log.as_str());
        let stop = stop_on_signal()?;
        loadlock_engine::run(&settings, &stop).map_err(Failure::Engine)?;
        Ok(exit::OK)
    }
}

/// A flag that SIGTERM and SIGINT set.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(Failure::Signals)?;
    Ok(stop)
}
