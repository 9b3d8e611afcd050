//! Evidence doesn't stay for ever: what is about devices that have long been silent can be forgotten.
//!
//! By device and not by tuple: what convicts a device, or makes it a peer of a role, counts as long as it is there. Whether a rule rests on
//! evidence is for the caller to say.

use std::collections::HashMap;

use loadlock_packet::Side;

use crate::key::{Device, Tuple};
use crate::learner::Learner;
use crate::row::EvidenceSubject;

impl Learner {
    /// What is known of clients of which nothing at all was seen since `before_ns`; of a conversation whose direction is open, both ends.
    /// Looks at all evidence twice, about 0.1 s for a million keys.
    #[must_use]
    pub fn silent(&self, before_ns: u64) -> Vec<EvidenceSubject> {
        let mut heard: HashMap<Device, u64> = HashMap::new();
        let settled = || self.settled.iter();
        let open = || {
            self.conversations.iter().map(|(key, entry)| {
                let ends = [Side::A, Side::B].map(|side| Tuple::new(key, side).client_device());
                (key, ends, entry.evidence.last_seen_ns)
            })
        };
        let mut hear = |device: Device, time_ns: u64| {
            let heard = heard.entry(device).or_default();
            *heard = (*heard).max(time_ns);
        };
        for (tuple, entry) in settled() {
            hear(tuple.client_device(), entry.evidence.last_seen_ns);
        }
        for (_, ends, last_seen_ns) in open() {
            ends.into_iter().for_each(|device| hear(device, last_seen_ns));
        }
        let is_silent =
            |device: &Device| heard.get(device).is_none_or(|last_ns| *last_ns < before_ns);
        let tuples = settled().filter(|(tuple, _)| is_silent(&tuple.client_device()));
        let conversations = open().filter(|(_, ends, _)| ends.iter().all(is_silent));
        tuples
            .map(|(tuple, _)| self.settled_subject(tuple))
            .chain(conversations.map(|(key, ..)| self.open_subject(key)))
            .collect()
    }

    /// Forgets these, unless they were seen since `before_ns`; the next [`Learner::take_changes`] has them as removed. Returns how many.
    pub fn forget(&mut self, subjects: &[EvidenceSubject], before_ns: u64) -> usize {
        let mut forgotten = 0;
        for subject in subjects {
            forgotten += usize::from(self.forget_one(subject, before_ns));
        }
        if forgotten > 0 {
            self.advance_revision();
        }
        forgotten
    }

    fn forget_one(&mut self, subject: &EvidenceSubject, before_ns: u64) -> bool {
        let Some(key) = self.key_of(subject) else { return false };
        let Some(client) = subject.client_side else {
            let known = self.conversations.get(&key);
            if known.is_none_or(|entry| entry.evidence.last_seen_ns >= before_ns) {
                return false;
            }
            self.conversations.remove(&key);
            self.unsaved.removed.push(key);
            return true;
        };
        let tuple = Tuple::new(&key, client);
        let known = self.settled.get(&tuple);
        if known.is_none_or(|entry| entry.evidence.last_seen_ns >= before_ns) {
            return false;
        }
        self.settled.remove(&tuple);
        if let Some(own) = self.keys_of.get_mut(&tuple.client_device()) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.keys_of.remove(&tuple.client_device());
            }
        }
        self.unsaved.forgotten.push(subject.clone());
        true
    }
}
