//! A scenario's traffic as one stream of labelled packets in time order.
//!
//! ```text
//!   Scenario ─► Topology (hosts) ─► Activity per tool, kind and half ─┐
//!                                └► Activity per attack ──────────────┴─► Traffic: heap by time ─► GeneratedPacket
//! ```
//!
//! An activity makes one batch at a time (a conversation, or one event of a long connection), so memory is one batch
//! per activity, however long the scenario is. Times are whole microseconds and strictly increasing over the whole
//! capture: a classic pcap keeps them exactly, and captures per side can be merged back without ties.

mod benign;
mod intruder;
mod label;
mod payload;
mod topology;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

pub use label::{AttackClass, BenignClass, Label};

use crate::conversation::{ConversationError, Side, TimedFrame};
use crate::scenario::Scenario;
use topology::Topology;

/// Times are multiples of this, and consecutive packets are at least this far apart.
const TICK_NS: u64 = 1_000;

/// One packet of the generated capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedPacket {
    /// Nanoseconds since 1970; whole microseconds, strictly increasing.
    pub time_ns: u64,
    /// Side of the segment the packet comes from.
    pub side: Side,
    /// The frame without FCS.
    pub bytes: Vec<u8>,
    /// What the packet is in truth.
    pub label: Label,
}

/// Frames of one label, in time order, not before those of the batch before.
struct Batch {
    label: Label,
    frames: Vec<TimedFrame>,
}

/// A source of batches.
trait Activity {
    /// The next batch; `None` when the activity is over.
    fn next_batch(&mut self) -> Result<Option<Batch>, ConversationError>;
}

/// An activity and its frames that are still to come.
struct Lane {
    activity: Box<dyn Activity + Send>,
    label: Label,
    frames: VecDeque<TimedFrame>,
}

impl Lane {
    /// Time of the lane's next frame, from the next batch if need be; `None` when the lane is over.
    fn next_time_ns(&mut self) -> Option<u64> {
        while self.frames.is_empty() {
            let batch = self.activity.next_batch().unwrap_or_else(|error| {
                // Hosts of a topology all have IPv4 addresses, and sizes and VLANs are bounded by the scenario's
                // checks.
                unreachable!("a checked scenario makes a frame that can't be built: {error:?}")
            })?;
            self.label = batch.label;
            self.frames = batch.frames.into();
        }
        self.frames.front().map(|frame| frame.time_ns)
    }
}

/// The packets of a scenario in time order.
pub struct Traffic {
    lanes: Vec<Lane>,
    /// Time of the next frame and number of its lane; ties go to the lower number.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    last_ns: u64,
}

/// Generates the traffic of `scenario`, lazily. The same scenario and seed give the same packets, byte for byte.
pub fn generate(scenario: &Scenario, seed: u64) -> Traffic {
    let topology = Topology::new(scenario);
    let mut activities = benign::activities(scenario, &topology, seed);
    activities.extend(intruder::activities(scenario, &topology, seed));
    let mut traffic = Traffic {
        lanes: Vec::with_capacity(activities.len()),
        heap: BinaryHeap::with_capacity(activities.len()),
        last_ns: 0,
    };
    for activity in activities {
        let mut lane =
            Lane { activity, label: Label::Benign(BenignClass::Arp), frames: VecDeque::new() };
        if let Some(time_ns) = lane.next_time_ns() {
            traffic.heap.push(Reverse((time_ns, traffic.lanes.len())));
            traffic.lanes.push(lane);
        }
    }
    traffic
}

impl Iterator for Traffic {
    type Item = GeneratedPacket;

    fn next(&mut self) -> Option<GeneratedPacket> {
        let Reverse((_, number)) = self.heap.pop()?;
        let lane = &mut self.lanes[number];
        let frame = lane.frames.pop_front()?;
        let label = lane.label;
        if let Some(time_ns) = lane.next_time_ns() {
            self.heap.push(Reverse((time_ns, number)));
        }
        let time_ns = (frame.time_ns / TICK_NS * TICK_NS).max(self.last_ns + TICK_NS);
        self.last_ns = time_ns;
        Some(GeneratedPacket { time_ns, side: frame.side, bytes: frame.bytes, label })
    }
}
