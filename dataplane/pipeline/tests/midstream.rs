//! `midstream` of a segment: when conversations are adopted that were not seen to begin.

mod support;

use loadlock_exchange::DropReason::{NoRule, NotOpened, WrongDirection};
use loadlock_exchange::{EventKind, Midstream, Mode, SegmentPolicy};
use loadlock_pipeline::{Basis, Capacity, Verdict};
use support::flags::{ACK, RST, SYN};
use support::{Packet, ROUND_NS, Rig, Rule, Sort, TIMEOUTS};

const ROOM: Capacity = Capacity { narrow: 64, wide: 64, fragments: 64 };

fn segment(mode: Mode, midstream: Midstream) -> SegmentPolicy {
    SegmentPolicy { midstream, ..support::segment(mode) }
}

fn enforced(midstream: Midstream) -> Rig {
    Rig::new(ROOM, segment(Mode::Enforce, midstream), &[http(), late()])
}

fn http() -> Rule {
    Rule::to_b(1, Sort::Tcp4, 80)
}

/// May be met running at any time, as the rule itself says.
fn late() -> Rule {
    Rule::to_b(2, Sort::Tcp4, 81).midstream()
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

const RUNNING: fn(u16) -> Packet = |service| Packet::syn(service).with(ACK);

#[test]
fn midstream_grace_adopts_for_a_time_and_then_by_rule() {
    let mut rig = enforced(Midstream::Grace);
    assert_eq!(rig.send(RUNNING(80)), by(http()));
    rig.wait(TIMEOUTS.grace_ns);
    assert_eq!(rig.send(RUNNING(80).port(40_001)), Verdict::Deny(NotOpened));
    assert_eq!(rig.send(RUNNING(81)), by(late()));
}

#[test]
fn midstream_always_adopts_at_any_time_and_only_what_a_rule_permits() {
    let mut rig = enforced(Midstream::Always);
    rig.wait(TIMEOUTS.grace_ns + ROUND_NS);
    assert_eq!(rig.send(RUNNING(80)), by(http()));
    assert_eq!(rig.send(RUNNING(80).port(40_001).back(ACK)), by(http()));
    for _ in 0..3 {
        assert_eq!(rig.send(RUNNING(82)), Verdict::Deny(NoRule), "also when it is denied again");
        assert_eq!(rig.send(Packet::syn(80).port(40_002).back(SYN)), Verdict::Deny(WrongDirection));
    }
    assert_eq!(
        rig.send(RUNNING(80).port(40_002)),
        Verdict::Deny(NotOpened),
        "its SYN was denied, so that it doesn't run"
    );
    assert!(rig.events(EventKind::Started).iter().all(|event| event.flags.midstream));
}

/// What always adopts needs no right of its own, so that nothing is learned of one.
#[test]
fn midstream_always_teaches_no_rule_to_be_met_running() {
    let mut rig = Rig::new(ROOM, segment(Mode::Learn, Midstream::Always), &[]);
    rig.wait(TIMEOUTS.grace_ns + ROUND_NS);
    rig.send(RUNNING(80));
    assert!(rig.events(EventKind::Started).iter().all(|event| !event.flags.after_grace));
}

#[test]
fn midstream_never_adopts_nothing_not_even_by_rule() {
    let mut rig = enforced(Midstream::Never);
    for _ in 0..2 {
        for (rule, service) in [(http(), 80), (late(), 81)] {
            assert_eq!(rig.send(RUNNING(service)), Verdict::Deny(NotOpened));
            assert_eq!(rig.send(RUNNING(service).back(ACK)), Verdict::Deny(NotOpened));
            assert_eq!(rig.send(RUNNING(service).back(SYN | ACK)), Verdict::Deny(NotOpened));
            assert_eq!(rig.send(Packet::syn(service).port(50_000)), by(rule), "what begins passes");
        }
        rig.wait(TIMEOUTS.grace_ns);
    }
}

/// Allowed traffic doesn't depend on there being room for state.
#[test]
fn midstream_never_lets_go_on_what_a_full_table_could_not_remember() {
    let capacity = Capacity { narrow: 1, ..ROOM };
    let mut rig = Rig::new(capacity, segment(Mode::Enforce, Midstream::Never), &[http()]);
    assert_eq!(rig.send(Packet::syn(80)), by(http()));
    let second = Packet::syn(80).port(40_001);
    for packet in [second, second.back(SYN | ACK), second.with(ACK)] {
        assert_eq!(rig.send(packet), by(http()));
    }
    rig.send(Packet::syn(80).with(RST));
    rig.wait(TIMEOUTS.tcp_closing_ns);
    assert_eq!(rig.send(second.with(ACK)), by(http()), "there is a line now, and time to adopt");
}
