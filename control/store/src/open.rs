//! Opening: lock, checks, schema.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::StoreError;

/// Schema version of this release.
pub const SCHEMA_VERSION: i64 = 1;
/// "LLck" in SQLite's header says whose file it is.
const APPLICATION_ID: i64 = 0x4c4c_636b;

const SCHEMA: &str = "
CREATE TABLE version (
    number     INTEGER PRIMARY KEY,
    previous   INTEGER REFERENCES version(number),
    created_ns INTEGER NOT NULL,
    author     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    modes      TEXT NOT NULL,
    rules      TEXT NOT NULL,
    sha256     BLOB NOT NULL
) STRICT;
CREATE TABLE evidence (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cursor (
    instance INTEGER NOT NULL,
    worker   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (instance, worker)
) STRICT, WITHOUT ROWID;
";

/// An open store. One thread uses it; no other process has it open.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    _lock: File,
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
        let lock = take_lock(path)?;
        let connection = connect(path)?;
        let store = Self { connection, path: path.to_owned(), _lock: lock };
        store.check_owner()?;
        store.set_up()?;
        Ok(store)
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

    /// Refuses what isn't ours before anything is written.
    fn check_owner(&self) -> Result<(), StoreError> {
        let number = |pragma: &str| {
            self.connection
                .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
                .map_err(self.failed("read"))
        };
        let tables: i64 = self
            .connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(self.failed("read"))?;
        let (application, version) = (number("application_id")?, number("user_version")?);
        if tables == 0 && application == 0 {
            return Ok(());
        }
        if application != APPLICATION_ID {
            return Err(StoreError::Foreign { path: self.path.clone() });
        }
        if version > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: self.path.clone(), found: version });
        }
        let finding: String = self
            .connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(self.failed("check"))?;
        if finding == "ok" {
            Ok(())
        } else {
            Err(StoreError::Damaged { path: self.path.clone(), finding })
        }
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
        if version == 0 {
            // One transaction: a kill in here leaves an empty file, which is set up again.
            self.connection
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id={APPLICATION_ID}; \
                     PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
                ))
                .map_err(&failed)?;
        }
        // Later than the schema's version 1, and nothing that an older release would stumble over.
        self.connection.execute_batch(crate::answer::TABLE).map_err(&failed)
    }
}

fn take_lock(path: &Path) -> Result<File, StoreError> {
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

/// Tells a damaged or foreign file from a full disk and the like.
fn database(what: &'static str, path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => {
            StoreError::Damaged { path, finding: source.to_string() }
        }
        _ => StoreError::Database { what, path, source },
    }
}
