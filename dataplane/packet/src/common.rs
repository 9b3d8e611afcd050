//! The frames that nearly all traffic consists of, read without detours: TCP and UDP in IPv4 without options or in IPv6 without
//! extension headers, whole, with one 802.1Q tag at the most.
//!
//! These functions give what [`crate::parse`] gives, or nothing; they never judge. `tests/parser/invariants.rs` holds them
//! to that for every frame of every test and of the fuzz target. They read fixed windows of the frame and compare
//! several fields at once, so that their cost hardly depends on what they find.

use crate::ethernet::{MacAddress, VlanStack};
use crate::key::{KeyTail, Kind, NarrowKey, Side, WideKey};
use crate::parse::{FrameClass, Headers, Ingress, Opening, TcpFlags};
use crate::{FlowKey, transport};

/// What the flow table needs to know of a common frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief<K> {
    /// The conversation.
    pub key: K,
    /// Zero for UDP.
    pub tcp_flags: TcpFlags,
    /// Sender's station.
    pub source: SourceWord,
}

/// A station's address as one number, for a compare: its bytes in little-endian order in the upper 48 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceWord(pub u64);

impl SourceWord {
    /// From eight bytes that begin with the address.
    #[inline(always)]
    #[must_use]
    pub fn beginning(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes) << 16)
    }

    /// The address.
    #[inline(always)]
    #[must_use]
    pub fn mac(self) -> MacAddress {
        let [_, _, mac @ ..] = self.0.to_le_bytes();
        MacAddress(mac)
    }
}

impl From<MacAddress> for SourceWord {
    fn from(MacAddress([a, b, c, d, e, f]): MacAddress) -> Self {
        Self::beginning([a, b, c, d, e, f, 0, 0])
    }
}

impl<K> Brief<K> {
    /// The same as [`crate::parse`] gives it, for the frame with this `head`.
    #[must_use]
    pub fn headers(&self, head: &[u8], key: FlowKey) -> Headers {
        let mut destination = [0; 6];
        let known = head.len().min(6);
        destination[..known].copy_from_slice(&head[..known]);
        let opening = match key.tail().kind() {
            Kind::Tcp => self.tcp_flags.opening(),
            _ => Opening::May,
        };
        Headers {
            key,
            opening,
            tcp_flags: self.tcp_flags,
            class: FrameClass::Ordinary,
            source_mac: self.source.mac(),
            destination_mac: MacAddress(destination),
            fragment: None,
            quote: None,
            claim: None,
        }
    }
}

/// A common frame, by the table that holds its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common {
    /// IPv4.
    Narrow(Brief<NarrowKey>),
    /// IPv6.
    Wide(Brief<WideKey>),
}

// EtherTypes as they are read: as little-endian numbers.
const V4: u16 = 0x0800_u16.swap_bytes();
const V6: u16 = 0x86dd_u16.swap_bytes();
const TAG: u16 = 0x8100_u16.swap_bytes();

/// The reserved groups, the link-local ones among them, begin with this.
const RESERVED_GROUPS: [u8; 4] = [0x01, 0x80, 0xc2, 0x00];

/// `N` bytes at `at` of a window whose length the compiler knows, so that nothing is left to check, read at once.
#[inline(always)]
fn part<const N: usize>(window: &[u8], at: usize) -> [u8; N] {
    window.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[inline(always)]
fn word(window: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(part(window, at))
}

#[inline(always)]
fn big_endian(window: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes(part(window, at)))
}

/// Reads a frame if it is a common one. `head` and `frame_bytes` as for [`crate::parse`]. Some 50 instructions.
#[inline(always)]
#[must_use]
pub fn common(head: &[u8], frame_bytes: u32, ingress: Ingress) -> Option<Common> {
    let window: &[u8; 54] = head.first_chunk()?;
    let from_group = window[6] & 1 == 1;
    if part(window, 0) == RESERVED_GROUPS || from_group {
        return None;
    }
    let source = SourceWord::beginning(part(window, 6));
    let ether_type = u16::from_le_bytes(part(window, 12));
    let frame_bytes = frame_bytes as usize;
    if ether_type != TAG {
        let link = Link { source, vlan: 0, ip_bytes_max: frame_bytes.wrapping_sub(14) };
        return link.network(ether_type, &part(window, 14), head.get(14..)?, ingress);
    }
    let window: &[u8; 58] = head.first_chunk()?;
    let vlan = u16::from_be_bytes(part(window, 14)) & 0xfff;
    if vlan == 0xfff {
        return None;
    }
    let ether_type = u16::from_le_bytes(part(window, 16));
    let link = Link { source, vlan, ip_bytes_max: frame_bytes.wrapping_sub(18) };
    link.network(ether_type, &part(window, 18), head.get(18..)?, ingress)
}

/// The link layer of a frame.
struct Link {
    source: SourceWord,
    vlan: u16,
    /// Bytes of the frame behind the link layer.
    ip_bytes_max: usize,
}

impl Link {
    #[inline(always)]
    fn network(
        &self,
        ether_type: u16,
        window: &[u8; 40],
        packet: &[u8],
        ingress: Ingress,
    ) -> Option<Common> {
        match ether_type {
            V4 => self.v4(window, ingress).map(Common::Narrow),
            V6 => self.v6(packet, ingress).map(Common::Wide),
            _ => None,
        }
    }

    #[inline(always)]
    fn v4(&self, window: &[u8; 40], ingress: Ingress) -> Option<Brief<NarrowKey>> {
        // Version 4 with 20 bytes of header, and neither a fragment's offset nor more fragments.
        let whole = word(window, 0) & 0xff3f_0000_0000_00ff == 0x45;
        let total_bytes = big_endian(window, 2);
        let inside = total_bytes <= self.ip_bytes_max;
        if !(whole & inside & (total_bytes >= 20)) {
            return None;
        }
        let udp_bytes = big_endian(window, 24);
        let transport = Transport::read(window[9], part(window, 32), udp_bytes, total_bytes - 20)?;
        let addresses = word(window, 12).rotate_left(32 * ingress.side as u32);
        let services = self.last_word(part(window, 20), &transport, ingress);
        Some(self.brief(NarrowKey([addresses, services]), &transport))
    }

    #[inline(always)]
    fn v6(&self, packet: &[u8], ingress: Ingress) -> Option<Brief<WideKey>> {
        // Shorter ones (UDP with less than 12 bytes) aren't common.
        let window: &[u8; 60] = packet.first_chunk()?;
        let payload_bytes = big_endian(window, 4);
        let inside = 40 + payload_bytes <= self.ip_bytes_max;
        if !((window[0] >> 4 == 6) & inside) {
            return None;
        }
        let udp_bytes = big_endian(window, 44);
        let transport = Transport::read(window[6], part(window, 52), udp_bytes, payload_bytes)?;
        let source = [word(window, 8), word(window, 16)];
        let destination = [word(window, 24), word(window, 32)];
        let ([a0, a1], [b0, b1]) = match ingress.side {
            Side::A => (source, destination),
            Side::B => (destination, source),
        };
        let services = self.last_word(part(window, 40), &transport, ingress);
        Some(self.brief(WideKey([a0, a1, b0, b1, services]), &transport))
    }

    /// Both ports as they stand in the frame, side A's first, and the key's tail.
    #[inline(always)]
    fn last_word(&self, ports: [u8; 4], transport: &Transport, ingress: Ingress) -> u64 {
        let ports = u32::from_le_bytes(ports).rotate_left(16 * ingress.side as u32);
        let vlans = VlanStack::new(self.vlan, 0);
        let tail = KeyTail::new(ingress.segment, vlans, transport.kind).bits();
        u64::from(ports) | u64::from(tail) << 32
    }

    #[inline(always)]
    fn brief<K>(&self, key: K, transport: &Transport) -> Brief<K> {
        Brief { key, tcp_flags: transport.tcp_flags, source: self.source }
    }
}

/// What a TCP or UDP header says.
struct Transport {
    kind: Kind,
    tcp_flags: TcpFlags,
}

impl Transport {
    /// `offset_and_flags` are TCP's bytes 12 and 13, `bytes` what IP has for the header and what follows.
    #[inline(always)]
    fn read(
        protocol: u8,
        offset_and_flags: [u8; 2],
        udp_bytes: usize,
        bytes: usize,
    ) -> Option<Self> {
        match protocol {
            transport::TCP => {
                let [offset, flags] = offset_and_flags;
                let header_bytes = usize::from(offset >> 4) * 4;
                let fits = (header_bytes >= 20) & (header_bytes <= bytes);
                fits.then_some(Self { kind: Kind::Tcp, tcp_flags: TcpFlags(flags) })
            }
            transport::UDP => {
                let fits = (udp_bytes >= 8) & (udp_bytes <= bytes);
                fits.then_some(Self { kind: Kind::Udp, tcp_flags: TcpFlags(0) })
            }
            _ => None,
        }
    }
}
