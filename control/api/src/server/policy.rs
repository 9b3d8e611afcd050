//! The endpoints about policy versions: each makes a [`PolicyRequest`].

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use serde::de::DeserializeOwned;

use super::connection::Peer;
use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::{Pairs, Shared, body, call};
use crate::error::ErrorCode;
use crate::versions::{POLICY_BYTES_MAX, PolicyRequest, Step, TupleQuery};

/// The routes below `/v1/policy`, and that of a device's denials.
pub(super) fn router() -> Router<Shared> {
    // JSON escapes make a text longer.
    let long = || DefaultBodyLimit::max(POLICY_BYTES_MAX * 2);
    Router::new()
        .route("/v1/policy/versions", get(list).post(propose).layer(long()))
        .route("/v1/policy/versions/{number}", get(show))
        .route("/v1/policy/versions/{number}/{step}", post(step))
        .route("/v1/policy/diff", get(diff))
        .route("/v1/policy/confirmation", post(confirm))
        .route("/v1/policy/rollback", post(roll_back))
        .route("/v1/policy/permits", post(allow))
        .route("/v1/policy/zones/{zone}/island", put(island))
        .route("/v1/policy/assertions", post(assertions).layer(long()))
        .route("/v1/policy/test", post(test).layer(long()))
        .route("/v1/policy/verdict", get(verdict))
        .route("/v1/devices/{device}/denials", get(denials))
}

type Answer = Result<Response, Refusal>;

async fn ask(shared: &Shared, peer: Option<Peer>, request: PolicyRequest) -> Answer {
    call(shared, move |backend| {
        let author = peer.map(|peer| peer.author()).unwrap_or_default();
        backend.policy(request, &author)
    })
    .await
}

/// The body as JSON.
async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
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

fn part<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Refusal> {
    path.map(|Path(part)| part).map_err(|rejection| {
        let message = format!("the path can't be read: {}", rejection.body_text());
        Refusal::new(ErrorCode::UnknownEndpoint, message, "write the name in UTF-8.")
    })
}

async fn list(State(shared): State<Shared>, Query(pairs): Pairs) -> Answer {
    let parameters = Parameters::new(pairs, &["limit"])?;
    ask(&shared, None, PolicyRequest::List { limit: parameters.limit()? }).await
}

async fn show(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    Query(pairs): Pairs,
) -> Answer {
    Parameters::new(pairs, &[])?;
    let wanted = match part(path)?.as_str() {
        "in-force" => None,
        text => Some(number(text)?),
    };
    ask(&shared, None, PolicyRequest::Show(wanted)).await
}

async fn diff(State(shared): State<Shared>, Query(pairs): Pairs) -> Answer {
    let parameters = Parameters::new(pairs, &["from", "to", "limit"])?;
    let of = |name| parameters.text(name).map(number).transpose();
    let request =
        PolicyRequest::Diff { from: of("from")?, to: of("to")?, limit: parameters.limit()? };
    ask(&shared, None, request).await
}

async fn propose(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Answer {
    let proposal = read(request).await?;
    ask(&shared, Some(peer), PolicyRequest::Propose(proposal)).await
}

async fn step(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Answer {
    let (text, name) = part(path)?;
    let number = number(&text)?;
    let step = Step::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| {
        let names = Step::ALL.map(Step::name);
        let message =
            format!("\"{name}\" is nothing to do with a version, allowed are {}", names.join(", "));
        Refusal::new(ErrorCode::UnknownEndpoint, message, "use one of them.").allowing(names)
    })?;
    let body = read(request).await?;
    ask(&shared, Some(peer), PolicyRequest::Step { number, step, body }).await
}

async fn confirm(State(shared): State<Shared>, Extension(peer): Extension<Peer>) -> Answer {
    ask(&shared, Some(peer), PolicyRequest::Confirm).await
}

async fn roll_back(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, Some(peer), PolicyRequest::RollBack(body)).await
}

async fn allow(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Answer {
    let body = read(request).await?;
    ask(&shared, Some(peer), PolicyRequest::Allow(body)).await
}

async fn island(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Answer {
    let zone = part(path)?;
    let body = read(request).await?;
    ask(&shared, Some(peer), PolicyRequest::Island(zone, body)).await
}

async fn assertions(State(shared): State<Shared>, request: Request) -> Answer {
    let draft = read(request).await?;
    ask(&shared, None, PolicyRequest::Assert(draft)).await
}

async fn test(State(shared): State<Shared>, Query(pairs): Pairs, request: Request) -> Answer {
    let limit = Parameters::new(pairs, &["limit"])?.limit()?;
    let draft = read(request).await?;
    ask(&shared, None, PolicyRequest::Test(draft, limit)).await
}

async fn verdict(State(shared): State<Shared>, Query(pairs): Pairs) -> Answer {
    let parameters = Parameters::new(pairs, &["client", "server", "service", "segment", "vlan"])?;
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

async fn denials(
    State(shared): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    Query(pairs): Pairs,
) -> Answer {
    Parameters::new(pairs, &[])?;
    ask(&shared, None, PolicyRequest::IsItMe(part(path)?)).await
}
