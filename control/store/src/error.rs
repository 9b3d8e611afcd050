//! What can be wrong with a store.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::audit::Action;
use crate::lifecycle::VersionState;
use crate::open::SCHEMA_VERSION;
use crate::version::VersionNumber;

/// Why the store can't be opened, read or written. Nothing was changed.
#[derive(Debug)]
pub enum StoreError {
    /// A folder or the lock file.
    Io {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another process has the store open.
    InUse {
        /// The lock it holds.
        lock: PathBuf,
    },
    /// SQLite refused.
    Database {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
    /// Not a Loadlock store, or no database at all.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The database is damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite's check found first.
        finding: String,
    },
    /// Written by a newer release.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// A backup that isn't whole.
    BackupDamaged {
        /// The file.
        path: PathBuf,
        /// What was found first.
        finding: String,
    },
    /// Not a backup.
    BackupForeign {
        /// The file.
        path: PathBuf,
    },
    /// There are versions, and none of them is whole.
    NoWholeVersion {
        /// The file.
        path: PathBuf,
        /// The damaged ones, newest first.
        damaged: Vec<VersionNumber>,
    },
    /// A version that was asked for doesn't exist.
    NoVersion {
        /// Its number.
        number: VersionNumber,
    },
    /// A version that isn't in the state that an action needs.
    WrongState {
        /// Its number.
        number: VersionNumber,
        /// Where it stands.
        state: VersionState,
        /// What was to be done.
        action: Action,
        /// Where it would have to stand.
        from: &'static [VersionState],
    },
    /// A version whose text and hash differ.
    VersionDamaged {
        /// Its number.
        number: VersionNumber,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, path, source } => write!(
                f,
                "store: can't {what} {}: {source}; `control.store` must be in a folder this user may write to, with free space",
                path.display()
            ),
            Self::InUse { lock } => write!(
                f,
                "store: another process has it open (it holds {}); stop it first, or set another `control.store`",
                lock.display()
            ),
            Self::Database { what, path, source } => write!(
                f,
                "store: can't {what} {}: {source}; nothing was changed. Check free space and rights of its folder",
                path.display()
            ),
            Self::Foreign { path } => write!(
                f,
                "store: {} isn't a Loadlock store and stays untouched; set `control.store` to another file, or move it away",
                path.display()
            ),
            Self::Damaged { path, finding } => write!(
                f,
                "store: {} is damaged ({finding}) and stays untouched; the dataplane keeps the policy in force. Move the file \
                 aside and restore a backup, then start control again",
                path.display()
            ),
            Self::Newer { path, found } => write!(
                f,
                "store: {} has schema version {found}, this release knows up to {SCHEMA_VERSION}; install the newer release, or \
                 restore the backup made before the upgrade",
                path.display()
            ),
            Self::BackupDamaged { path, finding } => write!(
                f,
                "store: the backup {} is damaged ({finding}); nothing was changed. Take another backup",
                path.display()
            ),
            Self::BackupForeign { path } => write!(
                f,
                "store: {} isn't a backup of a Loadlock store; nothing was changed. Name a file that `loadlock backup` wrote",
                path.display()
            ),
            Self::NoWholeVersion { path, damaged } => {
                let numbers: Vec<String> = damaged.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "store: in {} no policy version is whole (damaged: {}); restore a backup",
                    path.display(),
                    numbers.join(", ")
                )
            }
            Self::WrongState { number, state, action, from } => {
                let from: Vec<_> = from.iter().map(|state| state.name()).collect();
                write!(
                    f,
                    "policy version {number} is {state}, and can't be {action}: for that it must be {}",
                    from.join(" or ")
                )
            }
            Self::NoVersion { number } => write!(f, "store: there is no policy version {number}"),
            Self::VersionDamaged { number } => write!(
                f,
                "store: policy version {number} and its hash differ; it is not used. Restore a backup, or take an older version"
            ),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }
}
