//! Before each handler: who asks, whether they may, and whether the query is one that the endpoint knows.

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Peer;
use super::endpoint::{Least, Parameter};
use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::Shared;
use super::{BODY_BYTES_MAX, LONG_BODIES_MAX};
use crate::account::Actor;
use crate::error::ErrorCode;
use crate::role::Role;

/// What the guard of one endpoint knows.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) shared: Shared,
    pub(super) least: Least,
    pub(super) query: &'static [Parameter],
    /// It takes long bodies, of which few may be in memory.
    pub(super) is_long: bool,
}

/// Who asks, once admitted.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// User name, as it goes into versions and the audit log.
    author: Author,
    pub(super) role: Role,
    /// What was shown, if something was.
    secret: Option<String>,
}

/// A name that is known, or one that the name service may have to be asked for.
#[derive(Clone, Debug)]
enum Author {
    Named(String),
    Peer(Peer),
}

impl Caller {
    /// The user's name. May wait for the name service.
    pub(super) fn author(&self) -> String {
        match &self.author {
            Author::Named(name) => name.clone(),
            Author::Peer(peer) => peer.author(),
        }
    }
}

impl Caller {
    /// Who it is, for what is recorded. May wait for the name service.
    pub(super) fn actor(self) -> Actor {
        Actor { name: self.author(), role: self.role, secret: self.secret }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown_caller)
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // The guard has put it there; without it there were none.
        Ok(parts.extensions.remove::<Self>().unwrap_or_default())
    }
}

/// The middleware: refuses, or hands caller and parameters to the handler.
pub(super) async fn admit(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let peer = request.extensions().get::<Peer>().cloned().ok_or_else(unknown_caller)?;
    if let Some(wait) = guard.shared.rates.take(peer.client()) {
        return Err(Refusal::too_fast("requests", wait));
    }
    if let Least::Role(least) = guard.least {
        let caller = identify(&guard.shared, peer, request.headers())?;
        if caller.role < least {
            return Err(too_low(least, caller.role));
        }
        request.extensions_mut().insert(caller);
    }
    let pairs = Query::try_from_uri(request.uri()).map_err(|rejection| {
        let message = format!("the query string can't be read: {}", rejection.body_text());
        Refusal::new(ErrorCode::InvalidQuery, message, "correct the query string.")
    })?;
    let parameters = Parameters::new(pairs.0, guard.query)?;
    request.extensions_mut().insert(parameters);
    let _turn =
        if guard.is_long { long_body_turn(&guard.shared, request.headers())? } else { None };
    Ok(next.run(request).await)
}

/// Room for a long body until its request is answered. One without a length may be long.
fn long_body_turn(
    shared: &Shared,
    headers: &HeaderMap,
) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|bytes: usize| bytes <= BODY_BYTES_MAX) {
        return Ok(None);
    }
    shared.long_bodies.clone().try_acquire_owned().map(Some).map_err(|_| {
        let message =
            format!("{LONG_BODIES_MAX} long bodies are being worked on, as many as there may be");
        Refusal::new(ErrorCode::TooManyRequests, message, "try again when they are done.")
    })
}

/// A secret counts before the peer's own identity, so that a program may do less than its user.
fn identify(shared: &Shared, peer: Peer, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let Some(secret) = secret(headers)? else {
        let role = peer.role().ok_or_else(unauthenticated)?;
        return Ok(Caller { author: Author::Peer(peer), role, secret: None });
    };
    let identity = shared.backend.authenticate(&secret)?.ok_or_else(unauthenticated)?;
    Ok(Caller { author: Author::Named(identity.user), role: identity.role, secret: Some(secret) })
}

/// The secret of `authorization: Bearer …`, if there is that header; more than one is refused.
pub(super) fn secret(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_bearer =
        |text: &str| text.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("bearer "));
    let text =
        HeaderValue::to_str(value).ok().filter(|text| is_bearer(text) && values.next().is_none());
    match text {
        Some(text) => Ok(Some(text[7..].trim().to_owned())),
        None => Err(unauthenticated()),
    }
}

/// The same for a secret that is wrong, expired, revoked, or of a user who is disabled: nobody learns which.
pub(super) fn unauthenticated() -> Refusal {
    let message = "this request needs a valid token or session".to_owned();
    let next =
        "`loadlock login`, or give a token that is neither expired nor revoked with --token-file.";
    Refusal::new(ErrorCode::Unauthenticated, message, next)
}

fn too_low(least: Role, role: Role) -> Refusal {
    let message = format!("this needs the role {least} or a higher one; you have {role}");
    let allowed = Role::ALL.into_iter().filter(|role| *role >= least);
    Refusal::new(ErrorCode::Forbidden, message, "ask somebody who has it.").allowing(allowed)
}

/// A route that wasn't made from an endpoint: a defect of this crate, and closed.
fn unknown_caller() -> Refusal {
    let message = "this endpoint has lost its guard".to_owned();
    Refusal::new(ErrorCode::Internal, message, "report this as a bug.")
}
