//! What a worker does between two looks at its queues while nothing arrives.

use loadlock_dpdk::{TimedWait, TscClock, TscCycles};
use loadlock_settings::{DataplaneSettings, Idle};

use crate::exit::Failure;

/// Rounds without a frame that count as a gap between frames, not as silence.
const GAP_ROUNDS: u32 = 64;
/// Rounds over which the pause then grows to its longest: 2 to the power of this.
const GROWTH_SHIFT: u32 = 8;

/// The pauses of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    way: Way,
    longest_cycles: u64,
    rounds_in_vain: u32,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Spin,
    Pause,
    TimedWait(TimedWait),
}

impl Pauses {
    /// As configured.
    ///
    /// # Errors
    /// [`Failure::NoTimedWait`] if this CPU hasn't what `idle = "power"` needs.
    pub fn new(settings: &DataplaneSettings, clock: &TscClock) -> Result<Self, Failure> {
        let way = match settings.idle {
            Idle::Spin => Way::Spin,
            Idle::Pause => Way::Pause,
            Idle::Power => Way::TimedWait(TimedWait::of_this_cpu().ok_or(Failure::NoTimedWait)?),
        };
        let ns = u64::try_from(settings.idle_pause.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { way, longest_cycles: clock.from_ns(ns).0, rounds_in_vain: 0 })
    }

    /// A round brought frames.
    #[inline]
    pub fn busy(&mut self) {
        self.rounds_in_vain = 0;
    }

    /// A round that began at `began` brought nothing. Comes back after a pause, at `due` at the latest.
    pub fn idle(&mut self, clock: &TscClock, began: TscCycles, due: TscCycles) {
        let pause = self.next_pause();
        if pause == 0 {
            return;
        }
        let until = TscCycles((began.0 + pause).min(due.0));
        match self.way {
            Way::Spin => {}
            Way::Pause => {
                while clock.now() < until {
                    std::hint::spin_loop();
                }
            }
            Way::TimedWait(wait) => wait.until(until),
        }
    }

    /// Cycles: none in a gap, then growing evenly to the longest.
    fn next_pause(&mut self) -> u64 {
        if matches!(self.way, Way::Spin) {
            return 0;
        }
        self.rounds_in_vain = self.rounds_in_vain.saturating_add(1);
        let silent = self.rounds_in_vain.saturating_sub(GAP_ROUNDS).min(1 << GROWTH_SHIFT);
        (self.longest_cycles * u64::from(silent)) >> GROWTH_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn pauses(way: Way) -> Pauses {
        Pauses { way, longest_cycles: 10_000, rounds_in_vain: 0 }
    }

    #[test]
    fn a_pause_grows_after_a_gap_up_to_the_longest_and_ends_with_the_next_frame() {
        let mut paused = pauses(Way::Pause);
        let lengths: Vec<u64> = (0..400).map(|_| paused.next_pause()).collect();
        assert!(lengths[..GAP_ROUNDS as usize].iter().all(|length| *length == 0));
        assert!(lengths.is_sorted());
        assert_eq!(lengths[GAP_ROUNDS as usize..].iter().position(|one| *one == 10_000), Some(255));
        assert_eq!(lengths.last(), Some(&10_000));
        paused.busy();
        assert_eq!(paused.next_pause(), 0);
        let mut spinning = pauses(Way::Spin);
        assert!((0..400).all(|_| spinning.next_pause() == 0));
    }

    #[test]
    fn a_pause_never_lasts_beyond_what_is_due() {
        let clock = TscClock::from_hz(NonZeroU64::new(1_000_000_000).unwrap());
        let mut paused = Pauses { longest_cycles: u64::MAX >> 16, ..pauses(Way::Pause) };
        assert!((0..400).map(|_| paused.next_pause()).max() > Some(100_000));
        let began = clock.now();
        let due = TscCycles(began.0 + 100_000);
        paused.idle(&clock, began, due);
        assert!(clock.now() >= due);
    }
}
