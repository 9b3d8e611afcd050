//! SCENARIO.toml: what line, what traffic, what intruder; read, checked as a whole, and never changed after.
//!
//! Every key with its meaning and range is in `config/scenarios/demo.toml`. All mistakes of a file are reported at
//! once.

mod error;
mod keys;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

pub use error::{ScenarioError, ScenarioProblem};

use keys::Keys;
pub(crate) use keys::unix_seconds;

/// Fewest seconds of a scenario: half of it must hold every kind of conversation at least once.
pub const DURATION_S_MIN: u64 = 120;
/// Most seconds of a scenario: four weeks.
pub const DURATION_S_MAX: u64 = 28 * 86_400;
/// Most tools on a line.
pub const TOOLS_MAX: u64 = 200;
/// Between the end of traffic in a half and the half's end, so that no conversation lies across the middle.
pub(crate) const QUIET_NS: u64 = 1_000_000_000;
/// Least time for the intruder before the end: four tries of three seconds each, with pauses.
const INTRUDER_S_MIN: u64 = 30;
/// Ports that the office PC tries on every tool.
pub(crate) const SCANNED_PORTS: [u16; 4] = [445, 3389, 22, 5000];

/// A checked scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub(crate) line: Line,
    pub(crate) addresses: Addresses,
    pub(crate) traffic: Traffic,
    pub(crate) intruder: Option<Intruder>,
}

/// `[line]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub tools: u64,
    pub duration_s: u64,
    pub start_ns: u64,
    pub vlan: Option<u16>,
    pub round_trip_us: u64,
}

/// `[addresses]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub first_tool: Ipv4Addr,
    pub mes: Ipv4Addr,
    pub eda: Ipv4Addr,
    pub recipe: Ipv4Addr,
    pub infrastructure: Ipv4Addr,
    pub gateway: Ipv4Addr,
}

/// `[traffic]`: seconds between conversations of a kind, per tool, and their sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub linktest_s: u64,
    pub report_s: u64,
    pub report_bytes: u64,
    pub eda_session_s: u64,
    pub eda_data_s: u64,
    pub eda_bytes: u64,
    pub recipe_s: u64,
    pub recipe_bytes: u64,
    pub syslog_s: u64,
    pub ntp_s: u64,
    pub dns_s: u64,
    pub ping_s: u64,
    pub arp_s: u64,
}

/// `[intruder]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Intruder {
    /// Start within the scenario, in thousandths of its duration.
    pub start_permille: u64,
    pub address: Ipv4Addr,
    pub scan_pause_ms: u64,
    pub answers: bool,
}

impl Scenario {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ScenarioError`], with all mistakes of the file at once.
    pub fn open(path: &Path) -> Result<Self, ScenarioError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { file: file.clone(), source })?;
        Self::parse(&file, &text)
    }

    /// Checks a scenario's text; `file` names it in errors.
    ///
    /// # Errors
    /// [`ScenarioError`], with all mistakes of the text at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let table: toml::Table = text.parse().map_err(|source| ScenarioError::Syntax {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
        let mut problems = Vec::new();
        let scenario = read_sections(&table, &mut problems);
        if problems.is_empty() {
            scenario.check_together(&mut problems);
        }
        if problems.is_empty() {
            Ok(scenario)
        } else {
            Err(ScenarioError::Invalid { file: file.to_owned(), problems })
        }
    }

    /// Number of tools.
    pub fn tools(&self) -> u64 {
        self.line.tools
    }

    /// Time of the first moment, in nanoseconds since 1970.
    pub fn start_ns(&self) -> u64 {
        self.line.start_ns
    }

    /// Length in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.line.duration_s * 1_000_000_000
    }

    /// The moment `fraction` of the way through, in nanoseconds since 1970.
    pub fn moment_ns(&self, fraction: f64) -> u64 {
        let permyriad = (fraction.clamp(0.0, 1.0) * 10_000.0).round() as u64;
        self.start_ns() + self.line.duration_s * permyriad * 100_000
    }

    /// When the intruder starts; `None` without one.
    pub(crate) fn intruder_start_ns(&self) -> Option<u64> {
        let intruder = self.intruder.as_ref()?;
        Some(self.start_ns() + self.line.duration_s * intruder.start_permille * 1_000_000)
    }

    /// What only shows when several keys are seen together.
    fn check_together(&self, problems: &mut Vec<ScenarioProblem>) {
        self.check_addresses(problems);
        let (Some(intruder), Some(start_ns)) = (&self.intruder, self.intruder_start_ns()) else {
            return;
        };
        let left_ms = (self.start_ns() + self.duration_ns() - start_ns) / 1_000_000;
        if left_ms < INTRUDER_S_MIN * 1_000 {
            let permille_max = 1_000 - (INTRUDER_S_MIN * 1_000).div_ceil(self.line.duration_s);
            problems.push(ScenarioProblem {
                key: "intruder.start_fraction".to_owned(),
                found: (intruder.start_permille as f64 / 1e3).to_string(),
                allowed: format!(
                    "0.5 to {}, so that {INTRUDER_S_MIN} s of the {} s are left for the intruder",
                    permille_max as f64 / 1e3,
                    self.line.duration_s
                ),
            });
            return;
        }
        let probes = self.line.tools * SCANNED_PORTS.len() as u64;
        let pause_ms_max = left_ms * 8 / 10 / probes;
        if intruder.scan_pause_ms > pause_ms_max {
            problems.push(ScenarioProblem {
                key: "intruder.scan_pause_ms".to_owned(),
                found: intruder.scan_pause_ms.to_string(),
                allowed: format!(
                    "1 to {pause_ms_max}, so that {probes} probes (4 ports on each of {} tools) fit in the {} s from \
                     start_fraction on",
                    self.line.tools,
                    left_ms / 1_000
                ),
            });
        }
    }

    /// No two hosts may have one address.
    fn check_addresses(&self, problems: &mut Vec<ScenarioProblem>) {
        let addresses = &self.addresses;
        let first_tool = u64::from(addresses.first_tool.to_bits());
        let last_tool = first_tool + self.line.tools - 1;
        if last_tool > u64::from(Ipv4Addr::new(223, 255, 255, 255).to_bits()) {
            problems.push(ScenarioProblem {
                key: "addresses.first_tool".to_owned(),
                found: addresses.first_tool.to_string(),
                allowed: format!(
                    "an address with {} more unicast addresses after it",
                    self.line.tools - 1
                ),
            });
            return;
        }
        let mut named = vec![
            ("addresses.mes", addresses.mes),
            ("addresses.eda", addresses.eda),
            ("addresses.recipe", addresses.recipe),
            ("addresses.infrastructure", addresses.infrastructure),
            ("addresses.gateway", addresses.gateway),
        ];
        if let Some(intruder) = &self.intruder {
            named.push(("intruder.address", intruder.address));
        }
        for (index, (key, address)) in named.iter().enumerate() {
            let twin = named[..index].iter().find(|(_, other)| other == address);
            let is_tool = (first_tool..=last_tool).contains(&u64::from(address.to_bits()));
            let conflict = match twin {
                Some((other, _)) => *other,
                None if is_tool => "a tool (addresses.first_tool and the line.tools - 1 after it)",
                None => continue,
            };
            problems.push(ScenarioProblem {
                key: (*key).to_owned(),
                found: address.to_string(),
                allowed: format!("an address of its own; this one is that of {conflict}"),
            });
        }
    }
}

/// Reads all sections; where a key is wrong the value is the default, and a problem is noted.
fn read_sections(table: &toml::Table, problems: &mut Vec<ScenarioProblem>) -> Scenario {
    let mut root = Keys::root(table, problems);
    let line = root
        .section("line", read_line)
        .unwrap_or_else(|| Keys::absent("line", root.problems(), read_line));
    let addresses = root
        .section("addresses", read_addresses)
        .unwrap_or_else(|| Keys::absent("addresses", root.problems(), read_addresses));
    let traffic = root
        .section("traffic", read_traffic)
        .unwrap_or_else(|| Keys::absent("traffic", root.problems(), read_traffic));
    let intruder = root.section("intruder", read_intruder);
    root.refuse_unknown();
    Scenario { line, addresses, traffic, intruder }
}

fn read_line(keys: &mut Keys<'_>) -> Line {
    Line {
        tools: keys.integer("tools", None, 1, TOOLS_MAX),
        duration_s: keys.integer("duration_s", None, DURATION_S_MIN, DURATION_S_MAX),
        start_ns: keys.moment_ns("start"),
        vlan: keys.optional_integer("vlan", 1, 4094).map(|vlan| vlan as u16),
        round_trip_us: keys.integer("round_trip_us", Some(400), 20, 20_000),
    }
}

fn read_addresses(keys: &mut Keys<'_>) -> Addresses {
    Addresses {
        first_tool: keys.address("first_tool", Ipv4Addr::new(10, 10, 1, 11)),
        mes: keys.address("mes", Ipv4Addr::new(10, 10, 2, 10)),
        eda: keys.address("eda", Ipv4Addr::new(10, 10, 2, 20)),
        recipe: keys.address("recipe", Ipv4Addr::new(10, 10, 2, 30)),
        infrastructure: keys.address("infrastructure", Ipv4Addr::new(10, 10, 2, 40)),
        gateway: keys.address("gateway", Ipv4Addr::new(10, 10, 0, 1)),
    }
}

fn read_traffic(keys: &mut Keys<'_>) -> Traffic {
    let mut every = |key, default| keys.integer(key, Some(default), 1, 86_400);
    let (linktest_s, report_s) = (every("linktest_s", 10), every("report_s", 15));
    let (eda_session_s, eda_data_s) = (every("eda_session_s", 120), every("eda_data_s", 30));
    let (recipe_s, syslog_s) = (every("recipe_s", 90), every("syslog_s", 20));
    let (ntp_s, dns_s) = (every("ntp_s", 64), every("dns_s", 60));
    let (ping_s, arp_s) = (every("ping_s", 30), every("arp_s", 120));
    Traffic {
        linktest_s,
        report_s,
        report_bytes: keys.integer("report_bytes", Some(600), 64, 100_000),
        eda_session_s,
        eda_data_s,
        eda_bytes: keys.integer("eda_bytes", Some(4_000), 64, 100_000),
        recipe_s,
        recipe_bytes: keys.integer("recipe_bytes", Some(60_000), 64, 1_000_000),
        syslog_s,
        ntp_s,
        dns_s,
        ping_s,
        arp_s,
    }
}

fn read_intruder(keys: &mut Keys<'_>) -> Intruder {
    Intruder {
        start_permille: keys.permille("start_fraction", 500, 500, 950),
        address: keys.address("address", Ipv4Addr::new(10, 10, 9, 66)),
        scan_pause_ms: keys.integer("scan_pause_ms", Some(200), 1, 3_600_000),
        answers: keys.boolean("answers", false),
    }
}
