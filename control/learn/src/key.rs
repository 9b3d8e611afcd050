//! What is learned about: a client, a server and a service, without the client's port.

use std::net::IpAddr;

use loadlock_packet::{FlowKey, KeyTail, Kind, Network, SegmentId, Side, VlanStack};
use loadlock_policy::Service;

use crate::evidence::Evidence;

/// What a rule will be about. The order is that of the rules of a learned policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SettledKey {
    pub segment: SegmentId,
    pub vlans: VlanStack,
    pub client: Network,
    pub client_side: Side,
    pub server: Network,
    pub kind: Kind,
    pub service: u16,
}

impl SettledKey {
    /// The key of a conversation whose client is on this side.
    pub fn new(key: &FlowKey, client_side: Side) -> Self {
        let tail = key.tail();
        let server = key.endpoint(client_side.other());
        Self {
            segment: tail.segment(),
            vlans: tail.vlans(),
            client: key.endpoint(client_side).network,
            client_side,
            server: server.network,
            kind: tail.kind(),
            service: server.service,
        }
    }

    /// What the rule permits them to talk; `None` for a key that no frame has.
    pub fn service(&self) -> Option<Service> {
        Service::of_key(self.kind, self.server, self.service)
    }

    /// The server's end, as the place that evidence is about; only for TCP and UDP.
    pub fn server_place(&self) -> Place {
        Place {
            segment: self.segment,
            vlans: self.vlans,
            kind: self.kind,
            side: self.client_side.other(),
            network: self.server,
            port: self.service,
        }
    }
}

/// One end of TCP or UDP conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub segment: SegmentId,
    pub vlans: VlanStack,
    pub kind: Kind,
    pub side: Side,
    pub network: Network,
    pub port: u16,
}

impl Place {
    /// The end of a conversation on this side.
    pub fn of(key: &FlowKey, side: Side) -> Self {
        let tail = key.tail();
        let end = key.endpoint(side);
        Self {
            segment: tail.segment(),
            vlans: tail.vlans(),
            kind: tail.kind(),
            side,
            network: end.network,
            port: end.service,
        }
    }

    /// True for a multicast or broadcast address, which only ever receives. `evidence` is that of a conversation with this end.
    pub fn is_group(&self, evidence: &Evidence) -> bool {
        let address = match self.network {
            Network::Ip(IpAddr::V4(address)) => address.is_multicast() || address.is_broadcast(),
            Network::Ip(IpAddr::V6(address)) => address.is_multicast(),
            Network::Link { mac, .. } => mac.is_group(),
        };
        // The broadcast address of a subnet shows only in its station.
        address || (evidence.is_group(self.side) && !evidence.has_spoken(self.side))
    }
}

/// Packs a key from its parts, side A's first, in the order of bytes that `NarrowKey` and `WideKey` document; `None` if no
/// frame has it.
pub(crate) fn pack(tail: KeyTail, networks: [Network; 2], services: [u16; 2]) -> Option<FlowKey> {
    const NARROW_BYTES: usize = 16;
    let mut bytes = Vec::with_capacity(40);
    for network in networks {
        match network {
            Network::Ip(IpAddr::V4(address)) => bytes.extend(address.octets()),
            Network::Ip(IpAddr::V6(address)) => bytes.extend(address.octets()),
            Network::Link { mac, oui } => {
                bytes.extend(mac.0.into_iter().chain(oui).chain([0; 7]));
            }
        }
    }
    services.iter().for_each(|service| bytes.extend(service.to_be_bytes()));
    bytes.extend(tail.bits().to_le_bytes());
    let mut words = [0; 5];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().ok()?);
    }
    let key = FlowKey::from_words(words, bytes.len() == NARROW_BYTES)?;
    // One IPv4 and one IPv6 address don't give the length of either key; the ends then differ from what was asked for.
    let same = [Side::A, Side::B].map(|side| key.endpoint(side).network) == networks;
    (same && is_possible(&key)).then_some(key)
}

/// True if a frame can have this key. A damaged ring can hold others, of which no rule could be made.
pub(crate) fn is_possible(key: &FlowKey) -> bool {
    const VLAN_ID_MAX: u16 = 4094;
    let tail = key.tail();
    let vlans = tail.vlans();
    let [a, b] = [Side::A, Side::B].map(|side| key.endpoint(side));
    let same_oui = match (a.network, b.network) {
        (Network::Link { oui: a, .. }, Network::Link { oui: b, .. }) => a == b,
        _ => true,
    };
    let opaque = !matches!(tail.kind(), Kind::Tcp | Kind::Udp | Kind::Icmp);
    vlans.outer() <= VLAN_ID_MAX
        && vlans.inner() <= VLAN_ID_MAX
        && same_oui
        && (!opaque || a.service == b.service)
        && [a, b].iter().all(|end| Service::of_key(tail.kind(), end.network, end.service).is_some())
}
