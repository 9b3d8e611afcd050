//! Proposals, approvals, confirmation and rollback; and what becomes of a store that was damaged.

use std::fs;
use std::path::{Path, PathBuf};

use loadlock_store::{
    Action, AuditExamined, AuditFilter, EvidenceRow, NewBypass, NewVersion, SegmentMode, Store,
    StoreError, VersionNumber, VersionState, open,
};
use tempfile::tempdir;

const NOW: u64 = 1_700_000_000_000_000_000;
const MINUTE: u64 = 60_000_000_000;

fn version(rules: &str) -> NewVersion {
    NewVersion {
        created_ns: NOW,
        author: "anna".to_owned(),
        reason: "test".to_owned(),
        ticket: "CHG-1".to_owned(),
        modes: vec![SegmentMode { segment: "fab".to_owned(), mode: "enforce".to_owned() }],
        source: format!("# {rules}\n"),
        rules: rules.to_owned(),
    }
}

fn numbered(number: u64) -> VersionNumber {
    VersionNumber(number)
}

/// Version 1 in force, version 2 approved.
fn prepared(path: &Path) -> Store {
    let mut store = Store::open(path).unwrap();
    store.append_version(&version("one")).unwrap();
    let two = store.propose(&version("two")).unwrap();
    store.approve(two, NOW, "bert", "fine").unwrap();
    store
}

fn rules_in_force(store: &Store) -> String {
    store.in_force().unwrap().unwrap().version.content.rules
}

#[test]
fn a_version_goes_from_proposal_to_force_and_back() {
    let folder = tempdir().unwrap();
    let mut store = prepared(&folder.path().join("store.db"));
    assert_eq!(rules_in_force(&store), "one");
    store.apply(numbered(2), NOW, "anna", "", 10 * MINUTE).unwrap();
    let in_force = store.in_force().unwrap().unwrap();
    let pending = in_force.pending.unwrap();
    assert_eq!((in_force.version.number, pending.fallback), (numbered(2), numbered(1)));
    assert_eq!(pending.within_ns, 10 * MINUTE);
    store.confirm(numbered(2), NOW + MINUTE, "anna", "").unwrap();
    assert_eq!(store.in_force().unwrap().unwrap().pending, None);
    assert_eq!(store.before_last_person().unwrap(), Some(numbered(1)));
    let three = store.roll_back(numbered(1), NOW, "anna", "back").unwrap();
    assert_eq!((three, rules_in_force(&store).as_str()), (numbered(3), "one"));
    let states: Vec<_> = store.versions().unwrap().into_iter().map(|one| one.state).collect();
    assert_eq!(states, [VersionState::Superseded, VersionState::Superseded, VersionState::InForce]);
    let actions: Vec<_> = store.audit(Some(numbered(2))).unwrap();
    let actions: Vec<_> = actions.iter().map(|entry| entry.action).collect();
    use Action::{Applied, Approved, Confirmed, Proposed, Reverted};
    assert_eq!(actions, [Proposed, Approved, Applied, Confirmed, Reverted]);
    assert_eq!(store.check_audit().unwrap(), None);
    assert_eq!(store.copy_trouble(), None);
}

#[test]
fn a_step_that_its_state_does_not_allow_is_refused() {
    let folder = tempdir().unwrap();
    let mut store = prepared(&folder.path().join("store.db"));
    let three = store.propose(&version("three")).unwrap();
    let error = store.apply(three, NOW, "anna", "", 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy version 3 is proposed, and can't be applied: for that it must be approved"
    );
    store.reject(three, NOW, "bert", "no").unwrap();
    assert!(matches!(store.approve(three, NOW, "anna", ""), Err(StoreError::WrongState { .. })));
    assert!(store.confirm(numbered(2), NOW, "anna", "").is_err());
    assert!(matches!(
        store.approve(numbered(9), NOW, "anna", ""),
        Err(StoreError::NoVersion { .. })
    ));
    assert_eq!(rules_in_force(&store), "one");
}

fn tamper(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_changed_log_is_told_and_a_forged_version_is_not_enforced() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(prepared(&path));
    tamper(&path, "UPDATE audit SET actor = 'carl' WHERE number = 3");
    let store = Store::open(&path).unwrap();
    let broken = store.check_audit().unwrap().unwrap();
    assert_eq!(broken, "entry 3 of the audit log is damaged");
    let examined = store.examine_audit().unwrap();
    assert_eq!((examined.whole, examined.broken.unwrap().0), (2, 3));
    let page = store.audit_page(&AuditFilter { limit: 9, ..AuditFilter::default() }).unwrap();
    assert_eq!((page.entries.len() as u64 + 1, page.damaged), (page.total, 1));
    drop(store);
    // An approval that was taken out breaks the chain.
    tamper(&path, "DELETE FROM audit WHERE number = 2");
    let broken = Store::open(&path).unwrap().check_audit().unwrap();
    assert!(broken.is_some());
    let opened = open(&path, NOW).unwrap();
    assert!(opened.alarms[0].contains("auditor"), "{:?}", opened.alarms);
}

#[test]
fn a_long_log_is_checked_in_parts_and_a_break_between_two_is_found() {
    // In memory where there is some: each entry waits for its disk.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempdir() }.unwrap();
    let path = folder.path().join("store.db");
    let mut store = prepared(&path);
    let before = store.examine_audit().unwrap().whole;
    for number in before..2_300 {
        store.record_action(Action::Captured, NOW, "anna", &number.to_string()).unwrap();
    }
    let mut examined = AuditExamined::default();
    let mut parts = 1;
    while store.examine_more_audit(&mut examined).unwrap() {
        parts += 1;
    }
    assert_eq!((examined.whole, examined.broken.take(), parts), (2_300, None, 3));
    assert_eq!(examined, store.examine_audit().unwrap());
    drop(store);
    for (sql, whole, broken) in [
        ("UPDATE audit SET note = 'x' WHERE number = 1700", 1_699, 1_700),
        ("DELETE FROM audit WHERE number = 1001", 1_000, 1_002),
        ("UPDATE audit SET number = -7 WHERE number = 900", 0, 1),
    ] {
        tamper(&path, sql);
        let examined = Store::open(&path).unwrap().examine_audit().unwrap();
        assert_eq!((examined.whole, examined.broken.unwrap().0), (whole, broken), "{sql}");
    }
}

#[test]
fn the_log_comes_in_pages_the_newest_first() {
    let folder = tempdir().unwrap();
    let store = prepared(&folder.path().join("store.db"));
    let all = store.audit(None).unwrap();
    let page = |filter: AuditFilter| {
        let page = store.audit_page(&AuditFilter { limit: 2, ..filter }).unwrap();
        assert_eq!(page.damaged, 0);
        (page.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), page.total)
    };
    let (count, any) = (all.len() as u64, AuditFilter::default());
    assert!(count >= 3, "{all:?}");
    assert_eq!(page(any.clone()), (vec![count, count - 1], count));
    assert_eq!(page(AuditFilter { before: Some(2), ..any.clone() }), (vec![1], 1));
    assert_eq!(page(AuditFilter { before: Some(0), ..any.clone() }), (vec![], 0));
    assert_eq!(page(AuditFilter { since_ns: u64::MAX, ..any.clone() }), (vec![], 0));
    assert_eq!(page(AuditFilter { actor: Some("' OR 1".to_owned()), ..any.clone() }), (vec![], 0));
    for action in Action::ALL {
        let fit: Vec<u64> = all
            .iter()
            .rev()
            .filter(|entry| entry.action == action)
            .map(|entry| entry.number)
            .collect();
        let (numbers, total) = page(AuditFilter { action: Some(action), ..any.clone() });
        assert_eq!((numbers.as_slice(), total), (&fit[..fit.len().min(2)], fit.len() as u64));
    }
    let examined = store.examine_audit().unwrap();
    assert_eq!((examined.whole, examined.broken), (count, None));
    assert_eq!(examined.last_sha256, all.last().unwrap().sha256);
}

/// A store as schema 1 left it.
fn first_schema(path: &Path) {
    let mut store = Store::open(path).unwrap();
    let mut old = version("one");
    old.ticket.clear();
    old.source.clear();
    store.append_version(&old).unwrap();
    store.append_version(&NewVersion { rules: "two".to_owned(), ..old }).unwrap();
    drop(store);
    fs::remove_file(path.with_extension("db.in-force")).unwrap();
    tamper(
        path,
        "DROP TABLE flow; DROP TABLE secret; DROP TABLE account; DROP TABLE audit; ALTER TABLE version DROP COLUMN ticket; ALTER TABLE version DROP COLUMN source; PRAGMA user_version = 1",
    );
}

#[test]
fn a_store_of_the_release_before_is_brought_up() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    first_schema(&path);
    let opened = open(&path, NOW).unwrap();
    assert_eq!(opened.alarms, [""; 0]);
    assert_eq!(rules_in_force(&opened.store), "two");
    assert_eq!(opened.store.audit(None).unwrap().len(), 2);
    assert_eq!(opened.store.check_audit().unwrap(), None);
}

/// Many versions and rows, version 7 in force; every call is acknowledged.
fn filled(path: &Path) {
    let mut store = prepared(path);
    let rows: Vec<EvidenceRow> =
        (0..200).map(|key| EvidenceRow { key: vec![key; 40], value: vec![key; 90] }).collect();
    store.save_evidence(&[], &rows, &[], &[]).unwrap();
    for number in 3..=7 {
        let new = store.propose(&version(&format!("rules {number} ").repeat(300))).unwrap();
        store.approve(new, NOW, "bert", "").unwrap();
        store.apply(new, NOW, "anna", "", 0).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| !path.to_string_lossy().ends_with(".lock")).collect()
}

/// What one flipped byte in one file led to.
fn after_flip(path: &Path, bytes: &[u8], at: usize, flip: u8) {
    for file in files(path.parent().unwrap()) {
        if file != path && !file.to_string_lossy().ends_with(".in-force") {
            fs::remove_file(file).unwrap();
        }
    }
    let mut bytes = bytes.to_vec();
    bytes[at] ^= flip;
    fs::write(path, &bytes).unwrap();
    let opened = open(path, NOW).unwrap_or_else(|error| panic!("byte {at}: {error}"));
    let version = opened.in_force.as_ref().unwrap().version.content.clone();
    assert_eq!(version.rules, "rules 7 ".repeat(300), "byte {at}");
    // The version is there again under another number: then something was damaged, and it is said.
    let moved = opened.in_force.unwrap().version.number != numbered(7);
    assert!(!moved || !opened.alarms.is_empty(), "byte {at}");
}

/// `LOADLOCK_FLIPS` bytes of each page; the campaign takes more.
#[test]
fn with_a_flipped_byte_on_any_page_the_last_approved_version_is_in_force() {
    const PAGE_BYTES: usize = 4096;
    let flips = std::env::var("LOADLOCK_FLIPS").map_or(3, |flips| flips.parse().unwrap());
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path);
    let (bytes, copy) = (fs::read(&path).unwrap(), fs::read(path.with_extension("db.in-force")));
    let copy = copy.unwrap();
    let mut checked = 0;
    for page in 0..bytes.len() / PAGE_BYTES {
        for flip in 0..flips {
            // Header, cell pointers and content of a page all have their turn.
            let at = page * PAGE_BYTES + [0, 5, 18, 60, 2000, 4080][flip % 6] + flip / 6;
            fs::write(path.with_extension("db.in-force"), &copy).unwrap();
            after_flip(&path, &bytes, at, 1 << (flip % 8));
            checked += 1;
        }
    }
    println!("{checked} flipped bytes on {} pages", bytes.len() / PAGE_BYTES);
}

#[test]
fn without_its_copy_a_damaged_store_gives_what_its_hashes_prove() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    filled(&path);
    fs::remove_file(path.with_extension("db.in-force")).unwrap();
    tamper(&path, "UPDATE version SET rules = 'all' WHERE number = 7");
    let opened = open(&path, NOW).unwrap();
    assert_eq!(opened.in_force.unwrap().version.number, numbered(6));
    assert!(opened.alarms[0].starts_with("policy version 7"), "{:?}", opened.alarms);
    drop(opened.store);
    tamper(&path, "UPDATE version SET rules = 'all'");
    fs::remove_file(path.with_extension("db.in-force")).unwrap();
    let before = fs::read(&path).unwrap();
    let error = open(&path, NOW).unwrap_err();
    assert!(error.to_string().contains("no policy version is whole"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_that_lost_its_last_step_is_told_and_mended_from_the_copy() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = prepared(&path);
    drop(store);
    let before = fs::read(&path).unwrap();
    let mut store = Store::open(&path).unwrap();
    store.apply(numbered(2), NOW, "anna", "", 0).unwrap();
    drop(store);
    fs::write(&path, before).unwrap();
    let opened = open(&path, NOW).unwrap();
    assert_eq!(rules_in_force(&opened.store), "two");
    assert!(opened.alarms[0].contains("has lost what came after"), "{:?}", opened.alarms);
}

#[test]
fn bypass_stands_in_the_chain_and_its_latest_entry_holds() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let bypass = |segment: &str, on, for_ns| NewBypass {
        segment: segment.to_owned(),
        on,
        time_ns: NOW,
        for_ns,
        actor: "anna".to_owned(),
        reason: "line 3: stands".to_owned(),
    };
    let mut store = prepared(&path);
    let entries = [("fab", true, 0), ("bay", true, MINUTE), ("fab", false, 0), ("bay", true, 9)];
    for (segment, on, for_ns) in entries {
        store.record_bypass(&bypass(segment, on, for_ns)).unwrap();
    }
    store.record_bypass(&bypass("bay-2", true, 0)).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.bypasses().unwrap(), [bypass("bay", true, 9), bypass("bay-2", true, 0)]);
    assert_eq!(store.check_audit().unwrap(), None);
    assert_eq!(rules_in_force(&store), "one", "it changes no version");
    assert_eq!(store.state(numbered(1)).unwrap(), VersionState::InForce);
    drop(store);
    tamper(&path, "UPDATE audit SET note = 'bay: tampered' WHERE note LIKE 'bay-2%'");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.bypasses().unwrap(), [], "it may have ended what stands before it");
    assert!(store.check_audit().unwrap().is_some());
}
