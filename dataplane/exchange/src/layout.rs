//! Where everything lies in the region.
//!
//! ```text
//! 0      header: 64 words, from 32 the segments' bypass        (one page)
//! 4096   generation word │ quiescence word of each worker    (128 bytes each)
//!        port words: 16 for each port                        (128 bytes each; written by the dataplane's main thread)
//!        the order to capture
//!        per worker: counters │ latency │ counters of each port │ write cursor │ read cursor │ ring slots │
//!                    of captured frames: write cursor │ read cursor │ ring slots
//!        policy slot 0 │ policy slot 1                       (page-aligned)
//! ```

use std::fmt;

use crate::allowlist::RULES_MAX;
use crate::capture::{CAPTURE_RECORDS, OrderBlock};
use crate::counters::{LatencyBlock, PortBlock, WorkerBlock};
use crate::ring::{Cursor, Record};
use crate::snapshot::slot_bytes;
use crate::swap::{SLOTS, Word};

/// Version of the layout. A change of anything in the region, down to the meaning of a word
/// and to the hash of keys, is a new version.
pub const LAYOUT_VERSION: u64 = 8;
/// "LLEXCHNG".
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"LLEXCHNG");

const PAGE_BYTES: usize = 4096;
/// The region's size is a multiple of it, so that it can lie on hugetlbfs.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Words of a port's block.
pub(crate) const PORT_STATE_WORDS: usize = 16;

/// Indexes of the header's words.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum HeaderWord {
    Magic,
    Version,
    TotalBytes,
    Workers,
    Ports,
    RingEvents,
    RuleCapacity,
    /// Hash of the configured ports and segments: both processes must have read the same file.
    Fingerprint,
    /// Random number of this region, new with each creation.
    Instance,
    DataplaneState,
    DataplanePid,
    DataplaneStarts,
    DataplaneHeartbeatNs,
    TscHz,
    ControlEpoch,
    ControlHeartbeatNs,
}

/// Words in the header page that have a place.
pub(crate) const HEADER_WORDS: usize = 64;
/// The first of the header's words that say until when each segment is in bypass.
pub(crate) const BYPASS_AT: usize = 32;
const _: () = assert!((HeaderWord::ControlHeartbeatNs as usize) < BYPASS_AT);
const _: () = assert!(BYPASS_AT + loadlock_packet::SEGMENTS_MAX <= HEADER_WORDS);

/// What decides the region's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Workers, at least 1.
    pub workers: usize,
    /// Ports, two a segment.
    pub ports: usize,
    /// Records a worker's ring holds, a power of two.
    pub ring_events: usize,
    /// Compiled rules a snapshot holds.
    pub rule_capacity: usize,
    /// Hash of the configured ports and segments.
    pub fingerprint: u64,
}

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} workers, {} ports, rings of {} events, {} rules, configuration {:08x}",
            self.workers,
            self.ports,
            self.ring_events,
            self.rule_capacity,
            self.fingerprint & 0xffff_ffff
        )
    }
}

impl Dimensions {
    /// Bytes of a region of these dimensions; `None` if there can't be one.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        Some(Layout::new(self)?.total_bytes)
    }
}

/// Byte offsets, all multiples of 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub dimensions: Dimensions,
    pub current: usize,
    pub quiescent: usize,
    pub port_states: usize,
    pub capture_order: usize,
    workers: usize,
    worker_bytes: usize,
    pub slots: usize,
    pub slot_bytes: usize,
    pub total_bytes: usize,
}

/// Offsets inside one worker's part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WorkerLayout {
    pub counters: usize,
    pub latency: usize,
    pub ports: usize,
    pub events: RingLayout,
    pub captures: RingLayout,
}

/// Offsets of one ring, and how many slots it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLayout {
    pub write_cursor: usize,
    pub read_cursor: usize,
    pub slots: usize,
    pub records: usize,
}

impl RingLayout {
    /// One that begins at `at`.
    fn new(at: usize, records: usize) -> Self {
        let read_cursor = at + size_of::<Cursor>();
        let slots = read_cursor + size_of::<Cursor>();
        Self { write_cursor: at, read_cursor, slots, records }
    }

    /// Behind it.
    fn end(&self) -> usize {
        self.slots + self.records * size_of::<Record>()
    }
}

const _: () = assert!(size_of::<Word>() == 128 && size_of::<Cursor>() == 128);
const _: () = assert!(size_of::<Record>() == 128);
const _: () = assert!(size_of::<WorkerBlock>().is_multiple_of(128));
const _: () = assert!(size_of::<OrderBlock>().is_multiple_of(128));

impl Layout {
    /// Computes the offsets. Limits on the dimensions are the configuration's business; sums that overflow give `None`.
    pub fn new(dimensions: Dimensions) -> Option<Self> {
        let Dimensions { workers, ports, ring_events, rule_capacity, .. } = dimensions;
        if workers == 0 || workers > 256 || ports > 64 || !ring_events.is_power_of_two() {
            return None;
        }
        let current = PAGE_BYTES;
        let quiescent = current + size_of::<Word>();
        let port_states = quiescent + workers * size_of::<Word>();
        let capture_order = port_states + ports * PORT_STATE_WORDS * 8;
        let workers_at = capture_order + size_of::<OrderBlock>();
        let fixed = size_of::<WorkerBlock>()
            + size_of::<LatencyBlock>()
            + ports * size_of::<PortBlock>()
            + 4 * size_of::<Cursor>()
            + CAPTURE_RECORDS * size_of::<Record>();
        let worker_bytes = ring_events.checked_mul(size_of::<Record>())?.checked_add(fixed)?;
        let end = workers.checked_mul(worker_bytes)?.checked_add(workers_at)?;
        let slots = end.checked_next_multiple_of(PAGE_BYTES)?;
        if rule_capacity > RULES_MAX as usize {
            return None;
        }
        let slot_bytes = slot_bytes(rule_capacity).next_multiple_of(PAGE_BYTES);
        let total_bytes =
            slots.checked_add(SLOTS * slot_bytes)?.checked_next_multiple_of(HUGE_PAGE_BYTES)?;
        Some(Self {
            dimensions,
            current,
            quiescent,
            port_states,
            capture_order,
            workers: workers_at,
            worker_bytes,
            slots,
            slot_bytes,
            total_bytes,
        })
    }

    pub fn worker(&self, worker: usize) -> WorkerLayout {
        let counters = self.workers + worker * self.worker_bytes;
        let latency = counters + size_of::<WorkerBlock>();
        let ports = latency + size_of::<LatencyBlock>();
        let events = ports + self.dimensions.ports * size_of::<PortBlock>();
        let events = RingLayout::new(events, self.dimensions.ring_events);
        let captures = RingLayout::new(events.end(), CAPTURE_RECORDS);
        WorkerLayout { counters, latency, ports, events, captures }
    }
}
