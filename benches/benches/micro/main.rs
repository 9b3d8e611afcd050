//! Micro benches: `cargo bench -p loadlock-benches`. Each part alone, to see where a change of the packet path shows; what counts in the
//! end is `scripts/perf/side-by-side`.

mod allowlist;
mod flow_table;
mod parse;
mod ring;
mod swap;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

criterion_group! {
    name = micro;
    config = settings();
    targets = parse::benches, parse::hashes, allowlist::benches, ring::benches, swap::benches, flow_table::benches
}
criterion_main!(micro);
