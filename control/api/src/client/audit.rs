//! Requests about the audit log.

use hyper::Method;

use super::{Client, ClientError, percent_encoded};
use crate::audit::{AuditCheck, AuditLog, AuditQuery};

/// Errors of every request here: [`ClientError`].
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
impl Client {
    /// `GET /v1/audit`.
    pub fn audit(&self, query: &AuditQuery) -> Result<AuditLog, ClientError> {
        let mut path = format!("/v1/audit?limit={}", query.limit);
        let texts = [
            ("actor", query.actor.clone()),
            ("action", query.action.clone()),
            ("since", query.since.map(|time| time.to_string())),
            ("before", query.before.map(|number| number.to_string())),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", percent_encoded(&value)));
            }
        }
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/audit/check`: reads the whole log.
    pub fn check_audit(&self) -> Result<AuditCheck, ClientError> {
        self.ask(Method::GET, "/v1/audit/check", None)
    }
}
