//! Instructions per packet by callgrind, against the figures that are checked in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::load::Frames;

/// More than this over the accepted figure fails; as much under it should be accepted, or it is lost again unseen.
const TOLERANCE: f64 = 0.03;

/// A class of frames, each 65,536 packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// Established TCP over IPv4.
    Ipv4Tcp,
    /// Established UDP over IPv4.
    Ipv4Udp,
    /// Established TCP over IPv6.
    Ipv6Tcp,
    /// A SYN of a new, permitted conversation: miss, allowlist, insertion, event.
    Ipv4New,
    /// No rule fits, as none did for the conversation before.
    Ipv4Denied,
}

impl Class {
    /// The argument of `packet-path` and the name in the file.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// What the frames are.
    #[must_use]
    pub fn frames(self) -> Frames {
        match self {
            Self::Ipv4Tcp | Self::Ipv4Denied => Frames::Short,
            Self::Ipv4Udp => Frames::Udp,
            Self::Ipv6Tcp => Frames::Ipv6,
            Self::Ipv4New => Frames::Opening,
        }
    }

    /// The frames that the rules permit.
    #[must_use]
    pub fn rules_for(self) -> Frames {
        if self == Self::Ipv4Denied { Frames::Udp } else { self.frames() }
    }

    /// Frames a side in a round.
    #[must_use]
    pub fn flows(self) -> u32 {
        if self == Self::Ipv4New { 32_768 } else { 2_048 }
    }

    /// Rounds that are measured.
    #[must_use]
    pub fn rounds(self) -> usize {
        65_536 / (2 * self.flows() as usize)
    }

    /// Whether a round goes before that isn't measured.
    #[must_use]
    pub fn established(self) -> bool {
        !matches!(self, Self::Ipv4New)
    }

    /// Whether the frames are forwarded.
    #[must_use]
    pub fn forwards(self) -> bool {
        self != Self::Ipv4Denied
    }
}

/// What one class costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Instructions per packet.
    pub instructions: f64,
    /// Allocations in all.
    pub allocations: u64,
}

/// Counts one class under callgrind.
///
/// # Errors
/// valgrind isn't installed, or the program fails under it.
pub fn count(class: Class, packet_path: &Path) -> io::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=packet_path::measured*",
        ])
        .arg(format!("--callgrind-out-file={}", folder.path().join("out").display()))
        .arg(packet_path)
        .arg(class.name());
    let output = command.output().map_err(|error| {
        io::Error::new(error.kind(), format!("valgrind: {error}; apt-get install valgrind"))
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let counted = String::from_utf8_lossy(&output.stderr);
    let cost = cost(&said, &counted).filter(|_| output.status.success());
    cost.ok_or_else(|| io::Error::other(format!("{command:?}: {}\n{said}{counted}", output.status)))
}

fn cost(said: &str, counted: &str) -> Option<Cost> {
    let mut words = said.split_whitespace();
    words.find(|word| *word == "packets")?;
    let packets: f64 = words.next()?.parse().ok()?;
    words.find(|word| *word == "allocations")?;
    let allocations = words.next()?.parse().ok()?;
    let collected = counted.lines().find_map(|line| line.split_once("Collected :"))?.1;
    let instructions: f64 = collected.trim().parse().ok()?;
    Some(Cost { instructions: instructions / packets, allocations })
}

/// Reads the accepted figures.
///
/// # Errors
/// A line that isn't a class and a figure.
pub fn parse(text: &str) -> io::Result<BTreeMap<String, f64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (name, figure) = line.split_once(' ')?;
            Some((name.to_owned(), figure.trim().parse().ok()?))
        })
        .map(|pair| {
            pair.ok_or_else(|| io::Error::other(format!("{text:?}: not lines of class and figure")))
        })
        .collect()
}

/// The file of accepted figures.
///
/// # Errors
/// None; writing to a text succeeds.
pub fn text(costs: &[(Class, Cost)]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# Instructions per packet on the packet path, counted by callgrind. `scripts/perf/gate` fails above +3 %;\n\
         # `scripts/perf/gate --accept` writes this file, and the commit says why.\n",
    );
    for (class, cost) in costs {
        writeln!(text, "{} {:.1}", class.name(), cost.instructions)?;
    }
    Ok(text)
}

/// What is to be said of one class, and whether it passes.
#[must_use]
pub fn judge(class: Class, cost: Cost, accepted: Option<f64>) -> (String, bool) {
    let Cost { instructions, allocations } = cost;
    let name = class.name();
    let mut line = format!("{name:<12} {instructions:8.1} instructions per packet");
    let mut passes = allocations == 0;
    match accepted {
        None => {
            line += ", none accepted yet: scripts/perf/gate --accept";
            passes = false;
        }
        Some(accepted) => {
            let change = instructions / accepted - 1.0;
            let _ = write!(line, ", accepted {accepted:.1} ({:+.1} %)", change * 100.0);
            if change > TOLERANCE {
                line += ": more than +3 %; find what added them, or accept them with scripts/perf/gate --accept";
                passes = false;
            } else if change < -TOLERANCE {
                line += ": keep the gain with scripts/perf/gate --accept";
            }
        }
    }
    if allocations != 0 {
        let _ = write!(line, "; {allocations} allocations on the packet path, allowed are none");
    }
    (line, passes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_from_both_outputs() {
        let cost = cost("packets 4 allocations 1\n", "==1== Collected : 10\n").unwrap();
        assert_eq!(cost, Cost { instructions: 2.5, allocations: 1 });
    }

    #[test]
    fn three_percent_more_pass_and_an_allocation_does_not() {
        let judged = |instructions, allocations| {
            judge(Class::Ipv4Tcp, Cost { instructions, allocations }, Some(100.0)).1
        };
        assert!(judged(102.9, 0) && judged(50.0, 0));
        assert!(!judged(103.1, 0) && !judged(90.0, 1));
    }

    #[test]
    fn the_file_round_trips() {
        let costs = [(Class::Ipv4Tcp, Cost { instructions: 123.44, allocations: 0 })];
        let read = parse(&text(&costs).unwrap()).unwrap();
        assert_eq!(read.get("ipv4-tcp"), Some(&123.4));
        assert!(parse("ipv4-tcp").is_err());
    }
}
