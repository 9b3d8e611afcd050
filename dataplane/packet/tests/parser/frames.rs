//! Frames as bytes: every length and field may be set, also wrongly.

use loadlock_packet::{Headers, Ingress, Malformed, SegmentId, Side, parse};

pub const MAC_A: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0a];
pub const MAC_B: [u8; 6] = [0x02, 0, 0, 0, 0, 0x0b];
pub const V4_A: [u8; 4] = [10, 1, 2, 3];
pub const V4_B: [u8; 4] = [192, 168, 7, 9];
pub const V6_A: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a];
pub const V6_B: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x0b];

pub const TYPE_V4: u16 = 0x0800;
pub const TYPE_V6: u16 = 0x86dd;
pub const TAG: u16 = 0x8100;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMP_V6: u8 = 58;

pub const HOP_BY_HOP: u8 = 0;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const NO_NEXT: u8 = 59;
pub const DESTINATION: u8 = 60;

/// IPv4 "more fragments".
pub const MORE: u16 = 0x2000;

/// Ingress at `side` of segment 0.
pub fn at(side: Side) -> Ingress {
    Ingress { segment: SegmentId::new(0).expect("segment 0 exists"), side }
}

/// Parses a frame that came in at `side` in one piece.
pub fn parse_at(side: Side, frame: &[u8]) -> Result<Headers, Malformed> {
    parse(frame, u32::try_from(frame.len()).expect("short frame"), at(side))
}

/// Parses a frame that came in at side A.
pub fn parse_a(frame: &[u8]) -> Result<Headers, Malformed> {
    parse_at(Side::A, frame)
}

/// Service fields of side A and side B.
pub fn services(headers: &Headers) -> (u16, u16) {
    (headers.key.endpoint(Side::A).service, headers.key.endpoint(Side::B).service)
}

/// An Ethernet frame from `source` to `destination` with tags as (TPID, control).
pub fn ethernet(
    source: [u8; 6],
    destination: [u8; 6],
    tags: &[(u16, u16)],
    ether_type: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = [destination, source].concat();
    for (protocol, control) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 header to be changed at will, from A to B.
#[derive(Clone, Debug)]
pub struct V4 {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub protocol: u8,
    /// Flags and offset in units of 8 bytes.
    pub fragment: u16,
    /// A multiple of 4 bytes.
    pub options: Vec<u8>,
}

impl V4 {
    pub fn new(protocol: u8) -> Self {
        Self { source: V4_A, destination: V4_B, protocol, fragment: 0, options: Vec::new() }
    }

    pub fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.source, &mut self.destination);
        self
    }

    pub fn fragment(mut self, fragment: u16) -> Self {
        self.fragment = fragment;
        self
    }

    pub fn packet(&self, content: &[u8]) -> Vec<u8> {
        let header_bytes = 20 + self.options.len();
        let total = u16::try_from(header_bytes + content.len()).expect("fits IPv4");
        let mut packet = vec![0x40 | (header_bytes / 4) as u8, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0x12, 0x34]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(&self.options);
        packet.extend(content);
        packet
    }

    /// An untagged frame from A to B, or back for a reversed header.
    pub fn frame(&self, content: &[u8]) -> Vec<u8> {
        let (source, destination) =
            if self.source == V4_B { (MAC_B, MAC_A) } else { (MAC_A, MAC_B) };
        ethernet(source, destination, &[], TYPE_V4, &self.packet(content))
    }
}

/// An IPv6 header to be changed at will, from A to B.
#[derive(Clone, Debug)]
pub struct V6 {
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub next: u8,
    pub hop_limit: u8,
}

impl V6 {
    pub fn new(next: u8) -> Self {
        Self { source: V6_A, destination: V6_B, next, hop_limit: 64 }
    }

    pub fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.source, &mut self.destination);
        self
    }

    pub fn packet(&self, content: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(u16::try_from(content.len()).expect("fits IPv6").to_be_bytes());
        packet.extend([self.next, self.hop_limit]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(content);
        packet
    }

    /// An untagged frame from A to B, or back for a reversed header.
    pub fn frame(&self, content: &[u8]) -> Vec<u8> {
        let (source, destination) =
            if self.source == V6_B { (MAC_B, MAC_A) } else { (MAC_A, MAC_B) };
        ethernet(source, destination, &[], TYPE_V6, &self.packet(content))
    }
}

/// An untagged frame from A to B with a chain of extension headers before `protocol` and its `content`.
pub fn chained(extensions: &[Extension], protocol: u8, content: &[u8]) -> Vec<u8> {
    let first = extensions.first().map_or(protocol, |extension| extension.number);
    let mut bytes = Vec::new();
    for (index, extension) in extensions.iter().enumerate() {
        let next = extensions.get(index + 1).map_or(protocol, |extension| extension.number);
        bytes.push(next);
        bytes.extend(&extension.rest);
    }
    bytes.extend(content);
    V6::new(first).frame(&bytes)
}

/// An extension header: its number, and its bytes but the first.
#[derive(Clone, Debug)]
pub struct Extension {
    pub number: u8,
    pub rest: Vec<u8>,
}

/// An options-like header of `8 × (units + 1)` bytes.
pub fn options(number: u8, units: u8) -> Extension {
    let mut rest = vec![units, 1, 4];
    rest.resize(7 + 8 * usize::from(units), 0);
    Extension { number, rest }
}

/// A routing header of this type without addresses.
pub fn routing(kind: u8) -> Extension {
    Extension { number: ROUTING, rest: vec![0, kind, 0, 0, 0, 0, 0] }
}

/// A fragment header.
pub fn fragment(offset_bytes: u16, more: bool) -> Extension {
    assert!(offset_bytes.is_multiple_of(8));
    let [high, low] = (offset_bytes | u16::from(more)).to_be_bytes();
    Extension { number: FRAGMENT, rest: vec![0, high, low, 0xca, 0xfe, 0xf0, 0x0d] }
}

/// A TCP segment; `options` is a multiple of 4 bytes.
pub fn tcp(ports: (u16, u16), flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(ports.0.to_be_bytes());
    segment.extend(ports.1.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    segment.extend([((20 + options.len()) / 4) as u8 * 16, flags]);
    segment.extend([0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// A UDP datagram.
pub fn udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("fits UDP");
    let mut datagram = Vec::new();
    datagram.extend(ports.0.to_be_bytes());
    datagram.extend(ports.1.to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// An ICMP or ICMPv6 message with an identifier where queries have it.
pub fn icmp(kind: u8, code: u8, identifier: u16) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    vec![kind, code, 0, 0, high, low, 0, 1, 0xaa, 0xbb]
}
