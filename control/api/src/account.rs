//! Users, tokens and sessions on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::listing::Listing;
use crate::role::Role;
use crate::time::Time;

/// Shortest and longest password, in bytes.
pub const PASSWORD_BYTES: (usize, usize) = (12, 256);
/// Longest time that a token is good for, in seconds: two years.
pub const TOKEN_S_MAX: u64 = 730 * 86_400;
/// How long a session lasts, in seconds: a shift.
pub const SESSION_S: u64 = 12 * 3_600;
/// Failed log-ins in a row after which a user is locked.
pub const LOGIN_FAILURES_MAX: u32 = 5;
/// How long a user then is locked, in seconds.
pub const LOCK_S: u64 = 15 * 60;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// False: known, and may do nothing.
    pub enabled: bool,
    /// It can log in; without a password it has tokens only.
    pub has_password: bool,
    /// Too many log-ins failed of late; it is let in again by itself.
    pub locked: bool,
    /// When it was made.
    pub created: Time,
    /// Its tokens that are good.
    pub tokens: u32,
    /// Its sessions that are open.
    pub sessions: u32,
}

/// Body of `POST /v1/users`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// 1 to 32 of a-z, 0-9, `.`, `_` and `-`, the first a letter or digit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// 12 to 256 bytes; absent: it can't log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Body of `PUT /v1/users/{name}`; what is absent stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserChange {
    /// What it may do from now on. Tokens above a lower role do no more than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether it may do anything; false ends its sessions too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// A new password, which ends its sessions too and lifts a lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Body of `PUT /v1/password`: one's own.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password now.
    pub old: String,
    /// The one from now on; other sessions end.
    pub new: String,
}

/// Body of `POST /v1/login`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Body of `POST /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose; absent: one's own. Only an admin makes them for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What it allows, at most the user's role; absent: that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What it is for, up to 80 characters.
    #[serde(default)]
    pub label: String,
    /// How long it is good for, in seconds, 1 to 63072000.
    pub expires_in_s: u64,
}

/// A token or session that was just made. The secret isn't shown again: control keeps its hash only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Issued {
    /// Its number, by which it is revoked.
    pub id: u64,
    /// What to send as `authorization: Bearer …`.
    pub secret: String,
    /// Whose it is.
    pub user: String,
    /// What it allows.
    pub role: Role,
    /// Until when.
    pub expires: Time,
}

/// A token or a session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its number, by which it is revoked.
    pub id: u64,
    /// Whose it is.
    pub user: String,
    /// What it allows.
    pub role: Role,
    /// What it is for; of a session where it came from.
    pub label: String,
    /// When it was made.
    pub created: Time,
    /// Until when it is good.
    pub expires: Time,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// In words.
    pub done: String,
}

/// Tokens or sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Made to last, for programs.
    Token,
    /// Made by logging in.
    Session,
}

impl CredentialKind {
    /// The name in store, messages and paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
        }
    }
}

/// What is asked of control about users; one variant an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub enum AccountRequest {
    /// `POST /v1/login`; `from` is where it comes from, in words.
    #[allow(missing_docs, reason = "the type says it")]
    Login { body: Login, from: String },
    /// `POST /v1/logout`.
    Logout,
    /// `PUT /v1/password`.
    ChangePassword(PasswordChange),
    /// `GET /v1/users`.
    Users,
    /// `POST /v1/users`.
    AddUser(NewUser),
    /// `PUT /v1/users/{name}`.
    ChangeUser(String, UserChange),
    /// `DELETE /v1/users/{name}`.
    RemoveUser(String),
    /// `POST /v1/tokens`.
    IssueToken(NewToken),
    /// `GET /v1/tokens`, `GET /v1/sessions`: one's own, or an admin's look at all.
    Credentials(CredentialKind),
    /// `DELETE /v1/tokens/{id}`, `DELETE /v1/sessions/{id}`.
    Revoke(CredentialKind, u64),
}

/// What control answers, by the kind of the request.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each variant is the type that it holds")]
pub enum AccountAnswer {
    Users(Listing<User>),
    User(User),
    Credentials(Listing<Credential>),
    Issued(Issued),
    Done(Done),
}

/// Who asks, for what is recorded and for what depends on more than the role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's name, as it is recorded.
    pub name: String,
    /// What it may do; viewer for who isn't known, which is only asked of logging in.
    pub role: Role,
    /// The secret that was shown; `None` over the Unix socket, where the kernel says who it is.
    pub secret: Option<String>,
}
