//! The pipeline against the slow model, over random packets, policies, modes and times.

mod support;

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_exchange::{
    DeviceAddress, Event, EventKind, Midstream, Mode, ModeEntry, RuleOptions, SegmentPolicy,
    WorkerCounter,
};
use loadlock_packet::{FlowKey, Kind, MacAddress, Network, SegmentId, Side};
use loadlock_pipeline::Capacity;
use proptest::collection::vec;
use proptest::prelude::*;
use support::model::{Bound, Known, Model, Story};
use support::strategy::{packet, side};
use support::{Packet, ROUND_NS, Rig, Rule, START_NS, Sort, bound, segment};

#[derive(Clone, Debug)]
enum Step {
    Burst(Vec<Packet>),
    /// Time passes, and no sweep.
    Moment(u64),
    /// Time passes, and the sweep comes round.
    Wait(u64),
    /// Another policy: which of the rules are in it, which of the bindings, and the modes of devices.
    Policy(Mode, Midstream, u16, u8, Vec<(Known, Mode)>),
}

/// One binding for each host of each family, to its station or side.
fn bindings() -> impl Strategy<Value = Vec<Bound>> {
    let station = || prop::option::weighted(0.7, 1u8..3);
    vec((any::<bool>(), side(), 1u8..3, station()), 0..5).prop_map(|bound| {
        let mut bindings: Vec<Bound> = Vec::new();
        for (narrow, side, host, station) in bound {
            let same =
                |known: &Bound| (known.narrow, known.side, known.host) == (narrow, side, host);
            if !bindings.iter().any(same) {
                bindings.push(Bound { narrow, side, host, station });
            }
        }
        bindings
    })
}

fn midstream() -> impl Strategy<Value = Midstream> {
    prop::sample::select(Midstream::ALL.to_vec())
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        prop::sample::select(Sort::ALL.to_vec()),
        side(),
        prop::option::of(1u8..3),
        1u8..3,
        prop::sample::select(vec![80u16, 1000]),
        any::<[bool; 3]>(),
    )
        .prop_map(|(sort, client_side, client, server, port, options)| {
            let service = match sort {
                Sort::Ping4 => 0x0800,
                Sort::Unreachable4 => 0x0300,
                Sort::TooBig6 => 0x0200,
                Sort::Gre4 => 47,
                Sort::Profinet => 0x8892,
                _ => port,
            };
            let [client_opens, server_opens, midstream] = options;
            let options = RuleOptions { client_opens, server_opens, midstream };
            Rule { number: 1, sort, client_side, client, server, service, options }
        })
}

/// Up to sixteen rules with different keys.
fn rules() -> impl Strategy<Value = Vec<Rule>> {
    vec(rule(), 0..16).prop_map(|mut rules| {
        let key =
            |rule: &Rule| (rule.sort, rule.client_side, rule.client, rule.server, rule.service);
        rules.sort_by_key(key);
        rules.dedup_by_key(|rule| key(rule));
        for (at, rule) in rules.iter_mut().enumerate() {
            rule.number = at as u32 + 1;
        }
        rules
    })
}

fn mode() -> impl Strategy<Value = Mode> {
    let quarantine = Mode::Quarantine;
    prop_oneof![
        9 => prop::sample::select(vec![Mode::Enforce, Mode::Enforce, Mode::Monitor, Mode::Learn]),
        1 => Just(quarantine),
    ]
}

/// Modes of up to three devices, none most of the time.
fn modes() -> impl Strategy<Value = Vec<(Known, Mode)>> {
    let known = (0u8..3, side(), 1u8..3).prop_map(|(by, side, number)| match by {
        0 => Known::Narrow(side, number),
        1 => Known::Wide(side, number),
        _ => Known::Station(side, number),
    });
    let some = vec((known, prop::sample::select(Mode::ALL.to_vec())), 1..4);
    prop_oneof![Just(Vec::new()), some].prop_map(|modes| {
        let mut seen = HashSet::new();
        modes.into_iter().filter(|(known, _)| seen.insert(*known)).collect()
    })
}

fn mode_entry((known, mode): &(Known, Mode)) -> ModeEntry {
    let address = match *known {
        Known::Narrow(side, host) => {
            DeviceAddress::Ip(Ipv4Addr::new(10, 0, side as u8, host).into())
        }
        Known::Wide(side, host) => {
            DeviceAddress::Ip(Ipv6Addr::new(0xfd00, 0, 0, side as u16, 0, 0, 0, host.into()).into())
        }
        Known::Station(side, number) => {
            DeviceAddress::Mac(MacAddress([2, 0, 0, 0, side as u8, number]))
        }
    };
    ModeEntry { segment: SegmentId::new(0).unwrap(), vlans: None, address, mode: *mode }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => side().prop_flat_map(|side| vec(packet(side), 1..6)).prop_map(Step::Burst),
        1 => (1u64..900).prop_map(|ms| Step::Moment(ms * 1_000_000)),
        2 => (4000u64..30_000).prop_map(|ms| Step::Wait(ms * 1_000_000)),
        1 => (mode(), midstream(), any::<u16>(), any::<u8>(), modes())
            .prop_map(|(mode, midstream, mask, bound, modes)| {
                Step::Policy(mode, midstream, mask, bound, modes)
            }),
    ]
}

fn chosen<T: Copy>(all: &[T], mask: u16) -> Vec<T> {
    let in_mask = |(at, one): (usize, &T)| (mask >> at & 1 == 1).then_some(*one);
    all.iter().enumerate().filter_map(in_mask).collect()
}

/// Reads an event back into the model's terms.
fn story(event: &Event) -> Option<Story> {
    let ended = match event.kind {
        EventKind::Started => false,
        EventKind::Ended => true,
        _ => return None,
    };
    let [a, b] = [Side::A, Side::B].map(|side| event.key.endpoint(side));
    let host = |network: Network| match network {
        Network::Ip(std::net::IpAddr::V4(ip)) => ip.octets()[3],
        Network::Ip(std::net::IpAddr::V6(ip)) => ip.octets()[15],
        Network::Link { mac, .. } => mac.0[5],
    };
    let v6 = matches!(a.network, Network::Ip(ip) if ip.is_ipv6());
    let sort = match event.key.tail().kind() {
        Kind::Tcp if v6 => Sort::Tcp6,
        Kind::Tcp => Sort::Tcp4,
        Kind::Udp if v6 => Sort::Udp6,
        Kind::Udp => Sort::Udp4,
        Kind::Icmp if v6 => Sort::TooBig6,
        Kind::Icmp if [a.service, b.service].contains(&0x0300) => Sort::Unreachable4,
        Kind::Icmp => Sort::Ping4,
        Kind::OtherIp => Sort::Gre4,
        _ => Sort::Profinet,
    };
    let flags = event.flags;
    Some(Story {
        ended,
        sort,
        hosts: [host(a.network), host(b.network)],
        services: [a.service, b.service],
        asker: event.key.tail().asker(),
        initiator: event.initiator,
        circumstances: [flags.midstream, flags.after_grace, flags.handshake],
        rule: event.rule,
        packets: event.packets,
    })
}

/// The model doesn't know when counters are read out: an end counts all of its conversation.
fn with_read_outs(mut event: Event, read_out: &mut HashMap<FlowKey, [u64; 2]>) -> Event {
    let sum = |a: [u64; 2], b: [u64; 2]| [a[0] + b[0], a[1] + b[1]];
    match event.kind {
        EventKind::Counted => {
            let own = read_out.entry(event.key).or_default();
            *own = sum(*own, event.packets);
        }
        EventKind::Ended => {
            event.packets = sum(event.packets, read_out.remove(&event.key).unwrap_or_default());
        }
        _ => {}
    }
    event
}

fn compare(capacity: [usize; 2], mode: Mode, rules: Vec<Rule>, bindings: &[Bound], steps: &[Step]) {
    let [narrow, wide] = capacity;
    let mut rig = Rig::new(Capacity { narrow, wide, fragments: 64 }, segment(mode), &rules);
    let mut model = Model::new(capacity, mode, rules.clone(), START_NS);
    let mut read_out = HashMap::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Burst(packets) => {
                let frames: Vec<_> = packets.iter().map(Packet::frame).collect();
                let verdicts = rig.burst(packets[0].from, &frames);
                model.begin_burst();
                for (packet, verdict) in packets.iter().zip(verdicts) {
                    let expected = model.judge(packet);
                    assert_eq!(verdict, expected, "step {number}: {packet:?}");
                }
            }
            Step::Moment(ns) => rig.now_ns += ns,
            Step::Wait(ns) => {
                rig.wait(*ns);
                model.now_ns = rig.now_ns - ROUND_NS;
                model.sweep();
                model.now_ns = rig.now_ns;
                model.sweep();
            }
            Step::Policy(mode, midstream, mask, bound_mask, modes) => {
                model.mode = *mode;
                model.midstream = *midstream;
                model.rules = chosen(&rules, *mask);
                model.bindings = chosen(bindings, (*bound_mask).into());
                let settings = SegmentPolicy { midstream: *midstream, ..segment(*mode) };
                rig.publish(settings, &model.rules);
                let entry =
                    |known: &Bound| bound(known.narrow, known.side, known.host, known.station);
                rig.bind(&model.bindings.iter().map(entry).collect::<Vec<_>>());
                model.modes.clone_from(modes);
                rig.set_modes(&modes.iter().map(mode_entry).collect::<Vec<_>>());
                model.generation += 1;
            }
        }
        model.now_ns = rig.now_ns;
        assert_eq!(rig.flows(), model.flows() as u64, "step {number}: {step:?}");
        let drained = rig.ring.drain();
        let whole = drained.into_iter().map(|event| with_read_outs(event, &mut read_out));
        let mut told: Vec<Story> = whole.filter_map(|event| story(&event)).collect();
        let mut expected = std::mem::take(&mut model.stories);
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "step {number}: {step:?}");
    }
    assert_eq!(rig.counter(WorkerCounter::FlowsRefused), model.refused);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(
        mode in mode(),
        rules in rules(),
        bindings in bindings(),
        steps in vec(step(), 1..60),
    ) {
        compare([1000, 1000], mode, rules, &bindings, &steps);
    }

    #[test]
    fn agrees_with_the_model_in_a_full_table(
        capacity in [0usize..5, 0usize..5],
        mode in mode(),
        rules in rules(),
        bindings in bindings(),
        steps in vec(step(), 1..60),
    ) {
        compare(capacity, mode, rules, &bindings, &steps);
    }
}
