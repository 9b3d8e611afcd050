//! Which of two policy slots the workers read, and when the other one may be written again.
//!
//! Control writes a whole snapshot into the slot nobody reads, then publishes it by one store to the
//! generation word. Each worker loads that word once a burst and says in its own quiescence word
//! which generation it reads from then on. The slot given up by generation G is free once every
//! worker that is online has said G or more. Workers never wait.
//!
//! Checked by loom in `tests/loom.rs`: no torn snapshot, no slot reused while it is read, also
//! when a worker comes online in between.

use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering, fence};

/// Slots for snapshots: one in force, one to write.
pub const SLOTS: usize = 2;

/// Quiescence of a worker that reads no slot.
const OFFLINE: u64 = u64::MAX;
/// Quiescence of a worker that comes online and may read any slot.
const COMING: u64 = 0;

/// A word alone on its pair of cache lines.
#[repr(C, align(128))]
pub struct Word(AtomicU64);

impl Word {
    /// A word with this value.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// A quiescence word of a worker that isn't there.
    #[must_use]
    pub fn offline() -> Self {
        Self::new(OFFLINE)
    }

    #[cfg(not(loom))]
    pub(crate) fn mark_offline(&self) {
        self.0.store(OFFLINE, Ordering::Release);
    }
}

/// Where the words lie.
pub trait SwapMemory: Send + Sync {
    /// `generation * SLOTS + slot` of the snapshot in force; generation 0 means none yet.
    fn current(&self) -> &Word;
    /// One word a worker.
    fn quiescent(&self) -> &[Word];
}

/// A snapshot's number in the order of publication, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// The snapshot in force: its generation and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Its number.
    pub generation: Generation,
    /// Where it lies.
    pub slot: usize,
}

impl InForce {
    fn word(self) -> u64 {
        self.generation.0 * SLOTS as u64 + self.slot as u64
    }
}

/// Takes `in_force` out of force, unless another snapshot was published since: false then, and that one stays.
pub(crate) fn put_out_of_force<M: SwapMemory>(memory: &M, in_force: InForce) -> bool {
    // A locked instruction, because control may publish at the same time; its store must not be lost. Release: the caller's
    // reads of the slot come before it; pairs with the acquire in `SwapWriter::in_force`, which then finds slot 0 free.
    let word = &memory.current().0;
    word.compare_exchange(in_force.word(), 0, Ordering::Release, Ordering::Relaxed).is_ok()
}

fn decode(word: u64) -> Option<InForce> {
    let generation = word / SLOTS as u64;
    (generation != 0).then_some(InForce {
        generation: Generation(generation),
        slot: (word % SLOTS as u64) as usize,
    })
}

/// A worker's end. Going away takes it offline.
pub struct SwapReader<M: SwapMemory> {
    memory: Arc<M>,
    worker: usize,
}

impl<M: SwapMemory> SwapReader<M> {
    /// Brings a worker online. One per worker; only its own thread uses it.
    pub(crate) fn new(memory: Arc<M>, worker: usize) -> Self {
        memory.quiescent()[worker].0.store(COMING, Ordering::Release);
        // Pairs with the fence in `SwapWriter::free_slot`: either control sees this worker online, or this
        // worker sees the generation that control published before it looked.
        fence(Ordering::SeqCst);
        Self { memory, worker }
    }

    /// The snapshot in force. Its slot may be read from now on, and the one announced last still. One load of a
    /// line that changes only with the policy. Call once a burst.
    #[inline]
    pub fn look(&self) -> Option<InForce> {
        // Acquire: pairs with the release in `SwapWriter::publish`; weaker, the slot could be read half written.
        decode(self.memory.current().0.load(Ordering::Acquire))
    }

    /// Gives up every slot older than `in_force`, which [`SwapReader::look`] returned. One store to the worker's
    /// own line; call when the generation changed.
    pub fn announce(&mut self, in_force: InForce) {
        // Release: reads of the former slot come before it; pairs with the acquire in `free_slot`.
        self.memory.quiescent()[self.worker].0.store(in_force.generation.0, Ordering::Release);
    }
}

impl<M: SwapMemory> Drop for SwapReader<M> {
    fn drop(&mut self) {
        // Release: as in `announce`.
        self.memory.quiescent()[self.worker].0.store(OFFLINE, Ordering::Release);
    }
}

/// A worker has not yet given up the slot that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotInUse {
    /// The worker.
    pub worker: usize,
    /// The generation it said last; 0 while it starts.
    pub generation: u64,
}

/// Control's end. One at a time.
pub struct SwapWriter<M: SwapMemory> {
    memory: Arc<M>,
}

impl<M: SwapMemory> SwapWriter<M> {
    pub(crate) fn new(memory: Arc<M>) -> Self {
        Self { memory }
    }

    /// The snapshot in force.
    #[must_use]
    pub fn in_force(&self) -> Option<InForce> {
        decode(self.memory.current().0.load(Ordering::Acquire))
    }

    /// The slot that may be written, if all workers have given it up.
    ///
    /// # Errors
    /// [`SlotInUse`] names a worker that is still due to pass a burst. Ask again; if it stays so, the worker hangs.
    pub fn free_slot(&self) -> Result<usize, SlotInUse> {
        let Some(InForce { generation, slot }) = self.in_force() else { return Ok(0) };
        fence(Ordering::SeqCst);
        for (worker, word) in self.memory.quiescent().iter().enumerate() {
            let said = word.0.load(Ordering::Acquire);
            if said < generation.0 {
                return Err(SlotInUse { worker, generation: said });
            }
        }
        Ok((slot + 1) % SLOTS)
    }

    /// Puts the snapshot in `slot` in force.
    ///
    /// The caller got `slot` from [`SwapWriter::free_slot`] and has written it completely since.
    pub(crate) fn publish(&self, slot: usize) -> Generation {
        let generation = Generation(self.in_force().map_or(0, |now| now.generation.0) + 1);
        // Release: pairs with the acquire in `look`. Exchanged and not stored, because loom orders the accesses of
        // `put_out_of_force` and of this one only if both are; it happens once a policy.
        self.memory.current().0.swap(InForce { generation, slot }.word(), Ordering::Release);
        generation
    }

    /// Generations the workers have said, in their order; `None` for one that is offline.
    pub fn generations(&self) -> impl Iterator<Item = Option<u64>> + '_ {
        self.memory.quiescent().iter().map(|word| {
            let said = word.0.load(Ordering::Acquire);
            (said != OFFLINE).then_some(said)
        })
    }
}
