//! How good learning is, in figures.
//!
//! ```text
//!   scenario ─► flows ─► events ─► Learner ─► decisions ─► the compiled allowlist ─► verdict of every later flow
//!        └────► truth ─────────────────────────► person who answers ─┘                     │
//!   capture ─► replay with each admission ─► verdict of every packet ◄── labels ──► Figures of loadlock, record-all, fixed-30-days
//! ```
//!
//! Split by time, never at random: what is learned comes before what is judged. Always beside two baselines on the same split:
//! recording everything for the same time, and for thirty days.
#![forbid(unsafe_code)]

mod capture;
mod enforced;
mod error;
mod labels;
mod measures;
mod person;
mod plots;
mod report;
mod site;
mod tally;
mod truth;

pub use capture::{CaptureOptions, evaluate_capture};
pub use error::EvaluateError;
pub use measures::{CONTESTANTS, Figures, Row};
pub use report::{Report, ScenarioOptions, evaluate_scenario};
pub use site::{CurvePoint, SiteRun, run_site};
