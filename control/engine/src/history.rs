//! Flow records: what each kind of conversation did in each hour, permitted or denied, in every mode. Learning's evidence says what is usual;
//! this says what happened, for as long as it is kept.
//!
//! A record is counted in memory for its hour and written as a whole each time, with the evidence and the cursors: a control that is killed
//! goes on exactly there. The hour is that of control's clock when it takes the event.

use std::collections::HashMap;

use loadlock_exchange::{DropReason, Event, EventKind};
use loadlock_learn::Tuple;
use loadlock_packet::{Kind, Side};
use loadlock_store::FlowRow;

mod code;

pub(crate) use code::{BEHIND_DENIED, decode};

const NS_PER_SECOND: u64 = 1_000_000_000;
const NS_PER_HOUR: u64 = 3_600 * NS_PER_SECOND;
/// What a record takes on disk, about; measured in `core::speed`.
const RECORD_BYTES: u64 = 96;
/// One hour may take this part of the whole room: who scans mustn't wash the history away within hours.
const HOUR_SHARE: u64 = 128;

/// The hour since 1970 of a time.
pub(crate) fn hour_of(time_ns: u64) -> u32 {
    u32::try_from(time_ns / NS_PER_HOUR).unwrap_or(u32::MAX)
}

/// When an hour begins, ns since 1970.
pub(crate) fn hour_ns(hour: u32) -> u64 {
    u64::from(hour) * NS_PER_HOUR
}

/// What became of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Denied(DropReason),
    WouldDeny(DropReason),
    Permitted,
}

/// What a record is about: conversations of a tuple with one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FlowKind {
    pub outcome: Outcome,
    pub tuple: Tuple,
}

/// What was counted of it within the hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub conversations: u64,
    pub packets: u64,
    pub bytes: u64,
    /// Seconds of the hour of its first and last event.
    pub seconds: [u64; 2],
}

struct Entry {
    tally: Tally,
    unsaved: bool,
}

/// The records of the hour that runs.
pub(crate) struct History {
    names: Vec<String>,
    hour: u32,
    kinds: HashMap<FlowKind, Entry>,
    kinds_max: usize,
    unsaved: Vec<FlowKind>,
    /// Of the hours before, until they are written.
    finished: Vec<FlowRow>,
    /// Events that no record tells of, for want of room, since control started.
    pub refused: u64,
}

/// Kinds of conversation of one hour for which there is room.
fn kinds_max(limit_bytes: u64) -> usize {
    usize::try_from(limit_bytes / HOUR_SHARE / RECORD_BYTES).unwrap_or(usize::MAX)
}

impl History {
    /// Goes on with the stored records of the hour that runs.
    pub fn new(names: Vec<String>, now_ns: u64, limit_bytes: u64, stored: &[FlowRow]) -> Self {
        let hour = hour_of(now_ns);
        let of_hour = stored.iter().filter(|row| row.hour == hour);
        let kinds = of_hour
            .filter_map(|row| decode(&names, &row.key, &row.value))
            .map(|(kind, tally)| (kind, Entry { tally, unsaved: false }));
        Self {
            kinds: kinds.collect(),
            kinds_max: kinds_max(limit_bytes),
            names,
            hour,
            unsaved: Vec::new(),
            finished: Vec::new(),
            refused: 0,
        }
    }

    /// Has so much room from now on; what it holds beyond that stays until the hour ends.
    pub fn set_limit(&mut self, limit_bytes: u64) {
        self.kinds_max = kinds_max(limit_bytes);
    }

    /// Begins a new hour if it is one. A clock that is set back goes on with the hour it had.
    pub fn advance(&mut self, now_ns: u64) {
        let hour = hour_of(now_ns);
        if hour > self.hour {
            self.finish_hour();
            self.hour = hour;
            self.kinds.clear();
        }
    }

    fn finish_hour(&mut self) {
        let rows = self.take_unsaved();
        self.finished = rows;
    }

    /// Counts an event. One or two hash lookups.
    pub fn observe(&mut self, event: &Event) {
        let outcome = match event.kind {
            EventKind::Denied(reason) if event.flags.forwarded => Outcome::WouldDeny(reason),
            EventKind::Denied(reason) => Outcome::Denied(reason),
            _ => Outcome::Permitted,
        };
        if event.key.tail().segment().index() >= self.names.len() {
            return;
        }
        let kind = FlowKind { outcome, tuple: Tuple::new(&event.key, client_of(event)) };
        let second = event.time_ns / NS_PER_SECOND;
        let second = second.saturating_sub(u64::from(self.hour) * 3_600).min(3_599);
        let full = self.kinds.len() >= self.kinds_max;
        if full && !self.kinds.contains_key(&kind) {
            self.refused += 1;
            return;
        }
        let entry = self.kinds.entry(kind).or_insert(Entry {
            tally: Tally { seconds: [second; 2], ..Tally::default() },
            unsaved: false,
        });
        let tally = &mut entry.tally;
        tally.seconds = [tally.seconds[0].min(second), tally.seconds[1].max(second)];
        let begins = matches!(event.kind, EventKind::Started | EventKind::Denied(_));
        tally.conversations += u64::from(begins && !event.flags.repeated);
        if event.kind != EventKind::Started {
            let sum = |pair: [u64; 2]| pair[0].saturating_add(pair[1]);
            tally.packets = tally.packets.saturating_add(sum(event.packets));
            tally.bytes = tally.bytes.saturating_add(sum(event.bytes));
        }
        if !std::mem::replace(&mut entry.unsaved, true) {
            self.unsaved.push(kind);
        }
    }

    /// What the store hasn't yet. If it can't be stored, give it back to [`History::keep_unsaved`].
    pub fn take_unsaved(&mut self) -> Vec<FlowRow> {
        let mut rows = std::mem::take(&mut self.finished);
        for kind in std::mem::take(&mut self.unsaved) {
            let Some(entry) = self.kinds.get_mut(&kind) else { continue };
            entry.unsaved = false;
            rows.push(code::encode(&self.names, self.hour, &kind, &entry.tally));
        }
        rows
    }

    /// Takes back what couldn't be stored; what was counted since goes before it.
    pub fn keep_unsaved(&mut self, rows: Vec<FlowRow>) {
        for row in rows {
            if row.hour != self.hour {
                self.finished.push(row);
                continue;
            }
            let Some((kind, _)) = decode(&self.names, &row.key, &row.value) else { continue };
            let entry = self.kinds.get_mut(&kind);
            if entry.is_some_and(|entry| !std::mem::replace(&mut entry.unsaved, true)) {
                self.unsaved.push(kind);
            }
        }
    }
}

/// Who asked, as far as one event tells. Of a conversation that was met running the lower port is taken for the service.
fn client_of(event: &Event) -> Side {
    let ports = matches!(event.key.tail().kind(), Kind::Tcp | Kind::Udp);
    if !(event.flags.midstream && ports) {
        return event.initiator;
    }
    let [a, b] = [Side::A, Side::B].map(|side| event.key.endpoint(side).service);
    if a < b { Side::B } else { Side::A }
}

#[cfg(test)]
mod tests;
