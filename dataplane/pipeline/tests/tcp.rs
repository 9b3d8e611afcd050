//! TCP's course where it isn't the ordinary one: what is forwarded, what is denied, and that conversations go on.

mod support;

use loadlock_exchange::DropReason::{NoRule, NotOpened, WrongDirection};
use loadlock_exchange::{EventKind, Mode};
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Verdict};
use support::flags::{ACK, FIN, PSH, RST, SYN, URG};
use support::{Packet, ROUND_NS, Rig, Rule, Sort, TIMEOUTS, segment};

fn http() -> Rule {
    Rule::to_b(1, Sort::Tcp4, 80)
}

fn enforced(rules: &[Rule]) -> Rig {
    Rig::settled(segment(Mode::Enforce), rules)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

fn connect(rig: &mut Rig) -> Packet {
    let syn = Packet::syn(80);
    for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
        assert_eq!(rig.send(packet), by(http()), "{packet:?}");
    }
    syn.with(ACK)
}

/// A frame with so many bytes behind its TCP header.
fn with_data(packet: Packet, bytes: u16) -> Vec<u8> {
    let mut frame = packet.frame();
    frame.truncate(54);
    frame.extend(vec![7; bytes.into()]);
    frame[16..18].copy_from_slice(&(40 + bytes).to_be_bytes());
    frame
}

/// TCP Fast Open (RFC 7413): the data goes where the SYN goes.
#[test]
fn syn_with_data_opens_like_any_and_needs_the_same_rule() {
    let mut rig = enforced(&[http()]);
    let syn = Packet::syn(80);
    assert_eq!(rig.burst(Side::A, &[with_data(syn, 500)]), [by(http())]);
    assert_eq!(rig.burst(Side::B, &[with_data(syn.back(SYN | ACK), 500)]), [by(http())]);
    assert_eq!(rig.send(syn.with(ACK)), by(http()));
    assert_eq!(rig.flows(), 1);
    let mut rig = enforced(&[http()]);
    assert_eq!(rig.burst(Side::A, &[with_data(Packet::syn(81), 500)]), [Verdict::Deny(NoRule)]);
    let backwards = with_data(syn.back(SYN), 500);
    assert_eq!(rig.burst(Side::B, &[backwards]), [Verdict::Deny(WrongDirection)]);
}

/// The server answers a SYN with one of its own, so that a filter takes it for the one who opens (Beardsley 2010).
#[test]
fn split_handshake_does_not_turn_the_direction() {
    let mut rig = enforced(&[http()]);
    let syn = Packet::syn(80);
    assert_eq!(rig.send(syn), by(http()));
    assert_eq!(rig.send(syn.back(ACK)), by(http()), "as a challenge ACK comes");
    assert_eq!(rig.send(syn.back(SYN)), Verdict::Deny(WrongDirection), "the server's own SYN");
    assert_eq!(rig.send(syn.back(SYN | ACK)), by(http()), "the ordinary answer passes yet");
    assert_eq!(rig.send(syn.with(ACK)), by(http()));
    assert_eq!(rig.events(EventKind::Started)[0].initiator, Side::A);
    assert_eq!(rig.flows(), 1);
}

/// With a rule of its own the server may open too; the connection is one, whoever was first.
#[test]
fn simultaneous_open_passes_with_a_rule_in_each_direction_only() {
    let back = Rule { number: 2, client_side: Side::B, service: 40_000, ..http() };
    for (rules, expected) in
        [(vec![http()], Verdict::Deny(WrongDirection)), (vec![http(), back], by(back))]
    {
        let mut rig = enforced(&rules);
        let syn = Packet::syn(80);
        assert_eq!(rig.send(syn), by(http()));
        assert_eq!(rig.send(syn.back(SYN)), expected);
        for packet in [syn.with(SYN | ACK), syn.back(SYN | ACK), syn.with(ACK), syn.back(ACK)] {
            assert!(rig.send(packet).forwards(), "{packet:?}");
        }
        assert_eq!(rig.flows(), 1);
    }
}

#[test]
fn port_reuse_while_closing_begins_anew_for_the_client_alone() {
    let closings: [&[(Side, u8)]; 4] = [
        &[(Side::A, RST)],
        &[(Side::B, RST | ACK)],
        &[(Side::A, FIN | ACK)],
        &[(Side::A, FIN | ACK), (Side::B, FIN | ACK), (Side::A, ACK)],
    ];
    for closing in closings {
        let mut rig = enforced(&[http()]);
        let data = connect(&mut rig);
        for &(side, flags) in closing {
            rig.send(Packet { from: side, ..data }.with(flags));
        }
        assert_eq!(rig.send(data.back(SYN)), Verdict::Deny(WrongDirection), "{closing:?}");
        assert_eq!(rig.send(data.with(SYN)), by(http()));
        assert_eq!(rig.send(data.back(SYN | ACK)), by(http()));
        assert_eq!((rig.events(EventKind::Started).len(), rig.flows()), (2, 1));
    }
}

/// Sequence numbers aren't looked at. Whose RST it claims to be, that host's next segment says that it wasn't: a connection that goes
/// on keeps its time-out.
#[test]
fn rst_out_of_window_does_not_end_a_conversation_that_goes_on() {
    for sender in [Side::A, Side::B] {
        let mut rig = enforced(&[http()]);
        let data = connect(&mut rig);
        let from = |side, flags| Packet { from: side, ..data }.with(flags);
        for _ in 0..3 {
            assert_eq!(rig.send(from(sender, RST)), by(http()));
            assert_eq!(rig.send(from(sender.other(), ACK)), by(http()));
            assert_eq!(rig.send(from(sender, ACK | PSH)), by(http()));
        }
        rig.wait(TIMEOUTS.tcp_closing_ns + ROUND_NS);
        assert_eq!(rig.flows(), 1, "its time-out is that of an open connection again");
        assert_eq!(rig.send(from(sender.other(), ACK)), by(http()));
    }
}

#[test]
fn rst_that_nothing_contradicts_ends_the_conversation_soon() {
    for (sender, other) in [(Side::A, ACK), (Side::B, ACK), (Side::B, FIN | ACK)] {
        let mut rig = enforced(&[http()]);
        let data = connect(&mut rig);
        rig.send(Packet { from: sender, ..data }.with(RST));
        assert_eq!(rig.send(Packet { from: sender.other(), ..data }.with(other)), by(http()));
        rig.wait(TIMEOUTS.tcp_closing_ns + ROUND_NS);
        assert_eq!(rig.flows(), 0);
        assert_eq!(rig.send(data), Verdict::Deny(NotOpened));
    }
}

/// A FIN can't be contradicted like that: who has closed his direction goes on acknowledging. It shortens the time-out, no more.
#[test]
fn fin_out_of_window_shortens_the_time_out_of_silence_alone() {
    let mut rig = enforced(&[http()]);
    let data = connect(&mut rig);
    for packet in [data.with(FIN | ACK), data.back(FIN | ACK)] {
        assert_eq!(rig.send(packet), by(http()));
    }
    for _ in 0..5 {
        rig.wait(TIMEOUTS.tcp_closing_ns - ROUND_NS);
        assert_eq!(rig.send(data), by(http()), "as long as somebody speaks it goes on");
        assert_eq!(rig.send(data.back(ACK)), by(http()));
    }
    rig.wait(TIMEOUTS.tcp_closing_ns + ROUND_NS);
    assert_eq!(rig.send(data), Verdict::Deny(NotOpened), "after silence the client opens anew");
    assert_eq!(rig.send(data.with(SYN)), by(http()));
}

/// Every combination of the six flags, into every state of a connection: no panic, and no state that lets in what no rule permits.
#[test]
fn any_flags_in_any_state_permit_nothing_new() {
    let states: [&[(bool, u8)]; 6] = [
        &[],
        &[(true, SYN)],
        &[(true, SYN), (false, SYN | ACK), (true, ACK)],
        &[(true, SYN), (false, SYN | ACK), (true, FIN | ACK)],
        &[(true, SYN), (false, SYN | ACK), (true, FIN | ACK), (false, FIN | ACK)],
        &[(true, SYN), (false, RST | ACK)],
    ];
    for before in states {
        for flags in 0..URG * 2 {
            for by_client in [true, false] {
                let mut rig = enforced(&[http()]);
                let syn = Packet::syn(80);
                let sent = |(by_client, flags)| {
                    if by_client { syn.with(flags) } else { syn.back(flags) }
                };
                for &step in before {
                    assert_eq!(rig.send(sent(step)), by(http()));
                }
                let verdict = rig.send(sent((by_client, flags)));
                let opens = flags & (SYN | ACK | RST | FIN) == SYN;
                let expected = match (before.is_empty(), opens, by_client) {
                    (_, true, true) | (false, false, _) => by(http()),
                    (_, true, false) => Verdict::Deny(WrongDirection),
                    (true, false, _) => Verdict::Deny(NotOpened),
                };
                assert_eq!(
                    verdict, expected,
                    "{before:?}, then {flags:#04x} by client: {by_client}"
                );
                assert!(rig.flows() <= 1);
            }
        }
    }
}
