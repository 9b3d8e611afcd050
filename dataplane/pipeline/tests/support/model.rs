//! The verdict as DESIGN.md states it, without any of the pipeline's tricks: a map of conversations and a list of rules.

use std::collections::{HashMap, HashSet};

use loadlock_exchange::{DropReason, Midstream, Mode, RuleId};
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Verdict};

use super::TIMEOUTS;
use super::course::{Course, Flow};
use super::packet::{Packet, Sort, flags};
use super::rule::Rule;

/// Sort, hosts and service fields, side A's first; of ICMP the side that asks.
pub type Key = (Sort, [u8; 2], [u16; 2], Option<Side>);

/// What the model says happened to a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Story {
    pub ended: bool,
    pub sort: Sort,
    pub hosts: [u8; 2],
    pub services: [u16; 2],
    pub asker: Option<Side>,
    pub initiator: Side,
    /// Midstream, after grace, handshake.
    pub circumstances: [bool; 3],
    pub rule: Option<RuleId>,
    pub packets: [u64; 2],
}

/// One host's address, or the side that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    pub narrow: bool,
    pub side: Side,
    pub host: u8,
    pub station: Option<u8>,
}

/// What a device is known by: its address of either family, or its station; each on its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    Narrow(Side, u8),
    Wide(Side, u8),
    Station(Side, u8),
}

/// What is known of a datagram in fragments.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    verdict: Verdict,
    since_ns: u64,
    overlapped: bool,
}

pub struct Model {
    pub midstream: Midstream,
    pub bindings: Vec<Bound>,
    /// Devices with a mode of their own.
    pub modes: Vec<(Known, Mode)>,
    /// The mode by which the packet is judged that is being judged.
    packet_mode: Mode,
    /// By sender, hosts and identification.
    datagrams: HashMap<(Side, [u8; 2], u8), Datagram>,
    flows: HashMap<Key, Flow>,
    /// TCP connections whose SYN was denied.
    refused_openings: HashSet<Key>,
    /// Narrow and wide.
    capacity: [usize; 2],
    grace_end_ns: u64,
    adopting_until_ns: [u64; 2],
    pub now_ns: u64,
    pub mode: Mode,
    pub rules: Vec<Rule>,
    pub generation: u64,
    pub stories: Vec<Story>,
    pub refused: u64,
    judge_again_left: usize,
}

fn ticks(ns: u64) -> u64 {
    ns >> 24
}

fn can_open(packet: &Packet) -> bool {
    if packet.sort.is_tcp() {
        packet.flags & (flags::SYN | flags::ACK | flags::RST | flags::FIN) == flags::SYN
    } else {
        !packet.answer
    }
}

/// The key of a packet.
pub fn key(packet: &Packet) -> Key {
    let asker = packet.sort.is_icmp().then_some(if packet.answer {
        packet.from.other()
    } else {
        packet.from
    });
    let services = match packet.sort {
        Sort::Ping4 => {
            let asker = if packet.answer { packet.from.other() } else { packet.from } as usize;
            let mut services = [0x0800; 2];
            services[asker] = packet.ports[asker];
            services
        }
        Sort::Unreachable4 => {
            let mut services = [0; 2];
            services[packet.from.other() as usize] = 0x0300;
            services
        }
        Sort::TooBig6 => {
            let mut services = [0; 2];
            services[packet.from.other() as usize] = 0x0200;
            services
        }
        Sort::Gre4 => [47; 2],
        Sort::Profinet => [0x8892; 2],
        _ => packet.ports,
    };
    (packet.sort, packet.hosts, services, asker)
}

impl Model {
    pub fn new(capacity: [usize; 2], mode: Mode, rules: Vec<Rule>, start_ns: u64) -> Self {
        Self {
            midstream: Midstream::Grace,
            bindings: Vec::new(),
            modes: Vec::new(),
            packet_mode: mode,
            datagrams: HashMap::new(),
            flows: HashMap::new(),
            refused_openings: HashSet::new(),
            capacity,
            grace_end_ns: start_ns + TIMEOUTS.grace_ns,
            adopting_until_ns: [0; 2],
            now_ns: start_ns,
            mode,
            rules,
            generation: 1,
            judge_again_left: 0,
            stories: Vec::new(),
            refused: 0,
        }
    }

    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// The rule with the client on `side`: the one for exactly this client before the one for any.
    fn rule(&self, (sort, hosts, services, asker): Key, side: Side) -> Option<&Rule> {
        let (client, server) = (side as usize, side.other() as usize);
        let fits = |rule: &&Rule| {
            // Ping and unreachable are one kind to the appliance; the service tells them apart.
            let icmp = |sort| matches!(sort, Sort::Ping4 | Sort::Unreachable4);
            (rule.sort == sort || icmp(rule.sort) && icmp(sort))
                && rule.client_side == side
                && asker.is_none_or(|asker| asker == side)
                && rule.server == hosts[server]
                && rule.service == services[server]
                && rule.client.is_none_or(|host| host == hosts[client])
        };
        let exact = self.rules.iter().filter(fits).find(|rule| rule.client.is_some());
        let decides = exact.or_else(|| self.rules.iter().find(fits));
        // A rule that lets nobody open is a hole in the general one.
        decides.filter(|Rule { options, .. }| {
            options.client_opens || options.server_opens || options.midstream
        })
    }

    fn by_mode(&self, judgement: Result<RuleId, DropReason>) -> Verdict {
        match (judgement, self.packet_mode) {
            (_, Mode::Quarantine) => Verdict::Deny(DropReason::Quarantined),
            (Ok(rule), _) => Verdict::Allow(Basis::Rule(rule)),
            (Err(_), Mode::Learn) => Verdict::Allow(Basis::Learning),
            (Err(reason), Mode::Monitor) => Verdict::WouldDeny(reason),
            (Err(reason), Mode::Enforce) => Verdict::Deny(reason),
        }
    }

    /// Judges a packet that belongs to no conversation. The flag: met running.
    /// `full`: the table remembers nobody's request.
    fn first(
        &self,
        packet: &Packet,
        adopting: bool,
        full: bool,
    ) -> (Result<RuleId, DropReason>, bool) {
        let key = key(packet);
        let forward = self.rule(key, packet.from);
        let reverse = self.rule(key, packet.from.other());
        let opens = can_open(packet);
        if opens {
            if let Some(rule) = forward.filter(|rule| rule.options.client_opens) {
                return (Ok(rule.id()), false);
            }
            if let Some(rule) = reverse.filter(|rule| rule.options.server_opens) {
                return (Ok(rule.id()), false);
            }
        }
        let icmp = packet.sort.is_icmp();
        let udp = matches!(packet.sort, Sort::Udp4 | Sort::Udp6);
        let maybe_running = !opens || !(packet.sort.is_tcp() || icmp || udp);
        let taken = |rule: &&Rule| {
            !self.refused_openings.contains(&key)
                && ((!opens && rule.options.midstream && self.midstream != Midstream::Never)
                    || (maybe_running && adopting)
                    || (udp && full))
        };
        if let Some(rule) = [forward, reverse].into_iter().flatten().find(taken) {
            return (Ok(rule.id()), true);
        }
        let reason = match (forward.or(reverse), opens) {
            _ if packet.sort.is_error() => DropReason::IcmpErrorUnrelated,
            (None, _) => DropReason::NoRule,
            (Some(_), true) => DropReason::WrongDirection,
            (Some(_), false) => DropReason::NotOpened,
        };
        (Err(reason), !opens)
    }

    /// Judges a conversation again after a change of policy.
    fn again(&self, key: Key, flow: &Flow) -> Result<RuleId, DropReason> {
        let forward = self.rule(key, flow.initiator);
        let reverse = self.rule(key, flow.initiator.other());
        let permits = forward
            .filter(|rule| flow.midstream || rule.options.client_opens)
            .or(reverse.filter(|rule| flow.midstream || rule.options.server_opens));
        match permits {
            Some(rule) => Ok(rule.id()),
            None if forward.or(reverse).is_some() => Err(DropReason::WrongDirection),
            None => Err(DropReason::NoRule),
        }
    }

    /// The verdict on the conversation that an error is about, if that lives and is permitted.
    fn about(&self, packet: &Packet) -> Option<Verdict> {
        let quoted = packet.quoted()?;
        if quoted.sort.is_error() || quoted.sort == Sort::Profinet {
            return None;
        }
        if quoted.sort.is_narrow() != packet.sort.is_narrow() {
            return None;
        }
        let verdict = match self.flows.get(&key(&quoted)) {
            Some(flow) if flow.generation == self.generation => flow.verdict,
            Some(flow) => self.by_mode(self.again(key(&quoted), flow)),
            None => {
                let (_, stateless) = self.is_full(&quoted);
                let rule = self.running(&quoted).filter(|_| stateless)?;
                Verdict::Allow(Basis::Rule(rule))
            }
        };
        matches!(verdict, Verdict::Allow(_)).then_some(verdict)
    }

    /// The rule by which a packet that can't begin anything is adopted.
    fn running(&self, packet: &Packet) -> Option<RuleId> {
        let key = key(packet);
        let rule = self.rule(key, packet.from).or(self.rule(key, packet.from.other()))?;
        (!self.refused_openings.contains(&key)).then_some(rule.id())
    }

    /// Is the packet's table full now, or was it lately?
    fn is_full(&self, packet: &Packet) -> (bool, bool) {
        let table = usize::from(!packet.sort.is_narrow());
        let in_table = self.flows.keys().filter(|key| key.0.is_narrow() == packet.sort.is_narrow());
        let full = in_table.count() >= self.capacity[table];
        (full, full || self.now_ns < self.adopting_until_ns[table])
    }

    /// A burst begins: two conversations of it may meet a new policy.
    pub fn begin_burst(&mut self) {
        self.judge_again_left = 2;
    }

    /// What the bindings say against a packet's sender.
    fn foreign(&self, packet: &Packet) -> Option<DropReason> {
        let host = packet.hosts[packet.from as usize];
        let station = packet.station.unwrap_or(host);
        let here = |bound: &&Bound| bound.side == packet.from;
        if packet.sort == Sort::Profinet {
            return None;
        }
        let narrow = packet.sort.is_narrow();
        let of_address = |bound: &&Bound| (bound.narrow, bound.host) == (narrow, host);
        match self.bindings.iter().filter(here).find(of_address) {
            Some(Bound { station: Some(own), .. }) if *own != station => {
                Some(DropReason::DuplicateIp)
            }
            Some(_) => None,
            None => {
                let elsewhere = |bound: &&Bound| bound.narrow && bound.station == Some(station);
                let known = self.bindings.iter().filter(here).any(|bound| elsewhere(&bound));
                (narrow && known).then_some(DropReason::SourceMacSpoofed)
            }
        }
    }

    /// A contradiction: nothing is learned from it.
    fn refused(&self, reason: DropReason) -> Verdict {
        match self.packet_mode {
            Mode::Enforce | Mode::Quarantine => Verdict::Deny(reason),
            Mode::Learn | Mode::Monitor => Verdict::WouldDeny(reason),
        }
    }

    /// The strictest mode that one of the devices has of its own, else the segment's.
    fn mode_of(&self, packet: &Packet) -> Mode {
        let mut known = Vec::new();
        for side in [Side::A, Side::B] {
            let host = packet.hosts[side as usize];
            let sender = packet.station.filter(|_| side == packet.from);
            known.push(Known::Station(side, sender.unwrap_or(host)));
            match packet.sort {
                Sort::Profinet => {}
                sort if sort.is_narrow() => known.push(Known::Narrow(side, host)),
                _ => known.push(Known::Wide(side, host)),
            }
        }
        let own = self.modes.iter().filter(|(device, _)| known.contains(device));
        own.map(|(_, mode)| *mode).max().unwrap_or(self.mode)
    }

    pub fn judge(&mut self, packet: &Packet) -> Verdict {
        self.packet_mode = self.mode_of(packet);
        if let Some(reason) = self.foreign(packet) {
            return self.refused(reason);
        }
        let Some(piece) = packet.piece else { return self.judge_whole(packet) };
        let datagram = (packet.from, packet.hosts, piece.identification);
        if piece.first {
            let verdict = self.judge_whole(packet);
            let since_ns = self.now_ns;
            self.datagrams.insert(datagram, Datagram { verdict, since_ns, overlapped: false });
            return verdict;
        }
        if self.packet_mode == Mode::Quarantine {
            return Verdict::Deny(DropReason::Quarantined);
        }
        let (now, timeout) = (ticks(self.now_ns), ticks(TIMEOUTS.fragment_ns));
        match self.datagrams.get_mut(&datagram) {
            Some(known) if now - ticks(known.since_ns) < timeout => {
                known.overlapped |= known.verdict.forwards() && piece.offset < 32;
                match *known {
                    Datagram { overlapped: true, .. } => self.refused(DropReason::FragmentOverlap),
                    Datagram { verdict, .. } => verdict,
                }
            }
            _ => self.refused(DropReason::FragmentUnknown),
        }
    }

    fn judge_whole(&mut self, packet: &Packet) -> Verdict {
        if packet.sort.is_error()
            && self.packet_mode != Mode::Quarantine
            && let Some(verdict) = self.about(packet)
        {
            return verdict;
        }
        let key = key(packet);
        let Some(mut flow) = self.flows.get(&key).copied() else {
            return self.begin(packet);
        };
        if self.packet_mode == Mode::Quarantine && flow.generation == self.generation {
            return Verdict::Deny(DropReason::Quarantined);
        }
        if flow.generation != self.generation && self.judge_again_left > 0 {
            self.judge_again_left -= 1;
            let mut judgement = self.again(key, &flow);
            if packet.sort.is_error() {
                judgement = judgement.map_err(|_| DropReason::IcmpErrorUnrelated);
            }
            let verdict = self.by_mode(judgement);
            if !verdict.forwards() {
                self.end(key);
                return self.begin(packet);
            }
            flow.generation = self.generation;
            flow.verdict = verdict;
            self.flows.insert(key, flow);
        }
        if packet.sort.is_tcp() && can_open(packet) {
            let repeated = flow.initiator == packet.from && !flow.midstream;
            let closing = flow.course == Course::Closing || flow.fins != [false; 2];
            if !repeated || closing {
                let (judgement, _) = self.first(packet, false, false);
                let verdict = self.by_mode(judgement);
                if matches!(verdict, Verdict::Allow(_)) {
                    self.refused_openings.remove(&key);
                    self.end(key);
                    self.insert(packet, verdict, false, false);
                }
                return verdict;
            }
        }
        if packet.sort.is_tcp() {
            flow.advance(packet);
        }
        flow.seen_ns = self.now_ns;
        flow.packets[packet.from as usize] += 1;
        self.flows.insert(key, flow);
        flow.verdict
    }

    /// The first packet of a conversation.
    fn begin(&mut self, packet: &Packet) -> Verdict {
        let table = usize::from(!packet.sort.is_narrow());
        let (full, stateless) = self.is_full(packet);
        let adopting = stateless
            || match self.midstream {
                Midstream::Grace => self.now_ns < self.grace_end_ns,
                Midstream::Always => true,
                Midstream::Never => false,
            };
        let (judgement, met_running) = self.first(packet, adopting, stateless);
        let verdict = self.by_mode(judgement);
        if packet.sort.is_tcp() && can_open(packet) {
            if verdict.forwards() {
                self.refused_openings.remove(&key(packet));
            } else {
                self.refused_openings.insert(key(packet));
            }
        }
        if verdict.forwards() {
            if full {
                self.refused += 1;
                self.adopting_until_ns[table] = self.now_ns + TIMEOUTS.grace_ns;
            } else {
                self.insert(packet, verdict, met_running, met_running && !adopting);
            }
        }
        verdict
    }

    fn insert(&mut self, packet: &Packet, verdict: Verdict, midstream: bool, after_grace: bool) {
        let tcp = packet.sort.is_tcp();
        let has = |bits: u8| tcp && packet.flags & bits == bits;
        let syn_ack = has(flags::SYN | flags::ACK);
        let answers = packet.answer || syn_ack;
        let mut fins = [false; 2];
        fins[packet.from as usize] = has(flags::FIN);
        let mut packets = [0; 2];
        packets[packet.from as usize] = 1;
        let flow = Flow {
            initiator: if answers { packet.from.other() } else { packet.from },
            midstream,
            after_grace,
            handshake: syn_ack,
            course: match () {
                () if !tcp => Course::Stateless,
                () if can_open(packet) => Course::Opening,
                () if has(flags::RST) => Course::Closing,
                () => Course::Open,
            },
            fins,
            reset_by: (!can_open(packet) && has(flags::RST)).then_some(packet.from),
            seen_ns: self.now_ns,
            verdict,
            generation: self.generation,
            packets,
        };
        self.flows.insert(key(packet), flow);
        self.tell(key(packet), &flow, false);
    }

    fn end(&mut self, key: Key) {
        if let Some(flow) = self.flows.remove(&key) {
            self.tell(key, &flow, true);
        }
    }

    fn tell(&mut self, (sort, hosts, services, asker): Key, flow: &Flow, ended: bool) {
        self.stories.push(Story {
            ended,
            sort,
            hosts,
            services,
            asker,
            initiator: flow.initiator,
            circumstances: [flow.midstream, flow.after_grace, flow.handshake],
            rule: flow.verdict.rule(),
            packets: flow.packets,
        });
    }

    /// The sweep came round.
    pub fn sweep(&mut self) {
        let now = ticks(self.now_ns);
        let over: Vec<Key> = self
            .flows
            .iter()
            .filter(|(key, flow)| now - ticks(flow.seen_ns) >= ticks(flow.timeout_ns(key.0)))
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.end(key);
        }
    }
}
