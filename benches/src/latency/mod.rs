//! Latency and the loss-free rate on a link over shared memory: our dataplane between two `net_memif` ports, and this process at the
//! far ends of both.
//!
//! Two figures of time: what a burst takes in the dataplane from receive to transmit, by its own histogram with every burst
//! timed; and what a frame takes from being handed to the link to coming back on the other port, which includes both
//! rings, the copies and waiting for the poll.

use std::io;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use loadlock_packet::Side;
use serde::Serialize;

use crate::in_memory;
use crate::link::{Link, Stream};
use crate::load::{Frames, Load, rules};
use crate::loadlock::{Dataplane, Ports, Setup, drain};
use crate::report::Spread;

/// Shares of the peak rate at which latency is measured.
const SHARES: [f64; 3] = [0.1, 0.5, 0.9];
/// The search ends when the interval is this share of the peak.
const SEARCH_PRECISION: f64 = 0.01;

/// Quantiles of one distribution, in ns.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Quantiles {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
}

impl Quantiles {
    /// Of (cycles, count).
    pub(crate) fn of(counts: &[(u64, u64)], hz: u64) -> io::Result<Self> {
        let mut histogram = Histogram::<u64>::new(3).map_err(io::Error::other)?;
        for &(cycles, count) in counts {
            let ns = (u128::from(cycles) * 1_000_000_000 / u128::from(hz)) as u64;
            histogram.record_n(ns, count).map_err(io::Error::other)?;
        }
        Ok(Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }

    fn text(&self) -> String {
        let Self { p50, p99, p99_9, max } = self;
        format!("p50 {p50:>7}, p99 {p99:>8}, p99.9 {p99_9:>9}, max {max:>10} ns")
    }
}

/// Figures at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct AtRate {
    share_of_peak: f64,
    offered_pps: f64,
    forwarded_pps: f64,
    lost: u64,
    /// Receive to transmit in the dataplane, per burst.
    burst_ns: Quantiles,
    /// From one port of the link to the other, per frame.
    link_ns: Quantiles,
}

/// All figures of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    flows: u32,
    rules: u32,
    seconds: u32,
    /// Frames a second that came back when the link was offered all it takes.
    peak_pps: Spread,
    rates: Vec<AtRate>,
    /// Highest rate tried without a lost frame.
    loss_free_pps: f64,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    /// Our dataplane.
    pub dataplane: &'a Path,
    /// Conversations.
    pub flows: u32,
    /// Rules of the enforced allowlist.
    pub rules: u32,
    /// Length of a trial.
    pub seconds: u32,
    /// In memory.
    pub folder: &'a Path,
}

/// Measures.
///
/// # Errors
/// The dataplane or the link can't start.
pub fn measure(options: &Options<'_>) -> io::Result<Latency> {
    let &Options { dataplane, flows, rules: rule_count, seconds, folder } = options;
    let load = Load { frames: Frames::Short, flows, side_a: "".into(), side_b: "".into() };
    let rules = rules(load.frames, flows, rule_count)?;
    let mut setup = Setup::established(dataplane, &load, rules, folder);
    setup.ports = Ports::Memif;
    setup.latency_sample_bursts = 1;
    let mut dataplane = Dataplane::start(&setup)?;
    let mut link = Link::open(0, &setup.memif_far_ends(), true)?;
    let frames = |side| in_memory::frames(Frames::Short, flows, side);
    let stream = Stream::new([&frames(Side::A)?, &frames(Side::B)?]);
    let duration = Duration::from_secs(u64::from(seconds));
    let mut trial = |dataplane: &mut Dataplane, pps: f64, duration: Duration| {
        let trial = link.trial(&stream, pps as u64, duration);
        drain(&mut dataplane.exchange);
        trial
    };
    // Until every conversation is known.
    trial(&mut dataplane, 0.0, Duration::from_millis(500));
    dataplane.wait_for_flows(flows)?;
    let peaks: Vec<f64> =
        (0..3).map(|_| trial(&mut dataplane, 0.0, duration).received_pps(duration)).collect();
    let peak = Spread::of(&peaks);
    let mut rates = Vec::new();
    for share in SHARES {
        let before = dataplane.exchange.latency(0);
        let found = trial(&mut dataplane, peak.median * share, duration);
        let after = dataplane.exchange.latency(0);
        rates.push(AtRate {
            share_of_peak: share,
            offered_pps: found.offered as f64 / duration.as_secs_f64(),
            forwarded_pps: found.received_pps(duration),
            lost: found.lost(),
            burst_ns: Quantiles::of(
                &gained(&after, &before),
                dataplane.exchange.dataplane().tsc_hz,
            )?,
            link_ns: Quantiles::of(&found.latency, found.hz)?,
        });
    }
    let loss_free_pps = search(peak.max, |pps| trial(&mut dataplane, pps, duration).lost() == 0);
    Ok(Latency { flows, rules: rule_count, seconds, peak_pps: peak, rates, loss_free_pps })
}

/// RFC 2544, section 26.1, by bisection: the highest rate at which `loses_nothing`, to 1 % of `peak`; 0 if none does.
pub(crate) fn search(peak: f64, mut loses_nothing: impl FnMut(f64) -> bool) -> f64 {
    let (mut good, mut bad) = (0.0, peak * (1.0 + SEARCH_PRECISION));
    while bad - good > peak * SEARCH_PRECISION {
        let middle = f64::midpoint(good, bad);
        if loses_nothing(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

/// What a histogram of (value, count) gained.
fn gained(after: &[(u64, u64)], before: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let counted =
        |value| before.iter().find(|(other, _)| *other == value).map_or(0, |(_, count)| *count);
    let gained = after.iter().map(|&(value, count)| (value, count - counted(value)));
    // hdrhistogram takes a value that came no times for its maximum.
    gained.filter(|(_, count)| *count != 0).collect()
}

impl Latency {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "link over net_memif: {} flows, {} rules, trials of {} s\npeak {} Mpps\n",
            self.flows,
            self.rules,
            self.seconds,
            self.peak_pps.text(1e6, 2)
        );
        for rate in &self.rates {
            text += &format!(
                "{:>3.0} % of it: {:.2} Mpps offered, {:.2} forwarded, {} lost\n  burst, receive to transmit: {}\n  frame, link to \
                 link:       {}\n",
                rate.share_of_peak * 100.0,
                rate.offered_pps / 1e6,
                rate.forwarded_pps / 1e6,
                rate.lost,
                rate.burst_ns.text(),
                rate.link_ns.text(),
            );
        }
        text + &format!("loss-free up to {:.2} Mpps\n", self.loss_free_pps / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_just_below_the_first_loss() {
        let found = search(100.0, |rate| rate < 62.0);
        assert!((61.0..62.0).contains(&found), "{found}");
        assert_eq!(search(100.0, |_| false), 0.0);
        assert!(search(100.0, |_| true) >= 100.0);
    }

    #[test]
    fn quantiles_are_in_ns() {
        let quantiles = Quantiles::of(&[(20, 99), (2_000, 1)], 2_000_000_000).unwrap();
        assert_eq!((quantiles.p50, quantiles.max), (10, 1_000));
    }
}
