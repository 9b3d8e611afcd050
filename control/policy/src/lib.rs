//! The rules of the allowlist: raw → validated → compiled.
//!
//! ```text
//!  TOML text ─┐                                       ┌─► canonical TOML, its SHA-256
//!  JSON value ┼─► PolicyFile ──validate──► Policy ────┼─► sentences for people
//!  learner ───┴──────── Rule::new ───────────┘        └─► PolicyImage (a slot of the exchange)
//! ```
//!
//! A [`PolicyFile`] is what somebody wrote; it may hold anything. A [`Policy`] has private fields and is valid:
//! addresses, kinds and services fit together, no two rules mean the same, and the rules need no more shapes than
//! a lookup can afford. What remains for [`Policy::compile`] to refuse depends on the machine: the segments that the
//! configuration has, and the room in the exchange.
//!
//! There is no I/O here, no clock and no randomness: the same rules give the same bytes.
//!
//! Tested by unit tests beside each module, by round trips of random policies, and by comparing compiled lookups
//! with a slow matcher that reads the rules one after the other (`tests/`).
#![forbid(unsafe_code)]

mod address;
mod binding;
mod block;
mod canonical;
mod compile;
mod diff;
mod document;
mod error;
mod file;
mod merge;
mod message;
mod policy;
mod read;
mod rule;
mod service;
mod validate;
mod vlan;
mod write;

pub use address::{AddressMatch, Prefix};
pub use binding::{Binding, BindingParts, LEARNED};
pub use block::Block;
pub use compile::{PolicyCompileError, SegmentDefinition, UnknownSegment};
pub use diff::{Difference, permits_all_of};
pub use document::{
    AddressMode, Assertion, DEVICE_KEYS, Device, DeviceEdit, Document, INVENTORY_KEYS, Island,
    Permit, Refusal, Space, Zone, check_device,
};
pub use error::{PolicyError, PolicyErrors, Problem, Refused};
pub use file::{BindingFile, FILE_FORMAT, PolicyFile, RuleFile, VlanFile};
pub use policy::{Policy, PolicyHash};
pub use rule::{Opens, REASON_CHARACTERS_MAX, Rule, RuleParts};
pub use service::{Protocol, Service};
pub use vlan::VlanMatch;
