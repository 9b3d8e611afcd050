//! Decisions of learning, in words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExplanationKind {
    /// A rule in force, by its number.
    Rule,
    /// What was seen, by words of it: client, server, service, or some of them.
    Candidate,
    /// A convicted source, by its address.
    Conviction,
}

impl ExplanationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Rule, Self::Candidate, Self::Conviction];

    /// The name on the wire and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Candidate => "candidate",
            Self::Conviction => "conviction",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Parameters of `GET /v1/explanations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplanationQuery {
    /// What is asked about.
    pub kind: ExplanationKind,
    /// Which.
    pub subject: String,
    /// Most answers.
    pub limit: u32,
}

/// A decision: what, why, on what evidence, and what would change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// What it is about.
    pub subject: String,
    /// The decision, in one word.
    pub decision: String,
    /// Why.
    pub reasons: Vec<String>,
    /// On what.
    pub evidence: Vec<String>,
    /// What would change it.
    pub would_change: Vec<String>,
    /// Who answers for it; learning itself if nobody does.
    pub owner: Option<String>,
    /// First use.
    pub first_used: Option<Time>,
    /// Last use.
    pub last_used: Option<Time>,
}
