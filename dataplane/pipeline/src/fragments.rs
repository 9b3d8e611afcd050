//! Fragments: the first one is judged, the others follow it.
//!
//! A bounded table of the packets whose first fragment passed by, with its verdict and where it ended. Only first fragments
//! take a place in it, denied ones none that a permitted one has.

use loadlock_exchange::{DropReason, Found, Seed, hash_wide};
use loadlock_packet::{FlowKey, Fragment, Side};

use crate::entry::{TableKey, Tick};
use crate::report::EventSink;
use crate::track::{Burst, Seen};
use crate::verdict::{Basis, Verdict, VerdictWord};

/// Packets in one set, a cache line each.
const WAYS: usize = 8;

/// A packet in fragments, as its receiver tells it from others; the protocol is apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// Both addresses, side A's first.
    addresses: [u64; 4],
    identification: u32,
    /// Bits 0–23 VLAN ids, 24 sender on side B, 25 IPv6, 28–31 segment.
    place: u32,
}

/// Of a key's tail, without the kind.
const VLANS_AND_SEGMENT: u32 = 0xf0ff_ffff;

impl Datagram {
    pub fn new(key: &FlowKey, sender: Side, fragment: &Fragment) -> Self {
        let [first, second, third, fourth, _] = key.words();
        let (addresses, v6) = match key {
            // A narrow key's second word has the services, of which later fragments have none.
            FlowKey::Narrow(_) => ([first, 0, 0, 0], 0),
            FlowKey::Wide(_) => ([first, second, third, fourth], 1 << 25),
        };
        let tail = key.tail();
        let place = tail.bits() & VLANS_AND_SEGMENT | (sender as u32) << 24 | v6;
        Self { addresses, identification: fragment.identification, place }
    }

    fn hash(&self, seed: Seed) -> u64 {
        let [a, b, c, d] = self.addresses;
        hash_wide([a, b, c, d, u64::from(self.identification) << 32 | u64::from(self.place)], seed)
    }
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Way {
    datagram: Datagram,
    verdict: VerdictWord,
    /// When the first fragment came.
    since: Tick,
    /// Where it ended.
    first_bytes: u16,
    protocol: u8,
    used: bool,
    /// A later fragment reached into it: nothing more of this packet passes (RFC 5722).
    overlapped: bool,
}

const _: () = assert!(size_of::<Way>() == 64);

/// The fragmented packets of one worker.
pub(crate) struct Fragments {
    sets: Box<[[Way; WAYS]]>,
    seed: Seed,
    timeout: Tick,
}

/// What is known of a later fragment's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    Follows(Verdict),
    Contradicts(DropReason),
    Unknown,
}

impl Fragments {
    /// For `capacity` packets, rounded up to a power of two.
    pub fn new(capacity: usize, timeout: Tick, seed: Seed) -> Self {
        let datagram = Datagram { addresses: [0; 4], identification: 0, place: 0 };
        let empty = Way {
            datagram,
            verdict: VerdictWord::LEARNING,
            since: 0,
            first_bytes: 0,
            protocol: 0,
            used: false,
            overlapped: false,
        };
        let sets = capacity.div_ceil(WAYS).next_power_of_two();
        Self { sets: vec![[empty; WAYS]; sets].into_boxed_slice(), seed, timeout }
    }

    fn set(&mut self, datagram: &Datagram) -> &mut [Way; WAYS] {
        let sets = self.sets.len();
        &mut self.sets[datagram.hash(self.seed) as usize & (sets - 1)]
    }

    /// Remembers a first fragment. A second one of the same packet takes the place of the one before.
    pub fn lead(
        &mut self,
        datagram: Datagram,
        fragment: &Fragment,
        verdict: VerdictWord,
        now: Tick,
    ) {
        let timeout = self.timeout;
        let protocol = fragment.protocol;
        let way = Way {
            datagram,
            verdict,
            since: now,
            first_bytes: fragment.end_bytes,
            protocol,
            used: true,
            overlapped: false,
        };
        // Which place is given up, the lowest first; among equals the oldest.
        let worth = |way: &Way| {
            let age = now.wrapping_sub(way.since);
            let rank = if way.used && way.datagram == datagram && way.protocol == protocol {
                0
            } else if !way.used || age >= timeout {
                1
            } else if !way.verdict.forwards() {
                2
            } else {
                3
            };
            (rank, Tick::MAX - age)
        };
        if let Some(place) = self.set(&datagram).iter_mut().min_by_key(|way| worth(way))
            && (verdict.forwards() || worth(place).0 < 3)
        {
            *place = way;
        }
    }

    /// Finds what a later fragment must follow.
    pub fn later(&mut self, datagram: Datagram, fragment: &Fragment, now: Tick) -> Later {
        let timeout = self.timeout;
        let known = |way: &Way| {
            way.used && way.datagram == datagram && now.wrapping_sub(way.since) < timeout
        };
        let mut other_protocol = false;
        for way in self.set(&datagram).iter_mut().filter(|way| known(way)) {
            if way.protocol != fragment.protocol {
                other_protocol = true;
                continue;
            }
            let verdict = way.verdict.verdict();
            way.overlapped |= verdict.forwards() && fragment.offset_bytes < way.first_bytes;
            return match way.overlapped {
                true => Later::Contradicts(DropReason::FragmentOverlap),
                false => Later::Follows(verdict),
            };
        }
        match other_protocol {
            true => Later::Contradicts(DropReason::FragmentProtocol),
            false => Later::Unknown,
        }
    }
}

impl<S: EventSink> Burst<'_, S> {
    /// A first fragment was judged.
    #[cold]
    pub fn lead(&mut self, key: &FlowKey, fragment: &Fragment, verdict: Verdict) {
        let datagram = Datagram::new(key, self.sender, fragment);
        self.fragments.lead(datagram, fragment, verdict.into(), self.now);
    }

    /// The verdict on a later fragment: that of the first one, whatever the policy is by now. Without one, a rule for fragments
    /// may permit it; nothing is learned from it.
    #[cold]
    pub fn follow<K: TableKey>(&mut self, seen: &Seen<K>, fragment: &Fragment) -> Verdict {
        let key = &seen.key;
        let datagram = Datagram::new(&key.flow_key(), self.sender, fragment);
        let reason = match self.fragments.later(datagram, fragment, self.now) {
            Later::Follows(verdict) => {
                if let Verdict::Deny(reason) | Verdict::WouldDeny(reason) = verdict {
                    self.deny(verdict, reason, false, seen);
                }
                return verdict;
            }
            Later::Contradicts(reason) => reason,
            Later::Unknown => {
                let forward = key.rule(&self.policy, self.sender);
                let found = forward.or_else(|| key.rule(&self.policy, self.sender.other()));
                if let Some(Found { rule, .. }) = found {
                    return Verdict::Allow(Basis::Rule(rule));
                }
                DropReason::FragmentUnknown
            }
        };
        let verdict = self.contradiction(reason);
        self.deny(verdict, reason, false, seen);
        verdict
    }
}

#[cfg(test)]
mod tests;
