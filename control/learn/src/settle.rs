//! Making room: open conversations become keys, and lose their client's port for good.

use loadlock_packet::{FlowKey, Side};

use crate::direction::{Direction, only};
use crate::evidence::Evidence;
use crate::key::{Place, Tuple};
use crate::learner::Learner;

impl Learner {
    /// The side of a conversation that is known to be the service, if the other isn't.
    pub(crate) fn known_server(&self, key: &FlowKey, evidence: &Evidence) -> Option<Side> {
        if self.services.is_empty() {
            return None;
        }
        let places = [Side::A, Side::B].map(|side| Place::of(key, side));
        // A service known by itself comes first: it may answer to all.
        let service = |side: Side| self.services.contains(&places[side as usize]);
        let group = |side: Side| places[side as usize].is_group(evidence);
        only(service).or_else(|| {
            let neither = !service(Side::A) && !service(Side::B);
            only(group).filter(|_| neither)
        })
    }

    /// Settles first the conversations whose direction is sure, and if that leaves the room more than half full, the
    /// oldest of the others by what is known of them. Cost in proportion to all evidence, once for every `conversations_max` / 2
    /// new conversations at most.
    pub(crate) fn make_room(&mut self) {
        self.tally.settlements += 1;
        let directions = self.directions();
        let mut open: Vec<(u64, FlowKey, Direction)> = Vec::new();
        let mut sure: Vec<(FlowKey, Direction)> = Vec::new();
        for (key, entry) in &self.conversations {
            let direction = directions.of(key, &entry.evidence);
            let group = Place::of(key, direction.server).is_group(&entry.evidence);
            if direction.holds_for_others || group {
                sure.push((*key, direction));
            } else {
                open.push((entry.evidence.first_seen_ns, *key, direction));
            }
        }
        // In a fixed order, because the last keys may be refused for want of room.
        sure.sort_unstable_by_key(|(key, _)| *key);
        for (key, direction) in sure {
            if direction.holds_for_others {
                self.services.insert(Place::of(&key, direction.server));
            }
            self.settle_conversation(&key, direction);
        }
        open.sort_unstable_by_key(|(first_seen_ns, key, _)| (*first_seen_ns, *key));
        let excess = open.len().saturating_sub(self.limits.conversations_max / 2);
        for (_, key, direction) in open.into_iter().take(excess) {
            self.settle_conversation(&key, direction);
        }
    }

    fn settle_conversation(&mut self, key: &FlowKey, direction: Direction) {
        let Some(entry) = self.conversations.remove(key) else { return };
        self.unsaved.removed.push(*key);
        let evidence = Evidence { basis: Some(direction.basis), ..entry.evidence };
        self.settle(Tuple::new(key, direction.server.other()), evidence, true);
    }
}
