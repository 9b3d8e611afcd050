//! A pipeline in enforce mode with a few rules, made once and used for all inputs: time goes on.
#![allow(dead_code, reason = "every target uses its own part")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::{
    Event, Mode, Policy, PolicyImage, RuleEntry, RuleId, RuleOptions, Seed, SegmentPolicy, Shape,
    WORKER_COUNTERS, WorkerCounter,
};
use loadlock_packet::negotiation::{Helper, Helpers};
use loadlock_packet::{Ingress, KeyTail, Kind, Network, SegmentId, Side, VlanStack};
use loadlock_pipeline::{Capacity, Pipeline, Timeouts, Verdict, VerdictWord};

pub const FRAGMENT_NS: u64 = 3_000_000_000;
const SEED: Seed = Seed([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344]);

pub struct Rig {
    pub pipeline: Pipeline,
    pub now_ns: u64,
    pub ring: Vec<Event>,
    image: PolicyImage,
    policy: Policy,
}

fn rule(number: u32, kind: Kind, host: u8, service: u16, v6: bool) -> RuleEntry {
    let network = |side: u8| match v6 {
        false => Network::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, side, host))),
        true => Network::Ip(IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, side.into(), 0, 0, 0, host.into()))),
    };
    let full = if v6 { 128 } else { 32 };
    RuleEntry {
        shape: Shape {
            narrow: !v6,
            client_prefix: full,
            server_prefix: full,
            service_prefix: 16,
            vlans_exact: true,
        },
        client_side: Side::A,
        client: network(0),
        server: network(1),
        service,
        tail: KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, kind),
        rule: RuleId::new(number).unwrap(),
        options: RuleOptions::CLIENT_OPENS,
    }
}

/// Host `host` on A may ask port 53 of host `host` on B, both families.
pub fn udp_rule(host: u8) -> [RuleEntry; 2] {
    [false, true].map(|v6| rule(host.into(), Kind::Udp, host, 53, v6))
}

/// The parent of a helper, both families.
pub fn parent_rule(helper: Helper) -> [RuleEntry; 2] {
    [false, true].map(|v6| rule(10 + helper as u32, helper.kind(), 1, helper.port(), v6))
}

impl Rig {
    pub fn new(rules: &[[RuleEntry; 2]]) -> Self {
        let second = 1_000_000_000;
        let timeouts = Timeouts {
            tcp_opening_ns: 5 * second,
            tcp_open_ns: 60 * second,
            tcp_closing_ns: 8 * second,
            udp_ns: 20 * second,
            icmp_ns: 6 * second,
            other_ns: 30 * second,
            grace_ns: 0,
            denied_report_ns: 10 * second,
            fragment_ns: FRAGMENT_NS,
        };
        let capacity = Capacity { narrow: 4096, wide: 4096, fragments: 8192 };
        let helpers = Helper::ALL.into_iter().fold(Helpers::NONE, Helpers::with);
        let segment = SegmentPolicy { mode: Mode::Enforce, helpers, ..SegmentPolicy::CLOSED };
        let entries: Vec<RuleEntry> = rules.iter().flatten().copied().collect();
        let image = PolicyImage::compile(1, &[segment], &entries, SEED, 64).unwrap();
        let policy = Policy::read(image.words()).unwrap();
        let pipeline = Pipeline::new(capacity, &timeouts, SEED, false).unwrap();
        Self { pipeline, now_ns: second, ring: Vec::new(), image, policy }
    }

    pub fn send(&mut self, side: Side, frame: &[u8]) -> Verdict {
        let view = self.policy.view(self.image.words(), 1);
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side };
        let mut verdict = [VerdictWord::LEARNING];
        self.pipeline.judge(ingress, self.now_ns, &[frame], view, &mut self.ring, &mut verdict);
        verdict[0].verdict()
    }

    /// Ends every conversation whose time is over.
    pub fn age(&mut self) {
        self.pipeline.age(self.now_ns, usize::MAX, 1, 0, &mut self.ring);
        self.ring.clear();
    }

    pub fn counter(&self, counter: WorkerCounter) -> u64 {
        let mut values = [0; WORKER_COUNTERS];
        self.pipeline.fill(&mut values);
        values[counter as usize]
    }
}
