//! Versions and evidence over real files: what is written comes back, what is damaged isn't used.

use std::path::Path;

use loadlock_store::{
    Cursor, EvidenceRow, NewVersion, SegmentMode, Store, StoreError, VersionNumber,
};
use proptest::prelude::*;
use tempfile::tempdir;

fn version(rules: &str) -> NewVersion {
    NewVersion {
        created_ns: 1_700_000_000_000_000_000,
        author: "anna".to_owned(),
        reason: "test".to_owned(),
        ticket: String::new(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "learn".to_owned() }],
        source: String::new(),
        rules: rules.to_owned(),
    }
}

fn row(key: u8, value: u8) -> EvidenceRow {
    EvidenceRow { key: vec![key], value: vec![value] }
}

#[test]
fn what_is_appended_is_there_after_opening_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("new/folder/store.db");
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.in_force().unwrap(), None);
    assert_eq!(store.append_version(&version("one")).unwrap(), VersionNumber(1));
    assert_eq!(store.append_version(&version("two")).unwrap(), VersionNumber(2));
    drop(store);
    let store = Store::open(&path).unwrap();
    let in_force = store.in_force().unwrap().unwrap();
    let latest = in_force.version;
    assert_eq!((latest.number, latest.previous), (VersionNumber(2), Some(VersionNumber(1))));
    assert_eq!((latest.content, in_force.damaged), (version("two"), Vec::new()));
    assert_eq!(store.version(VersionNumber(1)).unwrap().content, version("one"));
    assert!(matches!(store.version(VersionNumber(3)), Err(StoreError::NoVersion { .. })));
    assert_eq!(store.versions().unwrap().len(), 2);
}

#[test]
fn rows_and_cursors_are_saved_together() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let cursor = |instance, worker, position| Cursor { instance, worker, position };
    let mut store = Store::open(&path).unwrap();
    store
        .save_evidence(
            &[],
            &[row(1, 1), row(2, 2)],
            &[],
            &[cursor(u64::MAX, 0, 7), cursor(u64::MAX, 1, 9)],
        )
        .unwrap();
    store.save_evidence(&[vec![1]], &[row(2, 3)], &[], &[cursor(u64::MAX, 0, u64::MAX)]).unwrap();
    drop(store);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.load_evidence().unwrap(), [row(2, 3)]);
    let expected = [cursor(u64::MAX, 0, u64::MAX), cursor(u64::MAX, 1, 9)];
    assert_eq!(store.cursors().unwrap(), expected);
    store.save_evidence(&[], &[], &[], &[cursor(5, 0, 1)]).unwrap();
    assert_eq!(store.cursors().unwrap(), [cursor(5, 0, 1)]);
}

#[test]
fn a_second_process_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::open(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("store.db.lock"), "{error}");
    drop(store);
    Store::open(&path).unwrap();
}

/// Changes a stored version behind the store's back.
fn tamper(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_damaged_version_is_passed_over_and_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    for rules in ["one", "two", "three"] {
        store.append_version(&version(rules)).unwrap();
    }
    drop(store);
    tamper(&path, "UPDATE version SET rules = 'allow everything' WHERE number = 3");
    let store = Store::open(&path).unwrap();
    let latest = store.in_force().unwrap().unwrap();
    assert_eq!((latest.version.number, latest.damaged), (VersionNumber(2), vec![VersionNumber(3)]));
    drop(store);
    tamper(&path, "UPDATE version SET rules = CAST(x'ff' AS TEXT) WHERE number = 2");
    assert_eq!(
        Store::open(&path).unwrap().in_force().unwrap().unwrap().version.number,
        VersionNumber(1)
    );
    tamper(&path, "UPDATE version SET modes = 'fab enforce' WHERE number < 3");
    let error = Store::open(&path).unwrap().in_force().unwrap_err();
    assert!(error.to_string().contains("damaged: 3, 2, 1"), "{error}");
}

#[test]
fn a_foreign_file_stays_untouched() {
    let folder = tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "these are my notes, and they are long enough to be no empty database\n".repeat(20),
    )
    .unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(matches!(Store::open(&text), Err(StoreError::Foreign { .. })));
    assert_eq!(std::fs::read(&text).unwrap(), before);
    let other = folder.path().join("other.db");
    tamper(&other, "CREATE TABLE somebody_elses (x)");
    assert!(matches!(Store::open(&other), Err(StoreError::Foreign { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(Store::open(&path).unwrap());
    tamper(&path, "PRAGMA user_version = 7");
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 7, .. }), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("store.db")).unwrap_err();
    assert!(error.to_string().contains("control.store"), "{error}");
}

#[test]
fn a_transaction_that_was_never_committed_leaves_nothing() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    store.append_version(&version("one")).unwrap();
    drop(store);
    // As if the process had been killed in the middle of an append.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM version;").unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.in_force().unwrap().unwrap().version.number, VersionNumber(1));
}

fn filled(path: &Path) -> Vec<u8> {
    let mut store = Store::open(path).unwrap();
    for number in 0..4 {
        store.append_version(&version(&format!("rules {number} ").repeat(300))).unwrap();
    }
    let rows: Vec<EvidenceRow> =
        (0..200).map(|key| EvidenceRow { key: vec![key; 40], value: vec![key; 90] }).collect();
    store.save_evidence(&[], &rows, &[], &[]).unwrap();
    drop(store);
    std::fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A flipped byte is never believed: the store refuses to open or to read, or gives what was written.
    #[test]
    fn a_flipped_byte_is_found_or_harmless(place in 0.0..1.0f64, flip in 1u8..=255) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut bytes = filled(&path);
        let at = ((bytes.len() - 1) as f64 * place) as usize;
        bytes[at] ^= flip;
        std::fs::write(&path, &bytes).unwrap();
        let Ok(store) = Store::open(&path) else { return Ok(()) };
        if let Ok(Some(in_force)) = store.in_force() {
            let written = in_force.version.number.0 - 1;
            prop_assert_eq!(in_force.version.content, version(&format!("rules {written} ").repeat(300)));
        }
    }
}
