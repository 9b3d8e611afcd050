//! Remembers denied conversations: so that one that is denied again and again doesn't flood the event ring, and so that its
//! frames don't look into the allowlist each time.
//!
//! A small direct-mapped table. A collision only means one more lookup and one more report, or one report less; the drop
//! counters are exact in any case.

use loadlock_exchange::DropReason;
use loadlock_packet::{Opening, Side};

use crate::entry::Tick;

/// Conversations remembered, a power of two; 64 bytes each.
pub const DENIED_SLOTS: usize = 16_384;

/// Frames on which the verdict is the same as long as the policy is.
#[derive(Clone, Copy)]
pub(crate) struct DeniedKey {
    pub words: [u64; 5],
    pub narrow: bool,
    pub sender: Side,
    pub opening: Opening,
}

impl PartialEq for DeniedKey {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let words = self.words.iter().zip(&other.words);
        let different = words.fold(0, |different, (a, b)| different | (a ^ b));
        different == 0
            && (self.narrow, self.sender, self.opening)
                == (other.narrow, other.sender, other.opening)
    }
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    key: DeniedKey,
    reason: DropReason,
    used: bool,
    generation: u16,
    packets: u32,
    bytes: u32,
    reported: Tick,
}

const _: () = assert!(size_of::<Slot>() == 64);

/// The denied conversations of one worker.
pub(crate) struct DeniedReports {
    slots: Box<[Slot]>,
    interval: Tick,
}

/// A report that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    slot: usize,
    /// Packets it stands for.
    pub packets: u32,
    /// Their bytes.
    pub bytes: u32,
}

impl DeniedReports {
    pub fn new(interval: Tick) -> Self {
        let key =
            DeniedKey { words: [0; 5], narrow: false, sender: Side::A, opening: Opening::May };
        let empty = Slot {
            key,
            reason: DropReason::NoRule,
            used: false,
            generation: 0,
            packets: 0,
            bytes: 0,
            reported: 0,
        };
        Self { slots: vec![empty; DENIED_SLOTS].into_boxed_slice(), interval }
    }

    /// Where such frames are remembered: both directions of a conversation have the same hash, and in the same slot they would
    /// displace each other with every packet.
    fn slot(key: &DeniedKey, hash: u64) -> usize {
        let variant = key.sender as u64 | (key.opening as u64) << 1;
        (hash ^ variant) as usize % DENIED_SLOTS
    }

    /// Why such a frame was denied by the policy of `generation`, if it is remembered.
    pub fn known(&self, key: &DeniedKey, hash: u64, generation: u16) -> Option<DropReason> {
        let slot = &self.slots[Self::slot(key, hash)];
        let same = slot.used && slot.generation == generation && slot.key == *key;
        same.then_some(slot.reason)
    }

    /// Counts such a frame and says why it is denied, if the policy of `generation` denied one and no report is due.
    #[inline(always)]
    pub fn count_known(
        &mut self,
        key: &DeniedKey,
        hash: u64,
        generation: u16,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<DropReason> {
        let interval = self.interval;
        let slot = &mut self.slots[Self::slot(key, hash)];
        let same = slot.used && slot.generation == generation && slot.key == *key;
        if !same || now.wrapping_sub(slot.reported) >= interval {
            return None;
        }
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        Some(slot.reason)
    }

    /// Counts a denied frame. Returns what to report if a report is due now.
    pub fn count(
        &mut self,
        key: &DeniedKey,
        reason: DropReason,
        generation: u16,
        hash: u64,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<Due> {
        let at = Self::slot(key, hash);
        let slot = &mut self.slots[at];
        if !slot.used || slot.reason != reason || slot.key != *key {
            let reported = now.wrapping_sub(self.interval);
            let used = true;
            *slot = Slot { key: *key, reason, used, generation, packets: 0, bytes: 0, reported };
        }
        slot.generation = generation;
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        let due = now.wrapping_sub(slot.reported) >= self.interval;
        due.then_some(Due { slot: at, packets: slot.packets, bytes: slot.bytes })
    }

    /// Says that the ring refused a report that was due: it is due again a tenth of a second later, with what comes until then.
    pub fn refused(&mut self, due: Due, now: Tick) {
        const AGAIN: Tick = 6;
        let wait = AGAIN.min(self.interval);
        self.slots[due.slot].reported = now.wrapping_sub(self.interval).wrapping_add(wait);
    }

    /// Says that a report that was due was sent.
    pub fn reported(&mut self, due: Due, now: Tick) {
        let slot = &mut self.slots[due.slot];
        slot.packets = 0;
        slot.bytes = 0;
        slot.reported = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denied_frame_is_in_some_report() {
        let mut reports = DeniedReports::new(10);
        let key = DeniedKey {
            words: [1, 2, 3, 4, 5],
            narrow: false,
            sender: Side::B,
            opening: Opening::May,
        };
        let mut count = |key: &DeniedKey, now, sent| {
            let due = reports.count(key, DropReason::NoRule, 1, 7, 60, now);
            match due {
                Some(due) if sent => reports.reported(due, now),
                Some(due) => reports.refused(due, now),
                None => {}
            }
            due.map(|due| (due.packets, due.bytes))
        };
        assert_eq!(count(&key, 100, true), Some((1, 60)));
        assert_eq!(count(&key, 105, true), None);
        let other = DeniedKey { sender: Side::A, ..key };
        assert_eq!(count(&other, 105, true), Some((1, 60)));
        assert_eq!(count(&key, 110, false), Some((2, 120)));
        assert_eq!(count(&key, 115, true), None);
        assert_eq!(count(&key, 116, true), Some((4, 240)));
        assert_eq!(count(&key, 117, true), None);
        assert_eq!(count(&other, 114, true), None);
    }

    #[test]
    fn verdicts_are_known_as_long_as_the_policy_is_the_same() {
        let mut reports = DeniedReports::new(10);
        let key =
            DeniedKey { words: [1; 5], narrow: true, sender: Side::A, opening: Opening::MayNot };
        assert_eq!(reports.known(&key, 7, 0), None);
        reports.count(&key, DropReason::NotOpened, 3, 7, 60, 100);
        assert_eq!(reports.known(&key, 7, 3), Some(DropReason::NotOpened));
        assert_eq!(reports.known(&key, 7, 4), None);
        for other in [
            DeniedKey { sender: Side::B, ..key },
            DeniedKey { opening: Opening::May, ..key },
            DeniedKey { words: [2; 5], ..key },
            DeniedKey { narrow: false, ..key },
        ] {
            assert_eq!(reports.known(&other, 7, 3), None);
        }
        assert_eq!(
            reports.count(&key, DropReason::NoRule, 4, 7, 60, 101).map(|due| due.packets),
            Some(1)
        );
        assert_eq!(reports.known(&key, 7, 4), Some(DropReason::NoRule));
    }
}
