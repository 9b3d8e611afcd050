//! Policy versions: immutable, numbered, hashed.

use std::fmt;

use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::open::Store;

/// Number of a policy version, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionNumber(pub u64);

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Mode of one segment in a version, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMode {
    /// The segment.
    pub segment: String,
    /// `learn`, `monitor` or `enforce`.
    pub mode: String,
}

/// A version to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    /// ns since 1970.
    pub created_ns: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Mode of each segment.
    pub modes: Vec<SegmentMode>,
    /// The rules, in the policy's file form.
    pub rules: String,
}

/// A stored version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// The one before it.
    pub previous: Option<VersionNumber>,
    /// What was appended.
    pub content: NewVersion,
}

/// A version without its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number.
    pub number: VersionNumber,
    /// ns since 1970.
    pub created_ns: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
}

const COLUMNS: &str = "number, previous, created_ns, author, reason, modes, rules, sha256";

impl Store {
    /// Appends a version; on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was appended.
    pub fn append_version(&mut self, new: &NewVersion) -> Result<VersionNumber, StoreError> {
        let failed = self.failed("append a policy version to");
        let transaction = self.connection.transaction().map_err(&failed)?;
        let last: Option<u64> = transaction
            .query_row("SELECT max(number) FROM version", [], |row| row.get(0))
            .map_err(&failed)?;
        let number = VersionNumber(last.unwrap_or(0) + 1);
        let modes = modes_text(&new.modes);
        let hash = hash(number, last, new, &modes);
        transaction
            .execute(
                &format!("INSERT INTO version ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
                params![
                    number.0,
                    last,
                    new.created_ns,
                    new.author,
                    new.reason,
                    modes,
                    new.rules,
                    hash
                ],
            )
            .map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        Ok(number)
    }

    /// The newest whole version, and the newer ones that are damaged, newest first. `None` in a new store.
    ///
    /// # Errors
    /// [`StoreError::NoWholeVersion`]; [`StoreError::Database`].
    pub fn latest_version(&self) -> Result<Option<(Version, Vec<VersionNumber>)>, StoreError> {
        let mut damaged = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            match self.version(number) {
                Ok(version) => return Ok(Some((version, damaged))),
                Err(StoreError::VersionDamaged { number }) => damaged.push(number),
                Err(error) => return Err(error),
            }
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        Err(StoreError::NoWholeVersion { path: self.path.clone(), damaged })
    }

    /// One version, its hash checked.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], [`StoreError::VersionDamaged`], [`StoreError::Database`].
    pub fn version(&self, number: VersionNumber) -> Result<Version, StoreError> {
        let stored = self
            .connection
            .query_row(
                &format!("SELECT {COLUMNS} FROM version WHERE number = ?1"),
                [number.0],
                read_version,
            )
            .optional()
            .map_err(|error| match error {
                // Bytes that are no text, or a value of another type: damage, which the hash would find too.
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => {
                    StoreError::VersionDamaged { number }
                }
                other => self.failed("read a policy version from")(other),
            })?;
        let (version, modes, stored_hash) = stored.ok_or(StoreError::NoVersion { number })?;
        let previous = version.previous.map(|previous| previous.0);
        let Some(parsed) = modes_of(&modes) else {
            return Err(StoreError::VersionDamaged { number });
        };
        if hash(number, previous, &version.content, &modes).as_slice() != stored_hash {
            return Err(StoreError::VersionDamaged { number });
        }
        Ok(Version { content: NewVersion { modes: parsed, ..version.content }, ..version })
    }

    fn numbers(&self) -> Result<Vec<VersionNumber>, StoreError> {
        let failed = self.failed("list the policy versions of");
        let mut statement = self
            .connection
            .prepare("SELECT number FROM version ORDER BY number")
            .map_err(&failed)?;
        let rows = statement.query_map([], |row| Ok(VersionNumber(row.get(0)?)));
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }

    /// All versions, oldest first, without their rules.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn versions(&self) -> Result<Vec<VersionSummary>, StoreError> {
        let failed = self.failed("list the policy versions of");
        let mut statement = self
            .connection
            .prepare("SELECT number, created_ns, author, reason FROM version ORDER BY number")
            .map_err(&failed)?;
        let rows = statement.query_map([], |row| {
            Ok(VersionSummary {
                number: VersionNumber(row.get(0)?),
                created_ns: row.get(1)?,
                author: row.get(2)?,
                reason: row.get(3)?,
            })
        });
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }
}

/// A row as it is stored: the version without its modes, their text, the hash.
fn read_version(row: &Row<'_>) -> rusqlite::Result<(Version, String, Vec<u8>)> {
    let version = Version {
        number: VersionNumber(row.get(0)?),
        previous: row.get::<_, Option<u64>>(1)?.map(VersionNumber),
        content: NewVersion {
            created_ns: row.get(2)?,
            author: row.get(3)?,
            reason: row.get(4)?,
            modes: Vec::new(),
            rules: row.get(6)?,
        },
    };
    Ok((version, row.get(5)?, row.get(7)?))
}

/// One line a segment: name, space, mode. Segment names have no spaces.
fn modes_text(modes: &[SegmentMode]) -> String {
    modes.iter().map(|mode| format!("{} {}\n", mode.segment, mode.mode)).collect()
}

fn modes_of(text: &str) -> Option<Vec<SegmentMode>> {
    let mode = |line: &str| {
        let (segment, mode) = line.split_once(' ')?;
        Some(SegmentMode { segment: segment.to_owned(), mode: mode.to_owned() })
    };
    text.lines().map(mode).collect()
}

/// SHA-256 over every field, each with its length before it.
fn hash(number: VersionNumber, previous: Option<u64>, new: &NewVersion, modes: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(number.0.to_le_bytes());
    hasher.update(previous.unwrap_or(0).to_le_bytes());
    hasher.update(new.created_ns.to_le_bytes());
    for text in [new.author.as_str(), &new.reason, modes, &new.rules] {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}
