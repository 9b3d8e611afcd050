//! From events to evidence, and from evidence to rules.
//!
//! ```text
//!  Event ─► Learner::observe ─┬─► settled keys: direction known when seen (TCP SYN, ICMP, link layer, …)
//!                             └─► conversations: direction still open (UDP, TCP met running)
//!                                        │ directions, from all evidence together
//!  Learner::policy ◄── settled keys ◄────┘
//! ```
//!
//! Here, every conversation that was seen becomes a rule; whether it should is the business of later stages. What
//! matters here is the form of the rule: which end is the server, and that no client port is part of it.
//!
//! There is no I/O and no clock: time comes with the events. Evidence of two events is joined by operations that don't
//! depend on their order, and directions are taken from all of it at once, so the same events give the same rules, byte
//! for byte, in whatever order they come. That holds until the bounded room for open conversations is full for the first time;
//! from then on the same events in the same order give the same rules. See `DESIGN.md`.
//!
//! Tested by a case for each kind of conversation, by shuffling random events, and by judging the events' own conversations
//! with the rules learned from them (`tests/`).
#![forbid(unsafe_code)]

mod days;
mod direction;
mod evidence;
mod key;
mod learner;
mod row;
mod settle;
mod table;

pub use days::{Days, NS_PER_DAY, Starts, day_of};
pub use evidence::{Basis, Evidence};
pub use learner::{LearnLimits, LearnTally, Learner};
pub use row::{EvidenceChanges, EvidenceRow, EvidenceSubject, Restored};
