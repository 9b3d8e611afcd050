//! Waiting for a time in a state that saves power.

use loadlock_dpdk_sys as sys;

use crate::TscCycles;

/// That the CPU can wait for a time by itself: TPAUSE of x86's WAITPKG, WFET of Arm where DPDK knows it.
#[derive(Clone, Copy, Debug)]
pub struct TimedWait {
    // Only `of_this_cpu` makes one.
    _private: (),
}

impl TimedWait {
    /// `None` if the CPU, or this DPDK on it, can't.
    #[must_use]
    pub fn of_this_cpu() -> Option<Self> {
        // SAFETY: asks the CPU what it is; depends on nothing.
        let can = unsafe { sys::loadlock_can_pause_until() };
        (can != 0).then_some(Self { _private: () })
    }

    /// Waits until the counter of [`crate::TscClock`] is at `until`, or somewhat less: interrupts and the kernel's own limit
    /// (`umwait_control/max_time`) end it early. No system call.
    #[inline]
    pub fn until(self, until: TscCycles) {
        // SAFETY: the CPU has the instruction, as `of_this_cpu` found; it changes no memory.
        unsafe { sys::loadlock_pause_until(until.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linux shows WAITPKG as a flag of the CPU.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_is_found_is_what_the_kernel_shows() {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let shown = info.split_whitespace().any(|flag| flag == "waitpkg");
        let found = TimedWait::of_this_cpu();
        assert_eq!(found.is_some(), shown);
        if let Some(wait) = found {
            wait.until(TscCycles(0));
        }
    }
}
