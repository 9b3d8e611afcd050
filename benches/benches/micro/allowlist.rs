//! The allowlist alone: found and not found, by number of rules.

use criterion::{BenchmarkId, Criterion, Throughput};
use loadlock_benches::in_memory::SEED;
use loadlock_benches::load::{Frames, frame, rules};
use loadlock_exchange::{Policy, PolicyImage, SegmentPolicy};
use loadlock_packet::{Ingress, SegmentId, Side, parse};
use std::hint::black_box;

/// Keys looked up in turn, of clients far apart.
const KEYS: u32 = 1 << 16;

/// By number of rules.
pub fn benches(criterion: &mut Criterion) {
    let segment = SegmentId::new(0).expect("0 is a segment");
    let ingress = Ingress { segment, side: Side::A };
    let mut group = criterion.benchmark_group("allowlist");
    group.throughput(Throughput::Elements(KEYS.into()));
    for count in [1_000, 100_000, 1_000_000] {
        let entries = rules(Frames::Short, count, count).expect("rules of the load");
        let capacity = entries.len();
        let image = PolicyImage::compile(1, &[SegmentPolicy::CLOSED], &entries, SEED, capacity)
            .expect("fits");
        let policy = Policy::read(image.words()).expect("readable");
        let view = policy.view(image.words(), 1);
        let keys: Vec<_> = (0..KEYS)
            .map(|at| {
                // A conversation of each client that a rule names, scattered over all of them.
                let number = at.wrapping_mul(0x9e37_79b1) % count * 32;
                let frame = frame(Frames::Short, number, 0, Side::A).expect("a frame of the load");
                parse(&frame, frame.len() as u32, ingress).expect("whole").key
            })
            .collect();
        for (name, client) in [("found", Side::A), ("not-found", Side::B)] {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    for key in &keys {
                        black_box(view.find(black_box(key), client));
                    }
                });
            });
        }
    }
}
