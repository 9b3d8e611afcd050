//! New conversations in learn mode: how many a second are reported, and what happens when they aren't taken.

use std::io;
use std::time::{Duration, Instant};

use loadlock_exchange::{ControlExchange, Event, EventKind, Mode, WorkerCounter};
use serde::Serialize;

use super::compared::FLOWS_NEW;
use super::{Bench, Figures};
use crate::load::{Frames, Load};
use crate::loadlock::{Dataplane, Setup, tally};
use crate::report::Spread;

/// Figures of [`super::Case::Learn`].
#[derive(Clone, Debug, Serialize)]
pub struct Learn {
    case: &'static str,
    conversations: u32,
    runs: usize,
    /// While every packet began a conversation and control took the events: conversations begun a second.
    started_per_second: Spread,
    /// Events that the ring refused in that time.
    refused_meanwhile: Spread,
    /// While every packet began a conversation and nobody took the events: conversations begun a second.
    started_undrained_per_second: Spread,
    /// Events that the ring refused in that time.
    refused_undrained: Spread,
    /// The latter to the former, run by run: what a control that doesn't read costs.
    ratio_undrained: Spread,
    /// Packets forwarded a second when all conversations are known.
    learned_pps: Spread,
    /// Packets forwarded a second while all were new, with control taking the events, to that; run by run.
    ratio_to_learned: Spread,
    /// In every run: events taken = events that the dataplane counted as sent, and each conversation was reported exactly once.
    exact: bool,
}

/// One start with every conversation new.
struct Storm {
    started_per_second: f64,
    refused: f64,
    learned_pps: f64,
    exact: bool,
}

/// A reading while the conversations come in.
struct Sample {
    at: Instant,
    started: u64,
    refused: u64,
}

/// Takes the events and counts those of conversations that began.
#[derive(Default)]
struct Taken {
    all: u64,
    started: u64,
}

impl Taken {
    fn take(&mut self, exchange: &mut ControlExchange) {
        for events in &mut exchange.events {
            while let Some(record) = events.next_record() {
                self.all += 1;
                let event = Event::decode(&record);
                let first = event
                    .is_ok_and(|event| event.kind == EventKind::Started && !event.flags.repeated);
                self.started += u64::from(first);
            }
            events.release();
        }
    }
}

/// [`super::Case::Learn`].
pub fn learn(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Opening, FLOWS_NEW)?;
    let mut setup = Setup::established(&bench.dataplane, &load, Vec::new(), &bench.folder);
    setup.mode = Mode::Learn;
    let (mut drained, mut undrained) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        drained.push(storm(&setup, &load, true)?);
        undrained.push(storm(&setup, &load, false)?);
    }
    let spread = |storms: &[Storm], figure: fn(&Storm) -> f64| {
        Spread::of(&storms.iter().map(figure).collect::<Vec<_>>())
    };
    let pairs = drained.iter().zip(&undrained);
    let ratios: Vec<f64> =
        pairs.map(|(with, without)| without.started_per_second / with.started_per_second).collect();
    found(Figures::Learn(Learn {
        case: "learn",
        conversations: load.conversations(),
        runs: bench.runs,
        started_per_second: spread(&drained, |storm| storm.started_per_second),
        refused_meanwhile: spread(&drained, |storm| storm.refused),
        started_undrained_per_second: spread(&undrained, |storm| storm.started_per_second),
        refused_undrained: spread(&undrained, |storm| storm.refused),
        ratio_undrained: Spread::of(&ratios),
        learned_pps: spread(&drained, |storm| storm.learned_pps),
        ratio_to_learned: spread(&drained, |storm| storm.started_per_second / storm.learned_pps),
        exact: drained.iter().chain(&undrained).all(|storm| storm.exact),
    }));
    super::compared::remove(&load)
}

fn storm(setup: &Setup, load: &Load, drained: bool) -> io::Result<Storm> {
    let image = setup.compile(1)?;
    let mut dataplane = Dataplane::waiting(setup)?;
    dataplane.exchange.publish(&image).map_err(io::Error::other)?;
    let wanted = u64::from(load.conversations());
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut samples, mut taken) = (Vec::new(), Taken::default());
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        if now >= due {
            due = now + Duration::from_millis(1);
            let values = dataplane.values();
            let started = values[WorkerCounter::FlowsStarted as usize];
            let refused = values[WorkerCounter::EventsRefused as usize];
            samples.push(Sample { at: now, started, refused });
            if started >= wanted {
                break;
            }
            if now > deadline {
                return Err(io::Error::other(format!("{started} of {wanted} began in 30 s")));
            }
        }
        if drained {
            taken.take(&mut dataplane.exchange);
        } else {
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    // What was refused is reported with a conversation's next packet.
    while taken.started < wanted && Instant::now() < deadline {
        taken.take(&mut dataplane.exchange);
    }
    let (start, before) = (Instant::now(), dataplane.tally());
    std::thread::sleep(Duration::from_secs(1));
    let (elapsed, after) = (start.elapsed(), dataplane.tally());
    let learned = after.forwarded_packets - before.forwarded_packets;
    let mut exchange = dataplane.stop();
    taken.take(&mut exchange);
    let sent = exchange.worker_value(0, WorkerCounter::EventsSent);
    let tally = tally(&exchange);
    let exact = taken.all == sent
        && taken.started == wanted
        && tally.received_packets == tally.forwarded_packets;
    let (started_per_second, refused) = middle(&samples, wanted);
    let learned_pps = learned as f64 / elapsed.as_secs_f64();
    Ok(Storm { started_per_second, refused, learned_pps, exact })
}

/// Conversations a second between the first and the last tenth, and refusals in that time: before, the worker has only just
/// started; after, known conversations come again.
fn middle(samples: &[Sample], wanted: u64) -> (f64, f64) {
    let at = |tenths: u64| {
        let started = samples.partition_point(|sample| sample.started < wanted * tenths / 10);
        &samples[started.min(samples.len() - 1)]
    };
    let (first, last) = (at(1), at(9));
    let seconds = (last.at - first.at).as_secs_f64();
    ((last.started - first.started) as f64 / seconds, (last.refused - first.refused) as f64)
}

impl Learn {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "learn: {} conversations, every packet a new one; median (min–max) of {} runs\n  \
             control takes the events: {} M conversations/s, {} events refused\n  \
             nobody takes them:        {} M conversations/s, {} events refused; ratio {}\n  \
             all learned:              {} Mpps; new to learned {}\n  \
             every conversation reported once, events taken = events counted as sent: {}\n",
            self.conversations,
            self.runs,
            self.started_per_second.text(1e6, 2),
            self.refused_meanwhile.text(1.0, 0),
            self.started_undrained_per_second.text(1e6, 2),
            self.refused_undrained.text(1.0, 0),
            self.ratio_undrained.text(1.0, 3),
            self.learned_pps.text(1e6, 2),
            self.ratio_to_learned.text(1.0, 3),
            self.exact,
        )
    }
}
