//! What is learned about: a client, a server and a service, without the client's port.

use std::fmt;
use std::net::IpAddr;

use loadlock_packet::{FlowKey, KeyTail, Kind, Network, SegmentId, Side, VlanStack};
use loadlock_policy::Service;

use crate::evidence::Evidence;

/// What a rule will be about: who asks whom for what, and where. No client port. The order is that of the rules of a
/// learned policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// The segment whose appliance sees it.
    pub segment: SegmentId,
    /// VLAN tags.
    pub vlans: VlanStack,
    /// Who asks.
    pub client: Network,
    /// The side on which the client is.
    pub client_side: Side,
    /// Who answers.
    pub server: Network,
    /// Kind of conversation.
    pub kind: Kind,
    /// Server port, ICMP type and code, IP protocol or EtherType, in host byte order.
    pub service: u16,
}

/// One end of conversations, as seen by one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// The segment whose appliance sees it.
    pub segment: SegmentId,
    /// VLAN tags.
    pub vlans: VlanStack,
    /// Its side.
    pub side: Side,
    /// Its address.
    pub network: Network,
}

impl Device {
    /// The address in words.
    #[must_use]
    pub fn address(&self) -> String {
        address_words(self.network)
    }
}

/// An IP address or a MAC in words.
fn address_words(network: Network) -> String {
    match network {
        Network::Ip(address) => address.to_string(),
        Network::Link { mac, .. } => {
            let [a, b, c, d, e, f] = mac.0;
            format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
        }
    }
}

/// `10.0.1.11 → 10.0.2.1 tcp/5000`, with the VLAN if there is one.
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} ", address_words(self.client), address_words(self.server))?;
        match self.service() {
            Some(service) => write!(f, "{service}")?,
            None => write!(f, "{:?}/{}", self.kind, self.service)?,
        }
        if self.vlans != VlanStack::UNTAGGED {
            write!(f, " in VLAN {}", self.vlans)?;
        }
        Ok(())
    }
}

impl Tuple {
    /// The key of a conversation whose client is on this side.
    #[must_use]
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

    /// Who asks.
    #[must_use]
    pub fn client_device(&self) -> Device {
        let Self { segment, vlans, client_side: side, client: network, .. } = *self;
        Device { segment, vlans, side, network }
    }

    /// Who answers.
    #[must_use]
    pub fn server_device(&self) -> Device {
        let Self { segment, vlans, client_side, server: network, .. } = *self;
        Device { segment, vlans, side: client_side.other(), network }
    }

    /// What the rule permits them to talk; `None` for a key that no frame has.
    #[must_use]
    pub fn service(&self) -> Option<Service> {
        Service::of_key(self.kind, self.server, self.service)
    }

    /// The server's end, as the place that evidence is about; only for TCP and UDP.
    pub(crate) fn server_place(&self) -> Place {
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

/// One end of TCP or UDP conversations, with its port.
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
#[must_use]
pub fn flow_key(tail: KeyTail, networks: [Network; 2], services: [u16; 2]) -> Option<FlowKey> {
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
