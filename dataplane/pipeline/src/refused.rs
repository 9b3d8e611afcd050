//! Remembers TCP connections whose SYN was denied, so that their further segments aren't taken for running ones.
//!
//! Whoever has lost its memory adopts what runs: after a start, and while the flow table is full. A connection whose SYN
//! was denied didn't run before. 128 KiB a worker, looked at only where a TCP segment has no line.

use loadlock_exchange::prefetch;

/// Connections remembered in one set; a set is a cache line.
const WAYS: usize = 8;
const SETS: usize = 2048;

/// Hashes of the conversations, the latest first in each set. The oldest of a set is forgotten for a ninth.
pub(crate) struct RefusedOpenings {
    sets: Box<[Set]>,
}

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set([u64; WAYS]);

impl RefusedOpenings {
    pub fn new() -> Self {
        Self { sets: vec![Set::default(); SETS].into_boxed_slice() }
    }

    /// Was the opening of the conversation with this hash denied, and none permitted since? 2⁻⁶⁰ of the others are mistaken
    /// for one, by a hash that nobody outside can compute.
    pub fn contains(&self, hash: u64) -> bool {
        self.sets[Self::set(hash)].0.contains(&hash)
    }

    /// Fetches what the others look at.
    #[inline(always)]
    pub fn prefetch(&self, hash: u64) {
        prefetch(self.sets.get(Self::set(hash)));
    }

    #[inline]
    pub fn remember(&mut self, hash: u64) {
        let set = &mut self.sets[Self::set(hash)].0;
        if set[0] == hash {
            return;
        }
        let last = set.iter().position(|&known| known == hash).unwrap_or(WAYS - 1);
        set.copy_within(..last, 1);
        set[0] = hash;
    }

    pub fn forget(&mut self, hash: u64) {
        let set = &mut self.sets[Self::set(hash)].0;
        if let Some(at) = set.iter().position(|&known| known == hash) {
            set.copy_within(at + 1.., at);
            set[WAYS - 1] = 0;
        }
    }

    fn set(hash: u64) -> usize {
        hash as usize % SETS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_the_latest_and_forgets_what_it_is_told_to() {
        let mut refused = RefusedOpenings::new();
        let hash = |number: usize| (number * SETS + 7) as u64;
        for number in 1..=WAYS + 1 {
            refused.remember(hash(number));
        }
        refused.remember(hash(3));
        let known = |refused: &RefusedOpenings| -> Vec<usize> {
            (1..=WAYS + 1).filter(|&number| refused.contains(hash(number))).collect()
        };
        assert_eq!(known(&refused), (2..=WAYS + 1).collect::<Vec<_>>());
        refused.remember(hash(1));
        assert!(!refused.contains(hash(2)), "the oldest went");
        assert!(refused.contains(hash(3)), "it was refused again lately");
        refused.forget(hash(5));
        refused.forget(hash(100));
        assert_eq!(known(&refused), [1, 3, 4, 6, 7, 8, 9]);
    }
}
