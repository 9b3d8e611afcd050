//! What differs between the configuration that runs and a new one, and what it takes for each difference to count.

use std::fmt;

use toml::de::DeValue;

use crate::findings::Values;
use crate::settings::Settings;

/// When a key's new value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// Control takes it over while it runs.
    Reload,
    /// Control reads it at its start.
    Control,
    /// The dataplane reads it at its start.
    Dataplane,
    /// Both read it at their start, and have to agree.
    Both,
    /// At the very first start only; later it is a verb's.
    FirstStart,
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reload => "at a reload",
            Self::Control => "at a restart of control",
            Self::Dataplane => "at a restart of the dataplane",
            Self::Both => "at a restart of control and the dataplane",
            Self::FirstStart => "at the first start only, and then by `loadlock mode`",
        })
    }
}

/// When a new value of this key counts. A key that isn't named here needs a restart of whoever its table is for.
pub(crate) fn takes(table: &str, key: &str) -> Takes {
    match (table, key) {
        ("segment", "mode") => Takes::FirstStart,
        // These are in every policy that control publishes.
        ("segment", "infrastructure" | "midstream" | "identity_a" | "identity_b" | "helpers")
        | ("segment", "table_full" | "ring_full")
        | ("control", "version_interval_s" | "admission" | "approver")
        | ("control", "flow_view_capacity" | "log" | "retention_days" | "retention_mib")
        | ("api", "socket_role" | "requests_per_s") => Takes::Reload,
        (table, _) if table.starts_with("outward.") => Takes::Reload,
        // Control numbers counters, rings and rules as the dataplane does, and shows its capacities.
        ("dataplane", "worker_cores")
        | ("exchange", _)
        | ("flows", "narrow_capacity" | "wide_capacity")
        | ("port" | "segment", "name")
        | ("segment", "side_a" | "side_b") => Takes::Both,
        ("dataplane" | "flows" | "port" | "segment", _) => Takes::Dataplane,
        _ => Takes::Control,
    }
}

/// One key with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Path of the key, such as `control.log` or `port[fab-a].mtu`.
    pub key: String,
    /// What runs, in TOML; empty: nothing.
    pub old: String,
    /// What the new file says.
    pub new: String,
    /// When that counts.
    pub takes: Takes,
}

impl Settings {
    /// What `new` says otherwise, in the order of the keys' paths. Ports and segments are compared by their names; if there are others,
    /// or they stand in another order, that is a change of `port` or `segment` as a whole.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let names = [
            ("port", self.port_names(), new.port_names()),
            ("segment", self.segment_names(), new.segment_names()),
        ];
        for (key, old, new) in names {
            if old != new {
                changes.push(Change { key: key.to_owned(), old, new, takes: Takes::Both });
            }
        }
        for (key, value) in &new.values {
            let Some(old) = self.values.get(key).filter(|old| *old != value) else { continue };
            let (table, name) = table_and_key(key);
            let takes = takes(table, name);
            changes.push(Change { key: key.clone(), old: shown(old), new: shown(value), takes });
        }
        changes
    }

    /// Takes over from `new` what [`Takes::Reload`] says of, and nothing else. What differs in other keys is a change as before.
    pub fn take_live(&mut self, new: &Self) {
        for change in self.changes(new) {
            if change.takes == Takes::Reload
                && let Some(value) = new.values.get(&change.key)
            {
                self.values.insert(change.key, value.clone());
            }
        }
        let (control, from) = (&mut self.control, &new.control);
        control.version_interval = from.version_interval;
        control.records_all = from.records_all;
        control.another_approver = from.another_approver;
        control.flow_view_capacity = from.flow_view_capacity;
        control.log = from.log;
        control.retention_days = from.retention_days;
        control.retention_bytes = from.retention_bytes;
        self.api.socket_role.clone_from(&new.api.socket_role);
        self.api.requests_per_s = new.api.requests_per_s;
        self.outward = new.outward.clone();
        for segment in &mut self.segments {
            let Some(from) = new.segments.iter().find(|from| from.name == segment.name) else {
                continue;
            };
            segment.infrastructure = from.infrastructure;
            segment.midstream = from.midstream;
            segment.identity = from.identity;
            segment.helpers = from.helpers;
            segment.table_full = from.table_full;
            segment.ring_full = from.ring_full;
        }
    }

    fn port_names(&self) -> String {
        let names: Vec<&str> = self.ports.iter().map(|port| port.name.as_str()).collect();
        names.join(", ")
    }

    fn segment_names(&self) -> String {
        let names: Vec<&str> = self.segments.iter().map(|segment| segment.name.as_str()).collect();
        names.join(", ")
    }
}

/// `port` and `mtu` of `port[fab-a].mtu`, `outward.file` and `path` of `outward.file.path`.
fn table_and_key(path: &str) -> (&str, &str) {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    (table.split_once('[').map_or(table, |(table, _)| table), key)
}

/// A value for people: memif's secret isn't for them.
fn shown(value: &str) -> String {
    if value.contains("secret = ") {
        return "options with a secret".to_owned();
    }
    value.to_owned()
}

/// A value in TOML such that equal values have equal texts.
pub(crate) fn written_one_way(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", text.escape_default()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            match i128::from_str_radix(&digits, number.radix()) {
                Ok(number) => number.to_string(),
                Err(_) => digits,
            }
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(entries) => {
            let entries = entries.iter().map(|entry| written_one_way(entry.get_ref()));
            format!("[{}]", entries.collect::<Vec<_>>().join(", "))
        }
        DeValue::Table(table) => {
            let mut entries = Values::new();
            for (name, value) in table {
                entries.insert(name.get_ref().to_string(), written_one_way(value.get_ref()));
            }
            let entries = entries.iter().map(|(name, value)| format!("{name} = {value}"));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}
