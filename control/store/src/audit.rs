//! The audit log: append-only, each entry with the hash of the one before.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::open::Store;
use crate::version::VersionNumber;

/// What was done with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A person proposed it.
    Proposed,
    /// A person approved it.
    Approved,
    /// A person rejected it.
    Rejected,
    /// A person put it in force.
    Applied,
    /// Loadlock made it and put it in force: learning, an expired right, the configuration at the first start.
    Learned,
    /// A person confirmed that it stays in force.
    Confirmed,
    /// It was taken out of force for an older one.
    Reverted,
    /// A segment's frames are no longer judged by it, nor by any; the note names the segment first.
    BypassOn,
    /// They are judged again.
    BypassOff,
    /// Users, tokens or sessions changed; the version is 0.
    Account,
    /// Keys of the configuration were taken over while control ran; the version is 0.
    Reloaded,
    /// A person looked at frames of a device; the version is 0.
    Captured,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::Proposed,
        Self::Approved,
        Self::Rejected,
        Self::Applied,
        Self::Learned,
        Self::Confirmed,
        Self::Reverted,
        Self::BypassOn,
        Self::BypassOff,
        Self::Account,
        Self::Reloaded,
        Self::Captured,
    ];

    /// The name in the database and everywhere else; stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Applied => "applied",
            Self::Learned => "learned",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::BypassOn => "bypass-on",
            Self::BypassOff => "bypass-off",
            Self::Account => "account",
            Self::Reloaded => "reloaded",
            Self::Captured => "captured",
        }
    }

    /// The action with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub number: u64,
    /// ns since 1970.
    pub time_ns: u64,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: Action,
    /// To which version.
    pub version: VersionNumber,
    /// SHA-256 of that version.
    pub version_sha256: Vec<u8>,
    /// Reason or remark; may be empty.
    pub note: String,
    /// Of [`Action::Applied`]: time in ns within which it must be confirmed; 0: needn't be. Of [`Action::BypassOn`]: for how long; 0:
    /// until it is taken out.
    pub confirm_within_ns: u64,
    /// SHA-256 over all of it and the hash of the entry before.
    pub sha256: Vec<u8>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only such.
    pub action: Option<Action>,
    /// Only from then on, ns since 1970.
    pub since_ns: u64,
    /// Only entries with a lower number.
    pub before: Option<u64>,
    /// Most entries.
    pub limit: u32,
}

/// The newest entries that fit a filter, newest first.
#[derive(Clone, Debug)]
pub struct AuditPage {
    /// Those that are whole.
    pub entries: Vec<AuditEntry>,
    /// How many more there would have been, were they not damaged.
    pub damaged: u64,
    /// How many fit, without a limit.
    pub total: u64,
}

/// What became of a look at the log, from its first entry on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditExamined {
    /// Entries from the first on that are whole.
    pub whole: u64,
    /// SHA-256 of the last of these; empty without one.
    pub last_sha256: Vec<u8>,
    /// The first entry that isn't whole, or before which the chain is broken, and that in words.
    pub broken: Option<(u64, String)>,
}

/// An entry to be appended.
pub(crate) struct NewEntry<'a> {
    pub time_ns: u64,
    pub actor: &'a str,
    pub action: Action,
    pub version: u64,
    pub version_sha256: &'a [u8],
    pub note: &'a str,
    pub confirm_within_ns: u64,
}

const COLUMNS: &str = "number, time_ns, actor, action, version, version_sha256, note, confirm_within_ns, previous_sha256, sha256";

/// Appends an entry within the caller's transaction; returns its number.
pub(crate) fn append(connection: &Connection, new: &NewEntry<'_>) -> rusqlite::Result<u64> {
    let last = connection
        .query_row("SELECT number, sha256 FROM audit ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    let (last, previous) = last.unwrap_or_default();
    let number = last + 1;
    let sha256 = hash(number, new, &previous);
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?;
    statement.execute(params![
        number,
        new.time_ns,
        new.actor,
        new.action.name(),
        new.version,
        new.version_sha256,
        new.note,
        new.confirm_within_ns,
        previous,
        &sha256[..],
    ])?;
    Ok(number)
}

/// SHA-256 over every field, texts with their length before them, and the hash of the entry before.
fn hash(number: u64, new: &NewEntry<'_>, previous: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for word in [number, new.time_ns, new.version, new.confirm_within_ns] {
        hasher.update(word.to_le_bytes());
    }
    let texts = [
        new.actor.as_bytes(),
        new.action.name().as_bytes(),
        new.version_sha256,
        new.note.as_bytes(),
        previous,
    ];
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().into()
}

/// A row as it is stored, and whether its content and its hash agree.
pub(crate) struct StoredEntry {
    /// `None`: damaged.
    pub entry: Option<AuditEntry>,
    previous_sha256: Vec<u8>,
    sha256: Vec<u8>,
}

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<StoredEntry> {
    let sha256: Vec<u8> = row.get(9).unwrap_or_default();
    let previous_sha256: Vec<u8> = row.get(8).unwrap_or_default();
    // A value of another type is damage, like a hash that differs.
    let entry = read_entry(row).ok().flatten().filter(|entry| {
        let fields = NewEntry {
            time_ns: entry.time_ns,
            actor: &entry.actor,
            action: entry.action,
            version: entry.version.0,
            version_sha256: &entry.version_sha256,
            note: &entry.note,
            confirm_within_ns: entry.confirm_within_ns,
        };
        hash(entry.number, &fields, &previous_sha256).as_slice() == sha256
    });
    Ok(StoredEntry { entry, previous_sha256, sha256 })
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Option<AuditEntry>> {
    let action: String = row.get(3)?;
    let Some(action) = Action::from_name(&action) else { return Ok(None) };
    Ok(Some(AuditEntry {
        number: row.get(0)?,
        time_ns: row.get(1)?,
        actor: row.get(2)?,
        action,
        version: VersionNumber(row.get(4)?),
        version_sha256: row.get(5)?,
        note: row.get(6)?,
        confirm_within_ns: row.get(7)?,
        sha256: row.get(9)?,
    }))
}

impl Store {
    /// Entries, oldest first, those of one version if it is given. Damaged ones are left out; [`Store::check_audit`] names them.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn audit(&self, version: Option<VersionNumber>) -> Result<Vec<AuditEntry>, StoreError> {
        let filter =
            version.map_or_else(String::new, |version| format!("WHERE version = {version}"));
        let stored = self.audit_rows(&format!("{filter} ORDER BY number"))?;
        Ok(stored.into_iter().filter_map(|stored| stored.entry).collect())
    }

    /// Records an action that is about no version; on return it is on disk. `note` says what was done.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was recorded.
    pub fn record_action(
        &mut self,
        action: Action,
        time_ns: u64,
        actor: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        let failed = self.failed("write the audit log of");
        let entry = NewEntry {
            time_ns,
            actor,
            action,
            version: 0,
            version_sha256: &[],
            note,
            confirm_within_ns: 0,
        };
        append(&self.connection, &entry).map(|_| ()).map_err(failed)
    }

    pub(crate) fn audit_rows(&self, rest: &str) -> Result<Vec<StoredEntry>, StoreError> {
        let failed = self.failed("read the audit log of");
        let mut statement = self
            .connection
            .prepare(&format!("SELECT {COLUMNS} FROM audit {rest}"))
            .map_err(&failed)?;
        let rows = statement.query_map([], read).map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(&failed)
    }

    /// The newest entries that fit, newest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn audit_page(&self, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
        const FITS: &str = "FROM audit WHERE (?1 IS NULL OR actor = ?1) AND (?2 IS NULL OR action = ?2) AND time_ns >= ?3 AND number < ?4";
        let failed = self.failed("read the audit log of");
        // SQLite's numbers have 63 bits.
        let bounded = |number: u64| number.min(i64::MAX.cast_unsigned());
        let action = filter.action.map(Action::name);
        let (since, before) =
            (bounded(filter.since_ns), bounded(filter.before.unwrap_or(u64::MAX)));
        let total = self
            .connection
            .query_row(
                &format!("SELECT count(*) {FITS}"),
                params![filter.actor, action, since, before],
                |row| row.get(0),
            )
            .map_err(&failed)?;
        let sql = format!("SELECT {COLUMNS} {FITS} ORDER BY number DESC LIMIT ?5");
        let mut statement = self.connection.prepare(&sql).map_err(&failed)?;
        let rows = statement
            .query_map(params![filter.actor, action, since, before, filter.limit], read)
            .map_err(&failed)?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        let count = rows.len();
        let entries: Vec<AuditEntry> = rows.into_iter().filter_map(|row| row.entry).collect();
        Ok(AuditPage { damaged: (count - entries.len()) as u64, entries, total })
    }

    /// Checks every entry and the chain. `None`: whole; else what is wrong first, in words.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn check_audit(&self) -> Result<Option<String>, StoreError> {
        Ok(self.examine_audit()?.broken.map(|(_, finding)| finding))
    }

    /// Checks every entry and the chain, up to the first that is broken. Reads all of the log: some µs an entry.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn examine_audit(&self) -> Result<AuditExamined, StoreError> {
        let mut examined = AuditExamined::default();
        while self.examine_more_audit(&mut examined)? {}
        Ok(examined)
    }

    /// Goes on with a check: a thousand entries more, which is some ms, so that others get their turn in between. False: there are no
    /// more, or one is broken.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn examine_more_audit(&self, examined: &mut AuditExamined) -> Result<bool, StoreError> {
        const ENTRIES: usize = 1_000;
        // Nothing may hide before the first.
        let behind = match examined.whole {
            0 => String::new(),
            whole => format!("WHERE number > {whole}"),
        };
        let rows = self.audit_rows(&format!("{behind} ORDER BY number LIMIT {ENTRIES}"))?;
        let is_full = rows.len() == ENTRIES;
        for stored in rows {
            let number = examined.whole + 1;
            let Some(entry) = stored.entry else {
                let finding = format!("entry {number} of the audit log is damaged");
                examined.broken = Some((number, finding));
                return Ok(false);
            };
            if entry.number != number || stored.previous_sha256 != examined.last_sha256 {
                let finding =
                    format!("the audit log's chain is broken before entry {}", entry.number);
                examined.broken = Some((entry.number, finding));
                return Ok(false);
            }
            examined.whole = number;
            examined.last_sha256 = stored.sha256;
        }
        Ok(is_full)
    }
}
