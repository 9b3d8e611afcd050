//! The settled keys and their evidence, in bounded memory.

use std::collections::HashMap;

use crate::key::Tuple;
use crate::learner::Entry;

/// Entries of one chunk. Chunks don't move, so that growing never holds the evidence twice.
const CHUNK: usize = 4096;

/// Keys and their evidence. A key costs about 60 bytes in the index (at most twice that after growing) and one [`Entry`].
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    index: HashMap<Tuple, u32>,
    chunks: Vec<Vec<Entry>>,
    /// Places of keys that were removed, for the next ones.
    free: Vec<u32>,
}

impl KeyTable {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn contains(&self, key: &Tuple) -> bool {
        self.index.contains_key(key)
    }

    pub fn get(&self, key: &Tuple) -> Option<&Entry> {
        let at = *self.index.get(key)? as usize;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub fn get_mut(&mut self, key: &Tuple) -> Option<&mut Entry> {
        let at = *self.index.get(key)? as usize;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    /// Adds a key that isn't there yet.
    pub fn insert(&mut self, key: Tuple, entry: Entry) {
        if let Some(at) = self.free.pop() {
            let place = at as usize;
            if let Some(free) =
                self.chunks.get_mut(place / CHUNK).and_then(|chunk| chunk.get_mut(place % CHUNK))
            {
                *free = entry;
            }
            self.index.insert(key, at);
            return;
        }
        let at = self.index.len();
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(entry);
        }
        self.index.insert(key, u32::try_from(at).unwrap_or(u32::MAX));
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &Tuple) {
        self.free.extend(self.index.remove(key));
    }

    /// All keys, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Tuple, &Entry)> {
        self.index.iter().filter_map(|(key, at)| {
            let at = *at as usize;
            Some((key, self.chunks.get(at / CHUNK)?.get(at % CHUNK)?))
        })
    }
}
