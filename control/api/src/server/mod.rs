//! The server: requests on a Unix socket and over TLS, answered through a [`Backend`].
//!
//! ```text
//!   socket, TLS ──► connection (limits, times) ──► guard (rate, who, role) ──► routes ──► a blocking thread ──► Backend
//!                                               └──► stream ◄── history ◄── Backend::subscribe
//! ```

mod accounts;
mod audit;
mod captures;
mod connection;
mod endpoint;
mod endpoints;
mod guard;
mod history;
mod learning;
mod live;
mod openapi;
mod policy;
mod query;
mod rate;
mod refusal;
mod routes;
mod socket;
mod stream;
mod tls;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::backend::Backend;
use crate::role::Role;
use connection::{Entrance, Shares};
use history::History;
use live::Live;
pub use live::{Certificate, LiveOptions};
pub use openapi::openapi;
use rate::Rates;
use routes::Shared;
pub use socket::ServeError;
use socket::Socket;
pub use tls::{TlsError, TlsOptions};

/// Longest request body in bytes.
pub const BODY_BYTES_MAX: usize = 4_096;
/// Longest head of a request in bytes.
const HEAD_BYTES_MAX: usize = 32_768;
/// Most bodies longer than [`BODY_BYTES_MAX`] at a time: each may be long, and is read into memory.
const LONG_BODIES_MAX: usize = 2;
/// Attempts of one client to log in.
const LOGINS_PER_MINUTE: f64 = 10.0;
/// Most connections at a time; more wait until one ends.
pub const CONNECTIONS_MAX: usize = 64;
/// Most event streams at a time, fewer than connections, so that streams can't shut out requests; more are refused.
pub const STREAMS_MAX: usize = 32;
/// Events kept for clients that come late, reconnect or are slow.
pub const HISTORY_EVENTS: usize = 8_192;
/// Most calls of the backend at a time: one thread each, also when the call is given up.
const CALLS_MAX: usize = 8;
/// Time for one call of the backend, waiting for its turn included.
const CALL_TIME: Duration = Duration::from_secs(10);
/// Time for a request's head or body to arrive.
const ARRIVAL_TIME: Duration = Duration::from_secs(5);
/// Time for a whole connection, unless it is an event stream: a client that doesn't read its answer is cut off.
const CONNECTION_TIME: Duration = Duration::from_secs(60);
/// Time for open connections to end when the server stops.
const STOPPING_TIME: Duration = Duration::from_secs(3);
/// Silence on an event stream after which a comment shows that the server lives.
pub(crate) const STREAM_SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Where to listen, and what clients may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The Unix socket.
    pub socket: PathBuf,
    /// What users of the socket may do without a token; root and this process's own user may do everything.
    pub socket_role: Role,
    /// Also over TLS, if it is given.
    pub tls: Option<TlsOptions>,
    /// Most connections over TLS at a time, a quarter of them for one client; more wait, or are cut off.
    pub connections: usize,
    /// Requests a second of one client, of which twice as many may come at once. Root and this process's own user aren't limited on the
    /// socket.
    pub requests_per_s: u32,
}

impl ServeOptions {
    /// What of it may change while the server runs.
    #[must_use]
    pub fn live(&self) -> LiveOptions {
        LiveOptions {
            socket_role: self.socket_role,
            requests_per_s: self.requests_per_s,
            certificate: None,
        }
    }

    /// The Unix socket alone, with everything as in a configuration that says nothing.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            socket_role: Role::Admin,
            tls: None,
            connections: CONNECTIONS_MAX,
            requests_per_s: 100,
        }
    }
}

/// Listens and answers until `shutdown` is ready, then ends streams, lets requests finish and removes the socket.
///
/// Runs on the caller's tokio runtime, also one of a single thread, with I/O and time enabled; calls of the backend go to its
/// blocking threads. Makes the socket's folder (0750) if it isn't there; the socket has mode 0660, so that root and the group of this
/// process may use it. A socket that nobody answers on any more is replaced.
///
/// # Errors
/// [`ServeError`] when the socket, or TLS, can't be had; nothing was started.
pub async fn serve(
    options: &ServeOptions,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (_changes, live) = watch::channel(options.live());
    serve_changing(options, live, backend, shutdown).await
}

/// [`serve`], with what is in `live` instead of what the options say of it.
///
/// # Errors
/// As [`serve`].
pub async fn serve_changing(
    options: &ServeOptions,
    live: Live,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let tls = match &options.tls {
        Some(tls) => Some(tls::listen(tls).await.map_err(ServeError::Tls)?),
        None => None,
    };
    let unix = Entrance::Unix(Socket::bind(&options.socket)?, live.clone());
    let history = Arc::new(History::new(HISTORY_EVENTS));
    let keeper = tokio::spawn(history.clone().keep(backend.subscribe()));
    let (stop, stopping) = watch::channel(false);
    let per_s = f64::from(live.borrow().requests_per_s.max(1));
    let rates = Arc::new(Rates::new(per_s, per_s * 2.0));
    // Connections over TLS have a rate of their own, the same: a handshake costs more than a request.
    let connects = Arc::new(Rates::new(per_s, per_s * 2.0));
    let shared = Shared {
        backend,
        history,
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        logins: Arc::new(Semaphore::new(1)),
        long_bodies: Arc::new(Semaphore::new(LONG_BODIES_MAX)),
        rates: rates.clone(),
        login_rates: Arc::new(Rates::new(LOGINS_PER_MINUTE / 60.0, LOGINS_PER_MINUTE)),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stopping: stopping.clone(),
    };
    let router = routes::router(shared);
    // Each entrance has its own room, so that nobody outside can shut out the socket.
    let over_socket = connection::accept(&unix, CONNECTIONS_MAX, router.clone(), stopping.clone());
    let over_tls = async {
        if let Some((listener, acceptor)) = tls {
            let shares = Shares::new((options.connections / 4).max(1));
            let entrance =
                Entrance::Tls(listener, acceptor, live.clone(), shares, connects.clone());
            connection::accept(&entrance, options.connections, router, stopping).await;
        }
    };
    let until = async {
        shutdown.await;
        stop.send_replace(true);
    };
    let all = async { tokio::join!(over_socket, over_tls, until) };
    let changing = [&*rates, &*connects];
    tokio::select! {
        _ = all => {}
        _ = live::keep_rates(live.clone(), &changing) => {}
    }
    keeper.abort();
    Ok(())
}
