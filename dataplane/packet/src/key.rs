//! The flow key: which conversation a frame belongs to.
//!
//! A segment has two sides, A and B, and every frame crosses from one to the other. A key names the
//! endpoint on side A first, whatever the frame's direction, so that both directions of a conversation
//! give the same key without comparing addresses, and the ingress side alone is the direction.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ethernet::{MacAddress, VlanStack};

/// Most segments one dataplane can have: DPDK allows a process 32 ports, a segment takes two.
pub const SEGMENTS_MAX: usize = 16;

/// One of the two doors of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    /// The port configured as `side_a`.
    A = 0,
    /// The port configured as `side_b`.
    B = 1,
}

impl Side {
    /// The opposite side.
    #[inline]
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    /// `A` for an even number, `B` for an odd one; only the lowest bit counts.
    #[inline]
    #[must_use]
    pub fn from_bit(bit: u8) -> Self {
        if bit & 1 == 0 { Side::A } else { Side::B }
    }
}

/// Number of a segment within the process, below [`SEGMENTS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(u8);

impl SegmentId {
    /// Makes an id; `None` from [`SEGMENTS_MAX`] on.
    #[must_use]
    pub fn new(number: usize) -> Option<Self> {
        if number >= SEGMENTS_MAX {
            return None;
        }
        u8::try_from(number).ok().map(Self)
    }

    /// The number, below [`SEGMENTS_MAX`].
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What the two service fields of a key mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// TCP; the fields are ports.
    Tcp = 0,
    /// UDP; the fields are ports.
    Udp = 1,
    /// ICMP or ICMPv6; the client's field is the identifier of a query (0 for other messages), the
    /// server's is `type << 8 | code` of the query or message.
    Icmp = 2,
    /// Another IP protocol; both fields are its number.
    OtherIp = 3,
    /// A fragment that isn't the first; both fields are the IP protocol number.
    Fragment = 4,
    /// Not IP; the addresses are MACs, both fields the EtherType.
    NonIp = 5,
    /// IEEE 802.2 LLC; the addresses are MACs, both fields `DSAP << 8 | SSAP`.
    Llc = 6,
    /// IEEE 802.2 SNAP; the addresses are MACs followed by the OUI, both fields the protocol id.
    Snap = 7,
}

impl Kind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        const ALL: [Kind; 8] = [
            Kind::Tcp,
            Kind::Udp,
            Kind::Icmp,
            Kind::OtherIp,
            Kind::Fragment,
            Kind::NonIp,
            Kind::Llc,
            Kind::Snap,
        ];
        ALL.get(usize::from(bits)).copied()
    }

    /// True for the kinds whose addresses are MACs.
    #[must_use]
    pub fn is_link_layer(self) -> bool {
        matches!(self, Kind::NonIp | Kind::Llc | Kind::Snap)
    }
}

/// The last four bytes of a key: VLANs, segment and kind.
///
/// Bits 0–11 outer VLAN id, 12–23 inner VLAN id, 24–26 kind, 27 the side that asks (ICMP only), 28–31 segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyTail(u32);

/// Set in the tail of an ICMP key whose query comes from side B.
const ASKED_BY_B: u32 = 1 << 27;

impl KeyTail {
    /// Packs the parts.
    #[inline]
    #[must_use]
    pub fn new(segment: SegmentId, vlans: VlanStack, kind: Kind) -> Self {
        Self(vlans.bits() | u32::from(kind as u8) << 24 | u32::from(segment.0) << 28)
    }

    /// The packed form.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Takes a packed form; `None` if no key has it.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        let tail = Self(bits);
        (bits & ASKED_BY_B == 0 || tail.kind() == Kind::Icmp).then_some(tail)
    }

    /// The tail of an ICMP key: the identifier of one side's query may be the type and code of the other's, so that only
    /// this keeps them apart.
    #[inline]
    #[must_use]
    pub fn asked_by(self, side: Side) -> Self {
        match side {
            Side::A => self.without_asker(),
            Side::B => Self(self.0 | ASKED_BY_B),
        }
    }

    /// The tail of a conversation whose client is on `side`: an ICMP key says so, others don't.
    #[inline]
    #[must_use]
    pub fn of_client(self, side: Side) -> Self {
        if self.kind() == Kind::Icmp { self.asked_by(side) } else { self }
    }

    /// The side whose query or message an ICMP key stands for.
    #[inline]
    #[must_use]
    pub fn asker(self) -> Option<Side> {
        let side = if self.0 & ASKED_BY_B == 0 { Side::A } else { Side::B };
        (self.kind() == Kind::Icmp).then_some(side)
    }

    /// VLANs, segment and kind alone, as rules have them.
    #[inline]
    #[must_use]
    pub fn without_asker(self) -> Self {
        Self(self.0 & !ASKED_BY_B)
    }

    /// The segment.
    #[inline]
    #[must_use]
    pub fn segment(self) -> SegmentId {
        SegmentId((self.0 >> 28) as u8)
    }

    /// The VLAN ids.
    #[inline]
    #[must_use]
    pub fn vlans(self) -> VlanStack {
        VlanStack::from_bits(self.0)
    }

    /// The kind.
    #[inline]
    #[must_use]
    pub fn kind(self) -> Kind {
        // Three bits, eight kinds: there always is one.
        Kind::from_bits((self.0 >> 24 & 0x7) as u8).unwrap_or(Kind::NonIp)
    }
}

/// Key of an IPv4 conversation: 16 bytes, compared and hashed as two words.
///
/// Bytes 0–3 address on side A, 4–7 on side B, 8–9 service field of A, 10–11 of B (all in wire order),
/// 12–15 [`KeyTail`] little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct NarrowKey(pub [u64; 2]);

/// Key of an IPv6 or link-layer conversation: 40 bytes, compared and hashed as five words.
///
/// Bytes 0–15 address on side A, 16–31 on side B, 32–33 service field of A, 34–35 of B (all in wire
/// order), 36–39 [`KeyTail`] little-endian. A MAC takes the first six bytes of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct WideKey(pub [u64; 5]);

/// The pair of service fields, side A's first, as they stand in the frame.
pub(crate) type ServicePair = [[u8; 2]; 2];

impl NarrowKey {
    /// Packs a key. `addresses` and `services` name side A first.
    #[inline]
    pub(crate) fn new(addresses: [[u8; 4]; 2], services: ServicePair, tail: KeyTail) -> Self {
        let [a, b] = addresses;
        let [sa, sb] = services;
        let [t0, t1, t2, t3] = tail.bits().to_le_bytes();
        Self([
            u64::from_ne_bytes([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]),
            u64::from_ne_bytes([sa[0], sa[1], sb[0], sb[1], t0, t1, t2, t3]),
        ])
    }

    /// VLANs, segment and kind.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> KeyTail {
        KeyTail((u64::from_le(self.0[1]) >> 32) as u32)
    }

    /// The key's bytes in the stated order.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

impl WideKey {
    /// Packs a key. `addresses` and `services` name side A first.
    #[inline]
    pub(crate) fn new(addresses: [[u8; 16]; 2], services: ServicePair, tail: KeyTail) -> Self {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&addresses[0]);
        bytes[16..32].copy_from_slice(&addresses[1]);
        bytes[32..34].copy_from_slice(&services[0]);
        bytes[34..36].copy_from_slice(&services[1]);
        bytes[36..].copy_from_slice(&tail.bits().to_le_bytes());
        Self::from_bytes(&bytes)
    }

    #[inline]
    fn from_bytes(bytes: &[u8; 40]) -> Self {
        let mut words = [0; 5];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(chunk);
            *word = u64::from_ne_bytes(eight);
        }
        Self(words)
    }

    /// VLANs, segment and kind.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> KeyTail {
        KeyTail((u64::from_le(self.0[4]) >> 32) as u32)
    }

    /// The key's bytes in the stated order.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// The key of one conversation, by the table that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowKey {
    /// IPv4.
    Narrow(NarrowKey),
    /// IPv6 and everything that isn't IP.
    Wide(WideKey),
}

/// Address of one end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// An IP address.
    Ip(IpAddr),
    /// A station on the link; the OUI is all zeros but for SNAP.
    Link {
        /// The station's address.
        mac: MacAddress,
        /// Organisation code of a SNAP header.
        oui: [u8; 3],
    },
}

/// One end of a conversation: address and service field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Where.
    pub network: Network,
    /// The service field in host byte order; [`Kind`] says what it means.
    pub service: u16,
}

impl FlowKey {
    /// VLANs, segment and kind.
    #[inline]
    #[must_use]
    pub fn tail(&self) -> KeyTail {
        match self {
            FlowKey::Narrow(key) => key.tail(),
            FlowKey::Wide(key) => key.tail(),
        }
    }

    /// The end on `side`.
    #[must_use]
    pub fn endpoint(&self, side: Side) -> Endpoint {
        let at = side as usize;
        match self {
            FlowKey::Narrow(key) => {
                let b = key.bytes();
                let address = &b[at * 4..at * 4 + 4];
                Endpoint {
                    network: Network::Ip(IpAddr::V4(Ipv4Addr::new(
                        address[0], address[1], address[2], address[3],
                    ))),
                    service: u16::from_be_bytes([b[8 + at * 2], b[9 + at * 2]]),
                }
            }
            FlowKey::Wide(key) => {
                let b = key.bytes();
                let mut address = [0; 16];
                address.copy_from_slice(&b[at * 16..at * 16 + 16]);
                Endpoint {
                    network: wide_network(address, self.tail().kind()),
                    service: u16::from_be_bytes([b[32 + at * 2], b[33 + at * 2]]),
                }
            }
        }
    }

    /// The five words of a wide key, or a narrow key's two and three zero words.
    #[inline]
    #[must_use]
    pub fn words(&self) -> [u64; 5] {
        match self {
            FlowKey::Narrow(key) => [key.0[0], key.0[1], 0, 0, 0],
            FlowKey::Wide(key) => key.0,
        }
    }

    /// Reads what [`FlowKey::words`] wrote; `None` when the kind in it is unknown, or doesn't belong in
    /// a narrow key.
    #[must_use]
    pub fn from_words(words: [u64; 5], narrow: bool) -> Option<Self> {
        let key = if narrow {
            FlowKey::Narrow(NarrowKey([words[0], words[1]]))
        } else {
            FlowKey::Wide(WideKey(words))
        };
        let tail = KeyTail::from_bits(key.tail().bits())?;
        (!(narrow && tail.kind().is_link_layer())).then_some(key)
    }
}

fn wide_network(address: [u8; 16], kind: Kind) -> Network {
    if kind.is_link_layer() {
        let [m0, m1, m2, m3, m4, m5, o0, o1, o2, ..] = address;
        Network::Link { mac: MacAddress([m0, m1, m2, m3, m4, m5]), oui: [o0, o1, o2] }
    } else {
        Network::Ip(IpAddr::V6(Ipv6Addr::from(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_keeps_its_parts_apart() {
        for segment in 0..SEGMENTS_MAX {
            let segment = SegmentId::new(segment).unwrap();
            for (outer, inner) in [(0, 0), (4094, 0), (1, 4094), (4094, 4094)] {
                for kind in (0..8).filter_map(Kind::from_bits) {
                    let vlans = VlanStack::new(outer, inner);
                    let tail = KeyTail::new(segment, vlans, kind);
                    assert_eq!((tail.segment(), tail.vlans(), tail.kind()), (segment, vlans, kind));
                }
            }
        }
        assert_eq!(SegmentId::new(SEGMENTS_MAX), None);
        let ping = KeyTail::new(SegmentId(15), VlanStack::new(4094, 4094), Kind::Icmp);
        for side in [Side::A, Side::B] {
            let asked = ping.asked_by(side);
            assert_eq!((asked.asker(), asked.without_asker()), (Some(side), ping));
            assert_eq!(KeyTail::from_bits(asked.bits()), Some(asked));
            assert_eq!((asked.kind(), asked.segment()), (Kind::Icmp, SegmentId(15)));
        }
    }

    #[test]
    fn words_round_trip_and_unknown_kinds_are_refused() {
        let tail = KeyTail::new(SegmentId(3), VlanStack::new(7, 9), Kind::Udp);
        let narrow = FlowKey::Narrow(NarrowKey::new(
            [[10, 0, 0, 1], [10, 0, 0, 2]],
            [[0, 53], [1, 2]],
            tail,
        ));
        assert_eq!(FlowKey::from_words(narrow.words(), true), Some(narrow));
        assert_eq!(narrow.endpoint(Side::B).service, 0x0102);
        let mut words = narrow.words();
        words[1] |= 1 << 59;
        assert_eq!(FlowKey::from_words(words, true), None, "only ICMP has a side that asks");
        let tail = KeyTail::new(SegmentId(3), VlanStack::new(7, 9), Kind::NonIp);
        let link = FlowKey::Narrow(NarrowKey::new([[1; 4], [2; 4]], [[8, 6], [8, 6]], tail));
        assert_eq!(FlowKey::from_words(link.words(), true), None);
    }
}
