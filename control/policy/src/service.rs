//! What a rule permits its two ends to talk: `tcp/5000`, `icmp/echo`, `ether/0x88cc`.
//!
//! Every service is a range of the server's 16-bit service field within one kind of key; see
//! [`loadlock_packet::Kind`] for what the field means.

use std::fmt;

use loadlock_packet::{Kind, Network};

use crate::error::Refused;
use crate::message;

/// The word before the slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, by the server's port.
    Tcp,
    /// UDP, by the server's port.
    Udp,
    /// ICMP over IPv4, by type and code.
    Icmp,
    /// ICMP over IPv6, by type and code.
    Icmpv6,
    /// Another IP protocol, by its number.
    Ip,
    /// Fragments that aren't the first, by the IP protocol's number.
    Fragment,
    /// Not IP, by EtherType.
    Ether,
    /// IEEE 802.2, by DSAP and SSAP.
    Llc,
    /// IEEE 802.2 SNAP, by OUI and protocol id.
    Snap,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 9] = [
        Self::Tcp,
        Self::Udp,
        Self::Icmp,
        Self::Icmpv6,
        Self::Ip,
        Self::Fragment,
        Self::Ether,
        Self::Llc,
        Self::Snap,
    ];

    /// The name in files, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Ip => "ip",
            Self::Fragment => "fragment",
            Self::Ether => "ether",
            Self::Llc => "llc",
            Self::Snap => "snap",
        }
    }

    /// The kind of flow key that it is about.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Tcp => Kind::Tcp,
            Self::Udp => Kind::Udp,
            Self::Icmp | Self::Icmpv6 => Kind::Icmp,
            Self::Ip => Kind::OtherIp,
            Self::Fragment => Kind::Fragment,
            Self::Ether => Kind::NonIp,
            Self::Llc => Kind::Llc,
            Self::Snap => Kind::Snap,
        }
    }

    /// True if its ends may be IPv4 addresses.
    pub(crate) fn takes_ipv4(self) -> bool {
        !self.kind().is_link_layer() && self != Self::Icmpv6
    }

    /// True if its ends may be IPv6 addresses.
    pub(crate) fn takes_ipv6(self) -> bool {
        !self.kind().is_link_layer() && self != Self::Icmp
    }

    fn messages(self) -> &'static [(&'static str, u8, u8)] {
        match self {
            Self::Icmp => message::ICMP,
            Self::Icmpv6 => message::ICMP_V6,
            _ => &[],
        }
    }

    fn allowed(self) -> &'static str {
        match self {
            Self::Tcp => "tcp/PORT, tcp/FIRST-LAST or tcp/any, with ports from 0 to 65535",
            Self::Udp => "udp/PORT, udp/FIRST-LAST or udp/any, with ports from 0 to 65535",
            Self::Icmp => {
                "icmp/TYPE, icmp/TYPE/CODE (0 to 255), icmp/any, or a name such as icmp/echo"
            }
            Self::Icmpv6 => {
                "icmpv6/TYPE, icmpv6/TYPE/CODE (0 to 255), icmpv6/any, or a name such as icmpv6/echo"
            }
            Self::Ip => {
                "ip/PROTOCOL from 0 to 255 or ip/any; TCP (6), UDP (17) and ICMP (1, 58) are written tcp/, udp/, icmp/ and \
                 icmpv6/"
            }
            Self::Fragment => "fragment/PROTOCOL from 0 to 255 or fragment/any",
            Self::Ether => {
                "ether/0xTYPE above 0x05dc or ether/any; IPv4 (0x0800) and IPv6 (0x86dd) are written tcp/, udp/, ip/ and so on"
            }
            Self::Llc => "llc/0xDDSS (DSAP and SSAP) or llc/any",
            Self::Snap => "snap/OUI:0xPROTOCOL such as snap/00000c:0x2000",
        }
    }
}

/// A range of the server's service field within one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    protocol: Protocol,
    /// Zero but for SNAP.
    oui: [u8; 3],
    first: u16,
    last: u16,
}

const ALLOWED: &str = "tcp/PORT, udp/PORT, icmp/TYPE, icmpv6/TYPE, ip/PROTOCOL, fragment/PROTOCOL, ether/0xTYPE, llc/0xDDSS or \
                       snap/OUI:0xPROTOCOL";

impl Service {
    /// The protocol.
    #[must_use]
    pub fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The first and the last value of the server's service field, both included.
    #[must_use]
    pub fn range(self) -> (u16, u16) {
        (self.first, self.last)
    }

    /// The organisation code of a SNAP service; zeros for all others.
    #[must_use]
    pub fn oui(self) -> [u8; 3] {
        self.oui
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        let same = (self.protocol, self.oui) == (other.protocol, other.oui);
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (same && first <= last).then_some(Self { first, last, ..self })
    }

    /// Everything of a protocol; `None` for SNAP, whose services are an OUI's.
    #[must_use]
    pub fn all_of(protocol: Protocol) -> Option<Self> {
        (protocol != Protocol::Snap).then_some(Self {
            protocol,
            oui: [0; 3],
            first: 0,
            last: u16::MAX,
        })
    }

    /// The service of a conversation whose server is `server`, exactly; `None` for a key that no frame has.
    #[must_use]
    pub fn of_key(kind: Kind, server: Network, service: u16) -> Option<Self> {
        let protocol = match (kind, server) {
            (Kind::Tcp, Network::Ip(_)) => Protocol::Tcp,
            (Kind::Udp, Network::Ip(_)) => Protocol::Udp,
            (Kind::Icmp, Network::Ip(address)) if address.is_ipv4() => Protocol::Icmp,
            (Kind::Icmp, Network::Ip(_)) => Protocol::Icmpv6,
            (Kind::OtherIp, Network::Ip(_)) => Protocol::Ip,
            (Kind::Fragment, Network::Ip(_)) => Protocol::Fragment,
            (Kind::NonIp, Network::Link { .. }) => Protocol::Ether,
            (Kind::Llc, Network::Link { .. }) => Protocol::Llc,
            (Kind::Snap, Network::Link { .. }) => Protocol::Snap,
            _ => return None,
        };
        let oui = match server {
            Network::Link { oui, .. } if protocol == Protocol::Snap => oui,
            Network::Link { oui: [0, 0, 0], .. } | Network::Ip(_) => [0; 3],
            Network::Link { .. } => return None,
        };
        let possible = match protocol {
            Protocol::Ip => is_other_protocol(service),
            Protocol::Fragment => service <= 255,
            Protocol::Ether => is_other_ether_type(service),
            _ => true,
        };
        possible.then_some(Self { protocol, oui, first: service, last: service })
    }

    /// Reads `PROTOCOL/WHAT`.
    ///
    /// # Errors
    /// What is allowed, for the protocol if that could be read.
    pub fn from_text(text: &str) -> Result<Self, Refused> {
        let refused = Refused { allowed: ALLOWED, instead: None };
        let (name, rest) = text.split_once('/').ok_or(refused.clone())?;
        let protocol =
            Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or(refused)?;
        let refused = Refused { allowed: protocol.allowed(), instead: None };
        let of = |(first, last)| Self { protocol, oui: [0; 3], first, last };
        let single = |value: u16| (value, value);
        let range = match protocol {
            Protocol::Snap => return snap(rest).ok_or(refused),
            _ if rest == "any" => Some((0, u16::MAX)),
            Protocol::Tcp | Protocol::Udp => ports(rest),
            Protocol::Icmp | Protocol::Icmpv6 => messages(protocol, rest),
            Protocol::Ip => decimal(rest).filter(|value| is_other_protocol(*value)).map(single),
            Protocol::Fragment => decimal(rest).filter(|value| *value <= 255).map(single),
            Protocol::Ether => {
                hexadecimal(rest).filter(|value| is_other_ether_type(*value)).map(single)
            }
            Protocol::Llc => hexadecimal(rest).map(single),
        };
        range.map(of).ok_or(refused)
    }

    /// Calls `each` with the first value and the prefix length of every aligned block of the range, from the lowest;
    /// at most 30, one for all but port ranges.
    pub fn each_block(self, mut each: impl FnMut(u16, u8)) {
        let mut at = u32::from(self.first);
        let end = u32::from(self.last) + 1;
        while at < end {
            let aligned = if at == 0 { 16 } else { at.trailing_zeros() };
            let fitting = (end - at).ilog2();
            let bits = aligned.min(fitting);
            each(at as u16, 16 - bits as u8);
            at += 1 << bits;
        }
    }
}

/// IP protocols that the parser doesn't take apart.
fn is_other_protocol(number: u16) -> bool {
    number <= 255 && !matches!(number, 1 | 6 | 17 | 58)
}

/// EtherTypes that aren't IP and aren't 802.3 lengths.
fn is_other_ether_type(number: u16) -> bool {
    number > 1500 && !matches!(number, 0x0800 | 0x86dd)
}

fn decimal(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// One to four hexadecimal digits behind `0x`.
fn hexadecimal(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("0x")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}

fn ports(text: &str) -> Option<(u16, u16)> {
    match text.split_once('-') {
        None => decimal(text).map(|port| (port, port)),
        Some((first, last)) => {
            Some((decimal(first)?, decimal(last)?)).filter(|(first, last)| first <= last)
        }
    }
}

fn messages(protocol: Protocol, text: &str) -> Option<(u16, u16)> {
    if let Some(number) = message::number(protocol.messages(), text) {
        let value = u16::from_be_bytes(number);
        return Some((value, value));
    }
    let byte = |text: &str| decimal(text).and_then(|value| u8::try_from(value).ok());
    let (kind, codes) = match text.split_once('/') {
        None => (byte(text)?, (0, u8::MAX)),
        Some((kind, code)) => (byte(kind)?, (byte(code)?, byte(code)?)),
    };
    Some((u16::from_be_bytes([kind, codes.0]), u16::from_be_bytes([kind, codes.1])))
}

fn snap(text: &str) -> Option<Service> {
    let (oui, protocol) = text.split_once(':')?;
    if oui.len() != 6 || !oui.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, a, b, c] = u32::from_str_radix(oui, 16).ok()?.to_be_bytes();
    let value = hexadecimal(protocol)?;
    Some(Service { protocol: Protocol::Snap, oui: [a, b, c], first: value, last: value })
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, oui: [a, b, c], first, last } = *self;
        write!(f, "{}/", protocol.name())?;
        match protocol {
            Protocol::Snap => write!(f, "{a:02x}{b:02x}{c:02x}:{first:#06x}"),
            _ if (first, last) == (0, u16::MAX) => f.write_str("any"),
            Protocol::Tcp | Protocol::Udp if first != last => write!(f, "{first}-{last}"),
            Protocol::Icmp | Protocol::Icmpv6 => {
                let [kind, code] = first.to_be_bytes();
                match message::name(protocol.messages(), [kind, code]) {
                    _ if first != last => write!(f, "{kind}"),
                    Some(name) => f.write_str(name),
                    None => write!(f, "{kind}/{code}"),
                }
            }
            Protocol::Ether | Protocol::Llc => write!(f, "{first:#06x}"),
            _ => write!(f, "{first}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "tcp/5000",
            "tcp/any",
            "udp/0",
            "udp/65535",
            "tcp/5000-5007",
            "icmp/echo",
            "icmp/any",
            "icmp/8",
            "icmp/0",
            "icmp/8/1",
            "icmpv6/echo",
            "icmpv6/143/7",
            "icmpv6/packet-too-big",
            "ip/47",
            "ip/any",
            "fragment/17",
            "ether/0x88cc",
            "ether/any",
            "llc/0x4242",
            "snap/00000c:0x2000",
        ] {
            assert_eq!(Service::from_text(text).unwrap().to_string(), text);
        }
        for (written, canonical) in [
            ("icmp/8/0", "icmp/echo"),
            ("tcp/0-65535", "tcp/any"),
            ("tcp/80-80", "tcp/80"),
            ("ether/0x88CC", "ether/0x88cc"),
        ] {
            assert_eq!(Service::from_text(written).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_the_protocol_allows() {
        for text in [
            "tcp/65536",
            "tcp/",
            "tcp/-1",
            "tcp/10-5",
            "udp/http",
            "icmp/256",
            "icmp/8/0/0",
            "icmp/",
            "icmp/packet-too-big",
            "ip/6",
            "ip/1",
            "ip/17",
            "ip/58",
            "ip/256",
            "fragment/256",
            "ether/0x0800",
            "ether/0x86dd",
            "ether/0x05dc",
            "ether/88cc",
            "ether/0x",
            "ether/0x10000",
            "llc/4242",
            "snap/any",
            "snap/0000c:0x2000",
            "snap/00000c:2000",
        ] {
            let refused = Service::from_text(text).unwrap_err();
            let protocol = text.split('/').next().unwrap();
            assert!(refused.allowed.starts_with(protocol), "{text}: {}", refused.allowed);
        }
        for text in ["", "tcp", "TCP/80", "sctp/1", "/80"] {
            assert_eq!(Service::from_text(text).unwrap_err().allowed, ALLOWED, "{text}");
        }
    }

    #[test]
    fn blocks_cover_each_range_exactly() {
        let cases = [
            (0, 65535),
            (5000, 5007),
            (5001, 5009),
            (1, 65534),
            (0, 0),
            (65535, 65535),
            (1024, 65535),
        ];
        for (first, last) in cases {
            let service = Service { protocol: Protocol::Tcp, oui: [0; 3], first, last };
            let mut next = u32::from(first);
            let mut blocks = 0;
            service.each_block(|at, prefix| {
                assert_eq!(u32::from(at), next);
                assert_eq!(at.checked_shl(u32::from(prefix)).unwrap_or(0), 0, "{at} isn't aligned");
                next += 1 << (16 - prefix);
                blocks += 1;
            });
            assert_eq!(next, u32::from(last) + 1);
            assert!(blocks <= 30);
        }
    }

    #[test]
    fn a_key_that_no_frame_has_gives_no_service() {
        let v4 = Network::Ip("10.0.0.1".parse().unwrap());
        let link = |oui| Network::Link { mac: loadlock_packet::MacAddress([2; 6]), oui };
        assert_eq!(Service::of_key(Kind::OtherIp, v4, 6), None);
        assert_eq!(Service::of_key(Kind::Fragment, v4, 256), None);
        assert_eq!(Service::of_key(Kind::NonIp, v4, 0x88cc), None);
        assert_eq!(Service::of_key(Kind::NonIp, link([0; 3]), 0x0800), None);
        assert_eq!(Service::of_key(Kind::Llc, link([1; 3]), 0x4242), None);
        let snap = Service::of_key(Kind::Snap, link([0, 0, 0xc]), 0x2000).unwrap();
        assert_eq!(snap.to_string(), "snap/00000c:0x2000");
    }
}
