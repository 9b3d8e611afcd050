//! The endpoints about policy versions: each makes a [`PolicyRequest`].

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::guard::Caller;
use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::{Shared, body, call};
use crate::device::DeviceQuery;
use crate::error::ErrorCode;
use crate::versions::{PolicyRequest, Step, TupleQuery};

type Answer = Result<Response, Refusal>;

async fn ask(shared: &Shared, caller: Option<Caller>, request: PolicyRequest) -> Answer {
    call(shared, move |backend| {
        let author = caller.map(|caller| caller.author()).unwrap_or_default();
        backend.policy(request, &author)
    })
    .await
}

/// The body as JSON.
pub(super) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let bytes = body(request).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body isn't what this endpoint takes: {error}");
        Refusal::new(ErrorCode::InvalidBody, message, "send the fields that the API's types name.")
    })
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        let message = format!("\"{text}\" is no version, allowed is a number such as 12");
        Refusal::new(ErrorCode::InvalidQuery, message, "`loadlock policy list` has the numbers.")
    })
}

pub(super) fn part<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Refusal> {
    path.map(|Path(part)| part).map_err(|rejection| {
        let message = format!("the path can't be read: {}", rejection.body_text());
        Refusal::new(ErrorCode::UnknownEndpoint, message, "write the name in UTF-8.")
    })
}

pub(super) async fn list(State(shared): State<Shared>, parameters: Parameters) -> Answer {
    ask(&shared, None, PolicyRequest::List { limit: parameters.limit()? }).await
}

pub(super) async fn show(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    let wanted = match part(path)?.as_str() {
        "in-force" => None,
        text => Some(number(text)?),
    };
    ask(&shared, None, PolicyRequest::Show(wanted)).await
}

pub(super) async fn diff(State(shared): State<Shared>, parameters: Parameters) -> Answer {
    let of = |name| parameters.text(name).map(number).transpose();
    let request =
        PolicyRequest::Diff { from: of("from")?, to: of("to")?, limit: parameters.limit()? };
    ask(&shared, None, request).await
}

pub(super) async fn propose(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let proposal = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::Propose(proposal)).await
}

async fn step(
    shared: Shared,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
    step: Step,
) -> Answer {
    let number = number(&part(path)?)?;
    let body = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::Step { number, step, body }).await
}

pub(super) async fn approve(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    step(shared, caller, path, request, Step::Approve).await
}

pub(super) async fn reject(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    step(shared, caller, path, request, Step::Reject).await
}

pub(super) async fn apply(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    step(shared, caller, path, request, Step::Apply).await
}

pub(super) async fn confirm(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, Some(caller), PolicyRequest::Confirm).await
}

pub(super) async fn roll_back(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::RollBack(body)).await
}

pub(super) async fn allow(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::Allow(body)).await
}

pub(super) async fn island(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    let zone = part(path)?;
    let body = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::Island(zone, body)).await
}

pub(super) async fn assertions(State(shared): State<Shared>, request: Request) -> Answer {
    let draft = read(request).await?;
    ask(&shared, None, PolicyRequest::Assert(draft)).await
}

pub(super) async fn test(
    State(shared): State<Shared>,
    parameters: Parameters,
    request: Request,
) -> Answer {
    let limit = parameters.limit()?;
    let draft = read(request).await?;
    ask(&shared, None, PolicyRequest::Test(draft, limit)).await
}

pub(super) async fn verdict(State(shared): State<Shared>, parameters: Parameters) -> Answer {
    let text = |name| parameters.text(name).map(str::to_owned);
    let query = TupleQuery {
        client: text("client").unwrap_or_default(),
        server: text("server").unwrap_or_default(),
        service: text("service").unwrap_or_default(),
        segment: text("segment"),
        vlan: text("vlan"),
    };
    ask(&shared, None, PolicyRequest::Tuple(query)).await
}

pub(super) async fn start_shadow(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let draft = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::StartShadow(draft)).await
}

pub(super) async fn shadow(State(shared): State<Shared>, parameters: Parameters) -> Answer {
    ask(&shared, None, PolicyRequest::Shadow(parameters.limit()?)).await
}

pub(super) async fn stop_shadow(State(shared): State<Shared>, caller: Caller) -> Answer {
    ask(&shared, Some(caller), PolicyRequest::StopShadow).await
}

pub(super) async fn devices(State(shared): State<Shared>, parameters: Parameters) -> Answer {
    let text = |name| parameters.text(name).map(str::to_owned);
    let query = DeviceQuery {
        segment: text("segment"),
        role: text("role"),
        zone: text("zone"),
        limit: parameters.limit()?,
    };
    ask(&shared, None, PolicyRequest::Devices(query)).await
}

pub(super) async fn device(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    ask(&shared, None, PolicyRequest::Device(part(path)?)).await
}

pub(super) async fn change_devices(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, Some(caller), PolicyRequest::ChangeDevices(body)).await
}

pub(super) async fn denials(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Answer {
    ask(&shared, None, PolicyRequest::IsItMe(part(path)?)).await
}
