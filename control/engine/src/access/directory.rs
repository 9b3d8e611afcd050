//! Users and secrets in memory, as the store has them.

use std::collections::BTreeMap;

use loadlock_api::{BackendError, Credential, CredentialKind, Identity, Role, Time, User};
use loadlock_store::{Account, AccountChange, Secret};

use super::failures::Failures;
use super::{conflict, secret};

/// Most users.
const USERS_MAX: usize = 1_000;
/// Most tokens of a user.
const TOKENS_MAX: usize = 64;
/// Most sessions of a user; the oldest ends when one more is opened.
const SESSIONS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 80;

/// What is known of users.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    users: BTreeMap<String, Account>,
    secrets: BTreeMap<u64, Secret>,
}

/// Says what is wrong with a name: it stands in logs, paths and terminals.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte))
        && name.bytes().next().is_some_and(is_plain);
    if is_good {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(format!(
        "{shown:?} is no user name; allowed are 1 to {NAME_BYTES_MAX} of a-z, 0-9, . _ and -, the first a letter or digit"
    ))
}

/// Says what is wrong with a token's label.
pub(super) fn check_label(label: &str) -> Result<(), String> {
    let is_clean = loadlock_api::printable(label) == label;
    if is_clean && label.chars().count() <= LABEL_CHARS_MAX {
        return Ok(());
    }
    let shown: String = label.chars().take(40).collect();
    Err(format!(
        "the label {shown:?} isn't allowed; allowed are up to {LABEL_CHARS_MAX} characters without hidden ones"
    ))
}

/// A user's role; `None` if the store has a word that is none.
pub(super) fn role_of(account: &Account) -> Option<Role> {
    Role::from_name(&account.role)
}

fn is_good(secret: &Secret, now_ns: u64) -> bool {
    now_ns < secret.expires_ns
}

impl Directory {
    pub(super) fn new(accounts: Vec<Account>, secrets: Vec<Secret>) -> Self {
        Self {
            users: accounts.into_iter().map(|user| (user.name.clone(), user)).collect(),
            secrets: secrets.into_iter().map(|secret| (secret.id, secret)).collect(),
        }
    }

    /// The same steps as the store's; `issued` is the number of a secret that is added.
    pub(super) fn apply(&mut self, changes: &[AccountChange], issued: u64) {
        for change in changes {
            match change {
                AccountChange::Put(account) => {
                    self.users.insert(account.name.clone(), account.clone());
                }
                AccountChange::Remove(name) => {
                    self.users.remove(name);
                    self.secrets.retain(|_, secret| secret.account != *name);
                }
                AccountChange::Issue(secret) => {
                    self.secrets.insert(issued, Secret { id: issued, ..secret.clone() });
                }
                AccountChange::Revoke(id) => {
                    self.secrets.remove(id);
                }
                AccountChange::RevokeAll(name) => {
                    self.secrets.retain(|_, secret| secret.account != *name);
                }
            }
        }
    }

    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.users.get(name)
    }

    pub(super) fn known(&self, name: &str) -> Result<&Account, BackendError> {
        self.account(name).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            conflict(format!("there is no user {shown:?}"), "`loadlock user list` has them")
        })
    }

    /// Who shows this secret: the user, with the lower of its role and the secret's.
    pub(super) fn identity(&self, text: &str, now_ns: u64) -> Option<Identity> {
        let (id, random) = secret::parts(text)?;
        let found = self.secrets.get(&id)?;
        if !secret::is_same(random, &found.sha256) || !is_good(found, now_ns) {
            return None;
        }
        let account = self.account(&found.account).filter(|account| account.is_enabled)?;
        let role = role_of(account)?.min(Role::from_name(&found.role)?);
        Some(Identity { user: account.name.clone(), role })
    }

    /// True if what is shown is a token, not a session.
    pub(super) fn is_token(&self, text: Option<&str>) -> bool {
        let id = text.and_then(secret::parts).map(|(id, _)| id);
        let shown = id.and_then(|id| self.secrets.get(&id));
        shown.is_some_and(|secret| secret.kind == CredentialKind::Token.name())
    }

    fn can_log_in_as_admin(account: &Account) -> bool {
        account.is_enabled && !account.password.is_empty() && role_of(account) == Some(Role::Admin)
    }

    /// How many can log in as admin.
    pub(super) fn admins(&self) -> usize {
        self.users.values().filter(|account| Self::can_log_in_as_admin(account)).count()
    }

    pub(super) fn is_last_admin(&self, name: &str) -> bool {
        self.account(name).is_some_and(Self::can_log_in_as_admin) && self.admins() == 1
    }

    /// Secrets of a user that are good.
    pub(super) fn of(
        &self,
        name: &str,
        kind: CredentialKind,
        now_ns: u64,
    ) -> impl Iterator<Item = &Secret> {
        let secrets = self.secrets.values();
        secrets.filter(move |secret| {
            secret.account == name && secret.kind == kind.name() && is_good(secret, now_ns)
        })
    }

    pub(super) fn credential(&self, kind: CredentialKind, id: u64, now_ns: u64) -> Option<&Secret> {
        let found = self.secrets.get(&id);
        found.filter(|secret| secret.kind == kind.name() && is_good(secret, now_ns))
    }

    pub(super) fn expired(&self, now_ns: u64) -> impl Iterator<Item = u64> {
        let over = self.secrets.values().filter(move |secret| !is_good(secret, now_ns));
        over.map(|secret| secret.id)
    }

    /// Makes room for one more session.
    pub(super) fn surplus_sessions(&self, name: &str) -> Vec<AccountChange> {
        let of_user = self.of(name, CredentialKind::Session, 0).map(|session| session.id);
        let ids: Vec<u64> = of_user.collect();
        let surplus = (ids.len() + 1).saturating_sub(SESSIONS_MAX);
        ids.into_iter().take(surplus).map(AccountChange::Revoke).collect()
    }

    pub(super) fn check_room(&self) -> Result<(), BackendError> {
        if self.users.len() < USERS_MAX {
            return Ok(());
        }
        let reason = format!("there are {USERS_MAX} users, as many as there may be");
        Err(conflict(reason, "remove some: `loadlock user list` has them"))
    }

    pub(super) fn check_room_for_token(&self, name: &str, now_ns: u64) -> Result<(), BackendError> {
        if self.of(name, CredentialKind::Token, now_ns).count() < TOKENS_MAX {
            return Ok(());
        }
        let reason = format!("{name} has {TOKENS_MAX} tokens, as many as there may be");
        Err(conflict(reason, "revoke some: `loadlock token list` has them"))
    }

    /// Users as the API shows them, by name.
    pub(super) fn users(&self, now_ns: u64, failures: &Failures) -> impl Iterator<Item = User> {
        self.users.values().map(move |account| {
            let count = |kind| self.of(&account.name, kind, now_ns).count() as u32;
            let is_locked = failures.is_locked(&account.name, now_ns);
            User {
                name: account.name.clone(),
                // A word in the store that is no role allows nothing, which is less than this shows.
                role: role_of(account).unwrap_or(Role::Viewer),
                enabled: account.is_enabled,
                has_password: !account.password.is_empty(),
                locked: is_locked && !self.is_last_admin(&account.name),
                created: Time::from_ns(account.created_ns),
                tokens: count(CredentialKind::Token),
                sessions: count(CredentialKind::Session),
            }
        })
    }

    /// Tokens or sessions that are good, of one user or of all, by number.
    pub(super) fn credentials(
        &self,
        kind: CredentialKind,
        owner: Option<&str>,
        now_ns: u64,
    ) -> impl Iterator<Item = Credential> {
        let of_kind = self.secrets.values().filter(move |secret| secret.kind == kind.name());
        let good = of_kind.filter(move |secret| is_good(secret, now_ns));
        let wanted = good.filter(move |secret| owner.is_none_or(|owner| owner == secret.account));
        wanted.map(|secret| Credential {
            id: secret.id,
            user: secret.account.clone(),
            role: Role::from_name(&secret.role).unwrap_or(Role::Viewer),
            label: secret.label.clone(),
            created: Time::from_ns(secret.created_ns),
            expires: Time::from_ns(secret.expires_ns),
        })
    }
}
