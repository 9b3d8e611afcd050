//! Packets, rules and a pipeline to try them on, for all tests of this crate.
#![allow(dead_code, unused_imports, reason = "every test binary uses its own part")]

pub mod course;
pub mod model;
pub mod packet;
pub mod rule;
pub mod strategy;

use loadlock_exchange::{
    BindingEntry, DropReason, Event, EventKind, ModeEntry, Policy, PolicyImage, RingFull,
    RuleEntry, Seed, SegmentPolicy, WORKER_COUNTERS, WorkerCounter,
};
use loadlock_packet::{FlowKey, Ingress, SegmentId, Side};
use loadlock_pipeline::{
    BURST_FRAMES_MAX, Capacity, EventSink, Pipeline, Timeouts, Verdict, VerdictWord,
};
pub use packet::{Packet, Piece, Sort, flags};
pub use rule::{Rule, bound, open_infrastructure, segment};

/// 2026-01-01.
pub const START_NS: u64 = 1_767_225_600_000_000_000;
pub const SECOND_NS: u64 = 1_000_000_000;
/// A sweep round and a bit.
pub const ROUND_NS: u64 = 2 * SECOND_NS;

pub const SEED: Seed = Seed([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);

pub const TIMEOUTS: Timeouts = Timeouts {
    tcp_opening_ns: 5 * SECOND_NS,
    tcp_open_ns: 60 * SECOND_NS,
    tcp_closing_ns: 8 * SECOND_NS,
    udp_ns: 20 * SECOND_NS,
    icmp_ns: 6 * SECOND_NS,
    other_ns: 30 * SECOND_NS,
    grace_ns: 15 * SECOND_NS,
    denied_report_ns: 10 * SECOND_NS,
    fragment_ns: 3 * SECOND_NS,
};

/// A sink with room for `capacity` events that nobody empties by itself; reserves as the real ring does.
pub struct SmallRing {
    pub capacity: usize,
    pub events: Vec<Event>,
}

impl SmallRing {
    pub fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

impl EventSink for SmallRing {
    fn push(&mut self, event: &Event) -> Result<(), RingFull> {
        if self.events.len() >= self.capacity {
            return Err(RingFull);
        }
        self.events.push(*event);
        Ok(())
    }

    fn publish(&mut self) {}

    fn is_full(&mut self) -> bool {
        self.events.len() >= self.capacity
    }
}

/// A pipeline with a policy and a time.
pub struct Rig {
    pub pipeline: Pipeline,
    pub ring: SmallRing,
    pub now_ns: u64,
    pub generation: u64,
    pub control_epoch: u64,
    image: PolicyImage,
    policy: Policy,
    settings: SegmentPolicy,
    entries: Vec<RuleEntry>,
    bindings: Vec<BindingEntry>,
    modes: Vec<ModeEntry>,
}

impl Rig {
    /// Grace time begins now.
    pub fn new(capacity: Capacity, settings: SegmentPolicy, rules: &[Rule]) -> Self {
        let entries: Vec<_> = rules.iter().map(Rule::entry).collect();
        Self::compiled(capacity, settings, &entries)
    }

    /// As [`Rig::new`], with rules over any hosts.
    pub fn compiled(capacity: Capacity, settings: SegmentPolicy, rules: &[RuleEntry]) -> Self {
        let mut pipeline = Pipeline::new(capacity, &TIMEOUTS, SEED, false).unwrap();
        pipeline.start_grace(START_NS);
        let image = compile(settings, rules, &[], &[]);
        let policy = Policy::read(image.words()).unwrap();
        Self {
            settings,
            entries: rules.to_vec(),
            bindings: Vec::new(),
            modes: Vec::new(),
            pipeline,
            ring: SmallRing { capacity: usize::MAX, events: Vec::new() },
            now_ns: START_NS,
            generation: 1,
            control_epoch: 0,
            image,
            policy,
        }
    }

    /// As [`Rig::new`], when the grace time is over.
    pub fn settled(settings: SegmentPolicy, rules: &[Rule]) -> Self {
        let mut rig = Self::new(Capacity { narrow: 64, wide: 64, fragments: 64 }, settings, rules);
        rig.now_ns += TIMEOUTS.grace_ns;
        rig
    }

    /// Puts another policy in force.
    pub fn publish(&mut self, settings: SegmentPolicy, rules: &[Rule]) {
        self.settings = settings;
        self.entries = rules.iter().map(Rule::entry).collect();
        self.swap();
    }

    /// Puts other bindings in force.
    pub fn bind(&mut self, bindings: &[BindingEntry]) {
        self.bindings = bindings.to_vec();
        self.swap();
    }

    /// Puts other modes of devices in force.
    pub fn set_modes(&mut self, modes: &[ModeEntry]) {
        self.modes = modes.to_vec();
        self.swap();
    }

    fn swap(&mut self) {
        self.image = compile(self.settings, &self.entries, &self.bindings, &self.modes);
        self.policy = Policy::read(self.image.words()).unwrap();
        self.generation += 1;
    }

    /// Judges one burst of frames that came in on `side`.
    pub fn burst(&mut self, side: Side, frames: &[Vec<u8>]) -> Vec<Verdict> {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let unjudged = VerdictWord::from(Verdict::Deny(DropReason::TransmitRefused));
        let mut verdicts = vec![unjudged; frames.len().min(BURST_FRAMES_MAX)];
        let view = self.policy.view(self.image.words(), self.generation);
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side };
        let ring = &mut self.ring;
        let judged = self.pipeline.judge(ingress, self.now_ns, &frames, view, ring, &mut verdicts);
        let verdicts: Vec<Verdict> = verdicts.into_iter().map(VerdictWord::verdict).collect();
        let all_allowed = verdicts.iter().all(|verdict| matches!(verdict, Verdict::Allow(_)));
        assert_eq!(judged.all_allowed, all_allowed);
        let bytes = frames.iter().take(BURST_FRAMES_MAX).map(|frame| frame.len() as u64);
        assert_eq!(judged.frame_bytes, bytes.sum::<u64>());
        verdicts
    }

    /// Judges with another sink than the rig's.
    pub fn judge_into<S: EventSink>(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        frames: &[&[u8]],
        events: &mut S,
        verdicts: &mut [VerdictWord],
    ) {
        let view = self.policy.view(self.image.words(), self.generation);
        self.pipeline.judge(ingress, now_ns, frames, view, events, verdicts);
    }

    /// The key that the parser gives a packet.
    pub fn key(&self, packet: Packet) -> FlowKey {
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: packet.from };
        let frame = packet.frame();
        loadlock_packet::parse(&frame, frame.len() as u32, ingress).unwrap().key
    }

    pub fn send(&mut self, packet: Packet) -> Verdict {
        self.burst(packet.from, &[packet.frame()])[0]
    }

    /// Lets time pass and the sweep come round, exactly once at the end.
    pub fn wait(&mut self, duration_ns: u64) {
        assert!(duration_ns >= 2 * ROUND_NS, "too short for the sweep to come round");
        self.now_ns += duration_ns - ROUND_NS;
        self.age();
        self.now_ns += ROUND_NS;
        self.age();
    }

    pub fn age(&mut self) {
        let (now_ns, generation, epoch) = (self.now_ns, self.generation, self.control_epoch);
        self.pipeline.age(now_ns, usize::MAX, generation, epoch, &mut self.ring);
    }

    pub fn counter(&self, counter: WorkerCounter) -> u64 {
        let mut values = [0; WORKER_COUNTERS];
        self.pipeline.fill(&mut values);
        values[counter as usize]
    }

    pub fn flows(&self) -> u64 {
        self.counter(WorkerCounter::FlowsNarrow) + self.counter(WorkerCounter::FlowsWide)
    }

    pub fn events(&self, kind: EventKind) -> Vec<Event> {
        self.ring.events.iter().filter(|event| event.kind == kind).copied().collect()
    }
}

fn compile(
    settings: SegmentPolicy,
    entries: &[RuleEntry],
    bindings: &[BindingEntry],
    modes: &[ModeEntry],
) -> PolicyImage {
    let capacity = entries.len() + 64;
    let image = PolicyImage::compile(1, &[settings], entries, SEED, capacity).unwrap();
    image.bind(bindings, capacity).unwrap().set_modes(modes, capacity).unwrap()
}
