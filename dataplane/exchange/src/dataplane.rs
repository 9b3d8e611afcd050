//! The dataplane's ends of the exchange.

use std::path::Path;
use std::sync::Arc;

use loadlock_packet::SegmentId;

use crate::capture::CaptureSource;
use crate::counters::{LatencyBlock, PortBlock, WorkerBlock, WorkerCounter};
use crate::error::RegionError;
use crate::layout::{Dimensions, HeaderWord};
use crate::region::{ProcessKind, Region, RegionRing, SideLock};
use crate::ring::Producer;
use crate::snapshot::{Policy, PolicyView, SnapshotError, verify};
use crate::state::{DataplaneState, PortState};
use crate::swap::{Generation, InForce, SwapMemory, SwapReader, SwapWriter, put_out_of_force};
use crate::sync::Ordering;

/// What a starting dataplane found in the region.
#[derive(Debug, PartialEq, Eq)]
pub enum Adopted {
    /// A policy, whole and checked: it is in force from the first packet on.
    Policy {
        /// Its generation.
        generation: Generation,
        /// Its number in the store.
        version: u64,
    },
    /// No policy yet.
    Nothing,
    /// A damaged one, which was put out of force.
    Damaged(SnapshotError),
}

/// The dataplane process's hold on the exchange. Its main thread owns it.
pub struct DataplaneExchange {
    region: Arc<Region>,
    adopted: Adopted,
    replaced: Option<RegionError>,
    workers_taken: bool,
    lock: Arc<SideLock>,
}

impl DataplaneExchange {
    /// Takes the region the last dataplane left at `path`, with the policy in force, or makes a new one. Counters start
    /// at zero.
    ///
    /// # Errors
    /// [`RegionError`]; the process should end with its message.
    pub fn open(path: &Path, dimensions: Dimensions) -> Result<Self, RegionError> {
        let lock = Arc::new(SideLock::take_patiently(path, ProcessKind::Dataplane)?);
        let (region, replaced) = Region::open_or_create(path, dimensions)?;
        for word in region.quiescent() {
            word.mark_offline();
        }
        for worker in 0..dimensions.workers {
            region.worker_block(worker).clear();
            region.latency_block(worker).clear();
            region.port_blocks(worker).iter().for_each(PortBlock::clear);
        }
        let adopted = adopt(&region);
        let starts = region.header(HeaderWord::DataplaneStarts);
        starts.store(starts.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let pid = u64::from(std::process::id());
        region.header(HeaderWord::DataplanePid).store(pid, Ordering::Relaxed);
        let exchange = Self { region, adopted, replaced, workers_taken: false, lock };
        exchange.set_state(DataplaneState::Starting);
        Ok(exchange)
    }

    /// Why the region that was there couldn't be used and a new one was made in its place; `None` if there was none, or it
    /// is used. Its policy is published again by control, from the store.
    #[must_use]
    pub fn replaced(&self) -> Option<&RegionError> {
        self.replaced.as_ref()
    }

    /// What was found at start.
    #[must_use]
    pub fn adopted(&self) -> &Adopted {
        &self.adopted
    }

    /// True once a policy is in force.
    #[must_use]
    pub fn has_policy(&self) -> bool {
        SwapWriter::new(self.region.clone()).in_force().is_some()
    }

    /// Does it lie on huge pages, which make look-ups in large policies faster?
    #[must_use]
    pub fn is_huge(&self) -> bool {
        self.region.is_huge()
    }

    /// Bytes of shared memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.region.bytes()
    }

    /// Until when a segment is in bypass; see [`crate::ControlExchange::set_bypass`].
    #[must_use]
    pub fn bypass_until_ns(&self, segment: SegmentId) -> u64 {
        self.region.bypass(segment).load(Ordering::Acquire)
    }

    /// Control's last sign of life, ns since 1970 by control's clock; 0 before the first. It comes every 50 ms.
    #[must_use]
    pub fn control_heartbeat_ns(&self) -> u64 {
        self.region.header(HeaderWord::ControlHeartbeatNs).load(Ordering::Acquire)
    }

    /// A worker's last sign of life, ns since 1970; 0 before the first. It comes 10,000 times a second.
    #[must_use]
    pub fn worker_heartbeat_ns(&self, worker: usize) -> u64 {
        self.region.worker_block(worker).value(WorkerCounter::HeartbeatNs)
    }

    /// Does any worker refuse the policy in force, because its header contradicts itself?
    #[must_use]
    pub fn is_policy_refused(&self) -> bool {
        let Some(in_force) = SwapWriter::new(self.region.clone()).in_force() else { return false };
        (0..self.region.dimensions().workers).any(|worker| {
            let refused = self.region.worker_block(worker).value(WorkerCounter::PolicyRefused);
            refused == in_force.generation.0
        })
    }

    /// Says what the process is doing.
    pub fn set_state(&self, state: DataplaneState) {
        self.region.header(HeaderWord::DataplaneState).store(state as u64, Ordering::Release);
    }

    /// Says that the main thread lives, and at which rate its time-stamp counter runs.
    pub fn heartbeat(&self, now_ns: u64, tsc_hz: u64) {
        self.region.header(HeaderWord::TscHz).store(tsc_hz, Ordering::Relaxed);
        self.region.header(HeaderWord::DataplaneHeartbeatNs).store(now_ns, Ordering::Release);
    }

    /// Stores a port's link state and the device's own counters.
    pub fn set_port_state(&self, port: usize, state: &PortState) {
        state.store(self.region.port_state(port));
    }

    /// The workers' ends, in order; an empty list at the second call.
    pub fn take_workers(&mut self) -> Vec<WorkerExchange> {
        if std::mem::replace(&mut self.workers_taken, true) {
            return Vec::new();
        }
        (0..self.region.dimensions().workers)
            .map(|worker| WorkerExchange::new(self.region.clone(), worker, self.lock.clone()))
            .collect()
    }
}

impl Drop for DataplaneExchange {
    fn drop(&mut self) {
        self.set_state(DataplaneState::Stopped);
        self.region.header(HeaderWord::DataplanePid).store(0, Ordering::Relaxed);
    }
}

/// Checks the policy that the last dataplane left. Control may be there already and may publish meanwhile.
fn adopt(region: &Arc<Region>) -> Adopted {
    // A worker that comes online: from here on control leaves the slot in force alone.
    let reader = SwapReader::new(region.clone(), 0);
    loop {
        let Some(in_force) = reader.look() else {
            return Adopted::Nothing;
        };
        // SAFETY: the slot was in force after `reader` came online, so that control doesn't write it while `reader` lives.
        let words = unsafe { region.slot(in_force.slot) };
        match verify(words).and_then(|()| Policy::read(words)) {
            Ok(policy) => {
                let version = policy.version();
                return Adopted::Policy { generation: in_force.generation, version };
            }
            Err(error) if put_out_of_force(&**region, in_force) => return Adopted::Damaged(error),
            // Control has published another one, as it may once while `reader` is there.
            Err(_) => {}
        }
    }
}

/// One worker's ends: it alone uses them.
pub struct WorkerExchange {
    region: Arc<Region>,
    worker: usize,
    /// Events to control.
    pub events: Producer<RegionRing>,
    /// The policy in force.
    pub policy: PolicyReader,
    /// What control wants to see of the frames, and the way there.
    pub captures: CaptureSource,
    /// Without it control would take the worker for dead and write the slot it reads.
    _lock: Arc<SideLock>,
}

impl WorkerExchange {
    fn new(region: Arc<Region>, worker: usize, lock: Arc<SideLock>) -> Self {
        let ring = Arc::new(RegionRing::events(region.clone(), worker));
        Self {
            worker,
            events: Producer::new(ring),
            policy: PolicyReader::new(region.clone(), worker),
            captures: CaptureSource::new(region.clone(), worker),
            region,
            _lock: lock,
        }
    }

    /// Counters of frames received on each port, by the port's index.
    #[inline]
    #[must_use]
    pub fn ports(&self) -> &[PortBlock] {
        self.region.port_blocks(self.worker)
    }

    /// The worker's own counters.
    #[inline]
    #[must_use]
    pub fn counters(&self) -> &WorkerBlock {
        self.region.worker_block(self.worker)
    }

    /// Cycles from receive to transmit.
    #[inline]
    #[must_use]
    pub fn latency(&self) -> &LatencyBlock {
        self.region.latency_block(self.worker)
    }

    /// Counts attachments of control; when it moves, live conversations are reported again.
    #[inline]
    #[must_use]
    pub fn control_epoch(&self) -> u64 {
        self.region.header(HeaderWord::ControlEpoch).load(Ordering::Relaxed)
    }
}

/// Keeps the policy in force at hand, decoded once a generation.
pub struct PolicyReader {
    region: Arc<Region>,
    swap: SwapReader<Region>,
    announced: Option<InForce>,
    refused: u64,
    policy: Policy,
}

impl PolicyReader {
    fn new(region: Arc<Region>, worker: usize) -> Self {
        let swap = SwapReader::new(region.clone(), worker);
        Self { region, swap, announced: None, refused: 0, policy: Policy::none() }
    }

    /// The policy for the next burst; `None` before the first. One load of an unchanging line; when the generation moved, a
    /// constant-time read of its header. A header that doesn't hold together is refused: the policy before it stays in
    /// force, and control sees that this worker hasn't moved on (it can't publish any more until the dataplane restarts).
    #[inline]
    pub fn enter(&mut self) -> Option<PolicyView<'_>> {
        let in_force = self.swap.look()?;
        if self.announced != Some(in_force) && in_force.generation.0 != self.refused {
            self.change(in_force);
        }
        let now = self.announced?;
        // SAFETY: the slot belongs to the generation announced last, so control leaves it alone until the next announcement,
        // which needs `&mut self` and thereby ends the view.
        let words = unsafe { self.region.slot(now.slot) };
        Some(self.policy.view(words, now.generation.0))
    }

    /// Generation of the last policy that was refused; 0: none was.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    #[cold]
    fn change(&mut self, in_force: InForce) {
        // SAFETY: the slot in force isn't written, and can't be given up before this worker announces it.
        let words = unsafe { self.region.slot(in_force.slot) };
        match Policy::read(words) {
            Ok(policy) => {
                self.policy = policy;
                self.announced = Some(in_force);
                self.swap.announce(in_force);
            }
            Err(_) => {
                self.refused = in_force.generation.0;
                if self.announced.is_none() {
                    // It reads no slot, so control may put another policy in this one's place.
                    self.swap.announce(in_force);
                }
            }
        }
    }
}
