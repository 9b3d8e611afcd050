//! Frames, conversations and synthetic fab traffic with ground truth.
//!
//! Three layers, each usable without the ones above:
//!
//! * [`frame`]: one frame of right lengths and checksums, layer by layer. For tests and benches everywhere.
//! * [`conversation`]: what two hosts say to each other, as frames with time and side.
//! * [`Scenario`] and [`generate`]: a fab line with an intruder, as a lazy stream of labelled packets; [`run`] writes
//!   it as captures and labels, for `loadlock generate`.
//!
//! [`Site`] is a site over weeks, as flows: what learning is measured with. Packets are made of them only where wanted.
//!
//! No clock, no randomness from outside: the same scenario and seed give the same bytes on every machine. No published
//! trace of a fab exists, so this is the ground truth learning is measured on; what it leaves out is in `DESIGN.md`.

#![forbid(unsafe_code)]

pub mod conversation;
pub mod frame;
mod output;
mod random;
mod scenario;
mod site;
mod traffic;

pub use conversation::Side;
pub use output::{GenerateError, GenerateOptions, GenerateSummary, SidesOptions, run, write_sides};
pub use random::SplitMix64;
pub use scenario::{
    DURATION_S_MAX, DURATION_S_MIN, Scenario, ScenarioError, ScenarioProblem, TOOLS_MAX,
};
pub use site::{
    Announced, Flow, FlowOutcome, Flows, Site, SiteDevice, SiteOptions, SiteSummary, Transport,
    write_site,
};
pub use traffic::{AttackClass, BenignClass, GeneratedPacket, Label, Traffic, generate};
