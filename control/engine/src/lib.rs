//! The control daemon: drains the exchange, learns, keeps versions, publishes, answers.
//!
//! ```text
//!  exchange ── events ──► core thread (pinned) ── evidence, versions ──► store thread ──► SQLite
//!      ▲                    │  ▲        │                    ┌──► sinks (loadlock-outward)
//!      └──── policies ──────┘  │        └── events ──► broadcast ──┐
//!                      commands │                                   ▼
//!                           Backend ◄──────────────────── API thread (tokio, Unix socket)
//! ```
//!
//! The core thread owns the learner, the policy and control's end of the exchange; nobody else touches them. It never waits for the
//! disk while it drains: evidence goes to the store thread, and ring slots are given back when it is on disk. A mode change
//! waits for the disk, since a version is enforced only after it is durable.
//!
//! Control may be killed at any instant: the dataplane goes on with the policy in force; the next control finds the last durable
//! version and reads the rings on from where evidence is on disk; the workers report live conversations again.

#![forbid(unsafe_code)]

mod access;
mod answers;
mod backend;
mod bypass;
mod captures;
mod change;
mod core;
mod denials;
mod error;
mod explain;
mod history;
mod identity;
mod lines;
mod live;
mod oui;
mod questions;
mod reload;
mod report;
mod retention;
mod rows;
mod said;
mod shadow;
mod state;
mod stations;
mod storage;
mod wording;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadlock_api::{LiveOptions, Role, ServeOptions, TlsOptions};
use loadlock_outward::Sinks;
use loadlock_settings::Settings;
use tokio::sync::{broadcast, watch};

use reload::Reloader;

pub use error::EngineError;
pub use reload::Reloads;

/// Events kept for clients that are slower than the core; what is beyond is told to them as lost.
const EVENTS_KEPT: usize = 16_384;

/// Runs control until `stop` is set. Returns when all that was learned is on disk.
///
/// # Errors
/// [`EngineError`]: control can't start, or had to end. The dataplane isn't touched by it.
pub fn run(
    settings: &Settings,
    stop: &Arc<AtomicBool>,
    reloads: Reloads,
) -> Result<(), EngineError> {
    let storage = storage::Storage::open(&settings.control.store)?;
    let (events, _) = broadcast::channel(EVENTS_KEPT);
    let access = access::Access::open(storage.handle(), core::now_ns)?;
    let (backend, commands) =
        backend::channel(events.clone(), storage.handle(), settings.clone(), access);
    let mut sinks = Sinks::new(&settings.outward);
    let outgoing = events.subscribe();
    let core = core::Core::new(settings.clone(), storage, events, sinks.boards())?;
    let backend = Arc::new(backend);
    sinks.start(backend.clone(), outgoing).map_err(EngineError::Thread)?;
    let (changes, live) = watch::channel(options(settings).live());
    let reloader =
        backend.reloader.get_or_init(|| Reloader::new(&backend, sinks, changes, reloads.set_log));
    let stop_core = stop.clone();
    let core_id = usize::from(settings.control.core.0);
    let thread = std::thread::Builder::new()
        .name("control-core".to_owned())
        .spawn(move || {
            pin(core_id);
            core.run(&commands, &stop_core);
        })
        .map_err(EngineError::Thread)?;
    let asked = reload::watch(backend.clone(), reloads.asked, stop.clone())?;
    let served = serve(settings, live, backend.clone(), stop);
    stop.store(true, Ordering::Relaxed);
    let ended = thread.join();
    // What it died of has been printed.
    let _ = asked.join();
    // After the core, whose last events are still to be handed over.
    reloader.finish();
    served?;
    ended.map_err(|_| EngineError::CoreDied)
}

/// Pins the calling thread; where that fails the thread runs anywhere, which costs speed only.
fn pin(core: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        tracing::warn!(core, "the core thread can't be pinned; check `control.core`");
    }
}

/// What the configuration says of the API.
pub(crate) fn options(settings: &Settings) -> ServeOptions {
    let api = &settings.api;
    let tls = api.tls_listen.map(|listen| TlsOptions {
        listen,
        certificate: api.tls_certificate.clone(),
        key: api.tls_key.clone(),
    });
    ServeOptions {
        socket: settings.control.socket.clone(),
        // The words are the same on both sides; a test compares them.
        socket_role: Role::from_name(&api.socket_role).unwrap_or(Role::Viewer),
        tls,
        connections: api.connections,
        requests_per_s: api.requests_per_s,
    }
}

fn serve(
    settings: &Settings,
    live: watch::Receiver<LiveOptions>,
    backend: Arc<backend::CoreBackend>,
    stop: &Arc<AtomicBool>,
) -> Result<(), EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(EngineError::Thread)?;
    let stop = stop.clone();
    let stopped = async move {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let served = runtime
        .block_on(loadlock_api::serve_changing(&options(settings), live, backend, stopped))
        .map_err(EngineError::Serve);
    // Calls that the server has given up on aren't waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}
