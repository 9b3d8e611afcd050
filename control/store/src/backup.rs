//! Copies of a whole store, and going back to one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::copy;
use crate::error::StoreError;
use crate::open::{Store, take_lock};
use crate::version::VersionNumber;

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes a copy of the store at `path` to a new file, as it is at one moment; a control that runs goes on meanwhile. On return it is on disk and was
/// checked as [`restore`] will check it. The number is that of the version in force in it.
///
/// # Errors
/// [`StoreError`]; there is then no copy. A file that exists is never written over.
pub fn back_up(path: &Path, to: &Path) -> Result<VersionNumber, StoreError> {
    if to.exists() {
        return Err(io_error("make the backup", to)(io::ErrorKind::AlreadyExists.into()));
    }
    fs::metadata(path).map_err(io_error("read", path))?;
    let new = beside(to, ".new");
    drop(fs::remove_file(&new));
    let written = write(path, &new).and_then(|()| check(&new));
    match written {
        Ok(number) => {
            fs::rename(&new, to).map_err(io_error("name", &new))?;
            sync_folder(to)?;
            Ok(number)
        }
        Err(error) => {
            for suffix in ["", "-wal", "-shm", ".lock", ".in-force"] {
                drop(fs::remove_file(beside(&new, suffix)));
            }
            Err(error)
        }
    }
}

fn write(path: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Database { what: "copy", path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // SQLite makes the file with the rights of anybody; it holds what a policy says of the site.
    let file = new_file(to)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map_err(failed)?;
    file.sync_all().map_err(io_error("sync", to))
}

fn new_file(path: &Path) -> Result<File, StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o640).open(path).map_err(io_error("make", path))
}

/// Opens a copy as control would, with every check, and brings its schema up to date. The number is that of the version in force.
fn check(path: &Path) -> Result<VersionNumber, StoreError> {
    let store = Store::open(path)?;
    if let Some(finding) = store.check_audit()? {
        return Err(StoreError::Damaged { path: path.to_owned(), finding });
    }
    let in_force = store.in_force()?;
    let number = in_force.map_or(VersionNumber(0), |in_force| in_force.version.number);
    drop(store);
    for suffix in ["-wal", "-shm", ".lock", ".in-force"] {
        drop(fs::remove_file(beside(path, suffix)));
    }
    Ok(number)
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The version that is in force in it.
    pub in_force: VersionNumber,
    /// Where the store lies that was there before; `None` if there was none.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of the store at `path`. The store that was there is moved aside with its copy of the version in force, which would
/// else be found newer and be enforced again. Killed at any moment, there is the old store, or the new one, or the old one under its new name.
///
/// # Errors
/// [`StoreError::InUse`] while control runs; [`StoreError`] for a backup that isn't whole: the store is as it was.
pub fn restore(path: &Path, from: &Path) -> Result<Restored, StoreError> {
    let _lock = take_lock(path)?;
    let new = beside(path, ".restoring");
    drop(fs::remove_file(&new));
    let mut file = new_file(&new)?;
    let mut source = File::open(from).map_err(io_error("read", from))?;
    io::copy(&mut source, &mut file).map_err(io_error("write", &new))?;
    file.sync_all().map_err(io_error("sync", &new))?;
    let in_force = match check(&new) {
        Ok(number) => number,
        Err(error) => {
            drop(fs::remove_file(&new));
            return Err(error);
        }
    };
    let free = (1..).map(|number| format!(".before-restore-{number}"));
    let suffix = free.into_iter().find(|suffix| !beside(path, suffix).exists()).unwrap_or_default();
    let aside = path.exists().then(|| beside(path, &suffix));
    let mut moved = vec![(copy::place(path), beside(&beside(path, &suffix), ".in-force"))];
    for journal in ["-wal", "-shm", ""] {
        moved.push((beside(path, journal), beside(&beside(path, &suffix), journal)));
    }
    for (from, to) in moved.into_iter().filter(|(from, _)| from.exists()) {
        fs::rename(&from, to).map_err(io_error("move aside", &from))?;
    }
    fs::rename(&new, path).map_err(io_error("put in place", &new))?;
    sync_folder(path)?;
    Ok(Restored { in_force, aside })
}
