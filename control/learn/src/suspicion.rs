//! Sources that scan: convicted from the first contacts they made, with all they brought in.
//!
//! * Threshold random walk over first contacts (Jung, Paxson, Berger, Balakrishnan, "Fast portscan detection using sequential
//!   hypothesis testing", IEEE S&P 2004), with Zeek's parameters. The walk doesn't go below zero, as in the reverse walk of
//!   Schechter, Jung and Berger ("Fast detection of scanning worm infections", RAID 2004): a device with a long good
//!   record that begins to scan is convicted as fast as a stranger.
//! * Unused addresses: who keeps on trying addresses from which nobody ever heard is convicted however many others answer him.
//! * Fan-out: one service asked of many servers, of which most don't answer.
//! * Lateral: file shares of many machines within a day, answered or not.
//! * Pools: sources of one network without a record of several days are walked together, so that a scan isn't hidden by their number.
//!
//! A contact that was answered later is no failure. Of what was met running the first contact wasn't seen: it doesn't count.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use loadlock_packet::{Kind, Network};

use crate::admission::AdmissionSettings;
use crate::classes::{Management, management};
use crate::days::NS_PER_DAY;
use crate::key::Device;
use crate::ledger::{Fact, Ledger};

/// Why a source was convicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// First contacts failed in a row, or nearly so.
    FailedContacts {
        /// How many failed from the beginning of the walk to the conviction.
        failed: usize,
    },
    /// Unused addresses were tried.
    UnusedAddresses {
        /// How many different ones.
        tried: usize,
    },
    /// One service was asked of many that don't answer.
    FanOut {
        /// How many didn't.
        silent: usize,
    },
    /// File shares of many machines were tried within a day: a worm, also where most let it in.
    Lateral {
        /// How many machines.
        servers: usize,
    },
    /// Sources of one network failed together.
    Pool {
        /// How many sources.
        sources: usize,
        /// How many contacts of all of them failed.
        failed: usize,
    },
}

/// A convicted source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conviction {
    /// Who.
    pub source: Device,
    /// Why.
    pub charge: Charge,
    /// From when on what it brought in is withdrawn, ns since 1970.
    pub from_ns: u64,
    /// When the evidence sufficed.
    pub at_ns: u64,
    /// Some of its failed contacts, as indices of facts; at most [`Conviction::SHOWN_MAX`].
    pub(crate) failed: Vec<u32>,
}

impl Conviction {
    /// Failed contacts that are kept as examples.
    pub const SHOWN_MAX: usize = 12;
}

/// What is known against sources, by index of the device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suspicion {
    pub convictions: BTreeMap<usize, Conviction>,
    /// A walk that is open at the end: since when.
    pub open: HashMap<usize, u64>,
}

/// Success probability of a first contact from an honest source, and from a scanner; false and true positive rates. Zeek's.
const THETA_HONEST: f64 = 0.8;
const THETA_SCANNER: f64 = 0.2;
const ALPHA: f64 = 0.01;
const BETA: f64 = 0.99;
/// What a scan brought in just before its first failure belongs to it.
const BEFORE_NS: u64 = 3_600_000_000_000;
/// An open walk of this many failures holds what is first seen in it.
const OPEN_FAILURES_MIN: usize = 2;
/// Silent servers of one service for a conviction by fan-out.
const FAN_OUT_SILENT_MIN: usize = 16;

/// One first contact: when, which fact, whether it failed.
type Contact = (u64, u32, bool);

impl Suspicion {
    pub fn weigh(
        ledger: &Ledger,
        settings: &AdmissionSettings,
        cleared: &BTreeSet<Device>,
    ) -> Self {
        let mut suspicion = Self::default();
        let mut strangers: BTreeMap<(Device, IpAddr), Vec<usize>> = BTreeMap::new();
        for (device, facts) in ledger.as_client.iter().enumerate() {
            let source = ledger.devices[device];
            if cleared.contains(&source) {
                continue;
            }
            let contacts = contacts(ledger, facts.iter().copied());
            if contacts.is_empty() || suspicion.walk(source, device, &contacts) {
                continue;
            }
            suspicion.count(ledger, settings, device, &contacts);
            suspicion.spread(ledger, device, &contacts);
            let days = |at: &u32| ledger.facts[*at as usize].evidence.days.count();
            if facts.iter().all(|at| days(at) < settings.days_min)
                && let Some(pool) = pool_of(source)
            {
                strangers.entry(pool).or_default().push(device);
            }
        }
        for sources in strangers.into_values().filter(|sources| sources.len() > 1) {
            suspicion.walk_pool(ledger, &sources);
        }
        suspicion.widen(ledger);
        suspicion
    }

    /// Who has no clean day before his scan has no clean record at all: all that he brought in goes.
    fn widen(&mut self, ledger: &Ledger) {
        for (device, conviction) in &mut self.convictions {
            let seen = ledger.as_client[*device].iter();
            let seen = seen.map(|at| ledger.facts[*at as usize].evidence.first_seen_ns);
            if seen.min().is_some_and(|first| conviction.from_ns < first + NS_PER_DAY) {
                conviction.from_ns = 0;
            }
        }
    }

    /// The walk of one source. True if it is convicted.
    fn walk(&mut self, source: Device, device: usize, contacts: &[Contact]) -> bool {
        match walk(contacts) {
            Walk::Convicted { from, at } => {
                let failed = failures(&contacts[from..=at]);
                let charge = Charge::FailedContacts { failed: failed.len() };
                self.convict(source, device, charge, contacts[from].0, contacts[at].0, failed);
                true
            }
            Walk::Open { from } => {
                if failures(&contacts[from..]).len() >= OPEN_FAILURES_MIN {
                    self.open.insert(device, contacts[from].0);
                }
                false
            }
            Walk::Quiet => false,
        }
    }

    /// Unused addresses, and fan-out of one service.
    fn count(
        &mut self,
        ledger: &Ledger,
        settings: &AdmissionSettings,
        device: usize,
        contacts: &[Contact],
    ) {
        let source = ledger.devices[device];
        let mut unused = HashSet::new();
        let mut silent: HashMap<(Kind, u16), (HashSet<Network>, HashSet<Network>)> = HashMap::new();
        let first_failed = contacts.iter().find(|(.., failed)| *failed).map_or(0, |first| first.0);
        for (at, (time_ns, fact, failed)) in contacts.iter().enumerate() {
            let tuple = &ledger.facts[*fact as usize].tuple;
            let (silent, answered) = silent.entry((tuple.kind, tuple.service)).or_default();
            if !failed {
                answered.insert(tuple.server);
                continue;
            }
            silent.insert(tuple.server);
            if ledger.is_unused(tuple.server) {
                unused.insert(tuple.server);
            }
            let charge = if unused.len() >= settings.unused_addresses_max {
                Charge::UnusedAddresses { tried: unused.len() }
            } else if silent.len() >= FAN_OUT_SILENT_MIN && silent.len() > answered.len() {
                Charge::FanOut { silent: silent.len() }
            } else {
                continue;
            };
            let failed = failures(&contacts[..=at]);
            self.convict(source, device, charge, first_failed, *time_ns, failed);
            return;
        }
    }

    /// File shares of many machines, tried for the first time within a day.
    fn spread(&mut self, ledger: &Ledger, device: usize, contacts: &[Contact]) {
        const SERVERS_MIN: usize = 5;
        let shares: Vec<&Contact> = contacts
            .iter()
            .filter(|(_, fact, _)| {
                let tuple = &ledger.facts[*fact as usize].tuple;
                management(tuple.kind, tuple.service) == Some(Management::FileSharing)
            })
            .collect();
        let within_day = |tries: &&[&Contact]| {
            let servers: HashSet<Network> = tries
                .iter()
                .map(|(_, fact, _)| ledger.facts[*fact as usize].tuple.server)
                .collect();
            tries[SERVERS_MIN - 1].0 - tries[0].0 <= NS_PER_DAY && servers.len() == SERVERS_MIN
        };
        let Some(tries) = shares.windows(SERVERS_MIN).find(within_day) else { return };
        let charge = Charge::Lateral { servers: shares.len() };
        let (from_ns, at_ns) = (tries[0].0, tries[SERVERS_MIN - 1].0);
        let examples = tries.iter().map(|(_, fact, _)| *fact).collect();
        self.convict(ledger.devices[device], device, charge, from_ns, at_ns, examples);
    }

    fn walk_pool(&mut self, ledger: &Ledger, sources: &[usize]) {
        let facts = sources.iter().flat_map(|device| ledger.as_client[*device].iter().copied());
        let contacts = contacts(ledger, facts);
        let Walk::Convicted { from, at } = walk(&contacts) else { return };
        let failed = failures(&contacts[from..]).len();
        for device in sources {
            let own: Vec<Contact> = contacts
                .iter()
                .filter(|(_, fact, _)| ledger.facts[*fact as usize].client == *device)
                .copied()
                .collect();
            let (charge, failed) =
                (Charge::Pool { sources: sources.len(), failed }, failures(&own));
            let (from_ns, at_ns) = (own.first().map_or(0, |first| first.0), contacts[at].0);
            self.convict(ledger.devices[*device], *device, charge, from_ns, at_ns, failed);
        }
    }

    fn convict(
        &mut self,
        source: Device,
        device: usize,
        charge: Charge,
        from_ns: u64,
        at_ns: u64,
        mut failed: Vec<u32>,
    ) {
        failed.truncate(Conviction::SHOWN_MAX);
        let from_ns = from_ns.saturating_sub(BEFORE_NS);
        self.open.remove(&device);
        let conviction = Conviction { source, charge, from_ns, at_ns, failed };
        self.convictions.entry(device).or_insert(conviction);
    }

    /// True if the fact came in while its source was scanning, as it turned out.
    pub fn taints(&self, fact: &Fact) -> bool {
        self.convictions
            .get(&fact.client)
            .is_some_and(|conviction| fact.evidence.first_seen_ns >= conviction.from_ns)
    }

    /// True if the fact was first seen while its source's walk was open, and it still is.
    pub fn clouds(&self, fact: &Fact) -> bool {
        self.open.get(&fact.client).is_some_and(|since| fact.evidence.first_seen_ns >= *since)
    }
}

fn failures(contacts: &[Contact]) -> Vec<u32> {
    contacts.iter().filter(|(.., failed)| *failed).map(|(_, fact, _)| *fact).collect()
}

/// The first contacts of sources, in the order of time.
fn contacts(ledger: &Ledger, facts: impl Iterator<Item = u32>) -> Vec<Contact> {
    let mut contacts: Vec<Contact> = facts
        .filter_map(|at| {
            let fact = &ledger.facts[at as usize];
            let evidence = &fact.evidence;
            if fact.is_one_way() || !evidence.opened[fact.tuple.client_side as usize] {
                return None;
            }
            if evidence.answered {
                return Some((evidence.answered_ns, at, false));
            }
            // Datagrams that nobody answers are in order, as long as there is somebody: syslog, traps.
            let silent = fact.tuple.kind == Kind::Tcp || ledger.is_unused(fact.tuple.server);
            let failed = evidence.failed_ns != u64::MAX;
            (failed && silent).then_some((evidence.failed_ns, at, true))
        })
        .collect();
    contacts.sort_unstable();
    contacts
}

enum Walk {
    Quiet,
    /// Left zero with this contact, and hasn't come back.
    Open {
        from: usize,
    },
    /// From the contact with which it left zero to the one that convicts.
    Convicted {
        from: usize,
        at: usize,
    },
}

fn walk(contacts: &[Contact]) -> Walk {
    let threshold = (BETA / ALPHA).ln();
    let success = (THETA_SCANNER / THETA_HONEST).ln();
    let failure = ((1.0 - THETA_SCANNER) / (1.0 - THETA_HONEST)).ln();
    let (mut sum, mut from) = (0.0f64, 0);
    for (at, (.., failed)) in contacts.iter().enumerate() {
        if *failed {
            if sum <= 0.0 {
                from = at;
            }
            sum += failure;
            if sum >= threshold {
                return Walk::Convicted { from, at };
            }
        } else {
            sum = (sum + success).max(0.0);
        }
    }
    if sum > 0.0 { Walk::Open { from } } else { Walk::Quiet }
}

/// The /24 or /64 of a source, within its segment.
fn pool_of(source: Device) -> Option<(Device, IpAddr)> {
    let Network::Ip(address) = source.network else { return None };
    let pool = match address {
        IpAddr::V4(address) => IpAddr::from((u32::from(address) & 0xffff_ff00).to_be_bytes()),
        IpAddr::V6(address) => IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes()),
    };
    Some((Device { network: Network::Ip(pool), ..source }, pool))
}
