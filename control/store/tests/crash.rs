//! What a store is after its process died, or its disk refused, at any call that changes a file.
//!
//! A child process runs a fixed script (propose, approve, apply, confirm, roll back, save evidence, let old flow records go), and says on standard output what was
//! acknowledged. `fault/shim.c`, preloaded, kills it or fails at the Nth call. Then the store is opened as control opens it: in force
//! must be what was acknowledged last, or the step that was under way.
//!
//! `LOADLOCK_CRASH_POINTS=all` takes every call and every kind; the test takes a part. `scripts/crash-campaign` prints the figures.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use loadlock_store::{
    Action, Cursor, EvidenceRow, FlowRow, NewVersion, Opened, SegmentMode, Store, StoreError,
    VersionNumber, back_up, open, restore,
};
use tempfile::{TempDir, tempdir};

const NOW: u64 = 1_700_000_000_000_000_000;
const STORE: &str = "LOADLOCK_CRASH_STORE";
const BACKUP: &str = "LOADLOCK_CRASH_BACKUP";

fn version(number: u64) -> NewVersion {
    NewVersion {
        created_ns: NOW + number,
        author: "anna".to_owned(),
        reason: "test".to_owned(),
        ticket: "CHG-1".to_owned(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "enforce".to_owned() }],
        source: format!("# document {number}\n"),
        // Several pages, so that a version isn't written by one call.
        rules: format!("rules {number} ").repeat(1_500),
    }
}

/// One step of the script, and what is in force after it, by the number in its rules.
type Step = (&'static str, fn(&mut Store) -> Result<(), StoreError>);

fn newest(store: &Store) -> VersionNumber {
    store
        .versions()
        .map_or(VersionNumber(0), |all| all.last().map_or(VersionNumber(0), |one| one.number))
}

/// Ten flow records an hour.
fn flows(hours: std::ops::RangeInclusive<u32>) -> Vec<FlowRow> {
    let of_hour =
        |hour| (0..10).map(move |key| FlowRow { hour, key: vec![key; 30], value: vec![key; 8] });
    hours.flat_map(of_hour).collect()
}

/// The script; a name ends with what is in force after the step, as in `version`.
const SCRIPT: &[Step] = &[
    ("learn 1", |store| store.append_version(&version(1)).map(drop)),
    ("evidence 1", |store| {
        let rows: Vec<EvidenceRow> =
            (0..60).map(|key| EvidenceRow { key: vec![key; 40], value: vec![key; 200] }).collect();
        store.save_evidence(
            &[],
            &rows,
            &flows(1..=9),
            &[Cursor { instance: 1, worker: 0, position: 60 }],
        )
    }),
    ("propose 1", |store| store.propose(&version(2)).map(drop)),
    ("approve 1", |store| store.approve(newest(store), NOW, "bert", "fine")),
    ("apply 2", |store| store.apply(newest(store), NOW, "anna", "", 600_000_000_000)),
    ("confirm 2", |store| store.confirm(newest(store), NOW, "anna", "")),
    ("propose 2", |store| store.propose(&version(3)).map(drop)),
    ("approve 2", |store| store.approve(newest(store), NOW, "bert", "")),
    ("apply 3", |store| store.apply(newest(store), NOW, "anna", "", 0)),
    ("propose 3", |store| store.propose(&version(4)).map(drop)),
    ("reject 3", |store| store.reject(newest(store), NOW, "bert", "no")),
    ("evidence 3", |store| {
        store.save_evidence(
            &[vec![3; 40]],
            &[],
            &[],
            &[Cursor { instance: 1, worker: 0, position: 61 }],
        )
    }),
    ("prune 3", |store| store.prune_flows(7, 40).map(drop)),
    ("rollback 2", |store| store.roll_back(VersionNumber(2), NOW, "anna", "back").map(drop)),
    ("learn 5", |store| store.append_version(&version(5)).map(drop)),
    ("edit 6", |store| store.append_applied(&version(6)).map(drop)),
];

/// The child: runs the script, one line for each acknowledged step.
#[test]
#[ignore = "the child of scripts/crash-campaign; it isn't run by itself"]
fn child() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let mut out = std::io::stdout();
    if let Some(backup) = std::env::var_os(BACKUP) {
        let restored = restore(Path::new(&path), Path::new(&backup), "anna", NOW);
        let said =
            restored.map_or_else(|error| format!("refused: {error}"), |_| "done ".to_owned());
        writeln!(out, "{said}").unwrap();
        return;
    }
    let mut store = match open(Path::new(&path), NOW) {
        Ok(opened) => opened.store,
        Err(error) => {
            writeln!(out, "refused open: {error}").unwrap();
            return;
        }
    };
    for (name, step) in SCRIPT {
        match step(&mut store) {
            Ok(()) => writeln!(out, "done {name}").unwrap(),
            Err(error) => {
                writeln!(out, "refused {name}: {error}").unwrap();
                return;
            }
        }
        out.flush().unwrap();
    }
}

/// The compiled shim; `None`, with a printed reason, without a C compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fault/shim.c");
    let shim = folder.join("shim.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&shim)
        .arg(source)
        .args(["-ldl"])
        .status();
    match compiled {
        Ok(status) => {
            assert!(status.success(), "the shim doesn't compile");
            Some(shim)
        }
        Err(error) => {
            println!("skipped: there is no C compiler ({error})");
            None
        }
    }
}

/// Runs the child in a fresh folder; returns the folder and what it said.
fn run(shim: &Path, kind: &str, at: u64) -> (TempDir, Vec<String>, u64) {
    let folder = tempdir().unwrap();
    let (said, calls) = run_in(folder.path(), shim, kind, at, None);
    (folder, said, calls)
}

/// Runs the child in a folder: the script, or a restore of a backup.
fn run_in(
    folder: &Path,
    shim: &Path,
    kind: &str,
    at: u64,
    backup: Option<&Path>,
) -> (Vec<String>, u64) {
    let count = folder.join("count");
    let mut child = Command::new(std::env::current_exe().unwrap());
    if let Some(backup) = backup {
        child.env(BACKUP, backup);
    }
    let output = child
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads", "1"])
        .env(STORE, folder.join("store.db"))
        .env("LD_PRELOAD", shim)
        .env("FAULT_KIND", kind)
        .env("FAULT_AT", at.to_string())
        .env("FAULT_COUNT", &count)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().filter_map(|line| {
        // The harness writes the test's name before the first line.
        let at = line.find("done ").or_else(|| line.find("refused "))?;
        Some(line[at..].to_owned())
    });
    let calls = fs::read_to_string(&count).ok().and_then(|text| text.trim().parse().ok());
    (said.collect(), calls.unwrap_or(0))
}

/// What the rules in force say, 0 if nothing is in force.
fn in_force(content: Option<&NewVersion>) -> u64 {
    content.map_or(0, |content| content.rules.split(' ').nth(1).unwrap().parse().unwrap())
}

fn after(steps: usize) -> u64 {
    match steps.checked_sub(1) {
        None => 0,
        Some(last) => SCRIPT[last].0.split(' ').nth(1).unwrap().parse().unwrap(),
    }
}

/// Opens what a child left. A child that another test starts at this moment has this process's lock files open until it runs its own
/// program: that is waited for.
fn reopen(path: &Path) -> Result<Opened, StoreError> {
    for _ in 0..100 {
        match open(path, NOW) {
            Err(StoreError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
    open(path, NOW)
}

/// Opens what is left, and checks it against what was acknowledged. Returns whether the step under way took effect.
fn check(folder: &Path, said: &[String], place: &str) -> bool {
    let done = said.iter().filter(|line| line.starts_with("done ")).count();
    let opened =
        reopen(&folder.join("store.db")).unwrap_or_else(|error| panic!("{place}: {error}"));
    let content = opened.in_force.as_ref().map(|in_force| &in_force.version.content);
    let found = in_force(content);
    let next = (done + 1).min(SCRIPT.len());
    assert!(
        [after(done), after(next)].contains(&found),
        "{place}: {found} is in force after {said:?}"
    );
    if let Some(content) = content {
        // As the version was written, whole.
        assert_eq!(content.rules, version(found).rules, "{place}");
        assert_eq!(content.source, version(found).source, "{place}");
    }
    assert_eq!(opened.store.check_audit().unwrap(), None, "{place}");
    assert_eq!(opened.alarms, [""; 0], "{place}");
    // No acknowledged approval is lost, none is there that nobody began.
    let entries = opened.store.audit(None).unwrap();
    let approvals = entries.iter().filter(|entry| entry.action == Action::Approved).count();
    let of = |steps: usize| {
        let begun = SCRIPT[..steps].iter();
        begun
            .filter(|(name, _)| {
                ["approve", "rollback", "edit"].iter().any(|one| name.starts_with(one))
            })
            .count()
    };
    assert!(
        [of(done), of(next)].contains(&approvals),
        "{place}: {approvals} approvals after {said:?}"
    );
    let evidence = opened.store.load_evidence().unwrap().len();
    let rows = |steps: usize| match steps {
        0..=1 => 0,
        2..=11 => 60,
        _ => 59,
    };
    assert!(
        [rows(done), rows(next)].contains(&evidence),
        "{place}: {evidence} rows after {said:?}"
    );
    // Let go as a whole step or not at all, the oldest first, and nothing but flow records.
    let kept: Vec<FlowRow> =
        (1..=9).flat_map(|hour| opened.store.flows_of(hour).unwrap()).collect();
    let hours = |steps: usize| match steps {
        0..=1 => Vec::new(),
        2..=12 => flows(1..=9),
        _ => flows(5..=9),
    };
    assert!([hours(done), hours(next)].contains(&kept), "{place}: {} flow records", kept.len());
    found != after(done)
}

#[test]
fn after_a_crash_or_a_full_disk_at_any_call_the_last_approved_version_is_in_force() {
    let folder = tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    let (whole, said, calls) = run(&shim, "", 0);
    assert_eq!(said.len(), SCRIPT.len(), "{said:?}");
    check(whole.path(), &said, "whole");
    assert!(calls >= 50, "{calls} calls");
    let all = std::env::var("LOADLOCK_CRASH_POINTS").is_ok_and(|points| points == "all");
    let mut figures: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for (turn, kind) in ["kill", "torn", "EIO", "ENOSPC"].into_iter().enumerate() {
        let step = if all { 1 } else { 29 };
        let first = if all { 1 } else { 1 + turn as u64 * 3 };
        for at in (first..=calls).step_by(step) {
            let (left, said, _) = run(&shim, kind, at);
            let took_effect = check(left.path(), &said, &format!("{kind} at call {at}"));
            let (points, refused, ahead) = figures.entry(kind).or_default();
            *points += 1;
            *refused += u64::from(said.iter().any(|line| line.starts_with("refused ")));
            *ahead += u64::from(took_effect);
        }
    }
    let (slow, said, _) = run(&shim, "slow", 1);
    assert_eq!(said.len(), SCRIPT.len(), "a slow disk refuses nothing: {said:?}");
    check(slow.path(), &said, "slow");
    println!("{calls} calls of {} steps; lost or half: 0", SCRIPT.len());
    for (kind, (points, refused, ahead)) in figures {
        println!(
            "{kind:<7} {points:>5} points, {refused:>5} refusals told, {ahead:>4} unacknowledged steps that took effect whole"
        );
    }
}

#[test]
fn a_restore_that_dies_or_fails_at_any_call_leaves_the_store_before_or_after() {
    let folder = tempdir().unwrap();
    let Some(shim) = shim(folder.path()) else { return };
    let source = folder.path().join("source.db");
    let mut store = open(&source, NOW).unwrap().store;
    store.append_version(&version(1)).unwrap();
    let backup = folder.path().join("backup.db");
    back_up(&source, &backup).unwrap();
    let all = std::env::var("LOADLOCK_CRASH_POINTS").is_ok_and(|points| points == "all");
    let restore_at = |kind: &str, at: u64| {
        let left = tempdir().unwrap();
        let mut store = open(&left.path().join("store.db"), NOW).unwrap().store;
        store.append_version(&version(7)).unwrap();
        drop(store);
        let (said, calls) = run_in(left.path(), &shim, kind, at, Some(&backup));
        let opened = reopen(&left.path().join("store.db")).unwrap();
        let place = format!("{kind} at call {at}: {said:?}");
        let content = opened.in_force.as_ref().map(|in_force| &in_force.version.content);
        let found = in_force(content);
        let is_done = said.iter().any(|line| line.starts_with("done "));
        assert!(found == 1 || (found == 7 && !is_done), "{place}: {found} is in force");
        assert_eq!(content.unwrap().rules, version(found).rules, "{place}");
        assert_eq!(opened.store.check_audit().unwrap(), None, "{place}");
        assert_eq!(opened.alarms, [""; 0], "{place}");
        (calls, found)
    };
    let (calls, found) = restore_at("", 0);
    assert!(found == 1 && calls >= 10, "{calls} calls");
    let (mut before, mut after) = (0, 0);
    for (turn, kind) in ["kill", "torn", "EIO", "ENOSPC"].into_iter().enumerate() {
        let (first, step) = if all { (1, 1) } else { (1 + turn as u64, 7) };
        for at in (first..=calls).step_by(step) {
            match restore_at(kind, at).1 {
                7 => before += 1,
                _ => after += 1,
            }
        }
    }
    println!(
        "restore: {calls} calls; {before} times the store before, {after} times the backup; lost or half: 0"
    );
}
