//! The person who answers.
//!
//! Three of them: one who looks into every question and finds the truth, one who says yes to everything, and nobody. The first two are
//! the bounds between which people are.
//!
//! Who looks into it: a question whose tuples are all needed is approved, one with a tuple of an attack in it is refused as a whole: a question that mixes
//! both costs what it costs.

use std::collections::BTreeSet;

use loadlock_learn::{Answers, Card, CardKind, Drift, Proposal, ProposalKind, Tuple};

use crate::truth::Oracle;

/// How the person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Looks into every question, and finds the truth.
    LooksIntoIt,
    /// Approves everything, clears whoever was convicted.
    SaysYes,
    /// There is nobody.
    Nobody,
}

/// What the person has done so far.
pub(crate) struct Person<'o> {
    oracle: &'o Oracle,
    manner: Manner,
    /// What was answered.
    pub answers: Answers,
    /// Questions answered.
    pub cards: u64,
    /// Every question, with its answer.
    pub questions: Vec<String>,
    asked: BTreeSet<String>,
}

impl<'o> Person<'o> {
    pub fn new(oracle: &'o Oracle, manner: Manner) -> Self {
        Self {
            oracle,
            manner,
            answers: Answers::default(),
            cards: 0,
            questions: Vec::new(),
            asked: BTreeSet::new(),
        }
    }

    fn approves(&mut self, tuples: &[Tuple]) {
        let says_yes = self.manner == Manner::SaysYes;
        let is_attack = !says_yes && tuples.iter().any(|tuple| self.oracle.is_attack(tuple));
        let answers =
            if is_attack { &mut self.answers.declined } else { &mut self.answers.approved };
        answers.extend(tuples.iter().copied());
    }

    /// Answers one card. True if the answer may change decisions.
    pub fn answer(&mut self, card: &Card) -> bool {
        if self.manner == Manner::Nobody {
            return false;
        }
        let says_yes = self.manner == Manner::SaysYes;
        let about = match card.kind {
            CardKind::Convicted | CardKind::Claimed => {
                format!("{:?} {:?}", card.kind, card.devices)
            }
            CardKind::Held | CardKind::Waiting => format!("{:?}", card.tuples),
        };
        if !self.asked.insert(about) {
            return false;
        }
        self.cards += 1;
        let is_attack = card.tuples.iter().any(|tuple| self.oracle.is_attack(tuple));
        let what = if is_attack { "attack" } else { "benign" };
        self.questions.push(format!("{what} ({:?}): {}", card.kind, card.words));
        match card.kind {
            CardKind::Held | CardKind::Waiting => self.approves(&card.tuples),
            CardKind::Convicted => {
                for device in &card.devices {
                    if says_yes || !self.oracle.attackers.contains(device) {
                        self.answers.cleared.insert(*device);
                    }
                }
                // Once the infected device is cleaned, what is its work is given back.
                let needed = |tuple: &&Tuple| self.oracle.is_needed(tuple);
                let needed: Vec<Tuple> = card.tuples.iter().filter(needed).copied().collect();
                self.answers.approved.extend(needed);
            }
            CardKind::Claimed => {
                let forged = |device| !says_yes && self.oracle.attackers.contains(device);
                if card.devices.iter().any(forged) {
                    self.answers.declined.extend(card.tuples.iter().copied());
                } else {
                    self.answers.stations.extend(card.devices.iter().copied());
                }
            }
        }
        true
    }

    /// Answers a proposal of drift. True if it permits something.
    pub fn consider(&mut self, proposal: &Proposal, drift: &mut Drift) -> bool {
        if self.manner == Manner::Nobody {
            return false;
        }
        let says_yes = self.manner == Manner::SaysYes;
        let known = |tuple: &Tuple| {
            self.answers.approved.contains(tuple) || self.answers.declined.contains(tuple)
        };
        let new: Vec<Tuple> =
            proposal.tuples.iter().filter(|tuple| !known(tuple)).copied().collect();
        if new.is_empty() {
            return false;
        }
        self.cards += 1;
        let is_attack = !says_yes && new.iter().any(|tuple| self.oracle.is_attack(tuple));
        if let Some(moved) = proposal.moved.filter(|_| !is_attack) {
            self.questions.push(format!("benign (Move): {}", proposal.words));
            self.answers.moved.insert(moved.0, moved.1);
            return true;
        }
        let seen = |tuple: &&Tuple| self.oracle.tuples.contains_key(tuple);
        let is_needed = says_yes
            || proposal.kind == ProposalKind::NewDevice
            || new.iter().filter(seen).any(|tuple| self.oracle.is_needed(tuple));
        let what = if is_attack { "attack" } else { "benign" };
        self.questions.push(format!("{what} ({:?}): {}", proposal.kind, proposal.words));
        let answers = match is_needed && !is_attack {
            true => &mut self.answers.approved,
            false => &mut self.answers.declined,
        };
        answers.extend(new.iter().copied());
        new.iter().for_each(|tuple| drift.forget(tuple));
        is_needed && !is_attack
    }
}
