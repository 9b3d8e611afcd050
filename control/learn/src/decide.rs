//! Admission: of every candidate, whether it becomes a rule, and why.

use std::collections::{HashMap, HashSet};

use loadlock_packet::{Kind, MacAddress, Network, Side};

use crate::admission::{AdmissionPolicy, AdmissionSettings, Answers};
use crate::candidate::{Candidate, Decisions, Grounds, Hold, Outcome, is_undetermined};
use crate::classes::{Management, management};
use crate::extend::widen_ranges;
use crate::key::Tuple;
use crate::ledger::{Fact, Ledger};
use crate::negotiated::{self, Negotiated};
use crate::roles::Roles;
use crate::suspicion::Suspicion;

/// One end's address, the service, and the side that asks.
pub(super) type Ends = (Network, Kind, u16, Side);
pub(super) type ServiceGroups = HashMap<Ends, Vec<u32>>;

/// Facts by what they ask, and by who asks.
pub(super) struct Groups {
    pub(super) by_service: ServiceGroups,
    pub(super) by_question: ServiceGroups,
    /// Clients of each server, whatever the service.
    clients: HashMap<Network, HashSet<Network>>,
    /// How many of a role ask for a service: at all, and on several days each.
    users: HashMap<(Ends, usize), [usize; 2]>,
    /// How many of a role are asked by the same client, on several days each.
    asked: HashMap<(Ends, usize), usize>,
}

pub(crate) struct Judge<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) settings: &'a AdmissionSettings,
    pub(super) answers: &'a Answers,
    pub(super) suspicion: Suspicion,
    pub(super) roles: Roles,
    pub(super) groups: Groups,
    /// Facts that count for others: sound, and of no convicted or clouded source.
    pub(super) standing: Vec<bool>,
    fan_out: HashMap<u32, usize>,
    /// Servers that convicted sources found, and how many of those.
    tainted: HashMap<Network, usize>,
}

/// Decides about everything in a ledger.
pub(crate) fn decide(
    ledger: &Ledger,
    settings: &AdmissionSettings,
    answers: &Answers,
) -> Decisions {
    if settings.policy == AdmissionPolicy::RecordAll {
        return record_all(ledger, answers);
    }
    let suspicion = Suspicion::weigh(ledger, settings, &answers.cleared);
    let standing: Vec<bool> = ledger
        .facts
        .iter()
        .map(|fact| {
            // What a person approved stands for others too, whoever brought it in.
            let approved = answers.approved.contains(&fact.tuple);
            fact.is_sound() && (approved || !suspicion.taints(fact) && !suspicion.clouds(fact))
        })
        .collect();
    // What a convicted device does as others do still tells what it is.
    let others: HashSet<Ends> = standing_facts(ledger, &standing).map(Fact::service_of).collect();
    let counts = |at: usize| standing[at] || others.contains(&ledger.facts[at].service_of());
    let roles = Roles::find(ledger, |at| !counts(at), &answers.roles);
    let groups = Groups::of(ledger, &standing, &roles, settings.habit_days_min);
    let mut judge = Judge {
        ledger,
        settings,
        answers,
        suspicion,
        roles,
        groups,
        standing,
        fan_out: HashMap::new(),
        tainted: HashMap::new(),
    };
    let negotiated = negotiated::find(ledger, &judge.standing);
    judge.find_fan_out(&negotiated);
    judge.find_tainted();
    judge.decide(negotiated)
}

fn standing_facts<'l>(ledger: &'l Ledger, standing: &'l [bool]) -> impl Iterator<Item = &'l Fact> {
    ledger.facts.iter().zip(standing).filter(|(_, standing)| **standing).map(|(fact, _)| fact)
}

/// Every fact is a rule, but for what a person refused; and what a person approved.
fn record_all(ledger: &Ledger, answers: &Answers) -> Decisions {
    let grounds = Grounds { recorded: true, ..Grounds::default() };
    let candidate = |fact: &Fact| Candidate {
        tuple: fact.tuple,
        evidence: Some(fact.evidence),
        is_sound: fact.is_sound(),
        outcome: Outcome::Admitted,
        grounds: Grounds { days: fact.evidence.days.count(), ..grounds },
        hold: None,
        roles: [None; 2],
        range: None,
    };
    let answered = |candidate: Candidate| match answers.declined.contains(&candidate.tuple) {
        true => Candidate { outcome: Outcome::Held, hold: Some(Hold::Declined), ..candidate },
        false => candidate,
    };
    let mut candidates: Vec<Candidate> = ledger.facts.iter().map(candidate).map(answered).collect();
    let known: HashSet<Tuple> = candidates.iter().map(|candidate| candidate.tuple).collect();
    let approved = answers.approved.iter().filter(|tuple| !known.contains(tuple));
    candidates.extend(approved.map(|tuple| Candidate::approved(*tuple)));
    candidates.sort_by_key(|candidate| candidate.tuple);
    Decisions {
        candidates,
        devices: ledger.devices.clone(),
        span_ns: ledger.span_ns(),
        ..Decisions::default()
    }
}

impl Groups {
    fn of(ledger: &Ledger, standing: &[bool], roles: &Roles, habit_days_min: u32) -> Self {
        let mut groups = Self {
            by_service: HashMap::new(),
            by_question: HashMap::new(),
            clients: HashMap::new(),
            users: HashMap::new(),
            asked: HashMap::new(),
        };
        for (at, fact) in (0u32..).zip(&ledger.facts).filter(|(at, _)| standing[*at as usize]) {
            groups.by_service.entry(fact.service_of()).or_default().push(at);
            groups.by_question.entry(fact.question_of()).or_default().push(at);
            groups.clients.entry(fact.tuple.server).or_default().insert(fact.tuple.client);
            let several = usize::from(fact.evidence.days.count() >= habit_days_min);
            if let Some(role) = roles.of(fact.client) {
                let users = groups.users.entry((fact.service_of(), role)).or_default();
                users[0] += 1;
                users[1] += several;
            }
            if let Some(role) = roles.of(fact.server) {
                *groups.asked.entry((fact.question_of(), role)).or_default() += several;
            }
        }
        groups
    }
}

impl Judge<'_> {
    /// One client, one service, many servers, each contact thin: no more than a few packets, hardly repeated.
    /// Negotiated ports are as many as the conversations that negotiate them.
    fn find_fan_out(&mut self, negotiated: &[Negotiated]) {
        const PACKETS_PER_CONVERSATION_MAX: u64 = 12;
        const CONVERSATIONS_PER_DAY_MAX: u64 = 2;
        let children: HashSet<u32> =
            negotiated.iter().flat_map(|range| range.facts.iter().copied()).collect();
        for facts in self.groups.by_question.values() {
            let thin: Vec<u32> = facts
                .iter()
                .copied()
                .filter(|at| !children.contains(at))
                .filter(|at| {
                    let evidence = &self.ledger.facts[*at as usize].evidence;
                    let conversations = evidence.conversations.max(1);
                    let days = u64::from(evidence.days.count().max(1));
                    let packets: u64 = evidence.packets.iter().sum();
                    packets / conversations <= PACKETS_PER_CONVERSATION_MAX
                        && conversations / days <= CONVERSATIONS_PER_DAY_MAX
                })
                .collect();
            let servers: HashSet<Network> =
                thin.iter().map(|at| self.ledger.facts[*at as usize].tuple.server).collect();
            if servers.len() >= self.settings.fan_out_servers && thin.len() * 4 >= facts.len() * 3 {
                self.fan_out.extend(thin.into_iter().map(|at| (at, servers.len())));
            }
        }
    }

    /// Servers whose first users, and most of them, were convicted: where a worm calls home.
    fn find_tainted(&mut self) {
        /// Earliest use, and the users, of convicted sources and of others.
        type Uses = [(u64, HashSet<Network>); 2];
        let mut uses: HashMap<Network, Uses> = HashMap::new();
        for (at, fact) in self.ledger.facts.iter().enumerate().filter(|(_, fact)| fact.is_sound()) {
            let of = usize::from(self.standing[at]);
            if of == 0 && !self.suspicion.taints(fact) {
                continue;
            }
            let uses = uses
                .entry(fact.tuple.server)
                .or_insert_with(|| [(u64::MAX, HashSet::new()), (u64::MAX, HashSet::new())]);
            uses[of].0 = uses[of].0.min(fact.evidence.first_seen_ns);
            uses[of].1.insert(fact.tuple.client);
        }
        let tainted = uses.into_iter().filter(|(_, [convicted, others])| {
            convicted.0 < others.0 && convicted.1.len() >= others.1.len()
        });
        self.tainted =
            tainted.map(|(server, [convicted, _])| (server, convicted.1.len())).collect();
    }

    fn decide(mut self, negotiated: Vec<Negotiated>) -> Decisions {
        let mut candidates: Vec<Candidate> =
            (0u32..).zip(&self.ledger.facts).map(|(at, fact)| self.judge(at, fact)).collect();
        let ranges = self.admit_ranges(negotiated, &mut candidates);
        let extended = self.extend_to_roles(&mut candidates);
        candidates.extend(extended);
        candidates.sort_by_key(|candidate| candidate.tuple);
        let extended = self.extend_groups(&mut candidates);
        candidates.extend(extended);
        candidates.sort_by_key(|candidate| candidate.tuple);
        self.add_approved(&mut candidates);
        let mut ranges = ranges;
        widen_ranges(&mut ranges, &candidates);
        self.follow_moves(&mut candidates, &mut ranges);
        let claimed = (0u32..)
            .zip(&self.ledger.facts)
            .filter_map(|(_, fact)| Some((fact.tuple.client_device(), self.foreign_station(fact)?)))
            .collect();
        Decisions {
            candidates,
            convictions: std::mem::take(&mut self.suspicion.convictions).into_values().collect(),
            ranges,
            devices: self.ledger.devices.clone(),
            roles: self.roles,
            claimed,
            span_ns: self.ledger.span_ns(),
        }
    }

    fn judge(&self, at: u32, fact: &Fact) -> Candidate {
        let tuple = fact.tuple;
        let evidence = &fact.evidence;
        let role = |device| self.roles.of(device).and_then(|role| u16::try_from(role).ok());
        let grounds = Grounds {
            days: evidence.days.count(),
            period_s: evidence.starts.period_s(self.settings.cycles_min),
            peers: self.peers(at, fact),
            declared: self.answers.declared.covering(&tuple).is_some(),
            approved: self.answers.approved.contains(&tuple),
            recorded: false,
            by_role: false,
        };
        let (outcome, hold) = self.outcome(at, fact, &grounds);
        Candidate {
            tuple,
            evidence: Some(*evidence),
            is_sound: fact.is_sound(),
            outcome,
            grounds,
            hold,
            roles: [role(fact.client), role(fact.server)],
            range: None,
        }
    }

    fn outcome(&self, at: u32, fact: &Fact, grounds: &Grounds) -> (Outcome, Option<Hold>) {
        let evidence = &fact.evidence;
        if grounds.approved {
            return (Outcome::Admitted, None);
        }
        if self.answers.declined.contains(&fact.tuple) {
            return (Outcome::Held, Some(Hold::Declined));
        }
        let enough_peers = grounds.peers >= self.settings.peers_min;
        // What others of the role brought in as well didn't come only from the convicted source.
        if self.suspicion.taints(fact) && !(enough_peers && self.class(fact).is_none()) {
            return (Outcome::Withdrawn, None);
        }
        if grounds.declared {
            return (Outcome::Admitted, None);
        }
        let stands = if fact.is_sound() {
            let days =
                grounds.days >= self.settings.days_min && !is_undetermined(&fact.tuple, evidence);
            days || enough_peers || grounds.period_s.is_some()
        } else {
            self.is_sound_datagram(fact, grounds)
        };
        let hold = fact.is_sound().then(|| self.hold(at, fact, grounds)).flatten();
        match (hold, stands) {
            (Some(hold), _) => (Outcome::Held, Some(hold)),
            (None, true) => (Outcome::Admitted, None),
            (None, false) => (Outcome::Waiting, None),
        }
    }

    /// Datagrams that nobody answers: syslog, traps. The receiver must be somebody, and the habit established.
    fn is_sound_datagram(&self, fact: &Fact, grounds: &Grounds) -> bool {
        const CONVERSATIONS_MIN: u64 = 10;
        fact.tuple.kind == Kind::Udp
            && !self.ledger.is_unused(fact.tuple.server)
            && grounds.days >= self.settings.days_min
            && (grounds.peers >= self.settings.peers_min
                || fact.evidence.conversations >= CONVERSATIONS_MIN)
    }

    fn hold(&self, at: u32, fact: &Fact, grounds: &Grounds) -> Option<Hold> {
        if self.suspicion.clouds(fact) && grounds.peers < self.settings.peers_min {
            return Some(Hold::Suspicion);
        }
        if let Some(mac) = self.foreign_station(fact) {
            return Some(Hold::Identity(mac));
        }
        if let Some(class) = self.class(fact) {
            return Some(Hold::Management(class));
        }
        if let Some(sources) = self.tainted.get(&fact.tuple.server) {
            return Some(Hold::ConvictedFirst { sources: *sources });
        }
        if let Some(servers) = self.fan_out.get(&at) {
            return Some(Hold::FanOut { servers: *servers });
        }
        self.rare_server(fact)
    }

    /// The other station that spoke for the client, unless a person knows of it.
    fn foreign_station(&self, fact: &Fact) -> Option<MacAddress> {
        let confirmed = self.answers.stations.contains(&fact.tuple.client_device());
        let found = self.ledger.foreign_station(fact, self.settings.sides_guessed);
        found.filter(|_| !confirmed)
    }

    /// The class of a service that only a person may admit across zones. File and database services are in order when they are the
    /// role's: most of it, on several days each, with a server that isn't itself one of many alike.
    fn class(&self, fact: &Fact) -> Option<Management> {
        let class = management(fact.tuple.kind, fact.tuple.service)?;
        let is_habit = class.may_be_habit()
            && self.roles.of(fact.server).is_none()
            && self.roles.of(fact.client).is_some_and(|role| self.is_habit_of(fact, role));
        (!is_habit).then_some(class)
    }

    /// True if this share of a role does the same on several days each.
    fn is_habit_of(&self, fact: &Fact, role: usize) -> bool {
        const USERS_MIN: usize = 3;
        let users = self.groups.users.get(&(fact.service_of(), role)).map_or(0, |users| users[1]);
        let needed = self.roles.members(role).len() as f64 * self.settings.role_share;
        users >= USERS_MIN && users as f64 >= needed
    }

    fn rare_server(&self, fact: &Fact) -> Option<Hold> {
        const ROLE_MIN: usize = 4;
        let role = self.roles.of(fact.client)?;
        let members = self.roles.members(role);
        if members.len() < ROLE_MIN || fact.is_group {
            return None;
        }
        let clients = self.groups.clients.get(&fact.tuple.server)?;
        let users = members
            .iter()
            .filter(|device| clients.contains(&self.ledger.devices[**device as usize].network))
            .count();
        let rare = (users as f64) < members.len() as f64 * self.settings.rare_share;
        (rare && users == clients.len()).then_some(Hold::RareServer { users, role: members.len() })
    }

    /// Role peers with the same: of the client, asking the same server; of the server, asked by the same client on several days.
    fn peers(&self, at: u32, fact: &Fact) -> usize {
        let counts = self.standing[at as usize];
        let several = counts && fact.evidence.days.count() >= self.settings.habit_days_min;
        let clients = self.roles.of(fact.client).and_then(|role| {
            let users = self.groups.users.get(&(fact.service_of(), role))?;
            Some(users[0] - usize::from(counts))
        });
        let servers = self.roles.of(fact.server).and_then(|role| {
            let asked = self.groups.asked.get(&(fact.question_of(), role))?;
            Some(asked - usize::from(several))
        });
        clients.unwrap_or(0).max(servers.unwrap_or(0))
    }
}
