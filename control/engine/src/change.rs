//! Changes of what is in force, on the core thread: durable first, then published, then answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use loadlock_api::{BackendError, ModeChanged, PolicyChanged, Time};
use loadlock_exchange::Mode;
use loadlock_store::{Action, NewVersion, Pending, Store, StoreError, VersionNumber};

use crate::answers::{store_error, version_line};
use crate::core::{Core, now_ns};
use crate::state::State;

/// What is to be changed. States were read and checked on another thread.
pub(crate) enum Change {
    /// An approved version.
    Apply { state: State, author: String, note: String, confirm_within: Option<Duration> },
    /// The version in force stays.
    Confirm { author: String },
    /// The content of an older version again; its state has that version's number.
    RollBack { state: State, author: String, reason: String },
    /// A document made from that of version `base`, in force at once.
    Edit { base: VersionNumber, state: State, author: String, reason: String },
}

/// Until when the version in force must be confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pending: Pending,
    at: Instant,
    at_ns: u64,
}

impl Deadline {
    /// The time that is left, by the wall clock, but never more than was given: a clock that was set back doesn't prolong it.
    pub fn of(pending: Pending, now: Instant, now_ns: u64) -> Self {
        let at_ns = pending.applied_ns.saturating_add(pending.within_ns);
        let left = at_ns.saturating_sub(now_ns).min(pending.within_ns);
        Self { pending, at: now + Duration::from_nanos(left), at_ns }
    }
}

impl Core {
    /// Changes what is in force; returns when it is durable, published and judged by.
    pub(crate) fn change(&mut self, change: Change) -> Result<PolicyChanged, BackendError> {
        if !matches!(change, Change::Confirm { .. } | Change::RollBack { .. }) {
            self.refuse_while_pending()?;
        }
        match change {
            Change::Apply { state, author, note, confirm_within } => {
                self.apply(state, author, note, confirm_within)?;
            }
            Change::Confirm { author } => self.confirm(author)?,
            Change::RollBack { state, author, reason } => self.roll_back(state, author, reason)?,
            Change::Edit { base, state, author, reason } => {
                self.edit(base, state, &author, &reason)?;
            }
        }
        self.wait_for_workers()?;
        self.note_replaced();
        self.changed()
    }

    pub(crate) fn refuse_while_pending(&self) -> Result<(), BackendError> {
        let Some(deadline) = &self.pending else { return Ok(()) };
        Err(BackendError::Conflict {
            reason: format!(
                "policy version {} waits for its confirmation until {}",
                self.state.number,
                Time::from_ns(deadline.at_ns)
            ),
            next_step: "`loadlock policy confirm` keeps it, `loadlock policy rollback` takes it back; then try again"
                .to_owned(),
        })
    }

    fn apply(
        &mut self,
        state: State,
        author: String,
        note: String,
        confirm_within: Option<Duration>,
    ) -> Result<(), BackendError> {
        let number = state.number;
        self.drain_for_change();
        let within_ns =
            confirm_within.map_or(0, |within| u64::try_from(within.as_nanos()).unwrap_or(u64::MAX));
        let now = now_ns();
        let overtaken = self
            .storage
            .with(move |store| {
                let overtaken = overtaken_by(store, number)?;
                if overtaken.is_none() {
                    store.apply(number, now, &author, &note, within_ns)?;
                }
                Ok(overtaken)
            })
            .map_err(store_error)?;
        if let Some((newer, actor)) = overtaken {
            return Err(BackendError::Conflict {
                reason: format!(
                    "version {newer} was put in force by {actor} after version {number} was proposed, and would be undone by it"
                ),
                next_step: "export what is in force, make the change there, and propose it again"
                    .to_owned(),
            });
        }
        let fallback = self.state.number;
        self.put_in_force(state);
        self.pending = confirm_within.map(|_| {
            let pending = Pending { version: number, applied_ns: now, within_ns, fallback };
            Deadline::of(pending, Instant::now(), now)
        });
        Ok(())
    }

    fn confirm(&mut self, author: String) -> Result<(), BackendError> {
        let number = self.state.number;
        if self.pending.is_none() {
            return Err(BackendError::Conflict {
                reason: format!("policy version {number} doesn't wait for a confirmation"),
                next_step: "`loadlock policy list` shows what is in force and since when"
                    .to_owned(),
            });
        }
        let confirm = move |store: &mut Store| store.confirm(number, now_ns(), &author, "");
        self.storage.with(confirm).map_err(store_error)?;
        self.pending = None;
        Ok(())
    }

    fn roll_back(
        &mut self,
        state: State,
        author: String,
        reason: String,
    ) -> Result<(), BackendError> {
        self.drain_for_change();
        let to = state.number;
        let number = self
            .storage
            .with(move |store| store.roll_back(to, now_ns(), &author, &reason))
            .map_err(store_error)?;
        self.put_in_force(State { number, ..state });
        self.pending = None;
        Ok(())
    }

    fn edit(
        &mut self,
        base: VersionNumber,
        state: State,
        author: &str,
        reason: &str,
    ) -> Result<(), BackendError> {
        self.drain_for_change();
        // What a device learned until now stays when it doesn't learn any more.
        if self.state.document.has_learning_device() {
            self.make_version(self.state.modes.clone(), "learning", "learned conversations", false)
                .map_err(|reason| BackendError::Store { reason })?;
        }
        // Learning may have made a version meanwhile; the document is then expanded over that.
        let policy = match base == self.state.number {
            true => state.policy,
            false => Arc::new(state.document.expand_again(&self.state.policy, now_ns()).map_err(
                |mistakes| BackendError::InvalidPolicy { mistakes: mistakes.to_string() },
            )?),
        };
        let new = State { policy, document: state.document, ..self.state.clone() };
        let version = new.to_version(&self.settings, now_ns(), author, reason, "");
        let number =
            self.storage.with(move |store| store.append_applied(&version)).map_err(store_error)?;
        self.put_in_force(State { number, ..new });
        Ok(())
    }

    fn put_in_force(&mut self, state: State) {
        tracing::info!(
            version = state.number.0,
            rules = state.policy.rules().len(),
            "policy changed"
        );
        self.expiry_ns = state.document.next_expiry_ns(now_ns());
        let old = std::mem::replace(&mut self.state, state);
        self.replaced.get_or_insert((old, now_ns()));
        // What was learned is joined to it with the next version.
        self.learned_revision = u64::MAX;
        self.publish_due = Some(Instant::now());
    }

    /// Remembers what a change took away, once it is published.
    pub(crate) fn note_replaced(&mut self) {
        if let Some((old, since_ns)) = self.replaced.take_if(|_| self.publish_due.is_none()) {
            self.denials.note_change(&old, &self.state, since_ns);
        }
    }

    /// Takes an unconfirmed version back when its time is over.
    pub(crate) fn revert_if_due(&mut self, now: Instant) {
        let Some(deadline) = self.pending.filter(|deadline| now >= deadline.at) else { return };
        let Pending { version, fallback, .. } = deadline.pending;
        let reason =
            format!("version {version} wasn't confirmed in time: back to version {fallback}");
        let to = fallback;
        let restored = self
            .storage
            .with(move |store| store.version(to))
            .map_err(|error| error.to_string())
            .and_then(|version| {
                State::of(&version, &self.settings).map_err(|error| error.to_string())
            });
        let result = restored.and_then(|state| {
            self.roll_back(state, "loadlock".to_owned(), reason.clone())
                .map_err(|error| error.to_string())
        });
        match result {
            Ok(()) => self.fail(format!(
                "{reason}; it is in force as version {}. Look at `loadlock policy list`",
                self.state.number
            )),
            Err(error) => {
                self.fail(format!("version {version} should be taken back, and can't be: {error}"));
                self.pending = Some(Deadline { at: now + Duration::from_secs(5), ..deadline });
            }
        }
    }

    /// Ends rights whose time is over. While a version waits for its confirmation they last until that is settled.
    pub(crate) fn expire_if_due(&mut self) {
        if self.pending.is_some() || self.expiry_ns.is_none_or(|at| now_ns() < at) {
            return;
        }
        let now = now_ns();
        self.expiry_ns = self.state.document.next_expiry_ns(now);
        let policy = match self.state.document.expand_again(&self.state.policy, now) {
            Ok(policy) => policy,
            Err(errors) => {
                return self.fail(format!("a right that ends can't be taken out: {errors}"));
            }
        };
        if policy == *self.state.policy {
            return;
        }
        let new = State { policy: Arc::new(policy), ..self.state.clone() };
        let version = new.to_version(&self.settings, now, "loadlock", "a right's time is over", "");
        match self.storage.with(move |store| store.append_version(&version)) {
            Ok(number) => self.put_in_force(State { number, ..new }),
            Err(error) => {
                self.fail(error.to_string());
                self.expiry_ns = Some(now + 5_000_000_000);
            }
        }
    }

    /// What is to be said while a version waits.
    pub(crate) fn pending_alarm(&self) -> Option<String> {
        let deadline = self.pending.as_ref()?;
        Some(format!(
            "policy version {} goes at {} unless it is confirmed: `loadlock policy confirm`, or `loadlock policy rollback` at once",
            self.state.number,
            Time::from_ns(deadline.at_ns)
        ))
    }

    fn changed(&self) -> Result<PolicyChanged, BackendError> {
        let number = self.state.number;
        let (summary, copy) = self
            .storage
            .with(move |store| Ok((store.versions()?, store.copy_trouble())))
            .map_err(store_error)?;
        let summary = summary.iter().find(|version| version.number == number);
        let version = summary
            .map(version_line)
            .ok_or_else(|| store_error(StoreError::NoVersion { number }))?;
        let confirm_by = self.pending.as_ref().map(|deadline| Time::from_ns(deadline.at_ns));
        let confirm = confirm_by.map(|_| {
            "confirm it in time: `loadlock policy confirm`; else it is taken back".to_owned()
        });
        Ok(PolicyChanged {
            version,
            generation: self.generation,
            confirm_by,
            next_step: copy.or(confirm),
        })
    }

    pub(crate) fn unknown_segment(&self, found: &str) -> BackendError {
        let known = self.settings.segments.iter().map(|segment| segment.name.to_string());
        BackendError::UnknownSegment { found: found.to_owned(), known: known.collect() }
    }

    /// Sets a mode: drains what was seen under the old one, makes a durable version, publishes, waits for the workers.
    pub(crate) fn set_mode(
        &mut self,
        segment: &str,
        mode: Mode,
        author: &str,
    ) -> Result<ModeChanged, BackendError> {
        let position =
            self.settings.segments.iter().position(|known| known.name.as_str() == segment);
        let at = position.ok_or_else(|| self.unknown_segment(segment))?;
        let previous = self.state.modes[at];
        if previous != mode {
            self.refuse_while_pending()?;
            self.drain_for_change();
            let mut modes = self.state.modes.clone();
            modes[at] = mode;
            let reason = format!("mode of {segment}: {} to {}", previous.name(), mode.name());
            self.make_version(modes, author, &reason, true)
                .map_err(|reason| BackendError::Store { reason })?;
            self.wait_for_workers()?;
        }
        Ok(ModeChanged {
            segment: segment.to_owned(),
            mode: mode.into(),
            previous: previous.into(),
            policy_version: self.state.number.0,
            generation: self.generation,
        })
    }

    /// Takes what was seen under the policy in force, so that it is judged by that.
    pub(crate) fn drain_for_change(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.drain() > 0 && Instant::now() < deadline {}
    }

    /// Publishes what is due and waits until every worker that is online judges by it.
    pub(crate) fn wait_for_workers(&mut self) -> Result<(), BackendError> {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            self.publish_if_due(Instant::now());
            let Some(exchange) = &self.exchange else { return Ok(()) };
            let generations = exchange.generations();
            let behind = generations.iter().flatten().any(|said| *said < self.generation);
            if self.publish_due.is_none() && !behind {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(BackendError::Conflict {
                    reason: format!(
                        "policy version {} is stored, but after 2 s not every worker judges by it (workers: {generations:?}, \
                         published: {})",
                        self.state.number, self.generation
                    ),
                    next_step: "look at `loadlock status`: a worker that stays behind hangs"
                        .to_owned(),
                });
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// The version that a person put in force after this one was proposed, and who.
fn overtaken_by(
    store: &Store,
    number: VersionNumber,
) -> Result<Option<(VersionNumber, String)>, StoreError> {
    let entries = store.audit(None)?;
    let own = |entry: &&loadlock_store::AuditEntry| {
        entry.version == number && entry.action == Action::Proposed
    };
    let proposed = entries.iter().find(own).map_or(0, |entry| entry.number);
    let newer = entries
        .iter()
        .rev()
        .find(|entry| entry.action == Action::Applied && entry.number > proposed);
    Ok(newer.map(|entry| (entry.version, entry.actor.clone())))
}

/// A proposal of a state.
pub(crate) fn proposal(
    state: &State,
    settings: &loadlock_settings::Settings,
    author: &str,
    reason: &str,
    ticket: &str,
) -> NewVersion {
    state.to_version(settings, now_ns(), author, reason, ticket)
}
