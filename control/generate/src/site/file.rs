//! A site's file as it is written. `config/scenarios/fab-40.toml` explains every key.

use std::net::Ipv4Addr;

use serde::Deserialize;
use toml::value::Datetime;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteFile {
    /// Another file of the same folder, to which this one adds.
    pub base: Option<String>,
    pub site: Option<SiteTable>,
    #[serde(default)]
    pub host: Vec<HostTable>,
    #[serde(default)]
    pub model: Vec<ModelTable>,
    #[serde(default)]
    pub talk: Vec<TalkTable>,
    #[serde(default)]
    pub change: Vec<ChangeTable>,
    #[serde(default)]
    pub attack: Vec<AttackTable>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteTable {
    pub start: Option<Datetime>,
    pub days: Option<u32>,
    pub learn_days: Option<u32>,
    pub bays: Option<u8>,
    pub gateway_mac: Option<String>,
    #[serde(default)]
    pub variants: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostTable {
    pub name: String,
    pub address: Ipv4Addr,
    #[serde(default)]
    pub open: Vec<u16>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelTable {
    pub name: String,
    pub count: u32,
    pub first: Ipv4Addr,
    pub oui: String,
    #[serde(default = "modern_ports")]
    pub client_ports: (u16, u16),
    /// Ports that are open without anybody needing them.
    #[serde(default)]
    pub open: Vec<u16>,
}

fn modern_ports() -> (u16, u16) {
    (49_152, 65_535)
}

/// One name or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TalkTable {
    pub name: String,
    pub from: Names,
    pub to: Names,
    pub service: String,
    pub every_s: Option<f64>,
    #[serde(default)]
    pub jitter: Option<f64>,
    pub per_days: Option<f64>,
    pub at: Option<String>,
    #[serde(default)]
    pub weekdays: Vec<String>,
    pub month_day: Option<u32>,
    #[serde(default)]
    pub month_staggered: bool,
    #[serde(default)]
    pub shifts: bool,
    #[serde(default = "all")]
    pub share: f64,
    #[serde(default)]
    pub one_way: bool,
    pub seconds: Option<f64>,
    pub bytes: Option<(u64, u64)>,
    /// Connections on negotiated ports that follow each conversation.
    pub data_ports: Option<(u16, u16)>,
    #[serde(default)]
    pub data_active: bool,
    /// Only once this change has reached the device.
    pub after: Option<String>,
    /// Only until then.
    pub until: Option<String>,
    pub variant: Option<String>,
}

fn all() -> f64 {
    1.0
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeTable {
    pub name: String,
    pub kind: String,
    pub day: f64,
    #[serde(default)]
    pub hours: Option<f64>,
    pub model: Option<String>,
    pub host: Option<String>,
    pub to: Option<Ipv4Addr>,
    pub count: Option<u32>,
    #[serde(default = "yes")]
    pub announced: bool,
    pub variant: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttackTable {
    pub name: String,
    pub kind: String,
    pub day: f64,
    #[serde(default)]
    pub hours: Option<f64>,
    #[serde(default)]
    pub every_s: Option<f64>,
    pub source: Option<Ipv4Addr>,
    pub sources: Option<u32>,
    pub model: Option<String>,
    #[serde(default)]
    pub ports: Vec<u16>,
    pub target: Option<Ipv4Addr>,
    /// Addresses without anybody behind them that a scan tries as well, as a share of all it tries.
    #[serde(default)]
    pub unused: Option<f64>,
    pub variant: Option<String>,
}
