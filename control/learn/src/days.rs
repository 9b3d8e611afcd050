//! When something was seen, in bounded room: the days, and the first times.

/// Nanoseconds of a day.
pub const NS_PER_DAY: u64 = 86_400_000_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// The UTC day of a time: days since 1970-01-01.
#[must_use]
pub fn day_of(time_ns: u64) -> u32 {
    u32::try_from(time_ns / NS_PER_DAY).unwrap_or(u32::MAX)
}

/// The days on which something was seen: the last one, and which of the [`Days::KEPT`] days up to it. 20 bytes.
///
/// Joining keeps the days that lie within [`Days::KEPT`] of the latest, in whatever order days come: what an earlier join
/// dropped is older than that for the final one as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Bit 0 of word 0 is `last`, bit 1 the day before it, and so on.
    words: [u64; 2],
    last: u32,
}

impl Days {
    /// How many days back are remembered.
    pub const KEPT: u32 = 128;

    /// One day.
    #[must_use]
    pub fn only(day: u32) -> Self {
        Self { words: [1, 0], last: day }
    }

    /// From [`Days::parts`].
    #[must_use]
    pub fn from_parts(last: u32, words: [u64; 2]) -> Self {
        Self { words, last }
    }

    /// The last day, and the days up to it as bits, for the store.
    #[must_use]
    pub fn parts(&self) -> (u32, [u64; 2]) {
        (self.last, self.words)
    }

    fn bits(self) -> u128 {
        u128::from(self.words[0]) | u128::from(self.words[1]) << 64
    }

    fn of_bits(bits: u128, last: u32) -> Self {
        Self { words: [bits as u64, (bits >> 64) as u64], last }
    }

    /// How many different days.
    #[must_use]
    pub fn count(self) -> u32 {
        self.words[0].count_ones() + self.words[1].count_ones()
    }

    /// The days, the latest first.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        let bits = self.bits();
        (0..Self::KEPT)
            .filter(move |ago| bits >> ago & 1 == 1)
            .map(move |ago| self.last.saturating_sub(ago))
    }

    /// True if seen on this day.
    #[must_use]
    pub fn contains(self, day: u32) -> bool {
        let ago = self.last.checked_sub(day);
        ago.is_some_and(|ago| ago < Self::KEPT && self.bits() >> ago & 1 == 1)
    }

    /// The longest time between two consecutive days, in days; `None` with fewer than two.
    #[must_use]
    pub fn longest_gap(self) -> Option<u32> {
        let days: Vec<u32> = self.iter().collect();
        days.windows(2).map(|pair| pair[0] - pair[1]).max()
    }

    /// The days of both.
    pub fn join(&mut self, other: Self) {
        if other.bits() == 0 {
            return;
        }
        let last = if self.bits() == 0 { other.last } else { self.last.max(other.last) };
        let shifted = |days: Self| {
            let ago = last.saturating_sub(days.last);
            if ago >= Self::KEPT { 0 } else { days.bits() << ago }
        };
        *self = Self::of_bits(shifted(*self) | shifted(other), last);
    }
}

/// The earliest different times at which conversations began, in seconds since 1970. 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Starts([u32; Starts::KEPT]);

impl Default for Starts {
    fn default() -> Self {
        Self([u32::MAX; Self::KEPT])
    }
}

impl Starts {
    /// How many are kept: five cycles have six starts.
    pub const KEPT: usize = 6;

    /// One start.
    #[must_use]
    pub fn only(time_ns: u64) -> Self {
        let mut starts = Self::default();
        starts.0[0] = u32::try_from(time_ns / NS_PER_SECOND).unwrap_or(u32::MAX - 1);
        starts
    }

    /// From [`Starts::seconds`].
    #[must_use]
    pub fn from_seconds(seconds: &[u32]) -> Self {
        let mut starts = Self::default();
        for second in seconds {
            starts.insert(*second);
        }
        starts
    }

    /// The starts, the earliest first.
    #[must_use]
    pub fn seconds(&self) -> &[u32] {
        let count = self.0.iter().take_while(|second| **second != u32::MAX).count();
        &self.0[..count]
    }

    fn insert(&mut self, second: u32) {
        let at = self.0.partition_point(|known| *known < second);
        if at < Self::KEPT && self.0[at] != second {
            self.0[at..].rotate_right(1);
            self.0[at] = second;
        }
    }

    /// The earliest of both.
    pub fn join(&mut self, other: Self) {
        if self.0[Self::KEPT - 1] < other.0[0] {
            return;
        }
        for second in other.0.into_iter().take_while(|second| *second != u32::MAX) {
            self.insert(second);
        }
    }

    /// The period in seconds, if at least `cycles_min` cycles were seen and each is within a tenth of their mean; cycles
    /// under 10 s are a burst, not a period.
    #[must_use]
    pub fn period_s(&self, cycles_min: u32) -> Option<u32> {
        const SHORTEST_S: u32 = 10;
        let seconds = self.seconds();
        let cycles = u32::try_from(seconds.len().saturating_sub(1)).unwrap_or(0);
        if cycles == 0 || cycles < cycles_min {
            return None;
        }
        let mean = (seconds[cycles as usize] - seconds[0]) / cycles;
        let strict = |pair: &[u32]| (pair[1] - pair[0]).abs_diff(mean) <= mean / 10;
        (mean >= SHORTEST_S && seconds.windows(2).all(strict)).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_and_starts_join_in_any_order(
            times in proptest::collection::vec(0..400 * 86_400u64, 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let ns = |second: u64| second * NS_PER_SECOND;
            let fold = |times: &[u64]| {
                let mut both = (Days::default(), Starts::default());
                for second in times {
                    both.0.join(Days::only(day_of(ns(*second))));
                    both.1.join(Starts::only(ns(*second)));
                }
                both
            };
            let forward = fold(&times);
            let mut reversed = times.clone();
            reversed.reverse();
            prop_assert_eq!(forward, fold(&reversed));
            let (left, right) = times.split_at(cut.index(times.len()));
            let (mut joined, other) = (fold(right), fold(left));
            joined.0.join(other.0);
            joined.1.join(other.1);
            prop_assert_eq!(forward, joined);
            let last = day_of(ns(*times.iter().max().expect("not empty")));
            let mut days: Vec<u32> = times.iter().map(|second| day_of(ns(*second))).collect();
            days.retain(|day| last - day < Days::KEPT);
            days.sort_unstable_by(|a, b| b.cmp(a));
            days.dedup();
            prop_assert_eq!(forward.0.iter().collect::<Vec<_>>(), days);
        }
    }

    #[test]
    fn only_strict_cycles_are_a_period() {
        let starts = |seconds: &[u32]| Starts::from_seconds(seconds);
        assert_eq!(starts(&[0, 600, 1201, 1799, 2400, 3000]).period_s(5), Some(600));
        assert_eq!(starts(&[0, 600, 1200, 1800, 2400]).period_s(5), None, "four cycles");
        assert_eq!(starts(&[0, 600, 1200, 1800, 2400, 3200]).period_s(5), None);
        assert_eq!(starts(&[0, 1, 2, 3, 4, 5]).period_s(5), None, "a burst");
    }
}
