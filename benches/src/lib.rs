//! Speed, side by side with peers on the same captures in one run.
//!
//! `load.rs` makes the captures and the policy that permits them, `loadlock.rs` runs our dataplane, `testpmd.rs` DPDK's own
//! forwarder, `report.rs` turns the runs into medians and ratios. The program is `side-by-side`;
//! `scripts/perf/side-by-side` builds everything and starts it.

pub mod load;
pub mod loadlock;
pub mod process;
pub mod report;
pub mod testpmd;
