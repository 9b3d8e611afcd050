//! An IP address as it stands in a key, for lookups.

use std::net::IpAddr;

use crate::key::{FlowKey, Side};

/// An IP address, in wire order as two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    words: [u64; 2],
    v6: bool,
}

impl Address {
    /// The end of an IP conversation on `side`; `None` for the link layer.
    #[inline]
    #[must_use]
    pub fn of(key: &FlowKey, side: Side) -> Option<Self> {
        match key {
            FlowKey::Narrow(key) => {
                let address = key.0[0] >> (32 * side as u32) & 0xffff_ffff;
                Some(Self { words: [address, 0], v6: false })
            }
            FlowKey::Wide(_) if key.tail().kind().is_link_layer() => None,
            FlowKey::Wide(key) => {
                let at = 2 * side as usize;
                Some(Self { words: [key.0[at], key.0[at + 1]], v6: true })
            }
        }
    }

    /// Its sixteen bytes, or four and zeros.
    #[inline]
    #[must_use]
    pub fn words(&self) -> [u64; 2] {
        self.words
    }

    /// IPv6?
    #[inline]
    #[must_use]
    pub fn is_v6(&self) -> bool {
        self.v6
    }

    /// 0.0.0.0 or ::, which nobody has.
    #[inline]
    #[must_use]
    pub fn is_unspecified(&self) -> bool {
        self.words == [0; 2]
    }

    /// 169.254.0.0/16 or fe80::/10, which a station gives itself.
    #[inline]
    #[must_use]
    pub fn is_link_local(&self) -> bool {
        let [a, b, ..] = self.words[0].to_ne_bytes();
        if self.v6 { a == 0xfe && b & 0xc0 == 0x80 } else { [a, b] == [169, 254] }
    }

    /// From the first of [`Address::words`] of an IPv4 address; the upper half doesn't count.
    #[must_use]
    pub fn v4_of(word: u64) -> Self {
        Self { words: [word & 0xffff_ffff, 0], v6: false }
    }

    /// From [`Address::words`] of an IPv6 address.
    #[must_use]
    pub fn v6_of(words: [u64; 2]) -> Self {
        Self { words, v6: true }
    }

    pub(crate) fn v4(bytes: [u8; 4]) -> Self {
        Self { words: [u64::from(u32::from_ne_bytes(bytes)), 0], v6: false }
    }

    pub(crate) fn v6(bytes: [u8; 16]) -> Self {
        let half = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        Self { words: [half(0), half(8)], v6: true }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self::v6(address.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(Address { words, v6 }: Address) -> Self {
        let [first, second] = words.map(u64::to_ne_bytes);
        if v6 {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&first);
            bytes[8..].copy_from_slice(&second);
            IpAddr::from(bytes)
        } else {
            let [a, b, c, d, ..] = first;
            IpAddr::from([a, b, c, d])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_know_themselves() {
        for (text, unspecified, link_local) in [
            ("0.0.0.0", true, false),
            ("10.1.2.3", false, false),
            ("169.254.1.2", false, true),
            ("::", true, false),
            ("fe80::1", false, true),
            ("fec0::1", false, false),
            ("2001:db8::1", false, false),
        ] {
            let ip: IpAddr = text.parse().unwrap();
            let address = Address::from(ip);
            assert_eq!(IpAddr::from(address), ip);
            let again = match ip {
                IpAddr::V4(_) => Address::v4_of(address.words()[0] | 7 << 32),
                IpAddr::V6(_) => Address::v6_of(address.words()),
            };
            assert_eq!(again, address);
            assert_eq!(
                (address.is_unspecified(), address.is_link_local()),
                (unspecified, link_local),
                "{text}"
            );
        }
    }
}
