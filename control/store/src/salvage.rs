//! Opening a store whatever has become of it: what was in force stays in force, and what was lost is said.

use std::path::{Path, PathBuf};

use crate::copy::Copy;
use crate::error::StoreError;
use crate::evidence::EvidenceRow;
use crate::force::{Head, InForce};
use crate::open::{SCHEMA_VERSION, Store};
use crate::version::VersionNumber;

/// An open store, and what somebody has to know about it.
#[derive(Debug)]
pub struct Opened {
    /// The store; nothing is in force in a new one.
    pub store: Store,
    /// What is in force.
    pub in_force: Option<InForce>,
    /// What is damaged, lost or replaced, as sentences with the next step.
    pub alarms: Vec<String>,
}

/// Opens a store. A damaged database is moved aside and a new one begun with the version that was in force, from the database as far as
/// its hashes prove it, else from the copy beside it; evidence is taken over as far as it can be read.
///
/// # Errors
/// [`StoreError`]: another process has it, the disk refuses, a newer release wrote it, or no whole version is left anywhere. Nothing was
/// changed then.
pub fn open(path: &Path, now_ns: u64) -> Result<Opened, StoreError> {
    let copy = Copy::read(path);
    let opened = Store::open(path).and_then(|store| {
        let in_force = store.in_force()?;
        let broken = store.check_audit()?;
        Ok((store, in_force, broken))
    });
    let (store, in_force, broken) = match opened {
        Ok(opened) => opened,
        Err(error) if is_damage(&error, copy.as_ref()) => {
            return replace(path, copy, now_ns, &error);
        }
        Err(error) => return Err(error),
    };
    let mut opened = Opened { store, in_force, alarms: Vec::new() };
    opened.say_what_is_damaged(broken);
    // One that is up to date isn't written again: of a large policy it takes a second, and room.
    if let (Some(copy), Some(in_force)) = (&copy, &opened.in_force)
        && copy.is_of(in_force)
    {
        opened.store.head.set(Some(Some(Head::of(in_force))));
        return Ok(opened);
    }
    opened.take_newer(copy, now_ns)?;
    opened.store.refresh_copy();
    opened.alarms.extend(opened.store.copy_trouble());
    Ok(opened)
}

/// True if the file was ours and isn't whole any more. A copy tells a damaged header from a foreign or newer file.
fn is_damage(error: &StoreError, copy: Option<&Copy>) -> bool {
    let same_schema = copy.is_some_and(|copy| copy.schema == SCHEMA_VERSION.unsigned_abs());
    match error {
        StoreError::Damaged { .. } | StoreError::NoWholeVersion { .. } => true,
        StoreError::Foreign { .. } | StoreError::Newer { .. } => same_schema,
        _ => false,
    }
}

impl Opened {
    fn say_what_is_damaged(&mut self, broken: Option<String>) {
        let damaged = self.in_force.as_ref().map_or(&[][..], |in_force| &in_force.damaged);
        if let (Some(newest), Some(in_force)) = (damaged.first(), &self.in_force) {
            self.alarms.push(format!(
                "policy version {newest} in the store is damaged; version {} is in force instead. Look at `loadlock policy list`, and \
                 restore a backup if it is needed",
                in_force.version.number
            ));
        }
        if let Some(broken) = broken {
            self.alarms.push(format!(
                "{broken}: it was changed or damaged on disk; keep {} for the auditor, and compare it with a backup",
                self.store.path().display()
            ));
        }
    }

    /// Where the copy is ahead of the database, the database has lost what was acknowledged: the copy's version is put in force again.
    fn take_newer(&mut self, copy: Option<Copy>, now_ns: u64) -> Result<(), StoreError> {
        let Some(copy) = copy else { return Ok(()) };
        let known = self.in_force.as_ref();
        let is_lost = known.is_none_or(|in_force| {
            in_force.entry < copy.entry
                || (in_force.entry == copy.entry && in_force.version.sha256 != copy.sha256)
        });
        if !is_lost {
            return Ok(());
        }
        let until = known.map_or(VersionNumber(0), |in_force| in_force.version.number);
        let number = self.restore(&copy, now_ns)?;
        self.alarms.push(format!(
            "the store {} has lost what came after policy version {until}: version {} was in force, and is again, from its copy, as version \
             {number}. Check the disk; if an older store was restored on purpose, apply the version that is wanted",
            self.store.path().display(),
            copy.number
        ));
        Ok(())
    }

    fn restore(&mut self, copy: &Copy, now_ns: u64) -> Result<VersionNumber, StoreError> {
        let mut content = copy.content.clone();
        content.reason =
            format!("version {} again, from its copy: the store had lost it", copy.number);
        content.created_ns = now_ns;
        content.author = "loadlock".to_owned();
        let number = self.store.append_version(&content)?;
        self.in_force = self.store.in_force()?;
        Ok(number)
    }
}

/// Moves a damaged database aside and begins a new one.
fn replace(
    path: &Path,
    copy: Option<Copy>,
    now_ns: u64,
    error: &StoreError,
) -> Result<Opened, StoreError> {
    let old = Store::open_unchecked(path)?;
    let proven = old.in_force().ok().flatten().map(Copy::of);
    let newest = [proven, copy].into_iter().flatten().max_by_key(|copy| copy.entry);
    let Some(newest) = newest else { return Err(again(path, error)) };
    let evidence = old.readable_evidence();
    let answers = old.answers().unwrap_or_default();
    drop(old);
    let aside = Store::move_aside(path)?;
    let store = Store::open(path)?;
    let mut opened = Opened { store, in_force: None, alarms: Vec::new() };
    opened.restore(&newest, now_ns)?;
    let rows = evidence.len();
    opened.store.save_evidence(&[], &evidence, &[], &[])?;
    for answer in &answers {
        opened.store.append_answer(&answer.content)?;
    }
    let said = answers.len();
    opened.alarms.push(format!(
        "the store was damaged ({}) and lies now in {}: policy version {} is in force again as version 1, {rows} rows of evidence and {said} \
         answers were taken over, history is only in the old file. Check the disk, and restore a backup if the history is needed",
        finding(error),
        aside.display(),
        newest.number
    ));
    opened.store.refresh_copy();
    opened.alarms.extend(opened.store.copy_trouble());
    Ok(opened)
}

fn finding(error: &StoreError) -> String {
    match error {
        StoreError::Damaged { finding, .. } => finding.clone(),
        StoreError::NoWholeVersion { .. } => "no policy version is whole".to_owned(),
        StoreError::Newer { found, .. } => format!("its header says schema {found}"),
        _ => "its header isn't one of a database".to_owned(),
    }
}

/// The same error, of which there is only a reference.
fn again(path: &Path, error: &StoreError) -> StoreError {
    let path: PathBuf = path.to_owned();
    match error {
        StoreError::Damaged { finding, .. } => {
            StoreError::Damaged { path, finding: finding.clone() }
        }
        StoreError::NoWholeVersion { damaged, .. } => {
            StoreError::NoWholeVersion { path, damaged: damaged.clone() }
        }
        StoreError::Newer { found, .. } => StoreError::Newer { path, found: *found },
        _ => StoreError::Foreign { path },
    }
}

impl Store {
    /// Evidence as far as the database can be read; what it says is checked by its reader.
    fn readable_evidence(&self) -> Vec<EvidenceRow> {
        let Ok(mut statement) = self.connection.prepare("SELECT key, value FROM evidence") else {
            return Vec::new();
        };
        let rows =
            statement.query_map([], |row| Ok(EvidenceRow { key: row.get(0)?, value: row.get(1)? }));
        rows.map(|rows| rows.map_while(Result::ok).collect()).unwrap_or_default()
    }
}
