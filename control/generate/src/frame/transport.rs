//! What goes over IP: TCP (RFC 9293), UDP (RFC 768), ICMP (RFC 792), ICMPv6 (RFC 4443).

use std::ops::BitOr;

use super::{Checksum, FrameError, Ipv4, Ipv6};

/// Longest TCP options, in bytes.
const TCP_OPTIONS_BYTES_MAX: usize = 40;
/// TCP header without options, in bytes.
const TCP_HEADER_BYTES: usize = 20;
/// UDP header, in bytes.
const UDP_HEADER_BYTES: usize = 8;
/// Longest content of an IP packet that a 16-bit length can say, in bytes.
const CONTENT_BYTES_MAX: usize = 65_535;

/// A set of TCP flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No flags: a null scan.
    pub const NONE: Self = Self(0);
    /// The sender is finished.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Explicit congestion echo.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced.
    pub const CWR: Self = Self(0x80);
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A TCP header; offset and checksum are filled in when the frame is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32,
    flags: TcpFlags,
    window: u16,
    urgent: u16,
    options: Vec<u8>,
}

impl Tcp {
    /// A SYN with sequence 0 and window 64,240, no options.
    pub fn new(source_port: u16, destination_port: u16) -> Self {
        Self {
            source_port,
            destination_port,
            sequence: 0,
            acknowledgement: 0,
            flags: TcpFlags::SYN,
            window: 64_240,
            urgent: 0,
            options: Vec::new(),
        }
    }

    /// Sets the flags.
    pub fn flags(mut self, flags: TcpFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Sets the sequence number.
    pub fn sequence(mut self, sequence: u32) -> Self {
        self.sequence = sequence;
        self
    }

    /// Sets the acknowledgement number; the ACK flag is set by [`Tcp::flags`].
    pub fn acknowledgement(mut self, acknowledgement: u32) -> Self {
        self.acknowledgement = acknowledgement;
        self
    }

    /// Sets the window.
    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// Sets the urgent pointer.
    pub fn urgent(mut self, urgent: u16) -> Self {
        self.urgent = urgent;
        self
    }

    /// Appends raw option bytes; the whole is filled up to a multiple of 4 with end-of-options.
    pub fn option(mut self, bytes: &[u8]) -> Self {
        self.options.extend_from_slice(bytes);
        self
    }

    /// Appends the maximum segment size option.
    pub fn segment_bytes_max(self, bytes: u16) -> Self {
        let [high, low] = bytes.to_be_bytes();
        self.option(&[2, 4, high, low])
    }

    /// Header without checksum, and payload.
    fn encode(&self, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
        if self.options.len() > TCP_OPTIONS_BYTES_MAX {
            return Err(FrameError::too_long(
                "TCP options",
                self.options.len(),
                TCP_OPTIONS_BYTES_MAX,
            ));
        }
        let header_bytes = TCP_HEADER_BYTES + self.options.len().next_multiple_of(4);
        let mut segment = Vec::with_capacity(header_bytes + payload.len());
        segment.extend_from_slice(&self.source_port.to_be_bytes());
        segment.extend_from_slice(&self.destination_port.to_be_bytes());
        segment.extend_from_slice(&self.sequence.to_be_bytes());
        segment.extend_from_slice(&self.acknowledgement.to_be_bytes());
        segment.extend_from_slice(&[(header_bytes / 4) as u8 * 16, self.flags.0]);
        segment.extend_from_slice(&self.window.to_be_bytes());
        segment.extend_from_slice(&[0, 0]);
        segment.extend_from_slice(&self.urgent.to_be_bytes());
        segment.extend_from_slice(&self.options);
        segment.resize(header_bytes, 0);
        segment.extend_from_slice(payload);
        Ok(segment)
    }
}

/// An ICMP or ICMPv6 message: type, code, and the four bytes after the checksum. The frame's payload follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpMessage {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Bytes 4 to 7; identifier and sequence of an echo.
    pub rest: [u8; 4],
}

impl IcmpMessage {
    /// An ICMP echo request.
    pub fn echo_request(identifier: u16, sequence: u16) -> Self {
        Self::echo(8, identifier, sequence)
    }

    /// An ICMP echo reply.
    pub fn echo_reply(identifier: u16, sequence: u16) -> Self {
        Self::echo(0, identifier, sequence)
    }

    /// An ICMPv6 echo request.
    pub fn echo_request_v6(identifier: u16, sequence: u16) -> Self {
        Self::echo(128, identifier, sequence)
    }

    /// An ICMPv6 echo reply.
    pub fn echo_reply_v6(identifier: u16, sequence: u16) -> Self {
        Self::echo(129, identifier, sequence)
    }

    /// An echo message of type `kind`.
    fn echo(kind: u8, identifier: u16, sequence: u16) -> Self {
        let [a, b] = identifier.to_be_bytes();
        let [c, d] = sequence.to_be_bytes();
        Self { kind, code: 0, rest: [a, b, c, d] }
    }

    /// Header without checksum, and payload.
    fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![self.kind, self.code, 0, 0];
        message.extend_from_slice(&self.rest);
        message.extend_from_slice(payload);
        message
    }
}

/// What follows the IP header.
#[derive(Debug, Clone)]
pub(super) enum Transport {
    Raw { protocol: u8 },
    Tcp(Tcp),
    Udp { source_port: u16, destination_port: u16 },
    Icmp(IcmpMessage),
    Icmpv6(IcmpMessage),
}

impl Transport {
    /// Protocol number.
    pub(super) fn protocol(&self) -> u8 {
        match self {
            Self::Raw { protocol } => *protocol,
            Self::Icmp(_) => 1,
            Self::Tcp(_) => 6,
            Self::Udp { .. } => 17,
            Self::Icmpv6(_) => 58,
        }
    }

    /// Header and payload, with the checksum for IPv4.
    pub(super) fn encode_ipv4(&self, ip: &Ipv4, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
        if let Self::Icmpv6(_) = self {
            return Err(FrameError::WrongFamily { transport: "ICMPv6", network: "IPv4" });
        }
        let content = self.encode(payload)?;
        let length = content_length(&content)?;
        let pseudo = Checksum::default()
            .with(&ip.source.octets())
            .with(&ip.destination.octets())
            .with(&[0, self.protocol()])
            .with(&length.to_be_bytes());
        Ok(self.with_checksum(content, pseudo))
    }

    /// Header and payload, with the checksum for IPv6 (RFC 8200 section 8.1).
    pub(super) fn encode_ipv6(&self, ip: &Ipv6, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
        if let Self::Icmp(_) = self {
            return Err(FrameError::WrongFamily { transport: "ICMP", network: "IPv6" });
        }
        let content = self.encode(payload)?;
        let length = content_length(&content)?;
        let pseudo = Checksum::default()
            .with(&ip.source.octets())
            .with(&ip.destination.octets())
            .with(&u32::from(length).to_be_bytes())
            .with(&[0, self.protocol()]);
        Ok(self.with_checksum(content, pseudo))
    }

    /// Header and payload, with a checksum of 0.
    fn encode(&self, payload: &[u8]) -> Result<Vec<u8>, FrameError> {
        Ok(match self {
            Self::Raw { .. } => payload.to_vec(),
            Self::Tcp(tcp) => tcp.encode(payload)?,
            Self::Udp { source_port, destination_port } => {
                let bytes = UDP_HEADER_BYTES + payload.len();
                let length = u16::try_from(bytes)
                    .map_err(|_| FrameError::too_long("UDP datagram", bytes, CONTENT_BYTES_MAX))?;
                let mut datagram = Vec::with_capacity(bytes);
                datagram.extend_from_slice(&source_port.to_be_bytes());
                datagram.extend_from_slice(&destination_port.to_be_bytes());
                datagram.extend_from_slice(&length.to_be_bytes());
                datagram.extend_from_slice(&[0, 0]);
                datagram.extend_from_slice(payload);
                datagram
            }
            Self::Icmp(message) | Self::Icmpv6(message) => message.encode(payload),
        })
    }

    /// Fills in the checksum; ICMP has no pseudo-header.
    fn with_checksum(&self, mut content: Vec<u8>, pseudo: Checksum) -> Vec<u8> {
        let (at, sum) = match self {
            Self::Raw { .. } => return content,
            Self::Tcp(_) => (16, pseudo),
            Self::Udp { .. } => (6, pseudo),
            Self::Icmp(_) => (2, Checksum::default()),
            Self::Icmpv6(_) => (2, pseudo),
        };
        let mut checksum = sum.with(&content).finish();
        // Over UDP a checksum of 0 says that there is none (RFC 768).
        if checksum == 0 && matches!(self, Self::Udp { .. }) {
            checksum = 0xffff;
        }
        content[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        content
    }
}

/// Length for the pseudo-header.
fn content_length(content: &[u8]) -> Result<u16, FrameError> {
    u16::try_from(content.len())
        .map_err(|_| FrameError::too_long("IP content", content.len(), CONTENT_BYTES_MAX))
}
