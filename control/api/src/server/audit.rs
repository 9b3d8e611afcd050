//! The endpoints of the audit log.

use axum::extract::State;
use axum::response::Response;

use super::query::Parameters;
use super::refusal::Refusal;
use super::routes::{Shared, call};
use crate::audit::AuditQuery;

pub(super) async fn list(
    State(shared): State<Shared>,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    let query = AuditQuery {
        actor: parameters.text("actor").map(str::to_owned),
        action: parameters.text("action").map(str::to_owned),
        since: parameters.parsed("since")?,
        before: parameters.number("before")?,
        limit: parameters.limit()?,
    };
    call(&shared, move |backend| backend.audit(&query)).await
}

pub(super) async fn check(State(shared): State<Shared>) -> Result<Response, Refusal> {
    call(&shared, |backend| backend.check_audit()).await
}
