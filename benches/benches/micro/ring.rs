//! The event ring on one CPU: a burst of records in and out. Between two CPUs: `scripts/perf/primitives`.

use criterion::{Criterion, Throughput};
use loadlock_benches::in_memory::BURST;
use loadlock_benches::primitives::event_ring;
use loadlock_exchange::RECORD_WORDS;
use std::hint::black_box;

/// Both ends in turn.
pub fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let (_dataplane, mut worker, mut control) = event_ring(folder.path()).expect("an exchange");
    let record = [7; RECORD_WORDS];
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function("push-publish-take-release", |bencher| {
        bencher.iter(|| {
            for _ in 0..BURST {
                let _ = black_box(worker.events.push(black_box(&record), 0));
            }
            worker.events.publish();
            while let Some(record) = control.events[0].next_record() {
                black_box(record);
            }
            control.events[0].release();
        });
    });
}
