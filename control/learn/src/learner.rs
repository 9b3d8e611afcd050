//! The learner: takes events, keeps evidence, gives rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use loadlock_exchange::{Event, EventFlags, EventKind};
use loadlock_packet::{FlowKey, Kind, Side};
use loadlock_policy::{Policy, PolicyErrors};

use crate::admission::{AdmissionSettings, Answers, Window};
use crate::candidate::Decisions;
use crate::days::NS_PER_DAY;
use crate::decide::decide;
use crate::direction::Directions;
use crate::evidence::{Basis, Evidence};
use crate::key::{Device, Place, Tuple, is_possible};
use crate::ledger::Ledger;
use crate::row::EvidenceSubject;
use crate::rules;
use crate::table::KeyTable;

/// Bounds of a learner's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnLimits {
    /// Most settled keys; about 200 bytes each. Beyond, new ones are refused and counted.
    pub keys_max: usize,
    /// Most settled keys of one client: a scan of all ports mustn't take the room of others. Beyond, new ones are refused and counted.
    pub client_keys_max: u32,
    /// Most conversations whose direction is open, at least 2; about 250 bytes each. Beyond, the open ones are settled by what
    /// is known of them then.
    pub conversations_max: usize,
    /// What counts as a day, in ns. Shorter for captures, of which most have none: then "several days" are several parts of the time
    /// that was for learning.
    pub day_ns: u64,
}

impl Default for LearnLimits {
    /// A million keys, 65,536 of one client, 65,536 open conversations.
    fn default() -> Self {
        Self {
            keys_max: 1_000_000,
            client_keys_max: 65_536,
            conversations_max: 65_536,
            day_ns: NS_PER_DAY,
        }
    }
}

/// What a learner couldn't use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnTally {
    /// Conversations that weren't learned because [`LearnLimits::keys_max`] keys are there already.
    pub keys_refused: u64,
    /// Conversations that weren't learned because their client has [`LearnLimits::client_keys_max`] keys.
    pub client_keys_refused: u64,
    /// Events about a segment that doesn't exist, or with a key that no frame has.
    pub events_refused: u64,
    /// Times that open conversations had to be settled for room.
    pub settlements: u64,
}

/// Evidence, and whether the store has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub evidence: Evidence,
    pub unsaved: bool,
}

/// What the store hasn't.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    pub settled: Vec<Tuple>,
    pub conversations: Vec<FlowKey>,
    pub removed: Vec<FlowKey>,
    pub forgotten: Vec<EvidenceSubject>,
}

/// Learns from events. Single-threaded; an event costs one or two hash lookups and, at most, one insertion.
#[derive(Debug)]
pub struct Learner {
    pub(crate) segments: Vec<Arc<str>>,
    pub(crate) limits: LearnLimits,
    pub(crate) settled: KeyTable,
    pub(crate) conversations: HashMap<FlowKey, Entry>,
    /// Places that were found to be services when room was needed; their conversations are settled at once.
    pub(crate) services: HashSet<Place>,
    pub(crate) unsaved: Unsaved,
    pub(crate) tally: LearnTally,
    /// How many keys each client has.
    pub(crate) keys_of: HashMap<Device, u32>,
    windows: Vec<Window>,
    revision: u64,
}

impl Learner {
    /// A learner without evidence. `segments` are the names of the segments, in the order of their ids.
    #[must_use]
    pub fn new(segments: &[String], limits: LearnLimits) -> Self {
        Self {
            segments: segments.iter().map(|name| name.as_str().into()).collect(),
            limits: LearnLimits { conversations_max: limits.conversations_max.max(2), ..limits },
            settled: KeyTable::default(),
            conversations: HashMap::new(),
            services: HashSet::new(),
            unsaved: Unsaved::default(),
            tally: LearnTally::default(),
            keys_of: HashMap::new(),
            windows: Vec::new(),
            revision: 0,
        }
    }

    /// Takes one event, of any segment in any mode.
    ///
    /// Keys come from conversations that are forwarded because their segment learns, and from those that a rule lets their
    /// initiator open. Of all others (denied, would be denied, adopted because a rule permits them in either direction) only
    /// times and counts are joined to what is there: they prove no right that they haven't got.
    pub fn observe(&mut self, event: &Event) {
        let Some(mut evidence) = Evidence::of_event(event, self.limits.day_ns) else { return };
        let key = &event.key;
        if key.tail().segment().index() >= self.segments.len() || !is_possible(key) {
            self.tally.events_refused += 1;
            return;
        }
        let begun = event.kind == EventKind::Started;
        let EventFlags { midstream, learning, negotiated, .. } = event.flags;
        let segment = key.tail().segment();
        if self.windows.iter().any(|window| window.is_open(segment, event.time_ns)) {
            self.refresh(key, event.initiator, &evidence.without_rights());
            return;
        }
        if negotiated {
            // Its right is that of the conversation that negotiated it; a rule of its own would outlive the port.
            self.refresh(key, event.initiator, &evidence.without_rights());
            return;
        }
        if !learning && (midstream || event.rule.is_none()) {
            if event.rule.is_some() || !begun {
                self.refresh(key, event.initiator, &evidence.without_rights());
            }
            return;
        }
        match key.tail().kind() {
            Kind::Udp => self.observe_conversation(key, evidence, begun),
            Kind::Tcp if midstream => self.observe_conversation(key, evidence, begun),
            kind => {
                evidence.basis = Some(match kind {
                    Kind::Tcp => Basis::Syn,
                    Kind::Icmp if midstream => Basis::Answer,
                    _ => Basis::FirstPacket,
                });
                self.settle(Tuple::new(key, event.initiator), evidence, begun);
            }
        }
    }

    /// Joins times and counts to the conversation or the key, if it is known.
    fn refresh(&mut self, key: &FlowKey, initiator: Side, evidence: &Evidence) {
        if let Some(entry) = self.conversations.get_mut(key) {
            join(entry, evidence);
            if !std::mem::replace(&mut entry.unsaved, true) {
                self.unsaved.conversations.push(*key);
            }
            return;
        }
        for client in [initiator, initiator.other()] {
            let key = Tuple::new(key, client);
            if let Some(entry) = self.settled.get_mut(&key) {
                join(entry, evidence);
                if !std::mem::replace(&mut entry.unsaved, true) {
                    self.unsaved.settled.push(key);
                }
                return;
            }
        }
    }

    fn observe_conversation(&mut self, key: &FlowKey, evidence: Evidence, begun: bool) {
        if let Some(entry) = self.conversations.get_mut(key) {
            if join(entry, &evidence) {
                self.revision += 1;
            }
            if !std::mem::replace(&mut entry.unsaved, true) {
                self.unsaved.conversations.push(*key);
            }
            return;
        }
        let mut server = self.known_server(key, &evidence);
        if server.is_none() && self.conversations.len() >= self.limits.conversations_max {
            self.make_room();
            server = self.known_server(key, &evidence);
        }
        if let Some(server) = server {
            let evidence = Evidence { basis: Some(Basis::FanIn), ..evidence };
            self.settle(Tuple::new(key, server.other()), evidence, begun);
            return;
        }
        self.revision += 1;
        self.conversations.insert(*key, Entry { evidence, unsaved: true });
        self.unsaved.conversations.push(*key);
    }

    /// Joins evidence of a key whose direction is known. `begun`: a refusal counts.
    pub(crate) fn settle(&mut self, key: Tuple, evidence: Evidence, begun: bool) {
        if let Some(entry) = self.settled.get_mut(&key) {
            if join(entry, &evidence) {
                self.revision += 1;
            }
            if !std::mem::replace(&mut entry.unsaved, true) {
                self.unsaved.settled.push(key);
            }
        } else if self.settled.len() >= self.limits.keys_max {
            self.tally.keys_refused += u64::from(begun);
        } else if self.has_room_for(&key) {
            self.revision += 1;
            self.settled.insert(key, Entry { evidence, unsaved: true });
            self.unsaved.settled.push(key);
        } else {
            self.tally.client_keys_refused += u64::from(begun);
        }
    }

    /// Counts a new key for its client; false if the client has all it may.
    pub(crate) fn has_room_for(&mut self, key: &Tuple) -> bool {
        let own = self.keys_of.entry(key.client_device()).or_default();
        let room = *own < self.limits.client_keys_max;
        *own += u32::from(room);
        room
    }

    /// A number that grows with every event that may change the rules. Conversations that in the end give a rule which is
    /// there already count too: compare [`Policy::hash`] before publishing.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn advance_revision(&mut self) {
        self.revision += 1;
    }

    /// What couldn't be used so far.
    #[must_use]
    pub fn tally(&self) -> LearnTally {
        self.tally
    }

    /// Keys that are settled, and conversations whose direction is open.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.settled.len(), self.conversations.len())
    }

    /// Everything that is known, with directions: what decisions are made from.
    fn ledger(&self) -> Ledger {
        let group = |tuple: &Tuple, evidence: &Evidence| tuple.server_place().is_group(evidence);
        let directions = self.directions();
        let mut open: HashMap<Tuple, Evidence> = HashMap::new();
        for (key, entry) in &self.conversations {
            let direction = directions.of(key, &entry.evidence);
            let evidence = Evidence { basis: Some(direction.basis), ..entry.evidence };
            let tuple = Tuple::new(key, direction.server.other());
            open.entry(tuple).and_modify(|known| known.join(&evidence)).or_insert(evidence);
        }
        // The settled keys are many more: they aren't held in a table a second time.
        let mut keys = Vec::with_capacity(self.settled.len() + open.len());
        for (key, entry) in self.settled.iter() {
            let is_group = group(key, &entry.evidence);
            let mut evidence = entry.evidence;
            if let Some(more) = open.remove(key) {
                evidence.join(&more);
            }
            keys.push((*key, evidence, is_group));
        }
        keys.extend(open.into_iter().map(|(key, evidence)| {
            let is_group = group(&key, &evidence);
            (key, evidence, is_group)
        }));
        Ledger::new(keys)
    }

    /// Weighs all evidence. Takes time in proportion to it, and to devices times roles.
    #[must_use]
    pub fn decide(&self, settings: &AdmissionSettings, answers: &Answers) -> Decisions {
        decide(&self.ledger(), settings, answers)
    }

    /// The rules of what was decided, numbered from 1 in a fixed order.
    ///
    /// # Errors
    /// None that events can cause: learned rules are exact and distinct. A segment whose name isn't one gives the policy's.
    pub fn policy_of(&self, decisions: &Decisions) -> Result<Policy, PolicyErrors> {
        rules::policy(decisions, &self.segments)
    }

    /// One rule for every key that is admitted. Takes time in proportion to all evidence.
    ///
    /// # Errors
    /// As [`Learner::policy_of`].
    pub fn policy(
        &self,
        settings: &AdmissionSettings,
        answers: &Answers,
    ) -> Result<Policy, PolicyErrors> {
        self.policy_of(&self.decide(settings, answers))
    }

    /// What an average day of use carried, from the client and from the server; `None` if the tuple wasn't seen.
    #[must_use]
    pub fn usual_bytes(&self, tuple: &Tuple) -> Option<[u64; 2]> {
        let evidence = &self.settled.get(tuple)?.evidence;
        let days = u64::from(evidence.days.count().max(1));
        let side = tuple.client_side;
        Some([side, side.other()].map(|side| evidence.bytes[side as usize] / days))
    }

    /// Announces windows in which nothing new enters the baseline; replaces those announced before.
    pub fn announce(&mut self, windows: Vec<Window>) {
        self.windows = windows;
    }

    pub(crate) fn directions(&self) -> Directions {
        let conversations = self.conversations.iter().map(|(key, entry)| (key, &entry.evidence));
        let settled = self.settled.iter().map(|(key, entry)| (key, &entry.evidence));
        Directions::new(settled, &self.services, conversations)
    }
}

/// Joins evidence; true if rules may depend on the change.
fn join(entry: &mut Entry, evidence: &Evidence) -> bool {
    let before = entry.evidence;
    entry.evidence.join(evidence);
    entry.evidence.bears_on_rules(&before)
}
