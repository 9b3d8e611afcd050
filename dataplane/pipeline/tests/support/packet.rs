//! Packets between a few hosts, described without the parser's help.

use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_generate::frame::{FrameBuilder, IcmpMessage, Ipv4, Ipv6, Mac, Tcp, TcpFlags};
use loadlock_packet::Side;

/// TCP flags as on the wire.
pub mod flags {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}

/// Sorts of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sort {
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
    /// Echo; the asker's port is the identifier.
    Ping4,
    /// Destination unreachable.
    Unreachable4,
    /// Packet too big.
    TooBig6,
    /// Protocol 47.
    Gre4,
    /// EtherType 0x8892, PROFINET-RT.
    Profinet,
}

impl Sort {
    pub const ALL: [Sort; 9] = [
        Sort::Tcp4,
        Sort::Tcp6,
        Sort::Udp4,
        Sort::Udp6,
        Sort::Ping4,
        Sort::Unreachable4,
        Sort::TooBig6,
        Sort::Gre4,
        Sort::Profinet,
    ];

    pub fn is_tcp(self) -> bool {
        matches!(self, Sort::Tcp4 | Sort::Tcp6)
    }

    pub fn is_icmp(self) -> bool {
        matches!(self, Sort::Ping4 | Sort::Unreachable4 | Sort::TooBig6)
    }

    pub fn is_error(self) -> bool {
        matches!(self, Sort::Unreachable4 | Sort::TooBig6)
    }

    pub fn is_narrow(self) -> bool {
        !matches!(self, Sort::Tcp6 | Sort::Udp6 | Sort::TooBig6 | Sort::Profinet)
    }
}

/// One packet between a host on side A and one on side B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub sort: Sort,
    pub from: Side,
    /// Numbers of the hosts on side A and side B.
    pub hosts: [u8; 2],
    /// Their ports, where there are any.
    pub ports: [u16; 2],
    /// TCP flags.
    pub flags: u8,
    /// Ping: the answer to the other side's query.
    pub answer: bool,
    /// Error: the sort of the packet it is about, which its receiver sent between the same ports.
    pub about: Option<Sort>,
    /// Number of the station on its own side that sends it, if it isn't the host's.
    pub station: Option<u8>,
    /// UDP: one of the two fragments of a longer datagram, with its identification.
    pub piece: Option<Piece>,
}

/// A fragment of a UDP datagram over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub identification: u8,
    /// The one with the header, of 32 bytes; else the rest.
    pub first: bool,
    /// Of the rest: where it begins. 32 fits, less reaches into the first.
    pub offset: u16,
}

impl Packet {
    /// From host 1 on A, port 40,000, to host 1 on B, port `service`.
    pub fn to_b(sort: Sort, service: u16, flags: u8) -> Self {
        let ports = [40_000, service];
        Self {
            sort,
            from: Side::A,
            hosts: [1, 1],
            ports,
            flags,
            answer: false,
            about: None,
            station: None,
            piece: None,
        }
    }

    pub fn syn(service: u16) -> Self {
        Self::to_b(Sort::Tcp4, service, flags::SYN)
    }

    pub fn udp(service: u16) -> Self {
        Self::to_b(Sort::Udp4, service, 0)
    }

    pub fn with(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub fn port(mut self, port: u16) -> Self {
        self.ports[self.from as usize] = port;
        self
    }

    /// The same conversation, sent from the other side.
    pub fn back(self, flags: u8) -> Self {
        Self { from: self.from.other(), flags, ..self }
    }

    /// The error `sort` of this packet's receiver about it.
    pub fn error(self, sort: Sort) -> Self {
        Self { sort, from: self.from.other(), answer: false, about: Some(self.sort), ..self }
    }

    /// The packet that an error is about.
    pub fn quoted(&self) -> Option<Self> {
        let sort = self.about?;
        Some(Self { sort, from: self.from.other(), flags: 0, answer: false, about: None, ..*self })
    }

    /// What an error quotes: the IP header and as much of what follows as the standards ask for.
    fn quotation(&self) -> Vec<u8> {
        let Some(quoted) = self.quoted() else { return Vec::new() };
        let mut packet = quoted.frame().split_off(14);
        if quoted.sort.is_narrow() {
            packet.truncate(28);
        }
        packet
    }

    /// The frame on the wire.
    pub fn frame(&self) -> Vec<u8> {
        let (from, to) = (self.from as usize, self.from.other() as usize);
        let (source, destination) = (self.ports[from], self.ports[to]);
        let station = |side: usize| match self.station {
            Some(station) if side == from => station,
            _ => self.hosts[side],
        };
        let mac = |side: usize| Mac([2, 0, 0, 0, side as u8, station(side)]);
        let v4 = |side: usize| Ipv4Addr::new(10, 0, side as u8, self.hosts[side]);
        let v6 = |side: usize| {
            Ipv6Addr::new(0xfd00, 0, 0, side as u16, 0, 0, 0, self.hosts[side].into())
        };
        let frame = FrameBuilder::new(mac(from), mac(to));
        let narrow = || frame.clone().ipv4(Ipv4::new(v4(from), v4(to)));
        if let Some(piece) = self.piece {
            return self.fragment(piece, &frame, Ipv4::new(v4(from), v4(to)));
        }
        let wide = || frame.clone().ipv6(Ipv6::new(v6(from), v6(to)));
        let tcp = || Tcp::new(source, destination).flags(TcpFlags(self.flags));
        let echo = |kind| IcmpMessage { kind, code: 0, rest: [0, 0, 0, 1] };
        let ping = if self.answer {
            IcmpMessage::echo_reply(destination, 1)
        } else {
            IcmpMessage::echo_request(source, 1)
        };
        let frame = match self.sort {
            Sort::Tcp4 => narrow().tcp(tcp()),
            Sort::Tcp6 => wide().tcp(tcp()),
            Sort::Udp4 => narrow().udp(source, destination),
            Sort::Udp6 => wide().udp(source, destination),
            Sort::Ping4 => narrow().icmp(ping),
            Sort::Unreachable4 => narrow().icmp(echo(3)).payload(self.quotation()),
            Sort::TooBig6 => wide().icmpv6(echo(2)).payload(self.quotation()),
            Sort::Gre4 => narrow().protocol(47).payload(vec![0; 20]),
            Sort::Profinet => frame.ether_type(0x8892).payload(vec![0; 46]),
        };
        frame.build().unwrap()
    }

    /// A fragment of this datagram: 8 bytes of header and 24 of content, or what is behind.
    fn fragment(&self, piece: Piece, frame: &FrameBuilder, ip: Ipv4) -> Vec<u8> {
        let (from, to) = (self.from as usize, self.from.other() as usize);
        let offset = if piece.first { 0 } else { piece.offset };
        let ip = ip.identification(piece.identification.into()).fragment(offset, piece.first);
        let mut content = [self.ports[from], self.ports[to], 64, 0].map(u16::to_be_bytes).concat();
        content.resize(if piece.first { 32 } else { 64 - usize::from(offset) }, 7);
        let frame = frame.clone().ipv4(ip).protocol(17);
        frame.payload(content).build().unwrap()
    }
}
