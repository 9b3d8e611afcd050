//! Evidence in the form in which it is stored, and back.

use loadlock_packet::{FlowKey, KeyTail, Kind, Network, SegmentId, Side, VlanStack};

use crate::evidence::{Basis, Evidence};
use crate::key::{Tuple, flow_key};
use crate::learner::{Entry, Learner};

/// What a row of evidence is about. Pairs name side A first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EvidenceSubject {
    /// Name of the segment: ids change with the configuration.
    pub segment: String,
    /// VLANs.
    pub vlans: VlanStack,
    /// Kind of conversation.
    pub kind: Kind,
    /// Side of the client; `None` for a conversation whose direction is open.
    pub client_side: Option<Side>,
    /// Addresses.
    pub networks: [Network; 2],
    /// Service fields, in host byte order; 0 for the client's.
    pub services: [u16; 2],
}

/// One row of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// What it is about.
    pub subject: EvidenceSubject,
    /// What was seen.
    pub evidence: Evidence,
}

/// What changed since the last [`Learner::take_changes`]. Apply the removals first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvidenceChanges {
    /// Rows that are no more.
    pub removed: Vec<EvidenceSubject>,
    /// Rows that are new or have new content.
    pub written: Vec<EvidenceRow>,
}

/// What became of stored rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Rows that are evidence again.
    pub taken: usize,
    /// Rows of segments that the configuration doesn't have. They aren't evidence, and stay in the store.
    pub other_segments: usize,
    /// Rows with a key that no frame has, or beyond the limits.
    pub refused: usize,
}

impl Learner {
    /// All evidence, in a fixed order.
    pub fn evidence(&self) -> impl Iterator<Item = EvidenceRow> {
        let settled = self.settled.iter().map(|(key, entry)| EvidenceRow {
            subject: self.settled_subject(key),
            evidence: entry.evidence,
        });
        let open = self.conversations.iter().map(|(key, entry)| EvidenceRow {
            subject: self.open_subject(key),
            evidence: entry.evidence,
        });
        let mut rows: Vec<_> = settled.chain(open).collect();
        rows.sort_unstable_by(|a, b| a.subject.cmp(&b.subject));
        rows.into_iter()
    }

    /// What the store hasn't yet. If it can't be stored, give it back to [`Learner::keep_unsaved`].
    pub fn take_changes(&mut self) -> EvidenceChanges {
        let unsaved = std::mem::take(&mut self.unsaved);
        let mut changes =
            EvidenceChanges { removed: unsaved.forgotten, ..EvidenceChanges::default() };
        for key in unsaved.removed.iter().filter(|key| !self.conversations.contains_key(key)) {
            changes.removed.push(self.open_subject(key));
        }
        for key in unsaved.settled {
            let Some(entry) = self.settled.get_mut(&key) else { continue };
            entry.unsaved = false;
            let evidence = entry.evidence;
            changes.written.push(EvidenceRow { subject: self.settled_subject(&key), evidence });
        }
        for key in unsaved.conversations {
            // A key stands here twice if the conversation was settled and began anew.
            let Some(entry) = self.conversations.get_mut(&key).filter(|entry| entry.unsaved) else {
                continue;
            };
            entry.unsaved = false;
            let evidence = entry.evidence;
            changes.written.push(EvidenceRow { subject: self.open_subject(&key), evidence });
        }
        changes
    }

    /// Marks changes that couldn't be stored, so that [`Learner::take_changes`] gives them again, with what has come since.
    pub fn keep_unsaved(&mut self, changes: &EvidenceChanges) {
        let subjects = changes.written.iter().map(|row| &row.subject).chain(&changes.removed);
        for subject in subjects {
            let Some(key) = self.key_of(subject) else { continue };
            if subject
                .client_side
                .is_some_and(|side| !self.settled.contains(&Tuple::new(&key, side)))
            {
                self.unsaved.forgotten.push(subject.clone());
                continue;
            }
            match subject.client_side {
                Some(client) => {
                    let key = Tuple::new(&key, client);
                    let entry = self.settled.get_mut(&key);
                    if entry.is_some_and(|entry| !std::mem::replace(&mut entry.unsaved, true)) {
                        self.unsaved.settled.push(key);
                    }
                }
                None => match self.conversations.get_mut(&key) {
                    Some(entry) if entry.unsaved => {}
                    Some(entry) => {
                        entry.unsaved = true;
                        self.unsaved.conversations.push(key);
                    }
                    None => self.unsaved.removed.push(key),
                },
            }
        }
    }

    /// Joins stored rows to the evidence; they count as stored.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = EvidenceRow>) -> Restored {
        let mut restored = Restored::default();
        for EvidenceRow { subject, evidence } in rows {
            if self.segment_id(&subject.segment).is_none() {
                restored.other_segments += 1;
                continue;
            }
            match self.key_of(&subject) {
                Some(key) if self.restore_row(&key, subject.client_side, evidence) => {
                    restored.taken += 1;
                }
                _ => restored.refused += 1,
            }
        }
        self.advance_revision();
        restored
    }

    fn restore_row(&mut self, key: &FlowKey, client: Option<Side>, evidence: Evidence) -> bool {
        let entry = Entry { evidence, unsaved: false };
        match client {
            Some(client) => {
                let key = Tuple::new(key, client);
                let full = self.settled.len() >= self.limits.keys_max;
                if full && !self.settled.contains(&key) {
                    return false;
                }
                let on_port = matches!(key.kind, Kind::Tcp | Kind::Udp);
                if on_port && matches!(evidence.basis, Some(Basis::FanIn | Basis::Answer)) {
                    self.services.insert(key.server_place());
                }
                if let Some(known) = self.settled.get_mut(&key) {
                    known.evidence.join(&evidence);
                } else if self.has_room_for(&key) {
                    self.settled.insert(key, entry);
                } else {
                    return false;
                }
            }
            None => {
                if self.conversations.len() >= self.limits.conversations_max {
                    self.make_room();
                }
                let known = self.conversations.entry(*key);
                known.and_modify(|known| known.evidence.join(&evidence)).or_insert(entry);
            }
        }
        true
    }

    fn segment_id(&self, name: &str) -> Option<SegmentId> {
        SegmentId::new(self.segments.iter().position(|known| &**known == name)?)
    }

    /// A key of the conversations that a row is about; `None` if no frame has it.
    pub(crate) fn key_of(&self, subject: &EvidenceSubject) -> Option<FlowKey> {
        let segment = self.segment_id(&subject.segment)?;
        let tail = KeyTail::new(segment, subject.vlans, subject.kind);
        let tail = subject.client_side.map_or(tail, |client| tail.of_client(client));
        let open_kind = matches!(subject.kind, Kind::Tcp | Kind::Udp);
        if subject.client_side.is_none() && !open_kind {
            return None;
        }
        let mut services = subject.services;
        if let Some(client) = subject.client_side
            && !matches!(subject.kind, Kind::Tcp | Kind::Udp | Kind::Icmp)
        {
            // Both fields of these keys are the same.
            services[client as usize] = services[client.other() as usize];
        }
        flow_key(tail, subject.networks, services)
    }

    pub(crate) fn settled_subject(&self, key: &Tuple) -> EvidenceSubject {
        let ordered = |client, server| match key.client_side {
            Side::A => [client, server],
            Side::B => [server, client],
        };
        let (client, server) = (key.client, key.server);
        let services = match key.client_side {
            Side::A => [0, key.service],
            Side::B => [key.service, 0],
        };
        EvidenceSubject {
            segment: self.segment_name(key.segment),
            vlans: key.vlans,
            kind: key.kind,
            client_side: Some(key.client_side),
            networks: ordered(client, server),
            services,
        }
    }

    pub(crate) fn open_subject(&self, key: &FlowKey) -> EvidenceSubject {
        let tail = key.tail();
        let [a, b] = [Side::A, Side::B].map(|side| key.endpoint(side));
        EvidenceSubject {
            segment: self.segment_name(tail.segment()),
            vlans: tail.vlans(),
            kind: tail.kind(),
            client_side: None,
            networks: [a.network, b.network],
            services: [a.service, b.service],
        }
    }

    fn segment_name(&self, segment: SegmentId) -> String {
        self.segments.get(segment.index()).map(ToString::to_string).unwrap_or_default()
    }
}
