//! What is known of each sink, for everybody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use loadlock_api::{SinkStatus, Time};

/// The state of one sink. Its thread writes; anybody reads, without waiting for more than the copying of a text.
#[derive(Debug)]
pub(crate) struct Board {
    name: String,
    target: String,
    room: AtomicU64,
    // Relaxed: each is a figure by itself.
    sent: AtomicU64,
    lost: AtomicU64,
    waiting: AtomicU64,
    link: Mutex<Link>,
}

#[derive(Debug, Default)]
struct Link {
    connected_since: Option<Time>,
    error: Option<String>,
}

impl Board {
    pub fn new(name: String, target: String, room: u64) -> Self {
        Self {
            name,
            target,
            room: AtomicU64::new(room),
            sent: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            link: Mutex::default(),
        }
    }

    /// The name in status, metrics and logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.took(count);
    }

    pub fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// So many more wait.
    pub fn queued(&self, count: u64) {
        self.waiting.fetch_add(count, Ordering::Relaxed);
    }

    /// So many wait no more.
    pub fn took(&self, count: u64) {
        // Metrics' answers never waited.
        let less = |waiting: u64| Some(waiting.saturating_sub(count));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// It can be written to from now on.
    pub fn connected(&self) {
        let mut link = self.link();
        if link.error.take().is_some() || link.connected_since.is_none() {
            tracing::info!(sink = self.name, target = self.target, "connected");
        }
        link.connected_since = Some(now());
    }

    /// It can't be written to. Logged when it is another error than before.
    pub fn failed(&self, error: &str) {
        let mut link = self.link();
        if link.error.as_deref() != Some(error) {
            tracing::warn!(sink = self.name, target = self.target, "{error}");
        }
        *link = Link { connected_since: None, error: Some(error.to_owned()) };
    }

    pub fn status(&self) -> SinkStatus {
        let link = self.link();
        SinkStatus {
            name: self.name.clone(),
            target: self.target.clone(),
            connected_since: link.connected_since,
            sent: self.sent.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            room: self.room.load(Ordering::Relaxed),
            error: link.error.clone(),
        }
    }

    /// Poison is ignored: every change under the lock leaves it whole.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states of all sinks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Boards(pub(crate) Arc<Vec<Arc<Board>>>);

impl Boards {
    /// The board of this name and target, with room for so many; a new one if there is none.
    pub(crate) fn continued(&self, name: String, target: String, room: u64) -> Arc<Board> {
        let same = self.0.iter().find(|board| board.name == name && board.target == target);
        match same {
            Some(board) => {
                board.room.store(room, Ordering::Relaxed);
                board.clone()
            }
            None => Arc::new(Board::new(name, target, room)),
        }
    }

    /// All sinks, in the order metrics, file, syslog, IPFIX.
    #[must_use]
    pub fn report(&self) -> Vec<SinkStatus> {
        self.0.iter().map(|board| board.status()).collect()
    }
}

/// By the wall clock.
pub(crate) fn now() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::from_ns(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
