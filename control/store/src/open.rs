//! Opening: lock, checks, schema.

use std::cell::Cell;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::StoreError;
use crate::force::Head;

/// Schema version of this release.
pub const SCHEMA_VERSION: i64 = 4;
/// "LLck" in SQLite's header says whose file it is.
const APPLICATION_ID: i64 = 0x4c4c_636b;

/// An open store. One thread uses it; no other process has it open.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    pub(crate) copy_trouble: Option<String>,
    /// What [`Store::in_force`] said last, unless something was written since.
    pub(crate) head: Cell<Option<Option<Head>>>,
    /// `None`: opened for reading only.
    _lock: Option<File>,
}

impl Store {
    /// Opens the store, or makes an empty one where there is no file. Reads the whole file once to check it.
    ///
    /// # Errors
    /// [`StoreError`]; an existing file stays as it was.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StoreError::Io {
                what: "make the folder",
                path: folder.to_owned(),
                source,
            })?;
        }
        let store = Self::open_unchecked(path)?;
        store.check_owner()?;
        store.set_up()?;
        Ok(store)
    }

    /// Moves a file that can't be used aside, with its journal: `NAME.damaged-1`, or the first number that is free. Returns its new name.
    ///
    /// # Errors
    /// [`StoreError::Io`]; what was moved stays moved.
    pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let free = (1..).map(|number| format!(".damaged-{number}"));
        let mut free = free.filter(|suffix| !beside(suffix).exists());
        let suffix = free.next().unwrap_or_default();
        for journal in ["-wal", "-shm", ""] {
            let (from, to) = (beside(journal), beside(&format!("{suffix}{journal}")));
            if from.exists() {
                std::fs::rename(&from, to).map_err(|source| StoreError::Io {
                    what: "move aside",
                    path: from,
                    source,
                })?;
            }
        }
        Ok(beside(&suffix))
    }

    /// Locks and opens the file, whatever it holds.
    pub(crate) fn open_unchecked(path: &Path) -> Result<Self, StoreError> {
        let lock = take_lock(path)?;
        let connection = connect(path)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            copy_trouble: None,
            head: Cell::new(None),
            _lock: Some(lock),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn failed(
        &self,
        what: &'static str,
    ) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = self.path.clone();
        move |source| database(what, &path, source)
    }

    /// A store to be read, by a connection that can't write.
    pub(crate) fn of(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            path: path.to_owned(),
            copy_trouble: None,
            head: Cell::new(None),
            _lock: None,
        }
    }

    /// Refuses what isn't ours before anything is written.
    fn check_owner(&self) -> Result<(), StoreError> {
        let tables: i64 = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(self.failed("read"))?;
        let application = pragma(&self.connection, &self.path, "application_id")?;
        if tables == 0 && application == 0 {
            return Ok(());
        }
        check_header(&self.connection, &self.path).map(drop)
    }

    fn set_up(&self) -> Result<(), StoreError> {
        let failed = self.failed("set up");
        self.connection
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            )
            .map_err(&failed)?;
        let version: i64 = self
            .connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(&failed)?;
        crate::schema::bring_up(&self.connection, version, APPLICATION_ID).map_err(|error| {
            match failed(error) {
                // The file says one schema and has another.
                StoreError::Database { path, source, .. }
                    if source.sqlite_error_code() == Some(ErrorCode::Unknown) =>
                {
                    StoreError::Damaged { path, finding: source.to_string() }
                }
                other => other,
            }
        })
    }
}

fn pragma(connection: &Connection, path: &Path, name: &str) -> Result<i64, StoreError> {
    connection
        .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        .map_err(|source| database("read", path, source))
}

/// Refuses what isn't ours, what is newer, and what is damaged. Returns the schema's version.
pub(crate) fn check_header(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    if pragma(connection, path, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let version = pragma(connection, path, "user_version")?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version });
    }
    let finding: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| database("check", path, source))?;
    match finding.as_str() {
        "ok" => Ok(version),
        _ => Err(StoreError::Damaged { path: path.to_owned(), finding }),
    }
}

pub(crate) fn take_lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let io = |source| StoreError::Io { what: "open the lock file", path: lock.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { lock }),
        Err(TryLockError::Error(source)) => {
            Err(StoreError::Io { what: "lock", path: lock, source })
        }
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |source| database("open", path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(Duration::from_secs(2)).map_err(failed)?;
    Ok(connection)
}

/// A connection that only reads, beside the one that writes.
pub(crate) fn read_beside(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    Ok(connection)
}

/// Tells a damaged or foreign file from a full disk and the like.
pub(crate) fn database(what: &'static str, path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path, finding: source.to_string() }
        }
        _ => StoreError::Database { what, path, source },
    }
}
