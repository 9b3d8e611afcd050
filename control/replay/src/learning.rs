//! What the replay teaches the learner, and what it gives back.

use loadlock_exchange::Event;
use loadlock_learn::{
    AdmissionPolicy, AdmissionSettings, Answers, Decisions, Declared, Explanation, LearnLimits,
    LearnTally, Learner, NS_PER_DAY, Outcome, Tuple,
};
use loadlock_policy::Policy;
use serde::{Deserialize, Serialize};

use crate::error::ReplayError;

/// What counts as a day where learning lasts for `learn_ns`. A capture of minutes has no days: a week of them is what there is to
/// learn from.
pub(crate) fn day_of(learn_ns: u64) -> u64 {
    (learn_ns / 7).clamp(1, NS_PER_DAY)
}

/// The learner over the events of the learning phase.
pub(crate) struct Lesson {
    learner: Learner,
    admission: AdmissionSettings,
    answers: Answers,
    events: u64,
}

impl Lesson {
    /// `learn_ns` is how long learning lasts, as far as that is known; `sides_guessed`: stations that talk are on one side.
    pub fn new(
        segment: &str,
        policy: AdmissionPolicy,
        declared: Declared,
        learn_ns: u64,
        sides_guessed: bool,
    ) -> Self {
        let day_ns = day_of(learn_ns);
        let settings = AdmissionSettings::for_learning_of(learn_ns);
        let limits = LearnLimits { day_ns, ..LearnLimits::default() };
        Self {
            learner: Learner::new(&[segment.to_owned()], limits),
            admission: AdmissionSettings { policy, sides_guessed, ..settings },
            answers: Answers { declared, ..Answers::default() },
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
        self.learner.policy(&self.admission, &self.answers).map_err(ReplayError::Join)
    }

    /// What was decided, weighing evidence also where everything was recorded: roles come from it.
    pub fn decisions(&self) -> Decisions {
        let weighed = AdmissionSettings { policy: AdmissionPolicy::Evidence, ..self.admission };
        self.learner.decide(&weighed, &self.answers)
    }

    /// What was answered and isn't a rule all the same, with the reasons; nothing where everything is recorded.
    pub fn not_admitted(&self) -> Vec<NotAdmitted> {
        if self.admission.policy == AdmissionPolicy::RecordAll {
            return Vec::new();
        }
        let decisions = self.decisions();
        let found = decisions
            .candidates
            .iter()
            .filter(|candidate| candidate.is_sound && candidate.outcome != Outcome::Admitted);
        let explained =
            found.filter_map(|candidate| decisions.explain(&candidate.tuple, &self.admission));
        explained
            .map(|Explanation { subject, decision, reasons, .. }| NotAdmitted {
                candidate: subject,
                decision,
                reasons,
            })
            .collect()
    }

    /// What is declared against what was seen; `None` if nothing is declared.
    pub fn quadrants(&self) -> Option<DeclaredReport> {
        let declared = &self.answers.declared;
        if declared.ports.is_empty() {
            return None;
        }
        let quadrants = declared.compare(&self.decisions().candidates);
        let words = |tuples: &[Tuple]| tuples.iter().map(ToString::to_string).collect();
        Some(DeclaredReport {
            declared_seen: words(&quadrants.declared_seen),
            declared_unseen: quadrants.declared_unseen.into_iter().map(|port| port.place).collect(),
            undeclared_seen: words(&quadrants.undeclared_seen),
            neither: quadrants.neither,
        })
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

/// A candidate that waits, is held, or was withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAdmitted {
    /// Client, server and service.
    pub candidate: String,
    /// `waiting`, `held` or `withdrawn`.
    pub decision: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// What suppliers declare against what was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredReport {
    /// As it should be.
    pub declared_seen: Vec<String>,
    /// Where that is declared which was never seen.
    pub declared_unseen: Vec<String>,
    /// What the supplier doesn't know of.
    pub undeclared_seen: Vec<String>,
    /// Attempts that are neither declared nor were answered.
    pub neither: usize,
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
