//! Why control can't start, or had to end.

use std::fmt;
use std::io;

use loadlock_api::ServeError;
use loadlock_policy::PolicyErrors;
use loadlock_store::{StoreError, VersionNumber};

/// Why control ended.
#[derive(Debug)]
pub enum EngineError {
    /// The store.
    Store(StoreError),
    /// A stored version can't be read as a policy.
    StoredPolicy {
        /// Which.
        version: VersionNumber,
        /// What is wrong with it.
        errors: PolicyErrors,
    },
    /// The API can't be served.
    Serve(ServeError),
    /// A thread or runtime can't be started.
    Thread(io::Error),
    /// The core thread panicked.
    CoreDied,
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::StoredPolicy { version, errors } => write!(
                f,
                "store: policy version {version} can't be read: {errors}; restore a backup, or start with another \
                 `control.store`"
            ),
            Self::Serve(error) => error.fmt(f),
            Self::Thread(error) => {
                write!(f, "control can't start a thread: {error}; raise the limit of processes")
            }
            Self::CoreDied => f.write_str(
                "control's core thread died; the dataplane keeps the policy in force. Start control again, and report the \
                 message above",
            ),
        }
    }
}

impl std::error::Error for EngineError {}
