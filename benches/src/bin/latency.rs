//! `latency`: what a burst and a frame take at several rates, and the loss-free rate, on a link over shared memory.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadlock_benches::hugepages::{HugeFolder, Hugepages, give_back_when_interrupted};
use loadlock_benches::latency::{Latency, Options, measure};
use loadlock_benches::machine::Machine;
use serde::Serialize;

/// Latency at 10, 50 and 90 % of the peak rate and the loss-free rate, between two `net_memif` ports.
#[derive(Parser)]
struct Arguments {
    /// Conversations.
    #[arg(long, default_value_t = 4096)]
    flows: u32,
    /// Rules of the enforced allowlist.
    #[arg(long, default_value_t = 100_000)]
    rules: u32,
    /// Length of a trial; RFC 2544 asks for 60.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Where to write the figures and facts of the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The dataplane to measure.
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock-dataplane")]
    dataplane: PathBuf,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    latency: Latency,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latency: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let machine = Machine::here();
    let folder = HugeFolder::new("loadlock-latency")?;
    give_back_when_interrupted(folder.path())?;
    // Two processes with a pool each, and the flow tables.
    let _hugepages = Hugepages::for_bytes(1 << 30)?;
    let latency = measure(&Options {
        dataplane: &arguments.dataplane,
        flows: arguments.flows,
        rules: arguments.rules,
        seconds: arguments.seconds,
        folder: folder.path(),
    })?;
    println!("{}", latency.text());
    if let Some(path) = &arguments.json {
        let results = Results { machine, latency };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}
