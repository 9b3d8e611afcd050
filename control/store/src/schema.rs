//! Tables, and the way from an older release's to this one's.

use rusqlite::Connection;

use crate::audit::{self, Action};
use crate::open::SCHEMA_VERSION;

/// Schema 1.
const FIRST: &str = "
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

/// Schema 2: what people wrote, tickets, the audit log.
const SECOND: &str = "
ALTER TABLE version ADD COLUMN ticket TEXT NOT NULL DEFAULT '';
ALTER TABLE version ADD COLUMN source TEXT NOT NULL DEFAULT '';
CREATE TABLE audit (
    number            INTEGER PRIMARY KEY,
    time_ns           INTEGER NOT NULL,
    actor             TEXT NOT NULL,
    action            TEXT NOT NULL,
    version           INTEGER NOT NULL,
    version_sha256    BLOB NOT NULL,
    note              TEXT NOT NULL,
    confirm_within_ns INTEGER NOT NULL,
    previous_sha256   BLOB NOT NULL,
    sha256            BLOB NOT NULL
) STRICT;
CREATE INDEX audit_version ON audit (version);
";

/// Brings a database from schema `version` (0: empty) to this release's, in one transaction: a kill leaves the old one.
pub(crate) fn bring_up(
    connection: &Connection,
    version: i64,
    application_id: i64,
) -> rusqlite::Result<()> {
    if version == SCHEMA_VERSION {
        // A header that says so and a database without the tables is found here, not at the first change.
        return connection.execute_batch(
            "SELECT count(*) FROM audit WHERE number = 0; SELECT count(*) FROM secret WHERE id = 0; \
             SELECT count(*) FROM flow WHERE hour = -1",
        );
    }
    let transaction = connection.unchecked_transaction()?;
    if version < 1 {
        transaction.execute_batch(FIRST)?;
    }
    if version < 2 {
        transaction.execute_batch(SECOND)?;
        // Some of schema 1 have it already.
        transaction.execute_batch(crate::answer::TABLE)?;
        // Before schema 2 every version was in force from the moment it was there.
        let mut statement = transaction.prepare(
            "SELECT number, created_ns, author, reason, sha256 FROM version ORDER BY number",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (time_ns, actor): (u64, String) = (row.get(1)?, row.get(2)?);
            let (note, sha256): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
            let entry = audit::NewEntry {
                time_ns,
                actor: &actor,
                action: Action::Learned,
                version: row.get(0)?,
                version_sha256: &sha256,
                note: &note,
                confirm_within_ns: 0,
            };
            audit::append(&transaction, &entry)?;
        }
    }
    if version < 3 {
        transaction.execute_batch(crate::account::TABLES)?;
    }
    if version < 4 {
        transaction.execute_batch(crate::flow::TABLE)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id={application_id}; PRAGMA user_version={SCHEMA_VERSION};"
    ))?;
    transaction.commit()
}
