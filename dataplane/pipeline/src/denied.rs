//! Remembers denied conversations: so that one that is denied again and again doesn't flood the event ring, and so that its
//! frames don't look into the allowlist each time.
//!
//! A small table of sets. One that is displaced only means one more lookup and one more report, or one report less; the drop
//! counters are exact in any case.

use loadlock_exchange::{DropReason, prefetch};
use loadlock_packet::{Opening, Side, SourceWord};

use crate::entry::Tick;

/// Conversations remembered, per direction and way of opening.
pub const DENIED_SLOTS: usize = SETS * WAYS;
/// Slots of a set, which is a cache line.
const WAYS: usize = 2;
const SETS: usize = 16_384;

/// Frames on which the verdict is the same as long as the policy is: of one conversation, from one side and station, that may or may
/// not begin it. 64 bits that nobody outside can compute; that two are mistaken for each other takes some 10¹⁸ conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeniedId(u64);

impl DeniedId {
    /// `hash` is that of the conversation's table.
    #[inline(always)]
    pub fn new(
        hash: u64,
        narrow: bool,
        sender: Side,
        opening: Opening,
        source: SourceWord,
    ) -> Self {
        let variant = u64::from(narrow) << 2 | (sender as u64) << 1 | opening as u64;
        // Away from the upper bits, so that the directions of a conversation, which have the same hash, lie in different sets.
        Self(hash ^ (variant + 1) << 48 ^ source.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[inline(always)]
    fn set(self) -> usize {
        (self.0 >> 48) as usize % SETS
    }
}

#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot {
    id: DeniedId,
    packets: u32,
    bytes: u32,
    reported: Tick,
    /// Low half of the generation that denied.
    generation: u16,
    reason: DropReason,
    used: bool,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

const _: () = assert!(size_of::<Set>() == 64);

impl Set {
    #[inline(always)]
    fn way(&self, id: DeniedId) -> Option<usize> {
        self.0.iter().position(|slot| slot.used && slot.id == id)
    }
}

/// The denied conversations of one worker.
pub(crate) struct DeniedReports {
    sets: Box<[Set; SETS]>,
    interval: Tick,
}

/// A report that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    set: usize,
    way: usize,
    /// Packets it stands for.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u32,
}

impl DeniedReports {
    pub fn new(interval: Tick) -> Self {
        let empty = Slot {
            id: DeniedId(0),
            packets: 0,
            bytes: 0,
            reported: 0,
            generation: 0,
            reason: DropReason::NoRule,
            used: false,
        };
        let sets = vec![Set([empty; WAYS]); SETS].into_boxed_slice();
        Self {
            sets: sets.try_into().unwrap_or_else(|_| unreachable!("so many were made")),
            interval,
        }
    }

    /// Fetches what the others look at.
    #[inline(always)]
    pub fn prefetch(&self, id: DeniedId) {
        prefetch(self.sets.get(id.set()));
    }

    /// Why such a frame was denied by the policy of `generation`, if it is remembered.
    #[inline(always)]
    pub fn known(&self, id: DeniedId, generation: u16) -> Option<DropReason> {
        let set = &self.sets[id.set()];
        let slot = set.0[set.way(id)?];
        (slot.generation == generation).then_some(slot.reason)
    }

    /// Counts such a frame and says why it is denied, if the policy of `generation` denied one and no report is due.
    #[inline(always)]
    pub fn count_known(
        &mut self,
        id: DeniedId,
        generation: u16,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<DropReason> {
        let interval = self.interval;
        let set = &mut self.sets[id.set()];
        let way = set.way(id)?;
        let slot = &mut set.0[way];
        if slot.generation != generation || now.wrapping_sub(slot.reported) >= interval {
            return None;
        }
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        Some(slot.reason)
    }

    /// Counts a denied frame. Returns what to report if a report is due now.
    pub fn count(
        &mut self,
        id: DeniedId,
        reason: DropReason,
        generation: u16,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<Due> {
        let interval = self.interval;
        let set = &mut self.sets[id.set()];
        let way = match set.way(id).filter(|&way| set.0[way].reason == reason) {
            Some(way) => way,
            None => {
                // In the place of the one that was reported longest ago, an unused one before all.
                let worth = |way: &usize| {
                    let slot = &set.0[*way];
                    (slot.used, Tick::MAX - now.wrapping_sub(slot.reported))
                };
                let way = set.way(id).or_else(|| (0..WAYS).min_by_key(worth)).unwrap_or(0);
                let reported = now.wrapping_sub(interval);
                let (packets, bytes, used) = (0, 0, true);
                set.0[way] = Slot { id, packets, bytes, reported, generation, reason, used };
                way
            }
        };
        let slot = &mut set.0[way];
        slot.generation = generation;
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        let due = now.wrapping_sub(slot.reported) >= interval;
        due.then_some(Due { set: id.set(), way, packets: slot.packets, bytes: slot.bytes })
    }

    /// Says that the ring refused a report that was due: it is due again a tenth of a second later, with what comes until then.
    pub fn refused(&mut self, due: Due, now: Tick) {
        const AGAIN: Tick = 6;
        let wait = AGAIN.min(self.interval);
        self.sets[due.set].0[due.way].reported = now.wrapping_sub(self.interval).wrapping_add(wait);
    }

    /// Says that a report that was due was sent.
    pub fn reported(&mut self, due: Due, now: Tick) {
        let slot = &mut self.sets[due.set].0[due.way];
        slot.packets = 0;
        slot.bytes = 0;
        slot.reported = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(hash: u64, narrow: bool, sender: Side, opening: Opening) -> DeniedId {
        DeniedId::new(hash, narrow, sender, opening, SourceWord(0))
    }

    #[test]
    fn every_denied_frame_is_in_some_report() {
        let mut reports = DeniedReports::new(10);
        let id = denied(7, false, Side::B, Opening::May);
        let mut count = |id: DeniedId, now, sent| {
            let due = reports.count(id, DropReason::NoRule, 1, 60, now);
            match due {
                Some(due) if sent => reports.reported(due, now),
                Some(due) => reports.refused(due, now),
                None => {}
            }
            due.map(|due| (due.packets, due.bytes))
        };
        assert_eq!(count(id, 100, true), Some((1, 60)));
        assert_eq!(count(id, 105, true), None);
        let other = denied(7, false, Side::A, Opening::May);
        assert_eq!(count(other, 105, true), Some((1, 60)));
        assert_eq!(count(id, 110, false), Some((2, 120)));
        assert_eq!(count(id, 115, true), None);
        assert_eq!(count(id, 116, true), Some((4, 240)));
        assert_eq!(count(id, 117, true), None);
        assert_eq!(count(other, 114, true), None);
    }

    #[test]
    fn verdicts_are_known_as_long_as_the_policy_is_the_same() {
        let mut reports = DeniedReports::new(10);
        let id = denied(7, true, Side::A, Opening::MayNot);
        assert_eq!(reports.known(id, 0), None);
        reports.count(id, DropReason::NotOpened, 3, 60, 100);
        assert_eq!(reports.known(id, 3), Some(DropReason::NotOpened));
        assert_eq!(reports.known(id, 4), None);
        for (hash, narrow, sender, opening) in [
            (7, true, Side::B, Opening::MayNot),
            (7, true, Side::A, Opening::May),
            (7, false, Side::A, Opening::MayNot),
            (8, true, Side::A, Opening::MayNot),
        ] {
            let other = denied(hash, narrow, sender, opening);
            assert_eq!(reports.known(other, 3), None);
        }
        let station = SourceWord::beginning([2, 0, 0, 0, 0, 9, 0, 0]);
        let other = DeniedId::new(7, true, Side::A, Opening::MayNot, station);
        assert_eq!(reports.known(other, 3), None, "another station's");
        let due = reports.count(id, DropReason::NoRule, 4, 60, 101);
        assert_eq!(due.map(|due| due.packets), Some(1), "another reason is another report");
        assert_eq!(reports.known(id, 4), Some(DropReason::NoRule));
    }

    #[test]
    fn a_set_gives_up_the_one_that_was_reported_longest_ago() {
        let mut reports = DeniedReports::new(10);
        let [first, second, third] =
            [1, 2, 3].map(|hash| denied(hash, true, Side::A, Opening::May));
        for (id, now) in [(first, 100), (second, 101), (first, 111), (third, 112)] {
            if let Some(due) = reports.count(id, DropReason::NoRule, 1, 60, now) {
                reports.reported(due, now);
            }
        }
        assert_eq!(
            [first, second, third].map(|id| reports.known(id, 1).is_some()),
            [true, false, true]
        );
    }
}
