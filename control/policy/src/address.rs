//! Which addresses a rule permits at one end.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_packet::MacAddress;

use crate::error::Refused;

/// The leading bits of an IP address; the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// Makes a prefix of `bits` leading bits, up to 32 for IPv4 and 128 for IPv6; `None` if it is longer, or if a bit
    /// behind it is set.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let fits = bits <= longest(address) && first_of(address, bits) == address;
        fits.then_some(Self { address, bits })
    }

    /// The prefix that holds this address alone.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self { address, bits: longest(address) }
    }

    /// Its first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// True if the address is one of this prefix.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && first_of(address, self.bits) == self.address
    }
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits behind the first `bits` cleared.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    let cleared = |length: u8| u32::from(length.saturating_sub(bits));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(cleared(32)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(cleared(128)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// The addresses permitted at one end of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressMatch {
    /// Every address of the families that the rule's other end and its service allow.
    Any,
    /// An IP address or prefix.
    Ip(Prefix),
    /// A station on the link.
    Mac(MacAddress),
}

const ALLOWED: &str = "an IPv4 or IPv6 address such as \"10.0.1.11\", a prefix such as \"10.0.1.0/24\", a MAC address \
                       such as \"02:00:00:00:00:01\" for ether, llc and snap, or \"any\"";

impl AddressMatch {
    /// Reads `any`, an IP address, an IP prefix, or a MAC address with colons.
    ///
    /// # Errors
    /// What is allowed, and for a prefix with bits set behind its length the prefix that was probably meant.
    pub fn from_text(text: &str) -> Result<Self, Refused> {
        if text == "any" {
            return Ok(Self::Any);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(Prefix::host(address)));
        }
        if let Some(mac) = mac_from_text(text) {
            return Ok(Self::Mac(mac));
        }
        let refused = Refused { allowed: ALLOWED, instead: None };
        let (address, bits) = text.split_once('/').ok_or(refused.clone())?;
        let address: IpAddr = address.parse().map_err(|_| refused.clone())?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused);
        }
        let bits =
            bits.parse::<u8>().ok().filter(|bits| *bits <= longest(address)).ok_or(Refused {
                allowed: "a prefix length of 0 to 32 for IPv4, 0 to 128 for IPv6",
                instead: None,
            })?;
        Prefix::new(address, bits).map(Self::Ip).ok_or(Refused {
            allowed: "a prefix without bits behind its length",
            instead: Some(format!("{}/{bits}", first_of(address, bits))),
        })
    }
}

/// Six pairs of hexadecimal digits with colons between them.
pub(crate) fn mac_from_text(text: &str) -> Option<MacAddress> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next()?;
        if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddress(bytes))
}

impl fmt::Display for AddressMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Ip(prefix) if prefix.bits == longest(prefix.address) => prefix.address.fmt(f),
            Self::Ip(prefix) => write!(f, "{}/{}", prefix.address, prefix.bits),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "any",
            "10.0.1.11",
            "10.0.1.0/24",
            "0.0.0.0/0",
            "fd00::1",
            "fd00::/64",
            "::/0",
            "02:00:00:00:00:01",
        ] {
            assert_eq!(AddressMatch::from_text(text).unwrap().to_string(), text);
        }
        let host = AddressMatch::from_text("10.0.1.11/32").unwrap();
        assert_eq!(host, AddressMatch::from_text("10.0.1.11").unwrap());
    }

    #[test]
    fn host_bits_are_refused_with_the_prefix_that_was_meant() {
        let refused = AddressMatch::from_text("10.0.1.11/24").unwrap_err();
        assert_eq!(refused.instead.as_deref(), Some("10.0.1.0/24"));
        let refused = AddressMatch::from_text("fd00::1/64").unwrap_err();
        assert_eq!(refused.instead.as_deref(), Some("fd00::/64"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "Any",
            "*",
            "10.0.1",
            "10.0.1.256",
            "10.0.1.0/33",
            "10.0.1.0/+4",
            "10.0.1.0/",
            "fd00::/129",
            "02:00:00:00:00",
            "02:00:00:00:00:0g",
            "02:00:00:00:00:01:02",
            "host.example",
        ] {
            assert!(AddressMatch::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_contains_its_edges_only() {
        let prefix = Prefix::new("10.0.1.0".parse().unwrap(), 24).unwrap();
        for (address, inside) in [
            ("10.0.0.255", false),
            ("10.0.1.0", true),
            ("10.0.1.255", true),
            ("10.0.2.0", false),
            ("::10.0.1.0", false),
        ] {
            assert_eq!(prefix.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert_eq!(Prefix::new("10.0.1.0".parse().unwrap(), 33), None);
    }
}
