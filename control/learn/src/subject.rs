//! What an answer is about, and what follows from it.

use loadlock_packet::Network;

use crate::admission::Answers;
use crate::cards::{Card, CardKind};
use crate::drift::Proposal;
use crate::key::{Device, Tuple};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// Tuples: may they be permitted?
    Permit,
    /// Convicted sources: are they in order?
    Convicted,
    /// An address that a second station claims: is it the device's own?
    Claimed,
    /// A host that moved.
    Moved,
}

/// What a question is about, as it is kept with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What is asked for.
    pub kind: SubjectKind,
    /// Tuples that the answer decides about, in order.
    pub tuples: Vec<Tuple>,
    /// Devices that it is about, in order.
    pub devices: Vec<Device>,
    /// From which address a host moved, and to which.
    pub moved: Option<(Network, Network)>,
}

impl From<&Card> for Subject {
    fn from(card: &Card) -> Self {
        let kind = match card.kind {
            CardKind::Held | CardKind::Waiting => SubjectKind::Permit,
            CardKind::Convicted => SubjectKind::Convicted,
            CardKind::Claimed => SubjectKind::Claimed,
        };
        Self { kind, tuples: card.tuples.clone(), devices: card.devices.clone(), moved: None }
    }
}

impl From<&Proposal> for Subject {
    fn from(proposal: &Proposal) -> Self {
        let kind = if proposal.moved.is_some() { SubjectKind::Moved } else { SubjectKind::Permit };
        Self { kind, tuples: proposal.tuples.clone(), devices: Vec::new(), moved: proposal.moved }
    }
}

impl Answers {
    /// Takes an answer. A later one about the same outranks an earlier one.
    pub fn take(&mut self, subject: &Subject, approve: bool) {
        let tuples = || subject.tuples.iter().copied();
        match (subject.kind, approve) {
            (SubjectKind::Permit, true) => {
                self.approved.extend(tuples());
                self.declined.retain(|tuple| subject.tuples.binary_search(tuple).is_err());
            }
            (SubjectKind::Convicted, true) => self.cleared.extend(subject.devices.iter().copied()),
            (SubjectKind::Convicted, false) => {
                self.cleared.retain(|device| !subject.devices.contains(device));
            }
            (SubjectKind::Claimed, true) => self.stations.extend(subject.devices.iter().copied()),
            (SubjectKind::Moved, true) => self.moved.extend(subject.moved),
            (SubjectKind::Permit | SubjectKind::Claimed | SubjectKind::Moved, false) => {
                self.declined.extend(tuples());
                self.approved.retain(|tuple| subject.tuples.binary_search(tuple).is_err());
            }
        }
    }
}
