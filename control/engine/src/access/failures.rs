//! Failed log-ins, by the name that was tried, whether or not somebody has it.

use std::collections::HashMap;

use loadlock_api::{LOCK_S, LOGIN_FAILURES_MAX};

/// Names remembered; beyond it the one that failed longest ago is forgotten.
const NAMES_MAX: usize = 1_024;
const LOCK_NS: u64 = LOCK_S * 1_000_000_000;

/// Failures of late.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// How many in a row, and when the last that counted was.
    by_name: HashMap<String, (u32, u64)>,
}

impl Failures {
    /// True if the name may not log in now, whatever the password.
    pub(super) fn is_locked(&self, name: &str, now_ns: u64) -> bool {
        let failed = self.by_name.get(name);
        failed.is_some_and(|(count, last)| *count >= LOGIN_FAILURES_MAX && now_ns < last + LOCK_NS)
    }

    /// Counts a failure; true if it is the one that locks. While locked nothing counts, or the lock would never end.
    pub(super) fn note(&mut self, name: &str, now_ns: u64) -> bool {
        if self.is_locked(name, now_ns) || super::directory::check_name(name).is_err() {
            return false;
        }
        if self.by_name.len() >= NAMES_MAX && !self.by_name.contains_key(name) {
            let oldest = self.by_name.iter().min_by_key(|(_, (_, last))| *last);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.map(|oldest| self.by_name.remove(&oldest));
        }
        let failed = self.by_name.entry(name.to_owned()).or_insert((0, now_ns));
        if now_ns >= failed.1 + LOCK_NS {
            failed.0 = 0;
        }
        *failed = (failed.0 + 1, now_ns);
        failed.0 == LOGIN_FAILURES_MAX
    }

    /// The name has logged in, or an admin has let it in again.
    pub(super) fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_by_itself_and_isnt_prolonged() {
        let mut failures = Failures::default();
        let locks: Vec<bool> = (0..7).map(|now| failures.note("alice", now)).collect();
        assert_eq!(locks, [false, false, false, false, true, false, false]);
        assert!(failures.is_locked("alice", 4 + LOCK_NS - 1));
        assert!(!failures.is_locked("alice", 4 + LOCK_NS) && !failures.is_locked("bob", 5));
        assert!(!failures.note("alice", 4 + LOCK_NS), "it begins anew");
    }

    #[test]
    fn many_names_dont_fill_the_memory_and_names_that_cant_be_arent_kept() {
        let mut failures = Failures::default();
        for number in 0..NAMES_MAX as u64 * 2 {
            failures.note(&format!("user-{number}"), number);
            failures.note("\u{1b}[2J", number);
        }
        assert_eq!(failures.by_name.len(), NAMES_MAX);
    }
}
