//! `loadlock-dataplane`: owns the ports and decides every packet.
//!
//! ```text
//!  main thread (main_core): settings ─► EAL ─► ports ─► exchange ─► wait for policy ─► heartbeat, port states ─► stop
//!  worker threads (worker_cores): receive ─► judge ─► transmit ─► count                              (worker.rs)
//! ```
//!
//! It reads its own configuration file and nothing else that a person writes. Everything it learns from control comes
//! through the exchange, and control may come and go at any time. Tested as a process on DPDK's virtual devices:
//! `control/cli/tests`.

mod clock;
mod exit;
mod failures;
mod forward;
mod hardware;
mod housekeeping;
mod idle;
mod links;
mod ordered;
mod overrides;
mod ports;
mod preflight;
mod service;
mod start;
mod tap;
mod watchdog;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadlock_settings::{Machine, Settings};

use crate::exit::Failure;

/// The process that owns the ports and decides every packet.
#[derive(Parser)]
#[command(name = "loadlock-dataplane", version, after_help = exit::EXIT_CODES)]
struct Arguments {
    /// Configuration file; `config/reference.toml` explains every key.
    #[arg(long, value_name = "FILE", default_value = "/etc/loadlock/loadlock.toml")]
    config: PathBuf,
    /// Check the configuration against the code and this machine, print every mistake, and end.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    check: Option<PathBuf>,
    /// Open the devices, look whether they give what the configuration asks for, send marker frames over the cable that joins each
    /// segment's two ports for this test, and end. Not while a dataplane runs.
    #[arg(long, conflicts_with = "check")]
    preflight: bool,
    /// With --preflight: no marker frames, because the ports are cabled as they will be.
    #[arg(long, requires = "preflight")]
    no_loop: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.check {
        Some(file) => load(file).map(|settings| {
            println!(
                "{}: valid for this machine ({} segments, {} workers)",
                file.display(),
                settings.segments.len(),
                settings.dataplane.worker_cores.len()
            );
        }),
        None if arguments.preflight => load(&arguments.config)
            .and_then(|settings| preflight::run(&settings, !arguments.no_loop)),
        None => load(&arguments.config).and_then(|settings| start::run(&settings)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("loadlock-dataplane: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn load(file: &std::path::Path) -> Result<Settings, Failure> {
    let settings = Settings::load(file).map_err(Failure::Settings)?;
    let machine = Machine::here().map_err(Failure::Machine)?;
    settings.check_machine(&machine).map_err(Failure::Settings)?;
    Ok(settings)
}
