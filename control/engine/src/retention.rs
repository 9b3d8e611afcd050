//! How long things are kept, and what goes when room is wanted.
//!
//! Flow records go by age and by size, the oldest hour first, in steps on the store's thread, between which others have their turn: an
//! approval waits for one step at most. Evidence goes by age only, and by device; what a rule in force permits stays. Nothing else ever goes.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded, unbounded};
use loadlock_api::{KeptStatus, Time};
use loadlock_exchange::Policy as Compiled;
use loadlock_learn::{EvidenceSubject, NS_PER_DAY};
use loadlock_packet::Side;
use loadlock_settings::Settings;
use loadlock_store::{Store, StoreError, Usage, VersionNumber};

use crate::core::Core;
use crate::history::{hour_ns, hour_of};
use crate::rows::subject_key;
use crate::state::State;

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two steps, while there is more to let go.
const STEP_EVERY: Duration = Duration::from_millis(100);
/// Records of one step: some 10 ms.
const STEP_ROWS: u32 = 5_000;
/// Between two searches for devices that are silent.
const SEARCH_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Pieces of evidence forgotten in one turn of the core.
const FORGET_EACH_TURN: usize = 500;

/// What is to be kept, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub now_hour: u32,
    /// Records of earlier hours are too old.
    pub from_hour: u32,
    pub bytes: u64,
    pub rows_max: u32,
}

impl Limits {
    pub fn of(settings: &Settings, now_ns: u64) -> Self {
        let now_hour = hour_of(now_ns);
        Self {
            now_hour,
            from_hour: now_hour.saturating_sub(settings.control.retention_days * 24),
            bytes: settings.control.retention_bytes,
            rows_max: STEP_ROWS,
        }
    }
}

/// What a step did and found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// After the step.
    pub usage: Usage,
    /// For want of room records before this hour went.
    pub shortened_until: Option<u32>,
    pub is_more: bool,
}

type Stepped = Result<Step, StoreError>;

/// Lets at most one step's records go: those that are too old, or else the oldest as long as the store holds too much. The hour that runs
/// stays.
pub(crate) fn step(store: &mut Store, limits: Limits) -> Result<Step, StoreError> {
    let before = store.usage()?;
    let (until, shortens) = match before.oldest_hour {
        Some(oldest) if oldest < limits.from_hour => (limits.from_hour, false),
        Some(oldest) if before.used_bytes > limits.bytes && oldest < limits.now_hour => {
            (oldest + 1, true)
        }
        _ => return Ok(Step { usage: before, shortened_until: None, is_more: false }),
    };
    store.prune_flows(until, limits.rows_max)?;
    let usage = store.usage()?;
    let is_old = usage.oldest_hour.is_some_and(|oldest| oldest < limits.from_hour);
    let is_full = usage.used_bytes > limits.bytes
        && usage.oldest_hour.is_some_and(|oldest| oldest < limits.now_hour);
    Ok(Step { usage, shortened_until: shortens.then_some(until), is_more: is_old || is_full })
}

/// Evidence that may go, as far as the policy of that version is concerned.
struct Found {
    version: VersionNumber,
    before_ns: u64,
    subjects: Vec<EvidenceSubject>,
}

/// Where keeping stands.
pub(crate) struct Retention {
    due: Instant,
    search_due: Instant,
    steps: (Sender<Stepped>, Receiver<Stepped>),
    is_asked: bool,
    usage: Option<Usage>,
    shortened_until: Option<u32>,
    search: Option<Receiver<Found>>,
    found: Option<Found>,
}

impl Retention {
    pub fn new(now: Instant) -> Self {
        Self {
            due: now,
            // Not among all that a start has to do.
            search_due: now + SEARCH_EVERY / 6,
            steps: unbounded(),
            is_asked: false,
            usage: None,
            shortened_until: None,
            search: None,
            found: None,
        }
    }
}

impl Core {
    /// A turn's part of it; never waits.
    pub(crate) fn keep_within_limits(&mut self, now: Instant, now_ns: u64) {
        self.history.advance(now_ns);
        if let Ok(step) = self.retention.steps.1.try_recv() {
            self.stepped(step, now);
        }
        if now >= self.retention.due && !self.retention.is_asked {
            self.retention.is_asked = true;
            let limits = Limits::of(&self.settings, now_ns);
            let reply = self.retention.steps.0.clone();
            self.storage.handle().later(move |store| drop(reply.send(step(store, limits))));
        }
        if now >= self.retention.search_due {
            self.retention.search_due = now + SEARCH_EVERY;
            self.search_silent(now_ns);
        }
        self.forget_found();
    }

    fn stepped(&mut self, step: Stepped, now: Instant) {
        let retention = &mut self.retention;
        retention.is_asked = false;
        retention.due = now + LOOK_EVERY;
        match step {
            Ok(step) => {
                retention.usage = Some(step.usage);
                retention.shortened_until = retention.shortened_until.max(step.shortened_until);
                if step.is_more {
                    retention.due = now + STEP_EVERY;
                }
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Looks for evidence of devices that are silent, and has a thread of its own find out what the policy in force permits of it.
    pub(crate) fn search_silent(&mut self, now_ns: u64) {
        let days = u64::from(self.settings.control.retention_days);
        let before_ns = now_ns.saturating_sub(days * NS_PER_DAY);
        let subjects = self.learner.silent(before_ns);
        if subjects.is_empty() {
            return;
        }
        let (reply, search) = bounded(1);
        let (state, settings) = (self.state.clone(), self.settings.clone());
        let work = move || match without_rule(&state, &settings, subjects) {
            Ok(subjects) => {
                // It fails only when control ends.
                let _ = reply.send(Found { version: state.number, before_ns, subjects });
            }
            Err(error) => tracing::warn!("old evidence stays until the next search: {error}"),
        };
        match std::thread::Builder::new().name("retention".to_owned()).spawn(work) {
            Ok(_) => self.retention.search = Some(search),
            Err(error) => tracing::warn!("old evidence stays until the next search: {error}"),
        }
    }

    fn forget_found(&mut self) {
        if let Some(search) = &self.retention.search {
            match search.try_recv() {
                Ok(found) => self.retention.found = Some(found),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {}
            }
            self.retention.search = None;
        }
        let Some(found) = &mut self.retention.found else { return };
        // What the policy in force permits now wasn't looked at: the next search does.
        if found.version != self.state.number || found.subjects.is_empty() {
            self.retention.found = None;
            return;
        }
        let rest = found.subjects.len().saturating_sub(FORGET_EACH_TURN);
        let now = found.subjects.split_off(rest);
        let forgotten = self.learner.forget(&now, found.before_ns);
        self.note_unsaved(forgotten);
    }

    /// What is kept, and what had to go.
    pub(crate) fn kept(&self) -> KeptStatus {
        let limit_bytes = self.settings.control.retention_bytes;
        let days = self.settings.control.retention_days;
        let usage = self.retention.usage.unwrap_or_default();
        let now_hour = hour_of(crate::core::now_ns());
        let time = |hour| Time::from_ns(hour_ns(hour));
        // What was let go early is old by now anyway, some day.
        let shortened = self.retention.shortened_until;
        let shortened = shortened.filter(|hour| *hour > now_hour.saturating_sub(days * 24));
        let is_over = usage.used_bytes > limit_bytes
            && usage.oldest_hour.is_none_or(|oldest| oldest >= now_hour.saturating_sub(1));
        KeptStatus {
            used_bytes: usage.used_bytes,
            limit_bytes,
            days,
            since: usage.oldest_hour.map(time),
            shortened_until: shortened.map(time),
            over_bytes: if is_over { usage.used_bytes - limit_bytes } else { 0 },
            events_left_out: self.history.refused,
        }
    }
}

/// Those of which the policy permits nothing, in neither direction where that is open.
fn without_rule(
    state: &State,
    settings: &Settings,
    subjects: Vec<EvidenceSubject>,
) -> Result<Vec<EvidenceSubject>, String> {
    let image = state.compile(settings)?;
    let header = Compiled::read(image.words()).map_err(|error| error.to_string())?;
    let view = header.view(image.words(), 1);
    let permitted = |subject: &EvidenceSubject| {
        let Some(key) = subject_key(settings, subject) else { return true };
        let sides = [Side::A, Side::B].into_iter();
        sides
            .filter(|side| subject.client_side.is_none_or(|client| client == *side))
            .any(|client| view.find(&key, client).is_some())
    };
    Ok(subjects.into_iter().filter(|subject| !permitted(subject)).collect())
}

#[cfg(test)]
mod tests;
