//! Taking over a changed configuration file while control runs.
//!
//! All is read and checked first; then it is recorded; then each part is told. What needs a restart is named and left.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use loadlock_api::{BackendError, Certificate, KeyChange, LiveOptions, Reloaded};
use loadlock_outward::{Boards, Sinks};
use loadlock_settings::{Change, LogLevel, Machine, Settings, Takes};
use loadlock_store::Action;
use tokio::sync::watch::Sender;

use crate::answers::store_error;
use crate::backend::{Command, CoreBackend};
use crate::core::{Core, now_ns};
use crate::error::EngineError;

/// How the program that runs control takes part in reloads.
pub struct Reloads {
    /// Set by who wants one: the handler of SIGHUP. It is looked at twenty times a second.
    pub asked: Arc<AtomicBool>,
    /// Changes what is logged.
    pub set_log: Box<dyn Fn(LogLevel) + Send + Sync>,
}

/// What is changed besides core and backend.
pub(crate) struct Reloader {
    /// Where the sinks get figures from: the backend that this belongs to.
    source: Weak<CoreBackend>,
    /// One reload at a time; `None` once control ends.
    sinks: Mutex<Option<Sinks>>,
    live: Sender<LiveOptions>,
    set_log: Box<dyn Fn(LogLevel) + Send + Sync>,
}

impl Reloader {
    pub fn new(
        source: &Arc<CoreBackend>,
        sinks: Sinks,
        live: Sender<LiveOptions>,
        set_log: Box<dyn Fn(LogLevel) + Send + Sync>,
    ) -> Self {
        Self { source: Arc::downgrade(source), sinks: Mutex::new(Some(sinks)), live, set_log }
    }

    /// Hands over what waits in the sinks, and ends them.
    pub fn finish(&self) {
        if let Some(sinks) = self.sinks().take() {
            sinks.finish();
        }
    }

    /// Poison is ignored: what is in it is replaced whole.
    fn sinks(&self) -> MutexGuard<'_, Option<Sinks>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that has no mistake, not yet taken over.
struct Plan {
    new: Settings,
    changes: Vec<Change>,
    certificate: Option<Certificate>,
}

impl CoreBackend {
    /// Takes over what may change in the file that control was started with; with `dry_run` only says what that is.
    pub(crate) fn take_over(&self, dry_run: bool, author: &str) -> Result<Reloaded, BackendError> {
        let starting = || BackendError::Unavailable { reason: "it is starting".to_owned() };
        let reloader = self.reloader.get().ok_or_else(starting)?;
        let mut sinks = reloader.sinks();
        let mut settings = Settings::clone(&self.settings());
        let plan = plan(&settings)?;
        let answer = plan.answer(settings.place(), dry_run);
        if dry_run {
            return Ok(answer);
        }
        if !answer.changed.is_empty() {
            let (actor, note) = (author.to_owned(), note(&answer.changed));
            self.store
                .with(move |store| store.record_action(Action::Reloaded, now_ns(), &actor, &note))
                .map_err(store_error)?;
        }
        let before = settings.clone();
        settings.take_live(&plan.new);
        let boards = if before.outward == settings.outward {
            sinks.as_ref().map(Sinks::boards).unwrap_or_default()
        } else {
            self.exchange_sinks(reloader, &mut sinks, &settings)?
        };
        self.ask(|reply| Command::Reload(Box::new(settings.clone()), boards, reply))?;
        reloader.live.send_modify(|live| {
            let certificate = plan.certificate.clone().or(live.certificate.take());
            *live = LiveOptions { certificate, ..crate::options(&settings).live() };
        });
        if before.control.log != settings.control.log {
            (reloader.set_log)(settings.control.log);
        }
        self.set_settings(settings);
        for change in &answer.changed {
            tracing::info!(
                key = change.key,
                old = change.old,
                new = change.new,
                author,
                "taken over"
            );
        }
        Ok(answer)
    }

    /// Ends the sinks and starts others in their place, which read events on from where the others stopped.
    fn exchange_sinks(
        &self,
        reloader: &Reloader,
        sinks: &mut Option<Sinks>,
        settings: &Settings,
    ) -> Result<Boards, BackendError> {
        let ending = |reason: String| BackendError::Unavailable { reason };
        let source = reloader.source.upgrade().ok_or_else(|| ending("it is ending".to_owned()))?;
        let old = sinks.take().ok_or_else(|| ending("it is ending".to_owned()))?;
        let mut new = Sinks::after(&settings.outward, &old.boards());
        let events = old.finish().unwrap_or_else(|| self.new_events());
        let started = new.start(source, events);
        let boards = new.boards();
        *sinks = Some(new);
        started.map_err(|error| {
            ending(format!("the system refuses threads for [outward]: {error}"))
        })?;
        Ok(boards)
    }
}

/// Reads the file and everything it names that is taken over.
fn plan(running: &Settings) -> Result<Plan, BackendError> {
    let invalid = |mistakes: String| BackendError::InvalidSettings { mistakes };
    let new =
        Settings::load(Path::new(running.place())).map_err(|errors| invalid(errors.to_string()))?;
    let machine = Machine::here().map_err(|error| invalid(error.to_string()))?;
    new.check_machine(&machine).map_err(|errors| invalid(errors.to_string()))?;
    // Renewed under the same name, it is to be shown from now on; under another one that takes a restart.
    let certificate = match crate::options(running).tls {
        Some(tls) => Some(Certificate::read(&tls).map_err(|error| invalid(error.to_string()))?),
        None => None,
    };
    let changes = running.changes(&new);
    Ok(Plan { new, changes, certificate })
}

impl Plan {
    fn answer(&self, file: &str, dry_run: bool) -> Reloaded {
        let of = |takes: Takes| -> Vec<KeyChange> {
            let changes = self.changes.iter().filter(|change| change.takes == takes);
            let shown = changes.map(|change| KeyChange {
                key: change.key.clone(),
                old: change.old.clone(),
                new: change.new.clone(),
            });
            shown.collect()
        };
        Reloaded {
            file: file.to_owned(),
            dry_run,
            changed: of(Takes::Reload),
            certificate_read: self.certificate.is_some(),
            needs_control: of(Takes::Control),
            needs_dataplane: of(Takes::Dataplane),
            needs_both: of(Takes::Both),
            by_verb: of(Takes::FirstStart),
        }
    }
}

/// What the audit log says of it.
fn note(changed: &[KeyChange]) -> String {
    let words: Vec<String> = changed
        .iter()
        .map(|change| format!("{}: {} -> {}", change.key, change.old, change.new))
        .collect();
    words.join("; ")
}

impl Core {
    /// Takes over what may change. Segments' answers and identities are part of what is published.
    pub(crate) fn reload(&mut self, settings: Settings, boards: Boards) {
        self.outward = boards;
        self.live.set_capacity(settings.control.flow_view_capacity as usize);
        self.history.set_limit(settings.control.retention_bytes);
        let is_published = self.settings.segment_policies() != settings.segment_policies()
            || self
                .settings
                .segments
                .iter()
                .zip(&settings.segments)
                .any(|(old, new)| old.identity != new.identity);
        let decides_otherwise = self.settings.control.records_all != settings.control.records_all;
        self.settings = settings;
        if decides_otherwise {
            // What the evidence supports has changed without new evidence.
            self.learned_revision = u64::MAX;
        }
        if is_published {
            let now = Instant::now();
            self.publish_due = Some(now);
            self.publish_if_due(now);
        }
    }
}

/// Reloads whenever `asked` is set, and logs what comes of it.
pub(crate) fn watch(
    backend: Arc<CoreBackend>,
    asked: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, EngineError> {
    let work = move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
            if asked.swap(false, Ordering::Relaxed) {
                say(&backend.take_over(false, "SIGHUP"));
            }
        }
    };
    std::thread::Builder::new().name("reload".to_owned()).spawn(work).map_err(EngineError::Thread)
}

fn say(result: &Result<Reloaded, BackendError>) {
    match result {
        Ok(reloaded) => {
            let rest = [&reloaded.needs_control, &reloaded.needs_dataplane, &reloaded.needs_both];
            let restarts: Vec<&str> =
                rest.into_iter().flatten().map(|change| change.key.as_str()).collect();
            tracing::info!(
                changed = reloaded.changed.len(),
                needs_restart = restarts.join(", "),
                "reloaded {}",
                reloaded.file
            );
        }
        Err(error) => tracing::error!("nothing was reloaded: {error}"),
    }
}
