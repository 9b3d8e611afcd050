//! What changed between two answers of control.

use std::collections::BTreeMap;

use loadlock_api::{DropCount, PortStatus, Status, WorkerStatus};

/// What control answered at one moment.
#[derive(Clone)]
pub struct Sample {
    /// `GET /v1/status`.
    pub status: Status,
    /// `GET /v1/drops`.
    pub drops: Vec<DropCount>,
}

/// The newest answer, and what it is compared with.
pub struct Figures {
    latest: Sample,
    before: Option<Sample>,
    interval_s: u32,
    trouble: Option<String>,
}

/// A worker's work between two answers. `None`: nothing to compare, or nothing happened that it could be taken from.
#[derive(Debug, Default, PartialEq)]
pub struct Work {
    /// Share of the time that it spent with frames, by the bursts whose cycles were taken.
    pub load: Option<f64>,
    /// Share of its polls that brought frames.
    pub polls: Option<f64>,
    /// Frames in such a poll.
    pub packets_per_burst: Option<f64>,
    /// Cycles from receive to transmit, by the bursts whose cycles were taken.
    pub cycles_per_packet: Option<f64>,
    /// Frames that it took, a second.
    pub received_pps: Option<u64>,
}

/// A port's traffic between two answers, as [`Work`].
#[derive(Debug, Default, PartialEq)]
pub struct Traffic {
    /// Frames received, a second.
    pub received_pps: Option<u64>,
    /// Their bits.
    pub received_bits_per_s: Option<u64>,
    /// Of these, frames forwarded to the other side.
    pub forwarded_pps: Option<u64>,
    /// Their bits.
    pub forwarded_bits_per_s: Option<u64>,
    /// Frames dropped.
    pub dropped_pps: Option<u64>,
    /// Frames that the device lost before Loadlock saw them.
    pub lost_pps: Option<u64>,
}

/// What was dropped for one reason, on all ports.
#[derive(Debug, PartialEq)]
pub struct Dropped {
    /// Name of the reason.
    pub reason: String,
    /// What it means.
    pub meaning: String,
    /// Dropped a second.
    pub dropped_pps: Option<u64>,
    /// Would be dropped in enforce mode, a second.
    pub would_deny_pps: Option<u64>,
    /// Dropped in all.
    pub dropped: u64,
    /// Would have been dropped, in all.
    pub would_deny: u64,
}

/// `None` if a counter went back: it was made anew.
fn change(now: u64, before: u64) -> Option<u64> {
    now.checked_sub(before)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Figures {
    /// From the first answer; there is nothing to compare yet.
    pub fn new(first: Sample, interval_s: u32) -> Self {
        Self { latest: first, before: None, interval_s, trouble: None }
    }

    /// Takes the next answer, or why there is none: the figures then stay.
    pub fn take(&mut self, answer: Result<Sample, String>) {
        match answer {
            Ok(sample) => {
                self.trouble = None;
                self.before = Some(std::mem::replace(&mut self.latest, sample));
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// The newest state.
    pub fn status(&self) -> &Status {
        &self.latest.status
    }

    /// Why there is no newer one.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How often is asked, in seconds.
    pub fn interval_s(&self) -> u32 {
        self.interval_s
    }

    /// Time between the two answers in ns, by control's clock; `None` without two, or when it stood or went back.
    fn elapsed_ns(&self) -> Option<u64> {
        let before = self.before.as_ref()?.status.time.ns();
        self.latest.status.time.ns().checked_sub(before).filter(|ns| *ns > 0)
    }

    fn per_s(&self, now: u64, before: u64) -> Option<u64> {
        let rate =
            u128::from(change(now, before)?) * 1_000_000_000 / u128::from(self.elapsed_ns()?);
        u64::try_from(rate).ok()
    }

    /// What a worker did.
    pub fn work(&self, now: &WorkerStatus) -> Work {
        let earlier = self.before.as_ref().map(|before| before.status.workers.iter());
        let Some(before) = earlier.and_then(|mut all| all.find(|one| one.index == now.index))
        else {
            return Work::default();
        };
        self.work_since(now, before).unwrap_or_default()
    }

    /// `None` if the worker has begun anew.
    fn work_since(&self, now: &WorkerStatus, before: &WorkerStatus) -> Option<Work> {
        let bursts = change(now.bursts, before.bursts)?;
        let empty = change(now.empty_polls, before.empty_polls)?;
        let packets = change(now.received_packets, before.received_packets)?;
        let sampled = change(now.sampled_bursts, before.sampled_bursts)?;
        let cycles = change(now.sampled_cycles, before.sampled_cycles)?;
        let cycles_per_burst = ratio(cycles, sampled);
        let packets_per_burst = ratio(packets, bursts);
        let hz = self.latest.status.dataplane.cycles_per_s;
        let load = || {
            let cycles_passed = self.elapsed_ns()? as f64 / 1e9 * hz as f64;
            // What there is without a burst is no work; a burst that began before the first answer can make it more than all.
            let cycles = if bursts == 0 { 0.0 } else { cycles_per_burst? * bursts as f64 };
            (cycles_passed > 0.0).then(|| (cycles / cycles_passed).min(1.0))
        };
        Some(Work {
            load: load(),
            polls: ratio(bursts, bursts + empty),
            packets_per_burst,
            cycles_per_packet: packets_per_burst
                .filter(|packets| *packets > 0.0)
                .and_then(|packets| Some(cycles_per_burst? / packets)),
            received_pps: self.per_s(now.received_packets, before.received_packets),
        })
    }

    /// What a port carried.
    pub fn traffic(&self, now: &PortStatus) -> Traffic {
        let ports = |sample: &'_ Sample| -> Option<PortStatus> {
            let segments = sample.status.segments.iter();
            let mut ports = segments.flat_map(|segment| [&segment.side_a, &segment.side_b]);
            ports.find(|port| port.port == now.port).cloned()
        };
        let Some(before) = self.before.as_ref().and_then(ports) else { return Traffic::default() };
        let rate = |of: fn(&PortStatus) -> u64| self.per_s(of(now), of(&before));
        let bits = |of: fn(&PortStatus) -> u64| rate(of).map(|bytes| bytes.saturating_mul(8));
        Traffic {
            received_pps: rate(|port| port.received_packets),
            received_bits_per_s: bits(|port| port.received_bytes),
            forwarded_pps: rate(|port| port.forwarded_packets),
            forwarded_bits_per_s: bits(|port| port.forwarded_bytes),
            dropped_pps: rate(|port| port.dropped_packets),
            lost_pps: rate(|port| {
                port.missed_packets + port.receive_error_packets + port.no_buffer_packets
            }),
        }
    }

    /// What was dropped by reason: the most at present first, then the most in all.
    pub fn dropped(&self) -> Vec<Dropped> {
        let sums = |drops: &[DropCount]| {
            let mut sums: BTreeMap<String, (String, u64, u64)> = BTreeMap::new();
            for drop in drops {
                let sum = sums.entry(drop.reason.clone()).or_default();
                sum.0.clone_from(&drop.meaning);
                sum.1 += drop.dropped_packets;
                sum.2 += drop.would_deny_packets;
            }
            sums
        };
        let before = self.before.as_ref().map(|before| sums(&before.drops));
        let reasons = sums(&self.latest.drops).into_iter();
        let mut dropped: Vec<Dropped> = reasons
            .map(|(reason, (meaning, dropped, would_deny))| {
                // A reason that wasn't there had none.
                let of = before.as_ref().map(|before| before.get(&reason));
                let of = of.map(|sum| sum.map_or((0, 0), |sum| (sum.1, sum.2)));
                Dropped {
                    dropped_pps: of.and_then(|of| self.per_s(dropped, of.0)),
                    would_deny_pps: of.and_then(|of| self.per_s(would_deny, of.1)),
                    reason,
                    meaning,
                    dropped,
                    would_deny,
                }
            })
            .collect();
        let rank =
            |one: &Dropped| (one.dropped_pps, one.dropped, one.would_deny_pps, one.would_deny);
        dropped.sort_by_key(|one| std::cmp::Reverse(rank(one)));
        dropped
    }
}

#[cfg(test)]
pub(super) mod tests;
