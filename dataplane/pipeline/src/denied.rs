//! Remembers denied conversations: so that one that is denied again and again doesn't flood the event ring, and so that its
//! frames don't look into the allowlist each time.
//!
//! A small direct-mapped table. A collision only means one more lookup and one more report, or one report less; the drop
//! counters are exact in any case.

use loadlock_exchange::{DropReason, prefetch};
use loadlock_packet::{Opening, Side};

use crate::entry::{TableKey, Tick};

/// Conversations remembered, a power of two; 64 bytes each.
pub const DENIED_SLOTS: usize = 16_384;

/// Frames on which the verdict is the same as long as the policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeniedKey<K> {
    pub key: K,
    pub sender: Side,
    pub opening: Opening,
}

impl<K: TableKey> DeniedKey<K> {
    /// Everything but the key's words.
    #[inline(always)]
    fn variant(&self) -> u16 {
        let opening = self.opening as u16;
        1 << 3 | u16::from(K::NARROW) << 2 | (self.sender as u16) << 1 | opening
    }
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Slot {
    words: [u64; 5],
    /// [`DeniedKey::variant`]; 0 where nothing is remembered.
    variant: u16,
    /// Low half of the generation that denied.
    generation: u16,
    reason: DropReason,
    packets: u32,
    bytes: u32,
    reported: Tick,
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Slot {
    #[inline(always)]
    fn holds<K: TableKey>(&self, denied: &DeniedKey<K>) -> bool {
        denied.key.same_words(&self.words) & (self.variant == denied.variant())
    }
}

/// The denied conversations of one worker.
pub(crate) struct DeniedReports {
    slots: Box<[Slot; DENIED_SLOTS]>,
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
        let empty = Slot {
            words: [0; 5],
            variant: 0,
            generation: 0,
            reason: DropReason::NoRule,
            packets: 0,
            bytes: 0,
            reported: 0,
        };
        let slots = vec![empty; DENIED_SLOTS].into_boxed_slice();
        let slots = slots.try_into().unwrap_or_else(|_| unreachable!("so many were made"));
        Self { slots, interval }
    }

    /// Where such frames are remembered: both directions of a conversation have the same hash, and in the same slot they would
    /// displace each other with every packet.
    #[inline(always)]
    fn slot(sender: Side, opening: Opening, hash: u64) -> usize {
        let place = sender as u64 | (opening as u64) << 1;
        (hash ^ place) as usize % DENIED_SLOTS
    }

    /// Fetches what the others look at.
    #[inline(always)]
    pub fn prefetch(&self, sender: Side, opening: Opening, hash: u64) {
        prefetch(self.slots.get(Self::slot(sender, opening, hash)));
    }

    /// Why such a frame was denied by the policy of `generation`, if it is remembered.
    #[inline(always)]
    pub fn known<K: TableKey>(
        &self,
        denied: &DeniedKey<K>,
        hash: u64,
        generation: u16,
    ) -> Option<DropReason> {
        let slot = &self.slots[Self::slot(denied.sender, denied.opening, hash)];
        let same = slot.holds(denied) & (slot.generation == generation);
        same.then_some(slot.reason)
    }

    /// Counts such a frame and says why it is denied, if the policy of `generation` denied one and no report is due.
    #[inline(always)]
    pub fn count_known<K: TableKey>(
        &mut self,
        denied: &DeniedKey<K>,
        hash: u64,
        generation: u16,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<DropReason> {
        let slot = &mut self.slots[Self::slot(denied.sender, denied.opening, hash)];
        let same = slot.holds(denied) & (slot.generation == generation);
        if !same || now.wrapping_sub(slot.reported) >= self.interval {
            return None;
        }
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        Some(slot.reason)
    }

    /// Counts a denied frame. Returns what to report if a report is due now.
    pub fn count<K: TableKey>(
        &mut self,
        denied: &DeniedKey<K>,
        reason: DropReason,
        generation: u16,
        hash: u64,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<Due> {
        let at = Self::slot(denied.sender, denied.opening, hash);
        let slot = &mut self.slots[at];
        if slot.reason != reason || !slot.holds(denied) {
            *slot = Slot {
                words: denied.key.words(),
                variant: denied.variant(),
                generation,
                reason,
                packets: 0,
                bytes: 0,
                reported: now.wrapping_sub(self.interval),
            };
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
    use loadlock_packet::{NarrowKey, WideKey};

    use super::*;

    fn denied<K>(key: K, sender: Side, opening: Opening) -> DeniedKey<K> {
        DeniedKey { key, sender, opening }
    }

    #[test]
    fn every_denied_frame_is_in_some_report() {
        let mut reports = DeniedReports::new(10);
        let key = denied(WideKey([1, 2, 3, 4, 5]), Side::B, Opening::May);
        let mut count = |key: &DeniedKey<WideKey>, now, sent| {
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
        let key = denied(NarrowKey([1; 2]), Side::A, Opening::MayNot);
        assert_eq!(reports.known(&key, 7, 0), None);
        reports.count(&key, DropReason::NotOpened, 3, 7, 60, 100);
        assert_eq!(reports.known(&key, 7, 3), Some(DropReason::NotOpened));
        assert_eq!(reports.known(&key, 7, 4), None);
        let others = [
            denied(key.key, Side::B, Opening::MayNot),
            denied(key.key, Side::A, Opening::May),
            denied(NarrowKey([1, 2]), Side::A, Opening::MayNot),
        ];
        for other in others {
            assert_eq!(reports.known(&other, 7, 3), None);
        }
        let wide = denied(WideKey([1, 1, 0, 0, 0]), Side::A, Opening::MayNot);
        assert_eq!(reports.known(&wide, 7, 3), None, "another table's");
        let unused = denied(NarrowKey([0; 2]), Side::A, Opening::May);
        assert_eq!(reports.known(&unused, 100, 0), None, "a slot that was never used");
        assert_eq!(
            reports.count(&key, DropReason::NoRule, 4, 7, 60, 101).map(|due| due.packets),
            Some(1)
        );
        assert_eq!(reports.known(&key, 7, 4), Some(DropReason::NoRule));
    }
}
