//! What learning asks people, what they said, how ready a site is, and announced windows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::listing::Listing;
use crate::time::Time;

/// Longest reason of an answer or a window, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
/// Longest window, in seconds: 30 days.
pub const WINDOW_S_MAX: u32 = 30 * 86_400;

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionKind {
    /// Held for a person: may it be permitted?
    Held,
    /// Answered, and short of evidence: needed, or chance?
    Waiting,
    /// Sources that scan: approving clears them.
    Convicted,
    /// An address that a second station claims: approving takes the station for its own.
    Claimed,
    /// A host that has another address: approving gives the new one the rights of the old one.
    Move,
    /// The same new thing on several devices of a role.
    RollOut,
    /// A device of its own that is like a role: approving gives it the role's rights.
    NewDevice,
    /// One device does something new.
    Incident,
}

impl QuestionKind {
    /// The name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Convicted => "convicted",
            Self::Claimed => "claimed",
            Self::Move => "move",
            Self::RollOut => "roll-out",
            Self::NewDevice => "new-device",
            Self::Incident => "incident",
        }
    }
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Question {
    /// What an answer names; it changes with what the question is about, so that no answer is about more than was read.
    pub id: String,
    /// What it is about.
    pub kind: QuestionKind,
    /// The question in words.
    pub words: String,
    /// Segments that it is about.
    pub segments: Vec<String>,
    /// What an approval permits, in words: the first [`Question::TUPLES_SHOWN`].
    pub tuples: Vec<String>,
    /// How many there are.
    pub tuples_total: u64,
}

impl Question {
    /// Most tuples that are shown with a question.
    pub const TUPLES_SHOWN: usize = 20;
}

/// Body of `POST /v1/questions/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    /// True: what is asked for is in order.
    pub approve: bool,
    /// Why; it is kept with the answer.
    pub reason: String,
}

/// What became of an answer. It is durable, and what follows from it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// Number of the answer.
    pub number: u64,
    /// The policy version in force.
    pub policy_version: u64,
    /// Its generation; 0 without a dataplane.
    pub generation: u64,
    /// Rules before, and after.
    pub rules: [u64; 2],
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenAnswer {
    /// Its number, from 1.
    pub number: u64,
    /// When.
    pub time: Time,
    /// Who, by the kernel's word.
    pub author: String,
    /// What the question was about.
    pub kind: String,
    /// True if it was approved.
    pub approve: bool,
    /// Why.
    pub reason: String,
    /// The question.
    pub words: String,
}

/// How ready a site is: `GET /v1/readiness`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessReport {
    /// Days of evidence.
    pub days: u32,
    /// Services of roles that exist and weren't seen: estimate, lower and upper bound (95 %).
    pub unseen_services: [f64; 3],
    /// Those that the next thirty days will bring.
    pub new_services_per_month: [f64; 3],
    /// Expected blocked conversations a month if all were enforced today.
    pub blocks_per_month: [f64; 3],
    /// Each device.
    pub devices: Listing<DeviceReadiness>,
}

/// How ready a device is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeviceReadiness {
    /// Its address.
    pub device: String,
    /// Its segment.
    pub segment: String,
    /// Its role, if it has one.
    pub role: Option<String>,
    /// Days on which it was seen.
    pub days: u32,
    /// Its candidates: admitted, held for a person, answered and waiting for evidence.
    pub candidates: [u64; 3],
    /// Expected blocked conversations a month if it was enforced today.
    pub blocks_per_month: [f64; 3],
    /// What is missing.
    pub gaps: Vec<String>,
}

/// A maintenance window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// Its number, from 1.
    pub number: u64,
    /// The segment.
    pub segment: String,
    /// When it opens.
    pub from: Time,
    /// When it closes by itself, or was closed.
    pub until: Time,
    /// Open now.
    pub open: bool,
    /// An enforced segment only reports what it would deny, as long as it is open.
    pub monitor: bool,
    /// Who opened it.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// Body of `POST /v1/windows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowBody {
    /// The segment.
    pub segment: String,
    /// How long, from now on; 1 to [`WINDOW_S_MAX`].
    pub seconds: u32,
    /// True: an enforced segment forwards everything meanwhile, and reports what it would deny.
    pub monitor: bool,
    /// Why.
    pub reason: String,
}

/// What the server asks control for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearningRequest {
    /// The open questions.
    Questions {
        /// Most.
        limit: u32,
    },
    /// An answer to one of them.
    Answer {
        /// Which.
        id: String,
        /// The answer.
        body: AnswerBody,
    },
    /// The answers that were given, the latest first.
    Answers {
        /// Most.
        limit: u32,
    },
    /// How ready the site is.
    Readiness {
        /// Only this segment's devices.
        segment: Option<String>,
        /// Most devices.
        limit: u32,
    },
    /// All windows, the latest first.
    Windows {
        /// Most.
        limit: u32,
    },
    /// Opens a window.
    OpenWindow(WindowBody),
    /// Closes one before its time.
    CloseWindow {
        /// Which.
        number: u64,
    },
}

/// What control answers, by the kind of the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LearningAnswer {
    /// To [`LearningRequest::Questions`].
    Questions(Listing<Question>),
    /// To [`LearningRequest::Answer`].
    Answered(Answered),
    /// To [`LearningRequest::Answers`].
    Answers(Listing<GivenAnswer>),
    /// To [`LearningRequest::Readiness`].
    Readiness(Box<ReadinessReport>),
    /// To [`LearningRequest::Windows`].
    Windows(Listing<Window>),
    /// To [`LearningRequest::OpenWindow`] and [`LearningRequest::CloseWindow`].
    Window(Window),
}
