//! Where figures and events go besides the API.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::{printable, thousands};
use crate::time::Time;

/// One receiver of what goes outward: a syslog server, a collector, a file, the endpoint for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkStatus {
    /// `metrics`, `file`, or the kind with a number from 1: `syslog-2`.
    pub name: String,
    /// Where it is, such as `tls://siem.fab:6514`.
    pub target: String,
    /// Since when it can be written to; null while it can't. A server behind UDP is only known to be gone when its machine says so.
    pub connected_since: Option<Time>,
    /// What was handed over since control's start: events; records of conversations; answers.
    pub sent: u64,
    /// What was given up because its spool was full or the receiver refused it.
    pub lost: u64,
    /// What waits in its spool.
    pub waiting: u64,
    /// Room of its spool.
    pub room: u64,
    /// Why it can't be written to, and since when; null while it can.
    pub error: Option<String>,
}

impl SinkStatus {
    /// What needs somebody's attention. A loss doesn't heal by waiting, so it stays until control is started anew.
    pub(crate) fn alarms(&self, alarms: &mut Vec<String>) {
        let place = format!("{} to {}", self.name, printable(&self.target));
        if let Some(error) = &self.error {
            alarms.push(format!("{place}: {}; {} wait", printable(error), thousands(self.waiting)));
        }
        if self.lost > 0 {
            alarms.push(format!(
                "{place}: {} events lost, its spool was full or they were refused; look at the receiver, or raise spool_events",
                thousands(self.lost)
            ));
        }
    }
}
