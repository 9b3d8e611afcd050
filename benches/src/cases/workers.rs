//! Two workers against one.

use std::fs;
use std::io;
use std::time::Duration;

use serde::Serialize;

use super::compared::FLOWS;
use super::{Bench, Figures};
use crate::load::Frames;
use crate::loadlock::{Dataplane, Setup};
use crate::report::{Run, Spread};

/// Figures of [`super::Case::Workers`].
#[derive(Clone, Debug, Serialize)]
pub struct Workers {
    case: &'static str,
    flows: u32,
    rules: u32,
    runs: usize,
    /// Of one worker alone, packets per second.
    one_pps: Spread,
    /// Of both together.
    two_pps: Spread,
    /// The latter to the former, run by run.
    ratio: Spread,
    /// The share of the worst run's time in which something else had a worker's CPU.
    cpu_taken_away_max: f64,
}

/// [`super::Case::Workers`]: two processes with a worker each, one on CPU 0 and one on CPU 1, since two CPUs leave none for the
/// main thread of a process with two workers. Workers share nothing on the packet path but the packet buffers' pool.
pub fn workers(bench: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let load = bench.load(Frames::Short, FLOWS)?;
    let setups = [0, 1].map(|core| {
        let folder = bench.folder.join(format!("worker-{core}"));
        fs::create_dir_all(&folder)?;
        let rules = bench.rules(&load)?;
        let setup = Setup::established(&bench.dataplane, &load, rules, &folder);
        Ok::<_, io::Error>(Setup { worker_core: core, ..setup })
    });
    let [first, second] = setups;
    let (first, second) = (first?, second?);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        one.push(together(&[&second], bench.seconds)?);
        two.push(together(&[&first, &second], bench.seconds)?);
    }
    let runs: Vec<Run> = one.iter().chain(&two).copied().collect();
    let pps = |runs: &[Run]| runs.iter().map(|run| run.pps).collect::<Vec<_>>();
    let (one, two) = (pps(&one), pps(&two));
    let ratios: Vec<f64> = one.iter().zip(&two).map(|(one, two)| two / one).collect();
    found(Figures::Workers(Workers {
        case: "workers",
        flows: load.flows,
        rules: bench.rules,
        runs: bench.runs,
        one_pps: Spread::of(&one),
        two_pps: Spread::of(&two),
        ratio: Spread::of(&ratios),
        cpu_taken_away_max: runs.iter().map(|run| run.cpu_taken_away).fold(0.0, f64::max),
    }));
    super::compared::remove(&load)
}

/// Packets per second of all that run at the same time.
fn together(setups: &[&Setup], seconds: u32) -> io::Result<Run> {
    let mut dataplanes = Vec::new();
    for setup in setups {
        let mut dataplane = Dataplane::start(setup)?;
        dataplane.wait_for_flows(setup.load.flows)?;
        dataplanes.push(dataplane);
    }
    let pps = std::thread::scope(|scope| {
        let observed: Vec<_> = dataplanes
            .iter_mut()
            .map(|dataplane| {
                scope.spawn(move || {
                    dataplane.observe(Duration::from_secs(u64::from(seconds))).forwarded_pps()
                })
            })
            .collect();
        let pps = observed.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the measuring thread died")))
        });
        pps.sum::<io::Result<f64>>()
    })?;
    let taken_away = dataplanes.iter().map(Dataplane::cpu_taken_away);
    Ok(Run { pps, cpu_taken_away: taken_away.fold(0.0, f64::max) })
}

impl Workers {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "workers: {} flows, {} rules; median (min–max) of {} runs\n  one {} Mpps, two {} Mpps, ratio {}; other programs had a worker's CPU for up to {:.0} % of a run\n",
            self.flows,
            self.rules,
            self.runs,
            self.one_pps.text(1e6, 2),
            self.two_pps.text(1e6, 2),
            self.ratio.text(1.0, 3),
            self.cpu_taken_away_max * 100.0,
        )
    }
}
