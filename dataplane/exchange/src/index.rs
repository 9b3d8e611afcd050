//! The hash table behind [`crate::bindings`] and [`crate::modes`]: four-word entries (0–2 key, of which the last is never 0; 3
//! value), at most half full. A lookup reads one cache line, seldom two. Safe code over a slice, whatever stands in it.

use crate::hash::{Seed, hash_wide};

const ENTRY_WORDS: usize = 4;
/// Table places for each entry.
const PLACES: usize = 2;
/// Words of a slot for each entry.
pub(crate) const WORDS_PER_ENTRY: usize = PLACES * ENTRY_WORDS;
/// No lookup goes further, whatever the region holds.
const PROBES_MAX: usize = 256;

/// What an entry is found by.
pub(crate) type Key = [u64; 3];

#[inline]
fn start(key: Key, places: usize, seed: Seed) -> usize {
    let hash = hash_wide([key[0], key[1], key[2], 0, 0], seed);
    ((u128::from(hash) * places as u128) >> 64) as usize
}

/// Lays entries with different keys out as a table; `None` if the seed clusters them.
pub(crate) fn lay_out(entries: &[(Key, u64)], seed: Seed) -> Option<Vec<u64>> {
    let places = entries.len() * PLACES;
    let mut words = vec![0; places * ENTRY_WORDS];
    for (key, value) in entries {
        let mut at = start(*key, places, seed);
        let mut probes = 0;
        while words[at * ENTRY_WORDS + 2] != 0 {
            probes += 1;
            if probes == PROBES_MAX {
                return None;
            }
            at = if at + 1 == places { 0 } else { at + 1 };
        }
        let entry = &mut words[at * ENTRY_WORDS..][..ENTRY_WORDS];
        entry[..3].copy_from_slice(key);
        entry[3] = *value;
    }
    Some(words)
}

/// Where a table lies in a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    seed: Seed,
    at: usize,
    places: usize,
}

impl Index {
    /// Without entries.
    pub const EMPTY: Self = Self { seed: Seed([0; 2]), at: 0, places: 0 };

    /// The header's word for a table of so many words from word `at` on.
    pub fn header_word(at: usize, words: usize) -> u64 {
        at as u64 | ((words / ENTRY_WORDS) as u64) << 32
    }

    /// Reads the header's word; `None` if the table doesn't lie inside `words`.
    pub fn read(seed: Seed, header: u64, words: usize) -> Option<Self> {
        let (at, places) = ((header & 0xffff_ffff) as usize, (header >> 32) as usize);
        let end = places.checked_mul(ENTRY_WORDS)?.checked_add(at)?;
        (end <= words).then_some(Self { seed, at, places })
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places == 0
    }

    /// The value of this key.
    #[inline]
    pub fn find(&self, words: &[u64], key: Key) -> Option<u64> {
        if self.places == 0 {
            return None;
        }
        let mut at = start(key, self.places, self.seed);
        for _ in 0..PROBES_MAX {
            let entry: &[u64; ENTRY_WORDS] =
                words.get(self.at + at * ENTRY_WORDS..)?.first_chunk()?;
            if entry[..3] == key {
                return Some(entry[3]);
            }
            if entry[2] == 0 {
                return None;
            }
            at = if at + 1 == self.places { 0 } else { at + 1 };
        }
        None
    }
}
