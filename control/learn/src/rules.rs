//! From decisions to the rules of a policy, and to the few lines that a person reads.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use loadlock_exchange::RuleId;
use loadlock_packet::{Kind, Network, SegmentId, Side};
use loadlock_policy::{
    AddressMatch, Opens, Policy, PolicyErrors, Prefix, Rule, RuleParts, Service, VlanMatch,
};

use crate::candidate::{Candidate, Decisions, Outcome, PortRange};
use crate::evidence::{Basis, Evidence};
use crate::explain::ground_words;
use crate::key::Tuple;

/// Numbered rules of everything admitted: of each single tuple, then of each end of each range.
pub(crate) fn policy(decisions: &Decisions, segments: &[Arc<str>]) -> Result<Policy, PolicyErrors> {
    let single = |candidate: &&Candidate| {
        candidate.outcome == Outcome::Admitted && candidate.range.is_none()
    };
    let mut texts = Texts::default();
    let mut parts: Vec<RuleParts> = Vec::new();
    for candidate in decisions.candidates.iter().filter(single) {
        parts.extend(texts.rule(candidate, segments));
    }
    let singles = parts.len();
    for range in &decisions.ranges {
        parts.extend(range.tuples.iter().filter_map(|tuple| of_range(range, tuple, segments)));
    }
    match together(parts.clone()) {
        Ok(policy) => Ok(policy),
        // Ranges take shapes of the allowlist; if they are too many, every port that was seen becomes a rule.
        Err(_) if parts.len() > singles => {
            parts.truncate(singles);
            let covered = |candidate: &&Candidate| candidate.range.is_some();
            for candidate in decisions.candidates.iter().filter(covered) {
                parts.extend(texts.rule(candidate, segments));
            }
            together(parts)
        }
        Err(errors) => Err(errors),
    }
}

fn together(parts: Vec<RuleParts>) -> Result<Policy, PolicyErrors> {
    let numbered = (1..).map_while(RuleId::new).zip(parts);
    let rules = numbered.filter_map(|(id, parts)| Rule::new(RuleParts { id, ..parts }).ok());
    Policy::from_rules(rules.collect(), "learned rules")
}

/// Reasons, each text once.
#[derive(Default)]
struct Texts(HashMap<String, Arc<str>>);

impl Texts {
    fn reason(&mut self, candidate: &Candidate) -> Arc<str> {
        let basis = candidate.evidence.map(|evidence| evidence.settled_basis());
        let text = match (candidate.grounds.recorded, basis) {
            (true, basis) => basis.unwrap_or(Basis::Assumed).reason().to_owned(),
            (false, Some(basis)) => {
                format!("{}; {}", basis.reason(), ground_words(candidate))
            }
            (false, None) => format!("learned; {}", ground_words(candidate)),
        };
        let known = self.0.entry(text);
        let text = Arc::from(known.key().as_str());
        Arc::clone(known.or_insert(text))
    }

    fn rule(&mut self, candidate: &Candidate, segments: &[Arc<str>]) -> Option<RuleParts> {
        let reason = self.reason(candidate);
        let service = candidate.tuple.service()?;
        let opens = match &candidate.evidence {
            Some(evidence) => opens(&candidate.tuple, evidence),
            None => Opens::Client,
        };
        let midstream = candidate.evidence.is_some_and(|evidence| evidence.after_grace);
        parts(&candidate.tuple, service, opens, midstream, reason, segments)
    }
}

fn opens(tuple: &Tuple, evidence: &Evidence) -> Opens {
    let side = tuple.client_side;
    match [side, side.other()].map(|side| evidence.has_opened(side)) {
        [true, true] => Opens::Both,
        [false, true] => Opens::Server,
        [_, false] => Opens::Client,
    }
}

fn of_range(range: &PortRange, tuple: &Tuple, segments: &[Arc<str>]) -> Option<RuleParts> {
    let (first, last) = range.ports;
    let service = Service::from_text(&format!("tcp/{first}-{last}")).ok()?;
    let reason = format!(
        "learned; ports negotiated by tcp/{}: {} of the range were seen, {} were not",
        range.parent,
        range.seen,
        range.excess()
    );
    parts(tuple, service, Opens::Client, false, reason.into(), segments)
}

fn parts(
    tuple: &Tuple,
    service: Service,
    opens: Opens,
    midstream: bool,
    reason: Arc<str>,
    segments: &[Arc<str>],
) -> Option<RuleParts> {
    Some(RuleParts {
        id: RuleId::new(1)?,
        segment: Arc::clone(segments.get(tuple.segment.index())?),
        vlans: VlanMatch::Exactly(tuple.vlans),
        client: address(tuple.client),
        client_side: Some(tuple.client_side),
        server: address(tuple.server),
        service,
        opens,
        midstream,
        reason,
        owner: None,
    })
}

fn address(network: Network) -> AddressMatch {
    match network {
        Network::Ip(address) => AddressMatch::Ip(Prefix::host(address)),
        Network::Link { mac, .. } => AddressMatch::Mac(mac),
    }
}

/// One line for a person, and exactly the tuples that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Who asks.
    pub client: Party,
    /// Who is asked.
    pub server: Party,
    /// Kind of conversation.
    pub kind: Kind,
    /// First and last value of the service.
    pub services: (u16, u16),
    /// What it stands for, in order; of a range with the first port.
    pub tuples: Vec<Tuple>,
    /// How many of them were seen themselves; the others have them by their role.
    pub seen: usize,
    /// Ports that a range permits beyond those seen.
    pub excess_ports: usize,
}

/// One end of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// A device.
    One(Network),
    /// Every device of a role that the summary's tuples name.
    Role {
        /// The role's name.
        name: String,
        /// How many of its devices.
        devices: usize,
        /// How many it has.
        of: usize,
    },
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(Network::Ip(address)) => write!(f, "{address}"),
            Self::One(Network::Link { mac, .. }) => write!(f, "{mac}"),
            Self::Role { name, devices, of } if devices == of => write!(f, "every {name} ({of})"),
            Self::Role { name, devices, of } => write!(f, "{devices} of {of} {name}"),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.tuples.first().and_then(Tuple::service);
        write!(f, "{} → {} ", self.client, self.server)?;
        match (service, self.services) {
            (_, (first, last)) if first != last => write!(f, "tcp/{first}-{last}")?,
            (Some(service), _) => write!(f, "{service}")?,
            (None, _) => write!(f, "{:?}/{}", self.kind, self.services.0)?,
        }
        let by_role = self.tuples.len() - self.seen;
        match (by_role, self.excess_ports) {
            (0, 0) => Ok(()),
            (by_role, 0) => write!(f, "; {by_role} by role, not seen themselves"),
            (_, ports) => write!(f, "; {ports} ports of the range not seen"),
        }
    }
}

impl Decisions {
    /// Everything admitted in as few lines as roles allow.
    ///
    /// The proof is in the form: a line stands for the list of its tuples, and every admitted tuple is in exactly one line. What a
    /// line permits beyond what was seen is `tuples.len() - seen` tuples, and `excess_ports` for each of a range.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        /// Roles of both ends, or their addresses.
        type Ends = (Option<u16>, Option<u16>, Option<Network>, Option<Network>);
        type Group = (Ends, Kind, (u16, u16), Side);
        let mut groups: BTreeMap<Group, Vec<(Tuple, bool)>> = BTreeMap::new();
        let one = |role: Option<u16>, network| role.is_none().then_some(network);
        let mut add = |tuple: Tuple, roles: [Option<u16>; 2], services, seen| {
            let [client, server] = roles;
            let ends = (client, server, one(client, tuple.client), one(server, tuple.server));
            let group = (ends, tuple.kind, services, tuple.client_side);
            groups.entry(group).or_default().push((tuple, seen));
        };
        let admitted = |candidate: &&Candidate| candidate.outcome == Outcome::Admitted;
        for candidate in self.candidates.iter().filter(admitted) {
            let service = candidate.tuple.service;
            if candidate.range.is_none() {
                let seen = candidate.evidence.is_some();
                add(candidate.tuple, candidate.roles, (service, service), seen);
            }
        }
        for range in &self.ranges {
            for tuple in &range.tuples {
                let roles = [tuple.client_device(), tuple.server_device()].map(|device| {
                    let at = self.devices.binary_search(&device).ok()?;
                    u16::try_from(self.roles.of(at)?).ok()
                });
                add(*tuple, roles, range.ports, true);
            }
        }
        let excess = |ports: (u16, u16)| {
            self.ranges.iter().find(|range| range.ports == ports).map_or(0, PortRange::excess)
        };
        let groups = groups.into_iter();
        groups
            .map(|(((client, server, ..), kind, services, _), found)| {
                let tuples: Vec<Tuple> = found.iter().map(|(tuple, _)| *tuple).collect();
                Summary {
                    client: self.party(client, tuples.iter().map(|t| (t.segment, t.client))),
                    server: self.party(server, tuples.iter().map(|t| (t.segment, t.server))),
                    kind,
                    services,
                    seen: found.iter().filter(|(_, seen)| *seen).count(),
                    excess_ports: if services.0 == services.1 { 0 } else { excess(services) },
                    tuples,
                }
            })
            .collect()
    }

    fn party(
        &self,
        role: Option<u16>,
        devices: impl Iterator<Item = (SegmentId, Network)>,
    ) -> Party {
        let mut devices: Vec<(SegmentId, Network)> = devices.collect();
        devices.sort_unstable();
        devices.dedup();
        match (role, devices.first()) {
            (Some(role), _) => Party::Role {
                name: self.roles.name(role.into()).to_owned(),
                devices: devices.len(),
                of: self.roles.members(role.into()).len(),
            },
            (None, Some((_, network))) => Party::One(*network),
            (None, None) => Party::Role { name: String::new(), devices: 0, of: 0 },
        }
    }
}
