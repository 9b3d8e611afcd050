//! The dataplane's own pipeline over a capture, with the capture's own time: test bench, what-if simulator, auditor's tool.
//!
//! ```text
//!   capture ─► first reading: times, who talks to whom ─► sides, when learning ends
//!      │
//!      └────► second reading: side ─► Pipeline::judge ─┬─► verdict ─► verdicts, report
//!                                                      └─► events ─► Learner ─► rules ─► policy
//! ```
//!
//! [`run`] does it all and `loadlock replay` is a thin layer over it. Parser, flow table, allowlist, learner and compiler are
//! those of the two processes; what is here is only what an appliance has and a capture hasn't: sides, a clock and a
//! change-over. No DPDK, no root. The same capture and options give the same policy, verdicts and report, byte for byte
//! but for the report's `speed`.
//!
//! # Sides
//! An appliance sees stations that talk to one another on opposite sides; a capture doesn't tell sides. They are found
//! from who talks to whom (the first station is on side A), can be given, and can be saved for other captures of the
//! same place: a policy names sides, so replay the second capture with the sides of the first. Where stations can't tell
//! a packet's direction, its pair of IP addresses does. `DESIGN.md` has the rule and its reasons.
//!
//! # Learning and enforcing
//! The segment learns up to [`LearnUntil`], then what was learned is joined with the given policy, and from there on
//! only that is allowed. A fraction is one of the time from the earliest to the latest packet; of the packets where that
//! time is zero or longer than ten years, since such times aren't to be believed.
//!
//! # Verdicts
//! One line of JSON per packet, these keys in this order; more may be added behind them:
//!
//! | key | |
//! |---|---|
//! | `n` | number of the packet, from 1 |
//! | `time_ns` | its time, ns since 1970 |
//! | `verdict` | `allow`, `would-deny` (forwarded while learning, and never learned: a malformed frame) or `deny` |
//! | `reason` | `rule`, `learning`, `infrastructure`, or the name of a [`loadlock_exchange::DropReason`] |
//! | `rule` | number of the rule that permits it, else null |
//! | `side` | `a` or `b`: where it comes from |
//! | `flow` | protocol, sender and receiver in words; null without a sender's address |
//!
//! # Report
//! One JSON object, [`ReplayReport`]; [`REPORT_FORMAT`] grows when a key changes its meaning.
//!
//! | key | |
//! |---|---|
//! | `format` | [`REPORT_FORMAT`] |
//! | `capture`, `complete`, `fault` | the file; false and the reason if it couldn't be read to its end |
//! | `segment` | the segment whose rules judged |
//! | `packets`, `bytes`, `cut_packets` | frames as judged, that is padded; how many the publisher had cut |
//! | `first_time_ns`, `last_time_ns`, `first_time`, `last_time`, `span_s` | earliest and latest time; null without packets |
//! | `flows` | conversations `started`, `ended`, `refused` (no room), and `denied_reports` of such that were denied |
//! | `verdicts` | packets by verdict, all three always there |
//! | `reasons` | packets by verdict and reason; what didn't occur isn't there |
//! | `malformed` | packets by reason that lies in the frame itself, in either phase |
//! | `phases` | `learn` and `enforce`, each with `packets`, `bytes`, `verdicts`, `reasons` |
//! | `policy` | at the end: `rules`, `rules_given` of them, `sha256` of the text that is saved |
//! | `learned_rules` | `count`; `rules` with number `rule`, `words`, `reason`; `left_out`: learned, but a person's given rule decides about the same |
//! | `evidence` | what the rules rest on, [`EvidenceReport`] |
//! | `not_admitted` | what was answered and is no rule, [`NotAdmitted`]; absent where everything is recorded |
//! | `sides` | `stations_a`, `stations_b`; `a`, `b`: the first [`STATIONS_LISTED_MAX`] of each; `same_side_pairs`: stations that talk and are on one side; packets whose direction came from the pair of addresses because of that (`same_side_packets`) or because sender and receiver carry both directions (`two_way_packets`); `stationless_packets`: no sender's address, taken as from side A; `not_kept_packets`: of stations beyond a million |
//! | `reconciliation` | `received` = `forwarded` + `dropped`; `exact`: so it is, also with packets and verdicts |
//! | `speed` | `survey_s` and `replay_s`, the two readings; `packets_per_second` of the second |
//!
//! Tested over every file of the shared captures (`tests/corpus.rs`), over generated traffic whose sides and attacks are
//! known (`tests/generated.rs`), and case by case (`tests/cases.rs`).
#![forbid(unsafe_code)]

mod declarations;
mod direction;
mod engine;
mod error;
mod learning;
mod options;
mod output;
mod replay;
mod report;
mod rules;
mod sides;
mod stations;
mod summary;
mod time;
mod verdicts;

pub use error::{OptionError, ReplayError};
pub use learning::{DeclaredReport, EvidenceReport, NotAdmitted};
pub use options::{
    CAPACITY_MAX, INFRASTRUCTURE, LearnUntil, Output, RULE_CAPACITY, ReplayOptions,
    SEGMENT_DEFAULT, TIMEOUTS, parse_infrastructure, parse_macs,
};
pub use replay::run;
pub use report::{
    FlowReport, LearnedReport, LearnedRule, PhaseReport, PhasesReport, PolicyReport, REPORT_FORMAT,
    ReasonCounts, Reconciliation, ReplayReport, STATIONS_LISTED_MAX, SidesReport, Speed,
    VerdictCounts,
};
pub use sides::SidesProblem;
pub use summary::summary;
