//! What goes, what stays, and what is said, with the clock in hand.

use loadlock_store::{FlowRow, NewVersion, SegmentMode};
use tempfile::tempdir;

use super::*;

fn version(rules: usize) -> NewVersion {
    NewVersion {
        created_ns: 1,
        author: "ada".to_owned(),
        reason: "test".to_owned(),
        ticket: String::new(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "enforce".to_owned() }],
        source: String::new(),
        rules: "r".repeat(rules),
    }
}

/// A store with records of the hours 100 to 199, a thousand each: about 10 MiB.
fn filled(folder: &std::path::Path) -> Store {
    let mut store = Store::open(&folder.join("store.db")).unwrap();
    store.append_applied(&version(10)).unwrap();
    let of_hour = |hour| {
        (0..1_000u32).map(move |key| FlowRow {
            hour,
            key: key.to_be_bytes().repeat(15),
            value: vec![7; 12],
        })
    };
    let rows: Vec<FlowRow> = (100..200).flat_map(of_hour).collect();
    store.save_evidence(&[], &[], &rows, &[]).unwrap();
    store
}

const ALL: u64 = 1 << 40;

fn limits(from_hour: u32, bytes: u64) -> Limits {
    Limits { now_hour: 199, from_hour, bytes, rows_max: STEP_ROWS }
}

/// Steps until there is nothing more to do; how many, and the last.
fn settle(store: &mut Store, limits: Limits) -> (u32, Step) {
    for count in 1..1_000 {
        let done = step(store, limits).unwrap();
        if !done.is_more {
            return (count, done);
        }
    }
    panic!("it doesn't end");
}

#[test]
fn what_is_too_old_goes_in_bounded_steps() {
    let folder = tempdir().unwrap();
    let mut store = filled(folder.path());
    let quiet = step(&mut store, limits(100, ALL)).unwrap();
    assert_eq!(
        (quiet.is_more, quiet.shortened_until, quiet.usage.oldest_hour),
        (false, None, Some(100))
    );
    let first = step(&mut store, limits(120, ALL)).unwrap();
    assert_eq!((first.is_more, first.usage.oldest_hour), (true, Some(105)), "one step, the oldest");
    let (count, last) = settle(&mut store, limits(120, ALL));
    assert_eq!((count, last.usage.oldest_hour, last.shortened_until), (3, Some(120), None));
}

#[test]
fn at_the_cap_the_oldest_go_and_it_is_said() {
    let folder = tempdir().unwrap();
    let mut store = filled(folder.path());
    let full = store.usage().unwrap().used_bytes;
    let (_, last) = settle(&mut store, limits(100, full / 2));
    assert!(last.usage.used_bytes <= full / 2 && last.usage.used_bytes > full / 3, "{last:?}");
    let until = last.shortened_until.unwrap();
    assert_eq!(last.usage.oldest_hour.unwrap().abs_diff(until), 0, "whole hours in the end");
    assert!((140..160).contains(&until), "{until}");
    assert_eq!((store.versions().unwrap().len(), store.audit(None).unwrap().len()), (1, 3));
}

#[test]
fn a_cap_below_what_must_stay_takes_no_version_and_leaves_the_hour_that_runs() {
    let folder = tempdir().unwrap();
    let mut store = filled(folder.path());
    let large = store.append_applied(&version(3 << 20)).unwrap();
    let (_, last) = settle(&mut store, limits(100, 1 << 20));
    assert_eq!(last.usage.oldest_hour, Some(199));
    assert!(last.usage.used_bytes > 3 << 20);
    assert_eq!(store.flows_of(199).unwrap().len(), 1_000);
    assert_eq!(store.in_force().unwrap().unwrap().version.number, large);
    assert_eq!(store.check_audit().unwrap(), None);
    let (again, _) = settle(&mut store, limits(100, 1 << 20));
    assert_eq!(again, 1, "and doesn't try without end");
}
