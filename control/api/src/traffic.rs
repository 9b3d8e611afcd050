//! Conversations and drop counters on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// One of the two doors of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The port configured as `side_a`.
    A,
    /// The port configured as `side_b`.
    B,
}

impl Side {
    /// The name in API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl From<loadlock_packet::Side> for Side {
    fn from(side: loadlock_packet::Side) -> Self {
        match side {
            loadlock_packet::Side::A => Self::A,
            loadlock_packet::Side::B => Self::B,
        }
    }
}

impl From<Side> for loadlock_packet::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

/// What becomes, or became, of a conversation's frames. The same words as in a replay's verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Forwarded.
    Allow,
    /// Forwarded, but enforce mode would drop it.
    WouldDeny,
    /// Dropped.
    Deny,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Allow, Self::WouldDeny, Self::Deny];

    /// The verdict of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }

    /// The name in API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::WouldDeny => "would-deny",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlowState {
    /// TCP whose responder hasn't answered the SYN, or anything else that only one end has spoken in.
    Opening,
    /// Both ends have spoken.
    Open,
    /// Met running: who opened it isn't known.
    Midstream,
}

impl FlowState {
    /// The name in API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Midstream => "midstream",
        }
    }
}

/// One live conversation. Frames denied in enforce mode make none; they are in [`DropCount`] and events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// Segment that it crosses.
    pub segment: String,
    /// `untagged`, `10`, or `10.20` with the outer tag first.
    pub vlan: String,
    /// Address of the client: by the rule if there is one, else who opened it.
    pub client: String,
    /// The client's port; null where the protocol has none.
    pub client_port: Option<u16>,
    /// Side on which the client is.
    pub client_side: Side,
    /// Address of the server.
    pub server: String,
    /// What they talk, such as `tcp/5000`.
    pub service: String,
    /// Side that sent the first packet seen.
    pub initiator: Side,
    /// How far it is.
    pub state: FlowState,
    /// Rule that permits it.
    pub rule: Option<u32>,
    /// What becomes of its frames.
    pub verdict: Verdict,
    /// First packet seen.
    pub started: Time,
    /// Packets from the client, as of the last report.
    pub client_packets: u64,
    /// Frame bytes from the client, without FCS.
    pub client_bytes: u64,
    /// Packets from the server.
    pub server_packets: u64,
    /// Frame bytes from the server, without FCS.
    pub server_bytes: u64,
}

/// Frames received on one port and not permitted, for one reason, since the dataplane's region was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropCount {
    /// Segment of the port.
    pub segment: String,
    /// Port that received them.
    pub port: String,
    /// Name of the reason, such as `no_rule`; stable.
    pub reason: String,
    /// What the reason means, for people.
    pub meaning: String,
    /// Frames dropped.
    pub dropped_packets: u64,
    /// Frames forwarded that enforce mode would drop.
    pub would_deny_packets: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json() {
        for side in [Side::A, Side::B] {
            assert_eq!(serde_json::to_value(side).unwrap(), side.name());
        }
        for verdict in [Verdict::Allow, Verdict::WouldDeny, Verdict::Deny] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
        for state in [FlowState::Opening, FlowState::Open, FlowState::Midstream] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
