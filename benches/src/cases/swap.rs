//! A policy is put in force under full load.

use std::io;
use std::time::{Duration, Instant};

use loadlock_exchange::WorkerCounter;
use serde::Serialize;

use super::compared::FLOWS;
use super::{Bench, Figures};
use crate::load::{Frames, rules};
use crate::loadlock::{Dataplane, Setup, drain};
use crate::report::Spread;

/// Policies put in force a run.
const SWAPS: u64 = 20;
/// How long the bursts from a publication's visibility on are looked at. All 4,096 conversations are judged again in a small part of it.
const WINDOW: Duration = Duration::from_millis(5);

/// Figures of [`super::Case::Swap`].
#[derive(Clone, Debug, Serialize)]
pub struct Swap {
    case: &'static str,
    flows: u32,
    rules: u32,
    swaps: u64,
    /// From compiled rules as data to the table's image, in ms.
    compile_ms: Spread,
    /// From the image to the worker's counter saying that it judges by it, in ms.
    visible_ms: Spread,
    /// Frames received that weren't forwarded, over all swaps.
    packets_lost: u64,
    /// Median burst of the whole run, receive to transmit, in ns. Figures of bursts are within a sixteenth.
    burst_ns_median: f64,
    /// Longest burst in each window with a swap, in ns.
    burst_ns_max_with_swap: Spread,
    /// Longest burst in each window of the same length without one, in ns: what the machine itself does.
    burst_ns_max_without: Spread,
    /// 99th percentile of the bursts in each window with a swap, in ns.
    burst_ns_p99_with_swap: Spread,
    /// The same without one.
    burst_ns_p99_without: Spread,
}

/// [`super::Case::Swap`].
pub fn swap(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Short, FLOWS)?;
    for count in [100_000, 1_000_000] {
        let rules = rules(load.frames, load.flows, count)?;
        let mut setup = Setup::established(&bench.dataplane, &load, rules, &bench.folder);
        setup.latency_sample_bursts = 1;
        found(Figures::Swap(swaps(&setup, count)?));
    }
    super::compared::remove(&load)
}

fn swaps(setup: &Setup, rules: u32) -> io::Result<Swap> {
    let mut dataplane = Dataplane::start(setup)?;
    dataplane.wait_for_flows(setup.load.flows)?;
    dataplane.observe(Duration::from_millis(500));
    let tsc_hz = dataplane.exchange.dataplane().tsc_hz;
    let start = dataplane.tally();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let (mut compile_ms, mut visible_ms) = (Vec::new(), Vec::new());
    for version in 2..2 + SWAPS {
        let begun = Instant::now();
        let image = setup.compile(version)?;
        compile_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        // As long as the last publication took: a longer window meets more of what the machine itself does.
        let publication_ms = visible_ms.last().copied().unwrap_or(0.0);
        without.push(window(&mut dataplane, tsc_hz, |_| {
            spin(Duration::from_secs_f64(publication_ms / 1e3));
            Ok(())
        })?);
        with.push(window(&mut dataplane, tsc_hz, |dataplane| {
            let begun = Instant::now();
            let generation = dataplane.exchange.publish(&image).map_err(io::Error::other)?;
            while dataplane.values()[WorkerCounter::Generation as usize] < generation.0 {
                std::hint::spin_loop();
            }
            visible_ms.push(begun.elapsed().as_secs_f64() * 1e3);
            Ok(())
        })?);
    }
    let end = dataplane.tally();
    let lost =
        |tally: &loadlock_exchange::PortTally| tally.received_packets - tally.forwarded_packets;
    let all = Bursts::of(&dataplane.exchange.latency(0), &[], tsc_hz);
    let max = |windows: &[Bursts]| {
        Spread::of(&windows.iter().map(|w| w.quantile(1.0)).collect::<Vec<_>>())
    };
    let p99 = |windows: &[Bursts]| {
        Spread::of(&windows.iter().map(|w| w.quantile(0.99)).collect::<Vec<_>>())
    };
    Ok(Swap {
        case: "swap",
        flows: setup.load.flows,
        rules,
        swaps: SWAPS,
        compile_ms: Spread::of(&compile_ms),
        visible_ms: Spread::of(&visible_ms),
        packets_lost: lost(&end) - lost(&start),
        burst_ns_median: all.quantile(0.5),
        burst_ns_max_with_swap: max(&with),
        burst_ns_max_without: max(&without),
        burst_ns_p99_with_swap: p99(&with),
        burst_ns_p99_without: p99(&without),
    })
}

fn window(
    dataplane: &mut Dataplane,
    tsc_hz: u64,
    within: impl FnOnce(&mut Dataplane) -> io::Result<()>,
) -> io::Result<Bursts> {
    drain(&mut dataplane.exchange);
    let before = dataplane.exchange.latency(0);
    within(dataplane)?;
    spin(WINDOW);
    Ok(Bursts::of(&dataplane.exchange.latency(0), &before, tsc_hz))
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// How long bursts took: (ns, count), ascending.
pub struct Bursts(Vec<(f64, u64)>);

impl Bursts {
    /// What a latency histogram gained since `before`.
    #[must_use]
    pub fn of(after: &[(u64, u64)], before: &[(u64, u64)], tsc_hz: u64) -> Self {
        let counted = |cycles| {
            before.iter().find(|(bucket, _)| *bucket == cycles).map_or(0, |(_, count)| *count)
        };
        let gained = after
            .iter()
            .map(|&(cycles, count)| (cycles as f64 * 1e9 / tsc_hz as f64, count - counted(cycles)));
        Self(gained.filter(|(_, count)| *count > 0).collect())
    }

    /// The value that a share of `quantile` doesn't exceed; 1.0 is the longest. Not a number without bursts.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> f64 {
        let all: u64 = self.0.iter().map(|(_, count)| count).sum();
        let wanted = (all as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += count;
            seen >= wanted
        });
        found.map_or(f64::NAN, |(ns, _)| *ns)
    }
}

impl Swap {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "swap: {} flows, {} rules; median (min–max) of {} swaps under full load\n  \
             compiled in {} ms, then in force after {} ms; {} packets lost\n  \
             median burst {:.0} ns; longest burst within 5 ms: {} ns with the swap, {} ns without\n  \
             99th percentile of the bursts within 5 ms: {} ns with the swap, {} ns without\n",
            self.flows,
            self.rules,
            self.swaps,
            self.compile_ms.text(1.0, 1),
            self.visible_ms.text(1.0, 2),
            self.packets_lost,
            self.burst_ns_median,
            self.burst_ns_max_with_swap.text(1.0, 0),
            self.burst_ns_max_without.text(1.0, 0),
            self.burst_ns_p99_with_swap.text(1.0, 0),
            self.burst_ns_p99_without.text(1.0, 0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Bursts;

    #[test]
    fn quantiles_are_of_what_was_gained() {
        let bursts = Bursts::of(&[(10, 5), (20, 9), (30, 1)], &[(10, 5), (20, 0)], 1_000_000_000);
        assert_eq!(
            [bursts.quantile(0.0), bursts.quantile(0.9), bursts.quantile(1.0)],
            [20.0, 20.0, 30.0]
        );
    }
}
