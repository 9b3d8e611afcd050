//! The server: requests on a Unix socket, answered through a [`Backend`].
//!
//! ```text
//!   socket ──► connection (limits, times) ──► routes ──► a blocking thread ──► Backend
//!                                               └──► stream ◄── history ◄── Backend::subscribe
//! ```

mod connection;
mod endpoint;
mod endpoints;
mod guard;
mod history;
mod learning;
mod openapi;
mod policy;
mod query;
mod refusal;
mod routes;
mod socket;
mod stream;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::backend::Backend;
use history::History;
pub use openapi::openapi;
use routes::Shared;
pub use socket::ServeError;
use socket::Socket;

/// Longest request body in bytes.
pub const BODY_BYTES_MAX: usize = 4_096;
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

/// Listens on `socket_path` and answers until `shutdown` is ready, then ends streams, lets requests finish and removes the socket.
///
/// Runs on the caller's tokio runtime, also one of a single thread, with I/O and time enabled; calls of the backend go to its
/// blocking threads. Makes the folder (0750) if it isn't there; the socket has mode 0660, so that root and the group of this process
/// may use it. A socket that nobody answers on any more is replaced.
///
/// # Errors
/// [`ServeError`] when the socket can't be had; nothing was started.
pub async fn serve(
    socket_path: &Path,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let socket = Socket::bind(socket_path)?;
    let history = Arc::new(History::new(HISTORY_EVENTS));
    let keeper = tokio::spawn(history.clone().keep(backend.subscribe()));
    let (stop, stopping) = watch::channel(false);
    let shared = Shared {
        backend,
        history,
        calls: Arc::new(Semaphore::new(CALLS_MAX)),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stopping,
    };
    connection::accept(&socket, shared, stop, shutdown).await;
    keeper.abort();
    Ok(())
}
