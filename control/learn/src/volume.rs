//! Volume: rights that are used for much more than they were learned with, as by who carries data away through a permitted server.
//!
//! A day of a tuple is loud if one direction carries more than [`TIMES_MAX`] times what a day of use carried on average while it was
//! learned, and at least [`BYTES_MIN`]. A rule of thumb and no test with an error rate: evidence keeps sums, not a distribution (Lakhina, Crovella and
//! Diot, "Diagnosing network-wide traffic anomalies", SIGCOMM 2004, find volume anomalies to be changes of orders of magnitude). It is
//! an alarm; nothing is blocked for it.

use std::collections::{BTreeMap, HashMap};

use loadlock_exchange::{Event, EventKind};

use crate::days::day_of;
use crate::key::Tuple;
use crate::learner::Learner;

/// A day is loud from this many times the usual on.
pub const TIMES_MAX: u64 = 10;
/// And not below this many bytes.
pub const BYTES_MIN: u64 = 10 << 20;

/// A day on which a right was used for much more than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loud {
    /// Which right.
    pub tuple: Tuple,
    /// Days since 1970.
    pub day: u32,
    /// The client sent it; else the server.
    pub from_client: bool,
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes of an average day of use while it was learned.
    pub usual: u64,
}

/// What permitted conversations carry today. Bounded; about 100 bytes a tuple.
#[derive(Debug)]
pub struct Volume {
    today: HashMap<Tuple, (u32, [u64; 2])>,
    loud: BTreeMap<Tuple, Loud>,
    tuples_max: usize,
}

impl Volume {
    /// Nothing yet; of at most `tuples_max` tuples. What is beyond isn't watched.
    #[must_use]
    pub fn new(tuples_max: usize) -> Self {
        Self { today: HashMap::new(), loud: BTreeMap::new(), tuples_max }
    }

    /// Takes an event. Counts are those of ends and read-outs of conversations that a rule permits.
    pub fn observe(&mut self, event: &Event, learner: &Learner) {
        if !matches!(event.kind, EventKind::Ended | EventKind::Counted) || event.rule.is_none() {
            return;
        }
        for side in [event.initiator, event.initiator.other()] {
            let tuple = Tuple::new(&event.key, side);
            if let Some(usual) = learner.usual_bytes(&tuple) {
                let bytes = [event.bytes[side as usize], event.bytes[side.other() as usize]];
                self.note(tuple, event.time_ns, bytes, usual);
                return;
            }
        }
    }

    /// Notes what a conversation carried, from the client and from the server, and what is usual for a day.
    pub fn note(&mut self, tuple: Tuple, time_ns: u64, bytes: [u64; 2], usual: [u64; 2]) {
        if self.today.len() >= self.tuples_max && !self.today.contains_key(&tuple) {
            return;
        }
        let day = day_of(time_ns);
        let own = self.today.entry(tuple).or_insert((day, [0; 2]));
        if own.0 != day {
            *own = (day, [0; 2]);
        }
        for way in [0, 1] {
            own.1[way] = own.1[way].saturating_add(bytes[way]);
            let most = usual[way].saturating_mul(TIMES_MAX).max(BYTES_MIN);
            if own.1[way] > most {
                let (bytes, usual) = (own.1[way], usual[way]);
                self.loud.insert(tuple, Loud { tuple, day, from_client: way == 0, bytes, usual });
            }
        }
    }

    /// The latest loud day of each tuple, in the order of tuples.
    pub fn loud(&self) -> impl Iterator<Item = &Loud> {
        self.loud.values()
    }
}

#[cfg(test)]
mod tests {
    use loadlock_packet::{Kind, Network, SegmentId, Side, VlanStack};

    use super::*;
    use crate::days::NS_PER_DAY;

    fn tuple() -> Tuple {
        Tuple {
            segment: SegmentId::new(0).expect("the first"),
            vlans: VlanStack::UNTAGGED,
            client: Network::Ip([10, 0, 1, 1].into()),
            client_side: Side::A,
            server: Network::Ip([10, 0, 2, 1].into()),
            kind: Kind::Tcp,
            service: 445,
        }
    }

    #[test]
    fn a_day_is_loud_by_orders_of_magnitude_and_by_the_megabyte() {
        const MIB: u64 = 1 << 20;
        for (parts, usual, expected) in [
            ([6 * MIB, 6 * MIB], 1_000, true),
            ([6 * MIB, 6 * MIB], 2 * MIB, false),
            ([4 * MIB, 4 * MIB], 0, false),
            ([60 * MIB, 60 * MIB], 2 * MIB, true),
        ] {
            let mut volume = Volume::new(8);
            for bytes in parts {
                volume.note(tuple(), NS_PER_DAY, [bytes, 0], [usual, usual]);
            }
            assert_eq!(volume.loud().count() == 1, expected, "{parts:?} of {usual}");
        }
        let mut volume = Volume::new(8);
        for day in 1..9 {
            volume.note(tuple(), day * NS_PER_DAY, [0, 6 * MIB], [0, 1]);
        }
        assert_eq!(volume.loud().count(), 0, "each day counts by itself");
    }
}
