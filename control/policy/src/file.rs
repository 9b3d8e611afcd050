//! Rules as they are written, by a person or a program: anything may be wrong with them.

use serde::{Deserialize, Serialize};

use crate::error::PolicyErrors;
use crate::policy::Policy;
use crate::read;
use crate::validate;

/// The format that this version writes and reads.
pub const FILE_FORMAT: i64 = 1;

/// A set of rules before validation: the TOML file, and with the same names the JSON of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Format, [`FILE_FORMAT`].
    pub format: i64,
    /// The rules.
    #[serde(default)]
    pub rule: Vec<RuleFile>,
    /// The bindings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binding: Vec<BindingFile>,
}

/// One binding before validation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindingFile {
    /// Name of the segment; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The VLAN. Absent: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanFile>,
    /// Side of the segment, `a` or `b`; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// The IP address. Absent: a station without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The station. Absent: any on this side may speak for the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Why; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One rule before validation. What may be absent has its default in [`PolicyFile::validate`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Number, from 1. Absent: the smallest free one, in the order of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// Name of the segment; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// VLANs. Absent: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanFile>,
    /// Client's address; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Side of the segment on which the client is: `a`, `b` or `both`. Absent: both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_side: Option<String>,
    /// Server's address; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What they talk; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Who may send the first packet: `client`, `server` or `both`. Absent: client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<String>,
    /// Whether it may be met running at any time. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub midstream: Option<bool>,
    /// Why the rule is there; mandatory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// A VLAN as it is written: a number, or a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VlanFile {
    /// One id.
    Id(i64),
    /// `untagged`, `any`, one id, or two.
    Text(String),
}

impl PolicyFile {
    /// Reads and validates a TOML text; `place` is its name in messages. Time and memory are linear in the text.
    ///
    /// # Errors
    /// All mistakes at once, in the order of their lines. If the text isn't TOML, only what the TOML parser found.
    pub fn parse(text: &str, place: &str) -> Result<Policy, PolicyErrors> {
        read::parse(text, place)
    }

    /// Validates rules that were read by other means; `place` is their name in messages.
    ///
    /// # Errors
    /// All mistakes at once, in the order of the rules.
    pub fn validate(self, place: &str) -> Result<Policy, PolicyErrors> {
        validate::without_lines(self, place)
    }
}

impl From<&Policy> for PolicyFile {
    /// Writes every field out, as [`Policy::to_toml`] does.
    fn from(policy: &Policy) -> Self {
        let rule = policy.rules().iter().map(RuleFile::from).collect();
        let binding = policy.bindings().iter().map(BindingFile::from).collect();
        Self { format: FILE_FORMAT, rule, binding }
    }
}
