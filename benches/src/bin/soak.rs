//! `soak`: a long run of the whole appliance at 70 % of its loss-free rate, disturbed all the time.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use loadlock_benches::hugepages::{HugeFolder, Hugepages, give_back_when_interrupted};
use loadlock_benches::machine::Machine;
use loadlock_benches::soak::{Options, Report, run};
use serde::Serialize;

const AFTER_HELP: &str = "Exit codes:
  0  no frame lost, all counters add up, no memory grew
  1  one of these isn't so, named as a fault; or the run couldn't be made
  2  wrong command line";

/// A long run at 70 % of the loss-free rate, with policy versions, kills of control, link flaps and storms of new conversations.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    /// How long, in minutes
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Where to write the report, each second and facts of the machine
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Without hugepages, to see that it works; slow
    #[arg(long)]
    no_hugepages: bool,
    /// The dataplane
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock-dataplane")]
    dataplane: PathBuf,
    /// Control and its verbs
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock")]
    loadlock: PathBuf,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    minutes: f64,
    report: Report,
    faults: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !(0.01..=100_000.0).contains(&arguments.minutes) {
        eprintln!("soak: --minutes {}: 0.01 to 100000 are allowed", arguments.minutes);
        return ExitCode::from(2);
    }
    match soak(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn soak(arguments: &Arguments) -> io::Result<bool> {
    let machine = Machine::here();
    let folder = HugeFolder::new("loadlock-soak")?;
    give_back_when_interrupted(folder.path())?;
    let _hugepages =
        (!arguments.no_hugepages).then(|| Hugepages::for_bytes(1 << 30)).transpose()?;
    let options = Options {
        dataplane: &arguments.dataplane,
        loadlock: &arguments.loadlock,
        folder: folder.path(),
        duration: Duration::from_secs_f64(arguments.minutes * 60.0),
        hugepages: !arguments.no_hugepages,
    };
    let report = run(&options, &|line| println!("{line}"))?;
    print!("{}", report.text());
    let faults = report.faults();
    let well = faults.is_empty();
    if let Some(path) = &arguments.json {
        let results = Results { machine, minutes: arguments.minutes, report, faults };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(well)
}
