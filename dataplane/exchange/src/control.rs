//! Control's ends of the exchange.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use loadlock_packet::SegmentId;

use crate::capture::CaptureOrder;
use crate::counters::{PortTally, WORKER_COUNTERS, WorkerCounter};
use crate::error::RegionError;
use crate::layout::{Dimensions, HeaderWord};
use crate::region::{ProcessKind, Region, RegionRing, SideLock};
use crate::ring::Consumer;
use crate::snapshot::{PolicyImage, verify};
use crate::state::{DataplaneState, PortState};
use crate::swap::{Generation, InForce, SlotInUse, SwapMemory, SwapWriter};
use crate::sync::Ordering;

/// Control's hold on the exchange. One thread at a time uses it.
pub struct ControlExchange {
    region: Arc<Region>,
    /// Each worker's events, by the worker's index.
    pub events: Vec<Consumer<RegionRing>>,
    /// What each worker captures, by the worker's index: [`crate::CapturedFrame`]s in parts.
    pub captures: Vec<Consumer<RegionRing>>,
    writer: SwapWriter<Region>,
    _lock: SideLock,
}

/// What the region says of the dataplane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataplaneReport {
    /// What it says it is doing; `Stopped` also when its process is dead.
    pub state: DataplaneState,
    /// Its process id, 0 when it has ended.
    pub pid: u64,
    /// Starts on this region.
    pub starts: u64,
    /// Last sign of life of its main thread, ns since 1970.
    pub heartbeat_ns: u64,
    /// Cycles per second of its time-stamp counter, for the latency figures.
    pub tsc_hz: u64,
}

/// Why a policy couldn't be put in force. The one before stays.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishError {
    /// A worker hasn't given up the slot yet. Try again; after seconds, it hangs.
    Busy(SlotInUse),
    /// The image is larger than a slot.
    TooLarge {
        /// Words of the image.
        words: usize,
        /// Rules a slot was made for.
        rule_capacity: usize,
    },
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(SlotInUse { worker, generation }) => write!(
                f,
                "worker {worker} still judges by generation {generation}; the policy isn't published until it has moved on, \
                 check with `loadlock status` whether it lives"
            ),
            Self::TooLarge { words, rule_capacity } => write!(
                f,
                "the policy needs {words} words, more than the exchange holds for {rule_capacity} rules; raise \
                 `exchange.rule_capacity` and restart the dataplane"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

impl ControlExchange {
    /// Attaches to the region at `path`. Workers then report their live conversations again.
    ///
    /// # Errors
    /// [`RegionError`]; on [`RegionError::Missing`] and [`RegionError::OtherConfiguration`] the dataplane may yet
    /// start: try again.
    pub fn attach(path: &Path, wanted: Dimensions) -> Result<Self, RegionError> {
        let lock = SideLock::take(path, ProcessKind::Control)?;
        let region = Region::attach(path)?;
        let found = region.dimensions();
        if found != wanted {
            return Err(RegionError::OtherConfiguration { path: path.to_owned(), found, wanted });
        }
        let workers = 0..found.workers;
        let end_of = |ring| Consumer::new(Arc::new(ring));
        let events = workers.clone().map(|at| end_of(RegionRing::events(region.clone(), at)));
        let captures = workers.map(|at| end_of(RegionRing::captures(region.clone(), at)));
        let exchange = Self {
            writer: SwapWriter::new(region.clone()),
            events: events.collect(),
            captures: captures.collect(),
            region,
            _lock: lock,
        };
        exchange.ask_for_report();
        // What control before this one wanted to see, nobody waits for any more.
        exchange.capture(None);
        Ok(exchange)
    }

    /// Makes every worker report its live conversations again.
    pub fn ask_for_report(&self) {
        let epoch = self.region.header(HeaderWord::ControlEpoch);
        epoch.store(epoch.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Random number of this region: event positions are comparable only within it.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.region.header(HeaderWord::Instance).load(Ordering::Relaxed)
    }

    /// False when a dataplane has made a new region in this one's place: attach again.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.region.is_current()
    }

    /// Dimensions of the region.
    #[must_use]
    pub fn dimensions(&self) -> Dimensions {
        self.region.dimensions()
    }

    /// Bytes of shared memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.region.bytes()
    }

    /// Does it lie on huge pages?
    #[must_use]
    pub fn is_huge(&self) -> bool {
        self.region.is_huge()
    }

    /// Says that control lives.
    pub fn heartbeat(&self, now_ns: u64) {
        self.region.header(HeaderWord::ControlHeartbeatNs).store(now_ns, Ordering::Release);
    }

    /// Until when, ns since 1970, the dataplane forwards all frames of a segment unjudged. 0: not at all; [`u64::MAX`]: until
    /// this is called again. In force within some ms; holds over restarts of either process, as long as the region lasts.
    pub fn set_bypass(&self, segment: SegmentId, until_ns: u64) {
        self.region.bypass(segment).store(until_ns, Ordering::Release);
    }

    /// Has the workers capture what `order` says, until it is over by itself or this is called again; `None`: nothing. A worker takes it
    /// up within a ms, and then has the number that this returns as its [`WorkerCounter::CaptureNumber`]; one that starts later never does.
    pub fn capture(&self, order: Option<&CaptureOrder>) -> u64 {
        CaptureOrder::tell(order, self.region.capture_order())
    }

    /// Puts a policy in force: workers judge by it from their next burst on. Linear in the image; doesn't wait.
    ///
    /// # Errors
    /// [`PublishError`]; the policy in force stays.
    pub fn publish(&mut self, image: &PolicyImage) -> Result<Generation, PublishError> {
        let words = image.words();
        let rule_capacity = self.region.dimensions().rule_capacity;
        if words.len() > crate::snapshot::slot_words(rule_capacity) {
            return Err(PublishError::TooLarge { words: words.len(), rule_capacity });
        }
        let slot = self.free_slot().map_err(PublishError::Busy)?;
        // SAFETY: `free_slot` says that no worker reads it; this process has the only writer, by the lock.
        unsafe { self.region.write_slot(slot, words) };
        Ok(self.writer.publish(slot))
    }

    fn free_slot(&self) -> Result<usize, SlotInUse> {
        let busy = match self.writer.free_slot() {
            Ok(slot) => return Ok(slot),
            Err(busy) => busy,
        };
        // A dataplane that was killed left its workers' words behind. With its lock in hand no new one can start while the
        // words are put right and the slot is chosen; a new one's workers come online by way of the swap's own fence.
        match SideLock::take(self.region.path(), ProcessKind::Dataplane) {
            Ok(_dead) => {
                for word in self.region.quiescent() {
                    word.mark_offline();
                }
                self.writer.free_slot()
            }
            Err(_) => Err(busy),
        }
    }

    /// The policy in force, if its content is whole: (generation, version in the store).
    #[must_use]
    pub fn in_force(&self) -> Option<(Generation, u64)> {
        let InForce { generation, slot } = self.writer.in_force()?;
        // SAFETY: the slot in force isn't written, and this process is the only writer.
        let words = unsafe { self.region.slot(slot) };
        verify(words).ok()?;
        Some((generation, words[1]))
    }

    /// False when the policy published last isn't in force any more: a starting dataplane found it damaged.
    #[must_use]
    pub fn is_in_force(&self, generation: Generation) -> bool {
        self.writer.in_force().is_some_and(|now| now.generation >= generation)
    }

    /// Generations the workers judge by; `None` for one that is offline.
    #[must_use]
    pub fn generations(&self) -> Vec<Option<u64>> {
        self.writer.generations().collect()
    }

    /// What the dataplane says of itself. Asks the kernel whether its process lives.
    #[must_use]
    pub fn dataplane(&self) -> DataplaneReport {
        let word = |at| self.region.header(at).load(Ordering::Acquire);
        let said = DataplaneState::from_word(word(HeaderWord::DataplaneState));
        let dead = SideLock::take(self.region.path(), ProcessKind::Dataplane).is_ok();
        DataplaneReport {
            state: said.filter(|_| !dead).unwrap_or(DataplaneState::Stopped),
            pid: if dead { 0 } else { word(HeaderWord::DataplanePid) },
            starts: word(HeaderWord::DataplaneStarts),
            heartbeat_ns: word(HeaderWord::DataplaneHeartbeatNs),
            tsc_hz: word(HeaderWord::TscHz),
        }
    }

    /// Frames received on a port and what became of them, summed over the workers.
    #[must_use]
    pub fn port_tally(&self, port: usize) -> PortTally {
        let mut sum = PortTally::default();
        for worker in 0..self.region.dimensions().workers {
            sum.add(&self.region.port_blocks(worker)[port].tally());
        }
        sum
    }

    /// Frames that a worker took from all ports.
    #[must_use]
    pub fn worker_received(&self, worker: usize) -> u64 {
        self.region.port_blocks(worker).iter().map(|block| block.tally().received_packets).sum()
    }

    /// A port's link and device counters.
    #[must_use]
    pub fn port_state(&self, port: usize) -> PortState {
        PortState::load(self.region.port_state(port))
    }

    /// A worker's counters, by [`WorkerCounter`].
    #[must_use]
    pub fn worker_values(&self, worker: usize) -> [u64; WORKER_COUNTERS] {
        self.region.worker_block(worker).values()
    }

    /// One of a worker's counters.
    #[must_use]
    pub fn worker_value(&self, worker: usize, counter: WorkerCounter) -> u64 {
        self.worker_values(worker)[counter as usize]
    }

    /// (cycles, count) of a worker's latency histogram.
    #[must_use]
    pub fn latency(&self, worker: usize) -> Vec<(u64, u64)> {
        self.region.latency_block(worker).counts()
    }
}
