//! The same frame read by etherparse, and what the two readers may disagree about.
//!
//! Every disagreement has an entry in [`Listed`] with its reason; anything else is an error. Where both accept, addresses,
//! VLANs, protocol and ports must be equal.

use std::net::IpAddr;

use etherparse::err::{Layer, packet::SliceError};
use etherparse::{LinkExtSlice, LinkSlice, NetSlice, SlicedPacket, TransportSlice};
use loadlock_packet::{FrameClass, Headers, Kind, Malformed, Network, Side, VlanStack};

use crate::frames::{ICMP, ICMP_V6, TCP, UDP, parse_a};

/// Why the readers may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listed {
    /// A group address as source: etherparse doesn't judge addresses.
    SourceMacGroup,
    /// VLAN 4095: etherparse doesn't judge VLAN ids.
    VlanReserved,
    /// 802.3 lengths: etherparse takes them for EtherTypes.
    LlcLength,
    /// IPv6 payload length 0: etherparse takes the rest of the frame for the payload.
    Jumbogram,
    /// A routing header of type 0: etherparse follows it.
    RoutingZero,
    /// More than eight extension headers: etherparse has no limit.
    ChainTooLong,
    /// Mobility, host identity, shim6: etherparse stops there, we go on.
    FurtherExtension,
    /// First fragments: etherparse doesn't read their transport header.
    FirstFragment,
    /// Later fragments: etherparse reads extension headers out of their content, and doesn't judge their end.
    LaterFragment,
    /// UDP length 0: etherparse takes the packet's length.
    UdpLengthZero,
    /// Three tags, or MACsec: etherparse goes on, we stop at an opaque EtherType.
    FurtherTag,
    /// ARP, truncated: we don't look into it.
    ArpContent,
    /// Authentication header: etherparse looks behind it, we stop at an opaque protocol.
    AuthenticationHeader,
    /// Hop-by-hop options that aren't first: etherparse refuses, we follow.
    HopByHopNotFirst,
    /// ICMP timestamps of fewer than 20 bytes, and other message lengths beyond eight bytes.
    IcmpMessageLength,
    /// IGMP, truncated: an opaque protocol for us.
    IgmpContent,
    /// The other family's ICMP: an opaque protocol for us.
    OtherFamilyIcmp,
}

/// Compares both readings of `frame`: `Ok(None)` if they agree.
pub fn compare(frame: &[u8]) -> Result<Option<Listed>, String> {
    let ours = parse_a(frame);
    let theirs = SlicedPacket::from_ethernet(frame);
    match (&ours, &theirs) {
        (Err(_), Err(_)) => Ok(None),
        (Ok(headers), Ok(packet)) => both_accept(headers, packet),
        (Err(malformed), Ok(packet)) => only_we_refuse(*malformed, packet),
        (Ok(headers), Err(error)) => only_they_refuse(headers, error),
    }
    .map_err(|what| format!("{what}\n ours {ours:?}\n theirs {theirs:?}\n frame {frame:02x?}"))
}

fn only_we_refuse(
    malformed: Malformed,
    packet: &SlicedPacket<'_>,
) -> Result<Option<Listed>, String> {
    let jumbogram =
        matches!(&packet.net, Some(NetSlice::Ipv6(ip)) if ip.header().payload_length() == 0);
    let udp_zero = matches!(&packet.transport, Some(TransportSlice::Udp(udp)) if udp.length() == 0);
    let listed = match malformed {
        Malformed::TcpHeader
        | Malformed::UdpLength
        | Malformed::IcmpHeader
        | Malformed::FragmentTiny
        | Malformed::FragmentTooLong
        | Malformed::Ipv6Extensions
        | Malformed::Ipv6RoutingZero
            if further_extension(packet) =>
        {
            Listed::FurtherExtension
        }
        Malformed::SourceMacGroup => Listed::SourceMacGroup,
        Malformed::VlanReserved => Listed::VlanReserved,
        Malformed::LlcLength => Listed::LlcLength,
        Malformed::Ipv6Length if jumbogram => Listed::Jumbogram,
        Malformed::Ipv6RoutingZero => Listed::RoutingZero,
        Malformed::Ipv6Extensions if extension_headers(packet) > 8 => Listed::ChainTooLong,
        Malformed::FragmentTiny | Malformed::FragmentTooLong if is_fragment(packet) => {
            Listed::LaterFragment
        }
        Malformed::UdpLength if udp_zero => Listed::UdpLengthZero,
        other => return Err(format!("only we refuse: {other:?}")),
    };
    Ok(Some(listed))
}

fn only_they_refuse(headers: &Headers, error: &SliceError) -> Result<Option<Listed>, String> {
    let kind = headers.key.tail().kind();
    let service = headers.key.endpoint(Side::A).service;
    let narrow = matches!(headers.key, loadlock_packet::FlowKey::Narrow(_));
    let layer = match error {
        SliceError::Len(error) => Some(error.layer),
        _ => None,
    };
    let listed = match (kind, service) {
        (Kind::NonIp, 0x8100 | 0x88a8 | 0x9100 | 0x88e5) => Listed::FurtherTag,
        (Kind::NonIp, 0x0806) if layer == Some(Layer::Arp) => Listed::ArpContent,
        (Kind::OtherIp, 51) => Listed::AuthenticationHeader,
        (Kind::OtherIp, 2) => Listed::IgmpContent,
        (Kind::OtherIp, 58) if narrow => Listed::OtherFamilyIcmp,
        (Kind::OtherIp, 1) if !narrow => Listed::OtherFamilyIcmp,
        (Kind::Fragment, _) => Listed::LaterFragment,
        (Kind::Icmp, _)
            if matches!(layer, Some(Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply)) =>
        {
            Listed::IcmpMessageLength
        }
        _ if hop_by_hop_late(error) => Listed::HopByHopNotFirst,
        _ => return Err("only they refuse".to_owned()),
    };
    Ok(Some(listed))
}

fn hop_by_hop_late(error: &SliceError) -> bool {
    matches!(
        error,
        SliceError::Ipv6Exts(etherparse::err::ipv6_exts::HeaderError::HopByHopNotAtStart)
    )
}

fn both_accept(headers: &Headers, packet: &SlicedPacket<'_>) -> Result<Option<Listed>, String> {
    let same = |equal: bool, what: &str| if equal { Ok(()) } else { Err(format!("{what} differ")) };
    let Some(LinkSlice::Ethernet2(link)) = &packet.link else { return Err("no link".to_owned()) };
    same(headers.source_mac.0 == link.source(), "source MACs")?;
    same(headers.destination_mac.0 == link.destination(), "destination MACs")?;
    let tags: Vec<u16> = packet
        .link_exts
        .iter()
        .map_while(|extension| match extension {
            LinkExtSlice::Vlan(tag) => Some(tag.vlan_identifier().value()),
            LinkExtSlice::Macsec(_) => None,
        })
        .collect();
    let id = |at: usize| tags.get(at).copied().unwrap_or(0);
    same(headers.key.tail().vlans() == VlanStack::new(id(0), id(1)), "VLANs")?;
    if packet.link_exts.len() > 2 || tags.len() < packet.link_exts.len() {
        same(headers.key.tail().kind() == Kind::NonIp, "kinds")?;
        return Ok(Some(Listed::FurtherTag));
    }
    match &packet.net {
        None | Some(NetSlice::Arp(_)) => {
            let ether_type = packet.link_exts.last().and_then(LinkExtSlice::ether_payload);
            let ether_type = ether_type.unwrap_or_else(|| link.payload()).ether_type.0;
            same_link(headers, ether_type)
        }
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let ends = [header.source_addr().into(), header.destination_addr().into()];
            same(addresses(headers) == Some(ends), "addresses")?;
            same_transport(headers, packet, header.protocol().0)
        }
        Some(NetSlice::Ipv6(ip)) => {
            let ends = [ip.header().source_addr().into(), ip.header().destination_addr().into()];
            same(addresses(headers) == Some(ends), "addresses")?;
            same_transport(headers, packet, ip.payload().ip_number.0)
        }
    }
}

fn same_link(headers: &Headers, ether_type: u16) -> Result<Option<Listed>, String> {
    let kind = headers.key.tail().kind();
    let service = headers.key.endpoint(Side::A).service;
    let fits = match kind {
        Kind::NonIp => ether_type > 1500 && service == ether_type,
        Kind::Llc | Kind::Snap => ether_type <= 1500,
        _ => false,
    };
    let arp = kind == Kind::NonIp && ether_type == 0x0806;
    let class = headers.class == FrameClass::Arp || headers.class == FrameClass::LinkLocal;
    if fits && (class || !arp) { Ok(None) } else { Err("link layers differ".to_owned()) }
}

fn same_transport(
    headers: &Headers,
    packet: &SlicedPacket<'_>,
    protocol: u8,
) -> Result<Option<Listed>, String> {
    let kind = headers.key.tail().kind();
    let [a, b] = [Side::A, Side::B].map(|side| headers.key.endpoint(side).service);
    let v4 = matches!(packet.net, Some(NetSlice::Ipv4(_)));
    let fits = match (kind, &packet.transport) {
        (Kind::Tcp, Some(TransportSlice::Tcp(tcp))) => {
            (a, b) == (tcp.source_port(), tcp.destination_port())
                && headers.tcp_flags.0 == flags(tcp)
        }
        (Kind::Udp, Some(TransportSlice::Udp(udp))) => {
            (a, b) == (udp.source_port(), udp.destination_port())
        }
        (Kind::Icmp, Some(TransportSlice::Icmpv4(icmp))) => {
            v4 && same_icmp(v4, (a, b), icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8())
        }
        (Kind::Icmp, Some(TransportSlice::Icmpv6(icmp))) => {
            !v4 && same_icmp(v4, (a, b), icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8())
        }
        (Kind::OtherIp, Some(TransportSlice::Icmpv4(_))) if !v4 && a == u16::from(ICMP) => {
            return Ok(Some(Listed::OtherFamilyIcmp));
        }
        (Kind::OtherIp, Some(TransportSlice::Icmpv6(_))) if v4 && a == u16::from(ICMP_V6) => {
            return Ok(Some(Listed::OtherFamilyIcmp));
        }
        (Kind::OtherIp, _) if a == 51 => return Ok(Some(Listed::AuthenticationHeader)),
        (Kind::OtherIp, None | Some(TransportSlice::Igmp(_))) if a == u16::from(protocol) => true,
        (Kind::Fragment, None) if is_fragment(packet) => {
            return Ok((a != u16::from(protocol)).then_some(Listed::LaterFragment));
        }
        (Kind::Tcp | Kind::Udp | Kind::Icmp | Kind::OtherIp, None) if is_fragment(packet) => {
            return Ok(Some(Listed::FirstFragment));
        }
        (_, None) if further_extension(packet) => return Ok(Some(Listed::FurtherExtension)),
        _ => false,
    };
    let known = matches!(protocol, TCP | UDP | ICMP | ICMP_V6);
    if fits && (known || kind == Kind::OtherIp) {
        Ok(None)
    } else {
        Err("transports differ".to_owned())
    }
}

/// RFC 792, RFC 950 and RFC 4443, written down again.
fn same_icmp(v4: bool, services: (u16, u16), kind: u8, code: u8, rest: [u8; 4]) -> bool {
    let identifier = u16::from_be_bytes([rest[0], rest[1]]);
    let service = |kind: u8| u16::from_be_bytes([kind, code]);
    let expected = match (v4, kind) {
        (true, 8 | 13 | 15 | 17) | (false, 128) => (identifier, service(kind)),
        (true, 0) => (service(8), identifier),
        (true, 14 | 16 | 18) | (false, 129) => (service(kind - 1), identifier),
        _ => (0, service(kind)),
    };
    services == expected
}

fn flags(tcp: &etherparse::TcpSlice<'_>) -> u8 {
    let bits =
        [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg(), tcp.ece(), tcp.cwr()];
    bits.iter().enumerate().map(|(at, &set)| u8::from(set) << at).sum()
}

fn addresses(headers: &Headers) -> Option<[IpAddr; 2]> {
    match [Side::A, Side::B].map(|side| headers.key.endpoint(side).network) {
        [Network::Ip(a), Network::Ip(b)] => Some([a, b]),
        _ => None,
    }
}

fn is_fragment(packet: &SlicedPacket<'_>) -> bool {
    packet.is_ip_payload_fragmented()
}

/// True where etherparse stopped at a header that we follow.
fn further_extension(packet: &SlicedPacket<'_>) -> bool {
    matches!(&packet.net, Some(NetSlice::Ipv6(ip)) if [135, 139, 140].contains(&ip.payload().ip_number.0))
}

/// Extension headers that etherparse followed.
fn extension_headers(packet: &SlicedPacket<'_>) -> usize {
    match &packet.net {
        Some(NetSlice::Ipv6(ip)) => ip.extensions().clone().into_iter().count(),
        _ => 0,
    }
}
