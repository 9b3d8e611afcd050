//! Cases in which programs take turns on the same capture.

use std::fs;
use std::io;
use std::time::Duration;

use loadlock_exchange::WorkerCounter;

use super::{Bench, Figures};
use crate::load::{Frames, Load, rules};
use crate::loadlock::{Dataplane, Observed, Setup};
use crate::peers::Peer;
use crate::report::{Comparison, Run, Runs};

/// The name of [`super::Case::Flows`] in figures.
pub const FLOWS_CASE: &str = "flows";
/// Conversations of the cases that have one number.
pub const FLOWS: u32 = 4096;
/// Conversations a side of [`super::Case::AllNew`].
pub const FLOWS_NEW: u32 = 1 << 20;
/// Conversations the table holds in [`super::Case::AllNew`]: the fewest that the configuration allows.
const CAPACITY_NEW: u32 = 1024;

/// A program that takes its turn.
struct Contender<'a> {
    name: String,
    run: Box<dyn Fn() -> io::Result<Run> + 'a>,
}

impl<'a> Contender<'a> {
    fn peer(peer: Peer, bench: &'a Bench, load: &'a Load) -> Self {
        let run = move || peer.run(load, bench.seconds, &bench.folder);
        Self { name: peer.name().to_owned(), run: Box::new(run) }
    }

    /// Our dataplane; `figure` says what of a run counts.
    fn loadlock(
        name: &str,
        bench: &'a Bench,
        setup: Setup,
        wait_for_flows: u32,
        figure: impl Fn(&Observed) -> io::Result<f64> + 'a,
    ) -> Self {
        let run = move || {
            let mut dataplane = Dataplane::start(&setup)?;
            dataplane.wait_for_flows(wait_for_flows)?;
            // Until the load runs evenly: caches, ageing, reports of the conversations' beginnings.
            dataplane.observe(Duration::from_millis(200));
            let pps = figure(&dataplane.observe(Duration::from_secs(u64::from(bench.seconds))))?;
            Ok(Run { pps, cpu_taken_away: dataplane.cpu_taken_away() })
        };
        Self { name: name.to_owned(), run: Box::new(run) }
    }

    fn established(name: &str, bench: &'a Bench, setup: Setup) -> Self {
        let flows = setup.load.conversations();
        Self::loadlock(name, bench, setup, flows, Observed::forwarded_pps)
    }
}

fn alternate(runs: usize, contenders: &[Contender<'_>]) -> io::Result<Vec<(String, Vec<Run>)>> {
    let mut figures: Vec<_> =
        contenders.iter().map(|contender| (contender.name.clone(), Vec::new())).collect();
    for _ in 0..runs {
        for (contender, (name, values)) in contenders.iter().zip(&mut figures) {
            let value = (contender.run)()
                .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
            values.push(value);
        }
    }
    Ok(figures)
}

fn compared(case: &str, load: &Load, rules: u32, runs: &Runs) -> Figures {
    Figures::Compared(Comparison::of(case, (load.flows, load.frames.name()), rules, runs))
}

/// Takes the captures away, since they lie in memory.
pub fn remove(load: &Load) -> io::Result<()> {
    fs::remove_file(&load.side_a)?;
    fs::remove_file(&load.side_b)
}

/// [`super::Case::Flows`].
pub fn flows(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    for &flows in &bench.flows {
        let load = bench.load(Frames::Short, flows)?;
        let setup = Setup::established(&bench.dataplane, &load, bench.rules(&load)?, &bench.folder);
        let mut contenders = vec![Contender::established("loadlock", bench, setup)];
        for &peer in &bench.peers {
            match peer.too_small(flows) {
                None => contenders.push(Contender::peer(peer, bench, &load)),
                Some(reason) => println!("{reason}"),
            }
        }
        let runs = alternate(bench.runs, &contenders)?;
        found(compared(FLOWS_CASE, &load, bench.rules, &runs));
        remove(&load)?;
    }
    Ok(())
}

/// [`super::Case::Imix`].
pub fn imix(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Imix, FLOWS)?;
    let setup = Setup::established(&bench.dataplane, &load, bench.rules(&load)?, &bench.folder);
    let contenders = [
        Contender::established("loadlock", bench, setup),
        Contender::peer(Peer::Macswap, bench, &load),
    ];
    found(compared("imix", &load, bench.rules, &alternate(bench.runs, &contenders)?));
    remove(&load)
}

/// [`super::Case::Ipv6`].
pub fn ipv6(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let wide = bench.load(Frames::Ipv6, FLOWS)?;
    let narrow = bench.load(Frames::Short, FLOWS)?;
    let setup = |load: &Load| {
        Ok::<_, io::Error>(Setup::established(
            &bench.dataplane,
            load,
            bench.rules(load)?,
            &bench.folder,
        ))
    };
    let contenders = [
        Contender::established("loadlock", bench, setup(&wide)?),
        Contender::established("loadlock, IPv4", bench, setup(&narrow)?),
        Contender::peer(Peer::Macswap, bench, &wide),
    ];
    found(compared("ipv6", &wide, bench.rules, &alternate(bench.runs, &contenders)?));
    remove(&wide)?;
    remove(&narrow)
}

/// [`super::Case::Rules`].
pub fn rule_counts(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Short, FLOWS)?;
    let mut contenders = Vec::new();
    for count in [1, 1_000, 100_000, 1_000_000] {
        let rules = rules(load.frames, load.flows, count)?;
        let setup = Setup::established(&bench.dataplane, &load, rules, &bench.folder);
        let name = format!("loadlock, {count} rules");
        contenders.push(Contender::established(&name, bench, setup));
    }
    contenders.push(Contender::peer(Peer::Macswap, bench, &load));
    found(compared("rules", &load, 1, &alternate(bench.runs, &contenders)?));
    remove(&load)
}

/// [`super::Case::AllNew`].
pub fn all_new(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Opening, FLOWS_NEW)?;
    let mut setup = Setup::established(&bench.dataplane, &load, bench.rules(&load)?, &bench.folder);
    setup.capacity = CAPACITY_NEW;
    let decisions = |observed: &Observed| {
        let (decided, received) =
            (observed.counted(WorkerCounter::FlowsRefused), observed.received());
        if decided * 100 < received * 99 {
            return Err(io::Error::other(format!(
                "only {decided} of {received} frames were judged without a line in the flow table"
            )));
        }
        observed.forwarded_pps()
    };
    let contenders = [
        Contender::loadlock("loadlock", bench, setup, CAPACITY_NEW, decisions),
        Contender::peer(Peer::Macswap, bench, &load),
    ];
    found(compared("all-new", &load, bench.rules, &alternate(bench.runs, &contenders)?));
    remove(&load)
}

/// [`super::Case::Denied`].
pub fn denied(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    for &flows in &bench.flows {
        let load = bench.load(Frames::Short, flows)?;
        // Rules for conversations of the other address family: as many, and none fits.
        let rules = rules(Frames::Ipv6, flows, bench.rules)?;
        let mut setup = Setup::established(&bench.dataplane, &load, rules, &bench.folder);
        // A denied conversation isn't remembered as such while running ones are adopted.
        setup.grace_s = 0;
        let contenders = [
            Contender::loadlock("loadlock", bench, setup, 0, Observed::denied_pps),
            Contender::peer(Peer::Macswap, bench, &load),
        ];
        found(compared("denied", &load, bench.rules, &alternate(bench.runs, &contenders)?));
        remove(&load)?;
    }
    Ok(())
}
