//! Time since 1970 from the time-stamp counter, without a system call.

use std::time::{SystemTime, UNIX_EPOCH};

use loadlock_dpdk::{TscClock, TscCycles};

/// Anchors the counter to the wall clock once; later changes of the wall clock don't reach the packet path, so that time
/// there never jumps. Off by the counter's error, some seconds a day at the worst.
#[derive(Clone, Copy)]
pub struct WallClock {
    tsc: TscClock,
    start: TscCycles,
    start_ns: u64,
}

impl WallClock {
    /// Reads both clocks.
    pub fn new(tsc: TscClock) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_ns = u64::try_from(since_epoch.as_nanos()).unwrap_or(0);
        Self { tsc, start: tsc.now(), start_ns }
    }

    /// Cycles now.
    #[inline]
    pub fn cycles(&self) -> TscCycles {
        self.tsc.now()
    }

    /// Time at `cycles`, in ns since 1970: a multiplication.
    #[inline]
    pub fn ns(&self, cycles: TscCycles) -> u64 {
        self.start_ns + self.tsc.to_ns(cycles.since(self.start))
    }

    /// The counter it reads.
    pub fn counter(&self) -> &TscClock {
        &self.tsc
    }

    /// The counter's rate.
    pub fn hz(&self) -> u64 {
        self.tsc.hz()
    }
}
