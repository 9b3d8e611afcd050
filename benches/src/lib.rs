//! Speed, side by side with peers on the same captures in one run.
//!
//! `load/` makes the captures and the policy that permits them, `loadlock.rs` runs our dataplane, `peers.rs` the programs it is
//! compared with, `cases/` says what is measured, `report.rs` turns runs into medians and ratios, `chart.rs` draws them. The program is
//! `side-by-side`; `scripts/perf/side-by-side` builds everything and starts it.

pub mod cases;
pub mod chart;
pub mod gate;
pub mod hugepages;
pub mod in_memory;
pub mod latency;
pub mod link;
pub mod load;
pub mod loadlock;
pub mod machine;
pub mod ovs;
pub mod peers;
pub mod primitives;
pub mod process;
pub mod report;
pub mod soak;
pub mod testpmd;
pub mod traffic;
