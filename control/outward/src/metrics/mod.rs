//! Figures for Prometheus.
//!
//! Base units, `_total` for counters, and labels only from the configuration or closed lists: segment, port, side, worker, reason,
//! state, mode, sink. No address is ever a label: an attacker makes as many of them as he likes.

mod families;
pub(crate) mod server;
mod text;
mod workers;

use loadlock_api::{SinkStatus, Status};
use loadlock_exchange::DropReason;

pub use families::example as example_figures;
pub use text::Format;
use text::Text;

/// The figures of one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What `loadlock status` shows.
    pub status: Status,
    /// Of every port, in the order of the segments, side A first: what became of frames that no rule permits. Read together with
    /// the port's other figures: `received = forwarded + Σ dropped` holds in each answer.
    pub ports: Vec<PortFigures>,
    /// Of each worker: times from receive to transmit in ns, and how many samples took them.
    pub latency: Vec<Vec<(u64, u64)>>,
}

/// Frames of one port that no rule permits, by [`DropReason::ALL`].
#[derive(Clone, Debug, Default)]
pub struct PortFigures {
    /// Dropped.
    pub dropped: Vec<u64>,
    /// Forwarded, but enforce mode would drop them.
    pub would_deny: Vec<u64>,
}

/// The text of `GET /metrics`. `sinks` are shown beside the figures, not those in the status.
#[must_use]
pub fn write_metrics(figures: &Figures, sinks: &[SinkStatus], format: Format) -> String {
    let mut text = Text::new(format);
    families::write(&mut text, figures, sinks);
    text.finish()
}

/// The names of all metrics as dashboards and rules use them, `_total`, `_bucket`, `_sum` and `_count` included.
#[must_use]
pub fn metric_names() -> Vec<String> {
    let mut text = Text::new(Format::Prometheus);
    families::write(&mut text, &families::example(), &[SinkStatus::default()]);
    let text = text.finish();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = samples.map(name).collect();
    names.sort();
    names.dedup();
    names
}

/// The names of reasons, in the order of [`PortFigures`].
fn reasons() -> impl Iterator<Item = &'static str> {
    DropReason::ALL.iter().map(|reason| reason.name())
}

#[cfg(test)]
mod tests;
