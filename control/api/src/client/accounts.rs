//! Requests about users, tokens and sessions.

use hyper::Method;

use super::{Client, ClientError, percent_encoded};
use crate::account::{
    Credential, CredentialKind, Done, Issued, Login, NewToken, NewUser, PasswordChange, User,
    UserChange,
};
use crate::listing::Listing;

/// Errors of every request here: [`ClientError`].
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// `POST /v1/login`.
    pub fn login(&self, login: &Login) -> Result<Issued, ClientError> {
        self.send_json(Method::POST, "/v1/login", login)
    }

    /// `POST /v1/logout`: ends the session whose secret this client shows.
    pub fn logout(&self) -> Result<Done, ClientError> {
        self.ask(Method::POST, "/v1/logout", None)
    }

    /// `PUT /v1/password`.
    pub fn change_password(&self, change: &PasswordChange) -> Result<Done, ClientError> {
        self.send_json(Method::PUT, "/v1/password", change)
    }

    /// `GET /v1/users`.
    pub fn users(&self) -> Result<Listing<User>, ClientError> {
        self.ask(Method::GET, "/v1/users", None)
    }

    /// `POST /v1/users`.
    pub fn add_user(&self, user: &NewUser) -> Result<User, ClientError> {
        self.send_json(Method::POST, "/v1/users", user)
    }

    /// `PUT /v1/users/{name}`.
    pub fn change_user(&self, name: &str, change: &UserChange) -> Result<User, ClientError> {
        self.send_json(Method::PUT, &format!("/v1/users/{}", percent_encoded(name)), change)
    }

    /// `DELETE /v1/users/{name}`.
    pub fn remove_user(&self, name: &str) -> Result<Done, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/users/{}", percent_encoded(name)), None)
    }

    /// `POST /v1/tokens`.
    pub fn issue_token(&self, token: &NewToken) -> Result<Issued, ClientError> {
        self.send_json(Method::POST, "/v1/tokens", token)
    }

    /// `GET /v1/tokens` or `GET /v1/sessions`.
    pub fn credentials(&self, kind: CredentialKind) -> Result<Listing<Credential>, ClientError> {
        self.ask(Method::GET, &format!("/v1/{}s", kind.name()), None)
    }

    /// `DELETE /v1/tokens/{id}` or `DELETE /v1/sessions/{id}`.
    pub fn revoke(&self, kind: CredentialKind, id: u64) -> Result<Done, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/{}s/{id}", kind.name()), None)
    }
}
