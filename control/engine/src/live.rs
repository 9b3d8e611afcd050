//! Live conversations, as control knows them from events. Bounded; for people to look at, never for a verdict.

use std::collections::HashMap;

use loadlock_exchange::{Event, EventKind, RuleId};
use loadlock_packet::{FlowKey, Side};

/// Why a live conversation is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveBasis {
    /// By a rule of the policy that judged it first.
    Rule(RuleId),
    /// Because its segment learns.
    Learning,
    /// Because its port was negotiated by a conversation that the rule permits, or that is learned.
    Negotiated(Option<RuleId>),
    /// Only because its segment doesn't enforce.
    WouldDeny,
}

/// A conversation that has started and not ended.
#[derive(Clone, Copy, Debug)]
pub struct LiveFlow {
    /// Who sent the first packet, or spoke first.
    pub initiator: Side,
    /// Met running.
    pub midstream: bool,
    /// When its start was reported first, ns since 1970.
    pub started_ns: u64,
    /// Why it is forwarded.
    pub basis: LiveBasis,
    /// Packets from side A and B, as of the last report.
    pub packets: [u64; 2],
    /// Frame bytes from side A and B, as of the last report.
    pub bytes: [u64; 2],
    /// Counters were read out: from then on the packets of the first report, which they count too, are in the sums.
    read_out: bool,
}

impl LiveFlow {
    fn read_out(&mut self, event: &Event) {
        if !std::mem::replace(&mut self.read_out, true) {
            (self.packets, self.bytes) = ([0; 2], [0; 2]);
        }
        (self.packets, self.bytes) = self.with(event);
    }

    fn with(&self, event: &Event) -> ([u64; 2], [u64; 2]) {
        let sum = |own: [u64; 2], more: [u64; 2]| [own[0] + more[0], own[1] + more[1]];
        (sum(self.packets, event.packets), sum(self.bytes, event.bytes))
    }
}

/// The view.
#[derive(Debug)]
pub struct LiveView {
    capacity: usize,
    flows: HashMap<FlowKey, LiveFlow>,
    flows_left_out: u64,
}

impl LiveView {
    /// An empty view of at most `capacity` live conversations.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, flows: HashMap::new(), flows_left_out: 0 }
    }

    /// Keeps so many from now on; those beyond it that are kept already stay until they end.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Takes an event into account. Returns it with the counts of the whole conversation, as far as they are known (an end by itself
    /// counts from the last read-out on), and with when that began, ns since 1970.
    pub fn observe(&mut self, event: &Event) -> (Event, Option<u64>) {
        match event.kind {
            EventKind::Started => {
                self.start(event);
                return (*event, Some(event.time_ns));
            }
            EventKind::Ended => {
                let Some(flow) = self.flows.remove(&event.key) else { return (*event, None) };
                let whole =
                    if flow.read_out { flow.with(event) } else { (event.packets, event.bytes) };
                return (
                    Event { packets: whole.0, bytes: whole.1, ..*event },
                    Some(flow.started_ns),
                );
            }
            EventKind::Counted => {
                if let Some(flow) = self.flows.get_mut(&event.key) {
                    flow.read_out(event);
                }
            }
            EventKind::Denied(_) => {}
        }
        (*event, None)
    }

    fn start(&mut self, event: &Event) {
        if self.flows.len() >= self.capacity && !self.flows.contains_key(&event.key) {
            self.flows_left_out += 1;
            return;
        }
        let basis = match event.rule {
            rule if event.flags.negotiated => LiveBasis::Negotiated(rule),
            Some(rule) => LiveBasis::Rule(rule),
            None if event.flags.learning => LiveBasis::Learning,
            None => LiveBasis::WouldDeny,
        };
        let flow = LiveFlow {
            initiator: event.initiator,
            midstream: event.flags.midstream,
            started_ns: event.time_ns,
            basis,
            packets: event.packets,
            bytes: event.bytes,
            read_out: false,
        };
        self.flows.insert(event.key, flow);
    }

    /// Forgets the live conversations: the workers have gone, or will report them again.
    pub fn clear_flows(&mut self) {
        self.flows.clear();
        self.flows_left_out = 0;
    }

    /// Live conversations, the latest first.
    #[must_use]
    pub fn flows(&self) -> Vec<(FlowKey, LiveFlow)> {
        let mut flows: Vec<_> = self.flows.iter().map(|(key, flow)| (*key, *flow)).collect();
        flows.sort_by_key(|(key, flow)| (std::cmp::Reverse(flow.started_ns), *key));
        flows
    }

    /// Conversations whose start didn't fit into the view.
    #[must_use]
    pub fn flows_left_out(&self) -> u64 {
        self.flows_left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadlock_exchange::EventFlags;
    use loadlock_packet::MacAddress;

    fn event(kind: EventKind, word: u64, time_ns: u64) -> Event {
        let key = FlowKey::from_words([word, 0, 0, 0, 0], true).expect("kind 0 is TCP");
        Event {
            kind,
            time_ns,
            key,
            initiator: Side::A,
            flags: EventFlags::default(),
            rule: None,
            packets: [1, 0],
            bytes: [60, 0],
            macs: [MacAddress([0; 6]); 2],
            claimed: None,
        }
    }

    #[test]
    fn live_conversations_are_bounded_and_counted() {
        let mut view = LiveView::new(2);
        for word in 0..5 {
            view.observe(&event(EventKind::Started, word, word));
        }
        assert_eq!((view.flows().len(), view.flows_left_out()), (2, 3));
        let mut counted = event(EventKind::Counted, 0, 8);
        counted.packets = [4, 5];
        view.observe(&counted);
        let (ended, started_ns) = view.observe(&event(EventKind::Ended, 0, 9));
        assert_eq!(started_ns, Some(0));
        assert_eq!(ended.packets, [4 + 1, 5], "the first packet was counted with the read-out");
        assert_eq!(view.flows().len(), 1);
    }
}
