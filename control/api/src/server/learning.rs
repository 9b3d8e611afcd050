//! The endpoints of learning: questions, answers, readiness, windows.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::guard::Caller;
use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::{Shared, body, call};
use crate::error::ErrorCode;
use crate::learning::{AnswerBody, LearningRequest, REASON_BYTES_MAX, WINDOW_S_MAX, WindowBody};

async fn ask(
    shared: &Shared,
    request: LearningRequest,
    author: String,
) -> Result<Response, Refusal> {
    call(shared, move |backend| backend.learning(request, &author)).await
}

/// For requests that change nothing.
async fn read(shared: &Shared, request: LearningRequest) -> Result<Response, Refusal> {
    ask(shared, request, String::new()).await
}

pub(super) async fn questions(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let limit = parameters.limit()?;
    read(&shared, LearningRequest::Questions { limit }).await
}

pub(super) async fn answers(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let limit = parameters.limit()?;
    read(&shared, LearningRequest::Answers { limit }).await
}

pub(super) async fn windows(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let limit = parameters.limit()?;
    read(&shared, LearningRequest::Windows { limit }).await
}

pub(super) async fn readiness(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let segment = parameters.text("segment").map(str::to_owned);
    read(&shared, LearningRequest::Readiness { segment, limit: parameters.limit()? }).await
}

pub(super) async fn answer(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let id = part(path)?;
    let body: AnswerBody = parsed(request, "{\"approve\":true,\"reason\":\"…\"}").await?;
    check_reason(&body.reason)?;
    ask(&shared, LearningRequest::Answer { id, body }, caller.author()).await
}

pub(super) async fn open_window(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Response, Refusal> {
    let example = "{\"segment\":\"fab\",\"seconds\":3600,\"monitor\":false,\"reason\":\"…\"}";
    let body: WindowBody = parsed(request, example).await?;
    check_reason(&body.reason)?;
    if !(1..=WINDOW_S_MAX).contains(&body.seconds) {
        let message = format!("seconds is {}, allowed is 1 to {WINDOW_S_MAX}", body.seconds);
        return Err(invalid(message));
    }
    ask(&shared, LearningRequest::OpenWindow(body), caller.author()).await
}

pub(super) async fn close_window(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let text = part(path)?;
    let number = text.parse().map_err(|_| {
        let message = format!("\"{text}\" is no window's number");
        Refusal::new(ErrorCode::UnknownEndpoint, message, "`loadlock window list` has the numbers.")
    })?;
    ask(&shared, LearningRequest::CloseWindow { number }, caller.author()).await
}

fn part(path: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    path.map(|Path(part)| part).map_err(|rejection| {
        let message = format!("the path can't be read: {}", rejection.body_text());
        Refusal::new(ErrorCode::UnknownEndpoint, message, "write it in UTF-8.")
    })
}

pub(super) fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidBody, message, "correct the body and send it again.")
}

pub(super) async fn parsed<T: DeserializeOwned>(
    request: Request,
    example: &str,
) -> Result<T, Refusal> {
    let bytes = body(request).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| invalid(format!("the body isn't {example} or the like: {error}")))
}

/// An auditor reads it later: there must be one, and no book.
pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    let bytes = reason.trim().len();
    if (1..=REASON_BYTES_MAX).contains(&bytes) {
        return Ok(());
    }
    Err(invalid(format!("reason has {bytes} bytes, allowed is 1 to {REASON_BYTES_MAX}")))
}
