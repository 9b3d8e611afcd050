//! From settings to running workers, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use loadlock_dpdk::{Eal, Task, TimestampField, TscClock};
use loadlock_exchange::{
    Adopted, DataplaneExchange, DataplaneState, Expected, PolicyImage, WorkerExchange, seed,
};
use loadlock_pipeline::{Backing, Pipeline};
use loadlock_settings::{Clock, CoreId, PortIndex, Settings};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::clock::WallClock;
use crate::exit::Failure;
use crate::failures::Failures;
use crate::hardware::Relays;
use crate::housekeeping::Watch;
use crate::idle::Pauses;
use crate::links::LinkPair;
use crate::overrides::OverrideBoard;
use crate::ports::{self, Ports};
use crate::preflight;
use crate::worker::{Lanes, Tuning, Worker};

/// Runs the dataplane until SIGTERM or SIGINT, or until a worker dies.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let stop = flag_of(&[SIGTERM, SIGINT])?;
    // What is meant as "reload" must not end forwarding.
    let asked_to_reload = flag_of(&[SIGHUP])?;
    let mut exchange = DataplaneExchange::open(&settings.exchange.path, settings.dimensions())
        .map_err(Failure::Exchange)?;
    say_adopted(&exchange);
    let eal =
        Eal::init(&ports::eal_config(settings)).map_err(|error| Failure::Eal(Box::new(error)))?;
    let clock = WallClock::new(TscClock::new(&eal));
    let Ports { ports, queues, .. } = ports::open(&eal, settings)?;
    let order = match settings.dataplane.clock {
        Clock::Tsc => None,
        Clock::Capture => Some(TimestampField::lookup(&eal).ok_or(Failure::NoCaptureTime)?),
    };
    let board = Arc::new(OverrideBoard::default());
    let mut workers = Vec::new();
    let lanes = queues.into_iter().map(|pairs| lanes(settings, pairs));
    // A negotiated conversation may come to another worker than the one that negotiated it.
    let mut expected = None;
    for (worker, (lanes, exchange)) in lanes.zip(exchange.take_workers()).enumerate() {
        let worker = make_worker(settings, worker, lanes, exchange, clock, &board, &mut expected)?;
        workers.push(worker);
    }
    let mut failures = Failures::new(settings, &exchange);
    wait_for_policy(&exchange, settings.dataplane.policy_wait, &stop, || {
        failures.opens(&exchange, clock.ns(clock.cycles()))
    });
    board.set(failures.look(&exchange, clock.ns(clock.cycles())));
    let tasks = workers.into_iter().map(|worker| {
        let stop = stop.clone();
        Box::new(move || match order {
            None => worker.run(&stop),
            Some(time) => worker.run_ordered(&stop, time),
        }) as Task
    });
    let running = eal.run_workers(tasks.collect()).map_err(Failure::Launch)?;
    exchange.set_state(DataplaneState::Running);
    eprintln!(
        "loadlock-dataplane: running: {} segments, {} workers, exchange {} ({} MiB{})",
        settings.segments.len(),
        settings.dataplane.worker_cores.len(),
        settings.exchange.path.display(),
        exchange.bytes() >> 20,
        match exchange.is_huge() {
            true => ", on huge pages",
            false =>
                ", on small pages; on a tmpfs mounted with huge=always new and denied frames are judged about a quarter faster",
        }
    );
    let queues = settings.queues_in_words(preflight::node_of);
    for line in settings.sums_in_words().lines().chain(queues.lines()) {
        eprintln!("  {line}");
    }
    let relays = Relays::start(settings).map_err(Failure::Relays)?;
    let links = settings.segments.iter().map(|segment| segment.link_hold.map(LinkPair::new));
    let mut watch = Watch {
        settings,
        exchange: &exchange,
        ports: &ports,
        clock,
        board,
        failures,
        relays: &relays,
        links: links.collect(),
        asked_to_reload,
    };
    let watched = watch.run(&running, &stop);
    // Before anything is stopped: the cables are joined while frames are still forwarded.
    relays.disarm();
    if let Err(failure) = watched {
        // A worker that hangs can't be waited for: no destructor may run.
        eprintln!("loadlock-dataplane: {failure}");
        std::process::exit(failure.exit_code().into());
    }
    exchange.set_state(DataplaneState::Stopping);
    stop.store(true, Ordering::Relaxed);
    let exits = running.join();
    for mut port in ports {
        if let Err(error) = port.stop() {
            eprintln!("loadlock-dataplane: {error}");
        }
    }
    let died = exits
        .iter()
        .any(|exit| matches!(exit.outcome, loadlock_dpdk::WorkerOutcome::Panicked { .. }));
    if died { Err(Failure::Workers(exits)) } else { Ok(()) }
}

fn flag_of(signals: &[i32]) -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in signals {
        signal_hook::flag::register(*signal, flag.clone()).map_err(Failure::Signals)?;
    }
    Ok(flag)
}

fn say_adopted(exchange: &DataplaneExchange) {
    if let Some(reason) = exchange.replaced() {
        eprintln!(
            "loadlock-dataplane: {reason}. A new exchange was made in its place; control publishes the policy from its store"
        );
    }
    match exchange.adopted() {
        Adopted::Policy { generation, version } => eprintln!(
            "loadlock-dataplane: policy version {version} (generation {}) is in force from the first packet on",
            generation.0
        ),
        Adopted::Nothing => {}
        Adopted::Damaged(error) => eprintln!(
            "loadlock-dataplane: the policy left in the exchange is damaged ({error}) and is not used; waiting for control"
        ),
    }
}

/// One worker's queue pairs, with the side and peer of each port.
fn lanes(settings: &Settings, pairs: ports::Pairs) -> Lanes {
    let served: Vec<PortIndex> = pairs.iter().map(|(port, _, _)| *port).collect();
    let other_side = |port: PortIndex| {
        let segment = &settings.segments[settings.segment_of(port).0];
        if segment.side_a == port { segment.side_b } else { segment.side_a }
    };
    let lane_of = |port: PortIndex| served.iter().position(|served| *served == port);
    let peer = served.iter().map(|port| match lane_of(other_side(*port)) {
        Some(lane) => lane,
        None => unreachable!("a worker serves both ports of a segment or none"),
    });
    let peer = peer.collect();
    let (receive, transmit) =
        pairs.into_iter().map(|(_, receive, transmit)| (receive, transmit)).unzip();
    Lanes {
        port: served.iter().map(|port| port.0).collect(),
        ingress: served.iter().map(|port| settings.ingress(*port)).collect(),
        peer,
        receive,
        transmit,
    }
}

/// Runs `make` on a thread of this CPU: memory lies on the NUMA node of the CPU that touches it first.
fn on_core<T: Send>(core: CoreId, make: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let made = scope.spawn(|| {
            // If it can't be pinned there, the memory is only further away; the worker itself is pinned or refused by EAL.
            core_affinity::set_for_current(core_affinity::CoreId { id: usize::from(core.0) });
            make()
        });
        made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn make_worker(
    settings: &Settings,
    number: usize,
    lanes: Lanes,
    exchange: WorkerExchange,
    clock: WallClock,
    board: &Arc<OverrideBoard>,
    expected: &mut Option<Arc<Expected>>,
) -> Result<Worker, Failure> {
    let dataplane = &settings.dataplane;
    let seed = seed().map_err(Failure::Random)?;
    let mut pipeline = on_core(dataplane.worker_cores[number], || {
        let (capacity, timeouts) = (settings.flows.capacity(), settings.flows.timeouts());
        Pipeline::new(capacity, &timeouts, seed, dataplane.hugepages)
    })
    .map_err(|source| Failure::FlowTable { worker: number, source })?;
    pipeline.share_expected(expected.get_or_insert(pipeline.expected().clone()));
    let status = pipeline.status();
    if dataplane.hugepages && status.backing == Backing::OrdinaryPages {
        eprintln!(
            "loadlock-dataplane: the flow tables of worker {number} ({} MiB) lie on ordinary pages, since too few hugepages \
             are free; forwarding is slower: raise /proc/sys/vm/nr_hugepages and restart",
            (status.table_bytes + status.denied_bytes) >> 20
        );
    }
    // Nothing in an image without rules can be too much for a slot.
    let closed = PolicyImage::compile(0, &settings.segment_policies(), &[], seed, 0)
        .unwrap_or_else(|error| unreachable!("a policy without rules compiles: {error}"));
    let tuning = Tuning {
        burst_packets: usize::from(dataplane.burst_packets),
        transmit_retries: dataplane.tx_retries,
        latency_sample_bursts: dataplane.latency_sample_bursts,
        age_step_entries: dataplane.age_step_entries as usize,
        pauses: Pauses::new(dataplane, clock.counter())?,
    };
    Ok(Worker::new(lanes, exchange, pipeline, closed, clock, tuning, board.clone()))
}

/// Gives control time to publish, so that the first packet is judged by the last approved policy. Without one, the
/// configured modes hold with an empty allowlist. Ends at once when a segment is to forward meanwhile.
fn wait_for_policy(
    exchange: &DataplaneExchange,
    patience: Duration,
    stop: &AtomicBool,
    mut opens: impl FnMut() -> bool,
) {
    exchange.set_state(DataplaneState::Waiting);
    let deadline = Instant::now() + patience;
    while !exchange.has_policy() && !stop.load(Ordering::Relaxed) && !opens() {
        if Instant::now() >= deadline {
            eprintln!(
                "loadlock-dataplane: no policy after {} s; the configured modes hold, without rules, until control publishes \
                 one: check that `loadlock control` runs with the same configuration",
                patience.as_secs()
            );
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
