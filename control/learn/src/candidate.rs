//! Candidates and what was decided about them.

use std::collections::BTreeMap;

use loadlock_packet::{Kind, MacAddress, Network};

use crate::classes::{Management, is_known_service};
use crate::evidence::{Basis, Evidence};
use crate::key::{Device, Tuple};
use crate::roles::Roles;
use crate::suspicion::Conviction;

/// What becomes of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It is a rule.
    Admitted,
    /// It has what it needs, or will, but only a person may admit it.
    Held,
    /// Evidence is missing.
    Waiting,
    /// Its source was convicted.
    Withdrawn,
}

/// Why a candidate is held for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hold {
    /// A way of managing machines, across zones.
    Management(Management),
    /// Its source's first contacts are failing at the moment.
    Suspicion,
    /// Another station than the address's own.
    Identity(MacAddress),
    /// One client's thin contacts with many servers of one service.
    FanOut {
        /// How many servers.
        servers: usize,
    },
    /// Few of a role use this server, and nobody else does.
    RareServer {
        /// How many of the role use it.
        users: usize,
        /// How many the role has.
        role: usize,
    },
    /// Convicted sources used this server before anybody else did, and are the most of its users.
    ConvictedFirst {
        /// How many convicted sources.
        sources: usize,
    },
    /// A person refused it.
    Declined,
}

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Different days.
    pub days: u32,
    /// Strict period in seconds.
    pub period_s: Option<u32>,
    /// Role peers with the same.
    pub peers: usize,
    /// A supplier declares it.
    pub declared: bool,
    /// A person approved it.
    pub approved: bool,
    /// Everything is admitted that is seen.
    pub recorded: bool,
    /// Most of its role does it, on several days each; the device itself wasn't seen to.
    pub by_role: bool,
}

/// A tuple with its evidence and what was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What it is about.
    pub tuple: Tuple,
    /// What was seen; `None` if only its role was.
    pub evidence: Option<Evidence>,
    /// Answered, or of a kind that needs no answer.
    pub is_sound: bool,
    /// The decision.
    pub outcome: Outcome,
    /// What speaks for it.
    pub grounds: Grounds,
    /// What keeps it from being admitted without a person.
    pub hold: Option<Hold>,
    /// Role of the client, and of the server.
    pub roles: [Option<u16>; 2],
    /// The range that covers it, as an index of [`Decisions::ranges`].
    pub range: Option<u16>,
}

/// A range of ports that a parent service hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The parent's port.
    pub parent: u16,
    /// First and last port.
    pub ports: (u16, u16),
    /// Different ports of it that were seen.
    pub seen: usize,
    /// The server of the parent.
    pub server: Network,
    /// The server connects, as with active FTP.
    pub reversed: bool,
    /// Clients and servers of the range; the service is the first port.
    pub tuples: Vec<Tuple>,
}

impl PortRange {
    /// Ports that the range permits beyond those seen.
    #[must_use]
    pub fn excess(&self) -> usize {
        usize::from(self.ports.1 - self.ports.0) + 1 - self.seen
    }
}

/// Everything that was decided at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decisions {
    /// In the order of their tuples.
    pub candidates: Vec<Candidate>,
    /// Convicted sources, in the order of their devices.
    pub convictions: Vec<Conviction>,
    /// Ranges of negotiated ports.
    pub ranges: Vec<PortRange>,
    /// Devices, in the order in which roles know them.
    pub devices: Vec<Device>,
    /// Which devices are alike.
    pub roles: Roles,
    /// Addresses that a second station claimed.
    pub claimed: BTreeMap<Device, MacAddress>,
    /// First and last moment of the evidence.
    pub span_ns: Option<(u64, u64)>,
}

/// True for TCP that was met running, of which nothing but the lower of two ports says who is the server, and that port is no known
/// service. It stands by role peers or a person only, however often it is seen.
pub(crate) fn is_undetermined(tuple: &Tuple, evidence: &Evidence) -> bool {
    tuple.kind == Kind::Tcp
        && evidence.settled_basis() == Basis::Assumed
        && !is_known_service(tuple.service)
}

impl Candidate {
    /// One that nobody saw, and a person approved.
    pub(crate) fn approved(tuple: Tuple) -> Self {
        Self {
            tuple,
            evidence: None,
            is_sound: true,
            outcome: Outcome::Admitted,
            grounds: Grounds { approved: true, ..Grounds::default() },
            hold: None,
            roles: [None; 2],
            range: None,
        }
    }

    /// True if its direction is no more than a guess.
    pub(crate) fn is_undetermined(&self) -> bool {
        self.evidence.is_some_and(|evidence| is_undetermined(&self.tuple, &evidence))
    }
}

impl Decisions {
    /// True if a tuple is admitted, by itself or by a range.
    #[must_use]
    pub fn admits(&self, tuple: &Tuple) -> bool {
        let at = self.candidates.binary_search_by_key(tuple, |candidate| candidate.tuple);
        at.is_ok_and(|at| self.candidates[at].outcome == Outcome::Admitted)
            || self.ranges.iter().any(|range| {
                let of_range = Tuple { service: range.ports.0, ..*tuple };
                tuple.kind == Kind::Tcp
                    && (range.ports.0..=range.ports.1).contains(&tuple.service)
                    && range.tuples.binary_search(&of_range).is_ok()
            })
    }
}
