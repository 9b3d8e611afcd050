//! What a user may do.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Roles, each with what those before it may do. The least role of each endpoint stands in `server/endpoints.rs`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but accounts, changes nothing.
    Viewer,
    /// Proposes, puts in force what is approved, cuts off, rolls back.
    Operator,
    /// Also decides what is permitted: approves, answers questions, changes modes.
    Approver,
    /// Also manages users, tokens and sessions.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The name on the wire, in the configuration and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
