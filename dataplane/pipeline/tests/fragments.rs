//! Fragments: the first one decides, the others follow; and the ways around that.

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_exchange::DropReason::{
    FragmentOverlap, FragmentProtocol, FragmentTiny, FragmentTooLong, FragmentUnknown, NoRule,
};
use loadlock_exchange::{EventKind, Mode};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Ipv6, Mac, Tcp, TcpFlags};
use loadlock_packet::{KeyTail, Kind, Side};
use loadlock_pipeline::{Basis, Capacity, Verdict};
use support::flags::SYN;
use support::{Packet, Rig, Rule, SECOND_NS, Sort, TIMEOUTS, segment};

const MODES: [Mode; 3] = [Mode::Learn, Mode::Monitor, Mode::Enforce];

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

fn dns() -> Rule {
    Rule::to_b(1, Sort::Udp4, 53)
}

fn enforced(rules: &[Rule]) -> Rig {
    Rig::settled(segment(Mode::Enforce), rules)
}

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 1, 1];

fn builder() -> FrameBuilder {
    FrameBuilder::new(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 1, 1]))
}

fn header(identification: u16) -> Ipv4 {
    Ipv4::new(Ipv4Addr::from(A), Ipv4Addr::from(B)).identification(identification)
}

/// A datagram of 4,000 bytes from A's host to B's `port`, in three fragments.
fn datagram(identification: u16, port: u16) -> Vec<Vec<u8>> {
    let whole = builder().ipv4(header(identification)).udp(40_000, port).payload(vec![7; 4000]);
    whole.fragments(1500).unwrap()
}

/// A datagram over IPv6; all of the builder's have the same identification.
fn datagram6(port: u16) -> Vec<Vec<u8>> {
    let host = |side| Ipv6Addr::new(0xfd00, 0, 0, side, 0, 0, 0, 1);
    let whole = builder().ipv6(Ipv6::new(host(0), host(1))).udp(40_000, port);
    whole.payload(vec![7; 4000]).fragments(1500).unwrap()
}

/// One fragment of `protocol` with zeros in it.
fn piece(identification: u16, protocol: u8, offset: u16, bytes: usize) -> Vec<u8> {
    let header = header(identification).fragment(offset, true);
    builder().ipv4(header).protocol(protocol).payload(vec![0; bytes]).build().unwrap()
}

fn one(rig: &mut Rig, frame: &[u8]) -> Verdict {
    rig.burst(Side::A, &[frame.to_vec()])[0]
}

#[test]
fn later_fragments_follow_the_first() {
    for (rule, allowed, denied) in [
        (dns(), datagram(1, 53), datagram(2, 54)),
        (Rule::to_b(1, Sort::Udp6, 53), datagram6(53), datagram6(54)),
    ] {
        let mut rig = enforced(&[rule]);
        assert_eq!(rig.burst(Side::A, &denied), [Verdict::Deny(NoRule); 3]);
        assert_eq!(rig.burst(Side::A, &allowed), [by(rule); 3]);
        assert_eq!(rig.flows(), 1, "the datagram's conversation alone");
        let repeated = [&allowed[1..], &allowed[1..]].concat();
        assert_eq!(rig.burst(Side::A, &repeated), [by(rule); 4], "duplicates, in any order");
        assert_eq!(rig.burst(Side::A, &denied), [Verdict::Deny(NoRule); 3]);
    }
}

#[test]
fn fragments_missing_their_first_are_denied() {
    let mut rig = enforced(&[dns()]);
    let fragments = datagram(1, 53);
    assert_eq!(rig.burst(Side::A, &fragments[1..]), [Verdict::Deny(FragmentUnknown); 2]);
    assert_eq!(rig.events(EventKind::Denied(FragmentUnknown)).len(), 1);
}

/// The stated limit: what overtakes its first fragment is lost, the rest isn't.
#[test]
fn reordered_fragments_pass_from_the_first_on() {
    let mut rig = enforced(&[dns()]);
    let [first, second, third] = datagram(1, 53).try_into().unwrap();
    let verdicts = rig.burst(Side::A, &[third.clone(), first, third, second]);
    assert_eq!(verdicts, [Verdict::Deny(FragmentUnknown), by(dns()), by(dns()), by(dns())]);
}

#[test]
fn fragments_of_another_packet_do_not_follow() {
    let mut rig = enforced(&[dns()]);
    let first = datagram(1, 53).remove(0);
    assert_eq!(one(&mut rig, &first), by(dns()));
    let later = datagram(1, 53).remove(1);
    let unknown = Verdict::Deny(FragmentUnknown);
    let changed = |at: usize, value: u8| {
        let mut frame = later.clone();
        frame[at] = value;
        frame
    };
    for (name, at, value) in [("identification", 19, 2), ("source", 29, 2), ("destination", 33, 2)]
    {
        assert_eq!(one(&mut rig, &changed(at, value)), unknown, "{name}");
    }
    let mut tagged = later.clone();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    assert_eq!(one(&mut rig, &tagged), unknown, "VLAN");
    assert_eq!(rig.burst(Side::B, std::slice::from_ref(&later))[0], unknown, "from the other side");
    assert_eq!(one(&mut rig, &later), by(dns()));
}

#[test]
fn same_identification_with_another_protocol_is_denied() {
    let mut rig = enforced(&[dns()]);
    let fragments = datagram(1, 53);
    assert_eq!(one(&mut rig, &fragments[0]), by(dns()));
    for protocol in [1, 6, 47] {
        let forged = piece(1, protocol, 1480, 100);
        assert_eq!(one(&mut rig, &forged), Verdict::Deny(FragmentProtocol));
    }
    assert_eq!(rig.burst(Side::A, &fragments[1..]), [by(dns()); 2], "it is disturbed by none");
}

#[test]
fn overlap_into_the_first_fragment_ends_the_packet() {
    for offset in [8, 16, 720, 1472] {
        let mut rig = enforced(&[dns()]);
        let fragments = datagram(1, 53);
        assert_eq!(one(&mut rig, &fragments[0]), by(dns()));
        assert_eq!(one(&mut rig, &piece(1, 17, offset, 16)), Verdict::Deny(FragmentOverlap));
        assert_eq!(rig.burst(Side::A, &fragments[1..]), [Verdict::Deny(FragmentOverlap); 2]);
        assert_eq!(rig.burst(Side::A, &fragments), [by(dns()); 3], "sent again");
    }
}

/// A second first fragment with other ports: each is judged, and the later ones follow the last.
#[test]
fn second_first_fragment_is_judged_for_itself() {
    let mut rig = enforced(&[dns()]);
    let (allowed, denied) = (datagram(1, 53), datagram(1, 54));
    assert_eq!(one(&mut rig, &allowed[0]), by(dns()));
    assert_eq!(one(&mut rig, &denied[0]), Verdict::Deny(NoRule));
    assert_eq!(one(&mut rig, &allowed[1]), Verdict::Deny(NoRule));
    assert_eq!(one(&mut rig, &allowed[0]), by(dns()));
    assert_eq!(one(&mut rig, &allowed[1]), by(dns()));
}

#[test]
fn tiny_and_over_long_fragments_are_denied() {
    let http = Rule::to_b(2, Sort::Tcp4, 80);
    let mut rig = enforced(&[dns(), http]);
    let syn = Tcp::new(40_000, 80).flags(TcpFlags(SYN));
    let tiny = builder().ipv4(header(1)).tcp(syn).fragments(28 + 8).unwrap();
    assert_eq!(tiny.len(), 2, "16 and 4 bytes");
    let mut verdicts = rig.burst(Side::A, &tiny);
    assert_eq!(verdicts.remove(0), Verdict::Deny(FragmentTiny));
    assert_eq!(verdicts.remove(0), Verdict::Deny(FragmentTiny), "would overwrite flags");
    assert_eq!(one(&mut rig, &datagram(2, 53)[0]), by(dns()));
    assert_eq!(one(&mut rig, &piece(2, 17, 65_528, 16)), Verdict::Deny(FragmentTooLong));
}

#[test]
fn fragments_follow_for_a_time_from_the_first() {
    let mut rig = enforced(&[dns()]);
    let fragments = datagram(1, 53);
    assert_eq!(one(&mut rig, &fragments[0]), by(dns()));
    rig.now_ns += TIMEOUTS.fragment_ns - SECOND_NS / 2;
    assert_eq!(one(&mut rig, &fragments[1]), by(dns()));
    rig.now_ns += SECOND_NS;
    assert_eq!(one(&mut rig, &fragments[2]), Verdict::Deny(FragmentUnknown));
}

#[test]
fn a_change_of_policy_between_fragments_leaves_the_packet_whole() {
    let mut rig = enforced(&[dns()]);
    let fragments = datagram(1, 53);
    assert_eq!(one(&mut rig, &fragments[0]), by(dns()));
    rig.publish(segment(Mode::Enforce), &[]);
    assert_eq!(rig.burst(Side::A, &fragments[1..]), [by(dns()); 2]);
    assert_eq!(rig.burst(Side::A, &fragments), [Verdict::Deny(NoRule); 3]);
}

#[test]
fn learn_and_monitor_forward_fragments_and_learn_nothing_from_later_ones() {
    let would = Verdict::WouldDeny;
    let expected = [
        [Verdict::Allow(Basis::Learning), would(FragmentUnknown), would(FragmentOverlap)],
        [would(NoRule), would(FragmentUnknown), would(FragmentOverlap)],
        [Verdict::Deny(NoRule), Verdict::Deny(FragmentUnknown), Verdict::Deny(NoRule)],
    ];
    for (mode, [first, unknown, overlap]) in MODES.into_iter().zip(expected) {
        let mut rig = Rig::settled(segment(mode), &[]);
        let fragments = datagram(1, 53);
        assert_eq!(one(&mut rig, &fragments[1]), unknown, "{mode:?}");
        assert_eq!(rig.burst(Side::A, &fragments), [first; 3], "{mode:?}");
        assert_eq!(one(&mut rig, &piece(1, 17, 8, 16)), overlap, "{mode:?}");
        let kinds = rig.events(EventKind::Started).into_iter().map(|event| event.key.tail());
        assert!(kinds.map(KeyTail::kind).all(|kind| kind == Kind::Udp), "{mode:?}");
    }
}

#[test]
fn rule_for_fragments_permits_those_without_a_first() {
    let entry = Rule::to_b(3, Sort::Gre4, 17).entry();
    let tail = entry.tail;
    let tail = KeyTail::new(tail.segment(), tail.vlans(), Kind::Fragment);
    let capacity = Capacity { narrow: 64, wide: 64, fragments: 64 };
    let entries = [loadlock_exchange::RuleEntry { tail, ..entry }];
    let mut rig = Rig::compiled(capacity, segment(Mode::Enforce), &entries);
    let fragments = datagram(1, 53);
    assert_eq!(one(&mut rig, &fragments[1]), Verdict::Allow(Basis::Rule(entry.rule)));
    assert_eq!(one(&mut rig, &fragments[0]), Verdict::Deny(NoRule));
    assert_eq!(one(&mut rig, &fragments[1]), Verdict::Deny(NoRule), "the first decides");
    assert_eq!(one(&mut rig, &piece(1, 6, 1480, 16)), Verdict::Deny(FragmentProtocol));
    assert_eq!(rig.flows(), 0);
}

#[test]
fn fragment_flood_takes_no_more_memory_and_denies_others_nothing() {
    let mut rig = enforced(&[dns()]);
    let kept = datagram(9, 53);
    assert_eq!(one(&mut rig, &kept[0]), by(dns()));
    for identification in 100..5000 {
        let denied = datagram(identification, 54);
        assert_eq!(one(&mut rig, &denied[0]), Verdict::Deny(NoRule));
        let later = one(&mut rig, &denied[1]);
        assert!(!later.forwards(), "{later:?}");
    }
    assert_eq!(rig.burst(Side::A, &kept[1..]), [by(dns()); 2]);
    assert_eq!(rig.send(Packet::udp(53).port(40_001)), by(dns()));
}
