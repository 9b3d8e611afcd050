//! A burst through the packet path in memory: conversations found in tables of several sizes and loads, new ones, and ones that are
//! denied again and again.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use loadlock_benches::hugepages::Hugepages;
use loadlock_benches::in_memory::{BURST, Dimensioning, Path};
use loadlock_benches::load::{Frames, frame, renumber, rules};
use loadlock_exchange::Mode;
use loadlock_packet::Side;
use loadlock_pipeline::Capacity;

/// What the frames are.
const FRAMES: Frames = Frames::Short;
/// Bursts made ready at a time: their frames stay in the second cache.
const READY: usize = 64;

/// Frames that are given other conversations' numbers again and again.
struct Feed {
    frames: Vec<Vec<u8>>,
}

impl Feed {
    fn new() -> Self {
        let one = frame(FRAMES, 0, 0, Side::A).expect("a frame of the load");
        Self { frames: vec![one; READY * BURST] }
    }

    /// Puts the next conversations in, by `number`, and returns what judging them took. All are to be forwarded, or none.
    fn judge(
        &mut self,
        path: &mut Path,
        forwards: bool,
        mut number: impl FnMut() -> u32,
    ) -> Duration {
        for frame in &mut self.frames {
            renumber(frame, number(), Side::A);
        }
        let views: Vec<&[u8]> = self.frames.iter().map(Vec::as_slice).collect();
        let start = Instant::now();
        let forwarded: usize = views.chunks(BURST).map(|burst| path.burst(Side::A, burst)).sum();
        let spent = start.elapsed();
        assert_eq!(forwarded, if forwards { READY * BURST } else { 0 });
        spent
    }
}

/// With a rule for `permitted`, which is adopted too.
fn path(narrow: usize, permitted: Frames) -> Path {
    Path::new(&Dimensioning {
        mode: Mode::Enforce,
        rules: rules(permitted, u32::MAX / 2, 1).expect("a rule for all"),
        capacity: Capacity { narrow, wide: 1024, fragments: 64 },
        adopting: permitted == FRAMES,
        ring_events: 1024,
        hugepages: true,
    })
    .expect("memory for a path")
}

/// A step of xorshift (Marsaglia).
fn random(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

/// By size and share of the capacity in use.
pub fn benches(criterion: &mut Criterion) {
    // The largest table, and the exchange.
    let _hugepages = Hugepages::for_bytes((2 << 23) * 96 + (64 << 20))
        .map_err(|error| eprintln!("flow-table: on ordinary pages, and slower: {error}"));
    let mut group = criterion.benchmark_group("flow-table");
    group.throughput(Throughput::Elements((READY * BURST) as u64));
    let mut feed = Feed::new();
    for flows in [1_u32 << 16, 1 << 20, 1 << 23] {
        for (share, capacity) in [("full", flows as usize), ("half-full", 2 * flows as usize)] {
            let mut path = path(capacity, FRAMES);
            let mut number = 0;
            while number < flows {
                feed.judge(&mut path, true, || {
                    number += 1;
                    number - 1
                });
            }
            let mut state = 1;
            group.bench_function(BenchmarkId::new(format!("found-{share}"), flows), |bencher| {
                bencher.iter_custom(|rounds| {
                    (0..rounds)
                        .map(|_| feed.judge(&mut path, true, || random(&mut state) % flows))
                        .sum()
                });
            });
            if share == "full" {
                // Not in the table, which has no room: decided by the allowlist each time.
                group.bench_function(BenchmarkId::new("not-found", flows), |bencher| {
                    bencher.iter_custom(|rounds| {
                        let mut other = || flows + random(&mut state) % flows;
                        (0..rounds).map(|_| feed.judge(&mut path, true, &mut other)).sum()
                    });
                });
            }
        }
    }
    for flows in [64_u32, 4096, 65_536] {
        let mut path = path(1024, Frames::Udp);
        let mut number = 0;
        let mut next = || {
            number = (number + 1) % flows;
            number
        };
        for _ in 0..=flows as usize / (READY * BURST) {
            feed.judge(&mut path, false, &mut next);
        }
        group.bench_function(BenchmarkId::new("denied-again", flows), |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).map(|_| feed.judge(&mut path, false, &mut next)).sum()
            });
        });
    }
}
