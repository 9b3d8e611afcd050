//! `gate`: fails when the packet path takes more than 3 % more instructions a packet than accepted, or allocates.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use loadlock_benches::gate::{Class, count, judge, parse, text};

/// Instructions per packet on the packet path, counted by callgrind, against the accepted figures.
#[derive(Parser)]
struct Arguments {
    /// Write what is counted now as accepted.
    #[arg(long)]
    accept: bool,
    /// The accepted figures.
    #[arg(long, value_name = "FILE", default_value = "benches/instructions-per-packet.txt")]
    accepted: PathBuf,
    /// The program that is counted.
    #[arg(long, value_name = "FILE", default_value = "target/release/packet-path")]
    packet_path: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<bool> {
    let file = &arguments.accepted;
    let accepted = match std::fs::read_to_string(file) {
        Ok(text) => parse(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => parse("")?,
        Err(error) => {
            return Err(io::Error::new(error.kind(), format!("{}: {error}", file.display())));
        }
    };
    let (mut costs, mut passes) = (Vec::new(), true);
    for &class in Class::value_variants() {
        let cost = count(class, &arguments.packet_path)?;
        let (line, passed) = judge(class, cost, accepted.get(&class.name()).copied());
        println!("{line}");
        passes &= passed;
        costs.push((class, cost));
    }
    if arguments.accept {
        std::fs::write(file, text(&costs).map_err(io::Error::other)?)?;
        println!("accepted: {}", file.display());
        return Ok(costs.iter().all(|(_, cost)| cost.allocations == 0));
    }
    Ok(passes)
}
