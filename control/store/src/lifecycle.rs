//! From proposal to force and back: each step one transaction, legal only from the state before it.

use std::fmt;

use rusqlite::Transaction;

use crate::audit::{self, Action, AuditEntry, NewEntry};
use crate::error::StoreError;
use crate::force::Head;
use crate::open::Store;
use crate::version::{NewVersion, VersionNumber};

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// Waits for an approval.
    Proposed,
    /// May be applied.
    Approved,
    /// Never to be applied.
    Rejected,
    /// In force, and to be confirmed.
    Unconfirmed,
    /// In force.
    InForce,
    /// Was in force.
    Superseded,
}

impl VersionState {
    /// The name in API and documents; stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Unconfirmed => "unconfirmed",
            Self::InForce => "in force",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A version without its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number.
    pub number: VersionNumber,
    /// The version that was in force when it was made.
    pub previous: Option<VersionNumber>,
    /// ns since 1970.
    pub created_ns: u64,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// The ticket it belongs to; may be empty.
    pub ticket: String,
    /// Where it stands.
    pub state: VersionState,
    /// Who approved it, if somebody did.
    pub approver: Option<String>,
    /// When it was last put in force, ns since 1970.
    pub applied_ns: Option<u64>,
    /// SHA-256 as it is stored.
    pub sha256: Vec<u8>,
}

/// What a person does with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step<'a> {
    time_ns: u64,
    actor: &'a str,
    note: &'a str,
}

impl Store {
    /// Appends a version that is in force at once, because Loadlock made it; on return it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was appended.
    pub fn append_version(&mut self, new: &NewVersion) -> Result<VersionNumber, StoreError> {
        self.append_with(new, &[(Action::Learned, 0)], None)
    }

    /// Appends a version that a person makes and puts in force in one step: a mode, a time-boxed right, an island.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was appended.
    pub fn append_applied(&mut self, new: &NewVersion) -> Result<VersionNumber, StoreError> {
        let steps = [(Action::Proposed, 0), (Action::Approved, 0), (Action::Applied, 0)];
        self.append_with(new, &steps, None)
    }

    /// Appends a proposal; nothing else changes.
    ///
    /// # Errors
    /// [`StoreError::Database`]; nothing was appended.
    pub fn propose(&mut self, new: &NewVersion) -> Result<VersionNumber, StoreError> {
        self.append_with(new, &[(Action::Proposed, 0)], None)
    }

    /// Puts the content of an older version in force under a new number; the one in force is reverted.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`], [`StoreError::VersionDamaged`], [`StoreError::Database`]; nothing was appended.
    pub fn roll_back(
        &mut self,
        to: VersionNumber,
        time_ns: u64,
        actor: &str,
        reason: &str,
    ) -> Result<VersionNumber, StoreError> {
        let content = self.version(to)?.content;
        let new = NewVersion {
            created_ns: time_ns,
            author: actor.to_owned(),
            reason: reason.to_owned(),
            ticket: String::new(),
            ..content
        };
        let reverted = self.head()?.map(|head| head.number);
        let steps = [(Action::Proposed, 0), (Action::Approved, 0), (Action::Applied, 0)];
        self.append_with(&new, &steps, reverted)
    }

    fn append_with(
        &mut self,
        new: &NewVersion,
        steps: &[(Action, u64)],
        reverted: Option<VersionNumber>,
    ) -> Result<VersionNumber, StoreError> {
        let failed = self.failed("append a policy version to");
        let previous = self.head()?.map(|head| head.number);
        let transaction = self.connection.transaction().map_err(&failed)?;
        let (number, sha256) =
            crate::version::insert(&transaction, new, previous).map_err(&failed)?;
        let step = Step { time_ns: new.created_ns, actor: &new.author, note: &new.reason };
        if let Some(reverted) = reverted {
            let reverted_sha256 = stored_hash(&transaction, reverted).map_err(&failed)?;
            record(&transaction, &step, (Action::Reverted, 0), reverted, &reverted_sha256)
                .map_err(&failed)?;
        }
        for action in steps {
            record(&transaction, &step, *action, number, &sha256).map_err(&failed)?;
        }
        let changes_force =
            steps.iter().any(|(action, _)| matches!(action, Action::Applied | Action::Learned));
        if changes_force {
            self.head.set(None);
        }
        transaction.commit().map_err(&failed)?;
        if changes_force {
            self.refresh_copy();
        }
        Ok(number)
    }

    /// Approves a proposal.
    ///
    /// # Errors
    /// [`StoreError::WrongState`] unless it is proposed, [`StoreError::VersionDamaged`], [`StoreError::NoVersion`],
    /// [`StoreError::Database`].
    pub fn approve(
        &mut self,
        number: VersionNumber,
        time_ns: u64,
        actor: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        let step = Step { time_ns, actor, note };
        self.step(number, &step, Action::Approved, 0, &[VersionState::Proposed])
    }

    /// Rejects a proposal, also an approved one.
    ///
    /// # Errors
    /// As of [`Store::approve`].
    pub fn reject(
        &mut self,
        number: VersionNumber,
        time_ns: u64,
        actor: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        const FROM: &[VersionState] = &[VersionState::Proposed, VersionState::Approved];
        self.step(number, &Step { time_ns, actor, note }, Action::Rejected, 0, FROM)
    }

    /// Puts an approved version in force; with `confirm_within_ns` above 0 it has to be confirmed.
    ///
    /// # Errors
    /// As of [`Store::approve`].
    pub fn apply(
        &mut self,
        number: VersionNumber,
        time_ns: u64,
        actor: &str,
        note: &str,
        confirm_within_ns: u64,
    ) -> Result<(), StoreError> {
        let step = Step { time_ns, actor, note };
        self.step(number, &step, Action::Applied, confirm_within_ns, &[VersionState::Approved])?;
        self.refresh_copy();
        Ok(())
    }

    /// Confirms the version in force.
    ///
    /// # Errors
    /// As of [`Store::approve`].
    pub fn confirm(
        &mut self,
        number: VersionNumber,
        time_ns: u64,
        actor: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        let step = Step { time_ns, actor, note };
        self.step(number, &step, Action::Confirmed, 0, &[VersionState::Unconfirmed])
    }

    fn step(
        &mut self,
        number: VersionNumber,
        step: &Step<'_>,
        action: Action,
        confirm_within_ns: u64,
        from: &'static [VersionState],
    ) -> Result<(), StoreError> {
        // A version that isn't whole is never approved or put in force.
        let sha256 = self.version(number)?.sha256;
        let state = self.state(number)?;
        if !from.contains(&state) {
            return Err(StoreError::WrongState { number, state, action, from });
        }
        let failed = self.failed("write the audit log of");
        let transaction = self.connection.transaction().map_err(&failed)?;
        record(&transaction, step, (action, confirm_within_ns), number, &sha256)
            .map_err(&failed)?;
        // Else it would be read and checked again, which for a million rules takes some 400 MB.
        if !matches!(action, Action::Approved | Action::Rejected) {
            self.head.set(None);
        }
        transaction.commit().map_err(&failed)
    }

    /// Where a version stands.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn state(&self, number: VersionNumber) -> Result<VersionState, StoreError> {
        Ok(state_of(&self.audit(Some(number))?, number, self.head()?))
    }

    /// All versions, oldest first, without their texts.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn versions(&self) -> Result<Vec<VersionSummary>, StoreError> {
        let head = self.head()?;
        let mut entries: std::collections::HashMap<VersionNumber, Vec<AuditEntry>> =
            std::collections::HashMap::new();
        for entry in self.audit(None)? {
            entries.entry(entry.version).or_default().push(entry);
        }
        let failed = self.failed("list the policy versions of");
        let mut statement = self
            .connection
            .prepare("SELECT number, previous, created_ns, author, reason, ticket, sha256 FROM version ORDER BY number")
            .map_err(&failed)?;
        let rows = statement.query_map([], |row| {
            let number = VersionNumber(row.get(0)?);
            let own = entries.get(&number).map_or(&[][..], Vec::as_slice);
            let last =
                |wanted: &[Action]| own.iter().rev().find(|entry| wanted.contains(&entry.action));
            Ok(VersionSummary {
                number,
                previous: row.get::<_, Option<u64>>(1)?.map(VersionNumber),
                created_ns: row.get(2)?,
                author: row.get(3)?,
                reason: row.get(4)?,
                ticket: row.get(5)?,
                state: state_of(own, number, head),
                approver: last(&[Action::Approved]).map(|entry| entry.actor.clone()),
                applied_ns: last(&[Action::Applied, Action::Learned]).map(|entry| entry.time_ns),
                sha256: row.get(6)?,
            })
        });
        rows.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)
    }
}

fn state_of(entries: &[AuditEntry], number: VersionNumber, head: Option<Head>) -> VersionState {
    if let Some(head) = head.filter(|head| head.number == number) {
        return if head.is_pending { VersionState::Unconfirmed } else { VersionState::InForce };
    }
    let settled = entries.last().map(|entry| match entry.action {
        // Bypass is noted of a version in force.
        Action::Applied
        | Action::Learned
        | Action::Confirmed
        | Action::Reverted
        | Action::BypassOn
        | Action::BypassOff => VersionState::Superseded,
        Action::Rejected => VersionState::Rejected,
        Action::Approved => VersionState::Approved,
        Action::Proposed | Action::Account | Action::Reloaded | Action::Captured => {
            VersionState::Proposed
        }
    });
    // Without any entry nobody approved it.
    settled.unwrap_or(VersionState::Proposed)
}

fn stored_hash(transaction: &Transaction<'_>, number: VersionNumber) -> rusqlite::Result<Vec<u8>> {
    transaction
        .query_row("SELECT sha256 FROM version WHERE number = ?1", [number.0], |row| row.get(0))
}

fn record(
    transaction: &Transaction<'_>,
    step: &Step<'_>,
    (action, confirm_within_ns): (Action, u64),
    version: VersionNumber,
    version_sha256: &[u8],
) -> rusqlite::Result<u64> {
    let entry = NewEntry {
        time_ns: step.time_ns,
        actor: step.actor,
        action,
        version: version.0,
        version_sha256,
        note: step.note,
        confirm_within_ns,
    };
    audit::append(transaction, &entry)
}
