//! Bursts in, verdicts out; ageing in between.

use std::io;
use std::sync::Arc;

use loadlock_exchange::{Expected, Midstream, PolicyView, Seed, WORKER_COUNTERS, WorkerCounter};
use loadlock_packet::{Frame, Ingress, NarrowKey, SEGMENTS_MAX, SegmentId, WideKey};

use crate::ageing::{Ageing, ReadOut, Round};
use crate::clock::{Clock, Moment};
use crate::deferred::{Deferred, Hashes, Tables};
use crate::denied::DeniedReports;
use crate::entry::{Flags, Plain};
use crate::fragments::Fragments;
use crate::intake::{Intake, Sort};
use crate::limits::{Capacity, TickTimeouts, Timeouts, ticks};
use crate::plain::{Later, Run};
use crate::refused::RefusedOpenings;
use crate::report::{Counts, EventSink};
use crate::storage::Backing;
use crate::table::Table;
use crate::track::{Burst, Look};
use crate::verdict::VerdictWord;
use crate::watched::Watched;

/// Most frames a burst may have.
pub const BURST_FRAMES_MAX: usize = 64;

/// Pairs of hosts with negotiated ports, eight ports each: 64 KiB a dataplane.
const EXPECTED_SETS: usize = 128;
/// Most conversations that are judged again in one burst because the policy changed. The others of that burst go on by the
/// verdict they have, so that a new policy doesn't hold a burst up: each is a look or two into an allowlist that is in no cache yet.
const JUDGED_AGAIN_MAX: usize = 2;

/// All state of one worker: flow tables, reports, time.
pub struct Pipeline {
    narrow: Table<NarrowKey>,
    wide: Table<WideKey>,
    denied: DeniedReports,
    refused: RefusedOpenings,
    fragments: Fragments,
    watched: Watched,
    expected: Arc<Expected>,
    tidied: usize,
    timeouts: TickTimeouts,
    counts: Counts,
    intake: Intake,
    deferred: Deferred,
    grace_ns: u64,
    /// Of each segment, in steady time. It begins with the first burst, and anew when the segment is judged again.
    grace_end_ns: [u64; SEGMENTS_MAX],
    has_begun: bool,
    clock: Clock,
    control_epoch: u64,
    /// As in [`Flags::ROLL_CALL`].
    roll_call: u8,
    narrow_round: Round,
    wide_round: Round,
}

/// Sizes and memory of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineStatus {
    /// Bytes of the flow tables.
    pub table_bytes: usize,
    /// Bytes of the memory of denied conversations.
    pub denied_bytes: usize,
    /// Where the narrow table lies.
    pub backing: Backing,
}

/// The outcome of a burst as a whole, so that the caller needn't go through the verdicts of ordinary traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Bytes of all frames.
    pub frame_bytes: u64,
    /// Every verdict is an [`crate::Verdict::Allow`].
    pub all_allowed: bool,
}

impl Pipeline {
    /// Makes the tables: all memory this worker ever takes.
    ///
    /// # Errors
    /// The kernel has no memory for them.
    pub fn new(
        capacity: Capacity,
        timeouts: &Timeouts,
        seed: Seed,
        huge: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            narrow: Table::new(capacity.narrow, seed, huge)?,
            wide: Table::new(capacity.wide, seed, huge)?,
            denied: DeniedReports::new(ticks(timeouts.denied_report_ns), huge)?,
            refused: RefusedOpenings::new(),
            fragments: Fragments::new(capacity.fragments, ticks(timeouts.fragment_ns), seed),
            watched: Watched::new(),
            expected: Arc::new(Expected::new(EXPECTED_SETS, seed)),
            tidied: 0,
            timeouts: TickTimeouts::new(timeouts),
            counts: Counts::default(),
            intake: Intake::new(),
            deferred: Deferred::new(),
            grace_ns: timeouts.grace_ns,
            grace_end_ns: [0; SEGMENTS_MAX],
            has_begun: false,
            clock: Clock::default(),
            control_epoch: 0,
            roll_call: 0,
            narrow_round: Round::default(),
            wide_round: Round::default(),
        })
    }

    /// Sizes and memory.
    #[must_use]
    pub fn status(&self) -> PipelineStatus {
        PipelineStatus {
            table_bytes: self.narrow.bytes() + self.wide.bytes(),
            denied_bytes: self.denied.bytes(),
            backing: self.narrow.backing(),
        }
    }

    /// The negotiated ports that are expected to be used; see [`Pipeline::share_expected`].
    #[must_use]
    pub fn expected(&self) -> &Arc<Expected> {
        &self.expected
    }

    /// Shares the expectations of another worker: a negotiated conversation may come to another one than the conversation
    /// that negotiated it. For the start; what was expected alone is forgotten.
    pub fn share_expected(&mut self, expected: &Arc<Expected>) {
        self.expected = expected.clone();
    }

    /// Starts the grace time, in which running conversations are adopted, at `now_ns`. The first burst does it if nobody
    /// else has.
    pub fn start_grace(&mut self, now_ns: u64) {
        let now = self.clock.advance(now_ns);
        self.grace_end_ns = [now.steady_ns.saturating_add(self.grace_ns); SEGMENTS_MAX];
        self.has_begun = true;
    }

    /// Starts it for one segment, whose frames went by unjudged until now: its conversations began unseen.
    pub fn start_grace_of(&mut self, segment: SegmentId, now_ns: u64) {
        let now = self.advance(now_ns);
        self.grace_end_ns[segment.index()] = now.steady_ns.saturating_add(self.grace_ns);
    }

    #[inline]
    fn advance(&mut self, now_ns: u64) -> Moment {
        if !self.has_begun {
            self.start_grace(now_ns);
        }
        self.clock.advance(now_ns)
    }

    /// Judges `frames`, all received on `ingress`, into the first places of `verdicts`.
    ///
    /// `now_ns` is the time since 1970. Events are pushed, not published. Per frame: one line of the flow table when its
    /// conversation is known, and the allowlist's lines when it isn't or the policy changed. Frames beyond
    /// [`BURST_FRAMES_MAX`] or the length of `verdicts` are not looked at: the caller keeps to both.
    pub fn judge<F: Frame, S: EventSink>(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        frames: &[F],
        policy: PolicyView<'_>,
        events: &mut S,
        verdicts: &mut [VerdictWord],
    ) -> Judged {
        let moment = self.advance(now_ns);
        let segment = policy.segment(ingress.segment);
        let mut burst = Burst {
            policy,
            mode: segment.mode,
            mode_of_segment: segment.mode,
            by_station: policy.has_station_modes(),
            segment: ingress.segment,
            infrastructure: segment.infrastructure,
            midstream: segment.midstream,
            table_full: segment.table_full,
            ring_full: segment.ring_full,
            sender: ingress.side,
            moment,
            now: moment.tick(),
            in_grace: segment.midstream == Midstream::Grace
                && moment.steady_ns < self.grace_end_ns[ingress.segment.index()],
            grace_ns: self.grace_ns,
            roll_call: self.roll_call,
            begun: Hashes::default(),
            judge_again_left: JUDGED_AGAIN_MAX,
            events,
            counts: &mut self.counts,
            denied: &mut self.denied,
            refused: &mut self.refused,
            fragments: &mut self.fragments,
            head: &[],
            helpers: segment.helpers,
            watched: &mut self.watched,
            expected: &self.expected,
        };
        let generation = burst.generation();
        let plain = [
            Plain::new::<NarrowKey>(generation, ingress.side, burst.by_station),
            Plain::new::<WideKey>(generation, ingress.side, burst.by_station),
        ];
        let Self { intake, deferred, .. } = self;
        let mut tables = Tables {
            removals: [self.narrow.removals(), self.wide.removals()],
            narrow: &mut self.narrow,
            wide: &mut self.wide,
        };
        let count = frames.len().min(verdicts.len()).min(BURST_FRAMES_MAX);
        let (frames, verdicts) = (&frames[..count], &mut verdicts[..count]);
        deferred.clear();
        let run = match burst.is_small(&tables) {
            true => {
                let mut later = Later { intake, deferred, hashes: Hashes::default() };
                burst.short(&mut tables, &plain, ingress, frames, verdicts, &mut later)
            }
            false => Run::NONE,
        };
        let Run { frames: start, bytes: mut frame_bytes, mut all_allowed } = run;
        if start < count {
            let dense = [tables.narrow.is_dense(), tables.wide.is_dense()];
            frame_bytes += intake.take(ingress, frames, start, dense, tables.narrow, tables.wide);
        }
        let places = verdicts[start..].iter_mut().zip(&frames[start..]).zip(&intake.slots[start..]);
        for (at, ((verdict, frame), slot)) in places.enumerate() {
            let at = start + at;
            let look = match slot.sort {
                Sort::Narrow => burst.look(tables.narrow, &slot.narrow(), slot, &plain[0]),
                Sort::Wide => burst.look(tables.wide, &slot.wide(), slot, &plain[1]),
                Sort::Rare => Look::Special,
            };
            match look {
                Look::Plain(word) => *verdict = word,
                Look::Absent => deferred.absent(at),
                Look::Special => {
                    let head = frame.head();
                    if let Some(word) = burst.look_closer(&mut tables, &plain, slot, head) {
                        *verdict = word;
                    } else if deferred.is_empty() {
                        *verdict = burst.special(&mut tables, slot, intake.reading(at), head);
                        all_allowed &= verdict.is_allowed();
                    } else {
                        deferred.all_from(at, count);
                        break;
                    }
                }
            }
        }
        let deferrals = deferred.list().len();
        if deferrals > 0 {
            burst.prepare(&tables, &intake.slots, deferred, verdicts);
            all_allowed &= deferred.list().len() == deferrals;
            for deferral in deferred.list() {
                let at = usize::from(deferral.at);
                let (slot, reading) = (&intake.slots[at], intake.reading(at));
                let head = frames[at].head();
                verdicts[at] = burst.settle(&mut tables, slot, deferral, reading, head);
                all_allowed &= verdicts[at].is_allowed();
            }
        }
        Judged { frame_bytes, all_allowed }
    }

    /// Looks at as much of the flow tables as is due since the last call, at most `lines_max` lines of each, so that the
    /// sweep comes round about every two seconds. `control_epoch` is
    /// [`loadlock_exchange::WorkerExchange::control_epoch`]: when it moves, every live conversation is reported again. A
    /// move during such a roll-call starts another one afterwards.
    pub fn age<S: EventSink>(
        &mut self,
        now_ns: u64,
        lines_max: usize,
        generation: u64,
        control_epoch: u64,
        events: &mut S,
    ) {
        let now = self.advance(now_ns);
        self.tidied = self.tidied.wrapping_add(1);
        self.expected.tidy(self.tidied, now.tick());
        let calling = self.narrow_round.calling || self.wide_round.calling;
        if control_epoch != self.control_epoch && !calling {
            self.control_epoch = control_epoch;
            self.roll_call ^= Flags::ROLL_CALL;
            self.narrow_round.call();
            self.wide_round.call();
            self.narrow.restart_sweep();
            self.wide.restart_sweep();
        }
        let mut ageing = Ageing {
            now,
            generation: generation as u16,
            roll_call: self.roll_call,
            timeouts: &self.timeouts,
            events,
            counts: &mut self.counts,
            refused: false,
            read_out: ReadOut::Turn(0),
        };
        ageing.sweep_due(&mut self.narrow, &mut self.narrow_round, lines_max);
        ageing.sweep_due(&mut self.wide, &mut self.wide_round, lines_max);
    }

    /// Reports what was counted of every live conversation since it was last reported: what is known of those that are still running
    /// when learning ends. For replay; a worker's are read out by [`Pipeline::age`], each once in about four minutes.
    pub fn read_out_all<S: EventSink>(&mut self, generation: u64, events: &mut S) {
        self.sweep_all(generation, false, events);
    }

    /// Ends every conversation and reports it; for the end of a replay.
    pub fn end_all<S: EventSink>(&mut self, events: &mut S) {
        self.sweep_all(0, true, events);
    }

    fn sweep_all<S: EventSink>(&mut self, generation: u64, ends: bool, events: &mut S) {
        let none = TickTimeouts::none();
        let mut ageing = Ageing {
            now: self.clock.now(),
            generation: generation as u16,
            roll_call: self.roll_call,
            timeouts: if ends { &none } else { &self.timeouts },
            events,
            counts: &mut self.counts,
            refused: false,
            read_out: ReadOut::All,
        };
        self.narrow.restart_sweep();
        self.wide.restart_sweep();
        ageing.sweep(&mut self.narrow, usize::MAX);
        ageing.sweep(&mut self.wide, usize::MAX);
    }

    /// Writes this pipeline's counters into a worker's values.
    pub fn fill(&self, values: &mut [u64; WORKER_COUNTERS]) {
        let counts = &self.counts;
        values[WorkerCounter::FlowsNarrow as usize] = self.narrow.length() as u64;
        values[WorkerCounter::FlowsWide as usize] = self.wide.length() as u64;
        values[WorkerCounter::FlowsStarted as usize] = counts.flows_started;
        values[WorkerCounter::FlowsEnded as usize] = counts.flows_ended;
        values[WorkerCounter::FlowsRefused as usize] = counts.flows_refused;
        values[WorkerCounter::EventsSent as usize] = counts.events_sent;
        values[WorkerCounter::EventsRefused as usize] = counts.events_refused;
        values[WorkerCounter::DeniedUnreported as usize] = counts.denied_unreported;
        values[WorkerCounter::NegotiatedOpened as usize] = counts.negotiated_opened;
        values[WorkerCounter::NegotiatedUnread as usize] = counts.negotiated_unread;
        values[WorkerCounter::TableBytes as usize] =
            (self.narrow.bytes() + self.wide.bytes()) as u64;
        values[WorkerCounter::TableHugeBytes as usize] =
            (self.narrow.huge_bytes() + self.wide.huge_bytes()) as u64;
    }
}
