//! Copies of frames for a person who wants to see them. Off, it costs a look at one of the worker's own flags a burst.

use loadlock_dpdk::{Burst, Mbuf};
use loadlock_exchange::{
    CAPTURE_FRAME_BYTES_MAX, CaptureOrder, CaptureSource, CaptureVerdict, CapturedFrame,
    WORKER_COUNTERS, WorkerCounter,
};
use loadlock_packet::{Ingress, outline};
use loadlock_pipeline::{Verdict, VerdictWord};

/// What a worker captures.
pub struct Tap {
    order: Option<Taken>,
    number: u64,
    frames: u64,
    lost: u64,
    /// Room for a frame's bytes; here, so that nothing is allocated for them.
    room: Vec<u8>,
}

/// An order, and until when it holds.
struct Taken {
    order: CaptureOrder,
    until_ns: u64,
}

impl Tap {
    /// One that is off. Allocates its room.
    pub fn new() -> Self {
        let room = Vec::with_capacity(CAPTURE_FRAME_BYTES_MAX);
        Self { order: None, number: 0, frames: 0, lost: 0, room }
    }

    /// Is anything to be captured?
    #[inline]
    pub fn is_on(&self) -> bool {
        self.order.is_some()
    }

    /// Takes up what control has ordered since, and ends what is over by this worker's clock.
    pub fn look(&mut self, source: &mut CaptureSource, now_ns: u64) {
        if let Some((number, order)) = source.order() {
            let taken = |order: CaptureOrder| {
                let time_ns = u64::try_from(order.time.as_nanos()).unwrap_or(u64::MAX);
                Taken { until_ns: now_ns.saturating_add(time_ns), order }
            };
            self.order = order.map(taken);
            (self.number, self.frames, self.lost) = (number, 0, 0);
        }
        if self.order.as_ref().is_some_and(|taken| now_ns >= taken.until_ns) {
            self.order = None;
        }
    }

    /// Says how far it is.
    pub fn fill(&self, values: &mut [u64; WORKER_COUNTERS]) {
        values[WorkerCounter::CaptureNumber as usize] = self.number;
        values[WorkerCounter::CapturedFrames as usize] = self.frames;
        values[WorkerCounter::CaptureLost as usize] = self.lost;
    }

    /// Copies those frames of a judged burst that are wanted.
    #[cold]
    pub fn take(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        burst: &Burst,
        verdicts: &[VerdictWord],
        source: &mut CaptureSource,
    ) {
        for (frame, verdict) in burst.iter().zip(verdicts) {
            let verdict = match verdict.verdict() {
                Verdict::Deny(reason) => CaptureVerdict::Denied(reason),
                Verdict::WouldDeny(reason) => CaptureVerdict::WouldDeny(reason),
                Verdict::Allow(_) => CaptureVerdict::Allowed(verdict.verdict().rule()),
            };
            self.take_one(ingress, now_ns, frame, verdict, source);
        }
        source.publish();
    }

    /// Copies those frames that are wanted of a burst that all have this verdict.
    #[cold]
    pub fn take_alike(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        burst: &Burst,
        verdict: CaptureVerdict,
        source: &mut CaptureSource,
    ) {
        for frame in burst.iter() {
            self.take_one(ingress, now_ns, frame, verdict, source);
        }
        source.publish();
    }

    fn take_one(
        &mut self,
        ingress: Ingress,
        now_ns: u64,
        mbuf: &Mbuf,
        verdict: CaptureVerdict,
        source: &mut CaptureSource,
    ) {
        let Some(Taken { order, .. }) = self.order else { return };
        let is_forwarded = matches!(verdict, CaptureVerdict::Allowed(_) | CaptureVerdict::Unjudged);
        if is_forwarded && !order.all {
            return;
        }
        let outline = outline(mbuf.head());
        if !order.wants(&outline) {
            return;
        }
        let whole = if order.payload { order.frame_bytes_max } else { outline.header_bytes };
        self.room.resize(whole.min(order.frame_bytes_max).min(CAPTURE_FRAME_BYTES_MAX), 0);
        let copied = mbuf.copy_into(&mut self.room);
        self.room.truncate(copied);
        let frame = CapturedFrame {
            number: self.number,
            time_ns: now_ns,
            segment: ingress.segment,
            side: ingress.side,
            verdict,
            frame_bytes: mbuf.frame_bytes(),
            data: std::mem::take(&mut self.room),
        };
        match source.push(&frame) {
            Ok(()) => self.frames += 1,
            Err(_) => self.lost += 1,
        }
        self.room = frame.data;
        if self.frames >= order.frames_max.into() {
            self.order = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use loadlock_exchange::{
        CaptureAddress, ControlExchange, DataplaneExchange, Dimensions, WorkerExchange,
    };
    use loadlock_packet::MacAddress;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn ends() -> (tempfile::TempDir, ControlExchange, WorkerExchange) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exchange");
        let dimensions =
            Dimensions { workers: 1, ports: 2, ring_events: 16, rule_capacity: 64, fingerprint: 1 };
        let mut dataplane = DataplaneExchange::open(&path, dimensions).unwrap();
        let worker = dataplane.take_workers().remove(0);
        (folder, ControlExchange::attach(&path, dimensions).unwrap(), worker)
    }

    #[test]
    fn an_order_left_behind_by_a_killed_control_ends_by_the_workers_own_clock() {
        let (_folder, control, mut worker) = ends();
        let mut tap = Tap::new();
        let mut look = |tap: &mut Tap, now_ns| {
            tap.look(&mut worker.captures, now_ns);
            tap.is_on()
        };
        // Control's attachment said that nothing is to be captured.
        assert!(!look(&mut tap, 0));
        let mut addresses = [None; 8];
        addresses[0] = Some(CaptureAddress::Mac(MacAddress([2; 6])));
        let number = control.capture(Some(&CaptureOrder {
            addresses,
            all: true,
            payload: true,
            frame_bytes_max: 128,
            frames_max: 10,
            time: std::time::Duration::from_secs(30),
        }));
        std::mem::forget(control);
        assert!(look(&mut tap, 100 * SECOND_NS) && look(&mut tap, 130 * SECOND_NS - 1));
        assert!(!look(&mut tap, 130 * SECOND_NS) && !look(&mut tap, 100 * SECOND_NS));
        let mut values = [0; WORKER_COUNTERS];
        tap.fill(&mut values);
        assert_eq!(values[WorkerCounter::CaptureNumber as usize], number, "it stays taken up");
    }
}
