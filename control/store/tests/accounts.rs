//! Users and secrets: whole changes, in the audit log, without the policy noticing.

use loadlock_store::{Account, AccountChange, Action, Secret, Store};

fn account(name: &str) -> Account {
    Account {
        name: name.to_owned(),
        role: "admin".to_owned(),
        password: "$argon2id$…".to_owned(),
        is_enabled: true,
        created_ns: 5,
    }
}

fn secret(account: &str, number: u8) -> Secret {
    Secret {
        id: 0,
        account: account.to_owned(),
        kind: "token".to_owned(),
        label: "grafana".to_owned(),
        role: "viewer".to_owned(),
        sha256: vec![number; 32],
        created_ns: 6,
        expires_ns: 7,
    }
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("store.db")).unwrap()
}

#[test]
fn users_and_secrets_come_back_and_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    let put = |name| AccountChange::Put(account(name));
    store.change_accounts(&[put("alice"), put("bob")], 10, "root", "added").unwrap();
    let issue = AccountChange::Issue(secret("alice", 1));
    assert_eq!(store.change_accounts(&[issue], 11, "alice", "token").unwrap(), 1);
    let issue = AccountChange::Issue(secret("bob", 2));
    assert_eq!(store.change_accounts(&[issue], 12, "bob", "token").unwrap(), 2);
    drop(store);

    let mut store = open(&folder);
    assert_eq!(store.accounts().unwrap(), [account("alice"), account("bob")]);
    assert_eq!(store.secrets().unwrap()[0], Secret { id: 1, ..secret("alice", 1) });
    let remove = AccountChange::Remove("alice".to_owned());
    store.change_accounts(&[remove], 13, "root", "removed").unwrap();
    assert_eq!(store.secrets().unwrap().len(), 1, "secrets go with their user");
    store.change_accounts(&[AccountChange::Revoke(2)], 14, "bob", "revoked").unwrap();
    let issue = AccountChange::Issue(secret("bob", 3));
    assert_eq!(store.change_accounts(&[issue], 15, "bob", "token").unwrap(), 3, "no number twice");
    let log = store.audit(None).unwrap();
    assert!(log.iter().all(|entry| entry.action == Action::Account && entry.version.0 == 0));
    assert_eq!(log.len(), 6);
    assert_eq!(store.check_audit().unwrap(), None);
    assert!(store.in_force().unwrap().is_none(), "users are no policy");
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder);
    let changes = [AccountChange::Put(account("alice")), AccountChange::Issue(secret("nobody", 1))];
    assert!(store.change_accounts(&changes, 10, "root", "added").is_err());
    assert!(store.accounts().unwrap().is_empty() && store.audit(None).unwrap().is_empty());
}

#[test]
fn a_store_of_schema_2_gets_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let connection = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
    connection
        .execute_batch(
            "DROP TABLE flow; DROP TABLE secret; DROP TABLE account; PRAGMA user_version=2;",
        )
        .unwrap();
    drop(connection);
    let mut store = open(&folder);
    store.change_accounts(&[AccountChange::Put(account("a"))], 1, "root", "added").unwrap();
}
