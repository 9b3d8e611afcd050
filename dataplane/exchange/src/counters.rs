//! Counters that one worker writes and control reads, always as a consistent whole; captures' orders go the other way (`capture.rs`).
//!
//! A block has a sequence word: odd while the worker writes, so that a reader that saw it change reads
//! again (a seqlock with one writer). The worker writes once a burst, from its own locals.

use std::hint::spin_loop;

use crate::reason::REASONS_MAX;
use crate::sync::{AtomicU64, Ordering, fence};

/// Ways the verdicts of one burst, or of all bursts so far, fell out, for frames received on one port.
///
/// `received_packets = forwarded_packets + Σ dropped`, exactly, after each burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTally {
    /// Frames taken from the port's receive queue.
    pub received_packets: u64,
    /// Their bytes, without FCS.
    pub received_bytes: u64,
    /// Frames that the paired port's transmit queue took.
    pub forwarded_packets: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Frames dropped, by [`crate::DropReason`].
    pub dropped: [u64; REASONS_MAX],
    /// Frames forwarded that enforce mode would drop, by [`crate::DropReason`].
    pub would_deny: [u64; REASONS_MAX],
    /// Of the frames forwarded, those that nobody judged: in bypass, or after a failure that opens the segment.
    pub unjudged_packets: u64,
}

impl Default for PortTally {
    fn default() -> Self {
        Self {
            received_packets: 0,
            received_bytes: 0,
            forwarded_packets: 0,
            forwarded_bytes: 0,
            dropped: [0; REASONS_MAX],
            would_deny: [0; REASONS_MAX],
            unjudged_packets: 0,
        }
    }
}

impl PortTally {
    /// Sum over the reasons of what was dropped.
    #[must_use]
    pub fn dropped_packets(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Adds another port's or worker's figures.
    pub fn add(&mut self, other: &Self) {
        self.received_packets += other.received_packets;
        self.received_bytes += other.received_bytes;
        self.forwarded_packets += other.forwarded_packets;
        self.forwarded_bytes += other.forwarded_bytes;
        self.unjudged_packets += other.unjudged_packets;
        let pairs = self.dropped.iter_mut().zip(&other.dropped);
        for (sum, part) in pairs.chain(self.would_deny.iter_mut().zip(&other.would_deny)) {
            *sum += part;
        }
    }
}

/// Words of a block: received, forwarded (packets and bytes), dropped, would-deny, unjudged.
pub(crate) const PORT_WORDS: usize = 4 + 2 * REASONS_MAX + 1;

/// What a worker counts besides the ports. One word each, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum WorkerCounter {
    /// Polls that brought frames.
    Bursts,
    /// Polls that brought none.
    EmptyPolls,
    /// Conversations in the narrow (IPv4) table now.
    FlowsNarrow,
    /// Conversations in the wide (IPv6, link layer) table now.
    FlowsWide,
    /// Conversations begun.
    FlowsStarted,
    /// Conversations over.
    FlowsEnded,
    /// Packets judged without an entry because the table was full.
    FlowsRefused,
    /// Events that the ring took.
    EventsSent,
    /// Events that the ring refused; conversations among them are reported again.
    EventsRefused,
    /// Denied packets whose event was left out (same conversation within the interval, or the ring half full).
    DeniedUnreported,
    /// Negotiated ports that were opened.
    NegotiatedOpened,
    /// Segments that may have negotiated a port and weren't read: split, damaged, or out of order.
    NegotiatedUnread,
    /// Generation of the policy that judges, 0 before the first.
    Generation,
    /// Time of the last poll, ns since 1970.
    HeartbeatNs,
    /// Bytes of its flow tables, all taken at start.
    TableBytes,
    /// Of these, bytes on reserved hugepages.
    TableHugeBytes,
    /// Generation of a published policy that the worker refused because its header contradicts itself; 0: none.
    PolicyRefused,
    /// Number of the capture order that it took up last, 0 before the first.
    CaptureNumber,
    /// Of that order: frames that it handed to control.
    CapturedFrames,
    /// Of that order: frames that its full ring refused.
    CaptureLost,
}

/// Words of a worker's block.
pub const WORKER_COUNTERS: usize = 24;

/// Sequence word and values of one block.
#[repr(C, align(128))]
pub struct Block<const WORDS: usize> {
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Default for Block<WORDS> {
    fn default() -> Self {
        Self { sequence: AtomicU64::new(0), words: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl<const WORDS: usize> Block<WORDS> {
    /// Writes through `write`, which gets the block's words. Only its one writer calls it.
    #[inline]
    pub(crate) fn update(&self, write: impl FnOnce(&[AtomicU64; WORDS])) {
        let sequence = self.sequence.load(Ordering::Relaxed) | 1;
        self.sequence.store(sequence, Ordering::Relaxed);
        // Release: the odd sequence is visible before any of the new values; pairs with the acquire fence in `read`.
        fence(Ordering::Release);
        write(&self.words);
        // Release: the values are visible before the even sequence; pairs with the first load in `read`.
        self.sequence.store(sequence.wrapping_add(1), Ordering::Release);
    }

    /// Copies the values, all of one moment. Spins while the worker writes, some tens of ns; after 2²⁰ rounds (a worker killed
    /// in the middle) takes them as they are.
    pub(crate) fn read(&self) -> [u64; WORDS] {
        for _ in 0..1 << 20 {
            if let Some(values) = self.try_read() {
                return values;
            }
            spin_loop();
            #[cfg(loom)]
            loom::thread::yield_now();
        }
        self.load()
    }

    /// The values of one moment; `None` while they are being written, by a writer that may be dead. Doesn't wait.
    pub(crate) fn try_read(&self) -> Option<[u64; WORDS]> {
        let before = self.sequence.load(Ordering::Acquire);
        let values = self.load();
        // Acquire: the values are loaded before the sequence is looked at again.
        fence(Ordering::Acquire);
        (before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before).then_some(values)
    }

    /// One word by itself, which may be of another moment than others.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> u64 {
        self.words[at].load(Ordering::Relaxed)
    }

    fn load(&self) -> [u64; WORDS] {
        std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed))
    }

    /// Zeroes the block. Only while no worker owns it.
    #[cfg(not(loom))]
    pub(crate) fn clear(&self) {
        self.update(|words| {
            for word in words {
                word.store(0, Ordering::Relaxed);
            }
        });
    }
}

/// Counters of one worker and port.
pub type PortBlock = Block<PORT_WORDS>;
/// Counters of one worker.
pub type WorkerBlock = Block<WORKER_COUNTERS>;

#[inline]
fn add(word: &AtomicU64, amount: u64) {
    // One writer: a plain load and store, no locked instruction.
    word.store(word.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

impl PortBlock {
    /// Adds a burst's tally. Of the reasons only those are looked at whose bit is set in `reasons`.
    #[inline]
    pub fn add(&self, tally: &PortTally, reasons: u64) {
        self.update(|words| {
            add(&words[0], tally.received_packets);
            add(&words[1], tally.received_bytes);
            add(&words[2], tally.forwarded_packets);
            add(&words[3], tally.forwarded_bytes);
            if tally.unjudged_packets != 0 {
                add(&words[4 + 2 * REASONS_MAX], tally.unjudged_packets);
            }
            let mut left = reasons;
            while left != 0 {
                let reason = left.trailing_zeros() as usize;
                add(&words[4 + reason], tally.dropped[reason]);
                add(&words[4 + REASONS_MAX + reason], tally.would_deny[reason]);
                left &= left - 1;
            }
        });
    }

    /// The figures of one moment.
    #[must_use]
    pub fn tally(&self) -> PortTally {
        let words = self.read();
        let mut tally = PortTally {
            received_packets: words[0],
            received_bytes: words[1],
            forwarded_packets: words[2],
            forwarded_bytes: words[3],
            ..PortTally::default()
        };
        tally.dropped.copy_from_slice(&words[4..4 + REASONS_MAX]);
        tally.would_deny.copy_from_slice(&words[4 + REASONS_MAX..4 + 2 * REASONS_MAX]);
        tally.unjudged_packets = words[4 + 2 * REASONS_MAX];
        tally
    }
}

impl WorkerBlock {
    /// Stores all values of a worker. Only the owning worker calls it.
    #[inline]
    pub fn store(&self, values: &[u64; WORKER_COUNTERS]) {
        self.update(|words| {
            for (word, &value) in words.iter().zip(values) {
                word.store(value, Ordering::Relaxed);
            }
        });
    }

    /// One value by itself, which may be of another moment than others: doesn't wait for a worker that stopped while it wrote.
    #[must_use]
    pub fn value(&self, counter: WorkerCounter) -> u64 {
        self.word(counter as usize)
    }

    /// The values of one moment, by [`WorkerCounter`].
    #[must_use]
    pub fn values(&self) -> [u64; WORKER_COUNTERS] {
        self.read()
    }
}

/// Sub-buckets per power of two of the latency histogram: figures are within 1/16.
const SUB_BUCKETS: usize = 16;
/// Buckets of a worker's latency histogram.
pub const LATENCY_BUCKETS: usize = SUB_BUCKETS * 32;

/// A log-linear histogram of cycles that one worker adds to and control reads bucket by bucket.
#[repr(C, align(128))]
pub struct LatencyBlock {
    buckets: [AtomicU64; LATENCY_BUCKETS],
}

impl Default for LatencyBlock {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl LatencyBlock {
    /// Counts one value in cycles. Two instructions to find the bucket, one line written.
    #[inline]
    pub fn record(&self, cycles: u64) {
        add(&self.buckets[bucket(cycles)], 1);
    }

    /// (highest value, count) of each bucket that isn't empty.
    #[must_use]
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let counts = self.buckets.iter().enumerate();
        counts
            .map(|(at, count)| (bucket_value_max(at), count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count != 0)
            .collect()
    }

    #[cfg(not(loom))]
    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

#[inline]
fn bucket(value: u64) -> usize {
    let value = value.max(SUB_BUCKETS as u64);
    let octave = value.ilog2() as usize - 4;
    let sub = (value >> octave) as usize - SUB_BUCKETS;
    (octave * SUB_BUCKETS + sub).min(LATENCY_BUCKETS - 1)
}

fn bucket_value_max(at: usize) -> u64 {
    let octave = at / SUB_BUCKETS;
    ((at % SUB_BUCKETS + SUB_BUCKETS + 1) as u64) << octave
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values_within_a_sixteenth() {
        for value in (0..60).flat_map(|bits| [1u64 << bits, (1 << bits) + 1, (3 << bits) / 2]) {
            let at = bucket(value);
            if at < LATENCY_BUCKETS - 1 {
                let top = bucket_value_max(at);
                assert!(value < top, "{value} in bucket up to {top}");
                assert!(value < 16 || (top - value) * 16 <= top, "{value} far below {top}");
            }
        }
    }

    #[test]
    fn a_tally_round_trips() {
        let block = PortBlock::default();
        let mut tally =
            PortTally { received_packets: 3, received_bytes: 180, ..PortTally::default() };
        tally.dropped[1] = 2;
        tally.would_deny[63] = 1;
        tally.unjudged_packets = 7;
        block.add(&tally, u64::MAX);
        block.add(&tally, u64::MAX);
        let read = block.tally();
        assert_eq!((read.received_packets, read.dropped[1], read.would_deny[63]), (6, 4, 2));
        assert_eq!(read.unjudged_packets, 14);
        assert_eq!(read.dropped_packets(), 4);
    }
}
