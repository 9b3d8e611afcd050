//! Policy versions on the wire: proposals, approvals, what is in force, and what would change.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::AuditLine;
use crate::device::{Device, DeviceChanges, DeviceQuery};
use crate::listing::Listing;
use crate::policy::Mode;
use crate::shadow::ShadowStatus;
use crate::time::Time;

/// Longest policy text that a proposal may have, in bytes.
pub const POLICY_BYTES_MAX: usize = 64 << 20;
/// Longest time within which a version can be asked to be confirmed, in seconds.
pub const CONFIRM_WITHIN_S_MAX: u32 = 3_600;
/// Longest time-boxed right, in seconds.
pub const ALLOW_FOR_S_MAX: u64 = 30 * 86_400;

/// What is asked of control about policy; one variant an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRequest {
    /// `GET /v1/policy/versions`.
    List {
        /// Most items; the newest.
        limit: u32,
    },
    /// `GET /v1/policy/versions/{number}`; `None`: the one in force (`in-force`).
    Show(Option<u64>),
    /// `GET /v1/policy/diff`; `from` and `to` default to the version in force.
    Diff {
        /// The older one.
        from: Option<u64>,
        /// The newer one.
        to: Option<u64>,
        /// Most items of each kind.
        limit: u32,
    },
    /// `POST /v1/policy/versions`.
    Propose(Proposal),
    /// `POST /v1/policy/versions/{number}/{action}`.
    Step {
        /// Which.
        number: u64,
        /// What.
        step: Step,
        /// Details.
        body: StepBody,
    },
    /// `POST /v1/policy/confirmation`.
    Confirm,
    /// `POST /v1/policy/rollback`.
    RollBack(RollBack),
    /// `POST /v1/policy/permits`.
    Allow(Allow),
    /// `PUT /v1/policy/zones/{zone}/island`.
    Island(String, IslandSwitch),
    /// `POST /v1/policy/assertions`: of a version, or of a text.
    Assert(Draft),
    /// `POST /v1/policy/test`: of a version, or of a text.
    Test(Draft, u32),
    /// `GET /v1/policy/verdict`: why a conversation is permitted or not.
    Tuple(TupleQuery),
    /// `GET /v1/devices/{device}/denials`: is it Loadlock?
    IsItMe(String),
    /// `PUT /v1/policy/shadow`: this draft, instead of one that runs already.
    StartShadow(Draft),
    /// `DELETE /v1/policy/shadow`.
    StopShadow,
    /// `GET /v1/policy/shadow`.
    Shadow(u32),
    /// `GET /v1/devices`.
    Devices(DeviceQuery),
    /// `GET /v1/devices/{device}`.
    Device(String),
    /// `POST /v1/devices`.
    ChangeDevices(DeviceChanges),
}

/// What a person does with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Approve it.
    Approve,
    /// Reject it.
    Reject,
    /// Put it in force.
    Apply,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Reject, Self::Apply];

    /// The name on the wire and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Apply => "apply",
        }
    }
}

/// Body of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepBody {
    /// Reason or remark; a rejection needs one.
    pub note: String,
    /// Of `apply`: taken back unless confirmed within so many seconds, 1 to [`CONFIRM_WITHIN_S_MAX`].
    pub confirm_within_s: Option<u32>,
}

/// Body of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The policy document: TOML, or a JSON object with the same names, which is kept as TOML.
    pub text: String,
    /// Its name in messages, such as the file's.
    pub place: String,
    /// Why it is proposed.
    pub reason: String,
    /// The ticket it belongs to; may be empty.
    #[serde(default)]
    pub ticket: String,
}

/// Body of a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollBack {
    /// The version whose content is wanted; absent: what was in force before a person last changed it.
    pub to: Option<u64>,
    /// Why.
    pub reason: String,
}

/// Body of a time-boxed right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Who asks, as in a permit.
    pub from: String,
    /// Who answers, as in a permit.
    pub to: String,
    /// What they talk, as in a permit.
    pub service: String,
    /// Where, if neither end is a device of a segment.
    #[serde(default)]
    pub segment: Option<String>,
    /// How long, in seconds, 1 to [`ALLOW_FOR_S_MAX`].
    pub for_s: u64,
    /// Why.
    pub reason: String,
}

/// Body of an island switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IslandSwitch {
    /// Cut the zone off, or let it back.
    pub island: bool,
    /// Why.
    pub reason: String,
}

/// A version by its number, or a text that isn't one yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Draft {
    /// A stored version; absent, and no text either: the one in force.
    pub version: Option<u64>,
    /// A policy document.
    pub text: Option<String>,
    /// The text's name in messages.
    pub place: String,
}

/// A conversation that is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TupleQuery {
    /// Client's address.
    pub client: String,
    /// Server's address.
    pub server: String,
    /// Such as `tcp/5000`.
    pub service: String,
    /// Segment; absent: every one.
    pub segment: Option<String>,
    /// VLAN; absent: untagged.
    pub vlan: Option<String>,
}

/// A version without its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersion {
    /// Its number.
    pub number: u64,
    /// `proposed`, `approved`, `rejected`, `unconfirmed` (in force, to be confirmed), `in force`, `superseded`.
    pub state: String,
    /// Who made it.
    pub author: String,
    /// Who approved it.
    pub approver: Option<String>,
    /// Why.
    pub reason: String,
    /// The ticket it belongs to; may be empty.
    pub ticket: String,
    /// When it was made.
    pub created: Time,
    /// When it was last put in force.
    pub applied: Option<Time>,
    /// The version that was in force when it was made.
    pub previous: Option<u64>,
    /// SHA-256 of all of it, hexadecimal.
    pub sha256: String,
}

/// A version with its texts and its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyText {
    /// The version.
    pub version: PolicyVersion,
    /// Mode of each segment.
    pub modes: Vec<(String, Mode)>,
    /// What people wrote; empty if nobody has yet.
    pub source: String,
    /// All rules that follow, in the file form.
    pub rules: String,
    /// What was done to it, oldest first.
    pub audit: Vec<AuditLine>,
}

/// A rule of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleChange {
    /// Its number.
    pub rule: u32,
    /// Its segment.
    pub segment: String,
    /// What it says now.
    pub words: String,
    /// What stood there before, or what makes it superfluous; null where there is nothing.
    pub other: Option<String>,
    /// Why the rule is, or was, there.
    pub reason: String,
}

/// What changes from one version to another, in meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDiff {
    /// The older version.
    pub from: u64,
    /// The newer version; 0: a text that isn't one.
    pub to: u64,
    /// Permits what nothing permitted before.
    pub added: Listing<RuleChange>,
    /// Permitted what nothing like it permits now.
    pub removed: Listing<RuleChange>,
    /// Permits what a rule before permitted, and more.
    pub widened: Listing<RuleChange>,
    /// Permits part of what a rule before permitted.
    pub narrowed: Listing<RuleChange>,
    /// New, and within what a more general rule permits: it adds nothing.
    pub shadowed: Listing<RuleChange>,
    /// In both, and not used for 90 days, where there is evidence for that long.
    pub unused: Listing<RuleChange>,
    /// Segments whose mode changes, in words.
    pub modes: Vec<String>,
}

/// Answer to a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposed {
    /// The proposal.
    pub version: PolicyVersion,
    /// What it would change.
    pub diff: PolicyDiff,
    /// Assertions that fail, in words; it can't be applied while there are any.
    pub failing: Vec<String>,
}

/// Answer to a change of what is in force. It is durable and published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChanged {
    /// The version, as it stands now.
    pub version: PolicyVersion,
    /// Generation in the exchange, 0 while no dataplane is attached.
    pub generation: u64,
    /// Until when it must be confirmed.
    pub confirm_by: Option<Time>,
    /// What somebody has to know or do next.
    pub next_step: Option<String>,
}

/// An assertion and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssertionResult {
    /// Its name.
    pub name: String,
    /// It holds.
    pub holds: bool,
    /// A packet that shows that it doesn't, and which rule decides it; or why it can't be decided.
    pub counterexample: Option<String>,
}

/// A conversation of the kept evidence whose verdict would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerdictChange {
    /// Segment.
    pub segment: String,
    /// Client's device or address.
    pub client: String,
    /// Server's device or address.
    pub server: String,
    /// What they talk.
    pub service: String,
    /// Verdict in force: `allow`, `would-deny` or `deny`, with the rule or reason.
    pub now: String,
    /// Verdict under the draft.
    pub then: String,
    /// Hours of the day (UTC) in which it was seen.
    pub hours: Vec<u8>,
    /// Days on which it was seen.
    pub days: u32,
    /// When it was last seen.
    pub last_seen: Time,
    /// Conversations seen.
    pub conversations: u64,
}

/// Answer to a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestResult {
    /// Pieces of evidence, and flow records (one for each kind of conversation and hour), that were judged.
    pub judged: u64,
    /// First and last moment of them.
    pub span: Option<(Time, Time)>,
    /// What would change, what is denied first.
    pub changes: Listing<VerdictChange>,
}

/// Why a conversation is permitted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TupleAnswer {
    /// Segment.
    pub segment: String,
    /// The conversation, in words.
    pub tuple: String,
    /// `allow`, `would-deny` or `deny`.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// The rules nearest to it, with what differs, nearest first.
    pub nearest: Vec<String>,
    /// What to do.
    pub next_steps: Vec<String>,
}

/// One kind of conversation that was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denial {
    /// In words.
    pub tuple: String,
    /// Segment.
    pub segment: String,
    /// `deny`, or `would-deny` where nothing was dropped.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Conversations, counted by their reports.
    pub conversations: u64,
    /// Packets of those reports.
    pub packets: u64,
    /// The first.
    pub since: Time,
    /// The latest.
    pub last: Time,
    /// What made it so, as far as it is known.
    pub cause: String,
    /// A safe way on.
    pub next_step: String,
}

/// Is it Loadlock?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IsItMe {
    /// The device, by name and addresses.
    pub device: String,
    /// The answer in one sentence.
    pub answer: String,
    /// Since when control watches; what was before it can't know.
    pub watching_since: Time,
    /// Reports of denials that were lost or forgotten since.
    pub forgotten: u64,
    /// What was denied, latest first.
    pub denials: Vec<Denial>,
}

/// An answer; on the wire it is what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(
    missing_docs,
    clippy::large_enum_variant,
    reason = "each variant is the type that it holds, and lives for one answer"
)]
pub enum PolicyAnswer {
    Versions(Listing<PolicyVersion>),
    Text(PolicyText),
    Diff(PolicyDiff),
    Proposed(Proposed),
    Version(PolicyVersion),
    Changed(PolicyChanged),
    Assertions(Vec<AssertionResult>),
    Test(TestResult),
    Tuple(Vec<TupleAnswer>),
    IsItMe(IsItMe),
    Shadow(ShadowStatus),
    Devices(Listing<Device>),
    Device(Device),
}
