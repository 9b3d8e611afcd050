//! The time-stamp counter as a clock.

use std::num::NonZeroU64;

use loadlock_dpdk_sys as sys;

use crate::Eal;

/// A count of time-stamp-counter cycles: a point in time from [`TscClock::now`], or the span between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TscCycles(pub u64);

impl TscCycles {
    /// The span since `earlier`; 0 if that is later, which happens between cores whose counters aren't aligned.
    #[inline]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// Reads cycles and converts them to nanoseconds by one multiplication and one shift. Copy it into each worker.
///
/// The counter is invariant on every CPU DPDK supports: it keeps its rate through frequency changes and sleep states.
#[derive(Clone, Copy, Debug)]
pub struct TscClock {
    hz: NonZeroU64,
    /// Nanoseconds a cycle, times 2^32. Rounded down, so a conversion is short by less than 1 ns in 2^32 cycles.
    ns_per_cycle_q32: u64,
}

impl TscClock {
    /// The clock at the rate EAL measured at its start.
    pub fn new(_eal: &Eal) -> Self {
        // SAFETY: an Eal exists, so EAL has measured the rate.
        let hz = unsafe { sys::rte_get_tsc_hz() };
        Self::from_hz(NonZeroU64::new(hz).unwrap_or(NonZeroU64::MIN))
    }

    /// The clock at a known rate.
    pub fn from_hz(hz: NonZeroU64) -> Self {
        let ns_per_cycle_q32 = (1_000_000_000_u128 << 32) / u128::from(hz.get());
        Self { hz, ns_per_cycle_q32: ns_per_cycle_q32 as u64 }
    }

    /// Cycles a second.
    pub fn hz(&self) -> u64 {
        self.hz.get()
    }

    /// Now. Not a serialising instruction: neighbouring loads may move past it. Any thread; no system call.
    #[inline]
    pub fn now(&self) -> TscCycles {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads a counter, and depends on nothing.
        let cycles = unsafe { std::arch::x86_64::_rdtsc() };
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: as above.
        let cycles = unsafe { sys::loadlock_tsc_cycles() };
        TscCycles(cycles)
    }

    /// A span in nanoseconds, without a division.
    #[inline]
    pub fn to_ns(&self, span: TscCycles) -> u64 {
        ((u128::from(span.0) * u128::from(self.ns_per_cycle_q32)) >> 32) as u64
    }

    /// The span that lasts `ns` nanoseconds. Divides, so it is for set-up; saturates.
    pub fn from_ns(&self, ns: u64) -> TscCycles {
        let cycles = u128::from(ns) * u128::from(self.hz.get()) / 1_000_000_000;
        TscCycles(u64::try_from(cycles).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::{TscClock, TscCycles};

    #[test]
    fn cycles_become_nanoseconds_within_one_part_in_a_billion() {
        for hz in [1_u64, 999_999_937, 2_445_430_000, 5_000_000_000] {
            let clock = TscClock::from_hz(NonZeroU64::new(hz).expect("not zero"));
            for seconds in [1_u64, 60, 86_400 * 365] {
                let (found, exact) =
                    (clock.to_ns(TscCycles(hz * seconds)), seconds * 1_000_000_000);
                assert!(
                    found <= exact && exact - found <= seconds + 1,
                    "{hz} Hz, {seconds} s: {found}"
                );
            }
            assert_eq!(clock.from_ns(2_000_000_000), TscCycles(2 * hz));
        }
    }

    #[test]
    fn time_runs_forward() {
        let clock = TscClock::from_hz(NonZeroU64::MIN);
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(TscCycles(1).since(TscCycles(2)), TscCycles(0));
    }
}
