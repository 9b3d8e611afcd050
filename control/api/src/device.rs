//! Devices of the site on the wire: what the policy says of each, and its inventory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::policy::Mode;

/// Most devices of one change.
pub const DEVICES_CHANGED_MAX: usize = 100_000;

/// A device of the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its IP and MAC addresses.
    pub addresses: Vec<String>,
    /// The segment on which it is; null: any.
    pub segment: Option<String>,
    /// Its side, `a` or `b`; null: either.
    pub side: Option<String>,
    /// Its VLAN; null: untagged, unless a permit says otherwise.
    pub vlan: Option<String>,
    /// What kind of device it is.
    pub role: Option<String>,
    /// Where it belongs.
    pub zone: Option<String>,
    /// Its own mode; null: that of its segment.
    pub mode: Option<Mode>,
    /// What is known of it besides: `vendor`, `model`, `serial`, `asset_tag`, `os`, `firmware`, `location`, `owner`, `criticality`
    /// (`low`, `medium`, `high`, `critical`), `end_of_support` (a date).
    pub inventory: BTreeMap<String, String>,
    /// Who its station's address is assigned to, by the IEEE's list (Debian's package ieee-data); null if it isn't known.
    pub vendor_by_mac: Option<String>,
}

/// What is asked of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceQuery {
    /// Only devices of this segment.
    pub segment: Option<String>,
    /// Only devices of this role.
    pub role: Option<String>,
    /// Only devices of this zone.
    pub zone: Option<String>,
    /// Most items, 1 to [`crate::LIMIT_MAX`].
    pub limit: u32,
}

/// What is to be different about one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceChange {
    /// Its name.
    pub name: String,
    /// It may be a new one.
    #[serde(default)]
    pub create: bool,
    /// New values by key, as in a policy document: `address` (several divided by commas), `segment`, `side`, `vlan`, `role`, `zone`, `mode`, and
    /// those of the inventory. Null removes a key.
    pub fields: BTreeMap<String, Option<String>>,
}

/// Body of a change of devices; in force as a policy version of its own, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceChanges {
    /// Up to [`DEVICES_CHANGED_MAX`].
    pub devices: Vec<DeviceChange>,
    /// Why.
    pub reason: String,
}
