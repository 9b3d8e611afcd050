//! Ethernet II, IEEE 802.3 lengths, 802.1Q/802.1ad tags, and 802.2 LLC/SNAP.

use std::fmt;

use crate::parse::{Malformed, field};

/// A station's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// True for multicast and broadcast addresses (IEEE 802.3: lowest bit of the first byte).
    #[inline]
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// True for 01:80:c2:00:00:00 to :0f, which a bridge must not relay (IEEE 802.1D table 7-10):
    /// STP, LACP, EAPOL, LLDP.
    #[inline]
    #[must_use]
    pub fn is_link_local_group(self) -> bool {
        let [b0, b1, b2, b3, b4, b5] = self.0;
        [b0, b1, b2, b3, b4] == [0x01, 0x80, 0xc2, 0, 0] && b5 < 0x10
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Up to two VLAN ids of a frame; 0 stands for no tag and for a priority tag alike (IEEE 802.1Q 6.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VlanStack(u32);

impl VlanStack {
    /// A frame without tags.
    pub const UNTAGGED: Self = Self(0);

    /// Packs two ids; only their lowest twelve bits count.
    #[inline]
    #[must_use]
    pub fn new(outer: u16, inner: u16) -> Self {
        Self(u32::from(outer & 0xfff) | u32::from(inner & 0xfff) << 12)
    }

    /// Outer VLAN id, 0 if untagged.
    #[inline]
    #[must_use]
    pub fn outer(self) -> u16 {
        (self.0 & 0xfff) as u16
    }

    /// Inner VLAN id, 0 unless there are two tags.
    #[inline]
    #[must_use]
    pub fn inner(self) -> u16 {
        (self.0 >> 12 & 0xfff) as u16
    }

    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits & 0xff_ffff)
    }
}

impl fmt::Display for VlanStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outer(), self.inner()) {
            (0, 0) => f.write_str("untagged"),
            (outer, 0) => write!(f, "{outer}"),
            (outer, inner) => write!(f, "{outer}.{inner}"),
        }
    }
}

/// What follows the tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// An EtherType of 0x0600 or more, or one of the undefined values above 1500.
    EtherType(u16),
    /// 802.2 LLC with these service access points.
    Llc { access_points: u16 },
    /// 802.2 SNAP.
    Snap { oui: [u8; 3], protocol: u16 },
}

/// Result of reading the link layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub source: MacAddress,
    pub destination: MacAddress,
    pub vlans: VlanStack,
    pub payload: Payload,
    /// Byte at which the payload starts.
    pub payload_at: usize,
}

const TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const LENGTH_MAX: u16 = 1500;

/// Reads addresses, up to two tags and what follows. A third tag stays an opaque EtherType.
#[inline]
pub(crate) fn parse(head: &[u8], frame_bytes: usize) -> Result<Link, Malformed> {
    let too_short = Malformed::FrameTooShort;
    let destination = MacAddress(field(head, 0, frame_bytes, too_short)?);
    let source = MacAddress(field(head, 6, frame_bytes, too_short)?);
    if source.is_group() {
        return Err(Malformed::SourceMacGroup);
    }
    let mut ether_type = u16::from_be_bytes(field(head, 12, frame_bytes, too_short)?);
    let mut payload_at = 14;
    let mut ids = [0; 2];
    for id in &mut ids {
        if !TAG_TYPES.contains(&ether_type) {
            break;
        }
        let truncated = Malformed::VlanTruncated;
        let control = u16::from_be_bytes(field(head, payload_at, frame_bytes, truncated)?);
        ether_type = u16::from_be_bytes(field(head, payload_at + 2, frame_bytes, truncated)?);
        *id = control & 0xfff;
        if *id == 0xfff {
            return Err(Malformed::VlanReserved);
        }
        payload_at += 4;
    }
    let payload = if ether_type <= LENGTH_MAX {
        llc(head, payload_at, usize::from(ether_type), frame_bytes)?
    } else {
        Payload::EtherType(ether_type)
    };
    // A priority tag outside a VLAN tag isn't folded away: `0.20` is not VLAN 20 (double-tag hopping).
    let vlans = VlanStack::new(ids[0], ids[1]);
    Ok(Link { source, destination, vlans, payload, payload_at })
}

/// Reads an LLC header in `length` bytes from `at`.
fn llc(head: &[u8], at: usize, length: usize, frame_bytes: usize) -> Result<Payload, Malformed> {
    let bad = Malformed::LlcLength;
    if length < 3 || at + length > frame_bytes {
        return Err(bad);
    }
    let access_points = u16::from_be_bytes(field(head, at, frame_bytes, bad)?);
    if access_points != 0xaaaa || length < 8 {
        return Ok(Payload::Llc { access_points });
    }
    Ok(Payload::Snap {
        oui: field(head, at + 3, frame_bytes, bad)?,
        protocol: u16::from_be_bytes(field(head, at + 6, frame_bytes, bad)?),
    })
}
