//! What the store keeps, and what it had to let go.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::thousands;
use crate::time::Time;

/// What the store keeps. Figures are of the last look, at most a minute old.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptStatus {
    /// What the store holds, in bytes.
    pub used_bytes: u64,
    /// What it may hold: `control.retention_mib`, in bytes.
    pub limit_bytes: u64,
    /// How long flow records are to be kept: `control.retention_days`.
    pub days: u32,
    /// From when on there are flow records; null without any.
    pub since: Option<Time>,
    /// Flow records before this time went earlier than wanted, for want of room; null if none did.
    pub shortened_until: Option<Time>,
    /// What must stay is more than the store may hold, by so many bytes.
    pub over_bytes: u64,
    /// Events that no flow record tells of, since control's start: one hour may take a part of the room only.
    pub events_left_out: u64,
}

const MIB: u64 = 1 << 20;

fn mib(bytes: u64) -> String {
    format!("{} MiB", thousands(bytes.div_ceil(MIB)))
}

impl KeptStatus {
    /// What needs somebody's attention.
    pub(crate) fn alarms(&self, alarms: &mut Vec<String>) {
        let Self { used_bytes, limit_bytes, days, .. } = *self;
        let limit = mib(limit_bytes);
        if self.over_bytes > 0 {
            alarms.push(format!(
                "store: it holds {}, allowed are {limit}: policy versions, audit log, answers and evidence stay all the same, flow records \
                 are kept for an hour only; raise control.retention_mib",
                mib(used_bytes)
            ));
        } else if let Some(until) = self.shortened_until {
            alarms.push(format!(
                "store: full, {} of {limit}: flow records before {until} had to go, wanted are {days} days; raise control.retention_mib, \
                 or lower control.retention_days",
                mib(used_bytes)
            ));
        }
        if self.events_left_out > 0 {
            alarms.push(format!(
                "store: {} events are in no flow record, their hour had its share of {limit}; find out who talks to so many, or \
                 raise control.retention_mib",
                thousands(self.events_left_out)
            ));
        }
    }
}
