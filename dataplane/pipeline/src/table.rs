//! The flow table: open addressing with linear probing over whole lines, private to one worker.
//!
//! Seven lines for every five conversations of the configured capacity: 91 bytes a conversation narrow. Removal shifts
//! the lines behind back, so that there are no tombstones and a lookup ends at the first empty line. A byte for each line
//! (`tags.rs`) says which one to look at. No part of the table gets much fuller than the whole may (`parts.rs`), since chains would
//! grow without bound there.

use std::io;

use loadlock_exchange::{Seed, prefetch};

use crate::entry::{Entry, State, TableKey};
use crate::parts::Parts;
use crate::storage::{Backing, Storage, Zeroed};
use crate::tags::{Tags, WINDOW, tag};

/// A table for up to `capacity` conversations.
pub(crate) struct Table<K>
where
    Entry<K>: Zeroed,
{
    lines: Storage<Entry<K>>,
    tags: Tags,
    parts: Parts,
    seed: Seed,
    capacity: usize,
    length: usize,
    /// Next line the sweep looks at.
    cursor: usize,
    /// Until then running conversations are adopted, because some were refused a line.
    adopting_until_ns: u64,
    /// Removals since start.
    removals: u64,
}

/// No line: where a conversation lies of which the tags say that it has none.
const NOWHERE: usize = usize::MAX;

/// What the line looked at first says of a conversation.
pub(crate) enum Place<'a, K> {
    /// It lies here.
    Here(&'a mut Entry<K>),
    /// It lies nowhere, unless [`Table::removals`] moved since the line was chosen.
    Nowhere,
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
        let lines = Storage::new((capacity + capacity / 5 * 2 + 1).max(WINDOW), huge)?;
        let tags = Tags::new(lines.len(), huge)?;
        Ok(Self {
            parts: Parts::new(lines.len()),
            lines,
            tags,
            seed,
            capacity,
            length: 0,
            cursor: 0,
            adopting_until_ns: 0,
            removals: 0,
        })
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + self.tags.bytes() + self.parts.bytes()
    }

    pub fn backing(&self) -> Backing {
        self.lines.backing()
    }

    /// Of [`Table::bytes`], those on reserved hugepages.
    pub fn huge_bytes(&self) -> usize {
        let lines = match self.lines.backing() {
            Backing::HugePages => size_of_val(&*self.lines),
            Backing::OrdinaryPages => 0,
        };
        lines + self.tags.huge_bytes()
    }

    #[inline(always)]
    pub fn hash(&self, key: &K) -> u64 {
        key.hash(self.seed)
    }

    #[inline]
    fn after(&self, line: usize) -> usize {
        if line + 1 == self.lines.len() { 0 } else { line + 1 }
    }

    /// The line where a hash starts.
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.lines.len() as u128) >> 64) as usize
    }

    /// Are so many lines taken that it pays to ask the tags? Elsewhere nearly all conversations lie where their hash starts.
    #[inline]
    pub fn is_dense(&self) -> bool {
        self.length > self.lines.len() / 16
    }

    /// Fetches the tags that [`Table::likely`] reads.
    #[inline(always)]
    pub fn prefetch_tags(&self, hash: u64) {
        self.tags.prefetch(self.home(hash));
    }

    /// The line where the conversation with this hash lies, if it is there: of those within a window of their home all but one in
    /// 256. Any line or [`NOWHERE`], if it isn't. Without `dense` the home itself; with it, which is [`Table::is_dense`] asked once
    /// a burst, the tags are asked.
    #[inline(always)]
    pub fn likely(&self, hash: u64, dense: bool) -> usize {
        let home = self.home(hash);
        if !dense {
            return home;
        }
        let same = self.tags.lanes(home, tag(hash));
        if same.is_any() {
            return self.tags.behind(home, same.first());
        }
        if self.tags.lanes(home, 0).is_any() { NOWHERE } else { home }
    }

    /// Fetches the line that a conversation with this hash would likely get.
    #[inline(always)]
    pub fn prefetch_home(&self, hash: u64) {
        self.prefetch(self.home(hash));
    }

    /// Fetches a line.
    #[inline(always)]
    pub fn prefetch(&self, line: usize) {
        let line = self.lines.get(line);
        prefetch(line);
        if size_of::<Entry<K>>() > 64 {
            prefetch(line.map(|line| &line.last_seen));
        }
    }

    /// The entry where a hash starts. If it is empty, the conversation isn't there.
    #[inline(always)]
    pub fn at_home(&mut self, hash: u64) -> Option<&mut Entry<K>> {
        let home = self.home(hash);
        self.lines.get_mut(home)
    }

    /// Where a conversation lies, likely in `line`, which [`Table::likely`] gave.
    #[inline(always)]
    pub fn place(&mut self, key: &K, line: usize) -> Place<'_, K> {
        match self.lines.get(line) {
            // An empty line can have the key of a conversation that is over: the caller finds its state.
            Some(entry) if entry.key.same(key) => match self.lines.get_mut(line) {
                Some(entry) => Place::Here(entry),
                None => Place::Nowhere,
            },
            // An empty line is likely only if it is the home, where a lookup ends.
            Some(entry) if entry.state == State::EMPTY => Place::Nowhere,
            None => Place::Nowhere,
            Some(_) => self.elsewhere(*key),
        }
    }

    #[inline(never)]
    fn elsewhere(&mut self, key: K) -> Place<'_, K> {
        let line = self.find(&key, self.hash(&key));
        line.and_then(|line| self.lines.get_mut(line)).map_or(Place::Nowhere, Place::Here)
    }

    /// Moves with every removal.
    #[inline]
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// The line of a conversation. Ends at the first empty line, of which two sevenths of the table consist at the least.
    pub fn find(&self, key: &K, hash: u64) -> Option<usize> {
        let mut start = self.home(hash);
        loop {
            let empty = self.tags.lanes(start, 0);
            for lane in self.tags.lanes(start, tag(hash)).before(empty) {
                let line = self.tags.behind(start, lane);
                if self.lines[line].key.same(key) {
                    return Some(line);
                }
            }
            if empty.is_any() {
                return None;
            }
            start = self.tags.behind(start, WINDOW);
        }
    }

    #[inline]
    pub fn get_mut(&mut self, line: usize) -> &mut Entry<K> {
        &mut self.lines[line]
    }

    pub fn is_full(&self) -> bool {
        self.length >= self.capacity
    }

    /// Would a conversation with this hash get a line now? Not in a full table, nor where its part of the table is too crowded, while
    /// the sweep is about to empty it.
    #[inline(always)]
    pub fn has_room(&mut self, hash: u64) -> bool {
        let home = self.home(hash);
        !self.is_full() && self.parts.has_room(home)
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

    /// Puts a conversation that isn't there into the table; `None` when it is full. Only with
    /// [`Table::has_room`] do chains stay short.
    pub fn insert(&mut self, entry: Entry<K>, hash: u64) -> Option<usize> {
        debug_assert!(entry.state != State::EMPTY);
        if self.is_full() {
            return None;
        }
        let line = self.tags.empty_from(self.home(hash));
        self.lines[line] = entry;
        self.tags.set(line, tag(hash));
        self.parts.taken(line);
        self.length += 1;
        Some(line)
    }

    /// Takes a conversation out and closes the gap.
    pub fn remove(&mut self, line: usize) {
        let mut gap = line;
        let mut next = self.after(gap);
        while self.lines[next].state != State::EMPTY {
            let hash = self.lines[next].key.hash(self.seed);
            let home = self.home(hash);
            // The line may move into the gap unless its home lies behind the gap, on the way to where it is now.
            let reach = self.distance(home, next);
            if reach >= self.distance(gap, next) {
                self.lines[gap] = self.lines[next];
                self.tags.set(gap, tag(hash));
                if gap < self.cursor && self.cursor <= next {
                    // The sweep must not miss what moves behind it.
                    self.cursor = gap;
                }
                gap = next;
            }
            next = self.after(next);
        }
        self.lines[gap].state = State::EMPTY;
        self.tags.set(gap, 0);
        self.parts.freed(gap);
        self.length -= 1;
        self.removals += 1;
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.lines.len() - from }
    }

    /// Lets `judge` look at the occupied ones of the next `lines` lines, and tells it which. Returns true when the sweep has come to the table's
    /// end. Empty lines cost a byte each.
    ///
    /// A conversation that is there from the round's beginning to its end is looked at at least once, whatever is removed
    /// meanwhile; twice, when a removal moves it from the table's beginning to its end, or the sweep back.
    pub fn sweep(
        &mut self,
        lines: usize,
        mut judge: impl FnMut(&mut Entry<K>, usize) -> Sweep,
    ) -> bool {
        let end = self.cursor.saturating_add(lines).min(self.lines.len());
        while let Some(line) = self.tags.occupied_from(self.cursor, end) {
            self.cursor = line;
            match judge(&mut self.lines[line], line) {
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
}

#[cfg(test)]
mod tests;
