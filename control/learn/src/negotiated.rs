//! Ports that a parent service hands out: FTP data connections, DCE/RPC endpoints.

use std::collections::{BTreeMap, HashMap, HashSet};

use loadlock_packet::{Kind, Network, Side};

use crate::key::Tuple;
use crate::ledger::Ledger;

/// Ports of one parent service, as a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Negotiated {
    /// The parent's port: 21 or 135.
    pub parent: u16,
    /// First and last port.
    pub ports: (u16, u16),
    /// Different ports that were seen.
    pub seen: usize,
    /// Tuples of the parents, whose ends may use the range; reversed if the server of the parent is the client (active FTP).
    pub pairs: Vec<Tuple>,
    /// Facts that the range covers.
    pub facts: Vec<u32>,
    /// The server of the parent connects.
    pub reversed: bool,
}

/// Parent services whose children have ports of their own.
const PARENTS: [u16; 2] = [21, 135];
/// Fewer different ports stay single rules.
const PORTS_MIN: usize = 8;
/// Children have unprivileged ports.
const CHILD_PORT_MIN: u16 = 1024;
/// A port that takes more than this share of the conversations is a service of its own, and doesn't stretch a range.
const OWN_SERVICE_SHARE: f64 = 0.2;

/// Finds the ranges. `sound` are the facts that count: answered, and from no convicted source.
pub(crate) fn find(ledger: &Ledger, sound: &[bool]) -> Vec<Negotiated> {
    type Pair = (loadlock_packet::SegmentId, loadlock_packet::VlanStack, Network, Network, Side);
    let pair = |tuple: &Tuple| -> Pair {
        (tuple.segment, tuple.vlans, tuple.client, tuple.server, tuple.client_side)
    };
    let turned = |(segment, vlans, client, server, side): Pair| -> Pair {
        (segment, vlans, server, client, side.other())
    };
    let sound_facts = || (0u32..).zip(&ledger.facts).filter(|(at, _)| sound[*at as usize]);
    let mut parents: HashMap<Pair, Vec<u32>> = HashMap::new();
    for (at, fact) in sound_facts() {
        if fact.tuple.kind == Kind::Tcp && PARENTS.contains(&fact.tuple.service) {
            parents.entry(pair(&fact.tuple)).or_default().push(at);
        }
    }
    if parents.is_empty() {
        return Vec::new();
    }
    // By the parent's server, its port, and whether the children go the other way.
    let mut children: BTreeMap<(Network, u16, bool), Vec<(u32, u32)>> = BTreeMap::new();
    for (at, fact) in sound_facts() {
        if fact.tuple.kind != Kind::Tcp || fact.tuple.service < CHILD_PORT_MIN {
            continue;
        }
        let own = pair(&fact.tuple);
        for (ends, reversed) in [(own, false), (turned(own), true)] {
            for parent in parents.get(&ends).into_iter().flatten() {
                let tuple = &ledger.facts[*parent as usize].tuple;
                let group = (tuple.server, tuple.service, reversed);
                children.entry(group).or_default().push((*parent, at));
            }
        }
    }
    let ranges = children.into_iter();
    ranges
        .filter_map(|((_, port, reversed), found)| range(ledger, port, reversed, &found))
        .collect()
}

fn range(
    ledger: &Ledger,
    parent: u16,
    reversed: bool,
    children: &[(u32, u32)],
) -> Option<Negotiated> {
    let mut conversations: BTreeMap<u16, u64> = BTreeMap::new();
    for (_, at) in children {
        let fact = &ledger.facts[*at as usize];
        *conversations.entry(fact.tuple.service).or_default() += fact.evidence.conversations.max(1);
    }
    let all: u64 = conversations.values().sum();
    conversations.retain(|_, own| (*own as f64) < all as f64 * OWN_SERVICE_SHARE);
    if conversations.len() < PORTS_MIN {
        return None;
    }
    let ports = (*conversations.keys().next()?, *conversations.keys().next_back()?);
    let covered =
        |at: &u32| (ports.0..=ports.1).contains(&ledger.facts[*at as usize].tuple.service);
    let mut pairs: HashSet<u32> = HashSet::new();
    let mut facts: Vec<u32> = Vec::new();
    for (parent, at) in children.iter().filter(|(_, at)| covered(at)) {
        pairs.insert(*parent);
        facts.push(*at);
    }
    let mut pairs: Vec<Tuple> =
        pairs.into_iter().map(|at| ledger.facts[at as usize].tuple).collect();
    pairs.sort_unstable();
    facts.sort_unstable();
    facts.dedup();
    Some(Negotiated { parent, ports, seen: conversations.len(), pairs, facts, reversed })
}
