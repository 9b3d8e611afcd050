//! Attacks. Each makes all its flows in the order of time, once it is asked for the first.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::Ipv4Addr;

use super::benign::between;
use super::flows::{Flow, FlowOutcome, Lane, Transport};
use super::{Attack, AttackKind, Site};
use crate::conversation::Side;
use crate::random::SplitMix64;

/// All lanes of all attacks.
pub(super) fn lanes(site: &Site, seed: u64) -> Vec<Box<dyn Lane + '_>> {
    let lane = |(number, attack)| -> Box<dyn Lane + '_> {
        let random = SplitMix64::for_part(seed, &[0xa77a, number as u64]);
        Box::new(Whole { site, attack, random, done: false })
    };
    site.attacks.iter().enumerate().map(lane).collect()
}

/// An attack is small: it is made as a whole.
struct Whole<'s> {
    site: &'s Site,
    attack: &'s Attack,
    random: SplitMix64,
    done: bool,
}

impl Lane for Whole<'_> {
    fn next(&mut self, out: &mut VecDeque<Flow>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let mut maker = Maker {
            site: self.site,
            attack: self.attack,
            random: self.random.clone(),
            listening: self.site.listening(),
            flows: Vec::new(),
        };
        match self.attack.kind {
            AttackKind::Scan => maker.scan(false),
            AttackKind::OpenScan => maker.scan(true),
            AttackKind::Worm => maker.worm(),
            AttackKind::Infected => maker.infected(),
            AttackKind::SpoofIp => maker.spoof(Side::A),
            AttackKind::SpoofMac => maker.spoof(Side::B),
            AttackKind::Exfiltration => maker.exfiltrate(),
        }
        maker.flows.sort_by_key(|flow| flow.time_ns);
        let end_ns = self.site.end_ns();
        out.extend(maker.flows.into_iter().filter(|flow| flow.time_ns < end_ns));
    }
}

struct Maker<'s> {
    site: &'s Site,
    attack: &'s Attack,
    random: SplitMix64,
    listening: HashMap<usize, HashSet<u16>>,
    flows: Vec<Flow>,
}

impl Maker<'_> {
    fn answers(&self, device: usize, port: u16) -> bool {
        self.listening.get(&device).is_some_and(|ports| ports.contains(&port))
    }

    /// What comes of a TCP try: an answer, a reset, or nothing, as packet filters have it.
    fn outcome(&mut self, answers: bool) -> (FlowOutcome, [u32; 2]) {
        match (answers, self.random.below(3)) {
            (true, _) => (FlowOutcome::Answered, [4, 3]),
            (false, 0) => (FlowOutcome::Silent, [3, 0]),
            (false, _) => (FlowOutcome::Refused, [1, 1]),
        }
    }

    fn push(&mut self, flow: Flow, port: u16, answers: bool) {
        let (outcome, packets) = self.outcome(answers);
        let bytes = packets.map(|packets| u64::from(packets) * 74);
        let class = self.attack.class;
        self.flows.push(Flow { port, outcome, packets, bytes, class, is_attack: true, ..flow });
    }

    /// Sources behind the gateway try every port of every tool, in an order of their own, unused addresses between.
    fn scan(&mut self, only_open: bool) {
        let tools: Vec<usize> = (0..self.site.devices.len())
            .filter(|at| self.site.devices[*at].bay.is_some())
            .collect();
        let mut tries: Vec<(usize, u16, bool)> = Vec::new();
        for tool in &tools {
            for port in &self.attack.ports {
                if !only_open || self.answers(*tool, *port) {
                    tries.push((*tool, *port, true));
                }
                if !only_open && self.random.below(1_000) < (self.attack.unused * 1e3) as u64 {
                    tries.push((*tool, *port, false));
                }
            }
        }
        for at in (1..tries.len()).rev() {
            tries.swap(at, self.random.below(at as u64 + 1) as usize);
        }
        let mut time_ns = self.attack.from_ns;
        for (number, (tool, port, exists)) in tries.into_iter().enumerate() {
            if time_ns >= self.attack.until_ns {
                return;
            }
            let source = number as u32 % self.attack.sources;
            let client = Ipv4Addr::from(u32::from(self.attack.source) + source);
            let segment = self.site.devices[tool].bay.unwrap_or(0);
            let flow = between(self.site, [tool, tool], segment, time_ns, &mut self.random);
            let [a, b, c, d] = flow.server.octets();
            // Nobody is in the upper half of the last byte.
            let server = if exists { flow.server } else { Ipv4Addr::new(a, b, c, d | 0x80) };
            let flow = Flow {
                client,
                client_side: Side::B,
                client_mac: self.site.gateway_mac,
                client_port: 40_000 + (number % 20_000) as u16,
                server,
                ..flow
            };
            let answers = exists && self.answers(tool, port);
            self.push(flow, port, answers);
            time_ns += self.pause();
        }
    }

    fn pause(&mut self) -> u64 {
        self.attack.every_ns / 2 + self.random.below(self.attack.every_ns.max(1))
    }

    /// One try from a device to another, as every segment between them sees it.
    fn try_lateral(&mut self, from: usize, to: usize, port: u16, time_ns: u64) -> bool {
        let answers = self.answers(to, port);
        let bays = [self.site.devices[from].bay, self.site.devices[to].bay];
        if bays[0] == bays[1] {
            // Within a bay nobody sees it.
            return answers;
        }
        let flow_in = |segment: u8, random: &mut SplitMix64| {
            between(self.site, [from, to], segment, time_ns, random)
        };
        let seen: Vec<Flow> = bays
            .into_iter()
            .flatten()
            .map(|segment| flow_in(segment, &mut self.random.clone()))
            .collect();
        self.random.next_u64();
        for flow in seen {
            self.push(flow, port, answers);
        }
        answers
    }

    fn worm(&mut self) {
        let mut infected: BTreeMap<usize, u64> = BTreeMap::new();
        let Some(first) = self.attack.devices.first() else { return };
        infected.insert(*first, self.attack.from_ns);
        let mut queue = VecDeque::from([*first]);
        while let Some(device) = queue.pop_front() {
            let mut time_ns = infected[&device];
            while time_ns < self.attack.until_ns {
                let target = self.random.below(self.site.devices.len() as u64) as usize;
                let vulnerable = self.site.devices[target].open.contains(&445);
                let hit = target != device && self.try_lateral(device, target, 445, time_ns);
                if hit && vulnerable && !infected.contains_key(&target) {
                    const INCUBATION_NS: u64 = 60_000_000_000;
                    infected.insert(target, time_ns + INCUBATION_NS);
                    queue.push_back(target);
                }
                if self.random.below(20) == 0 {
                    self.beacon(device, time_ns);
                }
                time_ns += self.pause();
            }
        }
    }

    /// A word to the one who controls it.
    fn beacon(&mut self, device: usize, time_ns: u64) {
        let Some(segment) = self.site.devices[device].bay else { return };
        let flow = between(self.site, [device, device], segment, time_ns, &mut self.random);
        let flow = Flow { server: self.attack.target, server_mac: self.site.gateway_mac, ..flow };
        self.push(flow, 443, true);
    }

    fn infected(&mut self) {
        let Some(device) = self.attack.devices.first().copied() else { return };
        let mut time_ns = self.attack.from_ns;
        let mut number = 0u64;
        while time_ns < self.attack.until_ns {
            self.beacon(device, time_ns);
            number += 1;
            if number.is_multiple_of(6) {
                let target = self.random.below(self.site.devices.len() as u64) as usize;
                if target != device {
                    self.try_lateral(device, target, 445, time_ns + 1_000_000_000);
                }
            }
            time_ns += self.pause();
        }
    }

    /// Somebody with a tool's address: in its bay with another station, or on the other side with its station too.
    fn spoof(&mut self, side: Side) {
        let Some(victim) = self.attack.devices.first().copied() else { return };
        let segment = self.site.devices[victim].bay.unwrap_or(0);
        let hosts: Vec<usize> = (0..self.site.devices.len())
            .filter(|at| self.site.devices[*at].bay.is_none())
            .collect();
        let neighbours: Vec<usize> = (0..self.site.devices.len())
            .filter(|at| self.site.devices[*at].bay == Some(segment) && *at != victim)
            .collect();
        let targets = if side == Side::A { hosts } else { neighbours };
        let mut time_ns = self.attack.from_ns;
        let mut number = 0;
        while time_ns < self.attack.until_ns && !targets.is_empty() {
            let target = targets[number % targets.len()];
            let port = self.attack.ports[number / targets.len() % self.attack.ports.len()];
            let ends = [victim, target];
            let flow = between(self.site, ends, segment, time_ns, &mut self.random);
            let forged = [0x02, 0xbd, 0, 0, 0, 0x66];
            let client_mac = if side == Side::A { forged } else { flow.client_mac };
            let flow = Flow { client_side: side, client_mac, ..flow };
            self.push(flow, port, true);
            number += 1;
            time_ns += self.pause();
        }
    }

    fn exfiltrate(&mut self) {
        let Some(device) = self.attack.devices.first().copied() else { return };
        let segment = self.site.devices[device].bay.unwrap_or(0);
        let server = self.site.devices.iter().position(|known| known.address == self.attack.target);
        let Some(server) = server else { return };
        let mut time_ns = self.attack.from_ns;
        while time_ns < self.attack.until_ns {
            let ends = [device, server];
            let flow = between(self.site, ends, segment, time_ns, &mut self.random);
            self.flows.push(Flow {
                port: self.attack.ports[0],
                end_ns: time_ns + 60_000_000_000,
                packets: [40_000, 20_000],
                bytes: [56_000_000, 1_200_000],
                transport: Transport::Tcp,
                class: self.attack.class,
                is_attack: true,
                ..flow
            });
            time_ns += self.pause();
        }
    }
}
