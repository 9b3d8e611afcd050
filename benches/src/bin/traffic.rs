//! `traffic`: load tests through the appliance, with Pktgen-DPDK on a wire or with its own generator on this machine; JSON, Markdown and SVG.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use loadlock_benches::hugepages::{HugeFolder, Hugepages, give_back_when_interrupted};
use loadlock_benches::machine::Machine;
use loadlock_benches::traffic::pktgen::Pktgen;
use loadlock_benches::traffic::result::{Found, Results};
use loadlock_benches::traffic::{Choices, Scenario, local, plot, report};

const AFTER_HELP: &str = "Examples:
  scripts/pktgen/run --local                          all scenarios on this machine, without a network card, in about 5 minutes
  scripts/pktgen/run --local rfc2544 --sizes 64,1518
  scripts/pktgen/run --pktgen /usr/local/bin/pktgen --eal '-l 0-4 -a 0000:3b:00.0 -a 0000:3b:00.1' --map '[1:2].0,[3:4].1'

Exit codes:
  0  all scenarios ran; look at the warnings
  1  a scenario couldn't be measured, or frames came through that no rule permits
  2  wrong command line";

/// Load tests: throughput, loss-free rate and latency, conversations, storms, denied traffic, trunks, long runs.
#[derive(Parser)]
#[command(after_help = AFTER_HELP)]
struct Arguments {
    /// What to measure; without any, everything
    scenarios: Vec<Scenario>,
    /// With the generator of this program and a dataplane of its own, over shared memory
    #[arg(long, conflicts_with_all = ["pktgen", "eal", "map"], required_unless_present = "pktgen")]
    local: bool,
    /// Pktgen's program, for an appliance that runs and is wired to it (the scripts say how)
    #[arg(long, value_name = "FILE")]
    pktgen: Option<PathBuf>,
    /// EAL's arguments for Pktgen, separated by spaces
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    eal: String,
    /// Pktgen's cores for each port
    #[arg(long, value_name = "TEXT", default_value = "[1:2].0,[3:4].1")]
    map: String,
    /// The folder of Pktgen's scripts
    #[arg(long, value_name = "FOLDER", default_value = "scripts/pktgen")]
    scripts: PathBuf,
    /// Minutes after which a scenario of Pktgen is given up
    #[arg(long, default_value_t = 180)]
    patience_minutes: u64,
    /// Where results, report and plots go
    #[arg(long, value_name = "FOLDER", default_value = "out/traffic")]
    out: PathBuf,
    /// Length of a trial in s; without it 10 with Pktgen, 2 with --local
    #[arg(long, value_parser = positive)]
    seconds: Option<f64>,
    /// Length of the trial that confirms a found rate, in s, 0 for none; without it 60 with Pktgen, none with --local
    #[arg(long, value_parser = not_negative)]
    confirm_seconds: Option<f64>,
    /// Frame sizes with FCS, 64 to 1518 bytes
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(64..=1518))]
    sizes: Vec<u16>,
    /// Conversations; for `flows` several
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    flows: Vec<u32>,
    /// Length of the soak in minutes; without it 60
    #[arg(long, value_parser = positive)]
    minutes: Option<f64>,
    /// With --local: the dataplane to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/loadlock-dataplane")]
    dataplane: PathBuf,
    /// With --local: rules of the enforced allowlist
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rules: u32,
    /// With --local: without hugepages, to see that it works; slow
    #[arg(long, requires = "local")]
    no_hugepages: bool,
    /// One scenario in this process, its result to this file: EAL starts once a process
    #[arg(long, hide = true, requires = "local")]
    one: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|value| {
        if value > 0.0 { Ok(value) } else { Err("a number above 0 is allowed".into()) }
    })
}

fn not_negative(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number is allowed".to_owned())?;
    if (0.0..1e6).contains(&value) {
        Ok(value)
    } else {
        Err("a number from 0 to 1000000 is allowed".into())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.one {
        Some(path) => run_one(&arguments, path).map(|()| true),
        None => run_all(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("traffic: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn choices(&self) -> Choices {
        Choices {
            seconds: self.seconds,
            confirm_seconds: self.confirm_seconds,
            sizes: self.sizes.clone(),
            flows: self.flows.clone(),
            minutes: self.minutes,
        }
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let all = || Scenario::ALL.into_iter().filter(|at| !self.local || *at != Scenario::Soak);
        if self.scenarios.is_empty() { all().collect() } else { self.scenarios.clone() }
    }
}

/// True if nothing failed.
fn run_all(arguments: &Arguments) -> io::Result<bool> {
    let out = &arguments.out;
    std::fs::create_dir_all(out)
        .map_err(|error| io::Error::other(format!("--out {}: {error}", out.display())))?;
    let machine = Machine::here();
    let footnote = format!("{}, {}, DPDK {}", machine.date, machine.processor, machine.dpdk);
    let mut results = Results { machine, scenarios: Vec::new() };
    for scenario in arguments.scenarios() {
        println!("{}", scenario.title());
        let found = measure(arguments, scenario).unwrap_or_else(|error| Found {
            scenario: scenario.name().to_owned(),
            generator: if arguments.local { "Loadlock's own" } else { "Pktgen" }.to_owned(),
            points: Vec::new(),
            warnings: Vec::new(),
            failure: Some(error.to_string()),
            samples: Vec::new(),
        });
        if !arguments.local {
            found.points.iter().for_each(|point| println!("  {}", report::line(point)));
        }
        found.warnings.iter().for_each(|warning| println!("  warning: {warning}"));
        found.failure.iter().for_each(|failure| eprintln!("  failed: {failure}"));
        let svg = plot::svg(&found, scenario.title(), &footnote).map_err(io::Error::other)?;
        std::fs::write(out.join(format!("{}.svg", scenario.name())), svg)?;
        results.scenarios.push(found);
    }
    std::fs::write(out.join("results.json"), serde_json::to_string_pretty(&results)? + "\n")?;
    std::fs::write(out.join("report.md"), report::markdown(&results))?;
    println!("{0}: report.md, results.json and a plot for each scenario", out.display());
    Ok(!results.scenarios.iter().any(Found::failed))
}

fn measure(arguments: &Arguments, scenario: Scenario) -> io::Result<Found> {
    if let Some(program) = &arguments.pktgen {
        let pktgen = Pktgen {
            program: program.clone(),
            eal: arguments.eal.split_whitespace().map(str::to_owned).collect(),
            map: arguments.map.clone(),
            scripts: arguments.scripts.clone(),
            patience: Duration::from_secs(60 * arguments.patience_minutes),
        };
        return pktgen.run(scenario, &arguments.choices(), &arguments.out);
    }
    let result = arguments.out.join(format!("{}.json", scenario.name()));
    match std::fs::remove_file(&result) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1).filter(|word| {
        let word = word.to_string_lossy();
        Scenario::ALL.iter().all(|scenario| scenario.name() != word)
    }));
    let status = command.arg("--one").arg(&result).arg(scenario.name()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!(
            "the scenario's process ended with {status}; see above"
        )));
    }
    Found::load(&result)
}

fn run_one(arguments: &Arguments, path: &Path) -> io::Result<()> {
    let folder = HugeFolder::new("loadlock-traffic")?;
    give_back_when_interrupted(folder.path())?;
    // Two processes with a pool each, and flow tables of up to four million.
    let bytes = (1 << 30) + (256 << 20);
    let _hugepages = (!arguments.no_hugepages).then(|| Hugepages::for_bytes(bytes)).transpose()?;
    let place = local::Place {
        dataplane: &arguments.dataplane,
        folder: folder.path(),
        rules: arguments.rules,
        hugepages: !arguments.no_hugepages,
    };
    let scenario = arguments.scenarios.first().copied().unwrap_or(Scenario::Throughput);
    let found = local::run(scenario, &arguments.choices(), &place)?;
    std::fs::write(path, serde_json::to_string_pretty(&found)? + "\n")
}
