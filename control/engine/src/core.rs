//! The core thread: drain, learn, save, publish, answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::Receiver;
use loadlock_api::{EventLine, Listing};
use loadlock_exchange::{
    ControlExchange, Event, EventKind, Generation, Mode, PublishError, RegionError,
    binding_capacity,
};
use loadlock_learn::{
    AdmissionSettings, Decisions, Drift, EvidenceChanges, LearnLimits, Learner, StationRow,
    Stations, Volume,
};
use loadlock_outward::Boards;
use loadlock_policy::Rule;
use loadlock_settings::Settings;
use loadlock_store::{Cursor, Store};
use tokio::sync::broadcast;

use crate::backend::Command;
use crate::bypass::Held;
use crate::change::Deadline;
use crate::denials::DenialLog;
use crate::error::EngineError;
use crate::identity::Violations;
use crate::lines::{event_line, flow};
use crate::live::LiveView;
use crate::rows;
use crate::said::Said;
use crate::shadow::Shadow;
use crate::state::State;
use crate::stations;
use crate::storage::{Batch, Saved, Storage};

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
    events: broadcast::Sender<Arc<EventLine>>,
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
}

/// Different refused tuples that are kept for questions; about 100 bytes each.
const DRIFT_TUPLES_MAX: usize = 65_536;

/// Records taken from one ring before the others get their turn.
const DRAIN_RECORDS: usize = 4096;
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

impl Core {
    /// Takes up where the last control left off.
    pub fn new(
        settings: Settings,
        mut storage: Storage,
        events: broadcast::Sender<Arc<EventLine>>,
        outward: Boards,
    ) -> Result<Self, EngineError> {
        let names: Vec<String> =
            settings.segments.iter().map(|segment| segment.name.to_string()).collect();
        let mut learner = Learner::new(&names, LearnLimits::default());
        let (seen, evidence): (Vec<_>, Vec<_>) =
            std::mem::take(&mut storage.evidence).into_iter().partition(stations::is_station);
        let (evidence, unread) = rows::decode(&evidence);
        let restored = learner.restore(evidence);
        let (seen, unread_stations) = stations::decode(&seen);
        let mut stations = Stations::new(&names);
        stations.restore(seen);
        let unread = unread + unread_stations;
        let mut last_error = None;
        if unread + restored.refused > 0 {
            last_error = Some(format!(
                "{} evidence rows of the store can't be used; what they were about is learned again",
                unread + restored.refused
            ));
        }
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
        let now = Instant::now();
        let mut core = Self {
            said,
            drift: Drift::new(DRIFT_TUPLES_MAX),
            volume: Volume::new(DRIFT_TUPLES_MAX),
            decided_segments: BTreeSet::new(),
            window_end_ns: None,
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
            events,
            outward,
            version_due: now,
            publish_due: None,
            attach_due: now,
            attach_error: None,
            save_due: now,
            events_unsaved: 0,
            saving: None,
            pending: pending.map(|pending| Deadline::of(pending, now, now_ns())),
            denials: DenialLog::new(now_ns()),
            shadow: None,
            replaced: None,
            // Some may have ended while no control ran.
            expiry_ns: Some(0),
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
            self.conclude(&saved, now);
        }
        self.save_if_due(now);
        self.revert_if_due(now);
        self.expire_if_due();
        self.end_bypasses_if_due();
        if self.window_end_ns.is_some_and(|end| now_ns() >= end) {
            self.windows_changed();
        }
        self.version_if_due(now);
        self.publish_if_due(now);
        self.note_replaced();
        drained > 0
    }

    fn attach_if_due(&mut self, now: Instant) {
        if now < self.attach_due {
            return;
        }
        self.attach_due = now + ATTACH_EVERY;
        if let Some(exchange) = &self.exchange {
            exchange.heartbeat(now_ns());
            if exchange.is_current() {
                let published = Generation(self.generation);
                if self.publish_due.is_none() && !exchange.is_in_force(published) {
                    tracing::error!(
                        "a starting dataplane refused the policy in the exchange: it is published again"
                    );
                    self.publish_due = Some(now);
                }
                return;
            }
            tracing::info!("the dataplane has made a new exchange");
            self.exchange = None;
            self.generation = 0;
        }
        match ControlExchange::attach(&self.settings.exchange.path, self.settings.dimensions()) {
            Ok(exchange) => self.attached(exchange, now),
            Err(RegionError::Missing { .. }) => {}
            Err(error) => {
                let text = error.to_string();
                if self.attach_error.as_ref() != Some(&text) {
                    tracing::warn!("{text}");
                    self.attach_error = Some(text);
                }
            }
        }
    }

    fn attached(&mut self, mut exchange: ControlExchange, now: Instant) {
        let instance = exchange.instance();
        for cursor in self.stored_cursors.iter().filter(|cursor| cursor.instance == instance) {
            if let Some(ring) = exchange.events.get_mut(cursor.worker as usize) {
                ring.skip_to(cursor.position);
            }
        }
        tracing::info!(path = %self.settings.exchange.path.display(), "attached to the exchange");
        self.attach_error = None;
        self.live.clear_flows();
        self.exchange = Some(exchange);
        self.tell_bypasses();
        self.publish_due = Some(now);
    }

    /// Takes what the rings hold, a bounded number of records of each. Returns how many.
    pub(crate) fn drain(&mut self) -> usize {
        let Some(mut exchange) = self.exchange.take() else { return 0 };
        let mut drained = 0;
        for ring in &mut exchange.events {
            for _ in 0..DRAIN_RECORDS {
                let Some(record) = ring.next_record() else { break };
                drained += 1;
                match Event::decode(&record) {
                    Ok(event) => self.observe(&event),
                    Err(_) => self.records_refused += 1,
                }
            }
            // A storm: what was read is in memory; waiting for the disk would make the ring refuse events.
            if ring.backlog() > ring.capacity() / 2 {
                ring.release();
            }
        }
        self.exchange = Some(exchange);
        self.events_unsaved += drained as u64;
        drained
    }

    fn observe(&mut self, event: &Event) {
        self.events_received += 1;
        let (whole, started_ns) = self.live.observe(event);
        self.denials.observe(event);
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
            && let Some(line) = event_line(&self.settings, &self.state.policy, &whole, started_ns)
        {
            // It fails when nobody listens, which is in order.
            let _ = self.events.send(Arc::new(line));
        }
    }

    fn save_if_due(&mut self, now: Instant) {
        if self.saving.is_some() || self.events_unsaved == 0 || now < self.save_due {
            return;
        }
        let (changes, seen) = (self.learner.take_changes(), self.stations.take_changes());
        let (removed, mut rows) = rows::encode(&changes);
        rows.extend(stations::encode(&seen));
        self.storage.save(Batch { removed, rows, cursors: self.cursors() });
        self.saving = Some((changes, seen));
        self.events_unsaved = 0;
        self.save_due = now + SAVE_EVERY;
    }

    fn cursors(&self) -> Vec<Cursor> {
        let Some(exchange) = &self.exchange else { return Vec::new() };
        let instance = exchange.instance();
        let rings = exchange.events.iter().zip(0..);
        rings.map(|(ring, worker)| Cursor { instance, worker, position: ring.position() }).collect()
    }

    /// A batch is on disk, or couldn't be put there.
    fn conclude(&mut self, saved: &Saved, now: Instant) {
        let changes = self.saving.take();
        match &saved.result {
            Ok(()) => {
                if let Some(exchange) = &mut self.exchange {
                    let instance = exchange.instance();
                    for cursor in saved.cursors.iter().filter(|cursor| cursor.instance == instance)
                    {
                        if let Some(ring) = exchange.events.get_mut(cursor.worker as usize) {
                            ring.release_to(cursor.position);
                        }
                    }
                }
                self.stored_cursors.clone_from(&saved.cursors);
            }
            Err(error) => {
                self.fail(error.to_string());
                if let Some((changes, seen)) = changes {
                    self.learner.keep_unsaved(&changes);
                    self.stations.keep_unsaved(&seen);
                }
                self.events_unsaved += 1;
                self.save_due = now + SAVE_AGAIN;
            }
        }
    }

    pub(crate) fn fail(&mut self, error: String) {
        tracing::error!("{error}");
        self.last_error = Some(error);
    }

    /// Makes a version of what was learned since the last.
    fn version_if_due(&mut self, now: Instant) {
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
    fn revision(&self) -> u64 {
        self.learner.revision().wrapping_add(self.stations.revision())
    }

    /// As many as go with the rules: in a fixed order, so that the same ones are left out each time, which is an alarm.
    fn learned_bindings(&self) -> Vec<loadlock_policy::Binding> {
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

    pub(crate) fn publish_if_due(&mut self, now: Instant) {
        if self.publish_due.is_none_or(|due| now < due) {
            return;
        }
        let modes = self.modes_in_force();
        let Some(exchange) = &mut self.exchange else { return };
        let in_force = State { modes, ..self.state.clone() };
        let image = match in_force.compile(&self.settings) {
            Ok(image) => image,
            Err(error) => {
                self.publish_due = None;
                self.fail(format!("policy version {}: {error}", self.state.number));
                return;
            }
        };
        match exchange.publish(&image) {
            Ok(generation) => {
                self.generation = generation.0;
                self.publish_due = None;
                tracing::info!(
                    version = self.state.number.0,
                    generation = generation.0,
                    "policy in force"
                );
            }
            Err(PublishError::Busy(_)) => self.publish_due = Some(now + PUBLISH_AGAIN),
            Err(error @ PublishError::TooLarge { .. }) => {
                self.publish_due = None;
                self.fail(error.to_string());
            }
        }
    }

    fn obey(&mut self, command: Command) {
        // A reply nobody waits for any more is thrown away.
        match command {
            Command::Status(reply) => drop(reply.send(Ok(self.status()))),
            Command::Figures(reply) => drop(reply.send(Ok(self.figures()))),
            Command::Drops(reply) => drop(reply.send(Ok(self.drops()))),
            Command::SetMode { segment, mode, author, reply } => {
                let result = self.set_mode(&segment, mode.into(), &author);
                drop(reply.send(result));
            }
            Command::SetBypass { segment, change, author, reply } => {
                let result = self.set_bypass(&segment, &change, &author);
                drop(reply.send(result));
            }
            Command::StartShadow(shadow, limit, reply) => {
                self.start_shadow(shadow);
                drop(reply.send(self.shadow_status(limit)));
            }
            Command::StopShadow(reply) => drop(reply.send(self.stop_shadow())),
            Command::Shadow(limit, reply) => drop(reply.send(self.shadow_status(limit))),
            Command::Snapshot(reply) => drop(reply.send(Ok(self.state.clone()))),
            Command::Change(change, reply) => drop(reply.send(self.change(change))),
            Command::Denials(addresses, device, reply) => {
                drop(reply.send(Ok(self.is_it_me(&addresses, device))));
            }
            Command::Rules(query, reply) => {
                let known = |name: &String| {
                    self.settings.segments.iter().any(|segment| segment.name.as_str() == name)
                };
                let result = match &query.segment {
                    Some(segment) if !known(segment) => Err(self.unknown_segment(segment)),
                    wanted => Ok(Listing::take(
                        self.rules().filter(|rule| {
                            wanted.as_ref().is_none_or(|name| rule.segment == *name)
                        }),
                        query.limit,
                    )),
                };
                drop(reply.send(result));
            }
            Command::Bindings(query, reply) => drop(reply.send(self.bindings(&query))),
            Command::Renew { segment, renewal, author, reply } => {
                let result = self.renew(&segment, &renewal, &author);
                drop(reply.send(result));
            }
            Command::Learning { request, author, reply } => {
                let result = self.learning(request, &author);
                drop(reply.send(result));
            }
            Command::Explain(query, reply) => drop(reply.send(self.explain(&query))),
            Command::Flows(query, reply) => {
                let flows = self.live.flows();
                let matching = flows.iter().filter(|(key, _)| {
                    query.address.is_none_or(|address| {
                        use loadlock_packet::Side::{A, B};
                        [A, B].iter().any(|side| address.matches(key.endpoint(*side).network))
                    })
                });
                let lines =
                    matching.map(|(key, live)| flow(&self.settings, &self.state.policy, key, live));
                let mut listing = Listing::take(lines, query.limit);
                listing.total += self.live.flows_left_out();
                drop(reply.send(Ok(listing)));
            }
        }
    }

    /// Puts everything learned on disk and gives the rings back.
    fn finish(&mut self) {
        while self.drain() > 0 {}
        if self.saving.is_some()
            && let Some(saved) = self.storage.wait_saved()
        {
            self.conclude(&saved, Instant::now());
        }
        self.save_due = Instant::now();
        self.version_due = self.save_due;
        self.save_if_due(self.save_due);
        if self.saving.is_some()
            && let Some(saved) = self.storage.wait_saved()
        {
            self.conclude(&saved, Instant::now());
        }
        self.version_if_due(Instant::now());
        tracing::info!("control has ended; the dataplane keeps the policy in force");
    }
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
