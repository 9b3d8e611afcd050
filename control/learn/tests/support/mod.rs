//! Events made by hand.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::IpAddr;

use loadlock_exchange::{Event, EventFlags, EventKind};
use loadlock_learn::{AdmissionSettings, Answers, LearnLimits, Learner};
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

/// A conversation of segment 0 without VLAN, in learn mode; the initiator is side A and its frames are forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Which conversation.
    pub key: FlowKey,
    /// Who spoke first.
    pub initiator: Side,
    /// Circumstances of its events.
    pub flags: EventFlags,
    /// Packets from each side when it ends.
    pub packets: [u64; 2],
    /// Stations.
    pub macs: [MacAddress; 2],
}

const LEARNING: EventFlags = EventFlags {
    midstream: false,
    handshake: false,
    repeated: false,
    forwarded: true,
    after_grace: false,
    learning: true,
    negotiated: false,
};

/// A conversation between two ends such as `10.0.0.1:5000` or `[fd00::1]:53`; side A's is named first.
pub fn talk(kind: Kind, a: &str, b: &str) -> Talk {
    let end = |text: &str| -> std::net::SocketAddr { text.parse().expect("address and port") };
    let [a, b] = [end(a), end(b)];
    let segment = SegmentId::new(0).expect("below 16");
    let tail = KeyTail::new(segment, VlanStack::UNTAGGED, kind);
    let key = pack(tail, [a.ip(), b.ip()].map(Network::Ip), [a.port(), b.port()]);
    let macs = [MacAddress([2, 0, 0, 0, 0, 0xa]), MacAddress([2, 0, 0, 0, 0, 0xb])];
    Talk { key, initiator: Side::A, flags: LEARNING, packets: [3, 2], macs }
}

/// Packs a key as documented at `NarrowKey` and `WideKey`.
pub fn pack(tail: KeyTail, ends: [Network; 2], services: [u16; 2]) -> FlowKey {
    let mut bytes = Vec::new();
    for end in ends {
        match end {
            Network::Ip(IpAddr::V4(address)) => bytes.extend(address.octets()),
            Network::Ip(IpAddr::V6(address)) => bytes.extend(address.octets()),
            Network::Link { mac, oui } => bytes.extend(mac.0.into_iter().chain(oui).chain([0; 7])),
        }
    }
    services.iter().for_each(|service| bytes.extend(service.to_be_bytes()));
    bytes.extend(tail.bits().to_le_bytes());
    let mut words = [0; 5];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().expect("chunks of eight"));
    }
    FlowKey::from_words(words, bytes.len() == 16).expect("a known kind")
}

impl Talk {
    /// Side B speaks first.
    pub fn begun_by_b(self) -> Self {
        let tail = self.key.tail();
        if tail.kind() != Kind::Icmp {
            return Self { initiator: Side::B, ..self };
        }
        // Whose query it is stands in an ICMP key.
        let ends = [Side::A, Side::B].map(|side| self.key.endpoint(side));
        let key =
            pack(tail.asked_by(Side::B), ends.map(|end| end.network), ends.map(|end| end.service));
        Self { initiator: Side::B, key, ..self }
    }

    /// Met running, within the grace time.
    pub fn running(self) -> Self {
        Self { flags: EventFlags { midstream: true, ..self.flags }, ..self }
    }

    /// Met running, after the grace time.
    pub fn late(self) -> Self {
        Self { flags: EventFlags { midstream: true, after_grace: true, ..self.flags }, ..self }
    }

    /// A SYN-ACK was seen.
    pub fn accepted(self) -> Self {
        Self { flags: EventFlags { handshake: true, ..self.flags }, ..self }
    }

    /// Only the initiator speaks.
    pub fn unanswered(self) -> Self {
        let mut packets = [0; 2];
        packets[self.initiator as usize] = 2;
        Self { packets, ..self }
    }

    /// One event of it.
    pub fn event(&self, kind: EventKind, time_ns: u64) -> Event {
        let mut packets = self.packets;
        if kind == EventKind::Started {
            packets = [0; 2];
            packets[self.initiator as usize] = 1;
        }
        Event {
            kind,
            time_ns,
            key: self.key,
            initiator: self.initiator,
            flags: self.flags,
            rule: None,
            packets,
            bytes: packets.map(|packets| packets * 100),
            macs: self.macs,
            claimed: None,
        }
    }

    /// Its beginning and its end.
    pub fn events(&self, time_ns: u64) -> [Event; 2] {
        [self.event(EventKind::Started, time_ns), self.event(EventKind::Ended, time_ns + 1_000)]
    }
}

/// A learner for one segment that has seen these conversations from beginning to end.
pub fn learner(talks: &[Talk]) -> Learner {
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    for (second, talk) in (1..).zip(talks) {
        talk.events(second * 1_000_000_000).iter().for_each(|event| learner.observe(event));
    }
    learner
}

/// The learned rules: their words, and the last part of their reason.
pub fn rules(learner: &Learner) -> Vec<(String, String)> {
    let policy = learner
        .policy(&AdmissionSettings::record_all(), &Answers::default())
        .expect("learned rules are valid");
    let line = |rule: &loadlock_policy::Rule| {
        let reason = rule.parts().reason.split("direction ").nth(1).unwrap_or_default();
        let basis = reason.split(':').next().unwrap_or_default();
        (rule.words(), basis.trim_start_matches("from ").to_owned())
    };
    policy.rules().iter().map(line).collect()
}
