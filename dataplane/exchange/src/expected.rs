//! Negotiated ports that are expected to be used: written by the worker that saw the negotiation, read by whichever sees the
//! conversation that it announced.
//!
//! Not part of the region: the workers of one dataplane share it, control has no business in it. It is small, and bounded for
//! each pair of hosts: all that a pair negotiates goes into one set, so that whoever may negotiate crowds out
//! little but his own.
//!
//! A slot is a sequence word and values, all atomic. A writer makes the sequence odd with a compare-exchange, writes, and makes it
//! even again; readers take values only between two equal even sequences. Nobody waits: a slot that another one is
//! writing is passed over. Model-checked in `tests/loom.rs`.

use loadlock_packet::negotiation::Helper;
use loadlock_packet::{FlowKey, Kind, Side};

use crate::hash::{Seed, hash_wide};
use crate::sync::{AtomicU64, Ordering, fence};

/// Ports that a pair of hosts may have negotiated at a time.
#[cfg(not(loom))]
pub const EXPECTED_WAYS: usize = 8;
/// Fewer for the model.
#[cfg(loom)]
pub const EXPECTED_WAYS: usize = 2;

/// Which conversation is expected: its hosts, VLANs, segment and transport, and where it will be opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedKey {
    /// Both addresses, side A's first.
    addresses: [u64; 4],
    /// Bits 0–31 tail, 32–47 port, 48 its side, 49 IPv4.
    place: u64,
}

impl ExpectedKey {
    /// Conversations of `kind` between the hosts of `key`, in its VLANs, opened to `port` of the host on side `to`.
    #[must_use]
    pub fn new(key: &FlowKey, kind: Kind, to: Side, port: u16) -> Self {
        let [first, second, third, fourth, _] = key.words();
        let (addresses, narrow) = match key {
            // A narrow key's second word has the services.
            FlowKey::Narrow(_) => ([first, 0, 0, 0], 1),
            FlowKey::Wide(_) => ([first, second, third, fourth], 0),
        };
        let tail = key.tail().without_asker().bits() & !(7 << 24) | (kind as u32) << 24;
        let place = u64::from(tail) | u64::from(port) << 32 | (to as u64) << 48 | narrow << 49;
        Self { addresses, place }
    }

    fn hash(&self, seed: Seed) -> u64 {
        let [a, b, c, d] = self.addresses;
        hash_wide([a, b, c, d, self.place & !(0x1_ffff << 32)], seed)
    }
}

/// What is expected, and by what right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// By which protocol it was negotiated.
    pub helper: Helper,
    /// The first use ends it.
    pub once: bool,
    /// From this tick on it is over.
    pub until: u32,
}

const ONCE: u64 = 1 << 63;
const USED: u64 = 1 << 62;

impl Expectation {
    pub(crate) fn word(self) -> u64 {
        let once = if self.once { ONCE } else { 0 };
        u64::from(self.until) | (self.helper as u64) << 32 | once | USED
    }

    fn of(word: u64) -> Option<Self> {
        let helper = *Helper::ALL.get((word >> 32) as usize & 3)?;
        (word & USED != 0).then_some(Self { helper, once: word & ONCE != 0, until: word as u32 })
    }

    /// Ticks wrap; an expectation lives much less than half their range.
    fn is_live(self, now: u32) -> bool {
        self.until.wrapping_sub(now).cast_signed() > 0
    }
}

const ADDRESSES_AT: usize = 0;
const PLACE_AT: usize = 4;
const EXPECTATION_AT: usize = 5;
const WORDS: usize = 6;

#[repr(align(64))]
pub(crate) struct Slot {
    /// Odd while somebody writes.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Slot {
    pub fn new() -> Self {
        Self { sequence: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The values and the sequence they belong to; `None` while somebody writes.
    pub fn read(&self) -> Option<(u64, ExpectedKey, Option<Expectation>)> {
        // Acquire: pairs with the last store of `write`; the values read next are at least as new as this sequence. Weaker, and
        // values from before it could be joined with it.
        let sequence = self.sequence.load(Ordering::Acquire);
        if sequence & 1 == 1 {
            return None;
        }
        let word = |at: usize| self.words[at].load(Ordering::Relaxed);
        let addresses = std::array::from_fn(|at| word(ADDRESSES_AT + at));
        let key = ExpectedKey { addresses, place: word(PLACE_AT) };
        let expectation = Expectation::of(word(EXPECTATION_AT));
        // Acquire: the values are loaded before the sequence is looked at again; pairs with the release fence in `write`.
        fence(Ordering::Acquire);
        let same = self.sequence.load(Ordering::Relaxed) == sequence;
        same.then_some((sequence, key, expectation))
    }

    /// Replaces what was read with `sequence`. False: another writer was there first.
    pub fn write(&self, sequence: u64, key: &ExpectedKey, expectation: u64) -> bool {
        // Acquire: what is written next can't move before the claim. The release part is the fence's.
        let odd = sequence + 1;
        let claimed =
            self.sequence.compare_exchange(sequence, odd, Ordering::Acquire, Ordering::Relaxed);
        if claimed.is_err() {
            return false;
        }
        // Release: the odd sequence is visible before any of the new values; pairs with the acquire fence in `read`.
        fence(Ordering::Release);
        for (word, value) in self.words[ADDRESSES_AT..].iter().zip(key.addresses) {
            word.store(value, Ordering::Relaxed);
        }
        self.words[PLACE_AT].store(key.place, Ordering::Relaxed);
        self.words[EXPECTATION_AT].store(expectation, Ordering::Relaxed);
        // Release: the values are visible before the even sequence; pairs with the first load of `read`.
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
        true
    }
}

/// The expectations of all workers of a process.
pub struct Expected {
    sets: Box<[[Slot; EXPECTED_WAYS]]>,
    seed: Seed,
    /// One past the latest tick at which anything may be live, with bit 32 set; 0 before the first.
    live: AtomicU64,
}

const EVER: u64 = 1 << 32;

impl Expected {
    /// With `sets` sets of eight, rounded up to a power of two; 512 bytes each.
    #[must_use]
    pub fn new(sets: usize, seed: Seed) -> Self {
        let sets = sets.next_power_of_two();
        let sets = (0..sets).map(|_| std::array::from_fn(|_| Slot::new())).collect();
        Self { sets, seed, live: AtomicU64::new(0) }
    }

    fn set(&self, key: &ExpectedKey) -> &[Slot; EXPECTED_WAYS] {
        &self.sets[key.hash(self.seed) as usize & (self.sets.len() - 1)]
    }

    /// Is nothing expected of anybody? One load; any worker.
    #[inline]
    #[must_use]
    pub fn is_quiet(&self, now: u32) -> bool {
        // Relaxed: says only whether looking is worth while. A worker whose frame follows from the expectation came to it through
        // two network cards and a host, long after the store.
        let live = self.live.load(Ordering::Relaxed);
        live == 0 || (live as u32).wrapping_sub(now).cast_signed() <= 0
    }

    /// Expects a conversation. What the pair of hosts already has for the same place is replaced, else the place that is over
    /// or will be first. False: every place was being written by others; nothing is expected then.
    ///
    /// Some 60 loads, no allocation, bounded; any worker.
    pub fn expect(&self, key: &ExpectedKey, expectation: Expectation, now: u32) -> bool {
        let set = self.set(key);
        // Whoever is overtaken by another writer looks again, as often as there are places.
        for _ in 0..EXPECTED_WAYS {
            let worth = |found: &(usize, (u64, ExpectedKey, Option<Expectation>))| match &found.1 {
                (_, known, Some(_)) if known == key => (0, 0),
                (_, _, Some(other)) if other.is_live(now) => (2, other.until.wrapping_sub(now)),
                _ => (1, 0),
            };
            let readable = set.iter().enumerate().filter_map(|(at, slot)| Some((at, slot.read()?)));
            let Some((at, (sequence, ..))) = readable.min_by_key(worth) else { return false };
            if set[at].write(sequence, key, expectation.word()) {
                self.extend(expectation.until, now);
                return true;
            }
        }
        false
    }

    fn extend(&self, until: u32, now: u32) {
        let mut live = self.live.load(Ordering::Relaxed);
        for _ in 0..EXPECTED_WAYS {
            let left = until.wrapping_sub(now).cast_signed();
            let known = (live as u32).wrapping_sub(now).cast_signed();
            if live != 0 && known >= left {
                return;
            }
            let longer = u64::from(until) | EVER;
            // Relaxed: see `is_quiet`.
            match self.live.compare_exchange(live, longer, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => live = other,
            }
        }
    }

    /// Clears what is over in one set, whichever comes after the `step`th: ticks wrap, and in two years what is over would begin
    /// again. A worker calls it with its ageing.
    pub fn tidy(&self, step: usize, now: u32) {
        for slot in &self.sets[step & (self.sets.len() - 1)] {
            if let Some((sequence, key, Some(found))) = slot.read()
                && !found.is_live(now)
            {
                // Another one writes: then there is nothing to clear.
                let _ = slot.write(sequence, &key, 0);
            }
        }
    }

    /// Is this conversation expected?
    #[must_use]
    pub fn is_expected(&self, key: &ExpectedKey, now: u32) -> bool {
        let live = |(_, known, found): (u64, ExpectedKey, Option<Expectation>)| {
            known == *key && found.is_some_and(|found| found.is_live(now))
        };
        self.set(key).iter().filter_map(Slot::read).any(live)
    }

    /// Finds what is expected, and uses it up if it is good for one conversation: of several workers one gets it.
    pub fn take(&self, key: &ExpectedKey, now: u32) -> Option<Expectation> {
        for slot in self.set(key) {
            let Some((sequence, known, Some(found))) = slot.read() else { continue };
            if known != *key || !found.is_live(now) {
                continue;
            }
            if !found.once || slot.write(sequence, key, 0) {
                return Some(found);
            }
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use loadlock_packet::{KeyTail, NarrowKey, SegmentId, VlanStack};

    use super::*;

    const SEED: Seed = Seed([3, 5]);

    fn hosts(pair: u64) -> FlowKey {
        let tail = KeyTail::new(SegmentId::new(2).unwrap(), VlanStack::new(7, 0), Kind::Tcp);
        FlowKey::Narrow(NarrowKey([pair, u64::from(tail.bits()) << 32]))
    }

    fn key(pair: u64, port: u16) -> ExpectedKey {
        ExpectedKey::new(&hosts(pair), Kind::Tcp, Side::B, port)
    }

    fn until(until: u32) -> Expectation {
        Expectation { helper: Helper::Rpc, once: false, until }
    }

    #[test]
    fn what_is_expected_is_found_until_it_is_over() {
        let expected = Expected::new(4, SEED);
        assert!(expected.is_quiet(0));
        assert!(expected.expect(&key(1, 5000), until(100), 50));
        assert!(!expected.is_quiet(99));
        assert!(expected.is_quiet(100));
        assert_eq!(expected.take(&key(1, 5000), 99), Some(until(100)));
        assert_eq!(expected.take(&key(1, 5000), 99), Some(until(100)), "again and again");
        assert!(expected.is_expected(&key(1, 5000), 99));
        assert!(!expected.is_expected(&key(1, 5000), 100));
        for other in [
            key(2, 5000),
            key(1, 5001),
            ExpectedKey::new(&hosts(1), Kind::Tcp, Side::A, 5000),
            ExpectedKey::new(&hosts(1), Kind::Udp, Side::B, 5000),
            ExpectedKey::new(
                &FlowKey::Wide(loadlock_packet::WideKey([1, 0, 0, 0, 0])),
                Kind::Tcp,
                Side::B,
                5000,
            ),
        ] {
            assert_eq!(expected.take(&other, 60), None);
        }
    }

    #[test]
    fn one_use_uses_up_what_is_good_for_one() {
        let expected = Expected::new(1, SEED);
        let once = Expectation { once: true, ..until(100) };
        assert!(expected.expect(&key(1, 5000), once, 50));
        assert_eq!(expected.take(&key(1, 5000), 60), Some(once));
        assert_eq!(expected.take(&key(1, 5000), 60), None);
        assert!(expected.expect(&key(1, 5000), Expectation { helper: Helper::Tftp, ..once }, 60));
        assert_eq!(expected.take(&key(1, 5000), 60).map(|found| found.helper), Some(Helper::Tftp));
    }

    #[test]
    fn a_pair_of_hosts_has_eight_places_and_the_one_over_first_goes() {
        let expected = Expected::new(64, SEED);
        for port in 0..9 {
            assert!(expected.expect(&key(1, port), until(100 + u32::from(port)), 50));
        }
        assert!(!expected.is_expected(&key(1, 0), 60));
        assert!((1..9).all(|port| expected.is_expected(&key(1, port), 60)));
        assert!(expected.expect(&key(1, 3), until(200), 60), "the same place again");
        assert!((1..9).all(|port| expected.is_expected(&key(1, port), 60)));
    }

    #[test]
    fn what_is_over_does_not_begin_again_when_ticks_wrap() {
        let expected = Expected::new(4, SEED);
        let later = 100_u32.wrapping_add(1 << 31);
        assert!(expected.expect(&key(1, 1), until(100), 50));
        assert!(expected.is_expected(&key(1, 1), later + 1), "why there is a sweep");
        (0..4).for_each(|step| expected.tidy(step, 99));
        assert!(expected.is_expected(&key(1, 1), 99), "it isn't over yet");
        (0..4).for_each(|step| expected.tidy(step, 100));
        assert!(!expected.is_expected(&key(1, 1), later + 1));
    }

    #[test]
    fn ticks_may_wrap() {
        let expected = Expected::new(1, SEED);
        assert!(expected.expect(&key(1, 1), until(10), u32::MAX - 5));
        assert!(!expected.is_quiet(u32::MAX));
        assert!(expected.is_expected(&key(1, 1), 9));
        assert!(!expected.is_expected(&key(1, 1), 10));
        assert!(expected.is_quiet(10));
    }
}
