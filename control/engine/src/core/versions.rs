//! Policy versions: made of what was learned, appended by whoever changes something.

use std::sync::Arc;
use std::time::Instant;

use loadlock_exchange::{Mode, binding_capacity};
use loadlock_learn::{AdmissionSettings, Decisions};
use loadlock_policy::Rule;
use loadlock_store::Store;

use super::{Core, now_ns};
use crate::state::State;

impl Core {
    /// Makes a version of what was learned since the last.
    pub(super) fn version_if_due(&mut self, now: Instant) {
        // While a version waits for its confirmation, nothing may follow it.
        let learning = (self.state.modes.contains(&Mode::Learn)
            || self.state.document.has_learning_device())
            && self.pending.is_none();
        if !learning || now < self.version_due || self.revision() == self.learned_revision {
            return;
        }
        self.version_due = now + self.settings.control.version_interval;
        let modes = self.state.modes.clone();
        if let Err(error) = self.make_version(modes, "learning", "learned conversations", false) {
            self.fail(error);
        }
    }

    /// Appends a version with what has been learned and these modes, unless nothing changes, and makes it due for publication.
    /// The text says why it can't be done; the state is then as before.
    pub(crate) fn make_version(
        &mut self,
        modes: Vec<Mode>,
        author: &str,
        reason: &str,
        by_person: bool,
    ) -> Result<(), String> {
        let revision = self.revision();
        let decisions = self.decide();
        let learned = self
            .learner
            .policy_of(&decisions)
            .and_then(|rules| rules.with_bindings(self.learned_bindings(), "learned bindings"))
            .map_err(|errors| errors.to_string())?;
        let is_learning = |segment: &str| {
            self.state.is_learning(&self.settings, segment)
                || self.decided_segments.contains(segment)
        };
        let document = self.state.document.clone();
        let of_device = |rule: &Rule| document.mode_of(rule) == Some(Mode::Learn);
        let policy = self
            .state
            .policy
            .with_learned(&learned, is_learning, of_device)
            .and_then(|policy| self.state.document.cut_from(policy))
            .map_err(|errors| errors.to_string())?;
        if policy == *self.state.policy && modes == self.state.modes {
            self.learned_revision = revision;
            return Ok(());
        }
        let new = State { policy: Arc::new(policy), modes, ..self.state.clone() };
        self.append(new, author, reason, by_person)?;
        self.learned_revision = revision;
        Ok(())
    }

    /// Grows with everything that may change what is learned.
    pub(super) fn revision(&self) -> u64 {
        self.learner.revision().wrapping_add(self.stations.revision())
    }

    /// As many as go with the rules: in a fixed order, so that the same ones are left out each time, which is an alarm.
    pub(super) fn learned_bindings(&self) -> Vec<loadlock_policy::Binding> {
        let mut bindings = self.stations.bindings();
        bindings.truncate(self.binding_room());
        bindings
    }

    /// Room for learned bindings beside those that a person stated.
    pub(crate) fn binding_room(&self) -> usize {
        let stated = self.state.policy.bindings().iter().filter(|binding| !binding.is_learned());
        binding_capacity(self.settings.dimensions().rule_capacity).saturating_sub(stated.count())
    }

    /// Makes a state durable and due for publication. `by_person`: it counts as put in force by the author.
    pub(crate) fn append(
        &mut self,
        new: State,
        author: &str,
        reason: &str,
        by_person: bool,
    ) -> Result<(), String> {
        let version = new.to_version(&self.settings, now_ns(), author, reason, "");
        let append = move |store: &mut Store| match by_person {
            true => store.append_applied(&version),
            false => store.append_version(&version),
        };
        let number = self.storage.with(append).map_err(|error| error.to_string())?;
        tracing::info!(
            version = number.0,
            author,
            reason,
            rules = new.policy.rules().len(),
            bindings = new.policy.bindings().len(),
            "new policy version"
        );
        self.state = State { number, ..new };
        self.publish_due = Some(Instant::now());
        Ok(())
    }

    /// What the evidence supports now.
    pub fn decide(&self) -> Decisions {
        self.learner.decide(&self.admission(), &self.said.answers)
    }

    /// The thresholds in force.
    pub fn admission(&self) -> AdmissionSettings {
        match self.settings.control.records_all {
            true => AdmissionSettings::record_all(),
            false => AdmissionSettings::default(),
        }
    }
}
