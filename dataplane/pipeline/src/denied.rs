//! Keeps a conversation that is denied again and again from flooding the event ring.
//!
//! A small direct-mapped table remembers which conversations were reported lately. A collision only means one more
//! report, or one less; the drop counters are exact in any case.

use loadlock_exchange::DropReason;
use loadlock_packet::Side;

use crate::entry::Tick;

/// Conversations remembered, a power of two; 64 bytes each.
pub const DENIED_SLOTS: usize = 4096;

/// What makes two denied frames the same report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeniedKey {
    pub words: [u64; 5],
    pub narrow: bool,
    pub sender: Side,
    pub reason: DropReason,
}

#[derive(Clone, Copy)]
struct Slot {
    key: DeniedKey,
    packets: u32,
    bytes: u32,
    reported: Tick,
    used: bool,
}

/// The remembered reports of one worker.
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
            DeniedKey { words: [0; 5], narrow: false, sender: Side::A, reason: DropReason::NoRule };
        let empty = Slot { key, packets: 0, bytes: 0, reported: 0, used: false };
        Self { slots: vec![empty; DENIED_SLOTS].into_boxed_slice(), interval }
    }

    /// Counts a denied frame. Returns what to report if a report is due now.
    pub fn count(
        &mut self,
        key: &DeniedKey,
        hash: u64,
        frame_bytes: u32,
        now: Tick,
    ) -> Option<Due> {
        // Both directions of a conversation have the same hash; in the same slot they would displace each other with every
        // packet.
        let variant = key.sender as u64 | (key.reason as u64) << 1;
        let at = (hash ^ variant) as usize % DENIED_SLOTS;
        let slot = &mut self.slots[at];
        if !slot.used || slot.key != *key {
            let reported = now.wrapping_sub(self.interval);
            *slot = Slot { key: *key, packets: 0, bytes: 0, reported, used: true };
        }
        slot.packets = slot.packets.saturating_add(1);
        slot.bytes = slot.bytes.saturating_add(frame_bytes);
        let due = now.wrapping_sub(slot.reported) >= self.interval;
        due.then_some(Due { slot: at, packets: slot.packets, bytes: slot.bytes })
    }

    /// Says that a report that was due was sent. Unless it is, the conversation's next frame tries again.
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
            reason: DropReason::NoRule,
        };
        let mut count = |key: &DeniedKey, now, sent| {
            let due = reports.count(key, 7, 60, now);
            if let Some(due) = due
                && sent
            {
                reports.reported(due, now);
            }
            due.map(|due| (due.packets, due.bytes))
        };
        assert_eq!(count(&key, 100, true), Some((1, 60)));
        assert_eq!(count(&key, 105, true), None);
        let other = DeniedKey { sender: Side::A, ..key };
        assert_eq!(count(&other, 105, true), Some((1, 60)));
        assert_eq!(count(&key, 110, false), Some((2, 120)));
        assert_eq!(count(&key, 111, true), Some((3, 180)));
        assert_eq!(count(&key, 112, true), None);
        assert_eq!(count(&other, 112, true), None);
    }
}
