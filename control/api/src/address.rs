//! One end of a conversation as a search word.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use loadlock_packet::{MacAddress, Network};

/// An IP or MAC address to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFilter {
    /// An IP address.
    Ip(IpAddr),
    /// A station on the link.
    Mac(MacAddress),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFilterError {
    /// The text.
    pub found: String,
}

impl fmt::Display for AddressFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no address; write an IPv4 or IPv6 address such as 10.0.1.11, or a MAC address such as \
             02:00:00:00:00:01",
            crate::printable(&self.found)
        )
    }
}

impl std::error::Error for AddressFilterError {}

impl AddressFilter {
    /// True if this end of a conversation is the one looked for.
    #[must_use]
    pub fn matches(self, network: Network) -> bool {
        match (self, network) {
            (Self::Ip(wanted), Network::Ip(found)) => wanted == found,
            (Self::Mac(wanted), Network::Link { mac, .. }) => wanted == mac,
            _ => false,
        }
    }
}

impl FromStr for AddressFilter {
    type Err = AddressFilterError;

    fn from_str(text: &str) -> Result<Self, AddressFilterError> {
        let address = text.parse().ok().map(Self::Ip);
        let address = address.or_else(|| mac(text).map(Self::Mac));
        address.ok_or_else(|| AddressFilterError { found: text.to_owned() })
    }
}

impl fmt::Display for AddressFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Mac(address) => address.fmt(f),
        }
    }
}

/// Six pairs of hexadecimal digits with colons between them.
fn mac(text: &str) -> Option<MacAddress> {
    let mut parts = text.split(':');
    let mut bytes = [0; 6];
    for byte in &mut bytes {
        let part = parts.next()?;
        if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddress(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back() {
        for text in ["10.0.1.11", "fd00::1", "02:00:00:00:00:0a"] {
            assert_eq!(text.parse::<AddressFilter>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_is_allowed() {
        for text in [
            "",
            "etch-07",
            "10.0.1",
            "10.0.1.0/24",
            "02:00:00:00:00",
            "02:00:00:00:00:0g",
            "02:00:00:00:00:0a:0b",
        ] {
            let error = text.parse::<AddressFilter>().unwrap_err();
            assert!(error.to_string().contains("10.0.1.11"), "{error}");
        }
    }

    #[test]
    fn an_address_matches_itself_only() {
        let filter: AddressFilter = "10.0.1.11".parse().unwrap();
        assert!(filter.matches(Network::Ip("10.0.1.11".parse().unwrap())));
        assert!(!filter.matches(Network::Ip("10.0.1.12".parse().unwrap())));
        let mac = MacAddress([2, 0, 0, 0, 0, 1]);
        assert!(AddressFilter::Mac(mac).matches(Network::Link { mac, oui: [0; 3] }));
        assert!(!filter.matches(Network::Link { mac, oui: [0; 3] }));
    }
}
