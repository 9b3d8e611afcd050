//! What changes after learning: new needs, incidents, and rights that nobody uses any more.

use std::collections::{BTreeMap, HashMap};

use loadlock_exchange::{Event, EventKind};
use loadlock_packet::{Kind, Network};

use crate::candidate::{Candidate, Decisions, Outcome};
use crate::days::{Days, NS_PER_DAY, day_of};
use crate::key::{Device, Tuple, is_possible};

/// Conversations that no rule permits, since learning ended. Bounded; 64 bytes or so each.
#[derive(Debug)]
pub struct Drift {
    refused: HashMap<Tuple, Refused>,
    tuples_max: usize,
    left_out: u64,
}

/// How often a tuple was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// First time, ns since 1970.
    pub first_ns: u64,
    /// Last time, ns since 1970.
    pub last_ns: u64,
    /// Reports of it.
    pub count: u64,
    /// Days on which it was.
    pub days: Days,
}

/// What a proposal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProposalKind {
    /// A host has another address: its clients ask the new one for what they asked the old one.
    Move,
    /// The same new thing on several devices of a role: a roll-out, or a server that moved.
    RollOut,
    /// A device of its own that is like a role: may it have the role's rules?
    NewDevice,
    /// One device does something new, again and again.
    Incident,
}

impl ProposalKind {
    /// True where several devices are blocked at once: a person should look at it within the hour.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::Move | Self::RollOut)
    }
}

/// A change, as one question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What it is.
    pub kind: ProposalKind,
    /// In words.
    pub words: String,
    /// What would be permitted, in order.
    pub tuples: Vec<Tuple>,
    /// The host that moved: from which address, and to which.
    pub moved: Option<(Network, Network)>,
}

/// A rule that wasn't used for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Which.
    pub tuple: Tuple,
    /// Days since its last use.
    pub days: u32,
    /// Its own longest time without use so far, in days.
    pub usual_days: u32,
}

/// A right is proposed for removal after this many of its longest pauses.
const PAUSES_MAX: u32 = 3;
/// And not before this time: monthly jobs exist that were seen once.
const UNUSED_DAYS_MIN: u32 = 35;
/// Devices of one role for a roll-out.
const ROLL_OUT_MIN: usize = 2;

impl Drift {
    /// Nothing yet; at most `tuples_max` different tuples are kept, further ones counted.
    #[must_use]
    pub fn new(tuples_max: usize) -> Self {
        Self { refused: HashMap::new(), tuples_max, left_out: 0 }
    }

    /// Takes an event; only of what was denied, or would be, something is kept.
    pub fn observe(&mut self, event: &Event) {
        if !matches!(event.kind, EventKind::Denied(_)) || !is_possible(&event.key) {
            return;
        }
        // A denied conversation has no answer; who began it is all that is known of its direction.
        let tuple = Tuple::new(&event.key, event.initiator);
        let count = event.packets.iter().sum::<u64>().max(1);
        self.note(tuple, event.time_ns, count);
    }

    /// Notes that a tuple was refused.
    pub fn note(&mut self, tuple: Tuple, time_ns: u64, count: u64) {
        let full = self.refused.len() >= self.tuples_max;
        if full && !self.refused.contains_key(&tuple) {
            self.left_out += 1;
            return;
        }
        let own = self.refused.entry(tuple).or_insert(Refused {
            first_ns: time_ns,
            last_ns: time_ns,
            count: 0,
            days: Days::default(),
        });
        own.first_ns = own.first_ns.min(time_ns);
        own.last_ns = own.last_ns.max(time_ns);
        own.count += count;
        own.days.join(Days::only(day_of(time_ns)));
    }

    /// Forgets a tuple that has been decided about.
    pub fn forget(&mut self, tuple: &Tuple) {
        self.refused.remove(tuple);
    }

    /// Refused tuples beyond the room.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The changes as questions: roll-outs first, then new devices, then incidents, each in the order of their tuples. Sources that
    /// tried many different things are no change but a scan, and left to [`Drift::scanners`].
    #[must_use]
    pub fn proposals(&self, decisions: &Decisions) -> Vec<Proposal> {
        let scanners = self.scanners(decisions);
        let known = |device: &Device| decisions.devices.binary_search(device).ok();
        let role = |device: &Device| known(device).and_then(|at| decisions.roles.of(at));
        let moves = self.moves(decisions);
        let has_moved =
            |tuple: &Tuple| moves.values().any(|new| *new == tuple.client || *new == tuple.server);
        let mut groups: BTreeMap<_, Vec<Tuple>> = BTreeMap::new();
        for tuple in self.refused.keys() {
            let (client, server) = (tuple.client_device(), tuple.server_device());
            if scanners.contains_key(&client) || has_moved(tuple) {
                continue;
            }
            let ends = match (role(&client), role(&server)) {
                (Some(role), None) => (0u8, role, Some(tuple.server), None),
                (None, Some(role)) => (1, role, Some(tuple.client), None),
                (Some(role), Some(_)) => (2, role, None, Some(*tuple)),
                (None, None) => (3, 0, None, Some(*tuple)),
            };
            groups.entry((ends, tuple.kind, tuple.service)).or_default().push(*tuple);
        }
        let asked = decisions.services_of_roles();
        let mut proposals: Vec<Proposal> = groups
            .into_values()
            .map(|mut tuples| {
                tuples.sort_unstable();
                // Where others of the role may already, the question is about the role, and asked once.
                let others = tuples.first().and_then(|tuple| {
                    let service = (tuple.server, tuple.kind, tuple.service);
                    asked.get(&role(&tuple.client_device())?)?.get(&service).copied()
                });
                proposal(tuples, others.unwrap_or(0), decisions, &role)
            })
            .collect();
        proposals.extend(self.new_devices(decisions, &scanners));
        proposals.extend(moves.into_iter().map(|(old, new)| {
            let refused = self.refused.keys().filter(|tuple| tuple.client == new || tuple.server == new);
            let mut tuples: Vec<Tuple> = refused.copied().collect();
            tuples.sort_unstable();
            let device = |network| tuples.iter().map(Tuple::server_device).find(|d| d.network == network);
            let name = device(new).map(|device| device.address()).unwrap_or_default();
            let words = format!(
                "{} clients ask {name} for what they asked another host, which is silent: has it moved?",
                tuples.len()
            );
            Proposal { kind: ProposalKind::Move, words, tuples, moved: Some((old, new)) }
        }));
        proposals.sort_by(|a, b| (a.kind, &a.tuples).cmp(&(b.kind, &b.tuples)));
        proposals
    }

    /// Hosts that moved, by their old address: at least three clients ask an unknown address for nothing but what is admitted with
    /// the old one.
    fn moves(&self, decisions: &Decisions) -> BTreeMap<Network, Network> {
        const CLIENTS_MIN: usize = 3;
        let mut asked: BTreeMap<Network, Vec<&Tuple>> = BTreeMap::new();
        for tuple in self.refused.keys() {
            asked.entry(tuple.server).or_default().push(tuple);
        }
        let known: std::collections::BTreeSet<Network> =
            decisions.devices.iter().map(|device| device.network).collect();
        asked.retain(|server, tuples| {
            let clients: std::collections::BTreeSet<Network> =
                tuples.iter().map(|tuple| tuple.client).collect();
            !known.contains(server) && clients.len() >= CLIENTS_MIN
        });
        let mut moves = BTreeMap::new();
        for (new, tuples) in asked {
            let fits = |old: &&Network| {
                let before =
                    |tuple: &&&Tuple| decisions.admits(&Tuple { server: **old, ..***tuple });
                tuples.iter().filter(before).count() * 10 >= tuples.len() * 9
            };
            if let Some(old) = known.iter().find(fits) {
                moves.insert(*old, new);
            }
        }
        moves
    }

    /// Sources that were refused so many different things that they are scanning, and how many.
    #[must_use]
    pub fn scanners(&self, decisions: &Decisions) -> BTreeMap<Device, usize> {
        const DIFFERENT_MIN: usize = 4;
        let mut tried: BTreeMap<Device, usize> = BTreeMap::new();
        for tuple in self.refused.keys() {
            *tried.entry(tuple.client_device()).or_default() += 1;
        }
        // A device of a role does what its role does; a server of many asks many when it has moved.
        let permitted = |device: &Device| {
            decisions.candidates.iter().any(|candidate| {
                candidate.outcome == Outcome::Admitted && candidate.tuple.client_device() == *device
            })
        };
        tried.retain(|device, tried| *tried >= DIFFERENT_MIN && !permitted(device));
        tried
    }

    /// Devices that nobody knew, most of whose attempts are what a role does.
    fn new_devices(
        &self,
        decisions: &Decisions,
        scanners: &BTreeMap<Device, usize>,
    ) -> Vec<Proposal> {
        let mut tried: BTreeMap<Device, Vec<Tuple>> = BTreeMap::new();
        for tuple in self.refused.keys() {
            let client = tuple.client_device();
            if decisions.devices.binary_search(&client).is_err() || scanners.contains_key(&client) {
                tried.entry(client).or_default().push(*tuple);
            }
        }
        let asked = decisions.services_of_roles();
        let mut proposals = Vec::new();
        for (device, tuples) in tried {
            let best = asked.iter().map(|(role, services)| {
                let like = tuples
                    .iter()
                    .filter(|tuple| several(services, &(tuple.server, tuple.kind, tuple.service)));
                (like.count(), std::cmp::Reverse(*role))
            });
            let Some((like, std::cmp::Reverse(role))) = best.max() else { continue };
            if like < 2 || like * 2 < tuples.len() {
                continue;
            }
            let mut tuples: Vec<Tuple> = asked[&role]
                .keys()
                .filter(|service| several(&asked[&role], service))
                .map(|(server, kind, service)| Tuple {
                    segment: device.segment,
                    vlans: device.vlans,
                    client: device.network,
                    client_side: device.side,
                    server: *server,
                    kind: *kind,
                    service: *service,
                })
                .collect();
            tuples.sort_unstable();
            let words = format!(
                "{} is new, and like {}: may it have that role's rules?",
                device.address(),
                decisions.roles.name(role)
            );
            proposals.push(Proposal { kind: ProposalKind::NewDevice, words, tuples, moved: None });
        }
        proposals
    }
}

/// A roll-out reaches every device of a role sooner or later: the question is about all of them.
fn proposal(
    tuples: Vec<Tuple>,
    others: usize,
    decisions: &Decisions,
    role: &impl Fn(&Device) -> Option<usize>,
) -> Proposal {
    let words = tuples.first().map(Tuple::to_string).unwrap_or_default();
    let several = tuples.len() + others >= ROLL_OUT_MIN;
    let example = tuples.first().copied().filter(|_| several);
    let ends = example.map(|tuple| (role(&tuple.client_device()), role(&tuple.server_device())));
    let (Some(example), Some(ends)) = (example, ends) else {
        let words = format!("{words}: new, on one device");
        return Proposal { kind: ProposalKind::Incident, words, tuples, moved: None };
    };
    let (role, of_client) = match ends {
        (Some(role), None) => (role, true),
        (None, Some(role)) => (role, false),
        _ => {
            let words =
                format!("{words}: new, between devices that have nothing to do with each other");
            return Proposal { kind: ProposalKind::Incident, words, tuples, moved: None };
        }
    };
    let words = format!(
        "{words} and {} more of {} ({others} may already): a roll-out?",
        tuples.len() - 1,
        decisions.roles.name(role)
    );
    let members = decisions.roles.members(role).iter();
    let members = members.filter_map(|at| decisions.devices.get(*at as usize));
    let mut tuples: Vec<Tuple> =
        members.map(|member| crate::extend::for_member(example, *member, of_client)).collect();
    tuples.sort_unstable();
    Proposal { kind: ProposalKind::RollOut, words, tuples, moved: None }
}

/// Services by server, kind and port, and how many devices may use each.
type Services = BTreeMap<(Network, Kind, u16), usize>;

fn several(services: &Services, service: &(Network, Kind, u16)) -> bool {
    services.get(service).is_some_and(|users| *users > 1)
}

impl Decisions {
    /// What each role asks, of whom, and how many of it may.
    fn services_of_roles(&self) -> BTreeMap<usize, Services> {
        let mut services: BTreeMap<usize, Services> = BTreeMap::new();
        for candidate in &self.candidates {
            let [client, _] = candidate.roles;
            if let Some(role) = client.filter(|_| candidate.outcome == Outcome::Admitted) {
                let tuple = candidate.tuple;
                let service = (tuple.server, tuple.kind, tuple.service);
                *services.entry(role.into()).or_default().entry(service).or_default() += 1;
            }
        }
        services
    }

    /// Rights that weren't used for three of their own longest pauses, and at least 35 days.
    #[must_use]
    pub fn unused(&self, now_ns: u64) -> Vec<Unused> {
        let today = day_of(now_ns);
        let found = self.candidates.iter().filter(|found| found.outcome == Outcome::Admitted);
        found
            .filter_map(|Candidate { tuple, evidence, .. }| {
                let evidence = evidence.as_ref()?;
                let days = today.saturating_sub((evidence.last_seen_ns / NS_PER_DAY) as u32);
                let usual_days = evidence.days.longest_gap().unwrap_or(0);
                (days >= UNUSED_DAYS_MIN && days > PAUSES_MAX * usual_days).then_some(Unused {
                    tuple: *tuple,
                    days,
                    usual_days,
                })
            })
            .collect()
    }
}
