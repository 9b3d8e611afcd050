//! What must survive: policy versions, evidence, what people said, and how far the event rings are dealt with. One SQLite file.
//!
//! WAL journal, `synchronous=FULL`: what a call that returned `Ok` has written is on disk. One process writes at a time (a
//! lock file says which); one thread of it. A kill at any instant leaves what was before the call or after it.
//!
//! The store knows texts, bytes and numbers; what they mean is the business of `policy` and `learn`.
//! Tested over real files: damaged, foreign, newer, read-only, full disk, killed in a transaction (`tests/`).
#![forbid(unsafe_code)]

mod answer;
mod error;
mod evidence;
mod open;
mod version;

pub use answer::{Answer, NewAnswer};
pub use error::StoreError;
pub use evidence::{Cursor, EvidenceRow};
pub use open::{SCHEMA_VERSION, Store};
pub use version::{NewVersion, SegmentMode, Version, VersionNumber, VersionSummary};
