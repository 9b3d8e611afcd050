//! A clock that doesn't go back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Wall time, never before what it or the store has said already. Set back, it goes on from there at the machine's own pace, so that what
/// has expired stays so, and what hasn't still will.
pub(super) struct Clock {
    wall: Box<dyn Fn() -> u64 + Send + Sync>,
    base_ns: u64,
    started: Instant,
    latest_ns: AtomicU64,
}

impl Clock {
    /// `latest_ns`: the latest moment that the store knows of.
    pub(super) fn new(wall: impl Fn() -> u64 + Send + Sync + 'static, latest_ns: u64) -> Self {
        let base_ns = wall().max(latest_ns);
        let latest_ns = AtomicU64::new(base_ns);
        Self { wall: Box::new(wall), base_ns, started: Instant::now(), latest_ns }
    }

    /// ns since 1970.
    pub(super) fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let now = (self.wall)().max(self.base_ns.saturating_add(elapsed));
        // Relaxed: the largest value is all that counts, and nothing else is read by it.
        self.latest_ns.fetch_max(now, Ordering::Relaxed).max(now)
    }
}
