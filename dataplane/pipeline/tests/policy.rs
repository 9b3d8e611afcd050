//! Changes of policy and mode under live conversations.

mod support;

use loadlock_exchange::DropReason::{IcmpErrorUnrelated, Ipv4Header, NoRule, WrongDirection};
use loadlock_exchange::{
    EventKind, Infrastructure, Mode, RuleOptions, SegmentPolicy, WorkerCounter,
};
use loadlock_generate::frame::{Arp, FrameBuilder, IcmpMessage, Ipv6, Mac};
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Capacity, Verdict};
use proptest::prelude::*;
use support::flags::{ACK, SYN};
use support::{
    Packet, ROUND_NS, Rig, Rule, SECOND_NS, Sort, TIMEOUTS, open_infrastructure, segment,
};

fn http() -> Rule {
    Rule::to_b(1, Sort::Tcp4, 80)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

const MODES: [Mode; 3] = [Mode::Learn, Mode::Monitor, Mode::Enforce];

#[test]
fn revoked_rule_cuts_at_the_next_packet_and_kept_ones_are_not_touched() {
    let (kept, revoked) = (http(), Rule::to_b(2, Sort::Tcp4, 81));
    let mut rig = Rig::settled(segment(Mode::Enforce), &[kept, revoked]);
    for service in [80, 81] {
        let syn = Packet::syn(service);
        for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
            assert!(rig.send(packet).forwards());
        }
    }
    rig.ring.drain();
    // The kept rule gets another number on the way, as it would in a new version.
    let renumbered = Rule { number: 7, ..kept };
    rig.publish(segment(Mode::Enforce), &[renumbered]);
    assert_eq!(rig.send(Packet::syn(81).back(ACK)), Verdict::Deny(NoRule));
    assert_eq!(rig.send(Packet::syn(81).with(ACK)), Verdict::Deny(NoRule));
    assert_eq!(rig.events(EventKind::Ended).len(), 1);
    assert_eq!(rig.send(Packet::syn(80).with(ACK)), by(renumbered));
    assert_eq!(rig.send(Packet::syn(80).back(ACK)), by(renumbered));
    assert_eq!(rig.flows(), 1);
    rig.ring.drain();
    rig.pipeline.end_all(&mut rig.ring);
    let ended = rig.events(EventKind::Ended);
    assert_eq!(ended[0].packets, [3, 2], "counted on");
    assert_eq!(ended[0].rule, Some(renumbered.id()));
}

/// A new policy doesn't hold a burst up: two conversations of it are judged again, in their order, and the rest go on by the
/// verdict they have until a later burst.
#[test]
fn new_policy_reaches_two_running_conversations_of_each_burst() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[Rule::to_b(1, Sort::Udp4, 53)]);
    let burst: Vec<_> = (0..20).map(|port| Packet::udp(53).port(5000 + port).frame()).collect();
    let passed = |rig: &mut Rig| {
        let verdicts = rig.burst(Side::A, &burst);
        verdicts.iter().map(|verdict| verdict.forwards()).collect::<Vec<_>>()
    };
    assert_eq!(passed(&mut rig), [true; 20]);
    rig.publish(segment(Mode::Enforce), &[]);
    for denied in [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20] {
        let expected: Vec<_> = (0..20).map(|number| number >= denied).collect();
        assert_eq!(passed(&mut rig), expected);
    }
    assert_eq!(rig.flows(), 0);
}

/// Regression: the frame that met the revoked conversation was dropped even if another rule permits it to begin its own.
#[test]
fn frame_that_finds_its_conversation_revoked_is_judged_for_itself() {
    let forth = Rule::to_b(1, Sort::Udp4, 123);
    let back = Rule { number: 2, client_side: Side::B, ..forth };
    let mut rig = Rig::settled(segment(Mode::Enforce), &[forth]);
    let datagram = Packet::udp(123).port(123);
    assert_eq!(rig.send(datagram), by(forth));
    rig.publish(segment(Mode::Enforce), &[back]);
    assert_eq!(rig.send(datagram.back(0)), by(back));
    assert_eq!(rig.send(datagram), by(back), "an answer now");
    rig.publish(segment(Mode::Enforce), &[forth]);
    rig.publish(segment(Mode::Enforce), &[back]);
    assert_eq!(rig.send(datagram), by(back), "the policy between was never asked");
}

#[test]
fn conversation_silent_over_65536_generations_is_judged_again() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
    let syn = Packet::syn(80);
    for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
        assert!(rig.send(packet).forwards());
    }
    rig.publish(segment(Mode::Enforce), &[]);
    rig.wait(2 * ROUND_NS);
    for _ in 0..5 {
        rig.generation += 65_535 / 5;
        rig.wait(2 * ROUND_NS);
    }
    assert_eq!(rig.send(syn.with(ACK)), Verdict::Deny(NoRule));
}

#[test]
fn a_generation_that_turns_over_keeps_what_is_permitted() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
    rig.generation = u64::from(u16::MAX);
    assert_eq!(rig.send(Packet::syn(80)), by(http()));
    rig.publish(segment(Mode::Enforce), &[http()]);
    assert_eq!(rig.send(Packet::syn(80).back(SYN | ACK)), by(http()));
    assert_eq!(rig.flows(), 1);
}

#[test]
fn enforce_denies_without_an_entry() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[http()]);
    for sort in Sort::ALL {
        let verdict = rig.send(Packet::to_b(sort, 81, SYN));
        let reason = if sort.is_error() { IcmpErrorUnrelated } else { NoRule };
        assert_eq!(verdict, Verdict::Deny(reason), "{sort:?}");
    }
    assert_eq!((rig.flows(), rig.counter(WorkerCounter::FlowsStarted)), (0, 0));
}

#[test]
fn monitor_forwards_and_reports_once_an_interval() {
    let mut rig = Rig::settled(segment(Mode::Monitor), &[http()]);
    let interval_s = TIMEOUTS.denied_report_ns / SECOND_NS;
    for second in 0..5 * interval_s {
        for packet in [Packet::udp(53), Packet::udp(53).back(0)] {
            assert_eq!(rig.send(packet), Verdict::WouldDeny(NoRule), "second {second}");
        }
        rig.now_ns += SECOND_NS;
        rig.age();
    }
    assert_eq!(rig.flows(), 1);
    let reports = rig.events(EventKind::Denied(NoRule));
    for side in [Side::A, Side::B] {
        let of_side: Vec<_> = reports.iter().filter(|report| report.initiator == side).collect();
        assert_eq!(of_side.len(), 5, "from {side:?}");
        assert!(of_side.iter().all(|report| report.flags.forwarded));
        let packets: u64 = of_side.iter().map(|report| report.packets[side as usize]).sum();
        assert_eq!(packets, 4 * interval_s + 1, "those since the last report are still to come");
    }
    let unreported = rig.counter(WorkerCounter::DeniedUnreported);
    assert_eq!(unreported, 10 * interval_s - reports.len() as u64);
}

#[test]
fn enforced_denials_are_reported_once_an_interval() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[]);
    for _ in 0..25 {
        assert_eq!(rig.send(Packet::syn(80)), Verdict::Deny(NoRule));
        rig.now_ns += SECOND_NS;
    }
    let reports = rig.events(EventKind::Denied(NoRule));
    let packets: Vec<u64> = reports.iter().map(|report| report.packets[0]).collect();
    assert_eq!(packets, [1, 10, 10]);
    assert!(reports.iter().all(|report| !report.flags.forwarded));
}

#[test]
fn monitor_reports_the_abuse_of_a_live_tuple_and_leaves_it() {
    let mut rig = Rig::settled(segment(Mode::Monitor), &[http()]);
    let syn = Packet::syn(80);
    for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
        assert_eq!(rig.send(packet), by(http()));
    }
    assert_eq!(rig.send(syn.back(SYN)), Verdict::WouldDeny(WrongDirection));
    assert_eq!(rig.send(syn.with(ACK)), by(http()));
    assert_eq!(rig.events(EventKind::Ended), []);
}

fn infrastructure_frames() -> [(&'static str, Vec<u8>); 4] {
    let (host, router) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 1, 1]));
    let arp = Arp::request(host, [10, 0, 0, 1].into(), [10, 0, 1, 1].into());
    let solicitation = IcmpMessage { kind: 135, code: 0, rest: [0; 4] };
    let (from, to) = ("fe80::1".parse().unwrap(), "ff02::1:ff00:2".parse().unwrap());
    let multicast = Mac([0x33, 0x33, 0xff, 0, 0, 2]);
    let discovery = |ip| FrameBuilder::new(host, multicast).ipv6(ip).icmpv6(solicitation);
    let lldp = FrameBuilder::new(host, Mac([1, 0x80, 0xc2, 0, 0, 0xe])).ether_type(0x88cc);
    let built = |frame: FrameBuilder| frame.payload(vec![0; 46]).build().unwrap();
    [
        ("arp", built(FrameBuilder::new(host, Mac::BROADCAST).arp(arp))),
        ("discovery", built(discovery(Ipv6::new(from, to).hop_limit(255)))),
        ("lldp", built(lldp)),
        ("arp reply", built(FrameBuilder::new(router, host).arp(arp.answered_by(router)))),
    ]
}

#[test]
fn infrastructure_passes_in_every_mode_without_entry_if_configured() {
    for mode in MODES {
        let mut rig = Rig::settled(open_infrastructure(mode), &[]);
        for (name, frame) in infrastructure_frames() {
            let verdict = rig.burst(Side::A, &[frame])[0];
            assert_eq!(verdict, Verdict::Allow(Basis::Infrastructure), "{name} in {mode:?}");
        }
        assert_eq!((rig.flows(), rig.ring.events.len()), (0, 0));
    }
}

#[test]
fn infrastructure_is_judged_like_anything_else_if_not_configured() {
    let only = |arp, neighbour_discovery, link_local| SegmentPolicy {
        mode: Mode::Enforce,
        infrastructure: Infrastructure { arp, neighbour_discovery, link_local },
        ..SegmentPolicy::CLOSED
    };
    let cases = [
        (only(false, true, true), [false, true, true]),
        (only(true, false, true), [true, false, true]),
        (only(true, true, false), [true, true, false]),
    ];
    for (settings, passes) in cases {
        let mut rig = Rig::settled(settings, &[]);
        for ((name, frame), passes) in infrastructure_frames().into_iter().zip(passes) {
            let expected = match passes {
                true => Verdict::Allow(Basis::Infrastructure),
                false => Verdict::Deny(NoRule),
            };
            assert_eq!(rig.burst(Side::A, &[frame])[0], expected, "{name}");
        }
    }
}

#[test]
fn discovery_through_a_router_is_not_infrastructure() {
    let mut rig = Rig::settled(open_infrastructure(Mode::Enforce), &[]);
    let mut frame = infrastructure_frames()[1].1.clone();
    frame[14 + 7] = 64;
    assert_eq!(rig.burst(Side::A, &[frame])[0], Verdict::Deny(NoRule));
}

#[test]
fn malformed_frames_are_forwarded_unless_enforced() {
    let mut frame = Packet::syn(80).frame();
    frame[14] = 0x44;
    let expected =
        [Verdict::WouldDeny(Ipv4Header), Verdict::WouldDeny(Ipv4Header), Verdict::Deny(Ipv4Header)];
    for (mode, expected) in MODES.into_iter().zip(expected) {
        let mut rig = Rig::settled(segment(mode), &[http()]);
        assert_eq!(rig.burst(Side::A, &[frame.clone()])[0], expected);
        assert_eq!(rig.flows(), 0);
    }
}

proptest! {
    #[test]
    fn learn_and_monitor_forward_everything(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..64),
        flips in prop::collection::vec((0usize..60, any::<u8>()), 0..64),
        monitor in any::<bool>(),
    ) {
        let mode = if monitor { Mode::Monitor } else { Mode::Learn };
        let capacity = Capacity { narrow: 3, wide: 3, fragments: 64 };
        let mut rig = Rig::new(capacity, segment(mode), &[http()]);
        let damaged = flips.iter().map(|&(at, value)| {
            let mut frame = Packet::syn(80).frame();
            let at = at % frame.len();
            frame[at] = value;
            frame
        });
        let damaged: Vec<_> = damaged.collect();
        for side in [Side::A, Side::B] {
            for verdict in rig.burst(side, &frames).iter().chain(&rig.burst(side, &damaged)) {
                prop_assert!(verdict.forwards());
                prop_assert!(monitor || !matches!(verdict, Verdict::WouldDeny(NoRule)));
            }
        }
    }
}

#[test]
fn a_rule_that_nobody_opens_is_a_hole_in_a_general_one() {
    const NOBODY: RuleOptions =
        RuleOptions { client_opens: false, server_opens: false, midstream: false };
    let general = Rule { client: None, ..http() };
    let hole = Rule { number: 2, ..http() }.with(NOBODY);
    // Also what was met running in the grace time isn't adopted by it.
    let mut rig = Rig::new(
        Capacity { narrow: 64, wide: 64, fragments: 64 },
        segment(Mode::Enforce),
        &[general, hole],
    );
    assert_eq!(rig.send(Packet::syn(80).with(ACK)), Verdict::Deny(NoRule));
    assert_eq!(rig.send(Packet::syn(80)), Verdict::Deny(NoRule));
    for run_in in [SYN, ACK] {
        let mut rig = Rig::new(
            Capacity { narrow: 64, wide: 64, fragments: 64 },
            segment(Mode::Enforce),
            &[general],
        );
        assert_eq!(rig.send(Packet::syn(80).with(run_in)), by(general));
        rig.publish(segment(Mode::Enforce), &[general, hole]);
        assert_eq!(rig.send(Packet::syn(80).with(ACK)), Verdict::Deny(NoRule));
    }
}
