//! What a soak found, and what of it is a fault.

use serde::Serialize;
use serde_json::Value;

use super::Counters;
use crate::latency::Quantiles;

/// The dataplane's memory may grow by this much.
const GROWTH_KIB_MAX: u64 = 1_024;

/// A second under load.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Second {
    /// Its end, in s since the start.
    pub at_s: f64,
    /// Frames that didn't come back within it and 50 ms.
    pub lost_or_late: u64,
    /// CPU time that the host took away meanwhile.
    pub stolen_ms: u64,
    /// Whether each frame was a new conversation.
    pub storms: bool,
    /// From port to port.
    pub latency_ns: Quantiles,
}

/// Memory at a time; anonymous pages in RAM, without what is shared or on hugepages.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// In s since the start.
    pub at_s: f64,
    /// Of the dataplane.
    pub dataplane_kib: u64,
    /// Of control, which begins anew with each kill.
    pub control_kib: Option<u64>,
}

/// A soak. Counts are frames.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether the flow tables lay on hugepages; on ordinary pages they count as memory once they are touched, and growth isn't judged.
    pub hugepages: bool,
    /// Highest rate without loss, before the run.
    pub loss_free_pps: f64,
    /// The rate of the run.
    pub offered_pps: f64,
    /// Due by the rate and offered.
    pub offered: u64,
    /// Due, and not offered, since the generator shares its CPU with control and was late.
    pub withheld: u64,
    /// Taken by the link.
    pub sent: u64,
    /// Come back, also after their second was over.
    pub returned: u64,
    /// Offered and never come back.
    pub lost: u64,
    /// Of the lost: the link to the dataplane was full.
    pub not_taken: u64,
    /// Come back later than 50 ms after their second: something held a process up.
    pub late: u64,
    /// Offered as new conversations.
    pub storm_frames: u64,
    /// Versions put in force meanwhile.
    pub policy_swaps: u32,
    /// Kills of control (SIGKILL), each with a start.
    pub control_kills: u32,
    /// Times that a link went away for 200 ms.
    pub link_flaps: u32,
    /// What the dataplane counted of the run.
    pub counters: Counters,
    /// Drops by reason since the dataplane's start.
    pub drops: Value,
    /// Each second.
    pub seconds: Vec<Second>,
    /// Every five seconds.
    pub memory: Vec<Memory>,
}

impl Report {
    pub(super) fn new(hugepages: bool, loss_free_pps: f64, offered_pps: f64) -> Self {
        Self {
            hugepages,
            loss_free_pps,
            offered_pps,
            offered: 0,
            withheld: 0,
            sent: 0,
            returned: 0,
            lost: 0,
            not_taken: 0,
            late: 0,
            storm_frames: 0,
            policy_swaps: 0,
            control_kills: 0,
            link_flaps: 0,
            counters: Counters::default(),
            drops: Value::Null,
            seconds: Vec::new(),
            memory: Vec::new(),
        }
    }

    /// By how much the dataplane's memory grew, from the second sample to the last, in KiB; the first ones still fill caches.
    #[must_use]
    pub fn growth_kib(&self) -> u64 {
        let first = self.memory.get(1).map_or(0, |memory| memory.dataplane_kib);
        self.memory.last().map_or(0, |memory| memory.dataplane_kib.saturating_sub(first))
    }

    /// Median of the seconds' p50 and p99 in the first and in the last third, without storms.
    #[must_use]
    pub fn latency_trend_ns(&self) -> [[u64; 2]; 2] {
        let quiet: Vec<&Second> = self.seconds.iter().filter(|second| !second.storms).collect();
        let third = quiet.len().div_ceil(3);
        let of = |seconds: &[&Second]| {
            [|at: &Second| at.latency_ns.p50, |at: &Second| at.latency_ns.p99].map(|quantile| {
                let mut values: Vec<u64> = seconds.iter().map(|second| quantile(second)).collect();
                values.sort_unstable();
                values.get(values.len() / 2).copied().unwrap_or(0)
            })
        };
        [of(&quiet[..third]), of(&quiet[quiet.len() - third..])]
    }

    /// Seconds with a loss that the host has no part in. What it took is told when it gives the CPU back, which may be in the next second.
    fn undisturbed(&self) -> Vec<&Second> {
        let next = self.seconds.iter().skip(1).map(|second| second.stolen_ms).chain([0]);
        let quiet =
            self.seconds.iter().zip(next).filter(|(second, next)| second.stolen_ms + next == 0);
        quiet.map(|(second, _)| second).filter(|second| second.lost_or_late > 0).collect()
    }

    /// What must not be: lost frames, counters that don't add up, growing memory.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.lost > 0 {
            let undisturbed = self.undisturbed();
            let without_the_host: u64 = undisturbed.iter().map(|second| second.lost_or_late).sum();
            faults.push(format!(
                "{} frames lost; {without_the_host} lost or late in {} seconds in which, and in the next, the host took no CPU time",
                self.lost,
                undisturbed.len(),
            ));
        }
        let Counters { received, forwarded, dropped } = self.counters;
        if received != forwarded + dropped {
            faults.push(format!(
                "received {received} isn't forwarded {forwarded} + dropped {dropped}"
            ));
        }
        if received != self.sent {
            faults.push(format!("the dataplane received {received}, and {} were sent", self.sent));
        }
        if forwarded != self.returned {
            faults.push(format!(
                "the dataplane forwarded {forwarded}, and {} came back",
                self.returned
            ));
        }
        if self.hugepages && self.growth_kib() >= GROWTH_KIB_MAX {
            faults.push(format!("the dataplane's memory grew by {} KiB", self.growth_kib()));
        }
        faults
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { offered, withheld, sent, returned, lost, late, .. } = self;
        let Counters { received, forwarded, dropped } = self.counters;
        let [[p50, p99], [p50_last, p99_last]] = self.latency_trend_ns();
        let us = |ns: u64| ns as f64 / 1e3;
        let worst = self.seconds.iter().map(|second| second.latency_ns.max).max().unwrap_or(0);
        let dataplane = |at: Option<&Memory>| at.map_or(0, |memory| memory.dataplane_kib);
        let control = self.memory.iter().filter_map(|memory| memory.control_kib).max().unwrap_or(0);
        let mut text = format!(
            "{} s at {:.2} Mpps, 70 % of the loss-free {:.2} Mpps\n\
             policy versions {}, kills of control {}, link flaps {}, new conversations {}\n\
             offered {offered}, taken {sent}, came back {returned}, lost {lost} ({:.7} %), late {late}; withheld by a late generator {withheld}\n\
             dataplane: received {received}, forwarded {forwarded}, dropped {dropped}\n\
             latency port to port, median of seconds: p50 {:.1} µs in the first third, {:.1} in the last; p99 {:.1}, {:.1}; longest {:.0} µs\n\
             memory: dataplane {} KiB at the start, {} at the end; control at most {control} KiB\n",
            self.seconds.len(),
            self.offered_pps / 1e6,
            self.loss_free_pps / 1e6,
            self.policy_swaps,
            self.control_kills,
            self.link_flaps,
            self.storm_frames,
            *lost as f64 / (*offered).max(1) as f64 * 100.0,
            us(p50),
            us(p50_last),
            us(p99),
            us(p99_last),
            us(worst),
            dataplane(self.memory.get(1)),
            dataplane(self.memory.last()),
        );
        if *lost > 0 {
            let Self { not_taken, seconds, .. } = self;
            let with_loss = seconds.iter().filter(|second| second.lost_or_late > 0).count();
            let stolen = with_loss - self.undisturbed().len();
            text += &format!(
                "lost: {not_taken} because the link to the dataplane was full, {dropped} dropped by it; in {} seconds, in {stolen} of which, or in the next, the host took CPU time\n",
                with_loss,
            );
        }
        let stolen: u64 = self.seconds.iter().map(|second| second.stolen_ms).sum();
        text += &format!("taken by the host: {stolen} ms of CPU time\n");
        let faults = self.faults();
        if faults.is_empty() {
            text += "no frame lost, all counters add up\n";
        }
        for fault in faults {
            text += &format!("fault: {fault}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Report {
        let mut report = Report::new(true, 2e6, 1.4e6);
        report.offered = 10;
        report.sent = 10;
        report.returned = 9;
        report.counters = Counters { received: 10, forwarded: 9, dropped: 1 };
        let at = |at_s, kib| Memory { at_s, dataplane_kib: kib, control_kib: None };
        let second = Second {
            at_s: 1.0,
            lost_or_late: 0,
            stolen_ms: 0,
            storms: false,
            latency_ns: Quantiles::default(),
        };
        let straddling = Second { lost_or_late: 7, ..second };
        report.seconds =
            vec![second, second, straddling, Second { lost_or_late: 9, stolen_ms: 10, ..second }];
        report.memory = vec![at(0.0, 1), at(5.0, 5_000), at(10.0, 5_100)];
        report
    }

    #[test]
    fn every_fault_is_told() {
        assert!(good().faults().is_empty());
        let faulty = |change: fn(&mut Report)| {
            let mut report = good();
            change(&mut report);
            report.faults().join("; ")
        };
        assert!(faulty(|report| report.lost = 3).contains("3 frames lost"));
        assert!(
            faulty(|report| report.counters.dropped = 0).contains("isn't forwarded 9 + dropped 0")
        );
        assert!(faulty(|report| report.sent = 11).contains("11 were sent"));
        assert!(faulty(|report| report.returned = 10).contains("10 came back"));
        assert!(
            faulty(|report| report.memory[2].dataplane_kib = 6_100).contains("grew by 1100 KiB")
        );
    }
}
