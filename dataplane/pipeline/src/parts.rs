//! How full each part of a flow table is.
//!
//! Conversations that end together, as those of a flood do, are removed by the sweep from one end of the table to the other, and the room is given to
//! new ones all over it. What isn't swept yet would then fill up to its last line, and every lookup, insertion and removal there would go through
//! thousands of lines. So a part that is at its limit takes no more, as if the table were full, until the sweep was there.

/// Lines of a part, as a power of two. At the whole table's limit of 5/7, with the conversations spread at random, a part stays below its own
/// by seven standard deviations.
const PART_LOG2: usize = 12;

/// How many lines each part may still take, of 13 in 16; the last part is up to twice as large as the others.
pub(crate) struct Parts {
    /// Below zero where conversations were displaced over the end of the part before.
    room: Box<[i32]>,
}

impl Parts {
    /// For an empty table of so many lines.
    pub fn new(lines: usize) -> Self {
        let parts = (lines >> PART_LOG2).max(1);
        let limit = |lines: usize| (lines * 13 / 16) as i32;
        let mut room = vec![limit(1 << PART_LOG2); parts];
        room[parts - 1] = limit(lines - ((parts - 1) << PART_LOG2));
        Self { room: room.into() }
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.room)
    }

    /// Of the part that this line is in.
    #[inline(always)]
    fn of(&mut self, line: usize) -> &mut i32 {
        let last = self.room.len() - 1;
        &mut self.room[last.min(line >> PART_LOG2)]
    }

    #[inline(always)]
    pub fn has_room(&mut self, line: usize) -> bool {
        *self.of(line) > 0
    }

    #[inline(always)]
    pub fn taken(&mut self, line: usize) {
        *self.of(line) -= 1;
    }

    #[inline(always)]
    pub fn freed(&mut self, line: usize) {
        *self.of(line) += 1;
    }
}
