//! On which side of the segment each station is, as far as a capture tells.
//!
//! A capture says who spoke to whom, not through which port of an appliance. But an appliance between two stations
//! sees them on opposite sides. So every pair of stations that talk is evidence that they are opposite, the busiest pair
//! first; a pair that contradicts busier ones (three hosts at a switch's mirror port, each talking to both others) is left
//! on the same side, and [`crate::direction`] tells its packets' direction. Of stations that no evidence connects, the
//! first seen is on side A, and so is one that only sends to groups.
//!
//! The addresses of answers are evidence too, of less weight: whoever sends from `y` to `x` is opposite to whoever sends
//! from `x` to `y`. It joins routers that use other MAC addresses for what they send than for what they receive.

use std::collections::{BTreeMap, HashMap};

use loadlock_packet::{MacAddress, Side};

/// Most stations, and most pairs, that are kept. Of what comes later, stations are on side A and pairs give no evidence.
pub(crate) const KEPT_MAX: usize = 1 << 20;

/// Two stations that talk, or whose packets answer each other.
#[derive(Clone, Copy)]
struct Pair {
    stations: [u32; 2],
    packets: u64,
}

/// Evidence from the packets of a capture in their order.
#[derive(Default)]
pub(crate) struct Stations {
    /// Numbers in the order of appearance.
    numbers: HashMap<MacAddress, u32>,
    talking: Pairs,
    answering: Pairs,
    not_kept: u64,
}

/// Pairs in the order of appearance.
#[derive(Default)]
struct Pairs {
    places: HashMap<[u32; 2], usize>,
    pairs: Vec<Pair>,
}

impl Pairs {
    fn count(&mut self, one: u32, other: u32) {
        let stations = [one.min(other), one.max(other)];
        if let Some(&at) = self.places.get(&stations) {
            self.pairs[at].packets += 1;
        } else if self.pairs.len() < KEPT_MAX {
            self.places.insert(stations, self.pairs.len());
            self.pairs.push(Pair { stations, packets: 1 });
        }
    }

    /// The busiest first; among equals the first seen.
    fn by_weight(mut self) -> Vec<Pair> {
        self.pairs.sort_by_key(|pair| std::cmp::Reverse(pair.packets));
        self.pairs
    }
}

impl Stations {
    fn number(&mut self, mac: MacAddress) -> Option<u32> {
        if let Some(&number) = self.numbers.get(&mac) {
            return Some(number);
        }
        if self.numbers.len() >= KEPT_MAX {
            self.not_kept += 1;
            return None;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(mac, number);
        Some(number)
    }

    /// Notes a packet from one station to another, or to a group.
    pub fn talked(&mut self, source: MacAddress, destination: MacAddress) {
        let Some(sender) = self.number(source) else { return };
        if destination.is_group() || source == destination {
            return;
        }
        if let Some(receiver) = self.number(destination) {
            self.talking.count(sender, receiver);
        }
    }

    /// Notes that a packet of `answering` went between the same addresses as one of `asking`, the other way.
    pub fn answered(&mut self, asking: MacAddress, answering: MacAddress) {
        let number = |mac| self.numbers.get(mac).copied();
        if let (Some(one), Some(other)) = (number(&asking), number(&answering))
            && one != other
        {
            self.answering.count(one, other);
        }
    }

    /// Places every station. `given` sides hold whatever the packets say.
    pub fn place(self, given: &BTreeMap<MacAddress, Side>) -> Placement {
        let mut sides = OppositeSets::new(self.numbers.len());
        let number = |mac| self.numbers.get(mac).copied();
        for (mac, &side) in given {
            if let Some(station) = number(mac) {
                sides.join(OppositeSets::SIDE_A, OppositeSets::node(station), side == Side::B);
            }
        }
        let weighed = [self.talking.by_weight(), self.answering.by_weight()];
        for Pair { stations: [one, other], .. } in weighed.iter().flatten() {
            sides.join(OppositeSets::node(*one), OppositeSets::node(*other), true);
        }
        let opposite = sides.parities();
        let side = |station: u32| match opposite[OppositeSets::node(station) as usize] {
            false => Side::A,
            true => Side::B,
        };
        let place = |(&mac, &station)| (mac, side(station));
        let mut placed: HashMap<_, _> = self.numbers.iter().map(place).collect();
        placed.extend(given.iter().map(|(mac, side)| (*mac, *side)));
        let same_side = |pair: &&Pair| side(pair.stations[0]) == side(pair.stations[1]);
        let same_side_pairs = weighed[0].iter().filter(same_side).count();
        Placement { sides: placed, same_side_pairs, not_kept: self.not_kept }
    }
}

/// Union-find with parity: sets whose members are on the same side as the set's oldest member, or opposite to it.
struct OppositeSets {
    /// Towards the set's oldest member, and whether opposite to that.
    parents: Vec<(u32, bool)>,
}

impl OppositeSets {
    /// A member that is on side A by definition, and older than all stations.
    const SIDE_A: u32 = 0;

    fn new(stations: usize) -> Self {
        Self { parents: (0..=stations as u32).map(|node| (node, false)).collect() }
    }

    fn node(station: u32) -> u32 {
        station + 1
    }

    /// The set's oldest member, and whether `node` is opposite to it. Halves the way there, so that a chain of stations
    /// takes no quadratic time.
    fn root(&mut self, mut node: u32) -> (u32, bool) {
        let mut opposite = false;
        loop {
            let (parent, parity) = self.parents[node as usize];
            if parent == node {
                return (node, opposite);
            }
            let (grandparent, further) = self.parents[parent as usize];
            self.parents[node as usize] = (grandparent, parity ^ further);
            opposite ^= parity ^ further;
            node = grandparent;
        }
    }

    /// Puts two members on opposite sides, or on the same one, unless they are in one set already.
    fn join(&mut self, one: u32, other: u32, opposite: bool) {
        let ((one, one_parity), (other, other_parity)) = (self.root(one), self.root(other));
        let (oldest, joined) = (one.min(other), one.max(other));
        if oldest != joined {
            self.parents[joined as usize] = (oldest, one_parity ^ other_parity ^ opposite);
        }
    }

    /// Which members are opposite to their set's oldest.
    fn parities(mut self) -> Vec<bool> {
        (0..self.parents.len() as u32).map(|node| self.root(node).1).collect()
    }
}

/// Where every station is.
pub(crate) struct Placement {
    sides: HashMap<MacAddress, Side>,
    /// Pairs of talking stations that couldn't be put on opposite sides.
    pub same_side_pairs: usize,
    /// Packets of stations beyond [`KEPT_MAX`].
    pub not_kept: u64,
}

impl Placement {
    /// The side of a station; `None` beyond [`KEPT_MAX`] and for one the capture doesn't have.
    pub fn side(&self, mac: MacAddress) -> Option<Side> {
        self.sides.get(&mac).copied()
    }

    /// All stations in the order of their addresses.
    pub fn sorted(&self) -> BTreeMap<MacAddress, Side> {
        self.sides.iter().map(|(mac, side)| (*mac, *side)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mac(last: u8) -> MacAddress {
        MacAddress([2, 0, 0, 0, 0, last])
    }

    const GROUP: MacAddress = MacAddress([0xff; 6]);

    fn sides(packets: &[(MacAddress, MacAddress)], given: &[(MacAddress, Side)]) -> Placement {
        let mut stations = Stations::default();
        for (source, destination) in packets {
            stations.talked(*source, *destination);
        }
        stations.place(&given.iter().copied().collect())
    }

    #[test]
    fn the_first_is_on_side_a_and_whoever_it_talks_to_opposite() {
        let placed = sides(&[(mac(1), GROUP), (mac(2), mac(1)), (mac(2), mac(3))], &[]);
        assert_eq!(placed.side(mac(1)), Some(Side::A));
        assert_eq!(placed.side(mac(2)), Some(Side::B));
        assert_eq!(placed.side(mac(3)), Some(Side::A));
        assert_eq!(placed.side(GROUP), None);
        assert_eq!(placed.same_side_pairs, 0);
    }

    #[test]
    fn evidence_that_comes_late_joins_what_came_before() {
        let packets = [(mac(1), mac(2)), (mac(3), mac(4)), (mac(3), mac(1))];
        let placed = sides(&packets, &[]);
        assert_eq!([1, 4].map(|last| placed.side(mac(last))), [Some(Side::A); 2]);
        assert_eq!([2, 3].map(|last| placed.side(mac(last))), [Some(Side::B); 2]);
    }

    #[test]
    fn the_busiest_pairs_of_a_triangle_are_opposite() {
        let packets = [
            (mac(1), mac(2)),
            (mac(2), mac(3)),
            (mac(3), mac(2)),
            (mac(3), mac(1)),
            (mac(1), mac(3)),
        ];
        let placed = sides(&packets, &[]);
        assert_eq!(placed.side(mac(1)), placed.side(mac(2)));
        assert_ne!(placed.side(mac(3)), placed.side(mac(2)));
        assert_eq!(placed.same_side_pairs, 1);
    }

    #[test]
    fn a_given_side_moves_all_that_depend_on_it() {
        let packets = [(mac(1), mac(2)), (mac(2), mac(3)), (mac(4), mac(5))];
        let placed = sides(&packets, &[(mac(3), Side::B), (mac(9), Side::B)]);
        let expected = [Side::B, Side::A, Side::B, Side::A, Side::B].map(Some);
        assert_eq!([1, 2, 3, 4, 5].map(|last| placed.side(mac(last))), expected);
        assert_eq!(placed.side(mac(9)), Some(Side::B));
    }

    #[test]
    fn answers_place_what_talk_leaves_open() {
        let mut stations = Stations::default();
        stations.talked(mac(1), mac(2));
        stations.talked(mac(3), mac(4));
        stations.answered(mac(1), mac(3));
        let placed = stations.place(&BTreeMap::new());
        assert_eq!([1, 4].map(|last| placed.side(mac(last))), [Some(Side::A); 2]);
        assert_eq!([2, 3].map(|last| placed.side(mac(last))), [Some(Side::B); 2]);
    }

    #[test]
    fn a_long_chain_of_stations_takes_no_quadratic_time() {
        let station = |number: u32| {
            let [_, b, c, d] = number.to_be_bytes();
            MacAddress([2, 0, 0, b, c, d])
        };
        let packets: Vec<_> = (0..200_000).map(|at| (station(at), station(at + 1))).collect();
        let placed = sides(&packets, &[]);
        assert_eq!(placed.side(station(200_000)), Some(Side::A));
        assert_eq!(placed.side(station(199_999)), Some(Side::B));
    }
}
