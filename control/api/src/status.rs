//! The appliance's state at one moment.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::bypass::Bypass;
use crate::kept::KeptStatus;
use crate::policy::Mode;
use crate::sink::SinkStatus;
use crate::time::Time;

/// Everything that answers "is all well?".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// When this was read.
    pub time: Time,
    /// How long control runs.
    pub uptime_s: u64,
    /// Control itself.
    pub control: ControlStatus,
    /// The other process.
    pub dataplane: DataplaneStatus,
    /// Every segment, in the order of the configuration.
    pub segments: Vec<SegmentStatus>,
    /// Every worker, by index; none while no dataplane is attached.
    pub workers: Vec<WorkerStatus>,
    /// Where figures and events go besides the API; none unless configured.
    #[serde(default)]
    pub outward: Vec<SinkStatus>,
    /// What needs somebody's attention, one sentence each; empty if all is well. See [`Status::find_alarms`].
    pub alarms: Vec<String>,
}

/// What control is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum ControlState {
    /// Opening the store.
    #[serde(rename = "starting")]
    Starting,
    /// Ready, but there is no exchange of the right dimensions yet.
    #[serde(rename = "waiting for dataplane")]
    Waiting,
    /// Attached to the exchange.
    #[serde(rename = "attached")]
    Attached,
    /// Told to end.
    #[serde(rename = "stopping")]
    Stopping,
}

impl ControlState {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting for dataplane",
            Self::Attached => "attached",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for ControlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Control itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ControlStatus {
    /// What it is doing.
    pub state: ControlState,
    /// Newest policy version in the store, 0 before the first.
    pub policy_version: u64,
    /// Generation published in the exchange, 0 before the first.
    pub generation: u64,
    /// The SQLite file.
    pub store_path: String,
    /// Conversation keys that learning has evidence of.
    pub evidence_keys: u64,
    /// Events taken from the rings since control's start.
    pub events_received: u64,
    /// Records in the rings that no worker writes: the region is damaged if there is one.
    pub records_refused: u64,
    /// What the store keeps, and for how long.
    #[serde(default)]
    pub kept: KeptStatus,
    /// What last failed in the background, with its time; null if nothing did since the start.
    pub last_error: Option<String>,
}

/// What the dataplane says it is doing; the names are those of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum DataplaneState {
    /// Not running, or ended in order.
    #[serde(rename = "stopped")]
    Stopped,
    /// Opening ports.
    #[serde(rename = "starting")]
    Starting,
    /// Ready, waiting for the first policy.
    #[serde(rename = "waiting for policy")]
    Waiting,
    /// Judging packets.
    #[serde(rename = "running")]
    Running,
    /// Told to end.
    #[serde(rename = "stopping")]
    Stopping,
}

impl DataplaneState {
    /// The name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        use loadlock_exchange::DataplaneState as Exchange;
        let state = match self {
            Self::Stopped => Exchange::Stopped,
            Self::Starting => Exchange::Starting,
            Self::Waiting => Exchange::Waiting,
            Self::Running => Exchange::Running,
            Self::Stopping => Exchange::Stopping,
        };
        state.name()
    }
}

impl From<loadlock_exchange::DataplaneState> for DataplaneState {
    fn from(state: loadlock_exchange::DataplaneState) -> Self {
        use loadlock_exchange::DataplaneState as Exchange;
        match state {
            Exchange::Stopped => Self::Stopped,
            Exchange::Starting => Self::Starting,
            Exchange::Waiting => Self::Waiting,
            Exchange::Running => Self::Running,
            Exchange::Stopping => Self::Stopping,
        }
    }
}

impl fmt::Display for DataplaneState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The dataplane process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataplaneStatus {
    /// What it is doing; `stopped` also when its process is dead or there is no exchange.
    pub state: DataplaneState,
    /// Its process id; null when it doesn't run.
    pub pid: Option<u64>,
    /// Starts on this exchange.
    pub starts: u64,
    /// Time since the last sign of life of its main thread; null before the first.
    pub heartbeat_age_ms: Option<u64>,
    /// Cycles a second that the workers count by; 0 before its first start.
    #[serde(default)]
    pub cycles_per_s: u64,
    /// Memory that the two processes share.
    pub memory: MemoryStatus,
}

/// Shared memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryStatus {
    /// File behind the exchange.
    pub exchange_path: String,
    /// Its size, 0 while control isn't attached.
    pub exchange_bytes: u64,
    /// All of it lies on huge pages, which make look-ups in large policies faster.
    #[serde(default)]
    pub exchange_on_huge_pages: bool,
    /// Most rules that a policy can have.
    pub rule_capacity: u64,
    /// Room for one compiled policy of so many rules, in the exchange; there are several.
    pub policy_bytes: u64,
}

/// What the dataplane does with a segment's frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// They are judged.
    #[default]
    Judged,
    /// All are forwarded: in bypass, or after a failure that opens the segment.
    Open,
    /// All are dropped, after a failure that closes the segment.
    Closed,
}

impl From<loadlock_exchange::Handling> for Handling {
    fn from(handling: loadlock_exchange::Handling) -> Self {
        match handling {
            loadlock_exchange::Handling::Judged => Self::Judged,
            loadlock_exchange::Handling::Open => Self::Open,
            loadlock_exchange::Handling::Closed => Self::Closed,
        }
    }
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentStatus {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Rules of the policy in force that hold in it.
    pub rules: u64,
    /// What the dataplane does with its frames.
    pub handling: Handling,
    /// Who put it into bypass; null unless it is.
    pub bypass: Option<Bypass>,
    /// Port on side A.
    pub side_a: PortStatus,
    /// Port on side B.
    pub side_b: PortStatus,
}

/// One port: frames received on it, and what became of them.
///
/// `received_packets = forwarded_packets + dropped_packets`, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortStatus {
    /// Its name.
    pub port: String,
    /// Link is up.
    pub link_up: bool,
    /// Mbit/s; null if the device doesn't say.
    pub speed_mbps: Option<u32>,
    /// Frames taken from its receive queues.
    pub received_packets: u64,
    /// Their bytes, without FCS.
    pub received_bytes: u64,
    /// Of these, frames sent through the port on the other side.
    pub forwarded_packets: u64,
    /// Their bytes.
    pub forwarded_bytes: u64,
    /// Of the frames forwarded, those that nobody judged: in bypass, or after a failure that opens the segment.
    pub unjudged_packets: u64,
    /// Of these, frames dropped; `GET /v1/drops` has the reasons.
    pub dropped_packets: u64,
    /// Frames forwarded that enforce mode would drop.
    pub would_deny_packets: u64,
    /// Frames that the device lost because its receive queue was full: they never reached Loadlock.
    pub missed_packets: u64,
    /// Frames that the device refused as damaged.
    pub receive_error_packets: u64,
    /// Frames lost because no packet buffer was free.
    pub no_buffer_packets: u64,
    /// Frames that the device failed to send after it had taken them.
    pub transmit_error_packets: u64,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerStatus {
    /// Its number, from 0.
    pub index: u32,
    /// CPU that it runs on.
    pub core: u32,
    /// Generation that it judges by; null while it is offline.
    pub generation: Option<u64>,
    /// Time since its last poll; null before the first.
    pub heartbeat_age_ms: Option<u64>,
    /// Live IPv4 conversations.
    pub flows_narrow: u64,
    /// Live IPv6 and non-IP conversations.
    pub flows_wide: u64,
    /// Room for IPv4 conversations.
    pub flow_capacity_narrow: u64,
    /// Room for IPv6 and non-IP conversations.
    pub flow_capacity_wide: u64,
    /// Conversations begun since the worker's start.
    pub flows_started: u64,
    /// Conversations over since the worker's start.
    pub flows_ended: u64,
    /// Packets judged without an entry because the table was full.
    pub flows_refused: u64,
    /// Bytes of its flow tables, all taken at start.
    pub table_bytes: u64,
    /// Of these, bytes on reserved hugepages; elsewhere forwarding is slower.
    pub table_huge_bytes: u64,
    /// Events that the ring took.
    pub events_sent: u64,
    /// Events that the ring refused; conversations among them are reported again.
    pub events_refused: u64,
    /// Denied packets that were counted without an event of their own: their like was reported within the interval.
    pub denied_unreported: u64,
    /// Negotiated ports (FTP, DCE/RPC, TFTP) that were opened.
    pub negotiated_opened: u64,
    /// Segments that may have negotiated a port and weren't read: split, damaged, or out of order.
    pub negotiated_unread: u64,
    /// Polls that brought frames.
    pub bursts: u64,
    /// Polls that brought none.
    pub empty_polls: u64,
    /// Frames that these polls brought, from all ports.
    #[serde(default)]
    pub received_packets: u64,
    /// Bursts whose time from receive to transmit was taken: one in `dataplane.latency_sample_bursts`.
    #[serde(default)]
    pub sampled_bursts: u64,
    /// Cycles that these bursts took together, rounded up by at most a sixteenth.
    #[serde(default)]
    pub sampled_cycles: u64,
    /// Median time from receive to transmit; null without a sample, like the next three.
    pub latency_p50_ns: Option<u64>,
    /// 99th percentile.
    pub latency_p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub latency_p99_9_ns: Option<u64>,
    /// Longest time.
    pub latency_max_ns: Option<u64>,
    /// Events waiting in its ring.
    pub ring_used: u64,
    /// Room of its ring, in events.
    pub ring_capacity: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_one_name() {
        use loadlock_exchange::DataplaneState as Exchange;
        for state in [
            Exchange::Stopped,
            Exchange::Starting,
            Exchange::Waiting,
            Exchange::Running,
            Exchange::Stopping,
        ] {
            let wire = DataplaneState::from(state);
            assert_eq!(wire.name(), state.name());
            assert_eq!(serde_json::to_value(wire).unwrap(), state.name());
        }
        for state in [
            ControlState::Starting,
            ControlState::Waiting,
            ControlState::Attached,
            ControlState::Stopping,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
