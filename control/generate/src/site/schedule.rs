//! When a device does something again.

use crate::random::SplitMix64;

pub(super) const SECOND_NS: u64 = 1_000_000_000;
pub(super) const DAY_NS: u64 = 86_400 * SECOND_NS;

/// How often.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Schedule {
    /// Every so often, off by at most this share of it.
    Every { ns: u64, jitter: f64 },
    /// Without memory, on average every so often.
    Rare { mean_ns: u64 },
    /// On these days of the week (bit 0: Monday), at this time of day, within half an hour.
    Days { weekdays: u8, at_ns: u64 },
    /// On a day of the month; `None`: each device on one of its own.
    Month { day: Option<u32>, at_ns: u64 },
    /// At 6, 14 and 22 o'clock, within half an hour.
    Shifts,
}

const HALF_HOUR_NS: u64 = 1_800 * SECOND_NS;

impl Schedule {
    /// The first time after `now_ns`. Periods start anywhere.
    pub fn first(&self, now_ns: u64, random: &mut SplitMix64) -> u64 {
        match self {
            Self::Every { ns, .. } => now_ns + random.below(*ns),
            _ => self.next(now_ns, random),
        }
    }

    /// The next time after `now_ns`.
    pub fn next(&self, now_ns: u64, random: &mut SplitMix64) -> u64 {
        match *self {
            Self::Every { ns, jitter } => {
                let span = (ns as f64 * jitter) as u64;
                now_ns + ns - span / 2 + random.below(span.max(1))
            }
            Self::Rare { mean_ns } => {
                // Exponential: -ln of a uniform number above zero.
                let uniform = (random.below(1 << 53) + 1) as f64 / (1u64 << 53) as f64;
                now_ns + SECOND_NS + (-uniform.ln() * mean_ns as f64) as u64
            }
            Self::Days { weekdays, at_ns } => {
                self.on_days(now_ns, at_ns, random, |day| weekdays >> ((day + 3) % 7) & 1 == 1)
            }
            Self::Month { day, at_ns } => {
                let wanted = day.unwrap_or_else(|| 1 + random.below(28) as u32);
                self.on_days(now_ns, at_ns, random, |day| day_of_month(day) == wanted)
            }
            Self::Shifts => {
                let of_day = now_ns % DAY_NS;
                let midnight = now_ns - of_day;
                let hour = 3_600 * SECOND_NS;
                let starts = [6, 14, 22, 30].map(|at| midnight + at * hour);
                let next = starts.into_iter().find(|start| *start > now_ns);
                next.unwrap_or(midnight + DAY_NS) + random.below(HALF_HOUR_NS)
            }
        }
    }

    fn on_days(
        &self,
        now_ns: u64,
        at_ns: u64,
        random: &mut SplitMix64,
        fits: impl Fn(u32) -> bool,
    ) -> u64 {
        let delay = random.below(HALF_HOUR_NS);
        let mut day = now_ns / DAY_NS;
        loop {
            let time_ns = day * DAY_NS + at_ns + delay;
            // What ran late today has run: the next one is not before the next day.
            if day * DAY_NS + at_ns > now_ns && fits(day as u32) {
                return time_ns;
            }
            day += 1;
        }
    }
}

/// The day of the month, 1 to 31, of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
pub(super) fn day_of_month(day: u32) -> u32 {
    let shifted = day + 719_468;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendars_are_kept() {
        let mut random = SplitMix64::new(1);
        // Tuesdays at 2:30.
        let weekly = Schedule::Days { weekdays: 0b10, at_ns: 9_000 * SECOND_NS };
        let mut now = 20_535 * DAY_NS;
        for _ in 0..5 {
            let next = weekly.next(now, &mut random);
            assert!(next > now);
            assert_eq!((next / DAY_NS + 3) % 7, 1);
            now = next;
        }
        let monthly = Schedule::Month { day: Some(1), at_ns: 0 };
        assert_eq!(day_of_month((monthly.next(now, &mut random) / DAY_NS) as u32), 1);
        let shift = Schedule::Shifts.next(20_535 * DAY_NS + 23 * 3_600 * SECOND_NS, &mut random);
        assert_eq!(shift / DAY_NS, 20_536);
        assert_eq!(shift % DAY_NS / (3_600 * SECOND_NS), 6);
    }
}
