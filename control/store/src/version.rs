//! Policy versions: immutable, numbered, hashed.

use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction, params};
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
    /// The ticket it belongs to; may be empty.
    pub ticket: String,
    /// Mode of each segment.
    pub modes: Vec<SegmentMode>,
    /// What people wrote, as they wrote it; may be empty.
    pub source: String,
    /// The rules that follow from it and from what was learned, in the policy's file form.
    pub rules: String,
}

/// A stored version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// The one that was in force when it was made.
    pub previous: Option<VersionNumber>,
    /// What was appended.
    pub content: NewVersion,
    /// SHA-256 over all of it.
    pub sha256: Vec<u8>,
}

const COLUMNS: &str =
    "number, previous, created_ns, author, reason, ticket, modes, source, rules, sha256";

/// Inserts a version under the next number, within the caller's transaction; returns that and its hash.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    new: &NewVersion,
    previous: Option<VersionNumber>,
) -> rusqlite::Result<(VersionNumber, Vec<u8>)> {
    let last: Option<u64> =
        transaction.query_row("SELECT max(number) FROM version", [], |row| row.get(0))?;
    let number = VersionNumber(last.unwrap_or(0) + 1);
    let previous = previous.map(|previous| previous.0);
    let modes = modes_text(&new.modes);
    let sha256 = hash(number, previous, new, &modes).to_vec();
    transaction.execute(
        &format!(
            "INSERT INTO version ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ),
        params![
            number.0,
            previous,
            new.created_ns,
            new.author,
            new.reason,
            new.ticket,
            modes,
            new.source,
            new.rules,
            sha256
        ],
    )?;
    Ok((number, sha256))
}

impl Store {
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
        let content = NewVersion { modes: parsed, ..version.content };
        Ok(Version { content, sha256: stored_hash, ..version })
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
            ticket: row.get(5)?,
            modes: Vec::new(),
            source: row.get(7)?,
            rules: row.get(8)?,
        },
        sha256: Vec::new(),
    };
    Ok((version, row.get(6)?, row.get(9)?))
}

/// One line a segment: name, space, mode. Segment names have no spaces.
pub(crate) fn modes_text(modes: &[SegmentMode]) -> String {
    modes.iter().map(|mode| format!("{} {}\n", mode.segment, mode.mode)).collect()
}

pub(crate) fn modes_of(text: &str) -> Option<Vec<SegmentMode>> {
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
    // What schema 1 didn't have counts only where it is there, so that its versions keep their hashes.
    let later = [new.ticket.as_str(), &new.source];
    let later = later.into_iter().filter(|_| later.iter().any(|text| !text.is_empty()));
    for text in [new.author.as_str(), &new.reason, modes, &new.rules].into_iter().chain(later) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}
