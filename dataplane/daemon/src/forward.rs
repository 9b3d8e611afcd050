//! One burst from verdict to counter.

use loadlock_dpdk::{Burst, MAX_BURST, TxQueue};
use loadlock_exchange::{
    CaptureVerdict, DropReason, Policy, PolicyImage, PortBlock, WorkerExchange,
};
use loadlock_packet::Ingress;
use loadlock_pipeline::{BURST_FRAMES_MAX, BurstTally, Pipeline, Verdict, VerdictWord};

use crate::tap::Tap;
use crate::worker::Tuning;

const _: () = assert!(MAX_BURST <= BURST_FRAMES_MAX);

/// The bursts and verdicts of a worker, used again and again.
pub struct Forwarder {
    burst: Burst,
    denied: Burst,
    verdicts: [VerdictWord; MAX_BURST],
    tally: BurstTally,
    /// Copies for control; at its side here, since only here a frame and its verdict are at hand.
    pub tap: Tap,
    /// Holds until the first publication: the configured modes, without a rule.
    closed: Policy,
    closed_image: PolicyImage,
}

impl Forwarder {
    /// Empty bursts of the configured size.
    pub fn new(closed_image: PolicyImage, tuning: &Tuning) -> Self {
        let closed = Policy::read(closed_image.words()).unwrap_or_else(|_| Policy::none());
        Self {
            burst: Burst::with_capacity(tuning.burst_packets),
            denied: Burst::with_capacity(tuning.burst_packets),
            verdicts: [VerdictWord::LEARNING; MAX_BURST],
            tally: BurstTally::new(),
            tap: Tap::new(),
            closed,
            closed_image,
        }
    }

    /// The burst to receive into; empty between two calls of [`Forwarder::count`].
    pub fn burst(&mut self) -> &mut Burst {
        &mut self.burst
    }

    /// Gives every frame of the burst its verdict and takes the denied ones out.
    pub fn judge(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        exchange: &mut WorkerExchange,
        pipeline: &mut Pipeline,
    ) {
        let policy = match exchange.policy.enter() {
            Some(policy) => policy,
            None => self.closed.view(self.closed_image.words(), 0),
        };
        let verdicts = &mut self.verdicts;
        let judged =
            pipeline.judge(ingress, now_ns, &self.burst, policy, &mut exchange.events, verdicts);
        exchange.events.publish();
        if self.tap.is_on() {
            let captures = &mut exchange.captures;
            self.tap.take(ingress, now_ns, &self.burst, verdicts, captures);
        }
        if judged.all_allowed {
            self.tally.count_allowed(self.burst.len() as u64, judged.frame_bytes);
            return;
        }
        let frames = self.burst.len();
        let verdicts = &verdicts[..frames];
        let bytes_of = |at: usize| self.burst.get(at).map_or(0, |frame| frame.frame_bytes());
        let denied = self.tally.count_burst(verdicts, judged.frame_bytes, bytes_of);
        if denied == frames {
            self.burst.free_all();
        } else if denied > 0 {
            self.burst.divert(&mut self.denied, |index, _| verdicts[index].forwards());
            self.denied.free_all();
        }
    }

    /// Takes every frame of the burst as it is.
    #[cold]
    pub fn pass(&mut self, ingress: Ingress, now_ns: u64, exchange: &mut WorkerExchange) {
        if self.tap.is_on() {
            let (verdict, captures) = (CaptureVerdict::Unjudged, &mut exchange.captures);
            self.tap.take_alike(ingress, now_ns, &self.burst, verdict, captures);
        }
        let bytes = self.burst.iter().map(|frame| u64::from(frame.frame_bytes())).sum();
        self.tally.count_unjudged(self.burst.len() as u64, bytes);
    }

    /// Drops every frame of the burst.
    #[cold]
    pub fn refuse(&mut self, ingress: Ingress, now_ns: u64, exchange: &mut WorkerExchange) {
        if self.tap.is_on() {
            self.capture_dropped(DropReason::SegmentClosed, ingress, now_ns, exchange);
        }
        let closed = Verdict::Deny(DropReason::SegmentClosed).into();
        for frame in self.burst.iter() {
            self.tally.count(closed, frame.frame_bytes());
        }
        self.burst.free_all();
    }

    /// Transmits the rest, trying again `retries` times; what the queue doesn't take then is dropped and counted.
    pub fn transmit(
        &mut self,
        queue: &mut TxQueue,
        retries: u16,
        ingress: Ingress,
        now_ns: u64,
        exchange: &mut WorkerExchange,
    ) {
        for _ in 0..=retries {
            if self.burst.is_empty() {
                return;
            }
            queue.send(&mut self.burst);
        }
        if !self.burst.is_empty() {
            self.not_taken(ingress, now_ns, exchange);
        }
    }

    #[cold]
    fn not_taken(&mut self, ingress: Ingress, now_ns: u64, exchange: &mut WorkerExchange) {
        if self.tap.is_on() {
            self.capture_dropped(DropReason::TransmitRefused, ingress, now_ns, exchange);
        }
        for frame in self.burst.iter() {
            self.tally.not_transmitted(frame.frame_bytes());
        }
        self.burst.free_all();
    }

    fn capture_dropped(
        &mut self,
        reason: DropReason,
        ingress: Ingress,
        now_ns: u64,
        exchange: &mut WorkerExchange,
    ) {
        let (verdict, captures) = (CaptureVerdict::Denied(reason), &mut exchange.captures);
        self.tap.take_alike(ingress, now_ns, &self.burst, verdict, captures);
    }

    /// Adds the burst to the counters of the port it came from.
    pub fn count(&mut self, port: &PortBlock) {
        self.tally.flush(port);
    }
}
