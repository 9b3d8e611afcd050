//! The entry point: one frame to its [`Headers`].

use crate::claim::{self, Claim};
use crate::ethernet::{self, Link, MacAddress, Payload};
use crate::ip;
use crate::key::{FlowKey, KeyTail, Kind, SegmentId, Side, WideKey};
use crate::quote::Quote;

/// Why a frame contradicts itself. Each is a drop reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Fewer than 14 bytes.
    FrameTooShort,
    /// The headers don't fit into the frame's first segment though the frame is long enough.
    HeaderSplit,
    /// The source address is a group address, which no station may use.
    SourceMacGroup,
    /// The frame ends inside a tag.
    VlanTruncated,
    /// VLAN id 4095, which is reserved.
    VlanReserved,
    /// An 802.3 length below 3 or beyond the frame.
    LlcLength,
    /// IPv4: wrong version, header length below 20 or beyond the frame.
    Ipv4Header,
    /// IPv4: total length below the header length or beyond the frame.
    Ipv4Length,
    /// IPv6: wrong version or truncated header.
    Ipv6Header,
    /// IPv6: payload beyond the frame, or a jumbogram.
    Ipv6Length,
    /// IPv6: an extension header is truncated, or there are more than eight.
    Ipv6Extensions,
    /// IPv6: routing header type 0 (deprecated by RFC 5095).
    Ipv6RoutingZero,
    /// TCP: truncated header, or data offset below 5 or beyond the segment.
    TcpHeader,
    /// UDP: truncated header, or a length below 8 or beyond the packet.
    UdpLength,
    /// ICMP: fewer than 8 bytes.
    IcmpHeader,
    /// A first fragment without the whole transport header, or a later one that would overlap it (RFC 1858, RFC 3128,
    /// RFC 7112).
    FragmentTiny,
    /// A fragment of a packet that would be longer than 65,535 bytes.
    FragmentTooLong,
}

/// TCP flag bits as on the wire (RFC 9293, 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Acknowledgement field is significant.
    pub const ACK: u8 = 0x10;

    /// True if all of `bits` are set.
    #[inline]
    #[must_use]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    /// May a segment with these flags begin a connection?
    #[inline]
    #[must_use]
    pub fn opening(self) -> Opening {
        let course = self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN);
        if course == Self::SYN { Opening::May } else { Opening::MayNot }
    }

    /// True if any of `bits` is set.
    #[inline]
    #[must_use]
    pub fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

/// Whether a frame may begin a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// TCP SYN without ACK, RST and FIN; any UDP datagram; an ICMP query or one-way message; everything else.
    May,
    /// Belongs to a conversation already there: TCP without an opening SYN, an ICMP reply.
    MayNot,
}

/// Frames that keep the link itself alive, told apart from conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameClass {
    /// Judged by the allowlist.
    Ordinary,
    /// ARP (EtherType 0x0806).
    Arp,
    /// IPv6 router and neighbour discovery: ICMPv6 133–137 with hop limit 255 (RFC 4861).
    NeighbourDiscovery,
    /// To 01:80:c2:00:00:00–0f: STP, LACP, EAPOL, LLDP.
    LinkLocal,
}

/// Which part of an IP packet a frame holds. Atomic fragments (RFC 6946) are whole packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Tells the packets of one pair of hosts apart; 16 bits in IPv4.
    pub identification: u32,
    /// The IP protocol; in IPv6 what follows the fragment header, extension headers included.
    pub protocol: u8,
    /// Where its content begins in the reassembled packet, behind the headers that each fragment has.
    pub offset_bytes: u16,
    /// One past its last byte.
    pub end_bytes: u16,
}

impl Fragment {
    /// Takes lengths that were checked.
    pub(crate) fn new(
        identification: u32,
        protocol: u8,
        offset_bytes: usize,
        content_bytes: usize,
    ) -> Self {
        let clamp = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX);
        let (offset_bytes, end_bytes) = (clamp(offset_bytes), clamp(offset_bytes + content_bytes));
        Self { identification, protocol, offset_bytes, end_bytes }
    }

    /// Does it hold the transport header?
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.offset_bytes == 0
    }
}

/// A received frame, wherever it comes from.
pub trait Frame {
    /// The frame's first contiguous part, without FCS; all of it unless it has several segments.
    fn head(&self) -> &[u8];
    /// Length of the whole frame.
    fn frame_bytes(&self) -> u32;
    /// Asks the processor to fetch the headers.
    fn prefetch(&self) {}
}

impl Frame for &[u8] {
    fn head(&self) -> &[u8] {
        self
    }

    fn frame_bytes(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }
}

/// Where a frame came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The segment.
    pub segment: SegmentId,
    /// The side of it.
    pub side: Side,
}

/// What the pipeline needs to know of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The conversation.
    pub key: FlowKey,
    /// May this frame begin it?
    pub opening: Opening,
    /// Zero unless TCP with its header in this frame.
    pub tcp_flags: TcpFlags,
    /// What kind of frame.
    pub class: FrameClass,
    /// Sender's station.
    pub source_mac: MacAddress,
    /// Receiver's station or group.
    pub destination_mac: MacAddress,
    /// Of a fragment: which part of what.
    pub fragment: Option<Fragment>,
    /// Of an ICMP error: what it is about.
    pub quote: Option<Quote>,
    /// Of ARP and neighbour discovery: who is said to have which address.
    pub claim: Option<Claim>,
}

/// Reads `N` bytes at `at`. Beyond the frame the frame is `truncated`; inside the frame but beyond
/// `head` its headers are split over segments.
#[inline]
pub(crate) fn field<const N: usize>(
    head: &[u8],
    at: usize,
    frame_bytes: usize,
    truncated: Malformed,
) -> Result<[u8; N], Malformed> {
    match head.get(at..).and_then(|rest| rest.first_chunk::<N>()) {
        Some(bytes) => Ok(*bytes),
        None if at + N <= frame_bytes => Err(Malformed::HeaderSplit),
        None => Err(truncated),
    }
}

/// Reads the headers of one frame.
///
/// `head` is the frame's first contiguous part, without FCS, and all of it unless the frame has several
/// segments; `frame_bytes` is the length of the whole frame. Bytes of `head` beyond `frame_bytes` are
/// ignored. No allocation; reads at most 14 + 8 bytes of link layer, the IP headers (at most eight
/// extension headers) and 20 bytes of transport; of an ICMP error the same again of what it quotes, of ARP its 28 bytes, of
/// neighbour discovery at most 32 options.
///
/// # Errors
/// The reason why the frame can't be given a key. Such a frame is to be dropped and counted.
#[inline]
pub fn parse(head: &[u8], frame_bytes: u32, ingress: Ingress) -> Result<Headers, Malformed> {
    let frame_bytes = frame_bytes as usize;
    let head = &head[..head.len().min(frame_bytes)];
    let link = ethernet::parse(head, frame_bytes)?;
    match link.payload {
        Payload::EtherType(ip::ETHER_TYPE_V4) => ip::parse_v4(head, frame_bytes, &link, ingress),
        Payload::EtherType(ip::ETHER_TYPE_V6) => ip::parse_v6(head, frame_bytes, &link, ingress),
        _ => link_layer(head, frame_bytes, &link, ingress),
    }
}

/// Pairs what belongs to the sender and the receiver as (side A, side B).
#[inline]
pub(crate) fn by_side<T>(side: Side, sender: T, receiver: T) -> [T; 2] {
    match side {
        Side::A => [sender, receiver],
        Side::B => [receiver, sender],
    }
}

/// Key of a frame that isn't IP: (VLANs, MACs, EtherType or LLC/SNAP).
fn link_layer(
    head: &[u8],
    frame_bytes: usize,
    link: &Link,
    ingress: Ingress,
) -> Result<Headers, Malformed> {
    const ARP: u16 = 0x0806;
    const SNAP_BYTES: usize = 8;
    let arp_at = match link.payload {
        Payload::EtherType(ARP) => Some(link.payload_at),
        Payload::Snap { oui: [0, 0, 0], protocol: ARP } => Some(link.payload_at + SNAP_BYTES),
        _ => None,
    };
    let claim = match arp_at {
        Some(at) => claim::arp(head, at, frame_bytes, link)?,
        None => None,
    };
    let (kind, service, oui) = match link.payload {
        Payload::EtherType(ether_type) => (Kind::NonIp, ether_type, [0; 3]),
        Payload::Llc { access_points } => (Kind::Llc, access_points, [0; 3]),
        Payload::Snap { oui, protocol } => (Kind::Snap, protocol, oui),
    };
    let address = |mac: MacAddress| {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&mac.0);
        bytes[6..9].copy_from_slice(&oui);
        bytes
    };
    let addresses = by_side(ingress.side, address(link.source), address(link.destination));
    let services = [service.to_be_bytes(); 2];
    let tail = KeyTail::new(ingress.segment, link.vlans, kind);
    let class = if link.destination.is_link_local_group() {
        FrameClass::LinkLocal
    } else if link.payload == Payload::EtherType(ARP) {
        FrameClass::Arp
    } else {
        FrameClass::Ordinary
    };
    Ok(Headers {
        key: FlowKey::Wide(WideKey::new(addresses, services, tail)),
        opening: Opening::May,
        tcp_flags: TcpFlags::default(),
        class,
        source_mac: link.source,
        destination_mac: link.destination,
        fragment: None,
        quote: None,
        claim,
    })
}
