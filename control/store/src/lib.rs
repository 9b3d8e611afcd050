//! What must survive: policy versions, evidence, what people said, and how far the event rings are dealt with. One SQLite file.
//!
//! WAL journal, `synchronous=FULL`: what a call that returned `Ok` has written is on disk. One process writes at a time (a
//! lock file says which); one thread of it. A kill at any instant leaves what was before the call or after it.
//!
//! ```text
//!   version   immutable: rules, modes, what people wrote; each with its SHA-256
//!   audit     append-only, hash-chained: what was done to which version, by whom, and that version's SHA-256
//!   flow      what each kind of conversation did in each hour; the oldest hours go first when room is wanted
//!   in force  = the newest whole version that the audit log says was put in force; a copy of it lies beside the database
//! ```
//!
//! The store knows texts, bytes and numbers; what they mean is the business of `policy` and `learn`.
//! Tested over real files: damaged, foreign, newer, read-only, full disk, killed in a transaction (`tests/`).
#![forbid(unsafe_code)]

mod account;
mod answer;
mod audit;
mod backup;
mod bypass;
mod copy;
mod error;
mod evidence;
mod flow;
mod force;
mod lifecycle;
mod open;
mod salvage;
mod schema;
mod version;

pub use account::{Account, AccountChange, Secret};
pub use answer::{Answer, NewAnswer};
pub use audit::{Action, AuditEntry, AuditExamined, AuditFilter, AuditPage};
pub use backup::{BackupSummary, Restored, back_up, check, restore};
pub use bypass::NewBypass;
pub use error::StoreError;
pub use evidence::{Cursor, EvidenceRow};
pub use flow::{FlowRow, Usage};
pub use force::{InForce, Pending};
pub use lifecycle::{VersionState, VersionSummary};
pub use open::{SCHEMA_VERSION, Store};
pub use salvage::{Opened, open};
pub use version::{NewVersion, SegmentMode, Version, VersionNumber};
