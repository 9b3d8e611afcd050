//! What the main thread does while the workers work: heartbeat, port states, watching for their end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use loadlock_dpdk::{Port, PortStats, Workers};
use loadlock_exchange::DataplaneExchange;
use loadlock_settings::Settings;

use crate::clock::WallClock;
use crate::exit::Failure;
use crate::ports::state;

const EVERY: Duration = Duration::from_millis(100);

/// Returns when `stop` is set or a worker has ended.
pub fn watch(
    settings: &Settings,
    exchange: &DataplaneExchange,
    ports: &[Port],
    workers: &Workers,
    clock: WallClock,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut at_start: Vec<PortStats> = Vec::with_capacity(ports.len());
    for (port, configured) in ports.iter().zip(&settings.ports) {
        let name = configured.name.to_string();
        at_start.push(port.stats().map_err(|source| Failure::PortState { port: name, source })?);
    }
    let count = workers.threads().len();
    while !stop.load(Ordering::Relaxed) && (0..count).all(|worker| workers.is_running(worker)) {
        exchange.heartbeat(clock.ns(clock.cycles()), clock.hz());
        for (index, (port, at_start)) in ports.iter().zip(&at_start).enumerate() {
            if let Some(state) = state(port, at_start) {
                exchange.set_port_state(index, &state);
            }
        }
        sleep(EVERY);
    }
    Ok(())
}
