//! Error numbers as DPDK returns them.

use std::ffi::CStr;
use std::fmt;

use loadlock_dpdk_sys as sys;

/// A positive errno value, or one of DPDK's own above 1000. Displays as DPDK's text and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// From a status: DPDK returns negative numbers, and a few functions positive ones.
    pub(crate) fn from_status(status: i32) -> Self {
        Self(status.saturating_abs())
    }

    /// This thread's `rte_errno`, for the functions that return NULL or -1.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local of EAL that exists in every thread, before rte_eal_init too.
        Self(unsafe { sys::loadlock_errno() })
    }

    /// The number, as in `libc::EINVAL`.
    pub fn code(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number, and works before rte_eal_init.
        let text = unsafe { sys::rte_strerror(self.0) };
        // SAFETY: rte_strerror returns a NUL-terminated text, valid until this thread's next call of it.
        let text = unsafe { CStr::from_ptr(text) };
        write!(formatter, "{} ({})", text.to_string_lossy(), self.0)
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn shows_text_and_number_of_either_sign() {
        assert_eq!(Errno::from_status(-libc::EINVAL).to_string(), "Invalid argument (22)");
        assert_eq!(Errno::from_status(libc::EINVAL).code(), 22);
        assert!(Errno::from_status(-1001).to_string().contains("secondary"), "E_RTE_SECONDARY");
    }
}
