//! Hosts and protocols that fabs, hospitals and plants run, each by its name: kind of key, verdict without a rule, and with one.

mod support;

use std::net::{IpAddr, Ipv4Addr};

use loadlock_exchange::{
    DropReason, EventKind, Mode, RuleEntry, RuleId, RuleOptions, SegmentPolicy, Shape,
};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Mac};
use loadlock_packet::{
    FlowKey, Ingress, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack, parse,
};
use loadlock_pipeline::{Basis, BurstTally, Capacity, Verdict};
use support::{Rig, TIMEOUTS, open_infrastructure, segment};

const HOST: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 1, 1]);
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)];

struct Protocol {
    name: &'static str,
    kind: Kind,
    service: u16,
    frame: Vec<u8>,
}

fn ip(name: &'static str, number: u8, payload: &[u8]) -> Protocol {
    let [from, to] = ADDRESSES;
    let frame = FrameBuilder::new(HOST, PEER).ipv4(Ipv4::new(from, to)).protocol(number);
    let frame = frame.payload(padded(payload)).build().unwrap();
    Protocol { name, kind: Kind::OtherIp, service: number.into(), frame }
}

fn udp(name: &'static str, port: u16, payload: &[u8]) -> Protocol {
    let [from, to] = ADDRESSES;
    let frame = FrameBuilder::new(HOST, PEER).ipv4(Ipv4::new(from, to)).udp(40_000, port);
    let frame = frame.payload(padded(payload)).build().unwrap();
    Protocol { name, kind: Kind::Udp, service: port, frame }
}

fn ether(name: &'static str, ether_type: u16, payload: &[u8]) -> Protocol {
    let frame = FrameBuilder::new(HOST, PEER).ether_type(ether_type).payload(padded(payload));
    Protocol { name, kind: Kind::NonIp, service: ether_type, frame: frame.build().unwrap() }
}

fn padded(payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    bytes.resize(bytes.len().max(46), 0);
    bytes
}

/// Each with the beginning of what it carries.
fn protocols() -> Vec<Protocol> {
    let inner =
        FrameBuilder::new(HOST, PEER).ipv4(Ipv4::new(ADDRESSES[0], ADDRESSES[1])).udp(1, 53);
    let inner = inner.build().unwrap();
    let packet = &inner[14..];
    let llc = FrameBuilder::new(HOST, PEER).llc();
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0][..], &[0; 40]].concat();
    vec![
        ip("SCTP", 132, &[0x0b, 0x59, 0x0b, 0x59, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20]),
        ip("IGMP", 2, &[0x16, 0, 0, 0, 224, 0, 0, 9]),
        ip("VRRP", 112, &[0x31, 7, 100, 1, 0, 100, 0, 0, 10, 0, 0, 254]),
        ip("OSPF", 89, &[2, 1, 0, 44, 10, 0, 0, 1, 0, 0, 0, 0]),
        ip("EIGRP", 88, &[2, 5, 0, 0]),
        ip("ESP", 50, &[0, 0, 0x12, 0x34, 0, 0, 0, 1]),
        ip("AH", 51, &[6, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 1]),
        ip("GRE", 47, &[&[0, 0, 8, 0][..], packet].concat()),
        ip("IP in IP", 4, packet),
        udp("VXLAN", 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat()),
        udp("GTP", 2152, &[&[0x30, 0xff, 0, 28, 0, 0, 0, 1][..], packet].concat()),
        ether("EAPOL", 0x888e, &[2, 1, 0, 0]),
        ether("PROFINET-RT", 0x8892, &[0x80, 0]),
        ether("GOOSE", 0x88b8, &[0, 1, 0, 0x91, 0, 0, 0, 0, 0x61]),
        ether("SV", 0x88ba, &[0x40, 0, 0, 0x70, 0, 0, 0, 0, 0x60]),
        ether("EtherCAT", 0x88a4, &[0x0e, 0x10, 7, 0]),
        ether("PTP", 0x88f7, &[0, 2, 0, 44]),
        ether("MPLS", 0x8847, &[&[0, 1, 0x41, 64][..], packet].concat()),
        ether("PPPoE", 0x8864, &[&[0x11, 0, 0, 1, 0, 30, 0, 0x21][..], packet].concat()),
        Protocol {
            name: "LLC",
            kind: Kind::Llc,
            service: 0xe0e0,
            frame: llc.clone().payload(vec![0xe0; 46]).build().unwrap(),
        },
        Protocol {
            name: "SNAP",
            kind: Kind::Snap,
            service: 0x2000,
            frame: llc.payload(snap).build().unwrap(),
        },
    ]
}

impl Protocol {
    fn key(&self) -> FlowKey {
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: Side::A };
        parse(&self.frame, self.frame.len() as u32, ingress).unwrap().key
    }

    /// The rule that permits it, from the host to its peer.
    fn rule(&self) -> RuleEntry {
        let narrow = !self.kind.is_link_layer();
        let bits = if narrow { 32 } else { 128 };
        let oui = if self.kind == Kind::Snap { [0, 0, 0x0c] } else { [0; 3] };
        let network = |at: usize, Mac(mac)| match narrow {
            true => Network::Ip(IpAddr::V4(ADDRESSES[at])),
            false => Network::Link { mac: MacAddress(mac), oui },
        };
        RuleEntry {
            shape: Shape {
                narrow,
                client_prefix: bits,
                server_prefix: bits,
                service_prefix: 16,
                vlans_exact: true,
            },
            client_side: Side::A,
            client: network(0, HOST),
            server: network(1, PEER),
            service: self.service,
            tail: KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, self.kind),
            rule: RuleId::new(1).unwrap(),
            options: RuleOptions::CLIENT_OPENS,
        }
    }

    fn judge(&self, settings: SegmentPolicy, rules: &[RuleEntry]) -> (Verdict, Rig) {
        let room = Capacity { narrow: 64, wide: 64, fragments: 64 };
        let mut rig = Rig::compiled(room, settings, rules);
        rig.now_ns += TIMEOUTS.grace_ns;
        let verdict = rig.burst(Side::A, std::slice::from_ref(&self.frame))[0];
        (verdict, rig)
    }
}

#[test]
fn each_protocol_has_its_key_its_verdict_and_its_counter() {
    for protocol in protocols() {
        let Protocol { name, kind, service, ref frame } = protocol;
        let key = protocol.key();
        assert_eq!((key.tail().kind(), key.endpoint(Side::B).service), (kind, service), "{name}");
        // Learned in learn mode, with a report; denied otherwise, and counted once; permitted by its own rule alone.
        let (verdict, rig) = protocol.judge(open_infrastructure(Mode::Learn), &[]);
        assert_eq!(verdict, Verdict::Allow(Basis::Learning), "{name}");
        let started = rig.events(EventKind::Started);
        assert_eq!((started.len(), started[0].key), (1, key), "{name}");
        let (verdict, rig) = protocol.judge(open_infrastructure(Mode::Enforce), &[]);
        assert_eq!(verdict, Verdict::Deny(DropReason::NoRule), "{name}");
        assert_eq!(rig.events(EventKind::Denied(DropReason::NoRule)).len(), 1, "{name}");
        let mut tally = BurstTally::new();
        tally.count(verdict.into(), frame.len() as u32);
        assert_eq!(tally.tally().dropped[DropReason::NoRule as usize], 1, "{name}");
        let rule = protocol.rule();
        let (verdict, _) = protocol.judge(segment(Mode::Enforce), &[rule]);
        assert_eq!(verdict, Verdict::Allow(Basis::Rule(rule.rule)), "{name}");
        let other = RuleEntry { service: service ^ 1, ..rule };
        let (verdict, _) = protocol.judge(segment(Mode::Enforce), &[other]);
        assert_eq!(verdict, Verdict::Deny(DropReason::NoRule), "{name}: another service's rule");
    }
}

/// What is inside isn't looked at: a tunnel is permitted or denied as a whole, and permits nothing outside of itself.
#[test]
fn tunnel_inside_an_allowed_protocol_number_permits_nothing_else() {
    for name in ["GRE", "IP in IP", "VXLAN", "GTP", "ESP", "MPLS", "PPPoE"] {
        let protocols = protocols();
        let tunnel = protocols.iter().find(|protocol| protocol.name == name).unwrap();
        let (verdict, mut rig) = tunnel.judge(segment(Mode::Enforce), &[tunnel.rule()]);
        assert!(verdict.forwards(), "{name}");
        for other in protocols.iter().filter(|other| other.name != name) {
            let verdict = rig.burst(Side::A, std::slice::from_ref(&other.frame))[0];
            assert_eq!(verdict, Verdict::Deny(DropReason::NoRule), "{} beside {name}", other.name);
        }
        let inner = FrameBuilder::new(HOST, PEER).ipv4(Ipv4::new(ADDRESSES[0], ADDRESSES[1]));
        let inner = inner.udp(1, 53).build().unwrap();
        assert_eq!(rig.burst(Side::A, &[inner]), [Verdict::Deny(DropReason::NoRule)], "{name}");
    }
}

/// To the groups that bridges keep to themselves they are infrastructure (`frame_classes.rs`); to a station they need a rule.
#[test]
fn eapol_to_the_group_is_infrastructure_and_to_a_station_it_is_not() {
    let eapol = |destination| {
        let frame = FrameBuilder::new(HOST, destination).ether_type(0x888e).payload(vec![2; 46]);
        let mut rig = Rig::settled(open_infrastructure(Mode::Enforce), &[]);
        rig.burst(Side::A, &[frame.build().unwrap()])[0]
    };
    let group = Mac([1, 0x80, 0xc2, 0, 0, 3]);
    assert_eq!(eapol(group), Verdict::Allow(Basis::Infrastructure));
    assert_eq!(eapol(PEER), Verdict::Deny(DropReason::NoRule));
}

#[test]
fn the_readme_names_every_protocol() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    let table = readme.split("## Frames").nth(1).unwrap().split("\n## ").next().unwrap();
    for Protocol { name, .. } in protocols() {
        assert!(table.contains(name), "{name} isn't in the table");
    }
}
