//! All evidence at one moment, with its devices: what roles, suspicion, admission and readiness are computed from.
//!
//! Everything behind it is a function of the ledger and of what people said. So there is no state besides the evidence that a
//! restart could lose, and the order of independent events can't matter.

use std::collections::{HashMap, HashSet};

use loadlock_packet::{Kind, MacAddress, Network, Side};

use crate::evidence::Evidence;
use crate::key::{Device, Tuple};

/// One tuple and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    pub tuple: Tuple,
    pub evidence: Evidence,
    /// Index of the client's device.
    pub client: usize,
    /// Index of the server's device.
    pub server: usize,
    /// The server is a multicast or broadcast address.
    pub is_group: bool,
}

/// All facts, in the order of their tuples, and their devices, in the order of theirs.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub facts: Vec<Fact>,
    pub devices: Vec<Device>,
    /// Facts of each device as client.
    pub as_client: Vec<Vec<u32>>,
    /// Addresses that were heard: they answered, or asked.
    heard: HashSet<Network>,
    /// The station that an address had first, and when; by device.
    stations: HashMap<Device, (u64, MacAddress)>,
    /// Stations with so many addresses that they are routers.
    routers: HashSet<(Device, MacAddress)>,
    /// Where an address was first heard to ask or answer: when, and on which side.
    homes: HashMap<(Device, Network), (u64, Side)>,
}

/// From this many addresses on, a station is a router, and the addresses behind it have no station of their own.
pub(crate) const ROUTER_ADDRESSES_MIN: usize = 4;

impl Ledger {
    /// Puts evidence in order. `tuples` are different.
    pub fn new(mut tuples: Vec<(Tuple, Evidence, bool)>) -> Self {
        tuples.sort_unstable_by_key(|(tuple, ..)| *tuple);
        let ends = |tuple: &Tuple| [tuple.client_device(), tuple.server_device()];
        let mut devices: Vec<Device> = tuples.iter().flat_map(|(tuple, ..)| ends(tuple)).collect();
        devices.sort_unstable();
        devices.dedup();
        let index: HashMap<Device, usize> =
            devices.iter().enumerate().map(|(at, device)| (*device, at)).collect();
        let mut as_client = vec![Vec::new(); devices.len()];
        let mut heard = HashSet::new();
        let facts: Vec<Fact> = (0..)
            .zip(tuples)
            .map(|(at, (tuple, evidence, is_group))| {
                let [client, server] = ends(&tuple).map(|device| index[&device]);
                as_client[client].push(at);
                if evidence.spoke[tuple.client_side as usize] {
                    heard.insert(tuple.client);
                }
                if evidence.answered || evidence.spoke[tuple.client_side.other() as usize] {
                    heard.insert(tuple.server);
                }
                Fact { tuple, evidence, client, server, is_group }
            })
            .collect();
        let mut ledger = Self { facts, devices, as_client, heard, ..Self::default() };
        ledger.find_stations();
        ledger
    }

    fn find_stations(&mut self) {
        let mut addresses: HashMap<(Device, MacAddress), HashSet<Network>> = HashMap::new();
        for fact in &self.facts {
            for (device, side) in ends(fact) {
                let mac = fact.evidence.macs_first[side as usize];
                if mac.is_group() || mac == MacAddress([0; 6]) {
                    continue;
                }
                if fact.evidence.has_spoken(side) {
                    let home = self.homes.entry(home(device));
                    let heard = (fact.evidence.first_seen_ns, side);
                    home.and_modify(|known| *known = (*known).min(heard)).or_insert(heard);
                }
                let first = (fact.evidence.first_seen_ns, mac);
                let own = self.stations.entry(device).or_insert(first);
                if (first.0, first.1.0) < (own.0, own.1.0) {
                    *own = first;
                }
                addresses.entry(place(device, mac)).or_default().insert(device.network);
            }
        }
        self.routers = addresses
            .into_iter()
            .filter(|(_, addresses)| addresses.len() >= ROUTER_ADDRESSES_MIN)
            .map(|(station, _)| station)
            .collect();
    }

    /// The station other than its own that spoke for the client of a fact when it was first seen, if the client is on its own
    /// segment.
    pub fn foreign_station(&self, fact: &Fact, sides_guessed: bool) -> Option<MacAddress> {
        let device = fact.tuple.client_device();
        let mac = fact.evidence.macs_first[device.side as usize];
        // An address doesn't move to the other side of the appliance, whatever station it shows.
        let home = self.homes.get(&home(device)).map_or(device.side, |(_, side)| *side);
        if home != device.side && !sides_guessed {
            return Some(mac);
        }
        let (_, own) = *self.stations.get(&device)?;
        let routed = self.routers.contains(&place(device, mac))
            || self.routers.contains(&place(device, own));
        (mac != own && !routed && !mac.is_group()).then_some(mac)
    }

    /// The station that an address had first; `None` for a group.
    pub fn station(&self, device: &Device) -> Option<MacAddress> {
        self.stations.get(device).map(|(_, mac)| *mac)
    }

    /// True if nobody ever heard from this address.
    pub fn is_unused(&self, network: Network) -> bool {
        !self.heard.contains(&network)
    }

    /// First and last moment of all evidence.
    pub fn span_ns(&self) -> Option<(u64, u64)> {
        let first = self.facts.iter().map(|fact| fact.evidence.first_seen_ns).min()?;
        let last = self.facts.iter().map(|fact| fact.evidence.last_seen_ns).max()?;
        Some((first, last))
    }
}

fn ends(fact: &Fact) -> [(Device, Side); 2] {
    let (client, server) = (fact.tuple.client_device(), fact.tuple.server_device());
    [(client, client.side), (server, server.side)]
}

/// An address in its segment and VLAN, on whichever side.
fn home(device: Device) -> (Device, Network) {
    let nowhere = Network::Link { mac: MacAddress([0; 6]), oui: [0; 3] };
    (Device { network: nowhere, side: Side::A, ..device }, device.network)
}

/// Where a station is: a device without its address.
fn place(device: Device, mac: MacAddress) -> (Device, MacAddress) {
    (Device { network: Network::Link { mac: MacAddress([0; 6]), oui: [0; 3] }, ..device }, mac)
}

impl Fact {
    /// True for what is never answered by its nature: groups, and protocols without questions.
    pub fn is_one_way(&self) -> bool {
        self.is_group || !matches!(self.tuple.kind, Kind::Tcp | Kind::Udp | Kind::Icmp)
    }

    /// True if it is answered, or needs no answer.
    pub fn is_sound(&self) -> bool {
        self.evidence.answered || self.is_one_way()
    }

    /// What is asked, whoever asks and wherever: server, kind, service, and the side that asks.
    pub fn service_of(&self) -> (Network, Kind, u16, Side) {
        (self.tuple.server, self.tuple.kind, self.tuple.service, self.tuple.client_side)
    }

    /// Who asks for what, whoever is asked and wherever.
    pub fn question_of(&self) -> (Network, Kind, u16, Side) {
        (self.tuple.client, self.tuple.kind, self.tuple.service, self.tuple.client_side)
    }
}
