//! What the models in `tests/loom.rs` need beyond the public face: the ends of the protocols over memory of their own.
//! There only when compiled for loom.

use std::sync::Arc;

use crate::counters::Block;
use crate::expected::{Expectation, ExpectedKey, Slot};
use crate::ring::{Consumer, Producer, RingMemory};
use crate::swap::{self, Generation, InForce, SwapMemory, SwapReader, SwapWriter};
use crate::sync::{Ordering, Shared};

/// A producer, where its predecessor stopped.
pub fn producer<M: RingMemory>(memory: &Arc<M>) -> Producer<M> {
    Producer::new(memory.clone())
}

/// A consumer, where its predecessor stopped.
pub fn consumer<M: RingMemory>(memory: &Arc<M>) -> Consumer<M> {
    Consumer::new(memory.clone())
}

/// A worker that comes online.
pub fn swap_reader<M: SwapMemory>(memory: &Arc<M>, worker: usize) -> SwapReader<M> {
    SwapReader::new(memory.clone(), worker)
}

/// Control.
pub fn swap_writer<M: SwapMemory>(memory: &Arc<M>) -> SwapWriter<M> {
    SwapWriter::new(memory.clone())
}

/// Puts `slot` in force.
pub fn publish<M: SwapMemory>(writer: &SwapWriter<M>, slot: usize) -> Generation {
    writer.publish(slot)
}

/// See the function of this name in `swap.rs`.
pub fn put_out_of_force<M: SwapMemory>(memory: &M, in_force: InForce) -> bool {
    swap::put_out_of_force(memory, in_force)
}

/// Copies a cell out; loom reports a write that overlaps.
pub fn read<T: Copy>(cell: &Shared<T>) -> T {
    // SAFETY: the protocol under test excludes writers; loom fails the model when it doesn't.
    unsafe { cell.look(|value| *value) }
}

/// Stores into a cell; loom reports any access that overlaps.
pub fn write<T: Copy>(cell: &Shared<T>, value: T) {
    // SAFETY: the protocol under test excludes other access; loom fails the model when it doesn't.
    unsafe { cell.change(|slot| *slot = value) }
}

/// A counter block of two words that are always equal.
#[derive(Default)]
pub struct Pair(Block<2>);

impl Pair {
    /// Adds one to both.
    pub fn add(&self) {
        self.0.update(|words| {
            for word in words {
                word.store(word.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
        });
    }

    /// Both, as of one moment.
    pub fn read(&self) -> [u64; 2] {
        self.0.read()
    }
}

/// One slot of [`crate::Expected`], written without being read before: see the head of `tests/loom.rs`.
pub struct Place(Slot);

impl Default for Place {
    fn default() -> Self {
        Self(Slot::new())
    }
}

impl Place {
    /// What is expected, if nobody writes.
    pub fn read(&self) -> Option<(ExpectedKey, Option<Expectation>)> {
        self.0.read().map(|(_, key, expectation)| (key, expectation))
    }

    /// Replaces what the slot had with this sequence.
    pub fn write(&self, sequence: u64, key: &ExpectedKey, expectation: Expectation) -> bool {
        self.0.write(sequence, key, expectation.word())
    }
}
