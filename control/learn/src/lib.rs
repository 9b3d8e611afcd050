//! From events to evidence, and from evidence to rules.
//!
//! ```text
//!  Event ─► Learner::observe ─┬─► settled keys: direction known when seen (TCP SYN, ICMP, link layer, …)
//!                             └─► conversations: direction still open (UDP, TCP met running)
//!                                        │ directions, from all evidence together
//!  ledger ◄── settled keys ◄─────────────┘
//!    │
//!    ├─► suspicion: sources that scan are convicted, and what they brought in is withdrawn
//!    ├─► roles: devices that talk alike
//!    ▼
//!  Decisions: of every candidate, admitted | held | waiting | withdrawn, and why
//!    ├─► rules (a policy), summaries (lines for people), cards (questions), explanations
//!    ├─► readiness and forecast
//!    └─► drift: what comes after learning
//! ```
//!
//! Beside it, [`Stations`] learns who speaks for which address: the bindings.
//!
//! All behind the ledger is a function of evidence and of what people said: there is nothing else to store, and a restart changes
//! nothing.
//!
//! There is no I/O and no clock: time comes with the events. Evidence of two events is joined by operations that don't
//! depend on their order, and directions are taken from all of it at once, so the same events give the same rules, byte
//! for byte, in whatever order they come. That holds until the bounded room for open conversations is full for the first time;
//! from then on the same events in the same order give the same rules. See `DESIGN.md`.
//!
//! Tested by a case for each kind of conversation, by shuffling random events, and by judging the events' own conversations
//! with the rules learned from them (`tests/`).
#![forbid(unsafe_code)]

mod admission;
mod candidate;
mod cards;
mod classes;
mod days;
mod decide;
mod declared;
mod direction;
mod drift;
mod evidence;
mod explain;
mod extend;
mod forecast;
mod forget;
mod key;
mod learner;
mod ledger;
mod negotiated;
mod readiness;
mod roles;
mod row;
mod rules;
mod settle;
mod stations;
mod subject;
mod suspicion;
mod table;
mod volume;

pub use admission::{AdmissionPolicy, AdmissionSettings, Answers, Window};
pub use candidate::{Candidate, Decisions, Grounds, Hold, Outcome, PortRange};
pub use cards::{Card, CardKind, Cards};
pub use classes::{Management, management};
pub use days::{Days, NS_PER_DAY, Starts, day_of};
pub use declared::{Declared, DeclaredPort, Quadrants};
pub use drift::{Drift, Proposal, ProposalKind, Refused, Unused};
pub use evidence::{Basis, Evidence};
pub use explain::Explanation;
pub use forecast::{Estimate, Incidence};
pub use key::{Device, Tuple, flow_key};
pub use learner::{LearnLimits, LearnTally, Learner};
pub use readiness::{Calendar, Readiness, SiteReadiness};
pub use roles::Roles;
pub use row::{EvidenceChanges, EvidenceRow, EvidenceSubject, Restored};
pub use rules::{Party, Summary};
pub use stations::{Seen, Sender, StationRow, Stations};
pub use subject::{Subject, SubjectKind};
pub use suspicion::{Charge, Conviction};
pub use volume::{Loud, Volume};
