//! The pipeline's time: it never goes back and never stands still, whatever the clock does.

use crate::entry::{Tick, tick};

/// A clock this far behind was set back; one less far behind only jitters (several queues, a merged capture).
const SET_BACK_NS: u64 = 1_000_000_000;

/// One moment by both reckonings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Never goes back: for time-outs, intervals, the grace time.
    pub steady_ns: u64,
    /// The caller's clock, ns since 1970: for events.
    pub clock_ns: u64,
}

impl Moment {
    #[inline]
    pub fn tick(self) -> Tick {
        tick(self.steady_ns)
    }
}

/// Derives steady time from the caller's clock.
///
/// Were time held at its maximum instead, one glitch into the future would stop ageing until the clock came round to it.
#[derive(Default)]
pub(crate) struct Clock {
    steady_ns: u64,
    /// By how much steady time is ahead of the clock, because that was set back.
    ahead_ns: u64,
}

impl Clock {
    /// Takes a reading of the clock.
    #[inline]
    pub fn advance(&mut self, clock_ns: u64) -> Moment {
        let steady_ns = clock_ns.saturating_add(self.ahead_ns);
        let behind_ns = self.steady_ns.saturating_sub(steady_ns);
        if behind_ns >= SET_BACK_NS {
            self.ahead_ns = self.ahead_ns.saturating_add(behind_ns);
        }
        self.steady_ns = self.steady_ns.max(steady_ns);
        self.now()
    }

    /// The moment of the last reading.
    pub fn now(&self) -> Moment {
        let clock_ns = self.steady_ns.saturating_sub(self.ahead_ns);
        Moment { steady_ns: self.steady_ns, clock_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_after_the_clock_was_set_back() {
        let mut clock = Clock::default();
        let at = |steady_ns, clock_ns| Moment { steady_ns, clock_ns };
        assert_eq!(clock.advance(5_000_000_000), at(5_000_000_000, 5_000_000_000));
        assert_eq!(clock.advance(4_999_000_000), at(5_000_000_000, 5_000_000_000));
        assert_eq!(clock.advance(1_000_000_000), at(5_000_000_000, 1_000_000_000));
        assert_eq!(clock.advance(2_000_000_000), at(6_000_000_000, 2_000_000_000));
        assert_eq!(clock.advance(u64::MAX).steady_ns, u64::MAX);
        assert_eq!(clock.advance(7).clock_ns, 7);
    }
}
