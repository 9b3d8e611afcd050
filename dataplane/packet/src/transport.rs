//! TCP, UDP, ICMP and ICMPv6 headers, and what other protocols give instead.

use crate::Side;
use crate::key::{Kind, ServicePair};
use crate::parse::{Malformed, Opening, TcpFlags, by_side, field};
use crate::quote::{is_error_v4, is_error_v6};

pub(crate) const ICMP_V4: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP_V6: u8 = 58;

/// Where a transport header lies.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// First byte, from the frame's start.
    pub at: usize,
    /// One past the last byte that IP says belongs to the packet.
    pub end: usize,
    /// True for the first of several fragments: its length isn't the datagram's.
    pub first_fragment: bool,
}

/// What the transport header adds to the key.
#[derive(Clone, Copy)]
pub(crate) struct Transport {
    pub kind: Kind,
    pub services: ServicePair,
    /// Whose query it is, of ICMP.
    pub asker: Side,
    pub opening: Opening,
    pub tcp_flags: TcpFlags,
}

impl Transport {
    /// A protocol that has no service fields: its number stands in both.
    pub fn opaque(kind: Kind, protocol: u8) -> Self {
        Self {
            kind,
            services: [[0, protocol]; 2],
            asker: Side::A,
            opening: Opening::May,
            tcp_flags: TcpFlags::default(),
        }
    }
}

/// The IP version around a transport header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Reads the transport header of `protocol`. ICMP counts only in its own family: in the other one its number is an opaque
/// protocol, or a rule for `ping` would let through what no host takes for a ping.
#[inline]
pub(crate) fn parse(
    head: &[u8],
    span: Span,
    protocol: u8,
    family: Family,
    side: Side,
) -> Result<Transport, Malformed> {
    let result = match (protocol, family) {
        (TCP, _) => tcp(head, span, side),
        (UDP, _) => udp(head, span, side),
        (ICMP_V4, Family::V4) => icmp(head, span, side, icmp_v4_query),
        (ICMP_V6, Family::V6) => icmp(head, span, side, icmp_v6_query),
        (other, _) => return Ok(Transport::opaque(Kind::OtherIp, other)),
    };
    match result {
        Err(Malformed::TcpHeader | Malformed::UdpLength | Malformed::IcmpHeader)
            if span.first_fragment =>
        {
            Err(Malformed::FragmentTiny)
        }
        other => other,
    }
}

/// Shortest TCP header.
pub(crate) const TCP_HEADER_BYTES: usize = 20;

#[inline]
fn tcp(head: &[u8], span: Span, side: Side) -> Result<Transport, Malformed> {
    let bad = Malformed::TcpHeader;
    let header: [u8; TCP_HEADER_BYTES] = within(head, span, bad)?;
    let header_bytes = usize::from(header[12] >> 4) * 4;
    if header_bytes < TCP_HEADER_BYTES || span.at + header_bytes > span.end {
        return Err(bad);
    }
    let flags = TcpFlags(header[13]);
    Ok(Transport {
        kind: Kind::Tcp,
        services: by_side(side, [header[0], header[1]], [header[2], header[3]]),
        asker: Side::A,
        opening: flags.opening(),
        tcp_flags: flags,
    })
}

#[inline]
fn udp(head: &[u8], span: Span, side: Side) -> Result<Transport, Malformed> {
    let bad = Malformed::UdpLength;
    let header: [u8; 8] = within(head, span, bad)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if length < 8 || (!span.first_fragment && span.at + length > span.end) {
        return Err(bad);
    }
    Ok(Transport {
        kind: Kind::Udp,
        services: by_side(side, [header[0], header[1]], [header[2], header[3]]),
        asker: Side::A,
        opening: Opening::May,
        tcp_flags: TcpFlags::default(),
    })
}

/// What an ICMP type says about its conversation.
enum Query {
    /// A query; its answer has the same identifier.
    Ask,
    /// The answer to the query of this type.
    Answer(u8),
    /// A message nobody answers.
    OneWay,
}

/// RFC 792 and RFC 950: echo, timestamp, information, address mask.
fn icmp_v4_query(kind: u8) -> Query {
    match kind {
        8 | 13 | 15 | 17 => Query::Ask,
        0 => Query::Answer(8),
        14 | 16 | 18 => Query::Answer(kind - 1),
        _ => Query::OneWay,
    }
}

/// RFC 4443: echo.
fn icmp_v6_query(kind: u8) -> Query {
    match kind {
        128 => Query::Ask,
        129 => Query::Answer(128),
        _ => Query::OneWay,
    }
}

#[inline]
fn icmp(
    head: &[u8],
    span: Span,
    side: Side,
    query: fn(u8) -> Query,
) -> Result<Transport, Malformed> {
    let header: [u8; 8] = within(head, span, Malformed::IcmpHeader)?;
    let [kind, code, _, _, id0, id1, ..] = header;
    let (asker, client, server, opening) = match query(kind) {
        Query::Ask => (side, [id0, id1], [kind, code], Opening::May),
        Query::Answer(asked) => (side.other(), [id0, id1], [asked, code], Opening::MayNot),
        Query::OneWay => (side, [0, 0], [kind, code], Opening::May),
    };
    Ok(Transport {
        kind: Kind::Icmp,
        services: by_side(asker, client, server),
        asker,
        opening,
        tcp_flags: TcpFlags::default(),
    })
}

/// Reads what an ICMP error must quote of a transport header, its first eight bytes. Errors about errors aren't sent (RFC 1122).
pub(crate) fn quoted(
    head: &[u8],
    span: Span,
    protocol: u8,
    family: Family,
    side: Side,
) -> Result<Transport, Malformed> {
    let header: [u8; 8] = within(head, span, Malformed::IcmpHeader)?;
    let [a0, a1, b0, b1, ..] = header;
    let ported = |kind| Transport {
        kind,
        services: by_side(side, [a0, a1], [b0, b1]),
        asker: Side::A,
        opening: Opening::MayNot,
        tcp_flags: TcpFlags::default(),
    };
    match (protocol, family) {
        (TCP, _) => Ok(ported(Kind::Tcp)),
        (UDP, _) => Ok(ported(Kind::Udp)),
        (ICMP_V4, Family::V4) if !is_error_v4(a0) => icmp(head, span, side, icmp_v4_query),
        (ICMP_V6, Family::V6) if !is_error_v6(a0) => icmp(head, span, side, icmp_v6_query),
        (ICMP_V4, Family::V4) | (ICMP_V6, Family::V6) => Err(Malformed::IcmpHeader),
        (other, _) => Ok(Transport::opaque(Kind::OtherIp, other)),
    }
}

/// Reads `N` bytes at the span's start, which must lie inside the span.
#[inline]
pub(crate) fn within<const N: usize>(
    head: &[u8],
    span: Span,
    truncated: Malformed,
) -> Result<[u8; N], Malformed> {
    if span.at + N > span.end {
        return Err(truncated);
    }
    field(head, span.at, span.end, truncated)
}
