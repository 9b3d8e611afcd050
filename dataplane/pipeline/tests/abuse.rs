//! Ways around an allowlist, each by name; and what must not be taken for one.

mod support;

use loadlock_exchange::DropReason::{NoRule, NotOpened, WrongDirection};
use loadlock_exchange::{EventKind, Mode, RuleOptions};
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Capacity, Verdict};
use support::flags::{ACK, FIN, PSH, RST, SYN, URG};
use support::{Packet, ROUND_NS, Rig, Rule, SECOND_NS, Sort, TIMEOUTS, segment};

const ROOM: Capacity = Capacity { narrow: 64, wide: 64, fragments: 64 };

fn enforced(rules: &[Rule]) -> Rig {
    Rig::settled(segment(Mode::Enforce), rules)
}

fn in_grace(rules: &[Rule]) -> Rig {
    Rig::new(ROOM, segment(Mode::Enforce), rules)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

/// Everything TCP can send without opening anything.
const STATELESS: [(&str, u8); 8] = [
    ("ACK", ACK),
    ("FIN", FIN),
    ("NULL", 0),
    ("XMAS", FIN | PSH | URG),
    ("SYN-ACK", SYN | ACK),
    ("RST", RST),
    ("SYN-FIN", SYN | FIN),
    ("SYN-RST", SYN | RST),
];

const HTTP: fn() -> Rule = || Rule::to_b(1, Sort::Tcp4, 80);

/// Opens client A's connection to `service`.
fn connect(rig: &mut Rig, service: u16) -> Packet {
    let syn = Packet::syn(service);
    for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
        assert!(rig.send(packet).forwards(), "{packet:?}");
    }
    syn.with(ACK)
}

#[test]
fn server_connecting_from_its_service_port_is_denied() {
    for mut rig in [enforced(&[HTTP()]), in_grace(&[HTTP()])] {
        for port in [40_000, 445, 80] {
            let syn = Packet { ports: [port, 80], ..Packet::syn(80).back(SYN) };
            assert_eq!(rig.send(syn), Verdict::Deny(WrongDirection));
        }
        assert_eq!(rig.flows(), 0);
    }
}

#[test]
fn server_connecting_on_a_live_tuple_is_denied_and_disturbs_nothing() {
    for mut rig in [enforced(&[HTTP()]), in_grace(&[HTTP()])] {
        let data = connect(&mut rig, 80);
        rig.ring.drain();
        for _ in 0..3 {
            assert_eq!(rig.send(data.back(SYN)), Verdict::Deny(WrongDirection));
            assert_eq!(rig.send(data), by(HTTP()));
            assert_eq!(rig.send(data.back(ACK)), by(HTTP()));
        }
        assert_eq!(rig.flows(), 1);
        assert_eq!(rig.events(EventKind::Ended), []);
        rig.pipeline.end_all(&mut rig.ring);
        let ended = rig.events(EventKind::Ended);
        assert_eq!(ended[0].packets, [5, 4], "denied frames aren't the conversation's");
        assert!(ended[0].initiator == Side::A && ended[0].flags.handshake);
    }
}

#[test]
fn server_connecting_on_an_adopted_tuple_is_denied() {
    let mut rig = in_grace(&[HTTP()]);
    let data = Packet::syn(80).back(ACK);
    assert_eq!(rig.send(data), by(HTTP()), "adopted, the server spoke first");
    assert_eq!(rig.send(data.with(SYN)), Verdict::Deny(WrongDirection));
    assert_eq!(rig.send(data), by(HTTP()));
}

#[test]
fn segments_without_state_are_denied_after_the_grace_time() {
    for (name, flags) in STATELESS {
        let mut rig = enforced(&[HTTP()]);
        for packet in [Packet::syn(80).with(flags), Packet::syn(80).back(flags)] {
            assert_eq!(rig.send(packet), Verdict::Deny(NotOpened), "{name}");
        }
        for packet in [Packet::syn(81).with(flags), Packet::syn(79).back(flags)] {
            assert_eq!(rig.send(packet), Verdict::Deny(NoRule), "{name}");
        }
        assert_eq!(rig.flows(), 0);
    }
}

#[test]
fn udp_reply_nobody_asked_for_is_denied() {
    let dns = Rule::to_b(1, Sort::Udp4, 53);
    let query = Packet::udp(53);
    let mut rig = in_grace(&[dns]);
    assert_eq!(
        rig.send(query.back(0)),
        Verdict::Deny(WrongDirection),
        "not in the grace time either"
    );
    let mut rig = enforced(&[dns]);
    assert_eq!(rig.send(query.back(0)), Verdict::Deny(WrongDirection));
    assert_eq!(rig.send(query), by(dns));
    assert_eq!(rig.send(query.back(0)), by(dns));
    assert_eq!(rig.send(query.port(40_001).back(0)), Verdict::Deny(WrongDirection));
    rig.wait(TIMEOUTS.udp_ns + 2 * ROUND_NS);
    assert_eq!(rig.send(query.back(0)), Verdict::Deny(WrongDirection), "asked for too long ago");
}

#[test]
fn server_may_begin_where_the_rule_says_so() {
    let both = RuleOptions { server_opens: true, ..RuleOptions::CLIENT_OPENS };
    let trap = Rule::to_b(1, Sort::Udp4, 162).with(both);
    let mut rig = enforced(&[trap]);
    assert_eq!(rig.send(Packet::udp(162).back(0)), by(trap));
    assert_eq!(rig.events(EventKind::Started)[0].initiator, Side::B);
}

#[test]
fn icmp_answer_without_query_is_denied() {
    let ping = Rule::to_b(1, Sort::Ping4, 0x0800);
    let mut rig = enforced(&[ping]);
    let query = Packet::to_b(Sort::Ping4, 0, 0);
    let answer = Packet { answer: true, ..query.back(0) };
    assert_eq!(rig.send(answer), Verdict::Deny(NotOpened));
    assert_eq!(rig.send(query.back(0)), Verdict::Deny(NoRule), "a query of its own");
    assert_eq!(rig.send(query), by(ping));
    assert_eq!(rig.send(answer), by(ping));
    assert_eq!(rig.send(Packet { answer: false, ..answer }), Verdict::Deny(NoRule));
}

#[test]
fn icmp_query_made_to_look_like_the_reverse_of_a_rule_is_denied_in_the_grace_time() {
    let ping = Rule::to_b(1, Sort::Ping4, 0x0800);
    let mut rig = in_grace(&[ping]);
    // Its identifier is the type and code of an echo request.
    let query = Packet { ports: [0, 0x0800], ..Packet::to_b(Sort::Ping4, 0, 0).back(0) };
    assert_eq!(rig.send(query), Verdict::Deny(NoRule));
}

#[test]
fn icmp_query_with_the_key_of_the_other_sides_running_query_is_denied() {
    let ping = Rule::to_b(1, Sort::Ping4, 0x0800);
    let mut rig = in_grace(&[ping]);
    let query = Packet { ports: [0x0800; 2], ..Packet::to_b(Sort::Ping4, 0, 0) };
    assert_eq!(rig.send(query), by(ping));
    assert_eq!(rig.send(Packet { answer: true, ..query.back(0) }), by(ping));
    assert_eq!(rig.send(query.back(0)), Verdict::Deny(NoRule), "side B's own query");
    assert_eq!(rig.send(query), by(ping));
}

#[test]
fn segments_of_a_connection_whose_syn_was_denied_are_not_adopted() {
    let midstream = HTTP().midstream();
    for (rule, mut rig) in [
        (HTTP(), in_grace(&[HTTP()])),
        (
            HTTP(),
            Rig::new(
                Capacity { narrow: 0, wide: 0, fragments: 64 },
                segment(Mode::Enforce),
                &[HTTP()],
            ),
        ),
        (midstream, enforced(&[midstream])),
    ] {
        let data = Packet::syn(80).with(ACK);
        assert_eq!(rig.send(data.back(SYN)), Verdict::Deny(WrongDirection));
        for (name, flags) in STATELESS {
            assert_eq!(rig.send(data.back(flags)), Verdict::Deny(NotOpened), "{name}");
            assert_eq!(rig.send(data.with(flags)), Verdict::Deny(NotOpened), "{name}");
        }
        assert_eq!(rig.send(data.port(40_001).back(ACK)), by(rule), "another one runs");
        assert_eq!(rig.send(data.with(SYN)), by(rule), "its client opens it");
        assert_eq!(rig.send(data.back(SYN | ACK)), by(rule));
        assert_eq!(rig.send(data), by(rule));
    }
}

#[test]
fn running_conversations_are_adopted_in_the_grace_time_only() {
    let late = Rule::to_b(2, Sort::Tcp4, 81).midstream();
    let mut rig = in_grace(&[HTTP(), late]);
    let data = Packet::syn(80).with(ACK);
    assert_eq!(rig.send(data), by(HTTP()));
    assert_eq!(rig.send(data.port(40_001).back(ACK)), by(HTTP()));
    assert_eq!(rig.send(Packet::syn(82).with(ACK)), Verdict::Deny(NoRule));
    rig.wait(TIMEOUTS.grace_ns);
    assert_eq!(rig.send(data), by(HTTP()), "adopted, so it goes on");
    assert_eq!(rig.send(data.back(ACK)), by(HTTP()));
    assert_eq!(rig.send(data.port(40_001)), by(HTTP()));
    assert_eq!(rig.send(data.port(40_002)), Verdict::Deny(NotOpened));
    rig.ring.drain();
    let data = Packet::syn(81).with(ACK);
    assert_eq!(rig.send(data), by(late), "the rule says at any time");
    assert_eq!(rig.send(data.port(40_003).back(ACK)), by(late));
    assert_eq!(rig.send(data.port(40_004).back(SYN)), Verdict::Deny(WrongDirection));
    for event in rig.events(EventKind::Started) {
        assert!(event.flags.midstream && event.flags.after_grace);
    }
}

/// Regression: what the server of a running exchange said first was taken for its opening, and denied when the policy changed.
#[test]
fn adopted_exchange_outlives_a_change_of_policy_whoever_spoke_first() {
    for sort in [Sort::Tcp4, Sort::Tcp6] {
        let rule = Rule::to_b(1, sort, 5000);
        let mut rig = in_grace(&[rule]);
        let data = Packet::to_b(sort, 5000, ACK).back(ACK);
        assert_eq!(rig.send(data), by(rule), "{sort:?}");
        rig.wait(TIMEOUTS.grace_ns);
        rig.publish(segment(Mode::Enforce), &[rule, Rule::to_b(2, Sort::Tcp4, 99)]);
        assert_eq!(rig.send(data), by(rule), "{sort:?}");
        assert_eq!(rig.flows(), 1);
        assert!(rig.events(EventKind::Started)[0].flags.midstream);
    }
}

/// Regression: of IP protocols without ports and of the link layer only the client's side was adopted.
#[test]
fn running_exchanges_without_ports_are_adopted_from_both_sides() {
    for (sort, service) in [(Sort::Gre4, 47), (Sort::Profinet, 0x8892)] {
        let rule = Rule::to_b(1, sort, service);
        let mut rig = in_grace(&[rule]);
        assert_eq!(rig.send(Packet::to_b(sort, 0, 0).back(0)), by(rule));
        let mut rig = enforced(&[rule]);
        assert_eq!(rig.send(Packet::to_b(sort, 0, 0).back(0)), Verdict::Deny(WrongDirection));
    }
}

/// Regression: with nobody to read the events, ended conversations stayed open for their servers.
#[test]
fn timed_out_conversation_admits_nothing_while_its_report_waits() {
    let dns = Rule::to_b(1, Sort::Udp4, 53);
    let mut rig = enforced(&[dns]);
    rig.ring.capacity = 1;
    let query = Packet::udp(53);
    assert_eq!(rig.send(query), by(dns));
    rig.wait(TIMEOUTS.udp_ns);
    assert_eq!(rig.flows(), 1, "its report waits for room");
    rig.ring.drain();
    rig.ring.capacity = 0;
    assert_eq!(rig.send(query.back(0)), Verdict::Deny(WrongDirection));
    assert_eq!(rig.flows(), 0);
    rig.ring.capacity = 1;
    assert_eq!(rig.send(query), by(dns));
    rig.wait(TIMEOUTS.udp_ns);
    assert_eq!((rig.flows(), rig.ring.drain().len()), (1, 1));
    rig.wait(2 * ROUND_NS);
    assert_eq!((rig.flows(), rig.events(EventKind::Ended).len()), (0, 1));
}

#[test]
fn simultaneous_syn_needs_a_rule_of_its_own() {
    let mut rig = enforced(&[HTTP()]);
    let syn = Packet::syn(80);
    assert_eq!(rig.send(syn), by(HTTP()));
    assert_eq!(rig.send(syn.back(SYN)), Verdict::Deny(WrongDirection));
    assert_eq!(rig.send(syn.back(SYN | ACK)), by(HTTP()));
    let back = Rule { number: 2, client_side: Side::B, service: 40_000, ..HTTP() };
    let mut rig = enforced(&[HTTP(), back]);
    assert_eq!(rig.send(syn), by(HTTP()));
    assert_eq!(rig.send(syn.back(SYN)), by(back));
    assert_eq!(rig.send(syn.with(SYN | ACK)), by(back));
    assert_eq!(rig.flows(), 1);
}

#[test]
fn syn_on_a_closing_conversation_begins_another() {
    let closings: [&[(bool, u8)]; 3] =
        [&[(false, RST)], &[(true, FIN | ACK), (false, FIN | ACK)], &[(true, FIN | ACK)]];
    for closing in closings {
        let mut rig = enforced(&[HTTP()]);
        let data = connect(&mut rig, 80);
        for &(by_client, flags) in closing {
            rig.send(if by_client { data.with(flags) } else { data.back(flags) });
        }
        assert_eq!(rig.send(data.back(SYN)), Verdict::Deny(WrongDirection));
        assert_eq!(rig.send(data.with(SYN)), by(HTTP()));
        let kinds = (rig.events(EventKind::Started).len(), rig.events(EventKind::Ended).len());
        assert_eq!((rig.flows(), kinds), (1, (2, 1)));
        // Regression: after a half-close the next connection inherited the short time-out.
        rig.send(data.back(SYN | ACK));
        rig.wait(TIMEOUTS.tcp_closing_ns + ROUND_NS);
        assert_eq!(rig.send(data.back(ACK)), by(HTTP()));
    }
}

#[test]
fn syn_into_an_open_conversation_is_its_own() {
    let mut rig = enforced(&[HTTP()]);
    let data = connect(&mut rig, 80);
    assert_eq!(rig.send(data.with(SYN)), by(HTTP()));
    assert_eq!(rig.send(data.back(ACK)), by(HTTP()), "the challenge");
    assert_eq!(rig.events(EventKind::Started).len(), 1);
}

#[test]
fn unanswered_syn_is_forgotten_soon_and_an_open_connection_isn_t() {
    let mut rig = enforced(&[HTTP()]);
    assert_eq!(rig.send(Packet::syn(80)), by(HTTP()));
    let open = {
        let syn = Packet::syn(80).port(50_000);
        for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
            rig.send(packet);
        }
        syn.with(ACK)
    };
    rig.wait(TIMEOUTS.tcp_opening_ns + SECOND_NS);
    assert_eq!(rig.send(Packet::syn(80).back(SYN | ACK)), Verdict::Deny(NotOpened));
    assert_eq!(rig.send(open), by(HTTP()));
}
