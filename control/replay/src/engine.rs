//! The pipeline over one packet after the other: learn, change over, enforce.

use loadlock_exchange::{
    DropReason, Event, EventKind, Mode, RuleId, Seed, SegmentPolicy, WORKER_COUNTERS, WorkerCounter,
};
use loadlock_packet::{Ingress, SegmentId, Side};
use loadlock_pipeline::{Basis, BurstTally, Capacity, Pipeline, Verdict, VerdictWord};
use loadlock_policy::Policy;

use crate::compare::Denials;
use crate::declarations;
use crate::error::ReplayError;
use crate::learning::{Lesson, day_of};
use crate::options::ReplayOptions;
use crate::rules::{self, Given, InForce, Joined};

/// What the segment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Learn = 0,
    Enforce = 1,
}

/// Verdicts by reason, and the pipeline's own tally of them by side.
pub(crate) struct PhaseCounts {
    pub packets: u64,
    pub bytes: u64,
    verdicts: [u64; VERDICTS],
    pub tallies: [BurstTally; 2],
}

const ALLOWED: usize = 4;
const REASONS: usize = DropReason::ALL.len();
const VERDICTS: usize = ALLOWED + 2 * REASONS;

impl PhaseCounts {
    fn new() -> Self {
        Self { packets: 0, bytes: 0, verdicts: [0; VERDICTS], tallies: Default::default() }
    }

    fn count(&mut self, verdict: Verdict, side: Side, frame_bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(frame_bytes);
        self.tallies[side as usize].count(verdict.into(), frame_bytes);
        let place = match verdict {
            Verdict::Allow(Basis::Rule(_)) => 0,
            Verdict::Allow(Basis::Learning) => 1,
            Verdict::Allow(Basis::Infrastructure) => 2,
            Verdict::Allow(Basis::Negotiated(_)) => 3,
            Verdict::WouldDeny(reason) => ALLOWED + reason as usize,
            Verdict::Deny(reason) => ALLOWED + REASONS + reason as usize,
        };
        self.verdicts[place] += 1;
    }

    /// A verdict of every kind that there was, whatever its rule, and how many packets had it.
    pub fn verdicts(&self) -> impl Iterator<Item = (Verdict, u64)> {
        let rule = RuleId::new(1);
        let bases = [
            rule.map_or(Basis::Learning, Basis::Rule),
            Basis::Learning,
            Basis::Infrastructure,
            Basis::Negotiated(rule),
        ];
        let reasons = || DropReason::ALL.iter().copied();
        let kinds = bases.into_iter().map(Verdict::Allow);
        let kinds =
            kinds.chain(reasons().map(Verdict::WouldDeny)).chain(reasons().map(Verdict::Deny));
        kinds.zip(self.verdicts).filter(|(_, packets)| *packets > 0)
    }
}

/// Time between two looks at the flow table's time-outs: their resolution.
const AGE_EVERY_NS: u64 = 1 << 24;

/// Pipeline, policy in force and learner of one replay.
pub(crate) struct Engine {
    pipeline: Pipeline,
    segment: SegmentId,
    behaviour: SegmentPolicy,
    given: Given,
    joined: Joined,
    in_force: InForce,
    phase: Phase,
    lesson: Lesson,
    /// What counts as a day, and the last one on whose end running conversations were read out.
    day_ns: u64,
    read_out_day: u64,
    events: Vec<Event>,
    denied_events: u64,
    denials: Denials,
    aged_ns: u64,
    pub counts: [PhaseCounts; 2],
}

impl Engine {
    /// Takes the given rules into force. The flow tables are made for `packets` packets, so that they can't be full.
    pub fn new(
        options: &ReplayOptions,
        segment: SegmentId,
        given: Given,
        packets: u64,
        learn_ns: u64,
        sides_guessed: bool,
    ) -> Result<Self, ReplayError> {
        const SMALLEST: usize = 1024;
        let packets = usize::try_from(packets).unwrap_or(usize::MAX).max(SMALLEST);
        let capacity = Capacity {
            narrow: packets.min(options.capacity_max.narrow.max(1)),
            wide: packets.min(options.capacity_max.wide.max(1)),
            fragments: packets.min(options.capacity_max.fragments.max(1)),
        };
        // Fixed for the same reason as the allowlist's.
        let seed = Seed([0x6c6f_6164_6c6f_636b, 0x7265_706c_6179_2032]);
        let pipeline = Pipeline::new(capacity, &options.timeouts, seed, false)
            .map_err(|source| ReplayError::Memory { source })?;
        let behaviour = SegmentPolicy {
            mode: Mode::Learn,
            infrastructure: options.infrastructure,
            helpers: options.helpers,
            ..SegmentPolicy::CLOSED
        };
        let joined = Joined::only_given(&given.policy);
        let in_force = InForce::compile(&given.policy, &given.segment, behaviour, 1)?;
        let declared = declarations::read(options)?;
        let day_ns = day_of(learn_ns);
        let lesson =
            Lesson::new(&given.segment, options.admission, declared, learn_ns, sides_guessed);
        Ok(Self {
            pipeline,
            segment,
            behaviour,
            given,
            joined,
            in_force,
            phase: Phase::Learn,
            lesson,
            day_ns,
            read_out_day: 0,
            events: Vec::new(),
            denied_events: 0,
            denials: Denials::default(),
            aged_ns: 0,
            counts: [PhaseCounts::new(), PhaseCounts::new()],
        })
    }

    /// What the segment does now.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends learning: what was learned is joined with the given rules, and whatever they don't permit is denied.
    pub fn enforce(&mut self) -> Result<(), ReplayError> {
        self.read_out();
        self.joined = rules::join(&self.given.policy, &self.lesson.policy()?)?;
        self.behaviour.mode = Mode::Enforce;
        self.in_force =
            InForce::compile(&self.joined.policy, &self.given.segment, self.behaviour, 2)?;
        self.phase = Phase::Enforce;
        Ok(())
    }

    /// Judges one frame.
    pub fn packet(&mut self, side: Side, time_ns: u64, frame: &[u8]) -> Verdict {
        if self.phase == Phase::Learn && time_ns / self.day_ns != self.read_out_day {
            self.read_out();
            self.read_out_day = time_ns / self.day_ns;
        }
        let view = self.in_force.view();
        if time_ns.abs_diff(self.aged_ns) >= AGE_EVERY_NS {
            self.aged_ns = time_ns;
            self.pipeline.age(time_ns, usize::MAX, view.generation(), 0, &mut self.events);
        }
        let ingress = Ingress { segment: self.segment, side };
        let mut verdict = [VerdictWord::LEARNING];
        self.pipeline.judge(ingress, time_ns, &[frame], view, &mut self.events, &mut verdict);
        let [verdict] = verdict.map(VerdictWord::verdict);
        let frame_bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        self.counts[self.phase as usize].count(verdict, side, frame_bytes);
        self.take_events();
        verdict
    }

    /// Tells the learner what is known of the conversations that are still running.
    fn read_out(&mut self) {
        let generation = self.in_force.view().generation();
        self.pipeline.read_out_all(generation, &mut self.events);
        self.take_events();
    }

    fn take_events(&mut self) {
        for event in self.events.drain(..) {
            if matches!(event.kind, EventKind::Denied(_)) {
                self.denied_events += 1;
                self.denials.note(&event);
            }
            if self.phase == Phase::Learn {
                self.lesson.observe(&event);
            }
        }
    }

    /// Ends every conversation, and tells what was denied, and by which policy.
    pub fn into_denials(mut self) -> (Denials, InForce) {
        self.pipeline.end_all(&mut self.events);
        self.take_events();
        (self.denials, self.in_force)
    }

    /// Ends every conversation; where learning went on to the end, joins what was learned.
    pub fn finish(mut self) -> Result<Outcome, ReplayError> {
        self.pipeline.end_all(&mut self.events);
        self.take_events();
        if self.phase == Phase::Learn {
            self.joined = rules::join(&self.given.policy, &self.lesson.policy()?)?;
        }
        let mut counters = [0; WORKER_COUNTERS];
        self.pipeline.fill(&mut counters);
        Ok(Outcome {
            segment: self.given.segment.to_string(),
            rules_given: self.given.policy.rules().len(),
            joined: self.joined,
            flows_started: counters[WorkerCounter::FlowsStarted as usize],
            flows_ended: counters[WorkerCounter::FlowsEnded as usize],
            flows_refused: counters[WorkerCounter::FlowsRefused as usize],
            denied_events: self.denied_events,
            lesson: self.lesson,
            counts: self.counts,
        })
    }
}

/// What a replay came to, besides what the capture itself says.
pub(crate) struct Outcome {
    pub segment: String,
    pub rules_given: usize,
    pub joined: Joined,
    pub flows_started: u64,
    pub flows_ended: u64,
    pub flows_refused: u64,
    /// Reports of denied conversations.
    pub denied_events: u64,
    pub lesson: Lesson,
    pub counts: [PhaseCounts; 2],
}

impl Outcome {
    /// The policy at the end.
    pub fn policy(&self) -> &Policy {
        &self.joined.policy
    }
}
