//! Accepting clients, within limits of number and time.
//!
//! axum's own loop has neither, and one idle client per slot would lock everybody else out.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Extension;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::unistd::{Uid, User};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::routes::{self, Shared};
use super::socket::Socket;
use super::{ARRIVAL_TIME, CONNECTION_TIME, CONNECTIONS_MAX, STOPPING_TIME};
use crate::role::Role;

/// Who is at the other end, and whether the connection may stay.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// `None` if the kernel doesn't say.
    uid: Option<u32>,
    streaming: Arc<AtomicBool>,
}

impl Peer {
    /// The user's name, or `uid 1000` for one without a name. Asks the name service, so it may wait.
    pub(super) fn author(&self) -> String {
        let Some(uid) = self.uid else {
            return "unknown user".to_owned();
        };
        match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => crate::printable(&user.name).into_owned(),
            _ => format!("uid {uid}"),
        }
    }

    /// What it may do without a token: everything, since the socket's mode has let it in; nothing if nobody knows who it is.
    pub(super) fn role(&self) -> Option<Role> {
        self.uid.map(|_| Role::Admin)
    }

    /// Lifts the connection's time limit.
    pub(super) fn is_streaming(&self) {
        // Relaxed: read by the task that runs this one's future too, and nothing else depends on it.
        self.streaming.store(true, Ordering::Relaxed);
    }
}

/// Serves clients until `shutdown` is ready and, for a short time, until the open ones have ended.
pub(super) async fn accept(
    socket: &Socket,
    shared: Shared,
    stop: watch::Sender<bool>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let stopping = shared.stopping.clone();
    let router = routes::router(shared);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut shutdown = pin!(shutdown);
    loop {
        let client = async {
            let permit = room.clone().acquire_owned().await;
            (permit, socket.listener.accept().await)
        };
        let (permit, stream) = tokio::select! {
            () = &mut shutdown => break,
            (permit, accepted) = client => match accepted {
                Ok((stream, _)) => (permit, stream),
                // Out of file descriptors, mostly: others must end first.
                Err(_) => {
                    sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (router, stopping) = (router.clone(), stopping.clone());
        tokio::spawn(async move {
            let _permit = permit;
            serve_one(stream, router, stopping).await;
        });
    }
    stop.send_replace(true);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Who hasn't ended by then is cut off with the runtime.
    let _ = timeout(STOPPING_TIME, room.acquire_many(all)).await;
}

/// Serves one client, one request: a connection over a Unix socket costs less than the care for idle ones.
async fn serve_one(stream: UnixStream, router: Router, mut stopping: watch::Receiver<bool>) {
    let streaming = Arc::new(AtomicBool::new(false));
    let peer = Peer {
        uid: stream.peer_cred().ok().map(|credentials| credentials.uid()),
        streaming: streaming.clone(),
    };
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVAL_TIME)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut end = pin!(sleep(CONNECTION_TIME));
    let (mut is_limited, mut is_told) = (true, false);
    loop {
        tokio::select! {
            // An error is the client's going away; there is nobody left to tell.
            _ = &mut connection => return,
            () = &mut end, if is_limited => {
                if !streaming.load(Ordering::Relaxed) {
                    return;
                }
                is_limited = false;
            }
            _ = stopping.wait_for(|stopping| *stopping), if !is_told => {
                connection.as_mut().graceful_shutdown();
                is_told = true;
            }
        }
    }
}
