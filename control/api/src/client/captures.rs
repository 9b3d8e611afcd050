//! Requests about captures.

use hyper::Method;

use super::{Client, ClientError};
use crate::capture::{Capture, CaptureBody, CapturePage, CaptureQuery};

/// Errors of every request here: [`ClientError`].
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// `POST /v1/captures`. Every worker captures when this returns.
    pub fn start_capture(&self, body: &CaptureBody) -> Result<Capture, ClientError> {
        self.send_json(Method::POST, "/v1/captures", body)
    }

    /// `GET /v1/captures/{id}/frames`: what has come since; ask at least every few seconds.
    pub fn captured(&self, query: CaptureQuery) -> Result<CapturePage, ClientError> {
        let CaptureQuery { id, after, limit } = query;
        let path = format!("/v1/captures/{id}/frames?after={after}&limit={limit}");
        self.ask(Method::GET, &path, None)
    }

    /// `DELETE /v1/captures/{id}`: no more frames; those that there are can still be asked for.
    pub fn stop_capture(&self, id: u64) -> Result<Capture, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/captures/{id}"), None)
    }
}
