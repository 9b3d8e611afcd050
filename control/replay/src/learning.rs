//! What the replay teaches the learner, and what it gives back.

use loadlock_exchange::Event;
use loadlock_learn::{
    AdmissionPolicy, AdmissionSettings, Answers, LearnLimits, LearnTally, Learner, NS_PER_DAY,
};
use loadlock_policy::Policy;
use serde::{Deserialize, Serialize};

use crate::error::ReplayError;

/// The learner over the events of the learning phase.
pub(crate) struct Lesson {
    learner: Learner,
    admission: AdmissionSettings,
    events: u64,
}

impl Lesson {
    /// `learn_ns` is how long learning lasts, as far as that is known.
    pub fn new(segment: &str, policy: AdmissionPolicy, learn_ns: u64) -> Self {
        // A capture of minutes has no days: a week of them is what there is to learn from.
        let day_ns = (learn_ns / 7).clamp(1, NS_PER_DAY);
        let limits = LearnLimits { day_ns, ..LearnLimits::default() };
        Self {
            learner: Learner::new(&[segment.to_owned()], limits),
            admission: AdmissionSettings { policy, ..AdmissionSettings::default() },
            events: 0,
        }
    }

    /// Takes an event. What a given rule permits isn't learned again: it would be joined with that rule.
    #[inline]
    pub fn observe(&mut self, event: &Event) {
        if event.rule.is_none() {
            self.events += 1;
            self.learner.observe(event);
        }
    }

    /// The rules learned so far.
    pub fn policy(&self) -> Result<Policy, ReplayError> {
        self.learner.policy(&self.admission, &Answers::default()).map_err(ReplayError::Join)
    }

    /// What the rules rest on.
    pub fn summary(&self) -> EvidenceReport {
        let (keys, open_conversations) = self.learner.counts();
        let LearnTally { keys_refused, client_keys_refused, events_refused, settlements } =
            self.learner.tally();
        let keys_refused = keys_refused + client_keys_refused;
        let mut report = EvidenceReport {
            events: self.events,
            keys,
            open_conversations,
            keys_refused,
            events_refused,
            settlements,
            ..EvidenceReport::default()
        };
        for row in self.learner.evidence() {
            report.conversations += row.evidence.conversations;
            report.answered += usize::from(row.evidence.answered);
            report.handshakes += usize::from(row.evidence.handshake);
            report.met_running += usize::from(row.evidence.after_grace);
        }
        report
    }
}

/// What the learned rules rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceReport {
    /// Events that the learner took.
    pub events: u64,
    /// Conversations in them.
    pub conversations: u64,
    /// (client, server, service) whose direction is settled.
    pub keys: usize,
    /// Conversations whose direction is taken from all evidence together.
    pub open_conversations: usize,
    /// Keys and open conversations in which both sides spoke.
    pub answered: usize,
    /// Those with a TCP handshake.
    pub handshakes: usize,
    /// Those met running after the grace time.
    pub met_running: usize,
    /// Conversations not learned for want of room.
    pub keys_refused: u64,
    /// Events that no frame gives.
    pub events_refused: u64,
    /// Times that open conversations had to be settled for want of room.
    pub settlements: u64,
}
