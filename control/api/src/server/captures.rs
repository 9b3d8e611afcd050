//! The endpoints of captures.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;

use super::guard::Caller;
use super::learning::{invalid, parsed};
use super::policy::part;
use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::{Shared, call};
use crate::capture::{CAPTURE_FRAMES_MAX, CAPTURE_S_MAX, CaptureBody, CaptureQuery};
use crate::error::ErrorCode;

pub(super) async fn start(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Response, Refusal> {
    let example = r#"{"device":"etch-07","seconds":60,"frames":1000}"#;
    let body: CaptureBody = parsed(request, example).await?;
    let limits =
        [("seconds", body.seconds, CAPTURE_S_MAX), ("frames", body.frames, CAPTURE_FRAMES_MAX)];
    for (name, found, max) in limits {
        if !(1..=max).contains(&found) {
            return Err(invalid(format!("{name} is {found}, allowed is 1 to {max}")));
        }
    }
    call(&shared, move |backend| backend.start_capture(&body, &caller.author())).await
}

fn id_of(path: Result<Path<String>, PathRejection>) -> Result<u64, Refusal> {
    let text = part(path)?;
    text.parse().map_err(|_| {
        let message = format!("\"{text}\" is no capture's number");
        let next = "the answer to POST /v1/captures has it as id.";
        Refusal::new(ErrorCode::UnknownEndpoint, message, next)
    })
}

pub(super) async fn frames(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let after = parameters.number("after")?.unwrap_or(0);
    let query = CaptureQuery { id: id_of(path)?, after, limit: parameters.limit()? };
    call(&shared, move |backend| backend.captured(query)).await
}

pub(super) async fn stop(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id = id_of(path)?;
    call(&shared, move |backend| backend.stop_capture(id)).await
}
