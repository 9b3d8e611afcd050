//! Flow records: written with what they came with, let go by the oldest hour, and never anything else.

use std::path::Path;

use loadlock_store::{FlowRow, NewVersion, SegmentMode, Store};
use tempfile::tempdir;

fn flow(hour: u32, key: u16) -> FlowRow {
    FlowRow { hour, key: key.to_be_bytes().repeat(15), value: vec![7; 12] }
}

fn filled(path: &Path) -> Store {
    let mut store = Store::open(path).unwrap();
    let rows: Vec<FlowRow> =
        (10..20).flat_map(|hour| (0..500).map(move |key| flow(hour, key))).collect();
    store.save_evidence(&[], &[], &rows, &[]).unwrap();
    store
}

fn hours(path: &Path, from: u32) -> Vec<(u32, usize)> {
    let mut hours = std::collections::BTreeMap::new();
    Store::read_flows(path, from, |hour, _, _| *hours.entry(hour).or_default() += 1).unwrap();
    hours.into_iter().collect()
}

#[test]
fn a_record_is_replaced_within_its_hour_only() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = filled(&path);
    let newer = FlowRow { value: vec![8], ..flow(12, 3) };
    store.save_evidence(&[], &[], std::slice::from_ref(&newer), &[]).unwrap();
    assert_eq!(store.flows_of(12).unwrap()[3], newer);
    assert_eq!(store.flows_of(13).unwrap()[3], flow(13, 3));
    assert_eq!(hours(&path, 18), [(18, 500), (19, 500)]);
}

#[test]
fn the_oldest_go_first_in_steps_and_their_room_is_used_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut store = filled(&path);
    let version = NewVersion {
        created_ns: 1,
        author: "anna".to_owned(),
        reason: "test".to_owned(),
        ticket: String::new(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "enforce".to_owned() }],
        source: String::new(),
        rules: "rules".to_owned(),
    };
    store.append_applied(&version).unwrap();
    let full = store.usage().unwrap();
    assert_eq!(full.oldest_hour, Some(10));
    assert_eq!(store.prune_flows(13, 700).unwrap(), 700);
    assert_eq!(hours(&path, 0)[0], (11, 300), "the oldest first");
    assert_eq!(store.prune_flows(13, 700).unwrap(), 700);
    assert_eq!(store.prune_flows(13, 700).unwrap(), 100, "hour 13 isn't before itself");
    assert_eq!(store.prune_flows(13, 700).unwrap(), 0);
    let half = store.usage().unwrap();
    assert_eq!(half.oldest_hour, Some(13));
    assert!(half.used_bytes < full.used_bytes, "{half:?} {full:?}");
    let size = std::fs::metadata(&path).unwrap().len();
    let again: Vec<FlowRow> = (0..1_500).map(|key| flow(30, key)).collect();
    store.save_evidence(&[], &[], &again, &[]).unwrap();
    assert!(store.usage().unwrap().used_bytes <= full.used_bytes + 8_192);
    assert!(std::fs::metadata(&path).unwrap().len() <= size + 8_192);
    assert_eq!(store.prune_flows(u32::MAX, u32::MAX).unwrap(), 5_000);
    assert_eq!(store.usage().unwrap().oldest_hour, None);
    assert_eq!(store.in_force().unwrap().unwrap().version.content, version);
    assert_eq!((store.audit(None).unwrap().len(), store.check_audit().unwrap()), (3, None));
}
