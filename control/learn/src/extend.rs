//! What is admitted beyond single evidence: ranges of negotiated ports, a role's habits, a person's answers, hosts that moved.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use loadlock_packet::{Kind, Network};

use crate::candidate::{Candidate, Grounds, Outcome, PortRange};
use crate::decide::Judge;
use crate::key::{Device, Tuple};
use crate::negotiated::Negotiated;

/// Segment, VLANs and side with the network in place of the address; whether by MAC address; vendor.
type Likeness = (Device, bool, [u8; 3]);

impl Judge<'_> {
    /// Turns ranges into candidates' coverage: what a range covers is admitted with it, if the parent is.
    pub(super) fn admit_ranges(
        &self,
        found: Vec<Negotiated>,
        candidates: &mut [Candidate],
    ) -> Vec<PortRange> {
        let admitted = |tuple: &Tuple, candidates: &[Candidate]| {
            let at = candidates.binary_search_by_key(tuple, |candidate| candidate.tuple);
            at.is_ok_and(|at| candidates[at].outcome == Outcome::Admitted)
        };
        let mut ranges = Vec::new();
        for Negotiated { parent, ports, seen, pairs, facts, reversed } in found {
            let Some(server) = pairs.first().map(|tuple| tuple.server) else { continue };
            let of_pair = |tuple: Tuple| Tuple {
                service: ports.0,
                ..if reversed { turned(tuple) } else { tuple }
            };
            let pairs = pairs.into_iter().filter(|tuple| admitted(tuple, candidates));
            let mut tuples: Vec<Tuple> = pairs.map(of_pair).collect();
            tuples.sort_unstable();
            tuples.dedup();
            let number = u16::try_from(ranges.len()).ok();
            for at in facts {
                let candidate = &mut candidates[at as usize];
                let ends = Tuple { service: ports.0, ..candidate.tuple };
                if candidate.hold.is_none() && tuples.binary_search(&ends).is_ok() {
                    candidate.outcome = Outcome::Admitted;
                    candidate.range = number;
                }
            }
            if !tuples.is_empty() {
                ranges.push(PortRange { parent, ports, seen, server, reversed, tuples });
            }
        }
        ranges
    }

    /// What several of a role do, not all on one day, counts for all of it.
    ///
    /// Of clients, two suffice: each found the server by itself. Of servers, one client may have found them all: most of the role must
    /// have been asked, each on several days.
    pub(super) fn extend_to_roles(&self, candidates: &mut [Candidate]) -> Vec<Candidate> {
        let known: HashSet<Tuple> = candidates.iter().map(|candidate| candidate.tuple).collect();
        let mut extended: BTreeMap<Tuple, usize> = BTreeMap::new();
        for (of_client, groups) in
            [(true, &self.groups.by_service), (false, &self.groups.by_question)]
        {
            for facts in groups.values() {
                for (role, users) in self.users_by_role(facts, candidates, of_client) {
                    let members = self.roles.members(role);
                    if !self.is_of_role(&users, members.len(), of_client) {
                        continue;
                    }
                    for at in &users {
                        let candidate = &mut candidates[*at as usize];
                        if candidate.outcome == Outcome::Waiting {
                            candidate.outcome = Outcome::Admitted;
                            candidate.grounds.peers = candidate.grounds.peers.max(users.len() - 1);
                        }
                    }
                    let example = self.ledger.facts[users[0] as usize].tuple;
                    for member in members {
                        let member = self.ledger.devices[*member as usize];
                        let tuple = for_member(example, member, of_client);
                        let is_new = tuple.client != tuple.server && !known.contains(&tuple);
                        if is_new && !self.answers.declined.contains(&tuple) {
                            let peers = extended.entry(tuple).or_default();
                            *peers = users.len().max(*peers);
                        }
                    }
                }
            }
        }
        extended.into_iter().map(|(tuple, peers)| self.by_role(tuple, peers)).collect()
    }

    /// The facts of a group that nothing speaks against, by the role of one end, in order.
    fn users_by_role(
        &self,
        facts: &[u32],
        candidates: &[Candidate],
        of_client: bool,
    ) -> BTreeMap<usize, Vec<u32>> {
        let mut users: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for at in facts {
            let (fact, candidate) = (&self.ledger.facts[*at as usize], &candidates[*at as usize]);
            let device = if of_client { fact.client } else { fact.server };
            let fits = candidate.hold.is_none()
                && candidate.range.is_none()
                && matches!(candidate.outcome, Outcome::Admitted | Outcome::Waiting);
            if let Some(role) = self.roles.of(device).filter(|_| fits) {
                users.entry(role).or_default().push(*at);
            }
        }
        users
    }

    fn is_of_role(&self, users: &[u32], members: usize, of_client: bool) -> bool {
        const ROLE_MIN: usize = 4;
        const ASKED_MIN: usize = 3;
        if members < ROLE_MIN {
            return false;
        }
        let days_of = |at: &u32| self.ledger.facts[*at as usize].evidence.days;
        if of_client {
            let mut days = crate::days::Days::default();
            users.iter().for_each(|at| days.join(days_of(at)));
            return users.len() >= self.settings.peers_min
                && days.count() >= self.settings.habit_days_min;
        }
        let several =
            users.iter().filter(|at| days_of(at).count() >= self.settings.habit_days_min).count();
        several >= ASKED_MIN && several as f64 >= members as f64 * self.settings.role_share
    }

    /// What two devices of a network say to a group, the others of their vendor there may say too: discovery, announcements. It
    /// reaches nobody who isn't listening for it.
    pub(super) fn extend_groups(&self, candidates: &mut [Candidate]) -> Vec<Candidate> {
        let ledger = self.ledger;
        // Devices that speak for themselves, by what makes them alike here.
        let mut alike: BTreeMap<Likeness, Vec<Device>> = BTreeMap::new();
        let speaks =
            |at: &usize| ledger.as_client[*at].iter().any(|at| self.standing[*at as usize]);
        for at in (0..ledger.devices.len()).filter(speaks) {
            if let Some(likeness) = self.likeness(ledger.devices[at]) {
                alike.entry(likeness).or_default().push(ledger.devices[at]);
            }
        }
        let mut users: BTreeMap<(Likeness, Network, Kind, u16), Vec<usize>> = BTreeMap::new();
        for (at, fact) in ledger.facts.iter().enumerate() {
            let tuple = &fact.tuple;
            let known = candidates.binary_search_by_key(tuple, |candidate| candidate.tuple);
            let Ok(known) = known else { continue };
            let fits = fact.is_group && self.standing[at] && candidates[known].hold.is_none();
            if let Some(likeness) = fits.then(|| self.likeness(tuple.client_device())).flatten() {
                users
                    .entry((likeness, tuple.server, tuple.kind, tuple.service))
                    .or_default()
                    .push(known);
            }
        }
        let mut extended = BTreeMap::new();
        for ((likeness, ..), known) in users {
            if known.len() < self.settings.peers_min {
                continue;
            }
            for at in &known {
                if candidates[*at].outcome == Outcome::Waiting {
                    candidates[*at].outcome = Outcome::Admitted;
                    candidates[*at].grounds.peers = known.len() - 1;
                }
            }
            let example = candidates[known[0]].tuple;
            for device in &alike[&likeness] {
                let tuple = for_member(example, *device, true);
                let is_known = candidates.binary_search_by_key(&tuple, |found| found.tuple).is_ok();
                if !is_known && !self.answers.declined.contains(&tuple) {
                    extended.insert(tuple, self.by_role(tuple, known.len()));
                }
            }
        }
        extended.into_values().collect()
    }

    /// The network and the vendor of a device on a segment; nothing for addresses that several share.
    fn likeness(&self, device: Device) -> Option<Likeness> {
        let station = self.ledger.station(&device)?;
        let network = match device.network {
            Network::Ip(IpAddr::V4(address)) if !address.is_unspecified() => {
                IpAddr::from((u32::from(address) & 0xffff_ff00).to_be_bytes())
            }
            Network::Ip(IpAddr::V6(address)) if !address.is_unspecified() => {
                IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes())
            }
            Network::Ip(_) => return None,
            Network::Link { .. } => IpAddr::from([0; 4]),
        };
        let vendor = [station.0[0], station.0[1], station.0[2]];
        let place = Device { network: Network::Ip(network), ..device };
        Some((place, matches!(device.network, Network::Link { .. }), vendor))
    }

    /// What a person approved before it was seen.
    pub(super) fn add_approved(&self, candidates: &mut Vec<Candidate>) {
        let known: HashSet<Tuple> = candidates.iter().map(|candidate| candidate.tuple).collect();
        let new = self.answers.approved.iter().filter(|tuple| !known.contains(tuple));
        let new: Vec<Candidate> = new
            .map(|tuple| Candidate {
                grounds: Grounds { approved: true, ..Grounds::default() },
                ..self.by_role(*tuple, 0)
            })
            .collect();
        candidates.extend(new);
        candidates.sort_by_key(|candidate| candidate.tuple);
    }

    /// What was admitted with a host's old address is admitted with its new one.
    pub(super) fn follow_moves(&self, candidates: &mut Vec<Candidate>, ranges: &mut [PortRange]) {
        if self.answers.moved.is_empty() {
            return;
        }
        let moved = |network: Network| self.answers.moved.get(&network).copied().unwrap_or(network);
        let follow = |tuple: &Tuple| {
            let new = Tuple { client: moved(tuple.client), server: moved(tuple.server), ..*tuple };
            (new != *tuple).then_some(new)
        };
        let known: HashSet<Tuple> = candidates.iter().map(|candidate| candidate.tuple).collect();
        let new: Vec<Candidate> = candidates
            .iter()
            .filter(|candidate| candidate.outcome == Outcome::Admitted && candidate.range.is_none())
            .filter_map(|candidate| {
                let tuple = follow(&candidate.tuple).filter(|tuple| !known.contains(tuple))?;
                let grounds = Grounds { approved: true, ..Grounds::default() };
                Some(Candidate { tuple, evidence: None, grounds, ..candidate.clone() })
            })
            .collect();
        candidates.extend(new);
        candidates.sort_by_key(|candidate| candidate.tuple);
        for range in ranges {
            let new: Vec<Tuple> = range.tuples.iter().filter_map(follow).collect();
            range.tuples.extend(new);
            range.tuples.sort_unstable();
            range.tuples.dedup();
        }
    }

    pub(super) fn by_role(&self, tuple: Tuple, peers: usize) -> Candidate {
        let role = |device: Device| {
            let at = self.ledger.devices.binary_search(&device).ok()?;
            u16::try_from(self.roles.of(at)?).ok()
        };
        Candidate {
            tuple,
            evidence: None,
            is_sound: true,
            outcome: Outcome::Admitted,
            grounds: Grounds { peers, by_role: true, ..Grounds::default() },
            hold: None,
            roles: [role(tuple.client_device()), role(tuple.server_device())],
            range: None,
        }
    }
}

/// Whoever may use the parent may use what it negotiates, also if the right came from a role or a person.
pub(super) fn widen_ranges(ranges: &mut [PortRange], candidates: &[Candidate]) {
    for range in ranges {
        let (server, service) = (range.server, range.ports.0);
        let parents = candidates.iter().filter(|candidate| {
            let tuple = candidate.tuple;
            let is_parent = tuple.kind == Kind::Tcp && tuple.service == range.parent;
            candidate.outcome == Outcome::Admitted && is_parent && tuple.server == server
        });
        let own = |tuple: Tuple| if range.reversed { turned(tuple) } else { tuple };
        let tuples = parents.map(|candidate| Tuple { service, ..own(candidate.tuple) });
        let tuples: Vec<Tuple> = tuples.collect();
        range.tuples.extend(tuples);
        range.tuples.sort_unstable();
        range.tuples.dedup();
    }
}

/// The other end asks.
fn turned(tuple: Tuple) -> Tuple {
    Tuple {
        client: tuple.server,
        server: tuple.client,
        client_side: tuple.client_side.other(),
        ..tuple
    }
}

/// The same, by or for another device.
pub(crate) fn for_member(example: Tuple, member: Device, of_client: bool) -> Tuple {
    let Device { segment, vlans, network, side } = member;
    if of_client {
        Tuple { segment, vlans, client: network, client_side: side, ..example }
    } else {
        Tuple { segment, vlans, server: network, client_side: side.other(), ..example }
    }
}
