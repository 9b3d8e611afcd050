//! Accepting clients, within limits of number and time.
//!
//! axum's own loop has neither, and one idle client per slot would lock everybody else out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::unistd::Uid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::live::{self, Live};
use super::rate::{Client, Rates};
use super::socket::Socket;
use super::{ARRIVAL_TIME, CALL_TIME, CONNECTION_TIME, HEAD_BYTES_MAX, STOPPING_TIME};
use crate::role::Role;
use crate::user;

/// Who is at the other end, and whether the connection may stay.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    who: Who,
    streaming: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    /// By the kernel's word; `None` if it doesn't say. With what its users may do.
    Local(Option<u32>, Role),
    /// Over TLS.
    Remote(IpAddr),
}

impl Peer {
    fn new(who: Who) -> Self {
        Self { who, streaming: Arc::new(AtomicBool::new(false)) }
    }

    /// The user's name, or `uid 1000` for one without a name. Asks the name service, so it may wait.
    pub(super) fn author(&self) -> String {
        match self.who {
            Who::Local(Some(uid), _) => user::name_of(uid),
            _ => "unknown user".to_owned(),
        }
    }

    /// What it may do without a token. Over TLS nothing; over the socket, whose mode has let it in, what the configuration says: root and
    /// control's own user everything, since they could change the store itself.
    pub(super) fn role(&self) -> Option<Role> {
        match self.who {
            Who::Local(Some(uid), _) if is_own(uid) => Some(Role::Admin),
            Who::Local(Some(_), role) => Some(role),
            Who::Local(None, _) | Who::Remote(_) => None,
        }
    }

    /// Whose rate it counts for.
    pub(super) fn client(&self) -> Client {
        match self.who {
            Who::Local(Some(uid), _) if is_own(uid) => Client::Own,
            Who::Local(uid, _) => Client::User(uid),
            Who::Remote(address) => Client::of(address),
        }
    }

    /// Where it is, in words.
    pub(super) fn place(&self) -> String {
        match self.who {
            Who::Local(..) => "the Unix socket".to_owned(),
            Who::Remote(address) => address.to_canonical().to_string(),
        }
    }

    /// Lifts the connection's time limit.
    pub(super) fn is_streaming(&self) {
        // Relaxed: read by the task that runs this one's future too, and nothing else depends on it.
        self.streaming.store(true, Ordering::Relaxed);
    }
}

fn is_own(uid: u32) -> bool {
    uid == 0 || uid == Uid::effective().as_raw()
}

/// Where clients come from.
pub(super) enum Entrance {
    /// Whoever the socket's mode lets in; these get the role that holds then.
    Unix(Socket, Live),
    /// Whoever can reach the address. No client may hold more than its share of connections, nor open them faster than this.
    Tls(TcpListener, TlsAcceptor, Live, Arc<Shares>, Arc<Rates>),
}

/// Connections of each client, at most `most` of one.
pub(super) struct Shares {
    most: usize,
    held: Mutex<HashMap<Client, usize>>,
}

impl Shares {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::new(HashMap::new()) })
    }

    /// One more of this client's, until it is dropped; `None` if it has as many as it may.
    fn take(self: &Arc<Self>, client: Client) -> Option<Share> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(client).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { shares: self.clone(), client })
    }
}

struct Share {
    shares: Arc<Shares>,
    client: Client,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.client);
            }
        }
    }
}

enum Arrived {
    Unix(UnixStream),
    Tcp(TcpStream, SocketAddr),
}

impl Entrance {
    async fn arrival(&self) -> io::Result<Arrived> {
        match self {
            Self::Unix(socket, _) => {
                socket.listener.accept().await.map(|(stream, _)| Arrived::Unix(stream))
            }
            Self::Tls(listener, ..) => {
                listener.accept().await.map(|(stream, from)| Arrived::Tcp(stream, from))
            }
        }
    }
}

/// Serves clients until `stopping` is true and, for a short time, until the open ones have ended. At most `connections` at a time; more
/// wait.
pub(super) async fn accept(
    entrance: &Entrance,
    connections: usize,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(connections));
    let told = stopping.clone();
    loop {
        let client = async {
            let permit = room.clone().acquire_owned().await;
            (permit, entrance.arrival().await)
        };
        let (permit, arrived) = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            (permit, arrived) = client => match arrived {
                Ok(arrived) => (permit, arrived),
                // Out of file descriptors, mostly: others must end first.
                Err(_) => {
                    sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (router, told) = (router.clone(), told.clone());
        match (arrived, entrance) {
            (Arrived::Unix(stream), Entrance::Unix(_, live)) => {
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                let peer = Peer::new(Who::Local(uid, live.borrow().socket_role));
                tokio::spawn(async move {
                    let _permit = permit;
                    // Connecting costs less there than the care for idle connections.
                    serve_one(stream, peer, false, router, told).await;
                });
            }
            (Arrived::Tcp(stream, from), Entrance::Tls(_, at_start, live, shares, connects)) => {
                let peer = Peer::new(Who::Remote(from.ip()));
                // Before the handshake, which costs more than all that follows: who comes too often is cut off without a word.
                let share =
                    shares.take(peer.client()).filter(|_| connects.take(peer.client()).is_none());
                let Some(share) = share else { continue };
                let acceptor = live::acceptor(live, at_start);
                tokio::spawn(async move {
                    let _held = (permit, share);
                    // It fails on systems that have no such option, which costs time only.
                    let _ = stream.set_nodelay(true);
                    if let Ok(Ok(stream)) = timeout(ARRIVAL_TIME, acceptor.accept(stream)).await {
                        serve_one(stream, peer, true, router, told).await;
                    }
                });
            }
            // An entrance gives its own kind only.
            _ => {}
        }
    }
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    // Who hasn't ended by then is cut off with the runtime.
    let _ = timeout(STOPPING_TIME, room.acquire_many(all)).await;
}

/// Serves one connection, for one request or, with `keep_alive`, for as many as come before its time is over.
async fn serve_one<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    keep_alive: bool,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let streaming = peer.streaming.clone();
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVAL_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut end = pin!(sleep(CONNECTION_TIME));
    let (mut is_limited, mut is_told, mut is_last) = (true, false, false);
    loop {
        tokio::select! {
            // An error is the client's going away; there is nobody left to tell.
            _ = &mut connection => return,
            () = &mut end, if is_limited => {
                if streaming.load(Ordering::Relaxed) {
                    is_limited = false;
                } else if is_last || !keep_alive {
                    return;
                } else {
                    // The request that is under way is still answered.
                    connection.as_mut().graceful_shutdown();
                    is_last = true;
                    end.as_mut().reset(tokio::time::Instant::now() + CALL_TIME);
                }
            }
            _ = stopping.wait_for(|stopping| *stopping), if !is_told => {
                connection.as_mut().graceful_shutdown();
                is_told = true;
            }
        }
    }
}
