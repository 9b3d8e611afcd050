//! The packet path without a driver: what a worker does with a burst between receiving and transmitting it.
//!
//! Policy and events go through a real exchange, whose other end this has too. Seeds and time are fixed, so that the same
//! frames cost the same instructions in every run.

use std::io;

use loadlock_exchange::{
    ControlExchange, DataplaneExchange, Dimensions, Infrastructure, Mode, PolicyImage, RuleEntry,
    Seed, SegmentPolicy, WORKER_COUNTERS, WorkerExchange,
};
use loadlock_packet::{Ingress, SegmentId, Side};
use loadlock_pipeline::{BURST_FRAMES_MAX, BurstTally, Capacity, Pipeline, Timeouts, VerdictWord};
use tempfile::TempDir;

use crate::load::{Frames, frame};

/// Frames of a burst.
pub const BURST: usize = 64;
/// Of every hash.
pub const SEED: Seed = Seed([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);
/// 2026-01-01.
const START_NS: u64 = 1_767_225_600_000_000_000;
/// Between two bursts: 32 frames at 10 Mpps.
const BURST_NS: u64 = 3_200;
/// The daemon ages ten thousand times a second.
const BURSTS_PER_AGEING: u64 = 31;
/// The daemon's default.
const AGE_STEP_ENTRIES: usize = 64;
const SECOND_NS: u64 = 1_000_000_000;

/// The configuration's defaults, with a grace time that doesn't end unless [`Dimensioning::adopting`] is false.
pub const TIMEOUTS: Timeouts = Timeouts {
    tcp_opening_ns: 30 * SECOND_NS,
    tcp_open_ns: 432_000 * SECOND_NS,
    tcp_closing_ns: 120 * SECOND_NS,
    udp_ns: 180 * SECOND_NS,
    icmp_ns: 30 * SECOND_NS,
    other_ns: 600 * SECOND_NS,
    grace_ns: 86_400 * SECOND_NS,
    denied_report_ns: 10 * SECOND_NS,
    fragment_ns: 30 * SECOND_NS,
};

/// What a path is made with.
#[derive(Clone, Debug)]
pub struct Dimensioning {
    /// Mode of the one segment.
    pub mode: Mode,
    /// The allowlist.
    pub rules: Vec<RuleEntry>,
    /// Conversations that the tables hold.
    pub capacity: Capacity,
    /// Running conversations are adopted all the time, or never.
    pub adopting: bool,
    /// Records that the event ring holds, a power of two.
    pub ring_events: usize,
    /// Whether the tables lie on hugepages, where there are some.
    pub hugepages: bool,
}

/// One worker's packet path.
pub struct Path {
    worker: WorkerExchange,
    /// Control's end.
    pub control: ControlExchange,
    pipeline: Pipeline,
    tally: BurstTally,
    verdicts: [VerdictWord; BURST_FRAMES_MAX],
    now_ns: u64,
    bursts: u64,
    values: [u64; WORKER_COUNTERS],
    _dataplane: DataplaneExchange,
    _folder: TempDir,
}

impl Path {
    /// Makes it, with the policy in force.
    ///
    /// # Errors
    /// No memory, or the policy doesn't compile.
    pub fn new(dimensioning: &Dimensioning) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadlock-path").tempdir_in("/dev/shm")?;
        let dimensions = Dimensions {
            workers: 1,
            ports: 2,
            ring_events: dimensioning.ring_events,
            rule_capacity: dimensioning.rules.len().max(1024),
            fingerprint: 0,
        };
        let file = folder.path().join("exchange");
        let mut dataplane = DataplaneExchange::open(&file, dimensions).map_err(io::Error::other)?;
        let mut control = ControlExchange::attach(&file, dimensions).map_err(io::Error::other)?;
        let image = compile(dimensioning, 1)?;
        control.publish(&image).map_err(io::Error::other)?;
        let worker = dataplane.take_workers().pop().ok_or_else(|| io::Error::other("no worker"))?;
        let grace_ns = if dimensioning.adopting { TIMEOUTS.grace_ns } else { 0 };
        let mut path = Self {
            worker,
            control,
            pipeline: Pipeline::new(
                dimensioning.capacity,
                &Timeouts { grace_ns, ..TIMEOUTS },
                SEED,
                dimensioning.hugepages,
            )?,
            tally: BurstTally::new(),
            verdicts: [VerdictWord::LEARNING; BURST_FRAMES_MAX],
            now_ns: START_NS,
            bursts: 0,
            values: [0; WORKER_COUNTERS],
            _dataplane: dataplane,
            _folder: folder,
        };
        // The worker reads the policy's header when the policy has changed, and allocates for it; no packet does.
        path.burst(Side::A, &[]);
        Ok(path)
    }

    /// Judges and counts a burst that came in on `side`, and ages when it is time. Returns how many frames are to be forwarded.
    #[inline]
    pub fn burst(&mut self, side: Side, frames: &[&[u8]]) -> usize {
        let segment = SegmentId::new(0).unwrap_or_else(|| unreachable!("0 is a segment"));
        let Self { worker, pipeline, tally, verdicts, .. } = self;
        let Some(policy) = worker.policy.enter() else { return 0 };
        let generation = policy.generation();
        let ingress = Ingress { segment, side };
        let judged =
            pipeline.judge(ingress, self.now_ns, frames, policy, &mut worker.events, verdicts);
        worker.events.publish();
        let forwarded = if judged.all_allowed {
            tally.count_allowed(frames.len() as u64, judged.frame_bytes);
            frames.len()
        } else {
            let verdicts = &verdicts[..frames.len()];
            let bytes_of = |at: usize| frames[at].len() as u32;
            frames.len() - tally.count_burst(verdicts, judged.frame_bytes, bytes_of)
        };
        tally.flush(&worker.ports()[side as usize]);
        self.now_ns += BURST_NS;
        self.bursts += 1;
        if self.bursts.is_multiple_of(BURSTS_PER_AGEING) {
            let epoch = worker.control_epoch();
            pipeline.age(self.now_ns, AGE_STEP_ENTRIES, generation, epoch, &mut worker.events);
            worker.events.publish();
            pipeline.fill(&mut self.values);
            worker.counters().store(&self.values);
        }
        forwarded
    }
}

/// The policy of `dimensioning` as another version.
///
/// # Errors
/// It doesn't compile.
pub fn compile(dimensioning: &Dimensioning, version: u64) -> io::Result<PolicyImage> {
    let infrastructure = Infrastructure { arp: true, neighbour_discovery: true, link_local: true };
    let segment =
        SegmentPolicy { mode: dimensioning.mode, infrastructure, ..SegmentPolicy::CLOSED };
    let capacity = dimensioning.rules.len().max(1024);
    PolicyImage::compile(version, &[segment], &dimensioning.rules, SEED, capacity)
        .map_err(io::Error::other)
}

/// The frames of conversations 0 to `flows` as they come in on `side`.
///
/// # Errors
/// A frame can't be built, which is a mistake in the load.
pub fn frames(frames: Frames, flows: u32, side: Side) -> io::Result<Vec<Vec<u8>>> {
    (0..flows).map(|number| frame(frames, number, number as usize, side)).collect()
}
