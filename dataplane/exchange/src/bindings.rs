//! Identity: which station speaks for an address, and on which side of a segment each is.
//!
//! A section of the policy slot behind the allowlist, so that rules and bindings change together. Form: a table of
//! [`crate::index`] (0–1 address, or station and zero; 2 VLANs, segment and kind; 3 station and flags), two entries at the most
//! for each binding: one for the address, one for the station.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use loadlock_packet::{Address, KeyTail, MacAddress, SegmentId, Side, VlanStack};

use crate::hash::Seed;
use crate::index::{Index, Key, WORDS_PER_ENTRY, lay_out};

/// Words of a slot for each binding: two entries.
pub(crate) const WORDS_PER_BINDING: usize = 2 * WORDS_PER_ENTRY;

/// Most bindings of a policy whose slots hold `rule_capacity` rules: an eighth, and 64 at the least.
#[must_use]
pub fn binding_capacity(rule_capacity: usize) -> usize {
    (rule_capacity / 8).max(64)
}

/// How strictly the devices on one side of a segment are held to their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Address and station belong together, on this side.
    MacIp,
    /// The address belongs to this side, by whatever station: for a side behind a router.
    Ip,
    /// Not held.
    Off,
}

impl Identity {
    /// Every way, the strictest first.
    pub const ALL: [Self; 3] = [Self::MacIp, Self::Ip, Self::Off];

    /// The name in configuration, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MacIp => "mac-ip",
            Self::Ip => "ip",
            Self::Off => "off",
        }
    }

    /// The way of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|identity| identity.name() == name)
    }
}

/// What belongs together: an address and its station, an address and its side, or a station and its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BindingEntry {
    /// Segment.
    pub segment: SegmentId,
    /// Exactly these tags.
    pub vlans: VlanStack,
    /// Where it is.
    pub side: Side,
    /// The address; `None` for a station without one.
    pub address: Option<IpAddr>,
    /// The station; `None`: any may speak for the address.
    pub mac: Option<MacAddress>,
}

/// Why bindings can't be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingError {
    /// More than [`binding_capacity`].
    TooMany {
        /// How many there are.
        bindings: usize,
        /// How many fit.
        capacity: usize,
    },
    /// One address has two bindings, or one station two sides, in the same VLAN of a segment.
    Contradiction {
        /// The second of them.
        binding: BindingEntry,
    },
    /// The seed clusters the bindings; with a seed from the kernel this doesn't happen.
    Clustered,
}

impl fmt::Display for BindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { bindings, capacity } => write!(
                f,
                "the policy has {bindings} bindings, {capacity} fit (an eighth of `exchange.rule_capacity`); raise it and restart \
                 the dataplane"
            ),
            Self::Contradiction { binding: BindingEntry { vlans, address, mac, .. } } => {
                f.write_str("two bindings contradict each other about ")?;
                match (address, mac) {
                    (Some(address), _) => write!(f, "{address}")?,
                    (None, Some(mac)) => write!(f, "{mac}")?,
                    (None, None) => f.write_str("nothing")?,
                }
                write!(f, " (VLAN {vlans}); remove one of them")
            }
            Self::Clustered => f.write_str(
                "the bindings can't be spread over the table; compile again with another seed",
            ),
        }
    }
}

impl std::error::Error for BindingError {}

/// VLANs and segment of a frame, as bindings are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Of a key with this tail.
    #[inline]
    #[must_use]
    pub fn of(tail: KeyTail) -> Self {
        Self(tail.bits() & 0xf0ff_ffff)
    }

    pub(crate) fn new(segment: SegmentId, vlans: VlanStack) -> Self {
        Self::of(KeyTail::new(segment, vlans, loadlock_packet::Kind::Tcp))
    }
}

impl Place {
    /// Any VLAN of the segment, as modes are kept by.
    #[inline]
    pub(crate) fn segment_bits(self) -> u32 {
        self.0 & 0xf000_0000
    }

    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }
}

/// Who may speak for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// On which side.
    pub side: Side,
    /// Which station; `None`: any on that side.
    pub mac: Option<MacAddress>,
}

/// What is known of a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// On which side it is.
    pub side: Side,
    /// It is bound to IPv4 addresses, and has no others.
    pub has_ipv4: bool,
}

pub(crate) const V4: u64 = 1 << 32;
pub(crate) const V6: u64 = 2 << 32;
pub(crate) const STATION: u64 = 3 << 32;

const MAC: u64 = (1 << 48) - 1;
const MAC_KNOWN: u64 = 1 << 48;
const SIDE_B: u64 = 1 << 49;
const HAS_IPV4: u64 = 1 << 50;

pub(crate) fn mac_word(MacAddress([a, b, c, d, e, f]): MacAddress) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

fn side_of(word: u64) -> Side {
    if word & SIDE_B == 0 { Side::A } else { Side::B }
}

#[inline]
fn address_key(place: Place, address: &Address) -> [u64; 3] {
    let kind = if address.is_v6() { V6 } else { V4 };
    let [first, second] = address.words();
    [first, second, kind | u64::from(place.0)]
}

#[inline]
fn station_key(place: Place, mac: MacAddress) -> [u64; 3] {
    [mac_word(mac), 0, STATION | u64::from(place.0)]
}

/// Lays `bindings` out as a table.
pub(crate) fn compile(bindings: &[BindingEntry], seed: Seed) -> Result<Vec<u64>, BindingError> {
    let mut entries: HashMap<[u64; 3], u64> = HashMap::with_capacity(bindings.len() * 2);
    let mut order = Vec::with_capacity(bindings.len() * 2);
    for &binding in bindings {
        let BindingEntry { segment, vlans, side, address, mac } = binding;
        let place = Place::new(segment, vlans);
        let side = if side == Side::B { SIDE_B } else { 0 };
        let contradiction = BindingError::Contradiction { binding };
        if let Some(address) = address {
            let key = address_key(place, &address.into());
            let value = side | mac.map_or(0, |mac| mac_word(mac) | MAC_KNOWN);
            if entries.insert(key, value).is_some() {
                return Err(contradiction);
            }
            order.push(key);
        }
        if let Some(mac) = mac {
            let key = station_key(place, mac);
            let has_ipv4 =
                if address.is_some_and(|address| address.is_ipv4()) { HAS_IPV4 } else { 0 };
            match entries.get_mut(&key) {
                Some(known) if *known & SIDE_B != side => return Err(contradiction),
                Some(known) => *known |= has_ipv4,
                None => {
                    entries.insert(key, side | has_ipv4);
                    order.push(key);
                }
            }
        }
    }
    let entries: Vec<(Key, u64)> = order.into_iter().map(|key| (key, entries[&key])).collect();
    lay_out(&entries, seed).ok_or(BindingError::Clustered)
}

/// Where a slot's bindings lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bindings(pub Index);

impl Bindings {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub fn owner(&self, words: &[u64], place: Place, address: &Address) -> Option<Owner> {
        let word = self.0.find(words, address_key(place, address))?;
        let [a, b, c, d, e, f, ..] = (word & MAC).to_le_bytes();
        let mac = (word & MAC_KNOWN != 0).then_some(MacAddress([a, b, c, d, e, f]));
        Some(Owner { side: side_of(word), mac })
    }

    #[inline]
    pub fn station(&self, words: &[u64], place: Place, mac: MacAddress) -> Option<Station> {
        let word = self.0.find(words, station_key(place, mac))?;
        Some(Station { side: side_of(word), has_ipv4: word & HAS_IPV4 != 0 })
    }
}
