//! Conversations between two hosts: what a capture on the segment between them would show.
//!
//! Each function gives the frames of one conversation in time order, each with the side of the segment it came from.
//! Both hosts may be on the same side; the caller decides whether such frames are seen.

mod datagram;
mod tcp;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use datagram::{arp_resolve, icmp_echo, udp_exchange};
pub use tcp::{SynAnswer, TcpSession, tcp_attempt, tcp_conversation};

use crate::frame::{FRAME_BYTES_MIN, FrameBuilder, FrameError, Ipv4, Ipv6, Mac};

/// Which door of the appliance a frame comes in at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Port A: the tools.
    A,
    /// Port B: everything else.
    B,
}

impl Side {
    /// `a` or `b`, as in file names and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// Which way data goes in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client, which opened the conversation.
    ToServer,
    /// From the server.
    ToClient,
}

impl Direction {
    /// The other way.
    pub fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// A host as the segment sees it. One behind a router has the router's Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// Ethernet address.
    pub mac: Mac,
    /// IPv4 address, preferred where both hosts have one.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// VLAN its frames are tagged with.
    pub vlan: Option<u16>,
    /// Side of the segment it is on.
    pub side: Side,
}

impl Host {
    /// A host with an IPv4 address and no tag.
    pub fn new(side: Side, mac: Mac, ipv4: Ipv4Addr) -> Self {
        Self { mac, ipv4: Some(ipv4), ipv6: None, vlan: None, side }
    }

    /// The same host with an IPv6 address as well.
    pub fn with_ipv6(self, ipv6: Ipv6Addr) -> Self {
        Self { ipv6: Some(ipv6), ..self }
    }

    /// The same host in a VLAN.
    pub fn in_vlan(self, vlan: u16) -> Self {
        Self { vlan: Some(vlan), ..self }
    }

    /// Starts a frame to `to`: Ethernet, tag, padding to the minimum.
    fn frame_to(&self, to: &Self) -> FrameBuilder {
        let frame = FrameBuilder::new(self.mac, to.mac).pad_to(FRAME_BYTES_MIN);
        match self.vlan {
            Some(vlan) => frame.vlan(vlan),
            None => frame,
        }
    }

    /// Starts an IP packet to `to`, over IPv4 where both have it and else over IPv6.
    fn packet_to(&self, to: &Self, identification: u16) -> Result<FrameBuilder, ConversationError> {
        let frame = self.frame_to(to);
        Ok(match self.addresses_with(to)? {
            Addresses::V4(from, to) => {
                frame.ipv4(Ipv4::new(from, to).identification(identification))
            }
            Addresses::V6(from, to) => frame.ipv6(Ipv6::new(from, to)),
        })
    }

    /// The addresses this host and `to` talk with.
    fn addresses_with(&self, to: &Self) -> Result<Addresses, ConversationError> {
        match ((self.ipv4, to.ipv4), (self.ipv6, to.ipv6)) {
            ((Some(from), Some(to)), _) => Ok(Addresses::V4(from, to)),
            (_, (Some(from), Some(to))) => Ok(Addresses::V6(from, to)),
            _ => Err(ConversationError::NoCommonFamily { client: self.mac, server: to.mac }),
        }
    }
}

/// A pair of addresses of one family.
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    /// Both, for seeding.
    fn pair(&self) -> (IpAddr, IpAddr) {
        match self {
            Self::V4(from, to) => ((*from).into(), (*to).into()),
            Self::V6(from, to) => ((*from).into(), (*to).into()),
        }
    }
}

/// When a conversation starts and how fast it goes. All frames have whole microseconds when these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time of the first frame, in nanoseconds since 1970.
    pub start_ns: u64,
    /// From one host to the other.
    pub half_trip_ns: u64,
    /// From a request to its answer, and between exchanges.
    pub think_ns: u64,
}

impl Pace {
    /// A local network: 200 µs from host to host, 1 ms to think.
    pub fn local(start_ns: u64) -> Self {
        Self { start_ns, half_trip_ns: 200_000, think_ns: 1_000_000 }
    }

    /// The same pace from another time on.
    pub fn starting(self, start_ns: u64) -> Self {
        Self { start_ns, ..self }
    }
}

/// A frame, when it is seen, and on which side it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFrame {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// Side the frame comes from.
    pub side: Side,
    /// The frame without FCS.
    pub bytes: Vec<u8>,
}

/// A conversation can't be built from what was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationError {
    /// The hosts have no address family in common.
    NoCommonFamily {
        /// Who would have opened it.
        client: Mac,
        /// To whom.
        server: Mac,
    },
    /// A frame can't hold what it was given.
    Frame(FrameError),
}

impl fmt::Display for ConversationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommonFamily { client, server } => write!(
                f,
                "hosts {client} and {server} have no address family in common that this conversation can use; give \
                 both an IPv4 address (ARP needs it), or both an IPv6 one"
            ),
            Self::Frame(_) => write!(f, "a frame of the conversation can't be built"),
        }
    }
}

impl std::error::Error for ConversationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoCommonFamily { .. } => None,
            Self::Frame(error) => Some(error),
        }
    }
}

impl From<FrameError> for ConversationError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}
