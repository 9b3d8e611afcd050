//! What went wrong, on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request failed; programs decide by it, and it is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// 400: the query string has an unknown parameter or a value out of range.
    InvalidQuery,
    /// 400: the body isn't the JSON that this endpoint takes.
    InvalidBody,
    /// 400: no such mode.
    InvalidMode,
    /// 401: no valid token or session.
    Unauthenticated,
    /// 403: the caller's role is too low.
    Forbidden,
    /// 404: no such path.
    UnknownEndpoint,
    /// 404: a path of another API version.
    UnknownVersion,
    /// 404: the configuration has no such segment.
    UnknownSegment,
    /// 405: the path exists, the method doesn't.
    MethodNotAllowed,
    /// 408: the request took too long to arrive.
    RequestTimeout,
    /// 422: the policy text has mistakes; the message has one a line.
    InvalidPolicy,
    /// 422: the configuration file has mistakes; the message has them all.
    InvalidConfiguration,
    /// 409: the state doesn't allow it now.
    Conflict,
    /// 413: the body is too long.
    BodyTooLarge,
    /// 500: the store failed.
    StoreFailed,
    /// 500: a defect of control.
    Internal,
    /// 429: more requests, log-ins or long bodies than a client may send.
    TooManyRequests,
    /// 503: control's core doesn't answer.
    Unavailable,
    /// 503: as many event streams are open as there may be.
    TooManyStreams,
    /// 504: control's core took too long; a change may yet happen.
    BackendTimeout,
    /// One that this client doesn't know: the server is newer.
    #[serde(other)]
    Other,
}

/// Body of every response that isn't a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// For programs.
    pub code: ErrorCode,
    /// For people: place, value found, what is allowed.
    pub message: String,
    /// What would have been allowed, where that is a list; else empty.
    #[serde(default)]
    pub allowed: Vec<String>,
    /// What to do next.
    pub next_step: String,
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of several mistakes each has its line.
        for line in self.message.lines() {
            writeln!(f, "{}", crate::printable(line))?;
        }
        write!(f, "    fix: {}", crate::printable(&self.next_step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_mistakes_has_its_line() {
        let message = "site.toml:3: one\nsite.toml:4: \u{1b}[2Jother".to_owned();
        let (code, next_step) = (ErrorCode::InvalidPolicy, "correct them".to_owned());
        let text = ErrorBody { code, message, allowed: Vec::new(), next_step }.to_string();
        assert_eq!(text, "site.toml:3: one\nsite.toml:4: \\u{1b}[2Jother\n    fix: correct them");
    }

    #[test]
    fn an_error_of_a_newer_server_is_understood() {
        let json = r#"{"code":"quota_exceeded","message":"m","next_step":"n","retry_after_s":3}"#;
        let body: ErrorBody = serde_json::from_str(json).unwrap();
        assert_eq!((body.code, body.allowed.len()), (ErrorCode::Other, 0));
    }
}
