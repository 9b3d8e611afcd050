//! Load tests through the appliance: scenarios that Pktgen-DPDK runs on a wire (`scripts/pktgen`), and the same ones with this program's own
//! generator between two `net_memif` ports.
//!
//! ```text
//!  pktgen.rs  Pktgen with a Lua script ─┐
//!                                       ├─► result.rs (JSON) ─► report.rs (Markdown), plot.rs (SVG)
//!  local.rs   link.rs and a dataplane  ─┘
//! ```
//!
//! Tests: `benches/tests/pktgen` runs the scripts against a mock, `benches/tests/traffic.rs` this program's scenarios for fractions of a second.

pub mod local;
pub mod pktgen;
pub mod plot;
pub mod report;
pub mod result;

use clap::ValueEnum;

/// What is measured. The Lua script of the same name in `scripts/pktgen` says what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// What comes back of all that the generator sends, by frame size and for IMIX.
    Throughput,
    /// The loss-free rate by frame size (RFC 2544), and latency at shares of it.
    Rfc2544,
    /// The loss-free rate by number of conversations.
    Flows,
    /// A storm of new conversations.
    NewFlows,
    /// Permitted and denied frames mixed.
    Mix,
    /// Conversations on 64 VLANs.
    Vlan,
    /// A long run at 70 % of the loss-free rate; with Pktgen alone, `scripts/soak` is the one for this machine.
    Soak,
}

impl Scenario {
    /// All of them, in the order in which they run.
    pub const ALL: [Self; 7] = [
        Self::Throughput,
        Self::Rfc2544,
        Self::Flows,
        Self::NewFlows,
        Self::Mix,
        Self::Vlan,
        Self::Soak,
    ];

    /// As its script and its files are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Rfc2544 => "rfc2544",
            Self::Flows => "flows",
            Self::NewFlows => "new-flows",
            Self::Mix => "mix",
            Self::Vlan => "vlan",
            Self::Soak => "soak",
        }
    }

    /// For the report.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput at full load, by frame size",
            Self::Rfc2544 => "Loss-free rate (RFC 2544) and latency, by frame size",
            Self::Flows => "Loss-free rate by number of conversations",
            Self::NewFlows => "New conversations, one a frame",
            Self::Mix => "Permitted and denied frames mixed",
            Self::Vlan => "Trunk of 64 VLANs",
            Self::Soak => "Long run at 70 % of the loss-free rate",
        }
    }
}

/// What is set from the command line; what is absent has the scenario's own default.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Length of a trial, in s.
    pub seconds: Option<f64>,
    /// Length of the trial that confirms a found rate, in s; 0: none.
    pub confirm_seconds: Option<f64>,
    /// Frame sizes with FCS, 64 to 1518 bytes.
    pub sizes: Vec<u16>,
    /// Conversations.
    pub flows: Vec<u32>,
    /// Of the soak.
    pub minutes: Option<f64>,
}
