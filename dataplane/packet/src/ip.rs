//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use crate::claim;
use crate::ethernet::Link;
use crate::key::{FlowKey, KeyTail, Kind, NarrowKey, WideKey};
use crate::parse::{Fragment, FrameClass, Headers, Ingress, Malformed, by_side, field};
use crate::quote::{self, Quote};
use crate::transport::{self, Family, Span, Transport};

pub(crate) const ETHER_TYPE_V4: u16 = 0x0800;
pub(crate) const ETHER_TYPE_V6: u16 = 0x86dd;

/// Most extension headers that are followed.
const EXTENSIONS_MAX: usize = 8;
/// A fragment's bytes may not reach beyond the largest IP packet: the total length of IPv4, the payload length of IPv6.
const PACKET_BYTES_MAX: usize = 65_535;

/// Reads an IPv4 packet behind `link`.
#[inline]
pub(crate) fn parse_v4(
    head: &[u8],
    frame_bytes: usize,
    link: &Link,
    ingress: Ingress,
) -> Result<Headers, Malformed> {
    let at = link.payload_at;
    let header: [u8; 20] = field(head, at, frame_bytes, Malformed::Ipv4Header)?;
    let header_bytes = usize::from(header[0] & 0xf) * 4;
    if header[0] >> 4 != 4 || header_bytes < 20 || at + header_bytes > frame_bytes {
        return Err(Malformed::Ipv4Header);
    }
    let total_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total_bytes < header_bytes || at + total_bytes > frame_bytes {
        return Err(Malformed::Ipv4Length);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let offset_bytes = usize::from(fragment & 0x1fff) * 8;
    let more = fragment & 0x2000 != 0;
    let protocol = header[9];
    let identification = u32::from(u16::from_be_bytes([header[4], header[5]]));
    let content_bytes = total_bytes - header_bytes;
    let fragment = (more || offset_bytes != 0)
        .then(|| Fragment::new(identification, protocol, offset_bytes, content_bytes));
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let mut quote = None;
    let transport = if offset_bytes != 0 {
        later_fragment(offset_bytes, total_bytes, protocol)?
    } else {
        let span = Span { at: at + header_bytes, end: at + total_bytes, first_fragment: more };
        let transport = transport::parse(head, span, protocol, Family::V4, ingress.side)?;
        if transport.kind == Kind::Icmp && is_error(head, span, quote::is_error_v4) {
            quote = Some(match span.first_fragment {
                true => Quote::Unreadable,
                false => quote::v4(head, span, [d0, d1, d2, d3], link, ingress)?,
            });
        }
        transport
    };
    let addresses = by_side(ingress.side, [s0, s1, s2, s3], [d0, d1, d2, d3]);
    let tail = tail(ingress, link, transport);
    let key = FlowKey::Narrow(NarrowKey::new(addresses, transport.services, tail));
    Ok(Headers { fragment, quote, ..headers(key, FrameClass::Ordinary, link, transport) })
}

/// Reads an IPv6 packet behind `link`.
#[inline]
pub(crate) fn parse_v6(
    head: &[u8],
    frame_bytes: usize,
    link: &Link,
    ingress: Ingress,
) -> Result<Headers, Malformed> {
    const HEADER_BYTES: usize = 40;
    let at = link.payload_at;
    let header: [u8; HEADER_BYTES] = field(head, at, frame_bytes, Malformed::Ipv6Header)?;
    if header[0] >> 4 != 6 {
        return Err(Malformed::Ipv6Header);
    }
    let payload_bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let end = at + HEADER_BYTES + payload_bytes;
    let jumbogram = payload_bytes == 0 && header[6] != NO_NEXT_HEADER;
    if jumbogram || end > frame_bytes {
        return Err(Malformed::Ipv6Length);
    }
    let chain = Span { at: at + HEADER_BYTES, end, first_fragment: false };
    let mut source = [0; 16];
    let mut destination = [0; 16];
    source.copy_from_slice(&header[8..24]);
    destination.copy_from_slice(&header[24..40]);
    let mut quote = None;
    let mut transport_at = end;
    let mut claim = None;
    let (transport, fragment) = match extensions(head, chain, header[6])? {
        Chain::Transport { protocol, span, fragment } => {
            transport_at = span.at;
            let transport = transport::parse(head, span, protocol, Family::V6, ingress.side)?;
            if transport.kind == Kind::Icmp && is_error(head, span, quote::is_error_v6) {
                quote = Some(match span.first_fragment {
                    true => Quote::Unreadable,
                    false => quote::v6(head, span, destination, link, ingress)?,
                });
            }
            if transport.kind == Kind::Icmp {
                claim = claim::discovery(head, span, source)?;
            }
            (transport, fragment)
        }
        Chain::LaterFragment { fragment, counted_bytes } => {
            let Fragment { protocol, offset_bytes, .. } = fragment;
            (later_fragment(offset_bytes.into(), counted_bytes, protocol)?, Some(fragment))
        }
    };
    let addresses = by_side(ingress.side, source, destination);
    let tail = tail(ingress, link, transport);
    let key = FlowKey::Wide(WideKey::new(addresses, transport.services, tail));
    let discovery = header[6] == transport::ICMP_V6
        && header[7] == 255
        && matches!(head.get(transport_at), Some(133..=137));
    let class = if discovery { FrameClass::NeighbourDiscovery } else { FrameClass::Ordinary };
    Ok(Headers { fragment, quote, claim, ..headers(key, class, link, transport) })
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// What a chain of extension headers leads to.
pub(crate) enum Chain {
    /// A transport header, in `span`, perhaps of a first fragment.
    Transport { protocol: u8, span: Span, fragment: Option<Fragment> },
    /// Content of a fragment that isn't the first.
    LaterFragment {
        fragment: Fragment,
        /// Bytes of it that count for the length of the reassembled packet.
        counted_bytes: usize,
    },
}

/// Is the ICMP message in `span`, whose header was read, an error?
fn is_error(head: &[u8], span: Span, is_error: fn(u8) -> bool) -> bool {
    head.get(span.at).is_some_and(|&kind| is_error(kind))
}

/// Follows the chain of extension headers to the transport header. AH and ESP end it as opaque protocols.
#[inline]
pub(crate) fn extensions(head: &[u8], mut span: Span, mut next: u8) -> Result<Chain, Malformed> {
    let bad = Malformed::Ipv6Extensions;
    let payload_at = span.at;
    let mut first = None;
    for _ in 0..=EXTENSIONS_MAX {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6 => {
                let [following, units, kind] = extension(head, span)?;
                if next == ROUTING && kind == 0 {
                    return Err(Malformed::Ipv6RoutingZero);
                }
                next = following;
                span.at += (usize::from(units) + 1) * 8;
                if span.at > span.end {
                    return Err(if span.first_fragment { Malformed::FragmentTiny } else { bad });
                }
            }
            FRAGMENT => {
                let header: [u8; 8] = extension(head, span)?;
                let fragment = u16::from_be_bytes([header[2], header[3]]);
                next = header[0];
                let offset_bytes = usize::from(fragment & 0xfff8);
                let [.., i0, i1, i2, i3] = header;
                let identification = u32::from_be_bytes([i0, i1, i2, i3]);
                let content_bytes = span.end - span.at - header.len();
                let this = Fragment::new(identification, next, offset_bytes, content_bytes);
                if offset_bytes != 0 {
                    // All but the fragment header itself counts for the reassembled length (RFC 8200, 4.5).
                    let counted_bytes = span.end - payload_at - header.len();
                    return Ok(Chain::LaterFragment { fragment: this, counted_bytes });
                }
                span.at += header.len();
                if fragment & 1 != 0 {
                    // Of a fragment in a fragment the outer one is put together first.
                    span.first_fragment = true;
                    first = first.or(Some(this));
                }
            }
            protocol => return Ok(Chain::Transport { protocol, span, fragment: first }),
        }
    }
    Err(bad)
}

/// Reads the start of an extension header. A chain that a first fragment cuts is a tiny fragment.
#[inline]
fn extension<const N: usize>(head: &[u8], span: Span) -> Result<[u8; N], Malformed> {
    let truncated =
        if span.first_fragment { Malformed::FragmentTiny } else { Malformed::Ipv6Extensions };
    if span.at + 8 > span.end {
        return Err(truncated);
    }
    field(head, span.at, span.end, truncated)
}

/// A fragment without its transport header. `counted_bytes` are those of this fragment, headers included, that count for
/// the length of the reassembled packet.
fn later_fragment(
    offset_bytes: usize,
    counted_bytes: usize,
    protocol: u8,
) -> Result<Transport, Malformed> {
    if offset_bytes + counted_bytes > PACKET_BYTES_MAX {
        return Err(Malformed::FragmentTooLong);
    }
    // Every first fragment that passes holds this much, so that only an attempt to overwrite it begins here. The headers
    // of UDP and ICMP end where the lowest possible offset begins.
    if protocol == transport::TCP && offset_bytes < transport::TCP_HEADER_BYTES {
        return Err(Malformed::FragmentTiny);
    }
    Ok(Transport::opaque(Kind::Fragment, protocol))
}

#[inline]
pub(crate) fn tail(ingress: Ingress, link: &Link, transport: Transport) -> KeyTail {
    KeyTail::new(ingress.segment, link.vlans, transport.kind).of_client(transport.asker)
}

#[inline]
fn headers(key: FlowKey, class: FrameClass, link: &Link, transport: Transport) -> Headers {
    let class = if link.destination.is_link_local_group() { FrameClass::LinkLocal } else { class };
    Headers {
        key,
        opening: transport.opening,
        tcp_flags: transport.tcp_flags,
        class,
        source_mac: link.source,
        destination_mac: link.destination,
        fragment: None,
        quote: None,
        claim: None,
    }
}
