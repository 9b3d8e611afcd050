//! What a site's traffic is in truth, by tuple: the oracle of everything that is measured.

use std::collections::{BTreeMap, BTreeSet};

use loadlock_exchange::{Event, EventFlags, EventKind};
use loadlock_generate::{Flow, FlowOutcome, Site, Transport};
use loadlock_learn::{Device, Tuple, flow_key};
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

/// The truth about one tuple.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    /// Benign conversations on each day of the scenario.
    pub benign: Vec<u32>,
    /// Conversations of attacks.
    pub attacks: u32,
}

impl Truth {
    /// Used by attacks alone.
    pub fn is_attack(&self) -> bool {
        self.attacks > 0 && self.benign.iter().all(|count| *count == 0)
    }

    /// Benign conversations on these days.
    pub fn benign_in(&self, days: std::ops::Range<u32>) -> u64 {
        let days = self.benign.get(days.start as usize..days.end as usize);
        days.into_iter().flatten().map(|count| u64::from(*count)).sum()
    }
}

/// All tuples of a scenario, and who attacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    pub tuples: BTreeMap<Tuple, Truth>,
    pub attackers: BTreeSet<Device>,
}

impl Oracle {
    pub fn of(site: &Site, seed: u64) -> Self {
        let mut oracle = Self::default();
        for flow in site.flows(seed) {
            let Some(tuple) = tuple(&flow) else { continue };
            let truth = oracle.tuples.entry(tuple).or_default();
            if flow.is_attack {
                truth.attacks += 1;
                oracle.attackers.insert(tuple.client_device());
            } else {
                let day = day_of(site, flow.time_ns) as usize;
                if truth.benign.is_empty() {
                    truth.benign.resize(site.days() as usize + 1, 0);
                }
                truth.benign[day.min(site.days() as usize)] += 1;
            }
        }
        oracle
    }

    /// True if the tuple is used by nobody but attacks.
    pub fn is_attack(&self, tuple: &Tuple) -> bool {
        self.tuples.get(tuple).is_some_and(Truth::is_attack)
    }

    /// True if somebody's work needs the tuple, at some time.
    pub fn is_needed(&self, tuple: &Tuple) -> bool {
        self.tuples.get(tuple).is_some_and(|truth| truth.benign.iter().any(|count| *count > 0))
    }
}

/// The day of the scenario.
pub(crate) fn day_of(site: &Site, time_ns: u64) -> u32 {
    ((time_ns - site.start_ns()) / loadlock_learn::NS_PER_DAY) as u32
}

fn side(side: loadlock_generate::Side) -> Side {
    match side {
        loadlock_generate::Side::A => Side::A,
        loadlock_generate::Side::B => Side::B,
    }
}

/// The key of a flow; `None` if no frame has it, which no checked site makes.
pub(crate) fn key(flow: &Flow) -> Option<FlowKey> {
    const ECHO: u16 = 8 << 8;
    let kind = match flow.transport {
        Transport::Tcp => Kind::Tcp,
        Transport::Udp => Kind::Udp,
        Transport::Icmp => Kind::Icmp,
    };
    let tail = KeyTail::new(SegmentId::new(flow.segment.into())?, VlanStack::UNTAGGED, kind)
        .of_client(side(flow.client_side));
    let (client, server) = (Network::Ip(flow.client.into()), Network::Ip(flow.server.into()));
    let port = if kind == Kind::Icmp { ECHO } else { flow.port };
    match side(flow.client_side) {
        Side::A => flow_key(tail, [client, server], [flow.client_port, port]),
        Side::B => flow_key(tail, [server, client], [port, flow.client_port]),
    }
}

/// What a rule for a flow is about.
pub(crate) fn tuple(flow: &Flow) -> Option<Tuple> {
    Some(Tuple::new(&key(flow)?, side(flow.client_side)))
}

/// What a worker reports of a flow in learn mode: its beginning and its end.
pub(crate) fn events(flow: &Flow, key: FlowKey) -> [Event; 2] {
    let client = side(flow.client_side);
    fn by_side<T>(client: Side, of_client: T, of_server: T) -> [T; 2] {
        match client {
            Side::A => [of_client, of_server],
            Side::B => [of_server, of_client],
        }
    }
    let ordered = |of_client: u64, of_server: u64| by_side(client, of_client, of_server);
    let flags = EventFlags { forwarded: true, learning: true, ..EventFlags::default() };
    let [asked, answered] = flow.packets.map(u64::from);
    let handshake = flow.transport == Transport::Tcp && flow.outcome == FlowOutcome::Answered;
    let begun = Event {
        kind: EventKind::Started,
        time_ns: flow.time_ns,
        key,
        initiator: client,
        flags,
        rule: None,
        packets: ordered(1, 0),
        bytes: ordered(74, 0),
        macs: by_side(client, MacAddress(flow.client_mac), MacAddress(flow.server_mac)),
        claimed: None,
    };
    let ended = Event {
        kind: EventKind::Ended,
        time_ns: flow.end_ns,
        flags: EventFlags { handshake, ..flags },
        packets: ordered(asked, answered),
        bytes: ordered(flow.bytes[0], flow.bytes[1]),
        ..begun
    };
    [begun, ended]
}
