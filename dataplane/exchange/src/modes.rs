//! Modes of single devices, which go before those of their segments.
//!
//! A section of the policy slot behind the bindings: a table of [`crate::index`] (0–1 address, or station and zero; 2 segment and kind; 3 mode
//! in bits 0–7, 8: only in the VLANs of bits 32–63). Looked at only when a frame is judged, never for a conversation that goes on.

use std::fmt;
use std::net::IpAddr;

use loadlock_packet::{Address, MacAddress, SegmentId, VlanStack};

use crate::bindings::{Place, STATION, V4, V6, mac_word};
use crate::hash::Seed;
use crate::index::{Index, Key, WORDS_PER_ENTRY, lay_out};
use crate::segment::Mode;

/// Words of a slot for each address that has a mode.
pub(crate) const WORDS_PER_MODE: usize = WORDS_PER_ENTRY;

/// Most addresses with a mode of their own in a policy whose slots hold `rule_capacity` rules: an eighth, and 64 at the least.
#[must_use]
pub fn mode_capacity(rule_capacity: usize) -> usize {
    (rule_capacity / 8).max(64)
}

/// What a device is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceAddress {
    /// An IP address.
    Ip(IpAddr),
    /// A station.
    Mac(MacAddress),
}

/// The mode of one of a device's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeEntry {
    /// Segment.
    pub segment: SegmentId,
    /// Only under exactly these tags; `None`: under any.
    pub vlans: Option<VlanStack>,
    /// The address.
    pub address: DeviceAddress,
    /// The mode.
    pub mode: Mode,
}

/// Why modes can't be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeError {
    /// More than [`mode_capacity`].
    TooMany {
        /// How many addresses there are.
        addresses: usize,
        /// How many fit.
        capacity: usize,
    },
    /// One address twice on a segment.
    Twice {
        /// The second of them.
        entry: ModeEntry,
    },
    /// The seed clusters them; with a seed from the kernel this doesn't happen.
    Clustered,
}

impl fmt::Display for ModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { addresses, capacity } => write!(
                f,
                "devices with {addresses} addresses have a mode of their own, {capacity} fit (an eighth of `exchange.rule_capacity`); \
                 raise it and restart the dataplane, or set the segment's mode"
            ),
            Self::Twice { entry: ModeEntry { address, .. } } => match address {
                DeviceAddress::Ip(address) => write!(f, "two devices with a mode have {address}"),
                DeviceAddress::Mac(mac) => write!(f, "two devices with a mode have {mac}"),
            },
            Self::Clustered => f.write_str(
                "the modes can't be spread over the table; compile again with another seed",
            ),
        }
    }
}

impl std::error::Error for ModeError {}

/// Header bit: there are stations among them.
const STATIONS: u64 = 1 << 63;
const VLAN_BOUND: u64 = 1 << 8;

#[inline]
fn address_key(place: Place, address: &Address) -> Key {
    let kind = if address.is_v6() { V6 } else { V4 };
    let [first, second] = address.words();
    [first, second, kind | u64::from(place.segment_bits())]
}

#[inline]
fn station_key(place: Place, mac: MacAddress) -> Key {
    [mac_word(mac), 0, STATION | u64::from(place.segment_bits())]
}

/// Lays `entries` out as a table. The second: there are stations among them.
pub(crate) fn compile(entries: &[ModeEntry], seed: Seed) -> Result<(Vec<u64>, bool), ModeError> {
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    let mut rows = Vec::with_capacity(entries.len());
    for &entry in entries {
        let ModeEntry { segment, vlans, address, mode } = entry;
        let place = Place::new(segment, vlans.unwrap_or(VlanStack::UNTAGGED));
        let key = match address {
            DeviceAddress::Ip(address) => address_key(place, &address.into()),
            DeviceAddress::Mac(mac) => station_key(place, mac),
        };
        if !seen.insert(key) {
            return Err(ModeError::Twice { entry });
        }
        let bound = if vlans.is_some() { VLAN_BOUND | u64::from(place.bits()) << 32 } else { 0 };
        rows.push((key, mode as u64 | bound));
    }
    let stations = entries.iter().any(|entry| matches!(entry.address, DeviceAddress::Mac(_)));
    Ok((lay_out(&rows, seed).ok_or(ModeError::Clustered)?, stations))
}

/// Where a slot's modes lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modes {
    index: Index,
    has_stations: bool,
}

impl Modes {
    /// None.
    pub const EMPTY: Self = Self { index: Index::EMPTY, has_stations: false };

    /// The header's word for a table of so many words from word `at` on.
    pub fn header_word(at: usize, words: usize, has_stations: bool) -> u64 {
        Index::header_word(at, words) | if has_stations { STATIONS } else { 0 }
    }

    /// Reads the header's word; `None` if the table doesn't lie inside `words`.
    pub fn read(seed: Seed, header: u64, words: usize) -> Option<Self> {
        let index = Index::read(seed, header & !STATIONS, words)?;
        Some(Self { index, has_stations: header & STATIONS != 0 })
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    #[inline]
    pub fn has_stations(&self) -> bool {
        self.has_stations
    }

    #[inline]
    fn value(&self, words: &[u64], place: Place, key: Key) -> Option<Mode> {
        let value = self.index.find(words, key)?;
        let elsewhere = value & VLAN_BOUND != 0 && (value >> 32) as u32 != place.bits();
        if elsewhere { None } else { Mode::from_bits(value & 0xff) }
    }

    #[inline]
    pub fn of_address(&self, words: &[u64], place: Place, address: &Address) -> Option<Mode> {
        self.value(words, place, address_key(place, address))
    }

    #[inline]
    pub fn of_station(&self, words: &[u64], place: Place, mac: MacAddress) -> Option<Mode> {
        self.value(words, place, station_key(place, mac))
    }
}
