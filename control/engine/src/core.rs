//! The core thread: drain, learn, save, publish, answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::Receiver;
use loadlock_api::Notice;
use loadlock_exchange::{ControlExchange, Event, EventKind, Mode};
use loadlock_learn::{Drift, EvidenceChanges, LearnLimits, Learner, StationRow, Stations, Volume};
use loadlock_outward::Boards;
use loadlock_settings::Settings;
use loadlock_store::{Cursor, Store};
use tokio::sync::broadcast;

use crate::backend::Command;
use crate::bypass::Held;
use crate::captures::Captures;
use crate::change::Deadline;
use crate::denials::DenialLog;
use crate::error::EngineError;
use crate::history::History;
use crate::identity::Violations;
use crate::lines::event_line;
use crate::live::LiveView;
use crate::retention::Retention;
use crate::rows;
use crate::said::Said;
use crate::shadow::Shadow;
use crate::state::State;
use crate::stations;
use crate::storage::Storage;
use crate::wording::Wording;

/// Everything the core thread owns.
pub(crate) struct Core {
    pub settings: Settings,
    pub learner: Learner,
    pub stations: Stations,
    pub violations: Violations,
    pub state: State,
    pub exchange: Option<ControlExchange>,
    pub live: LiveView,
    pub started: Instant,
    pub generation: u64,
    pub events_received: u64,
    pub records_refused: u64,
    pub last_error: Option<String>,
    pub storage: Storage,
    pub(crate) wording: Wording,
    /// What becomes of figures and events outside.
    pub(crate) outward: Boards,
    /// The revision of learner and stations that is in `state`.
    pub(crate) learned_revision: u64,
    version_due: Instant,
    pub publish_due: Option<Instant>,
    attach_due: Instant,
    attach_error: Option<String>,
    save_due: Instant,
    events_unsaved: u64,
    saving: Option<(EvidenceChanges, Vec<StationRow>)>,
    pub(crate) history: History,
    pub(crate) retention: Retention,
    /// The version in force must be confirmed until then.
    pub pending: Option<Deadline>,
    pub denials: DenialLog,
    /// A draft that judges beside what is in force.
    pub shadow: Option<Box<Shadow>>,
    /// What was in force before a change that isn't in `denials` yet, and until when, ns since 1970.
    pub replaced: Option<(State, u64)>,
    /// When a right ends next, ns since 1970; 0: to be looked at.
    pub expiry_ns: Option<u64>,
    stored_cursors: Vec<Cursor>,
    /// What people said.
    pub said: Said,
    /// What was refused since control started.
    pub drift: Drift,
    /// What rights carry today.
    pub volume: Volume,
    /// Enforced segments whose learned rules a person's answer is changing.
    pub decided_segments: BTreeSet<String>,
    /// When the next window ends, ns since 1970.
    pub window_end_ns: Option<u64>,
    /// Of each segment, its bypass if it is in one.
    pub bypasses: Vec<Option<Held>>,
    /// Frames that somebody wants to see.
    pub(crate) captures: Captures,
}

/// Different refused tuples that are kept for questions; about 100 bytes each.
const DRIFT_TUPLES_MAX: usize = 65_536;

/// Records taken from one ring before the others get their turn.
const DRAIN_RECORDS: u64 = 4096;
const ATTACH_EVERY: Duration = Duration::from_millis(50);
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// After the disk refused.
const SAVE_AGAIN: Duration = Duration::from_secs(5);
const PUBLISH_AGAIN: Duration = Duration::from_millis(2);

/// Time by the wall clock, ns since 1970.
pub(crate) fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// The evidence of the store, row by row: all of it at once would take several times its room. Besides, that some can't be used, if so.
fn learned(
    settings: &Settings,
    names: &[String],
) -> Result<(Learner, Stations, Option<String>), EngineError> {
    let mut learner = Learner::new(names, LearnLimits::default());
    let mut stations = Stations::new(names);
    let mut unused = 0;
    Store::read_evidence(&settings.control.store, |row| {
        if stations::is_station(&row) {
            let (seen, unread) = stations::decode(std::slice::from_ref(&row));
            stations.restore(seen);
            unused += unread;
        } else {
            match rows::decode_row(&row) {
                Some(row) => unused += learner.restore([row]).refused,
                None => unused += 1,
            }
        }
    })?;
    let trouble = (unused > 0).then(|| {
        format!("{unused} evidence rows of the store can't be used; what they were about is learned again")
    });
    Ok((learner, stations, trouble))
}

impl Core {
    /// Takes up where the last control left off.
    pub fn new(
        settings: Settings,
        mut storage: Storage,
        notices: broadcast::Sender<Notice>,
        outward: Boards,
    ) -> Result<Self, EngineError> {
        let names: Vec<String> =
            settings.segments.iter().map(|segment| segment.name.to_string()).collect();
        let in_force = storage.in_force.take();
        let pending = in_force.as_ref().and_then(|in_force| in_force.pending);
        let state = match in_force {
            Some(in_force) => State::of(&in_force.version, &settings)?,
            None => {
                let state = State::configured(&settings);
                let version =
                    state.to_version(&settings, now_ns(), "configuration", "first start", "");
                let number = storage.with(move |store| store.append_version(&version))?;
                State { number, ..state }
            }
        };
        let (learner, stations, mut last_error) = learned(&settings, &names)?;
        for alarm in &storage.alarms {
            tracing::error!("{alarm}");
        }
        let said = Said::of(&std::mem::take(&mut storage.answers), &names);
        if said.unread > 0 {
            last_error = Some(format!(
                "{} answers of the store can't be read; what they were about is asked again",
                said.unread
            ));
        }
        let room = settings.control.retention_bytes;
        let denied = std::mem::take(&mut storage.denied);
        let denials = DenialLog::restored(&names, &denied, storage.usage, now_ns());
        let flows = std::mem::take(&mut storage.flows);
        let history = History::new(names.clone(), now_ns(), room, &flows);
        // Some may have ended while no control ran. Without any, the rules needn't be made anew to find that out.
        let expiry_ns = state.document.next_expiry_ns(0);
        let now = Instant::now();
        let mut core = Self {
            said,
            drift: Drift::new(DRIFT_TUPLES_MAX),
            volume: Volume::new(DRIFT_TUPLES_MAX),
            decided_segments: BTreeSet::new(),
            window_end_ns: None,
            captures: Captures::default(),
            bypasses: Held::of(&std::mem::take(&mut storage.bypasses), &names),
            live: LiveView::new(settings.control.flow_view_capacity as usize),
            // What is in the evidence but not in the version becomes one as soon as versions are due.
            learned_revision: u64::MAX,
            stored_cursors: std::mem::take(&mut storage.cursors),
            settings,
            learner,
            stations,
            violations: Violations::default(),
            state,
            exchange: None,
            started: now,
            generation: 0,
            events_received: 0,
            records_refused: 0,
            last_error,
            storage,
            wording: Wording::new(notices, now),
            outward,
            version_due: now,
            publish_due: None,
            attach_due: now,
            attach_error: None,
            save_due: now,
            events_unsaved: 0,
            saving: None,
            history,
            retention: Retention::new(now),
            pending: pending.map(|pending| Deadline::of(pending, now, now_ns())),
            denials,
            shadow: None,
            replaced: None,
            expiry_ns,
        };
        core.windows_changed();
        Ok(core)
    }

    /// Works until `stop` is set, then puts everything on disk.
    pub fn run(mut self, commands: &Receiver<Command>, stop: &AtomicBool) {
        tracing::info!(version = self.state.number.0, "control has started");
        while !stop.load(Ordering::Relaxed) {
            let busy = self.turn();
            for command in commands.try_iter().take(16) {
                self.obey(command);
            }
            if !busy && let Ok(command) = commands.recv_timeout(Duration::from_millis(1)) {
                self.obey(command);
            }
        }
        self.finish();
    }

    /// One round. True if there was anything to drain.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        self.attach_if_due(now);
        let drained = self.drain();
        if let Some(saved) = self.storage.saved() {
            self.conclude(saved, now);
        }
        self.save_if_due(now);
        self.keep_within_limits(now, now_ns());
        self.revert_if_due(now);
        self.expire_if_due();
        self.end_bypasses_if_due();
        self.end_capture_if_due(now);
        if self.window_end_ns.is_some_and(|end| now_ns() >= end) {
            self.windows_changed();
        }
        self.version_if_due(now);
        self.publish_if_due(now);
        self.note_replaced();
        drained > 0
    }

    /// Takes what the rings hold, a bounded number of records of each. Returns how many.
    pub(crate) fn drain(&mut self) -> u64 {
        let Some(mut exchange) = self.exchange.take() else { return 0 };
        self.wording.refill(Instant::now());
        let mut drained = 0;
        for ring in &mut exchange.events {
            drained += ring.read_burst(DRAIN_RECORDS, |record| match Event::decode(record) {
                Ok(event) => self.observe(&event),
                Err(_) => self.records_refused += 1,
            });
            // A storm: what was read is in memory; waiting for the disk would make the ring refuse events.
            if ring.backlog() > ring.capacity() / 2 {
                ring.release();
            }
        }
        self.captures.drain(&mut exchange);
        self.exchange = Some(exchange);
        self.events_unsaved += drained;
        drained
    }

    fn observe(&mut self, event: &Event) {
        self.events_received += 1;
        let (whole, started_ns) = self.live.observe(event);
        self.denials.observe(event);
        self.history.observe(event);
        if let Some(shadow) = &mut self.shadow {
            shadow.observe(event);
        }
        let segment = event.key.tail().segment().index();
        let learning = self.state.modes.get(segment) == Some(&Mode::Learn);
        let denial = matches!(event.kind, EventKind::Denied(_));
        if denial {
            self.drift.observe(event);
        } else if !learning {
            self.volume.observe(event, &self.learner);
        }
        if !denial && (event.flags.learning || (learning && event.rule.is_some())) {
            self.learner.observe(event);
            self.stations.observe(event);
        }
        self.violations.observe(&self.settings, event);
        if !event.flags.repeated
            && event.kind != EventKind::Counted
            && self.wording.has_room()
            && let Some(line) = event_line(&self.settings, &self.state.policy, &whole, started_ns)
        {
            self.wording.tell(line);
        }
    }

    pub(crate) fn fail(&mut self, error: String) {
        tracing::error!("{error}");
        self.last_error = Some(error);
    }
}

mod attaching;
mod commands;
mod saving;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
mod versions;
