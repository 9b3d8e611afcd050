//! `side-by-side`: Loadlock and its peers on the same captures, alternately, in one run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use loadlock_benches::report::Line;
use loadlock_benches::{load, loadlock, testpmd};
use serde::Serialize;

/// Loadlock's dataplane against dpdk-testpmd in macswap mode: one worker core, 60-byte frames, `net_pcap` with
/// `infinite_rx`, hugepages on.
#[derive(Parser)]
struct Arguments {
    /// Conversations, one line of the table each.
    #[arg(long, value_delimiter = ',', default_value = "4096")]
    flows: Vec<u32>,
    /// Rules of the enforced allowlist.
    #[arg(long, default_value_t = 1000)]
    rules: u32,
    /// Runs of each program.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Where to write the figures and facts of the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The dataplane to measure.
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock-dataplane")]
    dataplane: PathBuf,
}

#[derive(Serialize)]
struct Machine {
    processor: String,
    kernel: String,
    hugepages: String,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    frame_bytes: usize,
    lines: Vec<Line>,
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> io::Result<()> {
    let folder = tempfile::Builder::new().prefix("loadlock-bench").tempdir_in("/dev/shm")?;
    let mut lines = Vec::new();
    for &flows in &arguments.flows {
        let line = one_line(arguments, flows, folder.path())?;
        println!("{}", line.text());
        lines.push(line);
    }
    if let Some(path) = &arguments.json {
        let results = Results { machine: machine()?, frame_bytes: load::FRAME_BYTES, lines };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}

fn one_line(arguments: &Arguments, flows: u32, folder: &Path) -> io::Result<Line> {
    let load = load::write(flows, folder)?;
    let (mut ours, mut macswap) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let Arguments { rules, seconds, .. } = *arguments;
        let run = loadlock::run(&arguments.dataplane, &load, rules, seconds, folder)?;
        ours.push(run.packets_per_second);
        macswap.push(testpmd::run("macswap", &load, seconds, folder)?);
    }
    std::fs::remove_file(&load.side_a)?;
    std::fs::remove_file(&load.side_b)?;
    Ok(Line::of(flows, arguments.rules, &ours, &macswap))
}

fn machine() -> io::Result<Machine> {
    let line = |path: &str, start: &str| -> io::Result<String> {
        let text = std::fs::read_to_string(path)?;
        let found = text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        Ok(found.split(':').next_back().unwrap_or_default().trim().to_owned())
    };
    Ok(Machine {
        processor: line("/proc/cpuinfo", "model name")?,
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        hugepages: line("/proc/meminfo", "HugePages_Total")?,
    })
}
