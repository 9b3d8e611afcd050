//! Segments whose frames nobody judges for a time: entries of the audit log, from which the state follows.

use crate::audit::{self, Action, AuditEntry, NewEntry};
use crate::error::StoreError;
use crate::open::Store;

/// That a segment goes into bypass or leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBypass {
    /// The segment's name, without a colon.
    pub segment: String,
    /// Into bypass.
    pub on: bool,
    /// ns since 1970.
    pub time_ns: u64,
    /// For how long; 0: until it is taken out.
    pub for_ns: u64,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Between the segment and the reason in an entry's note.
const SEPARATOR: &str = ": ";

impl Store {
    /// Records it; on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was recorded.
    pub fn record_bypass(&mut self, new: &NewBypass) -> Result<(), StoreError> {
        let failed = self.failed("write the audit log of");
        let version = self.in_force()?.map(|in_force| in_force.version);
        let (number, sha256) = version.map_or((0, Vec::new()), |own| (own.number.0, own.sha256));
        let entry = NewEntry {
            time_ns: new.time_ns,
            actor: &new.actor,
            action: if new.on { Action::BypassOn } else { Action::BypassOff },
            version: number,
            version_sha256: &sha256,
            note: &[&new.segment, SEPARATOR, &new.reason].concat(),
            confirm_within_ns: new.for_ns,
        };
        audit::append(&self.connection, &entry).map(|_| ()).map_err(failed)
    }

    /// Those that were recorded last for each segment and put it into bypass, also if their time is over by now. What stands before
    /// a damaged entry holds no longer: that one may have ended it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn bypasses(&self) -> Result<Vec<NewBypass>, StoreError> {
        let stored =
            self.audit_rows("WHERE action IN ('bypass-on', 'bypass-off') ORDER BY number")?;
        let mut latest: Vec<NewBypass> = Vec::new();
        for stored in stored {
            let Some(bypass) = stored.entry.and_then(read) else {
                latest.clear();
                continue;
            };
            latest.retain(|other| other.segment != bypass.segment);
            latest.push(bypass);
        }
        latest.retain(|bypass| bypass.on);
        Ok(latest)
    }
}

fn read(entry: AuditEntry) -> Option<NewBypass> {
    let (segment, reason) = entry.note.split_once(SEPARATOR)?;
    Some(NewBypass {
        segment: segment.to_owned(),
        on: entry.action == Action::BypassOn,
        time_ns: entry.time_ns,
        for_ns: entry.confirm_within_ns,
        actor: entry.actor,
        reason: reason.to_owned(),
    })
}
