//! Which end of a conversation is its server, from all conversations together.
//!
//! Only for TCP that was met running, and for UDP, where the first packet alone misleads: a server's late answer comes
//! first after a timeout, and so does a station's answer to a multicast.

use std::collections::{HashMap, HashSet};

use loadlock_packet::{FlowKey, Kind, Network, SegmentId, Side, VlanStack};

use crate::evidence::{Basis, Evidence};
use crate::key::{Place, Tuple};

/// What the settled keys say about a place.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    /// It accepted a TCP handshake.
    handshake: bool,
    /// A TCP SYN was sent to it.
    addressed: bool,
    /// It was found to be a service before.
    known: bool,
}

/// How many different peers use a place.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    peers: u32,
    ports: u32,
}

/// Peers of places: a place, a peer's port, the peer's address.
type Links = Vec<(Place, u16, Network)>;

/// A station asked a group: in which scope, from which port, on which port; and who, if only the one may be answered.
/// Asking from the port that is asked makes no question: there is no client port to be found.
type Question = (SegmentId, VlanStack, u16, u16, Option<(Side, Network)>);

/// The direction of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub server: Side,
    pub basis: Basis,
    /// The evidence is about the server's port as such, and holds for other conversations with it.
    pub holds_for_others: bool,
}

/// The evidence of all conversations, put in order to be asked.
#[derive(Debug, Default)]
pub(crate) struct Directions {
    served: HashMap<Place, Served>,
    questions: HashSet<Question>,
    reach: HashMap<Place, Reach>,
}

const SIDES: [Side; 2] = [Side::A, Side::B];
/// Fewer different peer ports than this are no fan-in.
const FAN_IN_MIN: u32 = 2;

impl Directions {
    /// Weighs the evidence. Takes a few dozen bytes a conversation and a settled TCP key, for as long as it is used.
    pub fn new<'e>(
        settled: impl Iterator<Item = (&'e Tuple, &'e Evidence)>,
        services: &HashSet<Place>,
        conversations: impl Iterator<Item = (&'e FlowKey, &'e Evidence)> + Clone,
    ) -> Self {
        let mut directions = Self::default();
        for (key, evidence) in settled.filter(|(key, _)| key.kind == Kind::Tcp) {
            let served = directions.served.entry(key.server_place()).or_default();
            served.handshake |= evidence.handshake;
            served.addressed = true;
        }
        for place in services {
            directions.served.entry(*place).or_default().known = true;
        }
        for (key, evidence) in conversations.clone() {
            if let Some(client) = only(|side| evidence.asked[side as usize]) {
                let served = directions.served.entry(Place::of(key, client.other())).or_default();
                served.handshake = true;
            }
        }
        let mut links = Links::new();
        for (key, evidence) in conversations.clone() {
            directions.note_question(key, evidence);
            links.extend(SIDES.into_iter().filter_map(|side| link(key, evidence, side)));
        }
        directions.reach = reach(links);
        // A client that uses one of its ports again, for another server, looks like a service to which two servers
        // come. So a conversation doesn't count for an end if the other end accounts for it better.
        let mut links = Links::new();
        for (key, evidence) in conversations {
            let [a, b] = SIDES.map(|side| directions.claim(key, evidence, side));
            for (side, own, other) in [(Side::A, a, b), (Side::B, b, a)] {
                if other <= own {
                    links.extend(link(key, evidence, side));
                }
            }
        }
        directions.reach = reach(links);
        directions
    }

    /// The direction of one of the conversations.
    pub fn of(&self, key: &FlowKey, evidence: &Evidence) -> Direction {
        let places = SIDES.map(|side| Place::of(key, side));
        let found = |server, basis, holds_for_others| Direction { server, basis, holds_for_others };
        if let Some(server) = only(|side| self.answers(&places, side, evidence)) {
            return found(server, Basis::Answer, true);
        }
        if let Some(client) = only(|side| evidence.asked[side as usize]) {
            return found(client.other(), Basis::Handshake, true);
        }
        if let Some(server) = only(|side| places[side as usize].is_group(evidence)) {
            return found(server, Basis::FirstPacket, false);
        }
        let served = places.map(|place| self.served.get(&place).copied().unwrap_or_default());
        if let Some(server) = only(|side| served[side as usize].handshake) {
            return found(server, Basis::Handshake, true);
        }
        let fan_in = |side| {
            let weight = self.weight(&places[side as usize]);
            weight >= FAN_IN_MIN && counts_for(key, evidence, side)
        };
        if let Some(server) = only(fan_in) {
            return found(server, Basis::FanIn, true);
        }
        if let Some(client) = only(|side| evidence.has_opened(side)) {
            return found(client.other(), Basis::FirstPacket, false);
        }
        if let Some(server) = only(|side| served[side as usize].addressed) {
            return found(server, Basis::FirstPacket, false);
        }
        let peers =
            |side: Side| self.reach.get(&places[side as usize]).map_or(0, |reach| reach.peers);
        if let Some(server) = only(|side| peers(side) >= FAN_IN_MIN) {
            return found(server, Basis::FanIn, false);
        }
        let server = if places[0].port < places[1].port { Side::A } else { Side::B };
        found(server, Basis::Assumed, false)
    }

    /// Different ports of its peers; a place known to be a service outweighs all others.
    fn weight(&self, place: &Place) -> u32 {
        let served = self.served.get(place).copied().unwrap_or_default();
        if served.handshake || served.known {
            return u32::MAX;
        }
        self.reach.get(place).map_or(0, |reach| reach.ports)
    }

    /// How well the end on this side accounts for a conversation: its weight, doubled if the first packet went to it.
    fn claim(&self, key: &FlowKey, evidence: &Evidence, side: Side) -> u32 {
        let addressed = only(|side| evidence.has_opened(side)) == Some(side.other());
        self.weight(&Place::of(key, side)).saturating_mul(if addressed { 2 } else { 1 })
    }

    fn note_question(&mut self, key: &FlowKey, evidence: &Evidence) {
        for side in SIDES {
            let (own, group) = (Place::of(key, side), Place::of(key, side.other()));
            let asks = own.kind == Kind::Udp && own.port != group.port;
            if asks && group.is_group(evidence) && evidence.has_spoken(side) {
                let Place { segment, vlans, port, side, network, .. } = own;
                for asker in [None, Some((side, network))] {
                    self.questions.insert((segment, vlans, port, group.port, asker));
                }
            }
        }
    }

    /// True if this side speaks from a port on which a station asked a group. The answer goes to the station, or to all, at
    /// the port from which it was asked. Of two that speak to all, each at the other's port, either may have asked: the
    /// lower port is taken for the service.
    fn answers(&self, places: &[Place; 2], side: Side, evidence: &Evidence) -> bool {
        let (own, other) = (places[side as usize], places[side.other() as usize]);
        let speaks = own.kind == Kind::Udp && evidence.has_spoken(side) && !own.is_group(evidence);
        let to_all = other.is_group(evidence);
        let asker = (!to_all).then_some((other.side, other.network));
        let question = (own.segment, own.vlans, other.port, own.port, asker);
        speaks && (!to_all || own.port < other.port) && self.questions.contains(&question)
    }
}

/// The side for which `holds` is true, if it isn't true for both.
pub(crate) fn only(holds: impl Fn(Side) -> bool) -> Option<Side> {
    match (holds(Side::A), holds(Side::B)) {
        (true, false) => Some(Side::A),
        (false, true) => Some(Side::B),
        _ => None,
    }
}

/// Whether a conversation may count as a use of the service on this side: the peer spoke, or the side sent unasked to a
/// higher port, as answers to multicasts and late answers do. A scan from one port to many lower ones doesn't.
fn counts_for(key: &FlowKey, evidence: &Evidence, side: Side) -> bool {
    let port = |side| key.endpoint(side).service;
    evidence.has_spoken(side.other()) || port(side.other()) > port(side)
}

fn link(key: &FlowKey, evidence: &Evidence, side: Side) -> Option<(Place, u16, Network)> {
    let peer = key.endpoint(side.other());
    let place = Place::of(key, side);
    counts_for(key, evidence, side).then_some((place, peer.service, peer.network))
}

/// Counts the different peers, and the different ports among them, of each place.
fn reach(mut links: Links) -> HashMap<Place, Reach> {
    links.sort_unstable();
    links.dedup();
    let mut reach: HashMap<Place, Reach> = HashMap::with_capacity(links.len() / 2);
    let mut last = None;
    for (place, port, _) in links {
        let entry = reach.entry(place).or_default();
        entry.peers += 1;
        if last != Some((place, port)) {
            entry.ports += 1;
        }
        last = Some((place, port));
    }
    reach
}
