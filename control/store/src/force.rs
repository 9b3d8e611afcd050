//! Which version is in force: what the audit log says, as far as it is whole.

use crate::audit::{Action, AuditEntry};
use crate::error::StoreError;
use crate::open::Store;
use crate::version::{Version, VersionNumber};

/// The version in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The version.
    pub version: Version,
    /// Number of the audit entry that put it in force.
    pub entry: u64,
    /// Newer ones that should be in force and are damaged, newest first.
    pub damaged: Vec<VersionNumber>,
    /// It must be confirmed, or be taken back.
    pub pending: Option<Pending>,
}

/// A version that goes unless somebody confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The version in force.
    pub version: VersionNumber,
    /// When it was applied, ns since 1970.
    pub applied_ns: u64,
    /// How long it may stay unconfirmed.
    pub within_ns: u64,
    /// What follows it then.
    pub fallback: VersionNumber,
}

/// Which version is in force, without its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub number: VersionNumber,
    pub is_pending: bool,
}

impl Head {
    pub fn of(in_force: &InForce) -> Self {
        Self { number: in_force.version.number, is_pending: in_force.pending.is_some() }
    }
}

/// The entries that put a version in force.
const PUTS_IN_FORCE: &str = "WHERE action IN ('applied', 'learned')";

impl Store {
    /// The newest whole version that was put in force. `None` in a new store.
    ///
    /// # Errors
    /// [`StoreError::NoWholeVersion`]; [`StoreError::Database`].
    pub fn in_force(&self) -> Result<Option<InForce>, StoreError> {
        let mut damaged = Vec::new();
        for entry in self.force_entries()? {
            match self.version(entry.version) {
                Ok(version) if version.sha256 == entry.version_sha256 => {
                    let pending = self.pending(&entry)?;
                    return Ok(Some(InForce { version, entry: entry.number, damaged, pending }));
                }
                Ok(_) | Err(StoreError::VersionDamaged { .. } | StoreError::NoVersion { .. }) => {
                    damaged.push(entry.version);
                }
                Err(error) => return Err(error),
            }
        }
        if damaged.is_empty() && self.is_empty()? {
            return Ok(None);
        }
        Err(StoreError::NoWholeVersion { path: self.path.clone(), damaged })
    }

    /// Which version is in force, from memory if nothing was written since it was read.
    pub(crate) fn head(&self) -> Result<Option<Head>, StoreError> {
        if let Some(head) = self.head.get() {
            return Ok(head);
        }
        let head = self.in_force()?.as_ref().map(Head::of);
        self.head.set(Some(head));
        Ok(head)
    }

    /// Whole entries that put a version in force, newest first.
    fn force_entries(&self) -> Result<Vec<AuditEntry>, StoreError> {
        let stored = self.audit_rows(&format!("{PUTS_IN_FORCE} ORDER BY number DESC"))?;
        Ok(stored.into_iter().filter_map(|stored| stored.entry).collect())
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        let count = "SELECT (SELECT count(*) FROM version) + (SELECT count(*) FROM audit WHERE action <> 'account')";
        let count: u64 = self
            .connection
            .query_row(count, [], |row| row.get(0))
            .map_err(self.failed("count the policy versions of"))?;
        Ok(count == 0)
    }

    fn pending(&self, entry: &AuditEntry) -> Result<Option<Pending>, StoreError> {
        if entry.confirm_within_ns == 0 {
            return Ok(None);
        }
        let later = self.audit(Some(entry.version))?;
        let is_settled = later.iter().any(|later| {
            later.number > entry.number
                && matches!(later.action, Action::Confirmed | Action::Reverted)
        });
        let fallback = self.fallback(entry.number)?;
        Ok(fallback.filter(|_| !is_settled).map(|fallback| Pending {
            version: entry.version,
            applied_ns: entry.time_ns,
            within_ns: entry.confirm_within_ns,
            fallback,
        }))
    }

    /// The whole version that was in force before this audit entry.
    fn fallback(&self, before: u64) -> Result<Option<VersionNumber>, StoreError> {
        let older = self.force_entries()?.into_iter().filter(|entry| entry.number < before);
        for entry in older {
            match self.version(entry.version) {
                Ok(version) if version.sha256 == entry.version_sha256 => {
                    return Ok(Some(entry.version));
                }
                Ok(_) | Err(StoreError::VersionDamaged { .. } | StoreError::NoVersion { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What was in force before a person last put something in force: where a rollback goes unless it is told another place.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn before_last_person(&self) -> Result<Option<VersionNumber>, StoreError> {
        let entries = self.force_entries()?;
        match entries.iter().find(|entry| entry.action == Action::Applied) {
            Some(entry) => self.fallback(entry.number),
            None => Ok(None),
        }
    }
}
