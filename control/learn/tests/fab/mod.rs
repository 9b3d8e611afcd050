//! A line of tools by hand: conversations at times, and what was decided about them.
#![allow(dead_code, reason = "each test uses some of it")]

use loadlock_exchange::{Event, EventFlags, EventKind};
use loadlock_learn::{
    AdmissionSettings, Answers, Decisions, LearnLimits, Learner, NS_PER_DAY, Outcome, Tuple,
    flow_key,
};
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

/// A Monday.
pub const START_NS: u64 = 20_535 * NS_PER_DAY;
pub const HOUR_NS: u64 = NS_PER_DAY / 24;

/// A conversation: client, server and port by the last bytes of their addresses. Tools are 10.0.1.x on side A, others 10.0.2.x on B.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub client: (u8, u8),
    pub server: (u8, u8),
    pub kind: Kind,
    pub port: u16,
    pub time_ns: u64,
    pub answered: bool,
    /// Last byte of the client's station, if it isn't its own.
    pub forged_by: Option<u8>,
    /// The client speaks from the other side than its own.
    pub wrong_side: bool,
}

pub fn tcp(client: (u8, u8), server: (u8, u8), port: u16, time_ns: u64) -> Talk {
    Talk {
        client,
        server,
        kind: Kind::Tcp,
        port,
        time_ns,
        answered: true,
        forged_by: None,
        wrong_side: false,
    }
}

fn network((net, host): (u8, u8)) -> Network {
    Network::Ip([10, 0, net, host].into())
}

impl Talk {
    pub fn failed(self) -> Self {
        Self { answered: false, ..self }
    }

    fn side(&self) -> Side {
        match (self.client.0 == 1) != self.wrong_side {
            true => Side::A,
            false => Side::B,
        }
    }

    fn key(&self) -> FlowKey {
        let segment = SegmentId::new(0).expect("the first");
        let tail = KeyTail::new(segment, VlanStack::UNTAGGED, self.kind);
        let (client, server) = (network(self.client), network(self.server));
        let client_port = 20_000 + (self.time_ns / 1_000_000_000 % 20_000) as u16;
        let key = match self.side() {
            Side::A => flow_key(tail, [client, server], [client_port, self.port]),
            Side::B => flow_key(tail, [server, client], [self.port, client_port]),
        };
        key.expect("a key")
    }

    pub fn tuple(&self) -> Tuple {
        Tuple::new(&self.key(), self.side())
    }

    /// Its beginning and its end.
    pub fn events(&self) -> [Event; 2] {
        let side = self.side();
        let pair = |client: u64, server: u64| {
            if side == Side::A { [client, server] } else { [server, client] }
        };
        // Everybody on net 2 is behind the router.
        let own = |(net, host): (u8, u8)| if net == 1 { host } else { 254 };
        let mac = |byte: u8| MacAddress([2, 0, 0, 0, 0, byte]);
        let client = mac(self.forged_by.unwrap_or(own(self.client)));
        let server = mac(own(self.server));
        let macs = if side == Side::A { [client, server] } else { [server, client] };
        let flags = EventFlags { forwarded: true, learning: true, ..EventFlags::default() };
        let begun = Event {
            kind: EventKind::Started,
            time_ns: self.time_ns,
            key: self.key(),
            initiator: side,
            flags,
            rule: None,
            packets: pair(1, 0),
            bytes: pair(74, 0),
            macs,
            claimed: None,
        };
        let packets = if self.answered { pair(30, 20) } else { pair(3, 0) };
        let handshake = self.answered && self.kind == Kind::Tcp;
        let ended = Event {
            kind: EventKind::Ended,
            time_ns: self.time_ns + 1_000_000_000,
            flags: EventFlags { handshake, ..flags },
            packets,
            bytes: packets.map(|packets| packets * 100),
            ..begun
        };
        [begun, ended]
    }
}

pub fn learner_of(talks: &[Talk]) -> Learner {
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    talks.iter().flat_map(Talk::events).for_each(|event| learner.observe(&event));
    learner
}

pub fn decide(talks: &[Talk]) -> Decisions {
    learner_of(talks).decide(&AdmissionSettings::default(), &Answers::default())
}

pub fn outcome(decisions: &Decisions, tuple: &Tuple) -> Option<Outcome> {
    let found = decisions.candidates.iter().find(|candidate| candidate.tuple == *tuple);
    found.map(|candidate| candidate.outcome)
}

/// The MES, EDA, recipe server and a host for time and logs, asked or asking every few hours by tools 1 to `tools`, for `days`.
pub fn work(tools: u8, days: u64) -> Vec<Talk> {
    let mut talks = Vec::new();
    for tool in 1..=tools {
        for turn in 0..days * 3 {
            let at = START_NS + turn * 8 * HOUR_NS + u64::from(tool) * 60_000_000_000;
            talks.push(tcp((2, 10), (1, tool), 5000, at));
            talks.push(tcp((1, tool), (2, 20), 8080, at + 1_000_000_000));
            talks.push(tcp((1, tool), (2, 30), 445, at + 2_000_000_000));
            talks.push(tcp((1, tool), (2, 40), 8443, at + 3_000_000_000));
            talks
                .push(Talk { kind: Kind::Udp, ..tcp((1, tool), (2, 40), 123, at + 4_000_000_000) });
        }
    }
    talks
}
