//! What a scenario found, by either generator: the form that `scripts/pktgen/traffic.lua` writes and this program reads and writes.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// What kept a rate from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// The link was full.
    Line,
    /// The generator couldn't send more: the figure says nothing of the device.
    Generator,
    /// The device lost frames above it.
    Device,
}

/// Quantiles of the time from one port to the other, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyAt {
    /// Share of the loss-free rate.
    #[serde(default)]
    pub load_percent: f64,
    /// Half of the frames took at most this.
    pub p50: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p99_9: f64,
    /// All.
    pub max: f64,
}

/// One trial, or the best of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What it is of, such as "64 bytes".
    pub label: String,
    /// With FCS; of a mixture their mean.
    #[serde(default)]
    pub frame_bytes: Option<f64>,
    /// Conversations; absent if each frame was a new one.
    #[serde(default)]
    pub flows: Option<f64>,
    /// Length of the trial.
    pub seconds: f64,
    /// Frames a second that were asked for, of both directions.
    pub offered_pps: f64,
    /// Frames a second that the generator sent.
    pub sent_pps: f64,
    /// Frames a second that came back.
    pub received_pps: f64,
    /// Permitted frames that didn't come back.
    pub lost_packets: f64,
    /// Frames that came back though no rule permits them.
    #[serde(default)]
    pub leaked_packets: f64,
    /// Whether the generator sent what was asked.
    pub generator_kept_up: bool,
    /// What kept the rate from being higher; absent if it wasn't searched.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Where it was measured.
    #[serde(default)]
    pub latency_ns: Vec<LatencyAt>,
}

/// A part of a long run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Time since the start, in s.
    pub at_s: f64,
    /// Frames a second sent.
    pub sent_pps: f64,
    /// Frames a second received.
    pub received_pps: f64,
}

/// All of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Its name.
    pub scenario: String,
    /// Which generator, in words.
    pub generator: String,
    /// In the order they were measured.
    pub points: Vec<Point>,
    /// What makes a figure say something else than it seems to.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why it ended before it was done.
    #[serde(default)]
    pub failure: Option<String>,
    /// Of a soak.
    #[serde(default)]
    pub samples: Vec<Sample>,
}

impl Found {
    /// Reads a result.
    ///
    /// # Errors
    /// It can't be read, or isn't one; with its path.
    pub fn load(path: &Path) -> io::Result<Self> {
        let named = |error: String| io::Error::other(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| named(error.to_string()))
    }

    /// Whether anything here says that the appliance did wrong, or that it couldn't be measured.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failure.is_some()
            || self.points.is_empty()
            || self.points.iter().any(|point| point.leaked_packets > 0.0)
    }
}

/// A run of several scenarios.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The machine that the generator ran on.
    pub machine: Machine,
    /// In the order they ran.
    pub scenarios: Vec<Found>,
}
