//! The worker's loop for `clock = "capture"`: frames of all ports in the order of their capture times, which are also the
//! clock, so that a run over capture files gives the verdicts that `loadlock replay` gives.

use std::sync::atomic::{AtomicBool, Ordering};

use loadlock_dpdk::{Burst, TimestampField};

use crate::worker::Worker;

impl Worker {
    /// Takes the earliest frame of all ports, again and again, until `stop` is set. A port without a frame has none left:
    /// net_pcap reads its file when polled. Equal times: the first port in the file's order goes first.
    pub fn run_ordered(mut self, stop: &AtomicBool, time: TimestampField) {
        let mut next: Vec<Burst> =
            self.lanes.receive.iter().map(|_| Burst::with_capacity(1)).collect();
        let mut now_ns = 0;
        let mut frames: u32 = 0;
        while !stop.load(Ordering::Relaxed) {
            for (queue, burst) in self.lanes.receive.iter_mut().zip(&mut next) {
                if burst.is_empty() {
                    queue.receive(burst);
                }
            }
            let times = next.iter().enumerate().filter_map(|(port, burst)| {
                let micros = burst.first()?.timestamp(&time).unwrap_or(0);
                Some((micros, port))
            });
            let Some((micros, port)) = times.min() else {
                self.chores(now_ns);
                std::hint::spin_loop();
                continue;
            };
            now_ns = now_ns.max(micros.saturating_mul(1000));
            if let Some(frame) = next[port].pop() {
                // The forwarder's burst is empty and has room for more than one.
                let _ = self.forwarder.burst().push(frame);
            }
            self.forward(port, now_ns);
            self.count_burst();
            frames = frames.wrapping_add(1);
            if frames.is_multiple_of(32) {
                self.chores(now_ns);
            }
        }
        self.chores(now_ns);
    }
}
