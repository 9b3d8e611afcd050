//! Bypass on the wire: a segment forwards everything, unjudged, because a person says so.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// Longest time-boxed bypass, in seconds: 30 days.
pub const BYPASS_S_MAX: u64 = 30 * 86_400;

/// Body of `PUT /v1/segments/{segment}/bypass`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BypassBody {
    /// Into bypass, or out of it.
    pub on: bool,
    /// For how long, 1 to [`BYPASS_S_MAX`]; absent: until it is taken out. Only with `on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Why, for the audit log.
    pub reason: String,
}

/// That a segment is in bypass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bypass {
    /// Since when.
    pub since: Time,
    /// When it ends by itself; null: when somebody takes it out.
    pub until: Option<Time>,
    /// Who put it into bypass.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// Answer to `PUT /v1/segments/{segment}/bypass`: durable, and done by the dataplane if that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BypassChanged {
    /// The segment.
    pub segment: String,
    /// What holds now; null: its frames are judged.
    pub bypass: Option<Bypass>,
    /// What held before.
    pub previous: Option<Bypass>,
    /// The dataplane does it already; false while none runs.
    pub in_force: bool,
}
