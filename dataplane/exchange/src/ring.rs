//! Single-producer single-consumer ring of fixed-size records: a worker writes, control reads.
//!
//! ```text
//!   read ──────► [consumed, not released] [published] [written, not yet published] ◄────── next
//!     (consumer's line)                          write (producer's line)
//! ```
//!
//! Cursors count records and never wrap (2⁶⁴ of them last longer than the hardware); `cursor & mask` is
//! the slot. A consumer's death loses nothing: what it hasn't released is read again by its successor. A
//! producer's death loses what it hadn't published.
//!
//! Checked by loom in `tests/loom.rs`: no record lost, doubled, torn or read before it is written.

use std::sync::Arc;

use crate::prefetch::prefetch_to_write;
use crate::sync::{AtomicU64, Ordering, Shared};

/// Words of a record.
pub const RECORD_WORDS: usize = 16;
/// What a slot holds: 128 bytes, two cache lines.
pub type Record = [u64; RECORD_WORDS];

/// Records ahead of which a producer takes slots over from the consumer's cache: without it each waits for that in the store buffer.
const FETCHED_AHEAD: u64 = 8;

/// One cursor, alone on its pair of cache lines (adjacent-line prefetch would couple neighbours).
#[repr(C, align(128))]
pub struct Cursor(AtomicU64);

impl Cursor {
    /// A cursor at `position`.
    #[must_use]
    pub fn new(position: u64) -> Self {
        Self(AtomicU64::new(position))
    }

    /// The position, without any ordering; for observers that read no record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a ring's parts lie. `capacity` is a power of two.
pub trait RingMemory: Send + Sync {
    /// Written by the producer.
    fn write_cursor(&self) -> &Cursor;
    /// Written by the consumer.
    fn read_cursor(&self) -> &Cursor;
    /// As many slots as the capacity, a power of two.
    fn slots(&self) -> &[Shared<Record>];
}

/// The ring has no free slot; the record wasn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFull;

/// The writing end. One per ring and process; only its own thread uses it.
pub struct Producer<M: RingMemory> {
    memory: Arc<M>,
    mask: u64,
    next: u64,
    published: u64,
    read_seen: u64,
}

impl<M: RingMemory> Producer<M> {
    /// Takes the writing end at the position its predecessor published.
    ///
    /// The caller sees to it that there is only one producer (the region's lock does).
    pub(crate) fn new(memory: Arc<M>) -> Self {
        let mask = memory.slots().len() as u64 - 1;
        let next = memory.write_cursor().0.load(Ordering::Relaxed);
        let read_seen = memory.read_cursor().0.load(Ordering::Acquire);
        Self { memory, mask, next, published: next, read_seen }
    }

    /// Writes a record that the consumer sees after the next [`Producer::publish`]. Costs two lines, and one load
    /// of the consumer's line when the ring looks full.
    ///
    /// # Errors
    /// [`RingFull`] when less than `reserve` slots would stay free afterwards; count it, and try again with
    /// the conversation's next packet.
    #[inline]
    pub fn push(&mut self, record: &Record, reserve: u64) -> Result<(), RingFull> {
        self.push_with(reserve, |slot| *slot = *record)
    }

    /// [`Producer::push`] of a record that `write` makes in its place: it gets the slot, which holds an old record, and sets all of
    /// it.
    ///
    /// # Errors
    /// As of [`Producer::push`]; nothing is written then.
    #[inline(always)]
    pub fn push_with(
        &mut self,
        reserve: u64,
        write: impl FnOnce(&mut Record),
    ) -> Result<(), RingFull> {
        let used_max = (self.mask + 1).saturating_sub(reserve);
        if self.next.wrapping_sub(self.read_seen) >= used_max {
            // Pairs with the release in `Consumer::release`: the slots before it have been copied out.
            self.read_seen = self.memory.read_cursor().0.load(Ordering::Acquire);
            if self.next.wrapping_sub(self.read_seen) >= used_max {
                return Err(RingFull);
            }
        }
        let slots = self.memory.slots();
        prefetch_to_write(&slots[(self.next.wrapping_add(FETCHED_AHEAD) & self.mask) as usize]);
        let slot = &slots[(self.next & self.mask) as usize];
        // SAFETY: `next` is at or beyond `write`, so the consumer doesn't read this slot yet, and less than a
        // capacity ahead of the released `read`, so it doesn't read it any more.
        unsafe { slot.change(write) };
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    /// Makes all written records visible: one store if there are any, none else. Call once a burst.
    #[inline]
    pub fn publish(&mut self) {
        if self.published == self.next {
            return;
        }
        self.published = self.next;
        // Release: pairs with the acquire in `Consumer::next`; weaker, records could be read unwritten.
        self.memory.write_cursor().0.store(self.next, Ordering::Release);
    }

    /// Slots in the ring.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Would [`Producer::push`] be refused now?
    pub fn is_full(&mut self) -> bool {
        if self.next.wrapping_sub(self.read_seen) > self.mask {
            // Pairs with the release in `Consumer::release`, as in `push_with`.
            self.read_seen = self.memory.read_cursor().0.load(Ordering::Acquire);
        }
        self.next.wrapping_sub(self.read_seen) > self.mask
    }
}

/// The reading end. One per ring and process; only its own thread uses it.
pub struct Consumer<M: RingMemory> {
    memory: Arc<M>,
    mask: u64,
    next: u64,
    write_seen: u64,
}

impl<M: RingMemory> Consumer<M> {
    /// Takes the reading end at the position its predecessor released.
    ///
    /// The caller sees to it that there is only one consumer (the region's lock does).
    pub(crate) fn new(memory: Arc<M>) -> Self {
        let mask = memory.slots().len() as u64 - 1;
        let next = memory.read_cursor().0.load(Ordering::Relaxed);
        Self { memory, mask, next, write_seen: next }
    }

    /// Copies the next record out; `None` when there is none. The slot stays taken until [`Consumer::release`].
    #[inline]
    pub fn next_record(&mut self) -> Option<Record> {
        let mut next = None;
        self.read_burst(1, |record| next = Some(*record));
        next
    }

    /// Hands up to `max` records to `take`, in order and where they lie, and returns how many there were. Their slots stay taken until
    /// [`Consumer::release`]. Costs two lines a record, and one load of the producer's line where all that was known of is read.
    #[inline]
    pub fn read_burst(&mut self, max: u64, mut take: impl FnMut(&Record)) -> u64 {
        if self.next == self.write_seen {
            // Pairs with the release in `Producer::publish`.
            let written = self.memory.write_cursor().0.load(Ordering::Acquire);
            // A cursor out of step means a damaged region: read nothing rather than garbage.
            if written.wrapping_sub(self.next) > self.mask + 1 {
                return 0;
            }
            self.write_seen = written;
        }
        let count = self.write_seen.wrapping_sub(self.next).min(max);
        let slots = self.memory.slots();
        for _ in 0..count {
            let slot = &slots[(self.next & self.mask) as usize];
            // SAFETY: the slot is before the published `write`, so it is written, and not released, so the producer
            // leaves it alone.
            unsafe { slot.look(&mut take) };
            self.next = self.next.wrapping_add(1);
        }
        count
    }

    /// Position of the next record to be read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Goes on at `position`, if it lies between what is released and what is written: a successor that finds
    /// in its store that records up to there are dealt with already.
    pub fn skip_to(&mut self, position: u64) {
        let released = self.memory.read_cursor().0.load(Ordering::Relaxed);
        let written = self.memory.write_cursor().0.load(Ordering::Acquire);
        let waiting = written.wrapping_sub(released);
        // Cursors out of step mean a damaged region, as in `next_record`.
        if waiting <= self.mask + 1 && position.wrapping_sub(released) <= waiting {
            self.next = position;
            self.write_seen = written;
        }
    }

    /// Gives all slots read so far back to the producer: what was read is dealt with for good.
    pub fn release(&mut self) {
        self.release_to(self.next);
    }

    /// Gives the slots before `position` back. A position beyond what was read, or before what is released, does nothing.
    pub fn release_to(&mut self, position: u64) {
        let released = self.memory.read_cursor().0.load(Ordering::Relaxed);
        if position.wrapping_sub(released) <= self.next.wrapping_sub(released) {
            // Release: pairs with the acquire in `Producer::push`; weaker, a slot could be overwritten while it is read.
            self.memory.read_cursor().0.store(position, Ordering::Release);
        }
    }

    /// Records that the producer has published and that aren't released yet.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let released = self.memory.read_cursor().0.load(Ordering::Relaxed);
        self.memory.write_cursor().0.load(Ordering::Relaxed).wrapping_sub(released)
    }

    /// Slots in the ring.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.mask + 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Memory {
        written: Cursor,
        released: Cursor,
        slots: Vec<Shared<Record>>,
    }

    impl RingMemory for Memory {
        fn write_cursor(&self) -> &Cursor {
            &self.written
        }
        fn read_cursor(&self) -> &Cursor {
            &self.released
        }
        fn slots(&self) -> &[Shared<Record>] {
            &self.slots
        }
    }

    fn memory(released: u64, written: u64) -> Arc<Memory> {
        let slots = (0..4).map(|_| Shared::new([0; RECORD_WORDS])).collect();
        Arc::new(Memory { written: Cursor::new(written), released: Cursor::new(released), slots })
    }

    fn record(number: u64) -> Record {
        [number; RECORD_WORDS]
    }

    #[test]
    fn cursors_out_of_step_give_no_record_and_take_none() {
        for (released, written) in [(0, 5), (1, 0), (7, 3), (0, u64::MAX), (u64::MAX, 9)] {
            let memory = memory(released, written);
            let mut consumer = Consumer::new(memory.clone());
            assert_eq!(consumer.next_record(), None, "released {released}, written {written}");
            for position in [0, 1, released, written, written.wrapping_sub(1), u64::MAX] {
                consumer.skip_to(position);
                assert_eq!(consumer.next_record(), None, "skipped to {position}");
            }
            let mut producer = Producer::new(memory);
            assert_eq!(producer.push(&record(1), 0), Err(RingFull));
        }
    }

    #[test]
    fn positions_may_wrap() {
        let memory = memory(u64::MAX - 1, u64::MAX - 1);
        let mut producer = Producer::new(memory.clone());
        let mut consumer = Consumer::new(memory);
        for number in 0..20 {
            producer.push(&record(number), 0).expect("room");
            producer.publish();
            assert_eq!(consumer.backlog(), 1);
            assert_eq!(consumer.next_record(), Some(record(number)));
            consumer.release();
        }
        assert_eq!(consumer.position(), 18);
    }

    #[test]
    fn a_successor_skips_only_to_what_waits() {
        let memory = memory(0, 0);
        let mut producer = Producer::new(memory.clone());
        (1..=3).for_each(|number| producer.push(&record(number), 0).expect("room"));
        producer.publish();
        let mut consumer = Consumer::new(memory);
        for (position, expected) in [(4, 0), (u64::MAX, 0), (2, 2), (0, 0), (3, 3)] {
            consumer.skip_to(position);
            assert_eq!(consumer.position(), expected, "asked for {position}");
        }
        assert_eq!(consumer.next_record(), None);
        consumer.skip_to(1);
        assert_eq!(consumer.next_record(), Some(record(2)));
        consumer.release_to(1);
        consumer.skip_to(0);
        assert_eq!(consumer.position(), 2, "the first is released");
        consumer.release_to(3);
        assert_eq!(consumer.backlog(), 2, "the third isn't read yet");
        consumer.release();
        assert_eq!(consumer.backlog(), 1);
    }
}
