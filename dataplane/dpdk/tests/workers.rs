//! A pinned worker that forwards `net_null`'s endless frames without allocating, and one that panics.

mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use loadlock_dpdk::{
    Burst, Eal, LaunchError, Mempool, Port, PortConfig, PortError, Rss, RxQueue, Task, TscClock,
    TxQueue, WorkerOutcome, Workers,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts each thread's allocations.
struct Counting;

// SAFETY: passes everything on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn workers_are_pinned_forward_without_allocating_and_panic_alone() {
    let devices =
        ["net_null0,size=64", "net_null1,size=64,no-rx=1", "net_null2,no-rx=1"].map(str::to_owned);
    let eal = Eal::init(&fixture::config(devices.to_vec())).expect("EAL");
    let clock = TscClock::new(&eal);
    assert!(clock.hz() > 100_000_000, "{} Hz", clock.hz());
    let pool = Mempool::new(&eal, "frames", 4095, 128, 2048, None).expect("pool");
    let open = |name: &str, queues| {
        let id = eal.find_port(name).expect("port");
        Port::configure(&eal, id, &fixture::port_config(queues), &pool).expect("configured")
    };
    let (mut left, mut right) = (open("net_null0", 1), open("net_null1", 2));
    let fast = PortConfig { tx_fast_free: true, ..fixture::port_config(1) };
    let id = eal.find_port("net_null2").expect("port");
    let refused = Port::configure(&eal, id, &fast, &pool).expect_err("net_null can't");
    assert!(matches!(refused, PortError::NoFastFree { .. }), "{refused}");
    // net_null keeps the key it is given, and is asked for it at the start.
    let keyed = PortConfig { rss_key: [0x12, 0x34, 0x56, 0x78], ..fixture::port_config(2) };
    let own =
        Mempool::new(&eal, "frames-2", 4095, 64, 2048, eal.port_node(id)).expect("a second pool");
    let mut third = Port::configure(&eal, id, &keyed, &own).expect("configured");
    drop(third.start().expect("runs"));
    assert!(
        matches!(third.grant().rss, Rss::Symmetric { confirmed: true, .. }),
        "{:?}",
        third.grant()
    );
    third.stop().expect("no handle left");
    let (rx, _) = left.start().expect("left runs").remove(0);
    let (_, tx) = right.start().expect("right runs").remove(0);
    assert!(
        matches!(right.grant().rss, Rss::Symmetric { types, confirmed: true } if types != 0),
        "{:?}",
        right.grant()
    );

    let seen = Arc::new(Seen::default());
    let forward = forwarder(rx, tx, clock, &seen);
    let workers = eal.run_workers(vec![forward]).expect("launched");
    assert_pinned(&eal, &workers);
    assert!(workers.is_running(0) && !workers.is_running(1));
    let busy = eal.run_workers(vec![Box::new(|| {})]).expect_err("the lcore is busy");
    assert!(matches!(busy, LaunchError::Busy { lcore: 1, .. }), "{busy}");
    assert!(left.stop().is_err(), "its queue is in a worker");

    std::thread::sleep(Duration::from_millis(200));
    seen.stop.store(true, Ordering::Relaxed);
    let exits = workers.join();
    assert_eq!(exits[0].outcome, WorkerOutcome::Finished);
    let forwarded = seen.forwarded.load(Ordering::Relaxed);
    assert!(forwarded > 1000, "{forwarded}");
    assert_eq!(seen.allocations.load(Ordering::Relaxed), 0);
    assert_eq!(right.stats().expect("stats").opackets, forwarded);
    assert_eq!(pool.available(), pool.mbufs(), "an mbuf is lost");

    // The worker has ended and its handles with it, so the port can stop, and start again with new ones.
    left.stop().expect("no handle left");
    let (mut rx, _) = left.start().expect("left runs again").remove(0);
    let fails: Task = Box::new(move || {
        let mut burst = Burst::with_capacity(8);
        let count = rx.receive(&mut burst);
        panic!("told to, with {count} mbufs");
    });
    let workers = eal.run_workers(vec![fails]).expect("launched again");
    let exits = workers.join();
    let message = "told to, with 8 mbufs".to_owned();
    assert_eq!(exits[0].outcome, WorkerOutcome::Panicked { message });
    left.stop().expect("the panic dropped the handle");
    assert_eq!(pool.available(), pool.mbufs(), "the panic lost an mbuf");
}

/// What the forwarding worker and the test share.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    forwarded: AtomicU64,
    allocations: AtomicU64,
}

/// A task that forwards three of four frames until told to stop.
fn forwarder(mut rx: RxQueue, mut tx: TxQueue, clock: TscClock, seen: &Arc<Seen>) -> Task {
    let seen = Arc::clone(seen);
    seen.allocations.store(u64::MAX, Ordering::Relaxed);
    Box::new(move || {
        let mut received = Burst::with_capacity(32);
        let mut denied = Burst::with_capacity(32);
        let before = ALLOCATIONS.get();
        let (mut sent, start) = (0, clock.now());
        while !seen.stop.load(Ordering::Relaxed) {
            assert_eq!(rx.receive(&mut received), 32);
            assert!(received.iter().all(|mbuf| mbuf.frame_bytes() == 64));
            received.divert(&mut denied, |index, _| index % 4 != 0);
            sent += tx.send(&mut received) as u64;
            denied.free_all();
        }
        assert!(clock.to_ns(clock.now().since(start)) > 1_000_000);
        seen.allocations.store(ALLOCATIONS.get() - before, Ordering::Relaxed);
        seen.forwarded.store(sent, Ordering::Relaxed);
    })
}

/// The kernel's own word for where the one worker may run.
fn assert_pinned(eal: &Eal, workers: &Workers) {
    let [thread] = workers.threads()[..] else { panic!("one worker") };
    assert_eq!((thread.lcore, &[thread.core][..]), (1, eal.worker_cores()));
    let status =
        fs::read_to_string(format!("/proc/self/task/{}/status", thread.thread_id)).expect("status");
    let line = format!("Cpus_allowed_list:\t{}\n", thread.core);
    assert!(status.contains(&line), "{status}");
}
