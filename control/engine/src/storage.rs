//! The store on a thread of its own: the one writer.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use loadlock_store::{
    Answer, Cursor, EvidenceRow, FlowRow, InForce, NewAnswer, NewBypass, Opened, Store, StoreError,
    Usage,
};

use crate::error::EngineError;
use crate::history::{self, hour_of};

/// What is to be saved, and which of the learner's changes it came from.
pub(crate) struct Batch {
    pub removed: Vec<Vec<u8>>,
    pub rows: Vec<EvidenceRow>,
    pub flows: Vec<FlowRow>,
    pub cursors: Vec<Cursor>,
}

/// What became of a batch.
pub(crate) struct Saved {
    pub cursors: Vec<Cursor>,
    /// What was to be written.
    pub flows: Vec<FlowRow>,
    pub result: Result<(), StoreError>,
}

/// Flow records of denials that are read at the start.
const DENIED_MAX: usize = 100_000;

enum Request {
    Save(Batch),
    /// Anything else; it answers by itself.
    Work(Box<dyn FnOnce(&mut Store) + Send>),
    End,
}

/// A way to the store for any thread.
#[derive(Clone)]
pub(crate) struct StoreHandle {
    requests: Sender<Request>,
    path: PathBuf,
}

impl StoreHandle {
    /// Has the store's thread do something, and waits for what comes of it; a change is then on disk.
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = bounded(1);
        let work = move |store: &mut Store| drop(reply.send(work(store)));
        // It fails only when the thread has ended, which the answer's absence tells.
        let _ = self.requests.send(Request::Work(Box::new(work)));
        answer.recv().unwrap_or_else(|_| {
            Err(StoreError::Io {
                what: "reach the thread that writes",
                path: self.path.clone(),
                source: std::io::Error::other("it has ended"),
            })
        })
    }
}

impl StoreHandle {
    /// Has the store's thread do something when it comes to it; doesn't wait.
    pub fn later(&self, work: impl FnOnce(&mut Store) + Send + 'static) {
        // It fails only when the thread has ended: control is ending.
        let _ = self.requests.send(Request::Work(Box::new(work)));
    }
}

/// The store's thread, and what was in the store when it was opened.
pub(crate) struct Storage {
    handle: StoreHandle,
    saved: Receiver<Saved>,
    thread: Option<JoinHandle<()>>,
    pub in_force: Option<InForce>,
    /// What somebody has to know about the store.
    pub alarms: Vec<String>,
    pub answers: Vec<Answer>,
    pub cursors: Vec<Cursor>,
    /// Flow records of the hour that runs.
    pub flows: Vec<FlowRow>,
    /// Flow records of what was denied, the newest hour first.
    pub denied: Vec<FlowRow>,
    /// From when on there are flow records.
    pub usage: Usage,
    pub bypasses: Vec<NewBypass>,
}

impl Storage {
    /// Opens the store and starts its thread.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let now_ns = crate::core::now_ns();
        let Opened { store, in_force, alarms } = loadlock_store::open(path, now_ns)?;
        let flows = store.flows_of(hour_of(now_ns))?;
        let denied = store.newest_flows_below(history::BEHIND_DENIED, DENIED_MAX)?;
        let usage = store.usage()?;
        let answers = store.answers()?;
        let cursors = store.cursors()?;
        let bypasses = store.bypasses()?;
        let (requests, inbox) = unbounded();
        let (done, saved) = unbounded();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(store, &inbox, &done))
            .map_err(EngineError::Thread)?;
        Ok(Self {
            handle: StoreHandle { requests, path: path.to_owned() },
            saved,
            thread: Some(thread),
            in_force,
            alarms,
            answers,
            cursors,
            flows,
            denied,
            usage,
            bypasses,
        })
    }

    /// Hands a batch over; doesn't wait. The caller keeps to one at a time.
    pub fn save(&self, batch: Batch) {
        // It fails only when the thread has ended, which the missing answer tells.
        let _ = self.handle.requests.send(Request::Save(batch));
    }

    /// What became of a batch handed over before, if it is known yet.
    pub fn saved(&self) -> Option<Saved> {
        self.saved.try_recv().ok()
    }

    /// Waits for what became of a batch handed over before.
    pub fn wait_saved(&self) -> Option<Saved> {
        self.saved.recv().ok()
    }

    /// Appends what somebody said and waits until it is on disk.
    pub fn append_answer(&self, answer: NewAnswer) -> Result<u64, StoreError> {
        self.with(move |store| store.append_answer(&answer))
    }

    /// A way to the store for other threads.
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// See [`StoreHandle::with`].
    pub fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.handle.with(work)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = self.handle.requests.send(Request::End);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; nothing is left to be done about it.
            let _ = thread.join();
        }
    }
}

fn work(mut store: Store, inbox: &Receiver<Request>, done: &Sender<Saved>) {
    for request in inbox {
        match request {
            Request::Save(Batch { removed, rows, flows, cursors }) => {
                let result = store.save_evidence(&removed, &rows, &flows, &cursors);
                if done.send(Saved { cursors, flows, result }).is_err() {
                    return;
                }
            }
            Request::Work(work) => work(&mut store),
            Request::End => return,
        }
    }
}
