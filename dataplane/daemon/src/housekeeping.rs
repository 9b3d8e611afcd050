//! What the main thread does while the workers work: heartbeat, port states, failures, watching for their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Instant;

use loadlock_dpdk::{Port, PortStats, Workers};
use loadlock_exchange::{DataplaneExchange, PortState};
use loadlock_settings::{PortIndex, Settings};

use crate::clock::WallClock;
use crate::exit::Failure;
use crate::failures::Failures;
use crate::hardware::Relays;
use crate::links::LinkPair;
use crate::overrides::{OverrideBoard, Overrides};
use crate::ports::state;
use crate::service::Service;
use crate::watchdog::{Change, EVERY, Watchdog};

/// Port states are read and the heartbeat is written once in so many rounds: ten times a second.
const ROUNDS: u32 = 10;
/// Links are looked at once in so many rounds: fifty times a second.
const LINK_ROUNDS: u32 = 2;

/// What is looked at.
pub struct Watch<'a> {
    pub settings: &'a Settings,
    pub exchange: &'a DataplaneExchange,
    pub ports: &'a [Port],
    pub clock: WallClock,
    pub board: Arc<OverrideBoard>,
    pub failures: Failures,
    pub relays: &'a Relays,
    /// Of each segment whose links follow each other.
    pub links: Vec<Option<LinkPair>>,
    /// Set by SIGHUP.
    pub asked_to_reload: Arc<AtomicBool>,
}

impl Watch<'_> {
    /// Returns when `stop` is set or a worker has ended.
    ///
    /// # Errors
    /// [`Failure::Hung`], [`Failure::PortState`]: the workers still run, and the process must end without them.
    pub fn run(&mut self, workers: &Workers, stop: &AtomicBool) -> Result<(), Failure> {
        let at_start = self.stats()?;
        let count = workers.threads().len();
        let allowed = self.settings.dataplane.watchdog;
        let mut watchdog = Watchdog::new(count, allowed, Instant::now());
        let mut service = Service::new(self.settings.dataplane.restarts_when_hung);
        let mut round = 0;
        while !stop.load(Ordering::Relaxed) && (0..count).all(|worker| workers.is_running(worker)) {
            let beats = (0..count).map(|worker| self.exchange.worker_heartbeat_ns(worker));
            for (worker, change) in watchdog.look(beats, Instant::now()) {
                self.changed(worker, change)?;
            }
            if watchdog.is_well() {
                self.relays.all_is_well();
            }
            if round % LINK_ROUNDS == 0 {
                self.follow_links();
            }
            let now_ns = self.clock.ns(self.clock.cycles());
            let overrides = self.failures.look(self.exchange, now_ns);
            let changed = overrides != self.board.now();
            self.board.set(overrides);
            let beats = (0..count).map(|worker| self.exchange.worker_heartbeat_ns(worker));
            service.look(beats, Instant::now());
            if self.asked_to_reload.swap(false, Ordering::Relaxed) {
                eprintln!(
                    "loadlock-dataplane: SIGHUP: keys of the dataplane take effect at its restart; `loadlock reload --dry-run` \
                     names those that differ"
                );
            }
            if changed || round % ROUNDS == 0 {
                self.exchange.heartbeat(now_ns, self.clock.hz());
                self.store_port_states(&at_start, overrides);
            }
            round = round.wrapping_add(1);
            sleep(EVERY);
        }
        service.ends();
        Ok(())
    }

    /// What the ports had counted when this process took them over.
    fn stats(&self) -> Result<Vec<PortStats>, Failure> {
        let named = self.ports.iter().zip(&self.settings.ports);
        named
            .map(|(port, configured)| {
                let failed =
                    |source| Failure::PortState { port: configured.name.to_string(), source };
                port.stats().map_err(failed)
            })
            .collect()
    }

    fn changed(&self, worker: usize, change: Change) -> Result<(), Failure> {
        let dataplane = &self.settings.dataplane;
        let core = dataplane.worker_cores[worker];
        match change {
            Change::Hangs(silent) => {
                let failure = Failure::Hung { worker, core, silent, allowed: dataplane.watchdog };
                if dataplane.restarts_when_hung {
                    return Err(failure);
                }
                eprintln!(
                    "loadlock-dataplane: worker {worker} on core {core} hasn't polled for {} ms, allowed are {} \
                     (dataplane.watchdog_ms); its frames are lost, the other workers go on (dataplane.worker_hung)",
                    silent.as_millis(),
                    dataplane.watchdog.as_millis()
                );
            }
            Change::Moves => {
                eprintln!("loadlock-dataplane: worker {worker} on core {core} polls again");
            }
        }
        Ok(())
    }

    /// Takes down the link of a port whose other side's is, and lets it up again.
    fn follow_links(&mut self) {
        for (pair, segment) in self.links.iter_mut().zip(&self.settings.segments) {
            let Some(following) = pair else { continue };
            let sides = [segment.side_a.0, segment.side_b.0];
            let [Ok(a), Ok(b)] = sides.map(|port| self.ports[port].link()) else { continue };
            let Some(step) = following.look([a.up, b.up], Instant::now()) else { continue };
            let port = sides[step.side as usize];
            let name = &self.settings.ports[port].name;
            let done = self.ports[port].set_link(step.up);
            match (done, step.up) {
                (Ok(()), true) => eprintln!(
                    "loadlock-dataplane: segment {}: the link is up again, and that of port {name} may be too",
                    segment.name
                ),
                (Ok(()), false) => eprintln!(
                    "loadlock-dataplane: segment {}: a link is down, and that of port {name} was taken down with it (link_down)",
                    segment.name
                ),
                (Err(error), _) => {
                    eprintln!(
                        "loadlock-dataplane: segment {}: a link is down, but that of port {name} can't be set by its driver: {error}; \
                         it stays as it is (link_down)",
                        segment.name
                    );
                    *pair = None;
                }
            }
        }
    }

    fn store_port_states(&self, at_start: &[PortStats], overrides: Overrides) {
        for (index, (port, at_start)) in self.ports.iter().zip(at_start).enumerate() {
            if let Some(state) = state(port, at_start) {
                let handling = overrides.of(self.settings.ingress(PortIndex(index)).segment);
                self.exchange.set_port_state(index, &PortState { handling, ..state });
            }
        }
    }
}
