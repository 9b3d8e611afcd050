//! What is measured, each case by name.

mod compared;
mod learn;
mod memory;
mod swap;
mod workers;

use std::io;
use std::path::PathBuf;

use clap::ValueEnum;
use loadlock_exchange::RuleEntry;
use serde::Serialize;

use crate::load::{Frames, Load, rules};
use crate::peers::Peer;
use crate::report::Comparison;

/// The cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Established conversations, each number of `--flows`, against every peer.
    Flows,
    /// Frames of 60, 590 and 1514 bytes, 7 : 4 : 1; 4,096 flows.
    Imix,
    /// IPv6 against our own IPv4; 4,096 flows.
    Ipv6,
    /// 1, 1,000, 100,000 and 1,000,000 rules; 4,096 flows.
    Rules,
    /// Every packet looked up in vain in a full table and then in the allowlist; 1,048,576 flows a side.
    AllNew,
    /// No rule matches, every packet is dropped; each number of `--flows`.
    Denied,
    /// Learn mode, every packet begins a conversation, with and without a control that takes the events.
    Learn,
    /// Policies of 100,000 and 1,000,000 rules put in force under full load; 4,096 flows.
    Swap,
    /// Two workers against one; 4,096 flows.
    Workers,
    /// Bytes a flow and a rule.
    Memory,
}

/// What all cases of a run share.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Our dataplane.
    pub dataplane: PathBuf,
    /// In memory: captures, exchange, logs.
    pub folder: PathBuf,
    /// Conversations of the cases that take several numbers.
    pub flows: Vec<u32>,
    /// Rules of the allowlist, where a case doesn't set them.
    pub rules: u32,
    /// Runs of each program.
    pub runs: usize,
    /// Seconds of each run.
    pub seconds: u32,
    /// Peers of [`Case::Flows`]; the other cases have macswap alone.
    pub peers: Vec<Peer>,
}

/// The figures of one case.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Programs side by side.
    Compared(Comparison),
    /// Of [`Case::Learn`].
    Learn(learn::Learn),
    /// Of [`Case::Swap`].
    Swap(swap::Swap),
    /// Of [`Case::Workers`].
    Workers(workers::Workers),
    /// Of [`Case::Memory`].
    Memory(memory::Memory),
}

impl Figures {
    /// The comparison, if it is one of [`Case::Flows`].
    #[must_use]
    pub fn of_flows(&self) -> Option<&Comparison> {
        match self {
            Self::Compared(comparison) if comparison.case == compared::FLOWS_CASE => {
                Some(comparison)
            }
            _ => None,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Compared(comparison) => comparison.text(),
            Self::Learn(learn) => learn.text(),
            Self::Swap(swap) => swap.text(),
            Self::Workers(workers) => workers.text(),
            Self::Memory(memory) => memory.text(),
        }
    }
}

impl Case {
    /// Most frames of a capture that it needs, for the reservation of hugepages.
    #[must_use]
    pub fn flows_max(self, bench: &Bench) -> u32 {
        match self {
            Self::Flows | Self::Denied => bench.flows.iter().copied().max().unwrap_or(0),
            Self::Imix | Self::Ipv6 | Self::Rules | Self::Swap => compared::FLOWS,
            Self::AllNew | Self::Learn => compared::FLOWS_NEW,
            // Two processes.
            Self::Workers => 2 * compared::FLOWS + 40_000,
            Self::Memory => 0,
        }
    }

    /// Measures, and hands each figure to `found` as soon as it is there.
    ///
    /// # Errors
    /// A program can't start or doesn't do what is measured.
    pub fn measure(self, bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
        match self {
            Self::Flows => compared::flows(bench, found),
            Self::Imix => compared::imix(bench, found),
            Self::Ipv6 => compared::ipv6(bench, found),
            Self::Rules => compared::rule_counts(bench, found),
            Self::AllNew => compared::all_new(bench, found),
            Self::Denied => compared::denied(bench, found),
            Self::Learn => learn::learn(bench, found),
            Self::Swap => swap::swap(bench, found),
            Self::Workers => workers::workers(bench, found),
            Self::Memory => memory::memory(bench, found),
        }
    }
}

impl Bench {
    /// Makes the captures.
    fn load(&self, frames: Frames, flows: u32) -> io::Result<Load> {
        Load::write(frames, flows, &self.folder)
    }

    fn rules(&self, load: &Load) -> io::Result<Vec<RuleEntry>> {
        rules(load.frames, load.flows, self.rules)
    }
}
