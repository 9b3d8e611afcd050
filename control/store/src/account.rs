//! Users, and the secrets by which they are known: tokens and sessions. What they mean is the engine's business.

use rusqlite::{Row, params};

use crate::audit::{self, Action, NewEntry};
use crate::error::StoreError;
use crate::open::Store;

/// Schema 3.
pub(crate) const TABLES: &str = "
CREATE TABLE account (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    password   TEXT NOT NULL,
    is_enabled INTEGER NOT NULL,
    created_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE secret (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    TEXT NOT NULL REFERENCES account(name) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    label      TEXT NOT NULL,
    role       TEXT NOT NULL,
    sha256     BLOB NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX secret_account ON secret (account);
";

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The role, by name.
    pub role: String,
    /// Hash of the password as a PHC string; empty: none, so that nobody logs in.
    pub password: String,
    /// False: known, and may do nothing.
    pub is_enabled: bool,
    /// When it was made, ns since 1970.
    pub created_ns: u64,
}

/// A token or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its number, from 1; never given twice.
    pub id: u64,
    /// Whose it is.
    pub account: String,
    /// `token` or `session`.
    pub kind: String,
    /// What it is for; may be empty.
    pub label: String,
    /// What it allows, by name.
    pub role: String,
    /// SHA-256 of the secret, 32 bytes.
    pub sha256: Vec<u8>,
    /// When it was made, ns since 1970.
    pub created_ns: u64,
    /// When it ends, ns since 1970.
    pub expires_ns: u64,
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Adds a user, or replaces what is known of one.
    Put(Account),
    /// Removes a user with all secrets.
    Remove(String),
    /// Adds a secret; its `id` is given by the store.
    Issue(Secret),
    /// Removes a secret.
    Revoke(u64),
    /// Removes all secrets of a user.
    RevokeAll(String),
}

impl Store {
    /// Does all steps and notes them in the audit log, or nothing; on return it is on disk. Gives the number of the last secret issued, 0
    /// if there was none.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was changed.
    pub fn change_accounts(
        &mut self,
        changes: &[AccountChange],
        time_ns: u64,
        actor: &str,
        note: &str,
    ) -> Result<u64, StoreError> {
        let failed = self.failed("change the users of");
        let transaction = self.connection.transaction().map_err(&failed)?;
        let mut issued = 0;
        for change in changes {
            let done = match change {
                AccountChange::Put(account) => transaction.execute(
                    "INSERT INTO account (name, role, password, is_enabled, created_ns) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (name) DO UPDATE SET role = ?2, password = ?3, is_enabled = ?4",
                    params![
                        account.name,
                        account.role,
                        account.password,
                        account.is_enabled,
                        account.created_ns
                    ],
                ),
                AccountChange::Remove(name) => {
                    transaction.execute("DELETE FROM account WHERE name = ?1", [name])
                }
                AccountChange::Revoke(id) => {
                    transaction.execute("DELETE FROM secret WHERE id = ?1", [id])
                }
                AccountChange::RevokeAll(name) => {
                    transaction.execute("DELETE FROM secret WHERE account = ?1", [name])
                }
                AccountChange::Issue(secret) => {
                    let done = transaction.execute(
                        "INSERT INTO secret (account, kind, label, role, sha256, created_ns, expires_ns)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                        params![
                            secret.account,
                            secret.kind,
                            secret.label,
                            secret.role,
                            secret.sha256,
                            secret.created_ns,
                            secret.expires_ns
                        ],
                    );
                    issued = transaction.last_insert_rowid().cast_unsigned();
                    done
                }
            };
            done.map_err(&failed)?;
        }
        let entry = NewEntry {
            time_ns,
            actor,
            action: Action::Account,
            version: 0,
            version_sha256: &[],
            note,
            confirm_within_ns: 0,
        };
        audit::append(&transaction, &entry).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        Ok(issued)
    }

    /// All users, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let sql = "SELECT name, role, password, is_enabled, created_ns FROM account ORDER BY name";
        self.rows_of("read the users of", sql, |row| {
            Ok(Account {
                name: row.get(0)?,
                role: row.get(1)?,
                password: row.get(2)?,
                is_enabled: row.get(3)?,
                created_ns: row.get(4)?,
            })
        })
    }

    /// All tokens and sessions, by number.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn secrets(&self) -> Result<Vec<Secret>, StoreError> {
        let sql = "SELECT id, account, kind, label, role, sha256, created_ns, expires_ns FROM secret ORDER BY id";
        self.rows_of("read the tokens of", sql, |row| {
            Ok(Secret {
                id: row.get(0)?,
                account: row.get(1)?,
                kind: row.get(2)?,
                label: row.get(3)?,
                role: row.get(4)?,
                sha256: row.get(5)?,
                created_ns: row.get(6)?,
                expires_ns: row.get(7)?,
            })
        })
    }

    fn rows_of<T>(
        &self,
        what: &'static str,
        sql: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let failed = self.failed(what);
        let mut statement = self.connection.prepare(sql).map_err(&failed)?;
        let rows = statement.query_map([], read).map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(&failed)
    }
}
