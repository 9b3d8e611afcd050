//! A site over weeks, as conversations: which device talked to which, when, and whether it was an attack.
//!
//! ```text
//!   SITE.toml ─► Site (devices, talks, changes, attacks) ─► Lane per (talk, client, server) ─┐
//!                                                        └► attack lanes ────────────────────┴─► Flows: heap by time ─► Flow
//! ```
//!
//! A flow is a conversation as the appliance of one segment sees it. Packets are made of flows only where somebody wants them
//! ([`packets`](super)). Everything about a site is in its file; the code knows no tool.

mod attack;
mod benign;
mod check;
mod file;
mod flows;
mod schedule;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

pub use flows::{Flow, FlowOutcome, Flows, Transport};
pub use write::{SiteOptions, SiteSummary, write_site};

use crate::random::SplitMix64;
use schedule::{DAY_NS, SECOND_NS, Schedule};

/// A checked site.
#[derive(Clone, Debug)]
pub struct Site {
    pub(crate) start_ns: u64,
    pub(crate) days: u32,
    pub(crate) learn_days: u32,
    pub(crate) bays: u8,
    pub(crate) gateway_mac: [u8; 6],
    pub(crate) devices: Vec<SiteDevice>,
    pub(crate) talks: Vec<Talk>,
    pub(crate) changes: Vec<Change>,
    pub(crate) attacks: Vec<Attack>,
    pub(crate) classes: Vec<String>,
}

/// A tool on side A of its bay's segment, or a host behind the gateway, on side B of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteDevice {
    /// Model or host.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its station; the gateway's for hosts.
    pub mac: [u8; 6],
    /// Its bay, which is the number of its segment; `None` for hosts.
    pub bay: Option<u8>,
    /// Ports from which it connects.
    pub(crate) client_ports: (u16, u16),
    /// Ports that are open without anybody needing them.
    pub(crate) open: Vec<u16>,
}

/// A habit.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub class: u16,
    pub from: Vec<usize>,
    pub to: Vec<usize>,
    pub transport: Transport,
    pub port: u16,
    pub schedule: Schedule,
    pub share: f64,
    pub one_way: bool,
    pub duration_ns: u64,
    pub bytes: (u64, u64),
    pub data_ports: Option<(u16, u16)>,
    pub data_active: bool,
    pub after: Option<usize>,
    pub until: Option<usize>,
}

/// What becomes different.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub name: String,
    pub kind: ChangeKind,
    pub from_ns: u64,
    pub hours_ns: u64,
    pub announced: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum ChangeKind {
    /// The devices of a model change one after the other.
    RollOut { devices: HashSet<usize> },
    /// A host gets another address.
    Move { host: usize, to: Ipv4Addr },
    /// Some devices of a model get another station.
    Swap { devices: HashSet<usize> },
}

/// An attack, as written; [`attack`] makes flows of it.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub class: u16,
    pub kind: AttackKind,
    pub from_ns: u64,
    pub until_ns: u64,
    pub every_ns: u64,
    pub source: Ipv4Addr,
    pub sources: u32,
    pub devices: Vec<usize>,
    pub ports: Vec<u16>,
    pub target: Ipv4Addr,
    pub unused: f64,
}

/// Kinds of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttackKind {
    /// Hosts behind the gateway try ports of tools.
    Scan,
    /// As a scan, but of services that exist only.
    OpenScan,
    /// A tool is infected, and infects others by SMB.
    Worm,
    /// A tool that was infected before: a beacon, and a try to spread now and then.
    Infected,
    /// Somebody in a bay uses another tool's address, with a station of his own.
    SpoofIp,
    /// Somebody on side B uses a tool's address and station.
    SpoofMac,
    /// A tool sends what it shouldn't to a server that it may talk to.
    Exfiltration,
}

/// An announced time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// First moment, ns since 1970.
    pub from_ns: u64,
    /// First moment after it.
    pub until_ns: u64,
}

/// An announced window stays open so long after the last change in it, for what the change brings to show itself.
const AFTERMATH_NS: u64 = 24 * 3_600 * SECOND_NS;

impl Site {
    /// First moment, ns since 1970.
    #[must_use]
    pub fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Days of the whole.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.days
    }

    /// The same site for fewer or more days.
    #[must_use]
    pub fn for_days(self, days: u32) -> Self {
        Self { days, ..self }
    }

    /// Days at the beginning that are for learning.
    #[must_use]
    pub fn learn_days(&self) -> u32 {
        self.learn_days
    }

    /// First moment after the whole.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.start_ns + u64::from(self.days) * DAY_NS
    }

    /// How many segments there are: one for each bay.
    #[must_use]
    pub fn bays(&self) -> u8 {
        self.bays
    }

    /// Tools, then hosts.
    #[must_use]
    pub fn devices(&self) -> &[SiteDevice] {
        &self.devices
    }

    /// How many devices are protected: the tools.
    #[must_use]
    pub fn tools(&self) -> usize {
        self.devices.iter().filter(|device| device.bay.is_some()).count()
    }

    /// The name of a class of flows.
    #[must_use]
    pub fn class(&self, class: u16) -> &str {
        self.classes.get(usize::from(class)).map_or("", String::as_str)
    }

    /// The announced windows, in the order of the file.
    #[must_use]
    pub fn windows(&self) -> Vec<Announced> {
        let announced = self.changes.iter().filter(|change| change.announced);
        announced
            .map(|change| Announced {
                from_ns: change.from_ns,
                until_ns: change.from_ns + change.hours_ns + AFTERMATH_NS,
            })
            .collect()
    }

    /// When a change reaches a device.
    pub(crate) fn reached_ns(&self, change: usize, device: usize, seed: u64) -> u64 {
        let change_of = &self.changes[change];
        let path = [0xc4a6, change as u64, device as u64];
        let delay = SplitMix64::for_part(seed, &path).below(change_of.hours_ns.max(1));
        match &change_of.kind {
            ChangeKind::RollOut { devices } if !devices.contains(&device) => u64::MAX,
            ChangeKind::RollOut { .. } => change_of.from_ns + delay,
            ChangeKind::Move { .. } | ChangeKind::Swap { .. } => change_of.from_ns,
        }
    }

    /// The address of a device at a time.
    pub(crate) fn address_at(&self, device: usize, time_ns: u64) -> Ipv4Addr {
        let moved = self.changes.iter().filter(|change| change.from_ns <= time_ns);
        let moved = moved.filter_map(|change| match &change.kind {
            ChangeKind::Move { host, to } if *host == device => Some(*to),
            _ => None,
        });
        moved.fold(None, |_, to| Some(to)).unwrap_or(self.devices[device].address)
    }

    /// The station of a device at a time.
    pub(crate) fn mac_at(&self, device: usize, time_ns: u64) -> [u8; 6] {
        let swapped = self.changes.iter().any(|change| {
            let now = change.from_ns <= time_ns;
            now && matches!(&change.kind, ChangeKind::Swap { devices } if devices.contains(&device))
        });
        let [a, b, c, d, e, f] = self.devices[device].mac;
        if swapped { [a, b, c, d ^ 0x40, e, f] } else { [a, b, c, d, e, f] }
    }

    /// Ports that answer, by device: those that somebody needs, and those that are just open.
    pub(crate) fn listening(&self) -> HashMap<usize, HashSet<u16>> {
        let mut listening: HashMap<usize, HashSet<u16>> = HashMap::new();
        for talk in self.talks.iter().filter(|talk| talk.transport == Transport::Tcp) {
            for device in &talk.to {
                listening.entry(*device).or_default().insert(talk.port);
            }
        }
        for (at, device) in self.devices.iter().enumerate() {
            listening.entry(at).or_default().extend(&device.open);
        }
        listening
    }

    /// The flows, lazily, in the order of time; the same for the same seed.
    #[must_use]
    pub fn flows(&self, seed: u64) -> Flows<'_> {
        let mut lanes = benign::lanes(self, seed);
        lanes.extend(attack::lanes(self, seed));
        Flows::new(lanes)
    }

    /// How many flows there are of each class; for summaries.
    #[must_use]
    pub fn count(&self, seed: u64) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for flow in self.flows(seed) {
            *counts.entry(self.class(flow.class).to_owned()).or_default() += 1;
        }
        counts
    }
}
