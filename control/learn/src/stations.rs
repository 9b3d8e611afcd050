//! Which station speaks for an address, on which side: what bindings are learned from.
//!
//! Only senders count. Where a frame was sent to is what its sender believed, and a gateway that answers from another station than
//! it is asked at is ordinary. What was seen of two stations, of a router or of a virtual one is bound to its side alone; what was
//! seen on both sides isn't bound at all. So whatever was seen while learning passes afterwards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use loadlock_exchange::{Event, EventKind};
use loadlock_packet::{MacAddress, Network, SegmentId, Side, VlanStack};
use loadlock_policy::{Binding, BindingParts, LEARNED};

use crate::ledger::ROUTER_ADDRESSES_MIN;

/// Addresses and stations that are remembered. Beyond, new ones are refused and counted.
const SEEN_MAX: usize = 131_072;

/// Who was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sender {
    /// By its IP address.
    Address(IpAddr),
    /// By its frames.
    Station(MacAddress),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    segment: SegmentId,
    vlans: VlanStack,
    sender: Sender,
}

/// How it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// On each side.
    pub sides: [bool; 2],
    /// By which station; the lowest of several.
    pub mac: MacAddress,
    /// By others too.
    pub several: bool,
}

impl Seen {
    /// Joins what is known from two sources, in any order.
    fn join(&mut self, other: &Self) {
        self.several |= other.several || self.mac != other.mac;
        self.mac = self.mac.min(other.mac);
        for (side, other) in self.sides.iter_mut().zip(other.sides) {
            *side |= other;
        }
    }

    fn side(&self) -> Option<Side> {
        match self.sides {
            [true, false] => Some(Side::A),
            [false, true] => Some(Side::B),
            _ => None,
        }
    }
}

/// A row as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationRow {
    /// Name of the segment: ids change with the configuration.
    pub segment: String,
    /// VLANs.
    pub vlans: VlanStack,
    /// Who.
    pub sender: Sender,
    /// How.
    pub seen: Seen,
}

/// Learns who speaks for what. Single-threaded; an event costs at most four hash lookups.
#[derive(Debug)]
pub struct Stations {
    segments: Vec<Arc<str>>,
    seen: HashMap<Key, Seen>,
    unsaved: HashSet<Key>,
    refused: u64,
    revision: u64,
}

/// Virtual routers: VRRP (RFC 9568), HSRP 1 and 2. The station that answers for them changes with the router in charge.
fn is_virtual(MacAddress(mac): MacAddress) -> bool {
    matches!(
        mac,
        [0, 0, 0x5e, 0, 1 | 2, _]
            | [0, 0, 0x0c, 0x07, 0xac, _]
            | [0, 0, 0x0c, 0x9f, 0xf0..=0xff, _]
            | [0, 5, 0x73, 0xa0, 0..=0x0f, _]
    )
}

/// Why an address isn't held to the station that it was seen of.
fn why_not(seen: &Seen, place: Option<&Place>) -> Option<&'static str> {
    if is_virtual(seen.mac) {
        Some("a virtual router")
    } else if seen.several {
        Some("seen of several stations")
    } else if place.is_some_and(Place::is_router) {
        Some("behind a router")
    } else if place.is_none_or(|place| place.sides != seen.sides) {
        Some("its station was seen on both sides")
    } else {
        None
    }
}

fn is_host(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::from([255; 4]);
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

impl Stations {
    /// Nothing is known. `segments` are the names of the segments, in the order of their ids.
    #[must_use]
    pub fn new(segments: &[String]) -> Self {
        Self {
            segments: segments.iter().map(|name| name.as_str().into()).collect(),
            seen: HashMap::new(),
            unsaved: HashSet::new(),
            refused: 0,
            revision: 0,
        }
    }

    /// Takes an event of a segment that learns. What was denied, or would be, says nothing.
    pub fn observe(&mut self, event: &Event) {
        if matches!(event.kind, EventKind::Denied(_)) {
            return;
        }
        let tail = event.key.tail();
        if tail.segment().index() >= self.segments.len() {
            return;
        }
        for side in [Side::A, Side::B] {
            let mac = event.macs[side as usize];
            if event.packets[side as usize] == 0 || mac.is_group() || mac == MacAddress([0; 6]) {
                continue;
            }
            let address = match event.key.endpoint(side).network {
                Network::Ip(address) if is_host(address) => Some(Sender::Address(address)),
                Network::Ip(_) => continue,
                Network::Link { .. } => None,
            };
            let mut sides = [false; 2];
            sides[side as usize] = true;
            let seen = Seen { sides, mac, several: false };
            for sender in address.into_iter().chain([Sender::Station(mac)]) {
                let key = Key { segment: tail.segment(), vlans: tail.vlans(), sender };
                if self.join(key, &seen) {
                    self.unsaved.insert(key);
                }
            }
        }
    }

    /// True if there is something new in it.
    fn join(&mut self, key: Key, seen: &Seen) -> bool {
        if let Some(known) = self.seen.get_mut(&key) {
            let before = *known;
            known.join(seen);
            if *known == before {
                return false;
            }
        } else if self.seen.len() < SEEN_MAX {
            self.seen.insert(key, *seen);
        } else {
            self.refused += 1;
            return false;
        }
        self.revision += 1;
        true
    }

    /// A number that grows with everything that may change the bindings.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Addresses and stations that weren't learned for want of room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What follows from all that was seen, in a fixed order, none contradicting another.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        let places = self.places();
        let mut bindings = Vec::new();
        let mut bound = HashSet::new();
        for (key, seen) in &self.seen {
            let (Sender::Address(address), Some(side)) = (key.sender, seen.side()) else {
                continue;
            };
            let station = (key.segment, key.vlans, seen.mac);
            let why = why_not(seen, places.get(&station));
            if why.is_none() {
                bound.insert(station);
            }
            let mac = why.is_none().then_some(seen.mac);
            bindings.extend(self.binding(key, Some(address), mac, side, why));
        }
        for (key, seen) in &self.seen {
            let (Sender::Station(mac), Some(side)) = (key.sender, seen.side()) else { continue };
            let station = (key.segment, key.vlans, mac);
            if is_virtual(mac) || bound.contains(&station) {
                continue;
            }
            let router = places.get(&station).is_some_and(Place::is_router);
            let what = router.then_some("a router");
            bindings.extend(self.binding(key, None, Some(mac), side, what));
        }
        bindings.sort_unstable();
        bindings
    }

    fn binding(
        &self,
        key: &Key,
        address: Option<IpAddr>,
        mac: Option<MacAddress>,
        side: Side,
        remark: Option<&str>,
    ) -> Option<Binding> {
        let segment = self.segments.get(key.segment.index())?.clone();
        let reason =
            remark.map_or_else(|| LEARNED.to_owned(), |remark| format!("{LEARNED}; {remark}"));
        let (vlans, reason) = (key.vlans, reason.as_str().into());
        // Nobody's addresses aren't taken in, so that this doesn't fail; if it did, one binding less is held.
        Binding::new(BindingParts { segment, vlans, address, mac, side, reason }).ok()
    }

    /// What is known of each station: where it is, and how many addresses it speaks for.
    fn places(&self) -> BTreeMap<(SegmentId, VlanStack, MacAddress), Place> {
        let mut places: BTreeMap<_, Place> = BTreeMap::new();
        for (key, seen) in &self.seen {
            let place = places.entry((key.segment, key.vlans, seen.mac)).or_default();
            match key.sender {
                Sender::Station(_) => place.sides = seen.sides,
                Sender::Address(IpAddr::V4(_)) => place.v4 += 1,
                Sender::Address(IpAddr::V6(address)) if !address.is_unicast_link_local() => {
                    place.v6.insert(address.segments()[..4].to_vec());
                }
                Sender::Address(_) => {}
            }
        }
        places
    }

    /// What the store hasn't yet. If it can't be stored, give it back to [`Stations::keep_unsaved`].
    pub fn take_changes(&mut self) -> Vec<StationRow> {
        let mut keys: Vec<Key> = self.unsaved.drain().collect();
        keys.sort_unstable();
        let row = |key: Key| {
            let segment = self.segments.get(key.segment.index())?.to_string();
            let seen = *self.seen.get(&key)?;
            Some(StationRow { segment, vlans: key.vlans, sender: key.sender, seen })
        };
        keys.into_iter().filter_map(row).collect()
    }

    /// Marks rows that couldn't be stored.
    pub fn keep_unsaved(&mut self, rows: &[StationRow]) {
        let keys: Vec<Key> = rows.iter().filter_map(|row| self.key(row)).collect();
        self.unsaved.extend(keys);
    }

    /// Joins stored rows to what is known; those of other segments stay in the store.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = StationRow>) {
        for row in rows {
            if let Some(key) = self.key(&row) {
                self.join(key, &row.seen);
            }
        }
    }

    /// A person said otherwise: what was seen of this address is forgotten, and learned anew in learn mode.
    pub fn forget(&mut self, segment: &str, vlans: VlanStack, address: IpAddr) {
        let Some(segment) = self.segment(segment) else { return };
        let key = Key { segment, vlans, sender: Sender::Address(address) };
        if self.seen.remove(&key).is_some() {
            self.revision += 1;
        }
    }

    fn segment(&self, name: &str) -> Option<SegmentId> {
        SegmentId::new(self.segments.iter().position(|known| &**known == name)?)
    }

    fn key(&self, row: &StationRow) -> Option<Key> {
        let segment = self.segment(&row.segment)?;
        Some(Key { segment, vlans: row.vlans, sender: row.sender })
    }
}

/// A station's place.
#[derive(Debug, Default)]
struct Place {
    sides: [bool; 2],
    v4: usize,
    /// Networks of 64 bits: a host has many addresses in one of them (RFC 8981).
    v6: HashSet<Vec<u16>>,
}

impl Place {
    fn is_router(&self) -> bool {
        self.v4 >= ROUTER_ADDRESSES_MIN || self.v6.len() >= ROUTER_ADDRESSES_MIN
    }
}

#[cfg(test)]
mod tests;
