//! Figures and events to the systems around Loadlock: Prometheus, a file of JSON lines, syslog servers, flow collectors.
//!
//! ```text
//!  core ── broadcast ──► feed ─┬─ spool ─► file         one thread each; a spool is bounded: what doesn't fit
//!                  (one thread)├─ spool ─► syslog-1     is lost, counted, and told in its place
//!                              └─ spool ─► ipfix-1
//!  core ◄── figures ── metrics (the same thread, HTTP)
//! ```
//!
//! Nothing here can make the core wait: it sends into a broadcast that overwrites what is too old, and the feed hands on without
//! waiting. What a receiver was too slow for is in [`loadlock_api::SinkStatus`], which `loadlock status`, the alarms and the metrics show.
//!
//! Text from the network (names from DHCP, DNS, inventories) is escaped for each format by a module of its own in [`escape`].
//!
//! Tested by promtool, rsyslog and nfcapd of Debian as receivers (`tests/`), and by properties for hostile names.

#![forbid(unsafe_code)]

mod board;
mod delivery;
pub mod escape;
mod feed;
mod file;
mod ipfix;
mod item;
mod metrics;
mod net;
mod sinks;
mod syslog;

pub use board::Boards;
pub use item::{AlarmLine, AlarmState};
pub use metrics::{Figures, Format, PortFigures, example_figures, metric_names, write_metrics};
pub use sinks::{Sinks, Source};
