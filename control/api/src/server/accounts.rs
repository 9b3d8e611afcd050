//! The endpoints about users, tokens and sessions, and logging in.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use tokio::time::timeout;

use super::connection::Peer;
use super::guard::Caller;
use super::policy::{part, read};
use super::refusal::Refusal;
use super::routes::{Shared, call, call_in_turn};
use crate::account::{AccountRequest, Actor, CredentialKind};
use crate::error::ErrorCode;
use crate::role::Role;

type Answer = Result<Response, Refusal>;
type Part = Result<Path<String>, PathRejection>;

/// Time to wait for one's turn to log in.
const LOGIN_TURN_TIME: Duration = Duration::from_secs(3);

async fn ask(shared: &Shared, caller: Caller, request: AccountRequest) -> Answer {
    call(shared, move |backend| backend.account(request, &caller.actor())).await
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        let message = format!("\"{text}\" is no number of a token or session");
        let next = "`loadlock token list` and `loadlock session list` have the numbers.";
        Refusal::new(ErrorCode::UnknownEndpoint, message, next)
    })
}

/// Passwords are hashed slowly on purpose, so log-ins have few turns of their own: who guesses at them keeps nobody else waiting.
async fn in_login_turn(shared: &Shared, request: AccountRequest, caller: Option<Caller>) -> Answer {
    let turn = timeout(LOGIN_TURN_TIME, shared.logins.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let message = "too many log-ins at a time".to_owned();
        return Err(Refusal::new(
            ErrorCode::TooManyRequests,
            message,
            "try again in a few seconds.",
        ));
    };
    let nobody = || Actor { name: String::new(), role: Role::Viewer, secret: None };
    call_in_turn(shared, turn, move |backend| {
        backend.account(request, &caller.map_or_else(nobody, |caller| caller.actor()))
    })
    .await
}

pub(super) async fn login(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Answer {
    if let Some(wait) = shared.login_rates.take(peer.client()) {
        return Err(Refusal::too_fast("log-ins", wait));
    }
    let body = read(request).await?;
    in_login_turn(&shared, AccountRequest::Login { body, from: peer.place() }, None).await
}

pub(super) async fn change_password(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    in_login_turn(&shared, AccountRequest::ChangePassword(body), Some(caller)).await
}

pub(super) async fn logout(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, caller, AccountRequest::Logout).await
}

pub(super) async fn users(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, caller, AccountRequest::Users).await
}

pub(super) async fn add_user(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    in_login_turn(&shared, AccountRequest::AddUser(body), Some(caller)).await
}

pub(super) async fn change_user(
    State(shared): State<Shared>,
    caller: Caller,
    path: Part,
    request: Request,
) -> Answer {
    let name = part(path)?;
    let body = read(request).await?;
    in_login_turn(&shared, AccountRequest::ChangeUser(name, body), Some(caller)).await
}

pub(super) async fn remove_user(
    State(shared): State<Shared>,
    caller: Caller,
    path: Part,
) -> Answer {
    ask(&shared, caller, AccountRequest::RemoveUser(part(path)?)).await
}

pub(super) async fn issue_token(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, caller, AccountRequest::IssueToken(body)).await
}

pub(super) async fn tokens(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, caller, AccountRequest::Credentials(CredentialKind::Token)).await
}

pub(super) async fn sessions(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, caller, AccountRequest::Credentials(CredentialKind::Session)).await
}

pub(super) async fn revoke_token(
    State(shared): State<Shared>,
    caller: Caller,
    path: Part,
) -> Answer {
    let number = number(&part(path)?)?;
    ask(&shared, caller, AccountRequest::Revoke(CredentialKind::Token, number)).await
}

pub(super) async fn revoke_session(
    State(shared): State<Shared>,
    caller: Caller,
    path: Part,
) -> Answer {
    let number = number(&part(path)?)?;
    ask(&shared, caller, AccountRequest::Revoke(CredentialKind::Session, number)).await
}
