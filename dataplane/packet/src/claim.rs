//! What ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861) say about who has an address.

use crate::address::Address;
use crate::ethernet::{Link, MacAddress};
use crate::parse::{Malformed, field};
use crate::transport::Span;

/// A station is said to have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address, never the unspecified one.
    pub address: Address,
    /// The station; `None` if the frame names two, or hides it behind more options than are read.
    pub mac: Option<MacAddress>,
    /// Nobody asked: gratuitous ARP, an unsolicited neighbour advertisement.
    pub unasked: bool,
}

/// Most options of a neighbour discovery message that are read.
const OPTIONS_MAX: usize = 32;

/// What lies behind the frame isn't said; what lies in another buffer segment can't be judged.
fn said<T>(read: Result<T, Malformed>) -> Result<Option<T>, Malformed> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Malformed::HeaderSplit) => Err(Malformed::HeaderSplit),
        Err(_) => Ok(None),
    }
}

/// Reads the ARP packet at `at`. `None` for one that is cut, or not about IPv4 over Ethernet: receivers ignore it.
#[cold]
pub(crate) fn arp(
    head: &[u8],
    at: usize,
    frame_bytes: usize,
    link: &Link,
) -> Result<Option<Claim>, Malformed> {
    let packet: Result<[u8; 28], _> = field(head, at, frame_bytes, Malformed::FrameTooShort);
    let Some(packet) = said(packet)? else { return Ok(None) };
    // Receivers take IEEE 802 (6) for Ethernet (1) too.
    if !matches!(packet[..6], [0, 1 | 6, 8, 0, 6, 4]) {
        return Ok(None);
    }
    let [.., m0, m1, m2, m3, m4, m5, s0, s1, s2, s3, _, _, _, _, _, _, t0, t1, t2, t3] = packet;
    let (sender, target) = ([s0, s1, s2, s3], [t0, t1, t2, t3]);
    let reply = packet[7] == 2;
    let claim = Claim {
        address: Address::v4(sender),
        mac: Some(MacAddress([m0, m1, m2, m3, m4, m5])),
        unasked: sender == target || (reply && link.destination.is_group()),
    };
    // A probe (RFC 5227) claims nothing.
    Ok(Some(claim).filter(|claim| !claim.address.is_unspecified()))
}

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const SOLICITED: u8 = 0x40;

/// Reads the ICMPv6 message in `span`, sent by `source`. `None` if it isn't neighbour discovery or names no station.
pub(crate) fn discovery(
    head: &[u8],
    span: Span,
    source: [u8; 16],
) -> Result<Option<Claim>, Malformed> {
    match head.get(span.at) {
        Some(ROUTER_SOLICITATION..=REDIRECT) => message(head, span, source),
        _ => Ok(None),
    }
}

#[cold]
fn message(head: &[u8], span: Span, source: [u8; 16]) -> Result<Option<Claim>, Malformed> {
    let read = |at: usize| field::<16>(head, span.at + at, span.end, Malformed::IcmpHeader);
    let kind = head[span.at];
    let (option, options_at) = match kind {
        ROUTER_SOLICITATION => (SOURCE_LINK_ADDRESS, 8),
        ROUTER_ADVERTISEMENT => (SOURCE_LINK_ADDRESS, 16),
        NEIGHBOUR_SOLICITATION => (SOURCE_LINK_ADDRESS, 24),
        NEIGHBOUR_ADVERTISEMENT => (TARGET_LINK_ADDRESS, 24),
        _ => (TARGET_LINK_ADDRESS, 40),
    };
    let address = match option {
        TARGET_LINK_ADDRESS if span.at + 24 > span.end => None,
        TARGET_LINK_ADDRESS => said(read(8))?,
        _ => Some(source),
    };
    let Some(address) = address.map(Address::v6).filter(|address| !address.is_unspecified()) else {
        return Ok(None);
    };
    let solicited = head.get(span.at + 4).is_some_and(|flags| flags & SOLICITED != 0);
    let claim =
        Claim { address, mac: None, unasked: kind == NEIGHBOUR_ADVERTISEMENT && !solicited };
    let mut at = span.at + options_at;
    let mut named: Option<MacAddress> = None;
    for _ in 0..OPTIONS_MAX {
        if at + 8 > span.end {
            return Ok(named.map(|mac| Claim { mac: Some(mac), ..claim }));
        }
        let [found, units, mac @ ..]: [u8; 8] = field(head, at, span.end, Malformed::IcmpHeader)?;
        if units == 0 {
            // Receivers throw the whole message away.
            return Ok(None);
        }
        if found == option {
            let mac = MacAddress(mac);
            if named.is_some_and(|named| named != mac) {
                return Ok(Some(claim));
            }
            named = Some(mac);
        }
        at += usize::from(units) * 8;
    }
    Ok(Some(claim))
}
