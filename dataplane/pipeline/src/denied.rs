//! Remembers denied conversations: so that one that is denied again and again doesn't flood the event ring, and so that its
//! frames don't look into the allowlist each time.
//!
//! A table of sets, 8 MiB a worker. One that isn't remembered, or is displaced, only means one more lookup and one more report, or
//! one report less; the drop counters are exact in any case.

use std::io;

use loadlock_exchange::{DropReason, prefetch};
use loadlock_packet::{Opening, Side, SourceWord};

use crate::entry::Tick;
use crate::storage::{Storage, Zeroed};

/// Conversations remembered, per direction and way of opening.
pub const DENIED_SLOTS: usize = SETS * WAYS;
/// Slots of a set, which is a cache line.
const WAYS: usize = 2;
const SETS: usize = 131_072;
/// Of so many that find their set full of ones that are denied still, one gets in: with more than the table holds, most of those
/// that are in it stay and are found.
const ADMITTED_ONE_IN: u32 = 8;

/// Frames on which the verdict is the same as long as the policy is: of one conversation, from one side and station, that may or may
/// not begin it. 64 bits that nobody outside can compute; that two are mistaken for each other takes some 10¹⁸ conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeniedId(u64);

impl DeniedId {
    /// Of no frame yet.
    pub const NONE: Self = Self(0);

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
        Self(hash ^ (variant + 1) << 47 ^ source.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[inline(always)]
    fn set(self) -> usize {
        (self.0 >> 47) as usize % SETS
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

// SAFETY: integers, a truth value and a reason, of which 0 is the first: all bits zero is a set of unused slots.
unsafe impl Zeroed for Set {}

impl Set {
    #[inline(always)]
    fn way(&self, id: DeniedId) -> Option<usize> {
        self.0.iter().position(|slot| slot.used && slot.id == id)
    }
}

/// The denied conversations of one worker.
pub(crate) struct DeniedReports {
    sets: Storage<Set>,
    interval: Tick,
    /// Reports that were due since `window` began, and in the window before it.
    recent: [u32; 2],
    /// Begin of a stretch as long as the interval.
    window: Tick,
    /// Of those that found their set full.
    turned_away: u32,
}

/// A report that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    set: usize,
    /// `None`: it isn't remembered.
    way: Option<usize>,
    /// Packets it stands for.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u32,
}

impl DeniedReports {
    /// # Errors
    /// The kernel has no memory for it.
    pub fn new(interval: Tick, huge: bool) -> io::Result<Self> {
        let sets = Storage::new(SETS, huge)?;
        Ok(Self { sets, interval, recent: [0; 2], window: 0, turned_away: 0 })
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }

    /// Conversations that are being denied now, about: each has a report every interval.
    #[inline]
    pub fn live(&self, now: Tick) -> usize {
        let [current, before] = self.recent;
        match now.wrapping_sub(self.window) / self.interval.max(1) {
            0 => current.max(before) as usize,
            1 => current as usize,
            _ => 0,
        }
    }

    fn note_report(&mut self, now: Tick) {
        let windows = now.wrapping_sub(self.window) / self.interval.max(1);
        if windows > 0 {
            self.recent = [0, if windows == 1 { self.recent[0] } else { 0 }];
            self.window = now;
        }
        self.recent[0] = self.recent[0].saturating_add(1);
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
        let set = id.set();
        let known = self.sets[set].way(id);
        let way = match known.filter(|&way| self.sets[set].0[way].reason == reason) {
            Some(way) => way,
            None => {
                let Some(way) = known.or_else(|| self.place_in(set, generation, now)) else {
                    self.note_report(now);
                    return Some(Due { set, way: None, packets: 1, bytes: frame_bytes });
                };
                let reported = now.wrapping_sub(self.interval);
                let (packets, bytes, used) = (0, 0, true);
                self.sets[set].0[way] =
                    Slot { id, packets, bytes, reported, generation, reason, used };
                way
            }
        };
        let interval = self.interval;
        let slot = &mut self.sets[set].0[way];
        slot.generation = generation;
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        let due = Due { set, way: Some(way), packets: slot.packets, bytes: slot.bytes };
        if now.wrapping_sub(slot.reported) < interval {
            return None;
        }
        self.note_report(now);
        Some(due)
    }

    /// Where in a set there is place for another one: in the slot that was reported longest ago, an unused one before all.
    fn place_in(&mut self, set: usize, generation: u16, now: Tick) -> Option<usize> {
        let age = |slot: &Slot| match slot.used {
            true => now.wrapping_sub(slot.reported),
            false => Tick::MAX,
        };
        let slots = &self.sets[set].0;
        let (way, oldest) = slots.iter().enumerate().max_by_key(|(_, slot)| age(slot))?;
        // It would have been reported again since.
        let over = age(oldest) >= self.interval.saturating_mul(2);
        if over || oldest.generation != generation {
            return Some(way);
        }
        self.turned_away = self.turned_away.wrapping_add(1);
        self.turned_away.is_multiple_of(ADMITTED_ONE_IN).then_some(way)
    }

    /// Says that the ring refused a report that was due: it is due again a tenth of a second later, with what comes until then.
    pub fn refused(&mut self, due: Due, now: Tick) {
        const AGAIN: Tick = 6;
        let wait = AGAIN.min(self.interval);
        let reported = now.wrapping_sub(self.interval).wrapping_add(wait);
        if let Some(slot) = self.slot(due) {
            slot.reported = reported;
        }
    }

    /// Says that a report that was due was sent.
    pub fn reported(&mut self, due: Due, now: Tick) {
        if let Some(slot) = self.slot(due) {
            slot.packets = 0;
            slot.bytes = 0;
            slot.reported = now;
        }
    }

    fn slot(&mut self, due: Due) -> Option<&mut Slot> {
        due.way.map(|way| &mut self.sets[due.set].0[way])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(hash: u64, narrow: bool, sender: Side, opening: Opening) -> DeniedId {
        DeniedId::new(hash, narrow, sender, opening, SourceWord(0))
    }

    fn reports_every(interval: Tick) -> DeniedReports {
        DeniedReports::new(interval, false).expect("memory")
    }

    #[test]
    fn every_denied_frame_is_in_some_report() {
        let mut reports = reports_every(10);
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
        let mut reports = reports_every(10);
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
    fn a_set_gives_up_what_is_denied_no_longer() {
        let mut reports = reports_every(10);
        let [first, second, third] =
            [1, 2, 3].map(|hash| denied(hash, true, Side::A, Opening::May));
        let mut see = |id, now| {
            let due = reports.count(id, DropReason::NoRule, 1, 60, now);
            if let Some(due) = due {
                reports.reported(due, now);
            }
            [first, second, third].map(|id| reports.known(id, 1).is_some())
        };
        for (id, now) in [(first, 100), (second, 101), (first, 111)] {
            see(id, now);
        }
        assert_eq!(see(third, 112), [true, true, false], "both are denied still");
        assert_eq!(see(third, 120), [true, true, false]);
        assert_eq!(see(third, 121), [true, false, true], "the second is over");
    }

    #[test]
    fn of_those_that_find_a_set_full_one_in_eight_gets_in() {
        let mut reports = reports_every(10);
        let mut known = Vec::new();
        for hash in 0..2 + 3 * u64::from(ADMITTED_ONE_IN) {
            let id = denied(hash, true, Side::A, Opening::May);
            let due = reports.count(id, DropReason::NoRule, 1, 60, 100);
            assert_eq!(due.map(|due| due.packets), Some(1), "each is reported");
            reports.reported(due.expect("a report"), 100);
            known.push(reports.known(id, 1).is_some());
        }
        assert_eq!(known.iter().filter(|known| **known).count(), 2 + 3);
    }

    #[test]
    fn it_knows_about_how_many_are_denied_now() {
        let mut reports = reports_every(10);
        let mut see = |number: u64, now| {
            for hash in 0..number {
                let id = denied(hash << 47, true, Side::A, Opening::May);
                if let Some(due) = reports.count(id, DropReason::NoRule, 1, 60, now) {
                    reports.reported(due, now);
                }
            }
            reports.live(now)
        };
        assert_eq!(see(50, 100), 50);
        assert_eq!(see(50, 105), 50, "the same ones, none due");
        assert_eq!(see(50, 112), 50);
        assert_eq!(see(3, 123), 50, "of the window before");
        assert_eq!(see(3, 134), 3);
        assert_eq!(see(0, 300), 0);
    }
}
