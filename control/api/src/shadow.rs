//! A draft beside the policy in force, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::listing::Listing;
use crate::time::Time;

/// A kind of conversation, and what the draft would have done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowRow {
    /// Segment.
    pub segment: String,
    /// Client's device or address.
    pub client: String,
    /// Server's device or address.
    pub server: String,
    /// What they talk.
    pub service: String,
    /// What the policy in force did with the latest: `allow`, `would-deny` or `deny`.
    pub now: String,
    /// What the draft would have done, if its segment was enforced: `allow` with the rule, or `deny` with the reason.
    pub then: String,
    /// Conversations that began, and denials that were reported.
    pub conversations: u64,
    /// The latest.
    pub last: Time,
}

/// How the draft does on live traffic. It forwards and drops nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShadowStatus {
    /// The draft's name: a version, or a file.
    pub draft: String,
    /// Who started it.
    pub author: String,
    /// Since when it judges; it ends with control.
    pub started: Time,
    /// Conversations that it would allow.
    pub would_allow: u64,
    /// Conversations that it would deny.
    pub would_deny: u64,
    /// Conversations that had no room among the kinds; they are in the sums.
    pub left_out: u64,
    /// Kinds of conversations, what would change first: newly denied, then newly allowed, then the rest, each by its count.
    pub rows: Listing<ShadowRow>,
}
