//! The endpoints.

use std::future::Future;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Extension, OriginalUri, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, Router};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::connection::Peer;
use super::endpoints;
use super::guard::Caller;
use super::history::History;
use super::learning::{check_reason, invalid, parsed};
use super::query::Parameters;
use super::rate::Rates;
use super::refusal::Refusal;
use super::{ARRIVAL_TIME, BODY_BYTES_MAX, CALL_TIME, STREAMS_MAX, stream};
use crate::backend::{Backend, BackendError};
use crate::binding::BindingRenewal;
use crate::bypass::{BYPASS_S_MAX, BypassBody};
use crate::error::ErrorCode;
use crate::explanation::ExplanationQuery;
use crate::listing::{FlowQuery, RuleQuery};
use crate::policy::{Mode, ModeChange};
use crate::reload::ReloadBody;

/// What every request can reach.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) history: Arc<History>,
    /// Turns to call the backend.
    pub(super) calls: Arc<Semaphore>,
    /// Turns to hash a password.
    pub(super) logins: Arc<Semaphore>,
    /// Room for long bodies.
    pub(super) long_bodies: Arc<Semaphore>,
    /// What each client may still send.
    pub(super) rates: Arc<Rates>,
    /// How often each client may still try to log in.
    pub(super) login_rates: Arc<Rates>,
    /// Room for event streams.
    pub(super) streams: Arc<Semaphore>,
    /// Becomes true when the server stops.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Every endpoint behind its guard, and answers to what is none.
pub(super) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for endpoint in endpoints::all() {
        let (path, route) = endpoint.into_route(&shared);
        router = router.route(path, route);
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_endpoint)
        .layer(middleware::map_response(name_version))
        .with_state(shared)
}

async fn name_version(mut response: Response) -> Response {
    let name = HeaderName::from_static(crate::API_VERSION_HEADER);
    response.headers_mut().insert(name, HeaderValue::from(crate::API_VERSION));
    response
}

async fn unknown_endpoint(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::unknown_endpoint(method.as_str(), uri.path())
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Refusal {
    Refusal::method_not_allowed(method.as_str(), uri.path())
}

pub(super) async fn openapi() -> Response {
    // Made once: building it takes milliseconds.
    static DOCUMENT: LazyLock<String> = LazyLock::new(super::openapi);
    json(DOCUMENT.clone())
}

pub(super) async fn status(State(shared): State<Shared>) -> Result<Response, Refusal> {
    call(&shared, |backend| backend.status()).await
}

pub(super) async fn set_mode(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let segment = segment_of(path)?;
    let bytes = body(request).await?;
    let change: ModeChange = serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body isn't {{\"mode\":\"enforce\"}} or the like: {error}");
        Refusal::new(ErrorCode::InvalidBody, message, "send a JSON object with the one key mode.")
    })?;
    let mode = Mode::from_name(&change.mode).ok_or_else(|| Refusal::invalid_mode(&change.mode))?;
    call(&shared, move |backend| backend.set_mode(&segment, mode, &caller.author())).await
}

pub(super) async fn reload(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Response, Refusal> {
    let body: ReloadBody = parsed(request, r#"{"dry_run":false}"#).await?;
    call(&shared, move |backend| backend.reload(&body, &caller.author())).await
}

pub(super) async fn set_bypass(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let segment = segment_of(path)?;
    let example = r#"{"on":true,"seconds":3600,"reason":"…"}"#;
    let change: BypassBody = parsed(request, example).await?;
    check_reason(&change.reason)?;
    match change.seconds {
        Some(seconds) if !(1..=BYPASS_S_MAX).contains(&seconds) => {
            return Err(invalid(format!("seconds is {seconds}, allowed is 1 to {BYPASS_S_MAX}")));
        }
        Some(_) if !change.on => {
            return Err(invalid("seconds is given, and only a bypass has a time".to_owned()));
        }
        _ => {}
    }
    call(&shared, move |backend| backend.set_bypass(&segment, &change, &caller.author())).await
}

fn segment_of(path: Result<Path<String>, PathRejection>) -> Result<String, Refusal> {
    let Path(segment) = path.map_err(|rejection| {
        let message = format!("the path can't be read: {}", rejection.body_text());
        Refusal::new(ErrorCode::UnknownEndpoint, message, "write the segment's name in UTF-8.")
    })?;
    Ok(segment)
}

pub(super) async fn renew_binding(
    State(shared): State<Shared>,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let segment = segment_of(path)?;
    let bytes = body(request).await?;
    let renewal: BindingRenewal = serde_json::from_slice(&bytes).map_err(|error| {
        let example = r#"{"address":"10.0.1.11","mac":"02:00:00:00:00:01"}"#;
        let message = format!("the body isn't {example} or the like: {error}");
        let next = "send a JSON object with address and mac, and vlan and side if need be.";
        Refusal::new(ErrorCode::InvalidBody, message, next)
    })?;
    call(&shared, move |backend| backend.renew_binding(&segment, &renewal, &caller.author())).await
}

/// The body, if it is short and comes in time.
pub(super) async fn body(request: Request) -> Result<Bytes, Refusal> {
    let arrived = timeout(ARRIVAL_TIME, request.extract::<Bytes, _>()).await;
    let bytes: Result<Bytes, BytesRejection> = arrived.map_err(|_| {
        let message = format!("the body didn't arrive within {} s", ARRIVAL_TIME.as_secs());
        Refusal::new(ErrorCode::RequestTimeout, message, "send the request at once.")
    })?;
    bytes.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is longer than {BODY_BYTES_MAX} bytes");
            Refusal::new(ErrorCode::BodyTooLarge, message, "send a shorter one.")
        } else {
            let message = format!("the body can't be read: {}", rejection.body_text());
            Refusal::new(ErrorCode::InvalidBody, message, "send the request again.")
        }
    })
}

pub(super) async fn rules(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let segment = parameters.text("segment").map(str::to_owned);
    let query = RuleQuery { segment, limit: parameters.limit()? };
    call(&shared, move |backend| backend.rules(&query)).await
}

pub(super) async fn bindings(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let segment = parameters.text("segment").map(str::to_owned);
    let query = RuleQuery { segment, limit: parameters.limit()? };
    call(&shared, move |backend| backend.bindings(&query)).await
}

pub(super) async fn explanations(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let query = ExplanationQuery {
        kind: parameters.explanation_kind()?,
        subject: parameters.text("subject").unwrap_or_default().to_owned(),
        limit: parameters.limit()?,
    };
    call(&shared, move |backend| backend.explain(&query)).await
}

pub(super) async fn flows(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let query = FlowQuery { address: parameters.parsed("address")?, limit: parameters.limit()? };
    call(&shared, move |backend| backend.flows(&query)).await
}

pub(super) async fn drops(State(shared): State<Shared>) -> Result<Response, Refusal> {
    call(&shared, |backend| backend.drops()).await
}

pub(super) async fn recent(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let listing = shared.history.recent(&parameters.event_filter()?, parameters.limit()?);
    Ok(json(crate::to_json(&listing)?))
}

pub(super) async fn events(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let filter = parameters.event_filter()?;
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{STREAMS_MAX} event streams are open, as many as there may be");
        Refusal::new(
            ErrorCode::TooManyStreams,
            message,
            "end another `loadlock observe -f`, or try later.",
        )
    })?;
    peer.is_streaming();
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    Ok(stream::response(&shared, filter, last, permit).into_response())
}

fn json(text: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Calls the backend on a thread where waiting is allowed. The answer is serialised there too: a long one must not hold up
/// the other requests.
pub(super) async fn call<T: Serialize>(
    shared: &Shared,
    work: impl FnOnce(&dyn Backend) -> Result<T, BackendError> + Send + 'static,
) -> Result<Response, Refusal> {
    let calls = shared.calls.clone();
    answer_in_time(shared, async move { calls.acquire_owned().await.ok() }, work).await
}

/// The same in a turn that the caller has.
pub(super) async fn call_in_turn<T: Serialize>(
    shared: &Shared,
    turn: OwnedSemaphorePermit,
    work: impl FnOnce(&dyn Backend) -> Result<T, BackendError> + Send + 'static,
) -> Result<Response, Refusal> {
    answer_in_time(shared, async move { Some(turn) }, work).await
}

async fn answer_in_time<T: Serialize>(
    shared: &Shared,
    turn: impl Future<Output = Option<OwnedSemaphorePermit>>,
    work: impl FnOnce(&dyn Backend) -> Result<T, BackendError> + Send + 'static,
) -> Result<Response, Refusal> {
    let backend = shared.backend.clone();
    let answer = async move {
        let turn = turn.await;
        let task = tokio::task::spawn_blocking(move || {
            // Held until the call ends, also when nobody waits for it any more: that bounds the threads.
            let _turn = turn;
            Ok(crate::to_json(&work(&*backend)?)?)
        });
        task.await
    };
    match timeout(CALL_TIME, answer).await {
        Ok(Ok(answer)) => answer.map(json),
        Ok(Err(_)) => {
            let message = "control failed inside while it worked on this request".to_owned();
            Err(Refusal::new(
                ErrorCode::Internal,
                message,
                "look at control's log, and report this as a bug.",
            ))
        }
        Err(_) => {
            let message = format!(
                "control's core didn't answer within {} s; a change may yet happen",
                CALL_TIME.as_secs()
            );
            Err(Refusal::new(
                ErrorCode::BackendTimeout,
                message,
                "look at `loadlock status`, then try again.",
            ))
        }
    }
}
