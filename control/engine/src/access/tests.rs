//! Users over a real store, with a clock of the test's own.

use std::sync::atomic::{AtomicU64, Ordering};

use loadlock_api::LOGIN_FAILURES_MAX;

use super::*;
use crate::storage::Storage;

const START_NS: u64 = 1_800_000_000 * NS;
const RIGHT: &str = "correct horse battery";

struct Bench {
    folder: tempfile::TempDir,
    wall: Arc<AtomicU64>,
    storage: Option<Storage>,
    access: Arc<Access>,
}

fn open(folder: &tempfile::TempDir, wall: &Arc<AtomicU64>) -> (Storage, Arc<Access>) {
    let storage = Storage::open(&folder.path().join("store.db")).unwrap();
    let wall = wall.clone();
    let access = Access::open(storage.handle(), move || wall.load(Ordering::Relaxed)).unwrap();
    (storage, Arc::new(access))
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wall = Arc::new(AtomicU64::new(START_NS));
        let (storage, access) = open(&folder, &wall);
        Self { folder, wall, storage: Some(storage), access }
    }

    fn restart(&mut self) {
        self.storage = None;
        let (storage, access) = open(&self.folder, &self.wall);
        (self.storage, self.access) = (Some(storage), access);
    }

    fn log(&self) -> Vec<String> {
        let entries = self.access.store.with(|store| store.audit(None)).unwrap();
        entries.into_iter().map(|entry| format!("{}: {}", entry.actor, entry.note)).collect()
    }

    fn add(&self, name: &str, role: Role) {
        let new = NewUser { name: name.to_owned(), role, password: Some(RIGHT.to_owned()) };
        self.access.answer(AccountRequest::AddUser(new), &root()).map(drop).unwrap();
    }

    fn try_login(&self, name: &str, password: &str) -> Result<Actor, BackendError> {
        let body = Login { user: name.to_owned(), password: password.to_owned() };
        let from = "192.0.2.7".to_owned();
        match self.access.answer(AccountRequest::Login { body, from }, &root())? {
            AccountAnswer::Issued(issued) => {
                Ok(Actor { name: issued.user, role: issued.role, secret: Some(issued.secret) })
            }
            _ => panic!("a log-in gives a session"),
        }
    }

    fn login(&self, name: &str) -> Actor {
        self.try_login(name, RIGHT).unwrap()
    }

    fn token(&self, actor: &Actor, new: NewToken) -> Result<Issued, BackendError> {
        match self.access.answer(AccountRequest::IssueToken(new), actor)? {
            AccountAnswer::Issued(issued) => Ok(issued),
            _ => panic!("a token is issued"),
        }
    }

    fn change(&self, actor: &Actor, name: &str, change: UserChange) -> Result<(), BackendError> {
        let request = AccountRequest::ChangeUser(name.to_owned(), change);
        self.access.answer(request, actor).map(drop)
    }

    fn is_good(&self, actor: &Actor) -> bool {
        self.access.authenticate(actor.secret.as_deref().unwrap()).is_some()
    }
}

fn root() -> Actor {
    Actor { name: "root".to_owned(), role: Role::Admin, secret: None }
}

fn token(user: Option<&str>, role: Option<Role>, expires_in_s: u64) -> NewToken {
    NewToken { user: user.map(str::to_owned), role, label: "grafana".to_owned(), expires_in_s }
}

fn disabled() -> UserChange {
    UserChange { enabled: Some(false), ..UserChange::default() }
}

#[test]
fn a_user_logs_in_and_out_and_everything_is_in_the_log() {
    let mut bench = Bench::new();
    bench.add("alice", Role::Operator);
    let alice = bench.login("alice");
    assert_eq!(alice.role, Role::Operator);
    let identity = bench.access.authenticate(alice.secret.as_deref().unwrap()).unwrap();
    assert_eq!(identity, Identity { user: "alice".to_owned(), role: Role::Operator });
    bench.restart();
    assert!(bench.is_good(&alice), "a session outlives a restart of control");
    bench.access.answer(AccountRequest::Logout, &alice).map(drop).unwrap();
    assert!(!bench.is_good(&alice));
    bench.restart();
    assert!(!bench.is_good(&alice), "what is revoked stays so");
    let wanted = [
        "root: user alice added as operator",
        "alice: user alice logged in from 192.0.2.7",
        "alice: user alice logged out",
    ];
    assert_eq!(bench.log(), wanted);
    let bytes = std::fs::read(bench.folder.path().join("store.db")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains(RIGHT) && !text.contains(&alice.secret.unwrap()[12..]));
}

#[test]
fn failures_lock_a_user_for_a_time_and_never_the_last_admin() {
    let bench = Bench::new();
    bench.add("alice", Role::Admin);
    bench.add("bob", Role::Viewer);
    for _ in 0..LOGIN_FAILURES_MAX {
        for name in ["alice", "bob", "nobody", "\u{1b}[2J", ""] {
            assert_eq!(bench.try_login(name, "wrong").unwrap_err(), BackendError::WrongLogin);
        }
    }
    assert_eq!(bench.try_login("bob", RIGHT).unwrap_err(), BackendError::WrongLogin, "locked");
    assert!(bench.try_login("alice", RIGHT).is_ok(), "the last admin is never locked");
    bench.access.store.with(|_| Ok(())).unwrap();
    assert_eq!(bench.log().iter().filter(|line| line.contains("locked")).count(), 1);
    // The clock also goes by itself meanwhile.
    bench.wall.fetch_add((loadlock_api::LOCK_S + 600) * NS, Ordering::Relaxed);
    assert!(bench.try_login("bob", RIGHT).is_ok(), "the lock ends by itself");
}

#[test]
fn what_is_wrong_costs_the_same_whoever_is_named() {
    let bench = Bench::new();
    bench.add("alice", Role::Viewer);
    bench.add("dora", Role::Viewer);
    bench.change(&root(), "dora", disabled()).unwrap();
    let time = |name: &str, password: &str| {
        let times = (0..5).map(|_| {
            let started = std::time::Instant::now();
            assert_eq!(bench.try_login(name, password).unwrap_err(), BackendError::WrongLogin);
            started.elapsed().as_secs_f64()
        });
        times.fold(f64::MAX, f64::min)
    };
    let long = "x".repeat(1 << 20);
    for (name, password) in
        [("nobody", "wrong"), ("dora", RIGHT), ("alice", &long), ("alice", RIGHT)]
    {
        // What differs by the password differs each time; what other programs cost doesn't.
        let same = (0..5).any(|_| {
            let (known, other) = (time("alice", "wrong password"), time(name, password));
            (0.2..5.0).contains(&(other / known))
        });
        assert!(same, "{name} takes another time than a wrong password");
    }
}

#[test]
fn a_token_does_no_more_than_its_user_and_makes_no_tokens() {
    let bench = Bench::new();
    bench.add("alice", Role::Approver);
    let alice = bench.login("alice");
    let refused = bench.token(&alice, token(None, Some(Role::Admin), 60)).err().unwrap();
    assert!(matches!(refused, BackendError::Forbidden { .. }), "{refused}");
    let issued = bench.token(&alice, token(None, Some(Role::Operator), 60)).unwrap();
    assert_eq!((issued.user.as_str(), issued.role), ("alice", Role::Operator));
    let by_token =
        Actor { name: issued.user, role: issued.role, secret: Some(issued.secret.clone()) };
    let refused = bench.token(&by_token, token(None, None, 60)).err().unwrap();
    assert!(matches!(refused, BackendError::Forbidden { .. }), "{refused}");
    let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    bench.change(&root(), "alice", change).unwrap();
    let role = |secret: &str| bench.access.authenticate(secret).map(|identity| identity.role);
    assert_eq!(role(&issued.secret), Some(Role::Viewer), "a lower role holds at once");
    bench.change(&root(), "alice", disabled()).unwrap();
    assert_eq!(role(&issued.secret), None);
    for label in ["\u{1b}[2J", &"x".repeat(81)] {
        let new = NewToken { label: label.to_owned(), ..token(Some("alice"), None, 60) };
        assert!(matches!(bench.token(&root(), new), Err(BackendError::Invalid { .. })));
    }
    for expires_in_s in [0, TOKEN_S_MAX + 1] {
        let new = token(Some("alice"), None, expires_in_s);
        assert!(matches!(bench.token(&root(), new), Err(BackendError::Invalid { .. })));
    }
}

#[test]
fn an_expired_token_stays_so_when_the_clock_is_set_back() {
    let mut bench = Bench::new();
    bench.add("alice", Role::Viewer);
    let secret = bench.token(&root(), token(Some("alice"), None, 3_600)).unwrap().secret;
    let is_good = |bench: &Bench| bench.access.authenticate(&secret).is_some();
    assert!(is_good(&bench));
    bench.wall.fetch_sub(86_400 * NS, Ordering::Relaxed);
    assert!(is_good(&bench), "set back, the clock goes on from where it was");
    bench.wall.fetch_add((86_400 + 4_200) * NS, Ordering::Relaxed);
    assert!(!is_good(&bench));
    bench.wall.fetch_sub(3_600 * NS, Ordering::Relaxed);
    assert!(!is_good(&bench), "expired stays expired");
    // Any change writes the time down, and takes out what is over.
    bench.add("bob", Role::Viewer);
    bench.restart();
    assert!(!is_good(&bench));
}

#[test]
fn a_secret_is_whole_or_nothing() {
    let bench = Bench::new();
    bench.add("alice", Role::Admin);
    let good = bench.login("alice").secret.unwrap();
    let (head, random) = good.rsplit_once('_').unwrap();
    let flipped = if random.starts_with('0') { "1" } else { "0" };
    for wrong in [
        String::new(),
        head.to_owned(),
        format!("{head}_"),
        format!("{head}_{flipped}{}", &random[1..]),
        format!("{head}_{}", random.to_uppercase().replace(char::is_numeric, "0")),
        format!("loadlock_2_{random}"),
        format!("loadlock_99999999999999999999_{random}"),
        format!("{good} "),
        format!("{good}0"),
    ] {
        assert!(bench.access.authenticate(&wrong).is_none(), "{wrong}");
    }
    assert!(bench.access.authenticate(&good).is_some());
}

#[test]
fn two_admins_that_remove_each_other_leave_one() {
    for _ in 0..3 {
        let bench = Bench::new();
        bench.add("alice", Role::Admin);
        bench.add("bob", Role::Admin);
        let (alice, bob) = (bench.login("alice"), bench.login("bob"));
        let access = &bench.access;
        let remove = |actor: &Actor, name: &str| {
            access.answer(AccountRequest::RemoveUser(name.to_owned()), actor).is_ok()
        };
        let done = std::thread::scope(|scope| {
            let one = scope.spawn(|| remove(&alice, "bob"));
            let other = scope.spawn(|| remove(&bob, "alice"));
            [one.join().unwrap(), other.join().unwrap()]
        });
        assert!(done[0] ^ done[1], "{done:?}");
        assert_eq!(bench.access.directory().admins(), 1);
    }
}

#[test]
fn the_last_admin_can_be_neither_removed_nor_disabled_nor_demoted() {
    let bench = Bench::new();
    bench.add("alice", Role::Admin);
    bench.add("bob", Role::Operator);
    let demoted = UserChange { role: Some(Role::Approver), ..UserChange::default() };
    for change in [disabled(), demoted] {
        let refused = bench.change(&root(), "alice", change).unwrap_err();
        assert!(matches!(refused, BackendError::Conflict { .. }), "{refused}");
    }
    let remove = || bench.access.answer(AccountRequest::RemoveUser("alice".to_owned()), &root());
    assert!(remove().is_err());
    let raised = UserChange { role: Some(Role::Admin), ..UserChange::default() };
    bench.change(&root(), "bob", raised).unwrap();
    assert!(remove().is_ok());
}

#[test]
fn an_operator_manages_nobody_and_sees_its_own_only() {
    let bench = Bench::new();
    bench.add("alice", Role::Admin);
    bench.add("bob", Role::Operator);
    let (alice, bob) = (bench.login("alice"), bench.login("bob"));
    let ask = |request, actor: &Actor| bench.access.answer(request, actor);
    assert!(
        bench
            .change(&bob, "bob", UserChange { role: Some(Role::Admin), ..UserChange::default() })
            .is_err()
    );
    assert!(bench.token(&bob, token(Some("alice"), None, 60)).is_err());
    let sessions =
        |actor: &Actor| match ask(AccountRequest::Credentials(CredentialKind::Session), actor) {
            Ok(AccountAnswer::Credentials(listing)) => {
                listing.items.into_iter().map(|one| one.user).collect::<Vec<_>>()
            }
            _ => panic!(),
        };
    assert_eq!(sessions(&bob), ["bob"]);
    assert_eq!(sessions(&alice), ["alice", "bob"]);
    assert!(ask(AccountRequest::Revoke(CredentialKind::Session, 1), &bob).is_err(), "another's");
    assert!(ask(AccountRequest::Revoke(CredentialKind::Token, 2), &bob).is_err(), "no token");
    assert!(ask(AccountRequest::Revoke(CredentialKind::Session, 2), &alice).is_ok());
    assert!(!bench.is_good(&bob) && bench.is_good(&alice));
}

#[test]
fn a_new_password_ends_other_sessions_and_the_old_one_is_needed() {
    let bench = Bench::new();
    bench.add("alice", Role::Viewer);
    let (own, other) = (bench.login("alice"), bench.login("alice"));
    let change = |old: &str, new: &str| {
        let change = PasswordChange { old: old.to_owned(), new: new.to_owned() };
        bench.access.answer(AccountRequest::ChangePassword(change), &own).map(drop)
    };
    assert_eq!(change("wrong", "another long one"), Err(BackendError::WrongLogin));
    for new in ["short", "alice alice alice", &"x".repeat(300)] {
        assert!(matches!(change(RIGHT, new), Err(BackendError::Invalid { .. })), "{new}");
    }
    change(RIGHT, "another long one").unwrap();
    assert!(bench.is_good(&own) && !bench.is_good(&other));
    assert!(bench.try_login("alice", RIGHT).is_err());
    assert!(bench.try_login("alice", "another long one").is_ok());
}

#[test]
fn names_that_could_deceive_are_refused() {
    let bench = Bench::new();
    let long = "x".repeat(33);
    for name in ["", "Alice", "a b", "a\n", "\u{1b}[2J", "..", "../x", "-x", "a/b", "аlice", &long]
    {
        let new = NewUser { name: name.to_owned(), role: Role::Viewer, password: None };
        let refused = bench.access.answer(AccountRequest::AddUser(new), &root()).err().unwrap();
        assert!(matches!(refused, BackendError::Invalid { .. }), "{name}");
        assert!(!refused.to_string().contains(['\u{1b}', '\n']), "{refused}");
    }
    bench.add("alice", Role::Viewer);
    let new = NewUser { name: "alice".to_owned(), role: Role::Admin, password: None };
    assert!(bench.access.answer(AccountRequest::AddUser(new), &root()).is_err(), "no second alice");
}

#[test]
fn sessions_and_tokens_have_limits() {
    let bench = Bench::new();
    bench.add("alice", Role::Viewer);
    let sessions: Vec<Actor> = (0..17).map(|_| bench.login("alice")).collect();
    assert!(!bench.is_good(&sessions[0]) && sessions[1..].iter().all(|one| bench.is_good(one)));
    let issue = || bench.token(&sessions[16], token(None, None, 60));
    assert!((0..64).all(|_| issue().is_ok()));
    assert!(matches!(issue().err(), Some(BackendError::Conflict { .. })));
}
