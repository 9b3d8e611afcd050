//! ICMP errors: which pass, which don't, and what they leave behind.

mod support;

use loadlock_exchange::DropReason::{IcmpErrorUnrelated, NoRule};
use loadlock_exchange::{EventKind, Mode, RuleOptions};
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Capacity, Verdict};
use support::flags::{ACK, RST, SYN};
use support::{Packet, Rig, Rule, Sort, TIMEOUTS, segment};

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

const UNRELATED: Verdict = Verdict::Deny(IcmpErrorUnrelated);

/// One rule of each sort that an error may quote, and the packet that its client sends.
fn conversations() -> Vec<(Rule, Packet, Sort)> {
    let sorts = [
        (Sort::Tcp4, 80, Sort::Unreachable4),
        (Sort::Udp4, 53, Sort::Unreachable4),
        (Sort::Ping4, 0x0800, Sort::Unreachable4),
        (Sort::Gre4, 47, Sort::Unreachable4),
        (Sort::Tcp6, 80, Sort::TooBig6),
        (Sort::Udp6, 53, Sort::TooBig6),
    ];
    let case = |(sort, service, error)| {
        (Rule::to_b(7, sort, service), Packet::to_b(sort, service, SYN), error)
    };
    sorts.map(case).to_vec()
}

#[test]
fn error_about_a_live_conversation_passes_and_leaves_no_trace() {
    for (rule, packet, error) in conversations() {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet), by(rule));
        let events = rig.ring.events.len();
        for _ in 0..3 {
            assert_eq!(rig.send(packet.error(error)), by(rule), "{:?}", rule.sort);
        }
        assert_eq!((rig.flows(), rig.ring.events.len()), (1, events));
        rig.pipeline.end_all(&mut rig.ring);
        assert_eq!(rig.events(EventKind::Ended)[0].packets, [1, 0], "errors don't count");
    }
}

#[test]
fn error_without_a_conversation_is_denied_whatever_the_rules_permit() {
    for (rule, packet, error) in conversations() {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet.error(error)), UNRELATED, "{:?}", rule.sort);
        assert_eq!(rig.events(EventKind::Denied(IcmpErrorUnrelated)).len(), 1);
        assert_eq!(rig.send(packet.error(error)), UNRELATED, "remembered");
    }
}

#[test]
fn icmp_error_with_a_forged_inner_tuple_is_denied() {
    for (rule, packet, error) in conversations() {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet), by(rule));
        let ports = !matches!(packet.sort, Sort::Gre4);
        let forged = [
            ("another client port", packet.port(40_001), ports),
            ("another server", Packet { hosts: [1, 2], ..packet }, true),
            ("another client", Packet { hosts: [2, 1], ..packet }, true),
        ];
        for (name, forged, tells) in forged {
            if tells {
                assert_eq!(rig.send(forged.error(error)), UNRELATED, "{:?}: {name}", rule.sort);
            }
        }
        // To the server about a packet that the server didn't send.
        let to_server = Packet { from: Side::A, ..packet.error(error) };
        let frame = {
            let mut frame = packet.error(error).frame();
            let theirs = to_server.frame();
            let addresses = if error == Sort::TooBig6 { 22..54 } else { 26..34 };
            frame[addresses.clone()].copy_from_slice(&theirs[addresses]);
            frame
        };
        assert_eq!(rig.burst(Side::A, &[frame])[0], UNRELATED, "{:?}: to the server", rule.sort);
    }
}

#[test]
fn cut_or_contradicting_quotes_are_about_nothing() {
    for (rule, packet, error) in conversations() {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet), by(rule));
        let whole = packet.error(error).frame();
        let (at, inner_header) = if error == Sort::TooBig6 { (14 + 40 + 8, 40) } else { (42, 20) };
        let needed = at + inner_header + 8;
        for bytes in at..needed {
            let mut cut = whole[..bytes].to_vec();
            let length =
                if error == Sort::TooBig6 { (18, bytes - 14 - 40) } else { (16, bytes - 14) };
            cut[length.0..length.0 + 2].copy_from_slice(&(length.1 as u16).to_be_bytes());
            assert_eq!(rig.burst(Side::B, &[cut])[0], UNRELATED, "{:?}, {bytes}", rule.sort);
        }
        assert_eq!(rig.burst(Side::B, &[whole])[0], by(rule));
    }
    // A later fragment, a wrong version, options beyond the quote, a length that can't be.
    let (rule, packet, error) = conversations()[0];
    let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
    assert_eq!(rig.send(packet), by(rule));
    for (at, value) in [(42 + 7, 1), (42, 0x65), (42, 0x4f), (42, 0x44), (42 + 3, 27)] {
        let mut frame = packet.error(error).frame();
        frame[at] = value;
        assert_eq!(rig.burst(Side::B, &[frame])[0], UNRELATED, "byte {at}");
    }
}

/// Which types are errors: not the redirect, not what has no meaning.
#[test]
fn only_errors_follow_a_conversation() {
    let (rule, packet, error) = conversations()[0];
    for kind in 0..=255u8 {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet), by(rule));
        let mut frame = packet.error(error).frame();
        frame[34] = kind;
        let verdict = rig.burst(Side::B, &[frame])[0];
        let passes = matches!(kind, 3 | 4 | 11 | 12);
        let answer = matches!(kind, 0 | 14 | 16 | 18);
        assert_eq!(verdict == by(rule), passes, "type {kind}: {verdict:?}");
        assert_eq!(verdict == Verdict::Deny(NoRule), !passes, "type {kind}, answer {answer}");
    }
    let (rule, packet, error) = conversations()[4];
    for kind in 0..=255u8 {
        let mut rig = Rig::settled(segment(Mode::Enforce), &[rule]);
        assert_eq!(rig.send(packet), by(rule));
        let mut frame = packet.error(error).frame();
        frame[54] = kind;
        let verdict = rig.burst(Side::B, &[frame])[0];
        assert_eq!(verdict == by(rule), matches!(kind, 1..=4), "type {kind}: {verdict:?}");
    }
}

#[test]
fn rule_that_names_the_type_permits_errors_about_nothing() {
    let named = Rule { client_side: Side::B, ..Rule::to_b(9, Sort::Unreachable4, 0x0300) };
    let http = Rule::to_b(7, Sort::Tcp4, 80);
    let mut rig = Rig::settled(segment(Mode::Enforce), &[named, http]);
    let error = Packet::syn(80).error(Sort::Unreachable4);
    assert_eq!(rig.send(error), by(named));
    assert_eq!(rig.flows(), 1);
    assert_eq!(rig.send(Packet::syn(80)), by(http));
    assert_eq!(rig.send(error), by(http), "the conversation comes first");
}

#[test]
fn error_about_a_conversation_that_is_over_or_revoked_is_denied() {
    let dns = Rule::to_b(7, Sort::Udp4, 53);
    let query = Packet::udp(53);
    let mut rig = Rig::settled(segment(Mode::Enforce), &[dns]);
    assert_eq!(rig.send(query), by(dns));
    assert_eq!(rig.send(query.error(Sort::Unreachable4)), by(dns));
    rig.wait(TIMEOUTS.udp_ns);
    assert_eq!(rig.send(query.error(Sort::Unreachable4)), UNRELATED, "over");
    assert_eq!(rig.send(query), by(dns));
    rig.publish(segment(Mode::Enforce), &[]);
    assert_eq!(rig.send(query.error(Sort::Unreachable4)), UNRELATED, "revoked");
    // Only its report waits.
    let mut rig = Rig::settled(segment(Mode::Enforce), &[dns]);
    rig.ring.capacity = 1;
    assert_eq!(rig.send(query), by(dns));
    rig.wait(TIMEOUTS.udp_ns);
    assert_eq!(rig.flows(), 1);
    assert_eq!(rig.send(query.error(Sort::Unreachable4)), UNRELATED, "waits for its report");
}

#[test]
fn errors_do_not_keep_a_conversation_alive() {
    let dns = Rule::to_b(7, Sort::Udp4, 53);
    let query = Packet::udp(53);
    let mut rig = Rig::settled(segment(Mode::Enforce), &[dns]);
    assert_eq!(rig.send(query), by(dns));
    for _ in 0..4 {
        rig.wait(TIMEOUTS.udp_ns / 4);
        rig.send(query.error(Sort::Unreachable4));
    }
    rig.wait(TIMEOUTS.udp_ns / 4);
    assert_eq!(rig.flows(), 0);
}

#[test]
fn full_table_lets_errors_about_what_a_rule_permits_pass() {
    let http = Rule::to_b(7, Sort::Tcp4, 80);
    let mut rig =
        Rig::new(Capacity { narrow: 0, wide: 0, fragments: 64 }, segment(Mode::Enforce), &[http]);
    rig.now_ns += TIMEOUTS.grace_ns;
    let syn = Packet::syn(80);
    assert_eq!(rig.send(syn), by(http));
    assert_eq!(rig.send(syn.error(Sort::Unreachable4)), by(http));
    assert_eq!(rig.send(Packet::syn(81).error(Sort::Unreachable4)), UNRELATED);
    let denied = syn.port(40_001).back(SYN);
    assert!(!rig.send(denied).forwards());
    assert_eq!(rig.send(denied.error(Sort::Unreachable4)), UNRELATED, "its SYN was denied");
}

#[test]
fn learn_mode_learns_nothing_from_an_error_about_what_it_saw_and_the_type_of_others() {
    let mut rig = Rig::settled(segment(Mode::Learn), &[]);
    let syn = Packet::syn(80);
    rig.send(syn);
    assert_eq!(rig.send(syn.error(Sort::Unreachable4)), Verdict::Allow(Basis::Learning));
    assert_eq!((rig.flows(), rig.events(EventKind::Started).len()), (1, 1));
    let other = Packet::syn(81).error(Sort::Unreachable4);
    assert_eq!(rig.send(other), Verdict::Allow(Basis::Learning));
    assert_eq!((rig.flows(), rig.events(EventKind::Started).len()), (2, 2));
}

#[test]
fn monitor_would_deny_errors_about_what_it_would_deny() {
    let http = Rule::to_b(7, Sort::Tcp4, 80);
    let mut rig = Rig::settled(segment(Mode::Monitor), &[http]);
    for (service, expected) in [(80, by(http)), (81, Verdict::WouldDeny(IcmpErrorUnrelated))] {
        let syn = Packet::syn(service);
        assert!(rig.send(syn).forwards());
        assert_eq!(rig.send(syn.error(Sort::Unreachable4)), expected);
    }
    let both = RuleOptions { server_opens: true, ..RuleOptions::CLIENT_OPENS };
    rig.publish(segment(Mode::Monitor), &[Rule::to_b(8, Sort::Tcp4, 81).with(both)]);
    let error = Packet::syn(80).with(RST | ACK).error(Sort::Unreachable4);
    assert_eq!(rig.send(error), Verdict::WouldDeny(IcmpErrorUnrelated), "revoked meanwhile");
}
