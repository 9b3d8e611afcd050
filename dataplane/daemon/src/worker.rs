//! A worker: one pinned core that polls its queues, judges, transmits and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loadlock_dpdk::{RxQueue, TscCycles, TxQueue};
use loadlock_exchange::{Handling, PolicyImage, WORKER_COUNTERS, WorkerCounter, WorkerExchange};
use loadlock_packet::{Ingress, SEGMENTS_MAX, SegmentId};
use loadlock_pipeline::Pipeline;

use crate::clock::WallClock;
use crate::forward::Forwarder;
use crate::idle::Pauses;
use crate::overrides::{OverrideBoard, Overrides};

/// Queue pairs of one worker, one lane for each port it serves, and where they belong.
pub struct Lanes {
    /// Index of each lane's port.
    pub port: Vec<usize>,
    /// Receive queues.
    pub receive: Vec<RxQueue>,
    /// Transmit queues.
    pub transmit: Vec<TxQueue>,
    /// Segment and side of each lane's port.
    pub ingress: Vec<Ingress>,
    /// The lane of the port on the other side of its segment.
    pub peer: Vec<usize>,
}

/// How a worker does its work.
#[derive(Clone, Copy)]
pub struct Tuning {
    /// Most frames of a receive burst.
    pub burst_packets: usize,
    /// Extra tries to transmit.
    pub transmit_retries: u16,
    /// One burst in this many is timed.
    pub latency_sample_bursts: u32,
    /// Flow entries looked at per ageing step.
    pub age_step_entries: usize,
    /// Between two looks in vain.
    pub pauses: Pauses,
}

/// Everything one worker owns.
pub struct Worker {
    pub(crate) lanes: Lanes,
    pub(crate) exchange: WorkerExchange,
    pub(crate) pipeline: Pipeline,
    pub(crate) forwarder: Forwarder,
    pub(crate) clock: WallClock,
    pub(crate) tuning: Tuning,
    board: Arc<OverrideBoard>,
    overrides: Overrides,
    bursts_to_sample: u32,
    chores_due_cycles: u64,
    chores_every_cycles: u64,
    values: [u64; WORKER_COUNTERS],
}

impl Worker {
    /// Puts a worker together. `closed` is the policy that holds until control has published one.
    pub fn new(
        lanes: Lanes,
        exchange: WorkerExchange,
        pipeline: Pipeline,
        closed: PolicyImage,
        clock: WallClock,
        tuning: Tuning,
        board: Arc<OverrideBoard>,
    ) -> Self {
        let forwarder = Forwarder::new(closed, &tuning);
        Self {
            lanes,
            exchange,
            pipeline,
            forwarder,
            clock,
            tuning,
            board,
            overrides: Overrides::NONE,
            bursts_to_sample: tuning.latency_sample_bursts,
            chores_due_cycles: 0,
            // Ten thousand times a second: with the default step that is 640,000 flow entries a second.
            chores_every_cycles: clock.hz() / 10_000,
            values: [0; WORKER_COUNTERS],
        }
    }

    /// Polls until `stop` is set. No allocation, lock or system call in here.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            // One reading a round: it costs as much as a few packets.
            let cycles = self.clock.cycles();
            let now_ns = self.clock.ns(cycles);
            let mut is_busy = false;
            for lane in 0..self.lanes.receive.len() {
                is_busy |= self.poll(lane, now_ns);
            }
            if cycles.0 >= self.chores_due_cycles {
                self.chores_due_cycles = cycles.0 + self.chores_every_cycles;
                self.chores(now_ns);
            }
            match is_busy {
                true => self.tuning.pauses.busy(),
                false => {
                    let due = TscCycles(self.chores_due_cycles);
                    self.tuning.pauses.idle(self.clock.counter(), cycles, due);
                }
            }
        }
        self.chores(self.clock.ns(self.clock.cycles()));
    }

    /// Takes one burst from a port through to the other side. False: there was none.
    fn poll(&mut self, lane: usize, now_ns: u64) -> bool {
        let received = self.lanes.receive[lane].receive(self.forwarder.burst());
        if received == 0 {
            self.values[WorkerCounter::EmptyPolls as usize] += 1;
            return false;
        }
        self.count_burst();
        self.bursts_to_sample -= 1;
        if self.bursts_to_sample > 0 {
            self.forward(lane, now_ns);
            return true;
        }
        self.bursts_to_sample = self.tuning.latency_sample_bursts;
        let arrived = self.clock.cycles();
        self.forward(lane, now_ns);
        let spent = self.clock.cycles().since(arrived);
        self.exchange.latency().record(spent.0);
        true
    }

    /// Judges and transmits what is in the forwarder's burst.
    pub(crate) fn forward(&mut self, lane: usize, now_ns: u64) {
        let ingress = self.lanes.ingress[lane];
        let overrides = self.board.now();
        if overrides != self.overrides {
            self.take(overrides, now_ns);
        }
        match overrides.of(ingress.segment) {
            Handling::Judged => {
                self.forwarder.judge(ingress, now_ns, &mut self.exchange, &mut self.pipeline);
            }
            Handling::Open => self.forwarder.pass(ingress, now_ns, &mut self.exchange),
            Handling::Closed => self.forwarder.refuse(ingress, now_ns, &mut self.exchange),
        }
        let transmit = &mut self.lanes.transmit[self.lanes.peer[lane]];
        let retries = self.tuning.transmit_retries;
        self.forwarder.transmit(transmit, retries, ingress, now_ns, &mut self.exchange);
        self.forwarder.count(&self.exchange.ports()[self.lanes.port[lane]]);
    }

    /// Conversations that began while a segment's frames went by unjudged are adopted from now on, for the grace time.
    #[cold]
    fn take(&mut self, overrides: Overrides, now_ns: u64) {
        let was_open = |segment: &SegmentId| self.overrides.of(*segment) == Handling::Open;
        let segments = (0..SEGMENTS_MAX).filter_map(SegmentId::new).filter(was_open);
        for segment in segments.filter(|segment| overrides.of(*segment) != Handling::Open) {
            self.pipeline.start_grace_of(segment, now_ns);
        }
        self.overrides = overrides;
    }

    /// What needs doing now and then: ageing, heartbeat, counters.
    pub(crate) fn chores(&mut self, now_ns: u64) {
        let epoch = self.exchange.control_epoch();
        let generation = self.exchange.policy.enter().map_or(0, |policy| policy.generation());
        self.pipeline.age(
            now_ns,
            self.tuning.age_step_entries,
            generation,
            epoch,
            &mut self.exchange.events,
        );
        self.exchange.events.publish();
        let time_ns = self.clock.ns(self.clock.cycles());
        self.forwarder.tap.look(&mut self.exchange.captures, time_ns);
        self.forwarder.tap.fill(&mut self.values);
        self.pipeline.fill(&mut self.values);
        self.values[WorkerCounter::Generation as usize] = generation;
        self.values[WorkerCounter::PolicyRefused as usize] = self.exchange.policy.refused();
        self.values[WorkerCounter::HeartbeatNs as usize] = time_ns;
        self.exchange.counters().store(&self.values);
    }

    pub(crate) fn count_burst(&mut self) {
        self.values[WorkerCounter::Bursts as usize] += 1;
    }
}
