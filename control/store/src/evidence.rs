//! Evidence rows, and the ring positions up to which they are complete.

use std::path::Path;

use rusqlite::params;

use crate::error::StoreError;
use crate::flow::{self, FlowRow};
use crate::open::{Store, read_beside};

/// One piece of evidence; key and value are the learner's own encodings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// Unique.
    pub key: Vec<u8>,
    /// Replaces an earlier value of the key.
    pub value: Vec<u8>,
}

/// Up to where the events of one worker's ring are in the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Number of the exchange region; positions of another one mean nothing.
    pub instance: u64,
    /// The worker.
    pub worker: u32,
    /// Position of the first event that isn't.
    pub position: u64,
}

/// SQLite's integers are signed: the bits are kept.
fn signed(value: u64) -> i64 {
    value.cast_signed()
}

impl Store {
    /// Removes the keys in `removed`, then writes rows, flow records and cursors, in one transaction; on return all of it is on disk.
    /// Cursors of other regions are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was written.
    pub fn save_evidence(
        &mut self,
        removed: &[Vec<u8>],
        rows: &[EvidenceRow],
        flows: &[FlowRow],
        cursors: &[Cursor],
    ) -> Result<(), StoreError> {
        let failed = self.failed("save evidence in");
        let transaction = self.connection.transaction().map_err(&failed)?;
        {
            let mut removal = transaction
                .prepare_cached("DELETE FROM evidence WHERE key = ?1")
                .map_err(&failed)?;
            for key in removed {
                removal.execute([key]).map_err(&failed)?;
            }
            let mut evidence = transaction
                .prepare_cached("INSERT OR REPLACE INTO evidence (key, value) VALUES (?1, ?2)")
                .map_err(&failed)?;
            for row in rows {
                evidence.execute(params![row.key, row.value]).map_err(&failed)?;
            }
            flow::write(&transaction, flows).map_err(&failed)?;
            let mut cursor = transaction
                .prepare_cached("INSERT OR REPLACE INTO cursor (instance, worker, position) VALUES (?1, ?2, ?3)")
                .map_err(&failed)?;
            for Cursor { instance, worker, position } in cursors {
                cursor
                    .execute(params![signed(*instance), worker, signed(*position)])
                    .map_err(&failed)?;
            }
            if let Some(first) = cursors.first() {
                transaction
                    .execute("DELETE FROM cursor WHERE instance <> ?1", [signed(first.instance)])
                    .map_err(&failed)?;
            }
        }
        transaction.commit().map_err(&failed)
    }

    /// All evidence, by key.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn load_evidence(&self) -> Result<Vec<EvidenceRow>, StoreError> {
        let failed = self.failed("read the evidence of");
        let mut statement = self
            .connection
            .prepare("SELECT key, value FROM evidence ORDER BY key")
            .map_err(&failed)?;
        let rows =
            statement.query_map([], |row| Ok(EvidenceRow { key: row.get(0)?, value: row.get(1)? }));
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }

    /// Hands all evidence over, row by row in the order of the keys, without holding more than one: for readers beside the thread that
    /// writes, who see what was on disk when they began.
    ///
    /// # Errors
    /// [`StoreError::Database`]; rows may have been handed over.
    pub fn read_evidence(path: &Path, mut each: impl FnMut(EvidenceRow)) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database {
            what: "read the evidence of",
            path: path.to_owned(),
            source,
        };
        let connection = read_beside(path).map_err(failed)?;
        let mut statement =
            connection.prepare("SELECT key, value FROM evidence ORDER BY key").map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (key, value) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            each(EvidenceRow { key, value });
        }
        Ok(())
    }

    /// All cursors; of at most one region.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let failed = self.failed("read the cursors of");
        let mut statement = self
            .connection
            .prepare("SELECT instance, worker, position FROM cursor ORDER BY worker")
            .map_err(&failed)?;
        let rows = statement.query_map([], |row| {
            Ok(Cursor {
                instance: row.get::<_, i64>(0)?.cast_unsigned(),
                worker: row.get(1)?,
                position: row.get::<_, i64>(2)?.cast_unsigned(),
            })
        });
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }
}
