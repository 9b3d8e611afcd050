//! Backups of a store in use, and the way back: whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use loadlock_store::{
    Cursor, EvidenceRow, NewAnswer, NewVersion, SegmentMode, Store, StoreError, VersionNumber,
    back_up, check, open, restore,
};
use tempfile::{TempDir, tempdir};

const NOW: u64 = 1_700_000_000_000_000_000;

fn version(rules: &str) -> NewVersion {
    NewVersion {
        created_ns: NOW,
        author: "anna".to_owned(),
        reason: "test".to_owned(),
        ticket: String::new(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "enforce".to_owned() }],
        source: String::new(),
        rules: rules.to_owned(),
    }
}

struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store.db")
    }

    /// A store with two versions, an answer and evidence.
    fn filled(&self) -> Store {
        let mut store = open(&self.store(), NOW).unwrap().store;
        store.append_version(&version("one")).unwrap();
        store.append_applied(&version("two")).unwrap();
        let answer = NewAnswer {
            created_ns: NOW,
            author: "bert".to_owned(),
            reason: "it is ours".to_owned(),
            content: "{}".to_owned(),
        };
        store.append_answer(&answer).unwrap();
        let row = EvidenceRow { key: vec![1], value: vec![2; 5_000] };
        let cursor = Cursor { instance: 1, worker: 0, position: 7 };
        store.save_evidence(&[], &[row], &[], &[cursor]).unwrap();
        store
    }

    /// What the rules in force say.
    fn in_force(&self) -> String {
        let opened = open(&self.store(), NOW).unwrap();
        assert_eq!(opened.alarms, [""; 0]);
        opened.in_force.unwrap().version.content.rules
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn tamper(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_backup_of_a_store_in_use_comes_back_whole() {
    let site = Site::new();
    let mut store = site.filled();
    let summary = back_up(&site.store(), &site.path("backup.db")).unwrap();
    assert_eq!((summary.in_force, summary.versions), (Some(VersionNumber(2)), 2));
    assert_eq!((summary.evidence_rows, summary.bytes > 0), (1, true));
    assert_eq!(check(&site.path("backup.db")).unwrap(), summary);
    store.append_applied(&version("three")).unwrap();
    let error = restore(&site.store(), &site.path("backup.db"), "carla", NOW).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(store);
    assert_eq!(site.in_force(), "three");

    let restored = restore(&site.store(), &site.path("backup.db"), "carla", NOW + 5).unwrap();
    assert_eq!(restored.summary, summary);
    assert_eq!(restored.in_force, Some(VersionNumber(3)));
    assert_eq!(site.in_force(), "two");
    let store = open(&site.store(), NOW).unwrap().store;
    assert_eq!(store.check_audit().unwrap(), None);
    let last = store.audit(None).unwrap().pop().unwrap();
    assert_eq!((last.actor.as_str(), last.time_ns), ("carla", NOW + 5));
    assert_eq!(store.answers().unwrap().len(), 1);
    assert_eq!(store.load_evidence().unwrap()[0].value.len(), 5_000);
    drop(store);
    // What was there before is kept, whole.
    let before = Store::open(&restored.before.unwrap()).unwrap();
    assert_eq!(before.in_force().unwrap().unwrap().version.content.rules, "three");
    assert!(!site.files().iter().any(|name| name.contains("restoring") || name.ends_with(".new")));
}

#[test]
fn what_is_no_whole_backup_is_refused_and_changes_nothing() {
    let site = Site::new();
    drop(site.filled());
    let good = site.path("good.db");
    back_up(&site.store(), &good).unwrap();
    let bytes = fs::read(&good).unwrap();
    let bad = site.path("bad.db");
    type Harm = fn(&Path, &[u8]);
    let harms: [(&str, Harm); 6] = [
        ("cut", |path, bytes| fs::write(path, &bytes[..bytes.len() / 2]).unwrap()),
        ("text", |path, _| fs::write(path, "no backup\n").unwrap()),
        ("another program's", |path, _| {
            fs::write(path, "").unwrap();
            tamper(path, "CREATE TABLE t (x)");
        }),
        ("newer", |path, _| tamper(path, "PRAGMA user_version = 99")),
        ("a changed version", |path, _| {
            tamper(path, "UPDATE version SET rules = 'all' WHERE number = 1")
        }),
        ("a missing entry", |path, _| tamper(path, "DELETE FROM audit WHERE number = 1")),
    ];
    for (name, harm) in harms {
        fs::write(&bad, &bytes).unwrap();
        harm(&bad, &bytes);
        let error = restore(&site.store(), &bad, "carla", NOW).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("bad.db") && !text.contains("restoring"), "{name}: {text}");
        let refused = matches!(
            error,
            StoreError::BackupDamaged { .. }
                | StoreError::BackupForeign { .. }
                | StoreError::Newer { .. }
        );
        assert!(refused, "{name}: {text}");
        assert_eq!(site.in_force(), "two", "{name}");
        let left = site.files().into_iter().find(|file| file.contains("restor"));
        assert_eq!(left, None, "{name}");
    }
    let error = restore(&site.store(), &site.path("missing.db"), "carla", NOW).unwrap_err();
    assert!(error.to_string().contains("missing.db"), "{error}");
    assert_eq!(site.in_force(), "two");
}

#[test]
fn a_backup_that_cannot_be_written_leaves_the_one_before() {
    let site = Site::new();
    drop(site.filled());
    let file = site.path("backup.db");
    let before = back_up(&site.store(), &file).unwrap();
    tamper(&site.store(), "UPDATE version SET rules = 'all' WHERE number = 2");
    let error = back_up(&site.store(), &file).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(check(&file).unwrap(), before);
    assert!(!site.path("backup.db.new").exists());
    let error = back_up(&site.path("nothing.db"), &file).unwrap_err();
    assert!(error.to_string().contains("nothing.db"), "{error}");
    assert!(!site.path("nothing.db").exists());
}

#[test]
fn restoring_takes_the_place_of_a_damaged_store_or_of_none() {
    let site = Site::new();
    drop(site.filled());
    let file = site.path("backup.db");
    back_up(&site.store(), &file).unwrap();
    fs::write(site.store(), "rubbish").unwrap();
    let restored = restore(&site.store(), &file, "carla", NOW).unwrap();
    assert_eq!(fs::read(restored.before.unwrap()).unwrap(), b"rubbish");
    assert_eq!(site.in_force(), "two");
    let elsewhere = Site::new();
    let restored = restore(&elsewhere.store(), &file, "carla", NOW).unwrap();
    assert_eq!(restored.before, None);
    assert_eq!(elsewhere.in_force(), "two");
}

/// As schema 3 and 2 left it, and schema 1 without and with answers: all were released.
#[test]
fn backups_of_each_earlier_schema_are_brought_up() {
    let third = "DROP TABLE flow; PRAGMA user_version = 3;".to_owned();
    let second = third.clone() + "DROP TABLE secret; DROP TABLE account; PRAGMA user_version = 2;";
    let first = second.clone()
        + "DROP TABLE audit; ALTER TABLE version DROP COLUMN ticket; ALTER TABLE version DROP COLUMN source; PRAGMA user_version = 1;";
    for back in [&third, &second, &first, &(first.clone() + "DROP TABLE answer;")] {
        let site = Site::new();
        drop(site.filled());
        let file = site.path("backup.db");
        back_up(&site.store(), &file).unwrap();
        tamper(&file, back);
        let old = fs::read(&file).unwrap();
        restore(&site.store(), &file, "carla", NOW).unwrap();
        assert_eq!(site.in_force(), "two", "{back}");
        assert_eq!(fs::read(&file).unwrap(), old, "the backup itself stays as it was");
        // Backed up by this release without having been opened by it.
        let left = site.path("left.db");
        fs::write(&left, &old).unwrap();
        let summary = back_up(&left, &site.path("of-left.db")).unwrap();
        assert_eq!((summary.versions, summary.evidence_rows), (2, 1), "{back}");
        assert_eq!(fs::read(&left).unwrap(), old, "the store itself stays as it was");
        restore(&site.store(), &site.path("of-left.db"), "carla", NOW).unwrap();
        assert_eq!(site.in_force(), "two", "{back}");
    }
}
