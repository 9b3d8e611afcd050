//! `primitives`: the flow table's lookup and the event ring alone, each against what others offer, in turn.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadlock_benches::hugepages::Hugepages;
use loadlock_benches::machine::Machine;
use loadlock_benches::primitives::{Primitive, lookups, rings};
use serde::Serialize;

/// Loadlock's lookup against DPDK's `rte_hash`, and its event ring against `rtrb` and `crossbeam::ArrayQueue`.
#[derive(Parser)]
struct Arguments {
    /// Keys of the tables.
    #[arg(long, value_delimiter = ',', default_value = "65536,1048576,8388608")]
    keys: Vec<usize>,
    /// Runs of each contender.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Where to write the figures and facts of the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    runs: usize,
    primitives: Vec<Primitive>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("primitives: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let machine = Machine::here();
    let largest = arguments.keys.iter().max().copied().unwrap_or(0) as u64;
    // Ours takes 96 bytes a key, DPDK's about 80; the rest is for EAL.
    let _hugepages = Hugepages::for_bytes(largest * 192 + (256 << 20))?;
    // EAL binds this thread to its CPU, and threads inherit that; the rings come first.
    let mut primitives = vec![rings(arguments.runs)?];
    primitives.extend(lookups(&arguments.keys, arguments.runs)?);
    for primitive in &primitives {
        println!("{}", primitive.text());
    }
    if let Some(path) = &arguments.json {
        let results = Results { machine, runs: arguments.runs, primitives };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}
