//! The audit log: who did what, when, to which policy version. Each entry has the hash of the one before.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::listing::{LIMIT_DEFAULT, Listing};
use crate::time::Time;

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its number in the log, from 1, without gaps.
    pub number: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To which policy version, or which one was in force; 0 for users, tokens and sessions.
    #[serde(default)]
    pub version: u64,
    /// Reason or remark.
    pub note: String,
    /// SHA-256 of all of it and of the entry before, hexadecimal.
    #[serde(default)]
    pub sha256: String,
}

/// Part of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLog {
    /// The newest that fit, newest first. `total` counts the damaged ones too.
    pub entries: Listing<AuditLine>,
    /// Entries among the newest that fit whose content and hash don't agree; they aren't shown. `GET /v1/audit/check` names the first
    /// of all.
    pub damaged: u64,
}

/// What is to be known about the whole log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditCheck {
    /// True if every entry and the chain are whole. A log that was shortened at its end is whole too: that shows only in comparison with
    /// a hash that was noted elsewhere.
    pub is_whole: bool,
    /// Entries from the first on that are whole.
    pub whole_entries: u64,
    /// SHA-256 of the last of these, hexadecimal; null without one.
    pub last_sha256: Option<String>,
    /// The first entry that is damaged, or before which the chain is broken.
    pub broken_entry: Option<u64>,
    /// What is wrong with it, in words.
    pub finding: Option<String>,
}

/// What `GET /v1/audit` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this one did.
    pub actor: Option<String>,
    /// Only such actions.
    pub action: Option<String>,
    /// Only from then on.
    pub since: Option<Time>,
    /// Only entries with a lower number: the next page.
    pub before: Option<u64>,
    /// Most items, 1 to [`crate::LIMIT_MAX`].
    pub limit: u32,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self { actor: None, action: None, since: None, before: None, limit: LIMIT_DEFAULT }
    }
}
