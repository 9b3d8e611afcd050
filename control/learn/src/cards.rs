//! What a person is asked: one card for everything that has one answer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use loadlock_packet::{Kind, Network};

use crate::candidate::{Candidate, Decisions, Hold, Outcome};
use crate::explain::hold_words;
use crate::extend::for_member;
use crate::key::{Device, Tuple};

/// What a card is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// Held candidates: may they be admitted?
    Held,
    /// Answered, and still without the evidence that admits it: needed, or chance? Only before enforcing.
    Waiting,
    /// Convicted sources: are they what they look like?
    Convicted,
    /// An address that a second station claims: is it a spare part?
    Claimed,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What it is about.
    pub kind: CardKind,
    /// The question in words.
    pub words: String,
    /// The tuples that the answer decides about, in order.
    pub tuples: Vec<Tuple>,
    /// The devices that the answer is about, in order.
    pub devices: Vec<Device>,
}

/// Cards in the order of their weight, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// At most as many as were asked for.
    pub cards: Vec<Card>,
    /// Cards that aren't shown: an attacker mustn't be able to bury the others.
    pub left_out: usize,
}

fn more_words(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    }
}

/// Which held candidates have one answer: why, the role or the device on each side, the service.
type Question = (u8, Result<u16, Network>, Result<u16, Network>, Kind, u16);

impl Decisions {
    /// The questions to a person, at most `cards_max`. Those about most tuples of known roles come first; the sources of one network are
    /// one question.
    #[must_use]
    pub fn cards(&self, cards_max: usize) -> Cards {
        let mut cards = self.claimed_cards();
        cards.extend(self.held_cards());
        let mut convicted = self.convicted_cards();
        convicted.append(&mut cards);
        let left_out = convicted.len().saturating_sub(cards_max);
        convicted.truncate(cards_max);
        Cards { cards: convicted, left_out }
    }

    fn held_cards(&self) -> Vec<Card> {
        let mut held: BTreeMap<Question, Vec<&Candidate>> = BTreeMap::new();
        for candidate in self.candidates.iter().filter(|found| found.outcome == Outcome::Held) {
            let Some(hold) = candidate.hold else { continue };
            let why = match hold {
                // Answered once; the claim has a card of its own.
                Hold::Declined | Hold::Identity(_) => continue,
                Hold::Management(class) => class as u8,
                Hold::Suspicion => 16,
                Hold::FanOut { .. } => 17,
                Hold::RareServer { .. } => 18,
                Hold::ConvictedFirst { .. } => 19,
            };
            let tuple = candidate.tuple;
            let [client, server] = candidate.roles;
            let mut service = tuple.service;
            if why == 18 {
                // Whoever may ask a rare server may ask it everything that he was seen to ask.
                service = 0;
            }
            let server = match hold {
                // One source that reaches many is one question, whoever they are.
                Hold::FanOut { .. } => Err(tuple.client),
                _ => server.ok_or(tuple.server),
            };
            let kind = if why == 18 { Kind::Tcp } else { tuple.kind };
            let question = (why, client.ok_or(tuple.client), server, kind, service);
            held.entry(question).or_default().push(candidate);
        }
        let mut cards: Vec<Card> =
            held.into_values().filter_map(|found| self.held(&found)).collect();
        cards.sort_by_key(|card| std::cmp::Reverse(card.tuples.len()));
        cards
    }

    /// What a person should look at before enforcing: answered candidates that are short of evidence. One question for each role or
    /// device and service.
    #[must_use]
    pub fn review_cards(&self) -> Vec<Card> {
        let mut waiting: BTreeMap<Question, (Vec<Tuple>, [Option<u16>; 2])> = BTreeMap::new();
        let found = self.candidates.iter().filter(|found| found.outcome == Outcome::Waiting);
        for candidate in found.filter(|found| found.is_sound) {
            let tuple = candidate.tuple;
            let [client, server] = candidate.roles;
            let ends = (client.ok_or(tuple.client), server.ok_or(tuple.server));
            let question = (0, ends.0, ends.1, tuple.kind, tuple.service);
            let question = waiting.entry(question).or_default();
            question.0.push(tuple);
            question.1 = candidate.roles;
        }
        let cards = waiting.into_values().filter_map(|(seen, roles)| {
            let first = *seen.first()?;
            let (tuples, more) = self.for_role(roles, &seen);
            let mut devices: Vec<Device> = tuples.iter().map(Tuple::client_device).collect();
            devices.dedup();
            let words = format!("{first}{more}: answered, and seen too little to be sure");
            Some(Card { kind: CardKind::Waiting, words, tuples, devices })
        });
        cards.collect()
    }

    fn held(&self, found: &[&Candidate]) -> Option<Card> {
        let first = found.first()?;
        let hold = first.hold?;
        let seen: Vec<Tuple> = found.iter().map(|candidate| candidate.tuple).collect();
        let (tuples, more) = match hold {
            Hold::Management(_) => self.for_role(first.roles, &seen),
            _ => (seen.clone(), more_words(seen.len())),
        };
        let mut devices: Vec<Device> = tuples.iter().map(Tuple::client_device).collect();
        devices.sort_unstable();
        devices.dedup();
        let words = format!("{}{more}: {}", first.tuple, hold_words(hold));
        Some(Card { kind: CardKind::Held, words, tuples, devices })
    }

    /// What a device of a role was seen to do is asked for the whole role, and says so.
    fn for_role(&self, roles: [Option<u16>; 2], seen: &[Tuple]) -> (Vec<Tuple>, String) {
        let (role, of_client) = match roles {
            [Some(role), None] => (role, true),
            [None, Some(role)] => (role, false),
            _ => return (seen.to_vec(), more_words(seen.len())),
        };
        let Some(example) = seen.first() else { return (Vec::new(), String::new()) };
        let members = self.roles.members(role.into()).iter();
        let members = members.filter_map(|at| self.devices.get(*at as usize));
        let mut tuples: Vec<Tuple> =
            members.map(|member| for_member(*example, *member, of_client)).collect();
        tuples.sort_unstable();
        let name = self.roles.name(role.into());
        (tuples, format!(" and every other {name} (seen on {})", seen.len()))
    }

    fn claimed_cards(&self) -> Vec<Card> {
        let claimed = self.claimed.iter();
        claimed
            .map(|(device, mac)| {
                let of_device = |candidate: &&Candidate| {
                    candidate.tuple.client_device() == *device
                        && matches!(candidate.hold, Some(Hold::Identity(_)))
                };
                let held = self.candidates.iter().filter(of_device);
                Card {
                    kind: CardKind::Claimed,
                    words: format!(
                        "{} is claimed by another station, {mac}: a spare part, or somebody who forges it?",
                        device.address()
                    ),
                    tuples: held.map(|candidate| candidate.tuple).collect(),
                    devices: vec![*device],
                }
            })
            .collect()
    }

    fn convicted_cards(&self) -> Vec<Card> {
        let mut pools: BTreeMap<(u8, Option<IpAddr>), Vec<usize>> = BTreeMap::new();
        for (at, conviction) in self.convictions.iter().enumerate() {
            let pool = match conviction.source.network {
                Network::Ip(IpAddr::V4(address)) => {
                    Some(IpAddr::from((u32::from(address) >> 8 << 8).to_be_bytes()))
                }
                Network::Ip(IpAddr::V6(address)) => {
                    Some(IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes()))
                }
                Network::Link { .. } => None,
            };
            pools.entry((conviction.source.side as u8, pool)).or_default().push(at);
        }
        let pools = pools.into_values();
        pools
            .map(|members| {
                let devices: Vec<Device> =
                    members.iter().map(|at| self.convictions[*at].source).collect();
                let withdrawn = |candidate: &&Candidate| {
                    candidate.outcome == Outcome::Withdrawn
                        && devices.binary_search(&candidate.tuple.client_device()).is_ok()
                };
                let tuples: Vec<Tuple> =
                    self.candidates.iter().filter(withdrawn).map(|found| found.tuple).collect();
                let more = match devices.len() {
                    1 => String::new(),
                    count => format!(" and {} of its network", count - 1),
                };
                let first = devices.first().map(Device::address).unwrap_or_default();
                Card {
                    kind: CardKind::Convicted,
                    words: format!(
                        "{first}{more} scanned; {} candidates are withdrawn",
                        tuples.len()
                    ),
                    tuples,
                    devices,
                }
            })
            .collect()
    }
}
