//! The first burst after a policy was put in force, against the bursts before it.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use loadlock_benches::in_memory::{BURST, Dimensioning, Path, compile, frames};
use loadlock_benches::load::{Frames, rules};
use loadlock_exchange::Mode;
use loadlock_packet::Side;
use loadlock_pipeline::Capacity;

/// With 100,000 rules.
pub fn benches(criterion: &mut Criterion) {
    let dimensioning = Dimensioning {
        mode: Mode::Enforce,
        rules: rules(Frames::Short, BURST as u32, 100_000).expect("rules of the load"),
        capacity: Capacity { narrow: 65_536, wide: 1024, fragments: 64 },
        adopting: true,
        ring_events: 65_536,
        hugepages: true,
    };
    let mut path = Path::new(&dimensioning).expect("a path");
    let image = compile(&dimensioning, 2).expect("compiles");
    let frames = frames(Frames::Short, BURST as u32, Side::A).expect("frames of the load");
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let mut group = criterion.benchmark_group("swap");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, publishes) in [("burst-after-swap", true), ("burst-without", false)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    if publishes {
                        path.control.publish(&image).expect("the worker has moved on");
                    }
                    let start = Instant::now();
                    assert_eq!(path.burst(Side::A, &frames), BURST);
                    spent += start.elapsed();
                }
                spent
            });
        });
    }
}
