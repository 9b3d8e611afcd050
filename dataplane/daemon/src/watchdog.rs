//! Finds workers that hang.

use std::time::{Duration, Instant};

/// How often [`Watchdog::look`] is to be called.
pub const EVERY: Duration = Duration::from_millis(10);
/// A thread's first sign of life may take longer, on a machine that is busy starting.
const FIRST: Duration = Duration::from_secs(5);

/// Counts each worker's silence.
pub struct Watchdog {
    allowed: Duration,
    looked: Instant,
    workers: Vec<Watched>,
}

#[derive(Clone, Default)]
struct Watched {
    beat: u64,
    silent: Duration,
    is_hung: bool,
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has been silent for so long, which is too long.
    Hangs(Duration),
    /// It goes on.
    Moves,
}

impl Watchdog {
    /// For so many workers, from now on.
    pub fn new(workers: usize, allowed: Duration, now: Instant) -> Self {
        Self { allowed, looked: now, workers: vec![Watched::default(); workers] }
    }

    /// Which workers hang, or go on, since the last call. `beats` is each one's last sign of life, 0 before the first. A
    /// longer pause between two calls counts as two of [`EVERY`]: then it was this thread, or the machine, that stood still.
    pub fn look(
        &mut self,
        beats: impl IntoIterator<Item = u64>,
        now: Instant,
    ) -> Vec<(usize, Change)> {
        let passed = (now - self.looked).min(EVERY * 2);
        self.looked = now;
        let mut changes = Vec::new();
        for (number, (watched, beat)) in self.workers.iter_mut().zip(beats).enumerate() {
            if beat != watched.beat {
                if std::mem::take(&mut watched.is_hung) {
                    changes.push((number, Change::Moves));
                }
                (watched.beat, watched.silent) = (beat, Duration::ZERO);
                continue;
            }
            watched.silent += passed;
            let allowed = if beat == 0 { self.allowed.max(FIRST) } else { self.allowed };
            if watched.silent >= allowed && !watched.is_hung {
                watched.is_hung = true;
                changes.push((number, Change::Hangs(watched.silent)));
            }
        }
        changes
    }

    /// Does none hang?
    pub fn is_well(&self) -> bool {
        self.workers.iter().all(|watched| watched.beat != 0 && !watched.is_hung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_stops_is_found_in_time_and_once() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(2, Duration::from_millis(80), start);
        let mut found = Vec::new();
        for look in 1..40u32 {
            let other = u64::from(look.min(10));
            for change in watchdog.look([u64::from(look), other], start + EVERY * look) {
                found.push((look, change));
            }
        }
        // The last beat was seen at 100 ms.
        assert_eq!(found, [(18, (1, Change::Hangs(Duration::from_millis(80))))]);
        assert!(!watchdog.is_well());
        let later = start + EVERY * 40;
        assert_eq!(watchdog.look([90, 90], later), [(1, Change::Moves)]);
        assert!(watchdog.is_well());
    }

    #[test]
    fn a_machine_that_stood_still_is_no_hung_worker() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(1, Duration::from_millis(80), start);
        watchdog.look([7], start + EVERY);
        let woken = start + Duration::from_secs(60);
        assert_eq!(watchdog.look([7], woken), []);
        assert_eq!(watchdog.look([8], woken + EVERY), []);
    }

    #[test]
    fn a_worker_that_never_began_has_more_time() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(1, Duration::from_millis(80), start);
        let found = (1..1_000u32).find(|look| {
            watchdog.look([0], start + EVERY * *look).contains(&(0, Change::Hangs(FIRST)))
        });
        assert_eq!(found, Some(500));
    }
}
