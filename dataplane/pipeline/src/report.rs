//! Events: where they go, and how they are made.

use loadlock_exchange::{Event, EventFlags, EventKind, Producer, RingFull, RingMemory};

use crate::entry::{Entry, Flags, TableKey};
use crate::verdict::VerdictWord;

/// Where events go. A sink with limited room keeps some of it for what matters more.
pub trait EventSink {
    /// Takes an event.
    ///
    /// # Errors
    /// [`RingFull`]: not taken.
    fn push(&mut self, event: &Event) -> Result<(), RingFull>;
    /// Makes the taken events visible; once a burst.
    fn publish(&mut self);
    /// Would it refuse the start of a conversation now?
    fn is_full(&mut self) -> bool;
}

impl<M: RingMemory> EventSink for Producer<M> {
    /// What began may use the whole ring; what ended, goes on or is repeated seven eighths; what was denied half of
    /// it: neither a scan nor the roll-call for a new control can displace learning.
    #[inline(always)]
    fn push(&mut self, event: &Event) -> Result<(), RingFull> {
        let reserve = match event.kind {
            EventKind::Started if !event.flags.repeated => 0,
            EventKind::Started | EventKind::Ended | EventKind::Counted => self.capacity() / 8,
            EventKind::Denied(_) => self.capacity() / 2,
        };
        self.push_with(reserve, |slot| event.write(slot))
    }

    #[inline]
    fn publish(&mut self) {
        Producer::publish(self);
    }

    fn is_full(&mut self) -> bool {
        Producer::is_full(self)
    }
}

impl EventSink for Vec<Event> {
    fn push(&mut self, event: &Event) -> Result<(), RingFull> {
        Vec::push(self, *event);
        Ok(())
    }

    fn publish(&mut self) {}

    fn is_full(&mut self) -> bool {
        false
    }
}

/// Counts since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub flows_started: u64,
    pub flows_ended: u64,
    pub flows_refused: u64,
    pub events_sent: u64,
    pub events_refused: u64,
    pub denied_unreported: u64,
    pub negotiated_opened: u64,
    pub negotiated_unread: u64,
}

/// Pushes and counts. False: refused.
#[inline(always)]
pub(crate) fn send<S: EventSink>(events: &mut S, counts: &mut Counts, event: &Event) -> bool {
    let taken = events.push(event).is_ok();
    if taken {
        counts.events_sent += 1;
    } else {
        counts.events_refused += 1;
    }
    taken
}

/// An event of a conversation in the flow table.
#[inline(always)]
pub(crate) fn event<K: TableKey>(kind: EventKind, entry: &Entry<K>, clock_ns: u64) -> Event {
    Event {
        kind,
        time_ns: clock_ns,
        key: entry.key.flow_key(),
        initiator: entry.flags.initiator(),
        flags: EventFlags {
            midstream: entry.flags.has(Flags::MIDSTREAM),
            handshake: entry.flags.has(Flags::HANDSHAKE),
            repeated: false,
            forwarded: true,
            after_grace: entry.flags.has(Flags::AFTER_GRACE),
            learning: entry.verdict == VerdictWord::LEARNING,
            negotiated: entry.verdict.is_negotiated(),
        },
        rule: entry.verdict.rule_id(),
        packets: entry.packets.map(u64::from),
        bytes: entry.bytes,
        macs: entry.macs,
        claimed: None,
    }
}
