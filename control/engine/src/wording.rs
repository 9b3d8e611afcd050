//! Which events are put into words: as many as somebody could read.
//!
//! A storm of millions a second would fill the rings for the sake of lines that are
//! overwritten before anybody has seen one.

use std::sync::Arc;
use std::time::Instant;

use loadlock_api::{EventLine, Notice};
use tokio::sync::broadcast;

/// Lines a second, in the long run.
const LINES_PER_S: f64 = 100_000.0;
/// Lines at once: as many as are kept for those who read.
const LINES_AT_ONCE: f64 = crate::EVENTS_KEPT as f64;

/// The way of events to those who listen, with an allowance; used by the core thread.
pub(crate) struct Wording {
    notices: broadcast::Sender<Notice>,
    left: f64,
    missed: u64,
    refilled: Instant,
}

impl Wording {
    /// With a full allowance.
    pub fn new(notices: broadcast::Sender<Notice>, now: Instant) -> Self {
        Self { notices, left: LINES_AT_ONCE, missed: 0, refilled: now }
    }

    /// Allows what is due since the last time, and tells what was missed meanwhile.
    pub fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.left = LINES_AT_ONCE.min(self.left + elapsed * LINES_PER_S);
        self.refilled = now;
        if self.left >= 1.0 {
            self.tell_missed();
        }
    }

    /// May the next event be put into words? If not it is counted as missed.
    pub fn has_room(&mut self) -> bool {
        if self.left >= 1.0 {
            self.left -= 1.0;
            return true;
        }
        self.missed += 1;
        false
    }

    /// Tells an event for which there was room.
    pub fn tell(&mut self, line: EventLine) {
        self.tell_missed();
        self.send(Notice::Event(Arc::new(line)));
    }

    fn tell_missed(&mut self) {
        if self.missed > 0 {
            let missed = std::mem::take(&mut self.missed);
            self.send(Notice::Missed(missed));
        }
    }

    fn send(&self, notice: Notice) {
        // It fails when nobody listens, which is in order.
        let _ = self.notices.send(notice);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_beyond_the_allowance_is_counted_and_told() {
        let (notices, mut told) = broadcast::channel(16);
        let begin = Instant::now();
        let mut wording = Wording::new(notices, begin);
        let taken = (0..20_000).filter(|_| wording.has_room()).count();
        assert_eq!(taken, crate::EVENTS_KEPT);
        wording.refill(begin);
        assert!(told.try_recv().is_err(), "not before the next may be told");
        wording.refill(begin + Duration::from_millis(1));
        assert!(
            matches!(told.try_recv(), Ok(Notice::Missed(missed)) if missed == 20_000 - taken as u64)
        );
        assert_eq!((0..1_000).filter(|_| wording.has_room()).count(), 100);
        wording.refill(begin + Duration::from_secs(60));
        assert!(matches!(told.try_recv(), Ok(Notice::Missed(900))));
        assert_eq!((0..20_000).filter(|_| wording.has_room()).count(), crate::EVENTS_KEPT);
    }
}
