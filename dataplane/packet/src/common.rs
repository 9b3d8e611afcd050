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
    pub source_mac: MacAddress,
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
            source_mac: self.source_mac,
            destination_mac: MacAddress(destination),
        }
    }
}

/// The link layer of a common frame.
struct Link {
    source: MacAddress,
    /// As it stands in the frame, read as a little-endian number.
    ether_type: u16,
    vlan: u16,
    /// Where the IP header begins.
    at: usize,
}

const V4: u16 = 0x0800_u16.swap_bytes();
const V6: u16 = 0x86dd_u16.swap_bytes();
const TAG: u16 = 0x8100_u16.swap_bytes();

/// 01:80:c2:00:00:00 to :0f in the lowest six bytes of a little-endian number.
const LINK_LOCAL: u64 = 0x0000_00c2_8001;
const LINK_LOCAL_MASK: u64 = 0xf0ff_ffff_ffff;

#[inline(always)]
fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// `N` bytes at `at` of a window whose length the compiler knows, so that nothing is left to check.
#[inline(always)]
fn part<const N: usize, const W: usize>(window: &[u8; W], at: usize) -> [u8; N] {
    std::array::from_fn(|byte| window[at + byte])
}

#[inline(always)]
fn big_endian<const W: usize>(window: &[u8; W], at: usize) -> usize {
    usize::from(u16::from_be_bytes(part(window, at)))
}

#[inline(always)]
fn link(head: &[u8]) -> Option<Link> {
    let window: &[u8; 18] = head.first_chunk()?;
    let destination = word(&part(window, 0));
    if destination & LINK_LOCAL_MASK == LINK_LOCAL || window[6] & 1 == 1 {
        return None;
    }
    let source = MacAddress(part(window, 6));
    let ether_type = u16::from_le_bytes(part(window, 12));
    if ether_type != TAG {
        return Some(Link { source, ether_type, vlan: 0, at: 14 });
    }
    let vlan = u16::from_be_bytes(part(window, 14)) & 0xfff;
    let ether_type = u16::from_le_bytes(part(window, 16));
    (vlan != 0xfff).then_some(Link { source, ether_type, vlan, at: 18 })
}

#[inline(always)]
fn tail(ingress: Ingress, vlan: u16, udp: bool) -> u32 {
    let untold = KeyTail::new(ingress.segment, VlanStack::UNTAGGED, Kind::Tcp).bits();
    // TCP's number is 0.
    const _: () = assert!(Kind::Tcp as u8 == 0);
    let kind = u32::from(udp) * ((Kind::Udp as u32) << 24);
    untold | u32::from(vlan) | kind
}

/// Both ports as they stand in the frame, side A's first.
#[inline(always)]
fn services(ports: [u8; 4], side: Side) -> u64 {
    u64::from(u32::from_le_bytes(ports).rotate_left(16 * side as u32))
}

/// Reads a common IPv4 frame. `head` and `frame_bytes` as for [`crate::parse`].
#[inline(always)]
#[must_use]
pub fn brief_v4(head: &[u8], frame_bytes: u32, ingress: Ingress) -> Option<Brief<NarrowKey>> {
    let link = link(head)?;
    if link.ether_type != V4 {
        return None;
    }
    let window: &[u8; 40] = head.get(link.at..)?.first_chunk()?;
    // Version 4 with 20 bytes of header, and neither a fragment's offset nor more fragments.
    let whole = word(&part(window, 0)) & 0xff3f_0000_0000_00ff == 0x45;
    let total_bytes = big_endian(window, 2);
    let inside = link.at + total_bytes <= frame_bytes as usize;
    let (tcp, udp) = (window[9] == transport::TCP, window[9] == transport::UDP);
    // Without branches, since TCP and UDP come mixed.
    let tcp_header_bytes = usize::from(window[32] >> 4) * 4;
    let tcp_fits = (tcp_header_bytes >= 20) & (20 + tcp_header_bytes <= total_bytes);
    let udp_bytes = big_endian(window, 24);
    let udp_fits = (udp_bytes >= 8) & (20 + udp_bytes <= total_bytes);
    if !(whole & inside & ((tcp & tcp_fits) | (udp & udp_fits))) {
        return None;
    }
    let addresses = word(&part(window, 12)).rotate_left(32 * ingress.side as u32);
    let services = services(part(window, 20), ingress.side);
    let tail = u64::from(tail(ingress, link.vlan, udp)) << 32;
    let tcp_flags = TcpFlags(if tcp { window[33] } else { 0 });
    let key = NarrowKey([addresses, services | tail]);
    Some(Brief { key, tcp_flags, source_mac: link.source })
}

/// Reads a common IPv6 frame. `head` and `frame_bytes` as for [`crate::parse`].
#[inline(always)]
#[must_use]
pub fn brief_v6(head: &[u8], frame_bytes: u32, ingress: Ingress) -> Option<Brief<WideKey>> {
    let link = link(head)?;
    if link.ether_type != V6 {
        return None;
    }
    let window: &[u8; 48] = head.get(link.at..)?.first_chunk()?;
    let payload_bytes = big_endian(window, 4);
    let (tcp, udp) = (window[6] == transport::TCP, window[6] == transport::UDP);
    let inside = link.at + 40 + payload_bytes <= frame_bytes as usize;
    if !((window[0] >> 4 == 6) & inside & (tcp | udp)) {
        return None;
    }
    let tcp_flags = if tcp {
        let header: &[u8; 20] = head.get(link.at + 40..)?.first_chunk()?;
        let (tcp_header_bytes, flags) = (usize::from(header[12] >> 4) * 4, header[13]);
        if tcp_header_bytes < 20 || tcp_header_bytes > payload_bytes {
            return None;
        }
        TcpFlags(flags)
    } else {
        let udp_bytes = big_endian(window, 44);
        if udp_bytes < 8 || udp_bytes > payload_bytes {
            return None;
        }
        TcpFlags(0)
    };
    let source = [word(&part(window, 8)), word(&part(window, 16))];
    let destination = [word(&part(window, 24)), word(&part(window, 32))];
    let ([a0, a1], [b0, b1]) = match ingress.side {
        Side::A => (source, destination),
        Side::B => (destination, source),
    };
    let services = services(part(window, 40), ingress.side);
    let tail = u64::from(tail(ingress, link.vlan, udp)) << 32;
    let key = WideKey([a0, a1, b0, b1, services | tail]);
    Some(Brief { key, tcp_flags, source_mac: link.source })
}
