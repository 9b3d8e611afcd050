//! Which station has which address.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;
use crate::traffic::Side;

/// One binding of the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Binding {
    /// Segment.
    pub segment: String,
    /// VLAN: `untagged`, `10`, or `10.20` with the outer tag first.
    pub vlan: String,
    /// Where it is.
    pub side: Side,
    /// The address; null for a station without one.
    pub address: Option<String>,
    /// The station; null: any on this side.
    pub mac: Option<String>,
    /// How it is held: `mac-ip`; `ip`: to its side only; `learning`: not yet, its segment learns; `off`: not by configuration.
    pub held: String,
    /// Why it is there.
    pub reason: String,
    /// The binding as a sentence.
    pub words: String,
}

/// Body of `PUT /v1/segments/{segment}/bindings`: an address gets another station, by a person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingRenewal {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Its station from now on, or `any`.
    pub mac: String,
    /// The VLAN; untagged if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<String>,
    /// Where it is from now on; as before if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
}

/// Answer to a renewal. It is durable and published; workers judge by it from their next burst on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BindingRenewed {
    /// The binding now.
    pub binding: Binding,
    /// The one before it; null if the address wasn't bound.
    pub previous: Option<Binding>,
    /// When.
    pub time: Time,
    /// Policy version in the store that has it.
    pub policy_version: u64,
    /// Generation in the exchange that has it, 0 while no dataplane is attached.
    pub generation: u64,
}
