//! `side-by-side`: Loadlock and its peers on the same captures, alternately, in one run.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadlock_benches::cases::{Bench, Case, Figures};
use loadlock_benches::chart::svg;
use loadlock_benches::hugepages::{HugeFolder, Hugepages, give_back_when_interrupted};
use loadlock_benches::load::mbufs;
use loadlock_benches::machine::Machine;
use loadlock_benches::peers::Peer;
use loadlock_benches::report::Comparison;
use serde::Serialize;

/// Loadlock's dataplane against its peers: one worker core, two `net_pcap` ports with `infinite_rx`, hugepages on.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[arg(long = "case", value_enum, value_delimiter = ',', default_value = "flows")]
    cases: Vec<Case>,
    /// Conversations, one line of the table each.
    #[arg(long, value_delimiter = ',', default_value = "64,4096,65536,1048576")]
    flows: Vec<u32>,
    /// Rules of the allowlist.
    #[arg(long, default_value_t = 100_000)]
    rules: u32,
    /// Runs of each program.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Whom to compare with; those that aren't installed are named and left out.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Peer::ALL)]
    peers: Vec<Peer>,
    /// 4,096 and 1,048,576 flows against testpmd macswap alone, in under a minute.
    #[arg(long, conflicts_with_all = ["cases", "flows", "runs", "seconds", "peers"])]
    quick: bool,
    /// Where to write the figures and facts of the machine.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to draw the chart of the case `flows`, as SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// The dataplane to measure.
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock-dataplane")]
    dataplane: PathBuf,
}

#[derive(Serialize)]
struct Results {
    machine: Machine,
    seconds: u32,
    skipped: Vec<String>,
    cases: Vec<Figures>,
}

fn main() -> ExitCode {
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(mut arguments: Arguments) -> io::Result<()> {
    if arguments.quick {
        arguments.flows = vec![4096, 1 << 20];
        (arguments.runs, arguments.seconds) = (3, 1);
        arguments.peers = vec![Peer::Macswap];
    }
    let machine = Machine::here();
    let folder = HugeFolder::new("loadlock-bench")?;
    give_back_when_interrupted(folder.path())?;
    let wanted = &arguments.peers;
    let skipped: Vec<String> = wanted.iter().filter_map(|peer| peer.missing()).collect();
    for reason in &skipped {
        println!("{reason}");
    }
    let bench = Bench {
        dataplane: arguments.dataplane,
        folder: folder.path().to_owned(),
        flows: arguments.flows,
        rules: arguments.rules,
        runs: arguments.runs,
        seconds: arguments.seconds,
        peers: wanted.iter().copied().filter(|peer| peer.missing().is_none()).collect(),
    };
    let flows_max = arguments.cases.iter().map(|case| case.flows_max(&bench)).max();
    let _hugepages = Hugepages::for_mbufs(mbufs(flows_max.unwrap_or(0)))?;
    let mut cases = Vec::new();
    for case in &arguments.cases {
        case.measure(&bench, &mut |figures: Figures| {
            println!("{}", figures.text());
            cases.push(figures);
        })?;
    }
    if let Some(path) = &arguments.chart {
        let shown: Vec<&Comparison> = cases.iter().filter_map(Figures::of_flows).collect();
        let Machine { processor, cpus, dpdk, date, .. } = &machine;
        let footnote = format!("{processor}, {cpus} CPUs, DPDK {dpdk}, hugepages, {date}");
        std::fs::write(path, svg(&shown, &footnote).map_err(io::Error::other)?)?;
    }
    if let Some(path) = &arguments.json {
        let results = Results { machine, seconds: bench.seconds, skipped, cases };
        std::fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    Ok(())
}
