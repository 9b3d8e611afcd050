//! The flow table: open addressing with linear probing over whole lines, private to one worker.
//!
//! Three lines for every two conversations of the configured capacity: 96 bytes a conversation narrow. Removal shifts
//! the lines behind back, so that there are no tombstones and a lookup ends at the first empty line. A
//! bitmap of the occupied lines lets the sweep skip empty ones.

use std::io;

use loadlock_exchange::Seed;

use crate::entry::{Entry, State, TableKey};
use crate::storage::{Backing, Storage, Zeroed, prefetch};

/// A table for up to `capacity` conversations.
pub(crate) struct Table<K>
where
    Entry<K>: Zeroed,
{
    lines: Storage<Entry<K>>,
    occupied: Vec<u64>,
    seed: Seed,
    capacity: usize,
    length: usize,
    /// Next line the sweep looks at.
    cursor: usize,
    /// Until then running conversations are adopted, because some were refused a line.
    adopting_until_ns: u64,
}

/// What the sweep does with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    Keep,
    Remove,
}

impl<K: TableKey> Table<K>
where
    Entry<K>: Zeroed,
{
    pub fn new(capacity: usize, seed: Seed, huge: bool) -> io::Result<Self> {
        let lines = Storage::new(capacity + capacity / 2 + 1, huge)?;
        let occupied = vec![0; lines.len().div_ceil(64)];
        Ok(Self { lines, occupied, seed, capacity, length: 0, cursor: 0, adopting_until_ns: 0 })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.occupied)
    }

    pub fn backing(&self) -> Backing {
        self.lines.backing()
    }

    #[inline(always)]
    pub fn hash(&self, key: &K) -> u64 {
        key.hash(self.seed)
    }

    #[inline]
    fn after(&self, line: usize) -> usize {
        if line + 1 == self.lines.len() { 0 } else { line + 1 }
    }

    /// The line where `hash` starts.
    #[inline(always)]
    pub fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize
    }

    /// Fetches a line.
    #[inline(always)]
    pub fn prefetch(&self, line: usize) {
        if let Some(line) = self.lines.get(line) {
            prefetch(line);
            if size_of::<Entry<K>>() > 64 {
                prefetch(&line.last_seen);
            }
        }
    }

    /// The entry of a conversation whose hash starts at `home`.
    #[inline(always)]
    pub fn entry_mut(&mut self, key: &K, home: usize) -> Option<&mut Entry<K>> {
        // An empty line can have the key of a conversation that is over: the caller finds its state.
        let at_home = self.lines.get(home)?.key == *key;
        let line = if at_home { home } else { self.further(key, home)? };
        self.lines.get_mut(line)
    }

    #[inline(never)]
    fn further(&self, key: &K, home: usize) -> Option<usize> {
        self.probe(key, home)
    }

    /// The line of a conversation.
    pub fn find(&self, key: &K, hash: u64) -> Option<usize> {
        self.probe(key, self.home(hash))
    }

    /// The line of a conversation whose hash starts at `home`. Ends at the first empty line, of which a third of the table consists at the least.
    #[inline]
    fn probe(&self, key: &K, home: usize) -> Option<usize> {
        let mut line = home;
        loop {
            let entry = &self.lines[line];
            if entry.state == State::EMPTY {
                return None;
            }
            if entry.key == *key {
                return Some(line);
            }
            line = self.after(line);
        }
    }

    #[inline]
    pub fn get_mut(&mut self, line: usize) -> &mut Entry<K> {
        &mut self.lines[line]
    }

    pub fn is_full(&self) -> bool {
        self.length >= self.capacity
    }

    /// True while there are conversations that went by without a line, or soon after: they are permitted
    /// without state.
    pub fn adopts(&self, now_ns: u64) -> bool {
        self.is_full() || now_ns < self.adopting_until_ns
    }

    /// Says that a permitted conversation got no line.
    pub fn refused(&mut self, adopting_until_ns: u64) {
        self.adopting_until_ns = adopting_until_ns;
    }

    /// Puts a conversation that isn't there into the table; `None` when it is full.
    pub fn insert(&mut self, entry: Entry<K>, hash: u64) -> Option<usize> {
        debug_assert!(entry.state != State::EMPTY);
        if self.is_full() {
            return None;
        }
        let mut line = self.home(hash);
        while self.lines[line].state != State::EMPTY {
            line = self.after(line);
        }
        self.lines[line] = entry;
        self.mark(line, true);
        self.length += 1;
        Some(line)
    }

    /// Takes a conversation out and closes the gap.
    pub fn remove(&mut self, line: usize) {
        let mut gap = line;
        let mut next = self.after(gap);
        while self.lines[next].state != State::EMPTY {
            let home = self.home(self.lines[next].key.hash(self.seed));
            // The line may move into the gap unless its home lies behind the gap, on the way to where it is now.
            let reach = self.distance(home, next);
            if reach >= self.distance(gap, next) {
                self.lines[gap] = self.lines[next];
                if gap < self.cursor && self.cursor <= next {
                    // The sweep must not miss what moves behind it.
                    self.cursor = gap;
                }
                gap = next;
            }
            next = self.after(next);
        }
        self.lines[gap].state = State::EMPTY;
        self.mark(gap, false);
        self.length -= 1;
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.lines.len() - from }
    }

    fn mark(&mut self, line: usize, occupied: bool) {
        let bit = 1 << (line % 64);
        if occupied {
            self.occupied[line / 64] |= bit;
        } else {
            self.occupied[line / 64] &= !bit;
        }
    }

    /// Lets `judge` look at the occupied ones of the next `lines` lines. Returns true when the sweep has come to the table's
    /// end. Empty lines cost a bit each.
    ///
    /// A conversation that is there from the round's beginning to its end is looked at at least once, whatever is removed
    /// meanwhile; twice, when a removal moves it from the table's beginning to its end, or the sweep back.
    pub fn sweep(&mut self, lines: usize, mut judge: impl FnMut(&mut Entry<K>) -> Sweep) -> bool {
        let end = self.cursor.saturating_add(lines).min(self.lines.len());
        while let Some(line) = self.next_occupied(end) {
            self.cursor = line;
            match judge(&mut self.lines[line]) {
                Sweep::Keep => self.cursor += 1,
                // Another conversation may have moved into this line: look at it again.
                Sweep::Remove => self.remove(line),
            }
        }
        self.cursor = end;
        if end == self.lines.len() {
            self.cursor = 0;
            return true;
        }
        false
    }

    /// Puts the sweep back to the first line.
    pub fn restart_sweep(&mut self) {
        self.cursor = 0;
    }

    fn next_occupied(&self, end: usize) -> Option<usize> {
        let mut line = self.cursor;
        while line < end {
            let word = self.occupied[line / 64] >> (line % 64);
            if word != 0 {
                let found = line + word.trailing_zeros() as usize;
                return (found < end).then_some(found);
            }
            line = (line / 64 + 1) * 64;
        }
        None
    }
}

#[cfg(test)]
mod tests;
