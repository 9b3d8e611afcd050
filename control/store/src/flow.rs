//! Flow records: what each kind of conversation did in each hour. The history that goes first when room is wanted.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::StoreError;
use crate::open::{Store, read_beside};

/// Schema 4. In the order of time, so that the oldest go by the front of one tree.
pub(crate) const TABLE: &str = "
CREATE TABLE flow (
    hour  INTEGER NOT NULL,
    key   BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (hour, key)
) STRICT, WITHOUT ROWID;
";

/// One flow record; key and value are the caller's own encodings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// Hours since 1970, UTC.
    pub hour: u32,
    /// Unique within its hour.
    pub key: Vec<u8>,
    /// Replaces an earlier value of the key in this hour.
    pub value: Vec<u8>,
}

/// How much the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Pages in use, in bytes. The file may be larger: what was freed in it is used again, and not given back.
    pub used_bytes: u64,
    /// Hour of the oldest flow record; `None` without one.
    pub oldest_hour: Option<u32>,
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<FlowRow> {
    Ok(FlowRow { hour: row.get(0)?, key: row.get(1)?, value: row.get(2)? })
}

pub(crate) fn write(connection: &Connection, flows: &[FlowRow]) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO flow (hour, key, value) VALUES (?1, ?2, ?3)")?;
    flows
        .iter()
        .try_for_each(|flow| statement.execute(params![flow.hour, flow.key, flow.value]).map(drop))
}

impl Store {
    /// How much is held. Costs a few page reads, however much it is.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let failed = self.failed("measure");
        let number = |name: &str| {
            self.connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0))
                .map_err(&failed)
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        let oldest_hour = self
            .connection
            .query_row("SELECT hour FROM flow ORDER BY hour LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(&failed)?;
        Ok(Usage { used_bytes: pages * number("page_size")?, oldest_hour })
    }

    /// Removes flow records of hours before `hour`, the oldest first, at most `rows_max`, in one transaction: a kill leaves them or takes
    /// them. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Database`]; none was removed.
    pub fn prune_flows(&mut self, hour: u32, rows_max: u32) -> Result<usize, StoreError> {
        const REMOVE: &str = "DELETE FROM flow WHERE (hour, key) IN \
                              (SELECT hour, key FROM flow WHERE hour < ?1 ORDER BY hour, key LIMIT ?2)";
        let failed = self.failed("let old flow records go in");
        let removed = self.connection.prepare_cached(REMOVE);
        removed.and_then(|mut removed| removed.execute(params![hour, rows_max])).map_err(failed)
    }

    /// The flow records of one hour, by key.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn flows_of(&self, hour: u32) -> Result<Vec<FlowRow>, StoreError> {
        let failed = self.failed("read the flow records of");
        let mut statement = self
            .connection
            .prepare("SELECT hour, key, value FROM flow WHERE hour = ?1 ORDER BY key")
            .map_err(&failed)?;
        let rows = statement.query_map([hour], row).map_err(&failed)?;
        rows.collect::<Result<_, _>>().map_err(&failed)
    }

    /// Flow records with a key below `key`, the newest hour first, at most `rows_max`. Reads no others.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn newest_flows_below(
        &self,
        key: &[u8],
        rows_max: usize,
    ) -> Result<Vec<FlowRow>, StoreError> {
        let failed = self.failed("read the flow records of");
        let prepare = |sql| self.connection.prepare(sql).map_err(&failed);
        let mut before =
            prepare("SELECT hour FROM flow WHERE hour < ?1 ORDER BY hour DESC LIMIT 1")?;
        let mut of_hour = prepare(
            "SELECT hour, key, value FROM flow WHERE hour = ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        )?;
        let (mut rows, mut hour) = (Vec::new(), i64::MAX);
        while rows.len() < rows_max {
            let earlier = before.query_row([hour], |row| row.get(0)).optional().map_err(&failed)?;
            let Some(earlier) = earlier else { break };
            hour = earlier;
            let room = i64::try_from(rows_max - rows.len()).unwrap_or(i64::MAX);
            let found = of_hour.query_map(params![hour, key, room], row).map_err(&failed)?;
            for row in found {
                rows.push(row.map_err(&failed)?);
            }
        }
        Ok(rows)
    }

    /// Hands the flow records from an hour on over, the oldest first, without holding more than one: for readers beside the thread that
    /// writes, who see what was on disk when they began.
    ///
    /// # Errors
    /// [`StoreError::Database`]; rows may have been handed over.
    pub fn read_flows(
        path: &Path,
        from_hour: u32,
        mut each: impl FnMut(u32, &[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Database {
            what: "read the flow records of",
            path: path.to_owned(),
            source,
        };
        let connection = read_beside(path).map_err(failed)?;
        let mut statement = connection
            .prepare("SELECT hour, key, value FROM flow WHERE hour >= ?1 ORDER BY hour, key")
            .map_err(failed)?;
        let mut rows = statement.query([from_hour]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let blob = |at| row.get_ref(at)?.as_blob().map_err(rusqlite::Error::from);
            let (key, value) = (blob(1).map_err(failed)?, blob(2).map_err(failed)?);
            each(row.get(0).map_err(failed)?, key, value);
        }
        Ok(())
    }
}
