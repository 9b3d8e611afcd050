//! The store on a thread of its own: the one writer.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};
use loadlock_store::{
    Answer, Cursor, EvidenceRow, NewAnswer, NewVersion, Store, StoreError, Version, VersionNumber,
};

use crate::error::EngineError;

/// What is to be saved, and which of the learner's changes it came from.
pub(crate) struct Batch {
    pub removed: Vec<Vec<u8>>,
    pub rows: Vec<EvidenceRow>,
    pub cursors: Vec<Cursor>,
}

/// What became of a batch.
pub(crate) struct Saved {
    pub cursors: Vec<Cursor>,
    pub result: Result<(), StoreError>,
}

enum Request {
    Save(Batch),
    Answer(NewAnswer, Sender<Result<u64, StoreError>>),
    Append(NewVersion, Sender<Result<VersionNumber, StoreError>>),
}

/// The store's thread, and what was in the store when it was opened.
pub(crate) struct Storage {
    requests: Option<Sender<Request>>,
    saved: Receiver<Saved>,
    thread: Option<JoinHandle<()>>,
    pub path: PathBuf,
    pub latest: Option<Version>,
    pub damaged: Vec<VersionNumber>,
    pub evidence: Vec<EvidenceRow>,
    pub answers: Vec<Answer>,
    pub cursors: Vec<Cursor>,
}

impl Storage {
    /// Opens the store and starts its thread.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let store = Store::open(path)?;
        let (latest, damaged) = match store.latest_version()? {
            Some((version, damaged)) => (Some(version), damaged),
            None => (None, Vec::new()),
        };
        let evidence = store.load_evidence()?;
        let answers = store.answers()?;
        let cursors = store.cursors()?;
        let (requests, inbox) = unbounded();
        let (done, saved) = unbounded();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(store, &inbox, &done))
            .map_err(EngineError::Thread)?;
        Ok(Self {
            requests: Some(requests),
            saved,
            thread: Some(thread),
            path: path.to_owned(),
            latest,
            damaged,
            evidence,
            answers,
            cursors,
        })
    }

    /// Hands a batch over; doesn't wait. The caller keeps to one at a time.
    pub fn save(&self, batch: Batch) {
        self.send(Request::Save(batch));
    }

    /// What became of a batch handed over before, if it is known yet.
    pub fn saved(&self) -> Option<Saved> {
        self.saved.try_recv().ok()
    }

    /// Waits for what became of a batch handed over before.
    pub fn wait_saved(&self) -> Option<Saved> {
        self.saved.recv().ok()
    }

    /// Appends a version and waits until it is on disk.
    pub fn append(&self, version: NewVersion) -> Result<VersionNumber, StoreError> {
        self.wait(|reply| Request::Append(version, reply))
    }

    /// Appends what somebody said and waits until it is on disk.
    pub fn append_answer(&self, answer: NewAnswer) -> Result<u64, StoreError> {
        self.wait(|reply| Request::Answer(answer, reply))
    }

    fn wait<T>(
        &self,
        request: impl FnOnce(Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = bounded(1);
        self.send(request(reply));
        answer.recv().unwrap_or_else(|_| {
            Err(StoreError::Io {
                what: "reach the thread that writes",
                path: self.path.clone(),
                source: std::io::Error::other("it has ended"),
            })
        })
    }

    fn send(&self, request: Request) {
        if let Some(requests) = &self.requests {
            // It fails only when the thread has ended, which the answer's absence tells.
            let _ = requests.send(request);
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; nothing is left to be done about it.
            let _ = thread.join();
        }
    }
}

fn work(mut store: Store, inbox: &Receiver<Request>, done: &Sender<Saved>) {
    for request in inbox {
        match request {
            Request::Save(Batch { removed, rows, cursors }) => {
                let result = store.save_evidence(&removed, &rows, &cursors);
                if done.send(Saved { cursors, result }).is_err() {
                    return;
                }
            }
            Request::Answer(answer, reply) => {
                // Nobody waits only if the core has died.
                let _ = reply.send(store.append_answer(&answer));
            }
            Request::Append(version, reply) => {
                if reply.send(store.append_version(&version)).is_err() {
                    return;
                }
            }
        }
    }
}
