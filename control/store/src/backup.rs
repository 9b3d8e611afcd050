//! Backups: a whole store in one file, made while control runs; and the way back.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::copy;
use crate::error::StoreError;
use crate::open::{SCHEMA_VERSION, Store};
use crate::version::{NewVersion, VersionNumber};

/// What is in a backup, once it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// The version in force in it; `None` in an empty store.
    pub in_force: Option<VersionNumber>,
    /// When that version was made, ns since 1970.
    pub created_ns: Option<u64>,
    /// Policy versions.
    pub versions: usize,
    /// Entries of the audit log.
    pub audit_entries: usize,
    /// Rows of evidence.
    pub evidence_rows: usize,
    /// Size of the file.
    pub bytes: u64,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What was in the backup.
    pub summary: BackupSummary,
    /// The version that is in force now: that of the backup under a new number, so that the audit log tells of the restore.
    pub in_force: Option<VersionNumber>,
    /// Where the store before lies, if there was one.
    pub before: Option<PathBuf>,
}

/// Writes a backup of the store to `file`, replacing one that is there; on return it is whole, checked and on disk. The store may be in use.
///
/// # Errors
/// [`StoreError`]; what was at `file` before still is.
pub fn back_up(store: &Path, file: &Path) -> Result<BackupSummary, StoreError> {
    let new = with_suffix(file, ".new");
    remove(&new)?;
    let made = write_snapshot(store, &new).and_then(|()| bring_up(&new)).and_then(|()| check(&new));
    match made {
        Ok(summary) => {
            put_in_place(&new, file)?;
            Ok(summary)
        }
        Err(error) => {
            // A file that isn't whole must not be taken for a backup.
            let _ = discard(&new);
            Err(error)
        }
    }
}

/// Puts a backup in the store's place, at once and whole or not at all. No control may run on the store. The store before is kept beside it,
/// as `NAME.before-restore-1` or the next free number. A backup of an older release is brought up to this one's schema, in a copy.
///
/// `author` and `now_ns` go into the audit log.
///
/// # Errors
/// [`StoreError`]: the backup is damaged, foreign or of a newer release, its audit log's chain is broken, or control runs; the store is then
/// as it was.
pub fn restore(
    store: &Path,
    file: &Path,
    author: &str,
    now_ns: u64,
) -> Result<Restored, StoreError> {
    // Held until the end: a control that is started meanwhile is refused.
    let _lock = crate::open::take_lock(store)?;
    let new = with_suffix(store, ".restoring");
    discard(&new)?;
    fs::copy(file, &new).map_err(failed("copy", file))?;
    let prepared = prepare(&new, author, now_ns);
    let (summary, in_force) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            discard(&new)?;
            return Err(named(error, file));
        }
    };
    let before = keep_before(store)?;
    // The copy of what was in force before would put that in force again. Without it the store before is still whole.
    remove(&copy::place(store))?;
    put_in_place(&new, store)?;
    remove(&with_suffix(&new, ".lock"))?;
    Ok(Restored { summary, in_force, before })
}

/// Brings the copy of a backup to this release's schema, checks it, and writes what happens into its audit log.
fn prepare(
    new: &Path,
    author: &str,
    now_ns: u64,
) -> Result<(BackupSummary, Option<VersionNumber>), StoreError> {
    let mut store = Store::open(new)?;
    let summary = summary(&store)?;
    let in_force = store.in_force()?.map(|in_force| in_force.version);
    let number = match in_force {
        None => None,
        Some(version) => {
            let reason =
                format!("restored from a backup, in which it was version {}", version.number);
            let content = NewVersion {
                created_ns: now_ns,
                author: author.to_owned(),
                reason,
                ..version.content
            };
            Some(store.append_applied(&content)?)
        }
    };
    remove(&copy::place(new))?;
    close(store)?;
    Ok((summary, number))
}

/// Everything in one file again, with nothing beside it.
fn close(store: Store) -> Result<(), StoreError> {
    let failed = store.failed("write all of");
    store
        .connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .and_then(|()| store.connection.execute_batch("PRAGMA journal_mode=DELETE"))
        .map_err(failed)
}

/// A snapshot by SQLite itself, which sees a state between two transactions of whoever writes.
fn write_snapshot(store: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = |source| crate::open::database("back up", store, source);
    let connection = Connection::open_with_flags(store, flags).map_err(database)?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(database)?;
    // What isn't ours isn't copied.
    crate::open::check_header(&connection, store)?;
    let to = to.to_string_lossy();
    connection.execute("VACUUM INTO ?1", [&*to]).map(drop).map_err(database)
}

/// A store that an older release left is backed up before this one ever opened it: the copy gets this release's tables, as it would when
/// it is restored, so that it can be checked to the last entry. The store stays as it is.
fn bring_up(new: &Path) -> Result<(), StoreError> {
    let connection = crate::open::read_beside(new);
    let database = |source| crate::open::database("check", new, source);
    if crate::open::check_header(&connection.map_err(database)?, new)? == SCHEMA_VERSION {
        return Ok(());
    }
    close(Store::open(new)?)?;
    remove(&with_suffix(new, ".lock"))
}

/// Checks a backup of this release from the first page to the last audit entry, without changing it.
///
/// # Errors
/// [`StoreError`]: what is wrong with it.
pub fn check(file: &Path) -> Result<BackupSummary, StoreError> {
    let database = |source| crate::open::database("open", file, source);
    let connection = crate::open::read_beside(file).map_err(database)?;
    crate::open::check_header(&connection, file)?;
    summary(&Store::of(connection, file))
}

fn summary(store: &Store) -> Result<BackupSummary, StoreError> {
    let path = || store.path.clone();
    if let Some(finding) = store.check_audit()? {
        return Err(StoreError::Damaged { path: path(), finding });
    }
    let in_force = store.in_force()?;
    let versions = store.versions()?;
    for version in &versions {
        if let Err(error @ StoreError::VersionDamaged { .. }) = store.version(version.number) {
            return Err(StoreError::Damaged { path: path(), finding: error.to_string() });
        }
    }
    let bytes = fs::metadata(&store.path).map_err(failed("read", &store.path))?.len();
    Ok(BackupSummary {
        in_force: in_force.as_ref().map(|in_force| in_force.version.number),
        created_ns: in_force.as_ref().map(|in_force| in_force.version.content.created_ns),
        versions: versions.len(),
        audit_entries: store.audit(None)?.len(),
        evidence_rows: store.load_evidence()?.len(),
        bytes,
    })
}

/// Links the store to a name of its own, with its journal, and brings the journal into it: a file that is then replaced must not leave one
/// behind, which SQLite would take for the new file's.
fn keep_before(store: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !store.exists() {
        return Ok(None);
    }
    let free = (1..).map(|number| with_suffix(store, &format!(".before-restore-{number}")));
    let before = free.into_iter().find(|path| !path.exists()).unwrap_or_default();
    for journal in ["", "-wal"] {
        let from = with_suffix(store, journal);
        if from.exists() {
            let to = with_suffix(&before, journal);
            fs::copy(&from, &to).map_err(failed("copy", &from))?;
            sync(&to)?;
        }
    }
    // One that can't be opened is kept with its journal as it is.
    if let Ok(connection) = Connection::open(store) {
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    remove(&with_suffix(store, "-wal"))?;
    remove(&with_suffix(store, "-shm"))?;
    Ok(Some(before))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path: path.clone(), source }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a database and what lies beside it.
fn discard(path: &Path) -> Result<(), StoreError> {
    for beside in ["", "-wal", "-shm", "-journal", ".lock", ".in-force"] {
        remove(&with_suffix(path, beside))?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

/// On disk first, then under its name, then the name on disk.
fn put_in_place(new: &Path, path: &Path) -> Result<(), StoreError> {
    sync(new)?;
    fs::rename(new, path).map_err(failed("rename to", path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync(folder.unwrap_or(Path::new(".")))
}

/// The same error about the file that a person named.
fn named(error: StoreError, file: &Path) -> StoreError {
    let path = file.to_owned();
    match error {
        StoreError::Damaged { finding, .. } => StoreError::BackupDamaged { path, finding },
        StoreError::NoWholeVersion { .. } => {
            StoreError::BackupDamaged { path, finding: "no policy version is whole".to_owned() }
        }
        StoreError::Foreign { .. } => StoreError::BackupForeign { path },
        StoreError::Newer { found, .. } => StoreError::Newer { path, found },
        error => error,
    }
}
