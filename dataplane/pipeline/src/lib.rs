//! What happens to a burst of frames: parse, flow table, allowlist, verdict, events.
//!
//! ```text
//!  burst ─► short way: read, find entry, count (plain.rs) ─► pass 1: read, hash, prefetch (intake.rs) ─► pass 2: find entry ─┬─ plain ─► count
//!           few conversations; up to the first frame that isn't plain                                                         ├─ special ─► track.rs, decide.rs
//!                                                                                                                             └─ no entry ─► pass 3 (deferred.rs)
//! ```
//!
//! The worker of the dataplane and `loadlock replay` run this same code: frames come through [`loadlock_packet::Frame`], events go
//! through [`EventSink`], time is an argument. Nothing here allocates after [`Pipeline::new`], locks, logs or calls the
//! system.
//!
//! `table.rs` is the flow table, `tags.rs` its index, `entry.rs` its line, `storage.rs` its memory (the only unsafe code), `ageing.rs` the sweep
//! over it, `report.rs` makes events, `denied.rs` keeps denied conversations from flooding the event ring,
//! `refused.rs` connections whose SYN was denied from being adopted. `negotiate.rs` opens ports that permitted conversations negotiate, `watched.rs` knows how far those were read.
//! `related.rs` lets ICMP errors about live conversations pass, `fragments.rs` later fragments follow
//! their first, `identity.rs` holds stations to their addresses. Decisions are in
//! `DESIGN.md`. Tested beside the modules, and as a whole against a slow model in `tests/`.

mod ageing;
mod begin;
mod clock;
mod decide;
mod deferred;
mod denied;
mod entry;
mod fragments;
mod identity;
mod intake;
mod limits;
mod lookup;
mod mode;
mod negotiate;
mod parts;
mod pipeline;
mod plain;
mod refused;
mod related;
mod report;
mod storage;
mod table;
mod tags;
mod tally;
mod track;
mod verdict;
mod watched;

pub use decide::first_verdict;
pub use denied::DENIED_SLOTS;
pub use limits::{Capacity, Timeouts};
pub use lookup::Lookup;
pub use pipeline::{BURST_FRAMES_MAX, Judged, Pipeline, PipelineStatus};
pub use report::EventSink;
pub use storage::Backing;
pub use tally::BurstTally;
pub use verdict::{Basis, Verdict, VerdictWord};
