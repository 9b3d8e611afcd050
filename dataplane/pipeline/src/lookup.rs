//! The flow table's lookup alone, to be measured against other tables. The packet path doesn't use it.

use std::io;

use loadlock_exchange::Seed;
use loadlock_packet::{MacAddress, NarrowKey};

use crate::BURST_FRAMES_MAX;
use crate::entry::{Entry, Flags, State};
use crate::table::{Place, Table};
use crate::verdict::VerdictWord;

/// A flow table of conversations that only have a key.
pub struct Lookup {
    table: Table<NarrowKey>,
}

impl Lookup {
    /// For up to `capacity` keys; with `huge` on hugepages, where there are any.
    ///
    /// # Errors
    /// The kernel has no memory for it.
    pub fn new(capacity: usize, seed: Seed, huge: bool) -> io::Result<Self> {
        Ok(Self { table: Table::new(capacity, seed, huge)? })
    }

    /// Puts a key in that isn't there; false when the table is full.
    pub fn insert(&mut self, key: NarrowKey) -> bool {
        let entry = Entry {
            key,
            bytes: [0; 2],
            packets: [0; 2],
            last_seen: self.table.length() as u32,
            verdict: VerdictWord::LEARNING,
            generation: 0,
            state: State::UDP,
            flags: Flags::default(),
            macs: [MacAddress([0; 6]); 2],
        };
        self.table.insert(entry, self.table.hash(&key)).is_some()
    }

    /// Finds a burst of at most [`BURST_FRAMES_MAX`] keys in two passes, as the packet path does: hash and prefetch, then
    /// compare. Returns how many were found and leaves in `found` the how-manieth key each was put in as, `u32::MAX` for none.
    #[inline]
    pub fn find_burst(&mut self, keys: &[NarrowKey], found: &mut [u32; BURST_FRAMES_MAX]) -> usize {
        let dense = self.table.is_dense();
        let mut hashes = [0; BURST_FRAMES_MAX];
        for (key, hash) in keys.iter().zip(&mut hashes) {
            *hash = self.table.hash(key);
            if dense {
                self.table.prefetch_tags(*hash);
            }
        }
        let mut lines = [0; BURST_FRAMES_MAX];
        for (hash, line) in hashes.into_iter().zip(&mut lines).take(keys.len()) {
            *line = self.table.likely(hash, dense);
            self.table.prefetch(*line);
        }
        let mut count = 0;
        for ((key, line), found) in keys.iter().zip(lines).zip(found) {
            *found = match self.table.place(key, line) {
                Place::Here(entry) if entry.state != State::EMPTY => entry.last_seen,
                _ => u32::MAX,
            };
            count += usize::from(*found != u32::MAX);
        }
        count
    }
}
