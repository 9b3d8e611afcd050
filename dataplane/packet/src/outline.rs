//! Where the headers of a frame end, and whose it is, whatever state it is in: for captures, which show just the frames that
//! [`crate::parse`] refuses.
//!
//! Nothing here decides about a frame. What can't be read is left out; no length is believed beyond the bytes that are there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ethernet::MacAddress;
use crate::ip::{ETHER_TYPE_V4, ETHER_TYPE_V6};

/// What can be read of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Sender's and receiver's station.
    pub stations: [Option<MacAddress>; 2],
    /// Sender's and receiver's IP address; of ARP those that it is about.
    pub addresses: [Option<IpAddr>; 2],
    /// Bytes of headers, at most as many as there are: link layer, IP, and TCP with its options, UDP, or what ICMP says of itself.
    pub header_bytes: usize,
}

const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const ARP: u16 = 0x0806;
const ARP_BYTES: usize = 28;
/// From here on the field is an EtherType, below it a length.
const ETHER_TYPE_MIN: u16 = 0x0600;
const LLC_BYTES: usize = 3;
const SNAP_BYTES: usize = 8;
const SNAP: [u8; 3] = [0xaa, 0xaa, 3];
const EXTENSIONS_MAX: usize = 8;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: [u8; 2] = [1, 58];
/// Of a neighbour solicitation the address that is looked for is in it.
const ICMP_BYTES: [usize; 2] = [8, 24];

fn part<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..)?.first_chunk().copied()
}

/// Reads what there is of `frame`, its first bytes or all of it. No allocation; at most two tags and eight extension headers.
#[must_use]
pub fn outline(frame: &[u8]) -> Outline {
    let mut outline = Outline { header_bytes: frame.len(), ..Outline::default() };
    outline.stations = [part(frame, 6), part(frame, 0)].map(|mac| mac.map(MacAddress));
    let mut at = 12;
    let ether_type = loop {
        let Some(field) = part(frame, at).map(u16::from_be_bytes) else { return outline };
        if !TAGS.contains(&field) || at >= 12 + 2 * 4 {
            break field;
        }
        at += 4;
    };
    at += 2;
    let end = match ether_type {
        ETHER_TYPE_V4 => ipv4(frame, at, &mut outline),
        ETHER_TYPE_V6 => ipv6(frame, at, &mut outline),
        ARP => {
            let address = |at| part::<4>(frame, at).map(|bytes| Ipv4Addr::from(bytes).into());
            outline.addresses = [address(at + 14), address(at + 24)];
            at + ARP_BYTES
        }
        length if length < ETHER_TYPE_MIN => match part(frame, at) {
            Some(SNAP) => at + SNAP_BYTES,
            _ => at + LLC_BYTES,
        },
        _ => at,
    };
    outline.header_bytes = end.min(frame.len());
    outline
}

/// Where the headers end.
fn ipv4(frame: &[u8], at: usize, outline: &mut Outline) -> usize {
    let Some(header) = part::<20>(frame, at) else { return frame.len() };
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let ends = [[s0, s1, s2, s3], [d0, d1, d2, d3]];
    outline.addresses = ends.map(|bytes| Some(Ipv4Addr::from(bytes).into()));
    let behind = at + usize::from(header[0] & 0xf).max(5) * 4;
    let is_later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    if is_later_fragment { behind } else { transport(frame, behind, header[9]) }
}

fn ipv6(frame: &[u8], at: usize, outline: &mut Outline) -> usize {
    let Some(header) = part::<40>(frame, at) else { return frame.len() };
    let address = |at| part::<16>(&header, at).map(|bytes| Ipv6Addr::from(bytes).into());
    outline.addresses = [address(8), address(24)];
    let (mut next, mut at) = (header[6], at + 40);
    for _ in 0..EXTENSIONS_MAX {
        let Some([following, length]) = part(frame, at) else { break };
        match next {
            0 | 43 | 60 | 135 | 139 | 140 => at += (usize::from(length) + 1) * 8,
            44 => {
                let offset = part(frame, at + 2).map_or(0, u16::from_be_bytes) & 0xfff8;
                at += 8;
                if offset != 0 {
                    return at;
                }
            }
            _ => break,
        }
        next = following;
    }
    transport(frame, at, next)
}

fn transport(frame: &[u8], at: usize, protocol: u8) -> usize {
    match protocol {
        TCP => {
            let offset = frame.get(at + 12).map_or(0, |byte| usize::from(byte >> 4) * 4);
            at + offset.max(20)
        }
        UDP => at + 8,
        _ if protocol == ICMP[0] => at + ICMP_BYTES[0],
        _ if protocol == ICMP[1] => at + ICMP_BYTES[1],
        _ => at,
    }
}
