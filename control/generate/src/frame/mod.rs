//! Builds Ethernet frames with right lengths and checksums.
//!
//! ```text
//!   FrameBuilder::new(source, destination)   Ethernet
//!     .vlan(100)                             802.1Q / 802.1ad tags, outermost first
//!     .ipv4(Ipv4::new(a, b).ttl(3))          or .ipv6, .arp, .ether_type, .llc
//!     .tcp(Tcp::new(1025, 5000))             or .udp, .icmp, .icmpv6, .protocol
//!     .payload(b"...")
//!     .build()?                              or .fragments(mtu)?
//! ```
//!
//! For tests and benches across the workspace, and for the generator. Not for the packet path: it allocates. To make a
//! malformed frame, build the good one and change its bytes. Tested against etherparse by property tests.

mod arp;
mod checksum;
mod error;
mod ipv4;
mod ipv6;
mod transport;

use std::fmt;

pub use arp::{Arp, ArpOperation};
pub use checksum::Checksum;
pub use error::FrameError;
pub use ipv4::Ipv4;
pub use ipv6::{Ipv6, Ipv6Extension};
pub use transport::{IcmpMessage, Tcp, TcpFlags};

use transport::Transport;

/// EtherType of IPv4.
pub const ETHER_TYPE_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ETHER_TYPE_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const ETHER_TYPE_IPV6: u16 = 0x86dd;
/// Tag protocol of 802.1Q.
pub const TAG_CUSTOMER: u16 = 0x8100;
/// Tag protocol of 802.1ad, the outer tag of QinQ.
pub const TAG_SERVICE: u16 = 0x88a8;

/// Shortest Ethernet frame without FCS, in bytes.
pub const FRAME_BYTES_MIN: usize = 60;
/// Longest length field of 802.3; above begins the EtherType.
const LLC_BYTES_MAX: usize = 1500;

/// An Ethernet address, in wire order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// All zero, as in the target field of an ARP request.
    pub const ZERO: Self = Self([0; 6]);
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanTag {
    /// Tag protocol, e.g. [`TAG_CUSTOMER`].
    pub protocol: u16,
    /// Priority code point, 0 to 7.
    pub priority: u8,
    /// Drop eligible.
    pub drop_eligible: bool,
    /// VLAN, 0 (priority tag) to 4095.
    pub vlan: u16,
}

impl VlanTag {
    /// An 802.1Q tag of priority 0.
    pub fn customer(vlan: u16) -> Self {
        Self { protocol: TAG_CUSTOMER, priority: 0, drop_eligible: false, vlan }
    }

    /// An 802.1ad tag of priority 0.
    pub fn service(vlan: u16) -> Self {
        Self { protocol: TAG_SERVICE, ..Self::customer(vlan) }
    }
}

/// What follows the Ethernet header and the tags.
#[derive(Debug, Clone)]
enum Network {
    EtherType(u16),
    Llc,
    Arp(Arp),
    Ipv4(Ipv4),
    Ipv6(Ipv6),
}

/// Collects the layers of one frame; see the module's picture. A later call of the same layer replaces the earlier one.
#[derive(Debug, Clone)]
pub struct FrameBuilder {
    source: Mac,
    destination: Mac,
    tags: Vec<VlanTag>,
    network: Network,
    transport: Transport,
    payload: Vec<u8>,
    bytes_min: usize,
}

impl FrameBuilder {
    /// A frame from `source` to `destination`; without more it is an empty one of the experimental EtherType 0x88b5.
    pub fn new(source: Mac, destination: Mac) -> Self {
        Self {
            source,
            destination,
            tags: Vec::new(),
            network: Network::EtherType(0x88b5),
            transport: Transport::Raw { protocol: 253 },
            payload: Vec::new(),
            bytes_min: 0,
        }
    }

    /// Adds a tag inside those added before.
    pub fn tag(mut self, tag: VlanTag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds an 802.1Q tag.
    pub fn vlan(self, vlan: u16) -> Self {
        self.tag(VlanTag::customer(vlan))
    }

    /// Adds an 802.1ad tag and within it an 802.1Q tag.
    pub fn qinq(self, outer: u16, inner: u16) -> Self {
        self.tag(VlanTag::service(outer)).tag(VlanTag::customer(inner))
    }

    /// The payload follows the Ethernet header, under this EtherType.
    pub fn ether_type(mut self, ether_type: u16) -> Self {
        self.network = Network::EtherType(ether_type);
        self
    }

    /// The payload follows the Ethernet header, under an 802.3 length field (LLC, SNAP).
    pub fn llc(mut self) -> Self {
        self.network = Network::Llc;
        self
    }

    /// An ARP packet; the payload isn't used.
    pub fn arp(mut self, arp: Arp) -> Self {
        self.network = Network::Arp(arp);
        self
    }

    /// An IPv4 packet.
    pub fn ipv4(mut self, ipv4: Ipv4) -> Self {
        self.network = Network::Ipv4(ipv4);
        self
    }

    /// An IPv6 packet.
    pub fn ipv6(mut self, ipv6: Ipv6) -> Self {
        self.network = Network::Ipv6(ipv6);
        self
    }

    /// A TCP segment over IPv4 or IPv6.
    pub fn tcp(mut self, tcp: Tcp) -> Self {
        self.transport = Transport::Tcp(tcp);
        self
    }

    /// A UDP datagram over IPv4 or IPv6.
    pub fn udp(mut self, source_port: u16, destination_port: u16) -> Self {
        self.transport = Transport::Udp { source_port, destination_port };
        self
    }

    /// An ICMP message over IPv4.
    pub fn icmp(mut self, message: IcmpMessage) -> Self {
        self.transport = Transport::Icmp(message);
        self
    }

    /// An ICMPv6 message over IPv6.
    pub fn icmpv6(mut self, message: IcmpMessage) -> Self {
        self.transport = Transport::Icmpv6(message);
        self
    }

    /// The payload follows the IP header, under this protocol number: other transports, and later fragments.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.transport = Transport::Raw { protocol };
        self
    }

    /// What the innermost layer carries.
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Appends zeros up to `bytes_min` bytes, as a network card does up to [`FRAME_BYTES_MIN`].
    pub fn pad_to(mut self, bytes_min: usize) -> Self {
        self.bytes_min = bytes_min;
        self
    }

    /// Builds the frame, without FCS.
    ///
    /// # Errors
    /// [`FrameError`] when a field can't hold its value or the layers don't go together.
    pub fn build(&self) -> Result<Vec<u8>, FrameError> {
        let (ether_type, packet) = match &self.network {
            Network::EtherType(ether_type) => (*ether_type, self.payload.clone()),
            Network::Llc => {
                if self.payload.len() > LLC_BYTES_MAX {
                    return Err(FrameError::too_long(
                        "802.3 payload",
                        self.payload.len(),
                        LLC_BYTES_MAX,
                    ));
                }
                (self.payload.len() as u16, self.payload.clone())
            }
            Network::Arp(arp) => (ETHER_TYPE_ARP, arp.encode()),
            Network::Ipv4(ipv4) => {
                let content = self.transport.encode_ipv4(ipv4, &self.payload)?;
                let packet = ipv4.encode(self.transport.protocol(), &content)?;
                (ETHER_TYPE_IPV4, packet)
            }
            Network::Ipv6(ipv6) => {
                let content = self.transport.encode_ipv6(ipv6, &self.payload)?;
                let packet = ipv6.encode(self.transport.protocol(), &content)?;
                (ETHER_TYPE_IPV6, packet)
            }
        };
        self.wrap(ether_type, &packet)
    }

    /// Builds the frames of one IP packet cut into fragments of at most `mtu` bytes of IP packet each. The checksum
    /// of the transport covers the whole, as a real sender's does.
    ///
    /// # Errors
    /// [`FrameError::NotIp`] for other frames, [`FrameError::MtuTooSmall`], and those of [`FrameBuilder::build`].
    pub fn fragments(&self, mtu: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let protocol = self.transport.protocol();
        let (ether_type, packets) = match &self.network {
            Network::Ipv4(ipv4) => {
                let content = self.transport.encode_ipv4(ipv4, &self.payload)?;
                (ETHER_TYPE_IPV4, ipv4.fragments(protocol, &content, mtu)?)
            }
            Network::Ipv6(ipv6) => {
                let content = self.transport.encode_ipv6(ipv6, &self.payload)?;
                (ETHER_TYPE_IPV6, ipv6.fragments(protocol, &content, mtu)?)
            }
            Network::EtherType(_) | Network::Llc | Network::Arp(_) => {
                return Err(FrameError::NotIp);
            }
        };
        packets.iter().map(|packet| self.wrap(ether_type, packet)).collect()
    }

    /// Puts the Ethernet header and the tags before a packet.
    fn wrap(&self, ether_type: u16, packet: &[u8]) -> Result<Vec<u8>, FrameError> {
        let bytes = 14 + 4 * self.tags.len() + packet.len();
        let mut frame = Vec::with_capacity(bytes.max(self.bytes_min));
        frame.extend_from_slice(&self.destination.0);
        frame.extend_from_slice(&self.source.0);
        for tag in &self.tags {
            if tag.vlan > 0xfff || tag.priority > 7 {
                return Err(FrameError::Tag { tag: *tag });
            }
            let control = u16::from(tag.priority) << 13 | u16::from(tag.drop_eligible) << 12;
            frame.extend_from_slice(&tag.protocol.to_be_bytes());
            frame.extend_from_slice(&(control | tag.vlan).to_be_bytes());
        }
        frame.extend_from_slice(&ether_type.to_be_bytes());
        frame.extend_from_slice(packet);
        if frame.len() < self.bytes_min {
            frame.resize(self.bytes_min, 0);
        }
        Ok(frame)
    }
}
