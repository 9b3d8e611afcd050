//! What people said: a list to which is only ever added.

use rusqlite::params;

use crate::error::StoreError;
use crate::open::Store;

pub(crate) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS answer (
    number     INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    author     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    content    TEXT NOT NULL
) STRICT;
";

/// An answer to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAnswer {
    /// ns since 1970.
    pub created_ns: u64,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// What about, in control's own encoding.
    pub content: String,
}

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its number, from 1, in the order of time.
    pub number: u64,
    /// What was appended.
    pub content: NewAnswer,
}

impl Store {
    /// Appends an answer; on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was appended.
    pub fn append_answer(&mut self, new: &NewAnswer) -> Result<u64, StoreError> {
        let failed = self.failed("append an answer to");
        self.connection
            .execute(
                "INSERT INTO answer (created_ns, author, reason, content) VALUES (?1, ?2, ?3, ?4)",
                params![new.created_ns, new.author, new.reason, new.content],
            )
            .map_err(failed)?;
        Ok(self.connection.last_insert_rowid().cast_unsigned())
    }

    /// All answers, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn answers(&self) -> Result<Vec<Answer>, StoreError> {
        let failed = self.failed("read the answers of");
        let mut statement = self
            .connection
            .prepare(
                "SELECT number, created_ns, author, reason, content FROM answer ORDER BY number",
            )
            .map_err(&failed)?;
        let rows = statement.query_map([], |row| {
            Ok(Answer {
                number: row.get(0)?,
                content: NewAnswer {
                    created_ns: row.get(1)?,
                    author: row.get(2)?,
                    reason: row.get(3)?,
                    content: row.get(4)?,
                },
            })
        });
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }
}
