//! One byte for each line of a flow table: 0 where it is empty, else eight bits of its conversation's hash.
//!
//! Sixteen are compared at once, so that a lookup goes straight to the one line it needs, and the sweep passes over empty
//! lines without touching them. For a million conversations they fit into a core's second-level cache.

use std::io;

use loadlock_exchange::prefetch;

use crate::storage::{Backing, Storage, Zeroed};

/// Lines compared at once.
pub(crate) const WINDOW: usize = 16;

// SAFETY: an integer.
unsafe impl Zeroed for u8 {}

/// The tags of a table with at least [`WINDOW`] lines.
pub(crate) struct Tags {
    /// The first [`WINDOW`] are repeated at the end, so that a window may begin anywhere.
    bytes: Storage<u8>,
    lines: usize,
}

/// Which lines of a window have something: bit 0 for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes(u16);

impl Lanes {
    #[inline(always)]
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    /// How many lines in the first one is.
    #[inline(always)]
    pub fn first(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    /// Those that come before the first of `others`.
    pub fn before(self, others: Self) -> Self {
        let lowest = others.0 & others.0.wrapping_neg();
        Self(self.0 & lowest.wrapping_sub(1))
    }
}

impl Iterator for Lanes {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = self.is_any().then(|| self.first());
        self.0 &= self.0.wrapping_sub(1);
        first
    }
}

/// The tag of a conversation.
#[inline(always)]
pub(crate) fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// A bit for each byte of `window` that equals `tag`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn compare(window: [u8; WINDOW], tag: u8) -> u16 {
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};
    #[target_feature(enable = "sse2")]
    #[inline]
    fn compare(window: __m128i, tag: i8) -> u16 {
        _mm_movemask_epi8(_mm_cmpeq_epi8(window, _mm_set1_epi8(tag))) as u16
    }
    // SAFETY: both are sixteen bytes of which any value is valid.
    let window = unsafe { std::mem::transmute::<[u8; WINDOW], __m128i>(window) };
    // SAFETY: SSE2 is part of x86-64.
    unsafe { compare(window, tag.cast_signed()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn compare(window: [u8; WINDOW], tag: u8) -> u16 {
    let lanes = window.iter().enumerate();
    lanes.fold(0, |lanes, (lane, &byte)| lanes | u16::from(byte == tag) << lane)
}

impl Tags {
    pub fn new(lines: usize, huge: bool) -> io::Result<Self> {
        assert!(lines >= WINDOW);
        Ok(Self { bytes: Storage::new(lines + WINDOW, huge)?, lines })
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.bytes)
    }

    /// Of [`Tags::bytes`], those on reserved hugepages.
    pub fn huge_bytes(&self) -> usize {
        match self.bytes.backing() {
            Backing::HugePages => self.bytes(),
            Backing::OrdinaryPages => 0,
        }
    }

    /// Fetches a window's tags.
    #[inline(always)]
    pub fn prefetch(&self, line: usize) {
        prefetch(self.bytes.get(line));
    }

    /// The lines from `line` on that have this tag; with 0, the empty ones.
    #[inline(always)]
    pub fn lanes(&self, line: usize, tag: u8) -> Lanes {
        let window: [u8; WINDOW] = match self.bytes.get(line..).and_then(|rest| rest.first_chunk())
        {
            Some(window) => *window,
            None => return Lanes(0),
        };
        Lanes(compare(window, tag))
    }

    /// The line `distance` behind another; both less than the table's length.
    #[inline(always)]
    pub fn behind(&self, line: usize, distance: usize) -> usize {
        let line = line + distance;
        if line >= self.lines { line - self.lines } else { line }
    }

    pub fn set(&mut self, line: usize, tag: u8) {
        self.bytes[line] = tag;
        if line < WINDOW {
            self.bytes[self.lines + line] = tag;
        }
    }

    /// The first empty line from `line` on. There must be one.
    pub fn empty_from(&self, mut line: usize) -> usize {
        loop {
            let empty = self.lanes(line, 0);
            if empty.is_any() {
                return self.behind(line, empty.first());
            }
            line = self.behind(line, WINDOW);
        }
    }

    /// The first occupied line from `line` on, before `end`.
    pub fn occupied_from(&self, line: usize, end: usize) -> Option<usize> {
        let tags = self.bytes.get(line..end)?;
        let (eights, rest) = tags.as_chunks::<8>();
        for (at, eight) in eights.iter().enumerate() {
            let word = u64::from_le_bytes(*eight);
            if word != 0 {
                return Some(line + at * 8 + word.trailing_zeros() as usize / 8);
            }
        }
        let start = end - rest.len();
        rest.iter().position(|&tag| tag != 0).map(|at| start + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_wrap_and_scans_find_what_a_plain_search_finds() {
        let lines = 37;
        let mut tags = Tags::new(lines, false).unwrap();
        let occupied = [0usize, 3, 15, 16, 20, 30, 36];
        for line in occupied {
            tags.set(line, line as u8 + 1);
        }
        for from in 0..lines {
            let wanted = (0..WINDOW).filter(|at| !occupied.contains(&((from + at) % lines)));
            assert!(tags.lanes(from, 0).eq(wanted), "from {from}");
            for line in occupied {
                let there = (0..WINDOW).find(|at| (from + at) % lines == line);
                let lanes = tags.lanes(from, line as u8 + 1);
                assert_eq!(lanes.is_any().then(|| lanes.first()), there);
            }
            let free = (from..from + lines).map(|line| line % lines);
            assert_eq!(
                Some(tags.empty_from(from)),
                free.clone().find(|line| !occupied.contains(line))
            );
            for end in from..=lines {
                let next = (from..end).find(|line| occupied.contains(line));
                assert_eq!(tags.occupied_from(from, end), next, "{from}..{end}");
            }
        }
        tags.set(0, 0);
        assert_eq!(tags.lanes(36, 1), Lanes(0), "the repeated ones follow");
    }

    #[test]
    fn lanes_before_others() {
        assert!(Lanes(0b1011_0110).before(Lanes(0b0010_0000)).eq([1, 2, 4]));
        assert!(Lanes(0b110).before(Lanes(0)).eq([1, 2]));
        assert!(!Lanes(0b110).before(Lanes(1)).is_any());
    }
}
