//! What a supplier declares that his device needs, and how it compares with what was seen.

use std::net::IpAddr;

use loadlock_packet::{Kind, Network};

use crate::candidate::{Candidate, Outcome};
use crate::key::Tuple;

/// One declared need of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredPort {
    /// The device, or the whole of a role's devices, that it is declared for.
    pub devices: Vec<IpAddr>,
    /// True if the device asks, false if it is asked.
    pub asks: bool,
    /// TCP or UDP.
    pub kind: Kind,
    /// First and last server port.
    pub ports: (u16, u16),
    /// The other end; `None` for any.
    pub peer: Option<IpAddr>,
    /// Where it is declared: file and line, for messages.
    pub place: String,
}

impl DeclaredPort {
    /// True if the tuple is what is declared.
    #[must_use]
    pub fn covers(&self, tuple: &Tuple) -> bool {
        let (Network::Ip(client), Network::Ip(server)) = (tuple.client, tuple.server) else {
            return false;
        };
        let (own, other) = if self.asks { (client, server) } else { (server, client) };
        tuple.kind == self.kind
            && (self.ports.0..=self.ports.1).contains(&tuple.service)
            && self.devices.contains(&own)
            && self.peer.is_none_or(|peer| peer == other)
    }
}

/// All declarations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// In the order of their files.
    pub ports: Vec<DeclaredPort>,
}

impl Declared {
    /// The first declaration that covers a tuple.
    #[must_use]
    pub fn covering(&self, tuple: &Tuple) -> Option<&DeclaredPort> {
        self.ports.iter().find(|port| port.covers(tuple))
    }

    /// Compares what is declared with what was seen.
    #[must_use]
    pub fn compare(&self, candidates: &[Candidate]) -> Quadrants {
        let mut quadrants = Quadrants::default();
        let mut used = vec![false; self.ports.len()];
        for candidate in candidates {
            let mut is_declared = false;
            for (port, used) in self.ports.iter().zip(&mut used) {
                let covers = port.covers(&candidate.tuple);
                *used |= covers && candidate.is_sound;
                is_declared |= covers;
            }
            match (is_declared, candidate.is_sound) {
                (true, true) => quadrants.declared_seen.push(candidate.tuple),
                (false, true) => quadrants.undeclared_seen.push(candidate.tuple),
                (true, false) => {}
                (false, false) => {
                    quadrants.neither += usize::from(candidate.outcome != Outcome::Admitted);
                }
            }
        }
        let unused = self.ports.iter().zip(&used).filter(|(_, used)| !**used);
        quadrants.declared_unseen = unused.map(|(port, _)| port.clone()).collect();
        quadrants
    }
}

/// Declared against seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quadrants {
    /// As it should be.
    pub declared_seen: Vec<Tuple>,
    /// Declared, and never seen: rare, or never needed.
    pub declared_unseen: Vec<DeclaredPort>,
    /// Seen, and the supplier doesn't know: the first thing to ask him.
    pub undeclared_seen: Vec<Tuple>,
    /// Attempts that are neither declared nor were ever answered: nothing to permit.
    pub neither: usize,
}
