//! Who may use the API: users, their passwords, tokens and sessions.
//!
//! ```text
//!   authenticate ──► directory (memory, a short lock)            every request; never waits for the disk
//!   a change ──► one at a time: asker checked again ─► planned ─► store, with its audit entry ─► directory
//! ```
//!
//! * Passwords are kept as Argon2id, secrets as SHA-256: they have 256 random bits, so there is nothing to guess.
//! * A log-in costs one Argon2 whoever is named, and fails with one message: neither time nor words tell who exists or is locked.
//! * One admin who can log in always remains, and is never locked. The Unix socket needs no user at all.
//! * Time never goes back here ([`clock::Clock`]): what has expired stays so when somebody sets the clock.
//!
//! Tested over a real store: lock-out, races, revoked and expired secrets, the clock (`tests.rs`).

mod clock;
mod directory;
mod failures;
mod password;
mod secret;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loadlock_api::{
    AccountAnswer, AccountRequest, Actor, BackendError, CredentialKind, Done, Identity, Issued,
    Listing, Login, NewToken, NewUser, PasswordChange, Role, SESSION_S, TOKEN_S_MAX, Time, User,
    UserChange,
};
use loadlock_store::{Account, AccountChange, Secret, StoreError};

use crate::answers::store_error;
use crate::storage::StoreHandle;
use clock::Clock;
use directory::Directory;
use failures::Failures;

const NS: u64 = 1_000_000_000;

type Answer = Result<AccountAnswer, BackendError>;

/// Users and what they show to be known.
pub(crate) struct Access {
    store: StoreHandle,
    directory: Mutex<Arc<Directory>>,
    /// Held over the disk, so that each change sees the one before.
    changing: Mutex<()>,
    failures: Mutex<Failures>,
    clock: Clock,
    /// Stands in for the hash of a user that isn't there.
    nobody: String,
}

/// Poison is ignored: what is under these locks is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn conflict(reason: String, next_step: &str) -> BackendError {
    BackendError::Conflict { reason, next_step: next_step.to_owned() }
}

fn invalid(reason: String) -> BackendError {
    BackendError::Invalid { reason, next_step: "correct it and try again".to_owned() }
}

fn forbidden(reason: &str, next_step: &str) -> BackendError {
    BackendError::Forbidden { reason: reason.to_owned(), next_step: next_step.to_owned() }
}

fn done(done: String) -> Answer {
    Ok(AccountAnswer::Done(Done { done }))
}

impl Access {
    /// Reads who is known. `wall` gives ns since 1970.
    pub(crate) fn open(
        store: StoreHandle,
        wall: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let (accounts, secrets, latest_ns) = store.with(|store| {
            let latest_ns = store.audit(None)?.iter().map(|entry| entry.time_ns).max();
            Ok((store.accounts()?, store.secrets()?, latest_ns.unwrap_or(0)))
        })?;
        Ok(Self {
            store,
            directory: Mutex::new(Arc::new(Directory::new(accounts, secrets))),
            changing: Mutex::new(()),
            failures: Mutex::new(Failures::default()),
            clock: Clock::new(wall, latest_ns),
            nobody: password::hash("nobody's").unwrap_or_default(),
        })
    }

    fn directory(&self) -> Arc<Directory> {
        lock(&self.directory).clone()
    }

    /// Whose secret this is, if it is good now.
    pub(crate) fn authenticate(&self, secret: &str) -> Option<Identity> {
        self.directory().identity(secret, self.clock.now())
    }

    /// Answers a request about users.
    pub(crate) fn answer(&self, request: AccountRequest, actor: &Actor) -> Answer {
        match request {
            AccountRequest::Login { body, from } => self.login(&body, &from),
            AccountRequest::Logout => self.log_out(actor),
            AccountRequest::ChangePassword(change) => self.change_password(&change, actor),
            AccountRequest::Users => {
                let (now, directory) = (self.clock.now(), self.directory());
                let failures = lock(&self.failures);
                let users = directory.users(now, &failures);
                Ok(AccountAnswer::Users(Listing::take(users, loadlock_api::LIMIT_MAX)))
            }
            AccountRequest::AddUser(new) => self.add(new, actor),
            AccountRequest::ChangeUser(name, change) => self.change_user(&name, change, actor),
            AccountRequest::RemoveUser(name) => self.remove(&name, actor),
            AccountRequest::IssueToken(new) => self.issue_token(new, actor),
            AccountRequest::Credentials(kind) => {
                let is_all = actor.role == Role::Admin;
                let owner = (!is_all).then_some(actor.name.as_str());
                let directory = self.directory();
                let credentials = directory.credentials(kind, owner, self.clock.now());
                let listing = Listing::take(credentials, loadlock_api::LIMIT_MAX);
                Ok(AccountAnswer::Credentials(listing))
            }
            AccountRequest::Revoke(kind, id) => self.revoke(kind, id, actor),
        }
    }

    /// Plans a change on what is known now, has it written, and lets it count. `plan` gets the asker's role as it is now: it may have
    /// been lowered, or the asker removed, since the request was admitted.
    fn change(
        &self,
        actor: &Actor,
        plan: impl FnOnce(&Directory, Role, u64) -> Result<(Vec<AccountChange>, String), BackendError>,
    ) -> Result<(u64, u64), BackendError> {
        let _turn = lock(&self.changing);
        let (directory, now) = (self.directory(), self.clock.now());
        let role = match &actor.secret {
            None => actor.role,
            Some(secret) => {
                let identity = directory.identity(secret, now);
                let identity = identity.filter(|identity| identity.user == actor.name);
                identity.ok_or(BackendError::Unauthenticated)?.role
            }
        };
        let (mut changes, note) = plan(&directory, role, now)?;
        // What is over goes for good, whatever the clock says later.
        changes.extend(directory.expired(now).map(AccountChange::Revoke));
        let mut after = Directory::clone(&directory);
        after.apply(&changes, 0);
        if directory.admins() > 0 && after.admins() == 0 {
            return Err(conflict(
                "nobody would be left who can log in as admin".to_owned(),
                "make another admin with a password first",
            ));
        }
        let (name, steps) = (actor.name.clone(), changes.clone());
        let written =
            self.store.with(move |store| store.change_accounts(&steps, now, &name, &note));
        let issued = written.map_err(store_error)?;
        let mut after = Directory::clone(&directory);
        after.apply(&changes, issued);
        *lock(&self.directory) = Arc::new(after);
        Ok((issued, now))
    }

    fn login(&self, login: &Login, from: &str) -> Answer {
        let (directory, now) = (self.directory(), self.clock.now());
        let account = directory.account(&login.user);
        let usable = account.filter(|account| account.is_enabled && !account.password.is_empty());
        let hash = usable.map_or(self.nobody.as_str(), |account| &account.password);
        let is_right = password::is_right(&login.password, hash);
        let is_last = directory.is_last_admin(&login.user);
        let is_locked = lock(&self.failures).is_locked(&login.user, now) && !is_last;
        match usable.filter(|_| is_right && !is_locked) {
            Some(account) => {
                lock(&self.failures).forget(&login.user);
                self.open_session(account, from)
            }
            None => {
                let locks = lock(&self.failures).note(&login.user, now);
                if locks && usable.is_some() && !is_last {
                    self.note_lock(login.user.clone(), from, now);
                }
                Err(BackendError::WrongLogin)
            }
        }
    }

    /// Without waiting for the disk: a user that exists must not be told by the time it takes.
    fn note_lock(&self, user: String, from: &str, now: u64) {
        let note = format!("user {user} locked after failed log-ins, the last from {from}");
        tracing::warn!(user, from, "locked after failed log-ins");
        self.store.later(move |store| {
            if let Err(error) = store.change_accounts(&[], now, "loadlock", &note) {
                tracing::error!(%error, "a lock couldn't be noted");
            }
        });
    }

    fn open_session(&self, account: &Account, from: &str) -> Answer {
        let random = secret::random().map_err(no_randomness)?;
        let actor = Actor { name: account.name.clone(), role: Role::Viewer, secret: None };
        let mut session = Secret {
            id: 0,
            account: account.name.clone(),
            kind: CredentialKind::Session.name().to_owned(),
            label: format!("from {from}"),
            role: account.role.clone(),
            sha256: secret::digest(&random),
            created_ns: 0,
            expires_ns: 0,
        };
        let (id, _) = self.change(&actor, |directory, _, now| {
            // It may have been disabled, or got another password, while this one was being checked.
            let is_same = directory.account(&account.name).is_some_and(|now| now == account);
            if !is_same {
                return Err(BackendError::WrongLogin);
            }
            session.created_ns = now;
            session.expires_ns = now + SESSION_S * NS;
            let mut changes = directory.surplus_sessions(&account.name);
            changes.push(AccountChange::Issue(session.clone()));
            Ok((changes, format!("user {} logged in from {from}", account.name)))
        })?;
        issued(id, &random, &session)
    }

    fn log_out(&self, actor: &Actor) -> Answer {
        let shown = actor.secret.as_deref().and_then(secret::parts);
        let Some((id, _)) = shown else {
            return Err(conflict(
                "there is no session to end: over the Unix socket the system says who you are"
                    .to_owned(),
                "nothing is to be done",
            ));
        };
        self.change(actor, |_, _, _| {
            Ok((vec![AccountChange::Revoke(id)], format!("user {} logged out", actor.name)))
        })?;
        done(format!("{} is logged out", actor.name))
    }

    fn change_password(&self, change: &PasswordChange, actor: &Actor) -> Answer {
        let (directory, now) = (self.directory(), self.clock.now());
        let account = directory.account(&actor.name).filter(|_| actor.secret.is_some());
        let hash = account.map_or(self.nobody.as_str(), |account| &account.password);
        // A stolen session must not be a way to guess at the password.
        let is_locked = lock(&self.failures).is_locked(&actor.name, now);
        if !password::is_right(&change.old, hash) || account.is_none() || is_locked {
            lock(&self.failures).note(&actor.name, now);
            return Err(BackendError::WrongLogin);
        }
        password::check(&change.new, &actor.name).map_err(invalid)?;
        let new = password::hash(&change.new).map_err(no_randomness)?;
        let own = actor.secret.as_deref().and_then(secret::parts).map(|(id, _)| id);
        self.change(actor, |directory, _, now| {
            let account = directory.account(&actor.name).ok_or(BackendError::Unauthenticated)?;
            let mut changes: Vec<_> = directory
                .of(&actor.name, CredentialKind::Session, now)
                .filter(|session| Some(session.id) != own)
                .map(|session| AccountChange::Revoke(session.id))
                .collect();
            changes.push(AccountChange::Put(Account { password: new, ..account.clone() }));
            Ok((changes, format!("user {} changed its password", actor.name)))
        })?;
        done("the password is changed; other sessions have ended".to_owned())
    }

    fn add(&self, new: NewUser, actor: &Actor) -> Answer {
        directory::check_name(&new.name).map_err(invalid)?;
        let hash = self.checked_hash(new.password.as_deref(), &new.name)?.unwrap_or_default();
        let (name, role) = (new.name, new.role);
        self.change(actor, |directory, asker, now| {
            require_admin(asker)?;
            if directory.account(&name).is_some() {
                let next = "`loadlock user list` shows them; `loadlock user role` changes one";
                return Err(conflict(format!("there is a user {name} already"), next));
            }
            directory.check_room()?;
            let account = Account {
                name: name.clone(),
                role: role.name().to_owned(),
                password: hash,
                is_enabled: true,
                created_ns: now,
            };
            Ok((vec![AccountChange::Put(account)], format!("user {name} added as {role}")))
        })?;
        self.shown(&name)
    }

    fn change_user(&self, name: &str, change: UserChange, actor: &Actor) -> Answer {
        if change == UserChange::default() {
            return Err(invalid(
                "nothing is to be changed; allowed are role, enabled and password".to_owned(),
            ));
        }
        let hash = self.checked_hash(change.password.as_deref(), name)?;
        let is_new_password = hash.is_some();
        self.change(actor, |directory, asker, now| {
            require_admin(asker)?;
            let account = directory.known(name)?;
            let mut after = account.clone();
            let mut words = Vec::new();
            if let Some(role) = change.role {
                words.push(format!("role {} → {role}", after.role));
                after.role = role.name().to_owned();
            }
            if let Some(enabled) = change.enabled {
                words.push(if enabled { "enabled" } else { "disabled" }.to_owned());
                after.is_enabled = enabled;
            }
            if let Some(hash) = hash {
                words.push("password set".to_owned());
                after.password = hash;
            }
            let ends = is_new_password || !after.is_enabled;
            let sessions = directory.of(name, CredentialKind::Session, now).filter(|_| ends);
            let mut changes: Vec<_> =
                sessions.map(|session| AccountChange::Revoke(session.id)).collect();
            changes.push(AccountChange::Put(after));
            Ok((changes, format!("user {name}: {}", words.join(", "))))
        })?;
        if is_new_password || change.enabled == Some(true) {
            lock(&self.failures).forget(name);
        }
        self.shown(name)
    }

    fn remove(&self, name: &str, actor: &Actor) -> Answer {
        self.change(actor, |directory, asker, _| {
            require_admin(asker)?;
            directory.known(name)?;
            Ok((vec![AccountChange::Remove(name.to_owned())], format!("user {name} removed")))
        })?;
        done(format!("user {name} is removed, with its tokens and sessions"))
    }

    fn issue_token(&self, new: NewToken, actor: &Actor) -> Answer {
        if !(1..=TOKEN_S_MAX).contains(&new.expires_in_s) {
            let found = new.expires_in_s;
            return Err(invalid(format!(
                "expires_in_s is {found}, allowed are 1 to {TOKEN_S_MAX}"
            )));
        }
        directory::check_label(&new.label).map_err(invalid)?;
        let random = secret::random().map_err(no_randomness)?;
        let name = new.user.unwrap_or_else(|| actor.name.clone());
        let mut token = Secret {
            id: 0,
            account: name.clone(),
            kind: CredentialKind::Token.name().to_owned(),
            label: new.label,
            role: String::new(),
            sha256: secret::digest(&random),
            created_ns: 0,
            expires_ns: 0,
        };
        let (id, _) = self.change(actor, |directory, asker, now| {
            if directory.is_token(actor.secret.as_deref()) {
                let next = "log in, or ask an admin";
                return Err(forbidden("a token makes no tokens: it would outlive itself", next));
            }
            if name != actor.name {
                require_admin(asker)?;
            }
            let owner = directory.known(&name)?;
            let most = directory::role_of(owner).unwrap_or(Role::Viewer).min(asker);
            let role = new.role.unwrap_or(most);
            if role > most {
                let reason = format!(
                    "the role {role} is above {most}, the most that a token of {name} may have here"
                );
                return Err(forbidden(&reason, "ask for a lower role"));
            }
            directory.check_room_for_token(&name, now)?;
            token.role = role.name().to_owned();
            token.created_ns = now;
            token.expires_ns = now + new.expires_in_s * NS;
            let until = Time::from_ns(token.expires_ns);
            let note =
                format!("token for {name} issued: {role}, until {until}, for \"{}\"", token.label);
            Ok((vec![AccountChange::Issue(token.clone())], note))
        })?;
        issued(id, &random, &token)
    }

    fn revoke(&self, kind: CredentialKind, id: u64, actor: &Actor) -> Answer {
        let kind_name = kind.name();
        let mut owner = String::new();
        self.change(actor, |directory, asker, now| {
            let found = directory.credential(kind, id, now);
            // Another's is as unknown as one that isn't there.
            let found = found.filter(|found| asker == Role::Admin || found.account == actor.name);
            let found = found.ok_or_else(|| {
                let next = format!("`loadlock {kind_name} list` has the numbers");
                conflict(format!("there is no {kind_name} {id} to be revoked"), &next)
            })?;
            owner.clone_from(&found.account);
            let note = format!("{kind_name} {id} of {owner} revoked");
            Ok((vec![AccountChange::Revoke(id)], note))
        })?;
        done(format!("{kind_name} {id} of {owner} is revoked"))
    }

    fn checked_hash(&self, new: Option<&str>, name: &str) -> Result<Option<String>, BackendError> {
        let Some(new) = new else { return Ok(None) };
        password::check(new, name).map_err(invalid)?;
        password::hash(new).map(Some).map_err(no_randomness)
    }

    fn shown(&self, name: &str) -> Answer {
        let (now, failures) = (self.clock.now(), lock(&self.failures));
        let user: Option<User> =
            self.directory().users(now, &failures).find(|user| user.name == name);
        // Another admin may have removed it by now.
        user.map(AccountAnswer::User).map_or_else(|| done(format!("user {name} is changed")), Ok)
    }
}

fn require_admin(role: Role) -> Result<(), BackendError> {
    if role == Role::Admin {
        return Ok(());
    }
    Err(forbidden("this needs the role admin", "ask somebody who has it"))
}

fn issued(id: u64, random: &str, secret: &Secret) -> Answer {
    Ok(AccountAnswer::Issued(Issued {
        id,
        secret: secret::text(id, random),
        user: secret.account.clone(),
        role: Role::from_name(&secret.role).unwrap_or(Role::Viewer),
        expires: Time::from_ns(secret.expires_ns),
    }))
}

fn no_randomness(reason: String) -> BackendError {
    BackendError::Unavailable { reason }
}
