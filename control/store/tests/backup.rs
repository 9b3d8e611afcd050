//! Backups: made while the store is in use, and gone back to.

use std::fs;

use loadlock_store::{NewVersion, SegmentMode, Store, StoreError, back_up, restore};

fn version(reason: &str) -> NewVersion {
    NewVersion {
        created_ns: 1,
        author: "ada".to_owned(),
        reason: reason.to_owned(),
        ticket: String::new(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "learn".to_owned() }],
        source: String::new(),
        rules: "format = 1\n".to_owned(),
    }
}

fn reason_in_force(store: &Store) -> String {
    store.in_force().unwrap().unwrap().version.content.reason
}

#[test]
fn a_backup_is_gone_back_to_and_what_was_there_stays_beside() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("loadlock.db"), folder.path().join("backup.db"));
    let mut store = Store::open(&path).unwrap();
    store.append_applied(&version("first")).unwrap();
    let number = back_up(&path, &backup).unwrap();
    assert_eq!(number.0, 1);
    let names = |folder: &std::path::Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("backup"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(folder.path()), ["backup.db"], "nothing is left over");
    store.append_applied(&version("second")).unwrap();
    assert!(matches!(back_up(&path, &backup), Err(StoreError::Io { .. })), "never written over");
    assert!(matches!(restore(&path, &backup), Err(StoreError::InUse { .. })));
    assert_eq!(reason_in_force(&store), "second");
    drop(store);
    let restored = restore(&path, &backup).unwrap();
    assert_eq!(restored.in_force.0, 1);
    let store = Store::open(&path).unwrap();
    assert_eq!(reason_in_force(&store), "first", "not what the copy beside it said");
    drop(store);
    let aside = restored.aside.unwrap();
    assert_eq!(reason_in_force(&Store::open(&aside).unwrap()), "second");
}

#[test]
fn what_is_no_whole_backup_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("loadlock.db"), folder.path().join("backup.db"));
    let mut store = Store::open(&path).unwrap();
    store.append_applied(&version("first")).unwrap();
    drop(store);
    back_up(&path, &backup).unwrap();
    let whole = fs::read(&backup).unwrap();
    let mut flipped = whole.clone();
    let at = whole.windows(5).position(|window| window == b"first").unwrap();
    flipped[at] ^= 1;
    for bad in [&b"not a database"[..], &whole[..whole.len() / 2], &flipped] {
        fs::write(&backup, bad).unwrap();
        assert!(restore(&path, &backup).is_err());
        assert_eq!(reason_in_force(&Store::open(&path).unwrap()), "first");
        assert!(!folder.path().join("loadlock.db.restoring").exists());
    }
    assert!(back_up(&folder.path().join("none.db"), &folder.path().join("x.db")).is_err());
    assert!(!folder.path().join("x.db").exists() && !folder.path().join("none.db").exists());
}
