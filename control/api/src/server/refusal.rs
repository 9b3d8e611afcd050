//! Everything a request can be refused for, with its status.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::endpoint::Endpoint;
use super::endpoints;
use crate::backend::BackendError;
use crate::error::{ErrorBody, ErrorCode};
use crate::policy::Mode;

/// A refused request.
pub(super) struct Refusal(ErrorBody);

/// Every endpoint as refusals list them.
fn names() -> Vec<String> {
    endpoints::all().iter().map(Endpoint::name).collect()
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: String, next_step: &str) -> Self {
        Self(ErrorBody { code, message, allowed: Vec::new(), next_step: next_step.to_owned() })
    }

    pub(super) fn allowing<T: ToString>(mut self, allowed: impl IntoIterator<Item = T>) -> Self {
        self.0.allowed = allowed.into_iter().map(|one| one.to_string()).collect();
        self
    }

    pub(super) fn invalid_mode(found: &str) -> Self {
        let names = Mode::ALL.map(Mode::name);
        let message = format!("\"{found}\" is no mode, allowed are {}", names.join(", "));
        Self::new(ErrorCode::InvalidMode, message, "send one of them.").allowing(names)
    }

    pub(super) fn unknown_endpoint(method: &str, path: &str) -> Self {
        let version = path.trim_start_matches('/').split('/').next().unwrap_or("");
        let own = format!("v{}", crate::API_VERSION);
        let digits = version.strip_prefix('v').unwrap_or("");
        let is_version = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let refusal = if is_version && version != own {
            let message = format!("this control speaks API {own}, not {version}");
            Self::new(
                ErrorCode::UnknownVersion,
                message,
                "use a client of the version that control has.",
            )
        } else {
            let message = format!("there is no {method} {path}");
            Self::new(ErrorCode::UnknownEndpoint, message, "use one of the endpoints allowed.")
        };
        refusal.allowing(names())
    }

    pub(super) fn method_not_allowed(method: &str, path: &str) -> Self {
        let message = format!("{path} doesn't take {method}");
        Self::new(ErrorCode::MethodNotAllowed, message, "use one of the endpoints allowed.")
            .allowing(names())
    }

    /// A client that sends more than its rate; it may go on after `wait`.
    pub(super) fn too_fast(what: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64();
        let message =
            format!("too many {what} from this client; the next may come in {seconds:.2} s");
        Self::new(ErrorCode::TooManyRequests, message, "wait, and send fewer at a time.")
    }

    fn status(&self) -> StatusCode {
        match self.0.code {
            ErrorCode::InvalidQuery | ErrorCode::InvalidBody | ErrorCode::InvalidMode => {
                StatusCode::BAD_REQUEST
            }
            ErrorCode::UnknownEndpoint | ErrorCode::UnknownVersion | ErrorCode::UnknownSegment => {
                StatusCode::NOT_FOUND
            }
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::InvalidPolicy | ErrorCode::InvalidConfiguration => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::StoreFailed | ErrorCode::Internal | ErrorCode::Other => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable | ErrorCode::TooManyStreams => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::BackendTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        let message = error.to_string();
        match error {
            BackendError::UnknownSegment { known, .. } => {
                Self::new(ErrorCode::UnknownSegment, message, "name one of the segments.")
                    .allowing(known)
            }
            BackendError::Conflict { next_step, .. } => {
                Self::new(ErrorCode::Conflict, message, &next_step)
            }
            BackendError::InvalidSettings { .. } => Self::new(
                ErrorCode::InvalidConfiguration,
                message,
                "correct every line that is named, then reload again; nothing was changed.",
            ),
            BackendError::InvalidPolicy { .. } => Self::new(
                ErrorCode::InvalidPolicy,
                message,
                "correct every line that is named, then send it again; nothing was changed.",
            ),
            BackendError::Unauthenticated => super::guard::unauthenticated(),
            BackendError::WrongLogin => Self::new(
                ErrorCode::Unauthenticated,
                message,
                "try again; an admin sets a new password with `loadlock user password`.",
            ),
            BackendError::Forbidden { next_step, .. } => {
                Self::new(ErrorCode::Forbidden, message, &next_step)
            }
            BackendError::Invalid { next_step, .. } => {
                Self::new(ErrorCode::InvalidBody, message, &next_step)
            }
            BackendError::Unavailable { .. } => Self::new(
                ErrorCode::Unavailable,
                message,
                "try again in a few seconds; if it stays so, look at control's log.",
            ),
            BackendError::Store { .. } => Self::new(
                ErrorCode::StoreFailed,
                message,
                "check free space and mode of the store's folder, then try again.",
            ),
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        let message = format!("the answer can't be written as JSON: {error}");
        Self::new(ErrorCode::Internal, message, "report this as a bug.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        // The body's texts can't fail to serialise; an empty body still has its status.
        let json = crate::to_json(&self.0).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, "application/json")], json).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1: a 401 names the scheme.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
