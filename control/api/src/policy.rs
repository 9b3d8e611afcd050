//! Modes and rules on the wire.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::traffic::Side;

/// What a segment, or a device, does with frames that no rule permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Forward, and learn the conversation.
    Learn,
    /// Forward, and report as would-deny.
    Monitor,
    /// Drop.
    Enforce,
    /// Drop everything but infrastructure frames, whatever rules say.
    Quarantine,
}

impl Mode {
    /// Every mode, from the most permissive on.
    pub const ALL: [Self; 4] = [Self::Learn, Self::Monitor, Self::Enforce, Self::Quarantine];

    /// The name in configuration, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        loadlock_exchange::Mode::from(self).name()
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        loadlock_exchange::Mode::from_name(name).map(Self::from)
    }
}

impl From<loadlock_exchange::Mode> for Mode {
    fn from(mode: loadlock_exchange::Mode) -> Self {
        match mode {
            loadlock_exchange::Mode::Learn => Self::Learn,
            loadlock_exchange::Mode::Monitor => Self::Monitor,
            loadlock_exchange::Mode::Enforce => Self::Enforce,
            loadlock_exchange::Mode::Quarantine => Self::Quarantine,
        }
    }
}

impl From<Mode> for loadlock_exchange::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Learn => Self::Learn,
            Mode::Monitor => Self::Monitor,
            Mode::Enforce => Self::Enforce,
            Mode::Quarantine => Self::Quarantine,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Body of `PUT /v1/segments/{segment}/mode`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModeChange {
    /// The mode wanted, by name; a text, so that a wrong one is answered with the right ones.
    pub mode: String,
}

/// Answer to a mode change. It is durable and published; workers judge by it from their next burst on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModeChanged {
    /// The segment.
    pub segment: String,
    /// Its mode now.
    pub mode: Mode,
    /// Its mode before; the same if nothing was to be done.
    pub previous: Mode,
    /// Policy version in the store that has the mode.
    pub policy_version: u64,
    /// Generation in the exchange that has the mode, 0 while no dataplane is attached.
    pub generation: u64,
}

/// Who may send the first packet of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Opens {
    /// The client.
    Client,
    /// The server: notifications, discovery.
    Server,
    /// Either.
    Both,
    /// Nobody: the rule denies.
    Nobody,
}

impl Opens {
    /// The name in files, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
            Self::Nobody => "nobody",
        }
    }
}

/// One rule of the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Number, unique in its policy.
    pub id: u32,
    /// Segment in which it holds.
    pub segment: String,
    /// VLANs in which it holds: `untagged`, `any`, `10`, or `10.20` with the outer tag first.
    pub vlan: String,
    /// Client's address, prefix or `any`.
    pub client: String,
    /// Side on which the client is; null for both.
    pub client_side: Option<Side>,
    /// Server's address, prefix or `any`.
    pub server: String,
    /// What they talk, such as `tcp/5000`.
    pub service: String,
    /// Who may send the first packet.
    pub opens: Opens,
    /// Conversations may be met running at any time, not only in the grace time after start.
    pub midstream: bool,
    /// Why the rule is there.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The rule as a sentence.
    pub words: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_the_same_name_in_json_and_in_the_exchange() {
        for mode in Mode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
        }
        assert_eq!(Mode::from_name("Enforce"), None);
    }

    #[test]
    fn a_word_for_who_opens_is_the_same_in_json() {
        for opens in [Opens::Client, Opens::Server, Opens::Both, Opens::Nobody] {
            assert_eq!(serde_json::to_value(opens).unwrap(), opens.name());
        }
    }
}
