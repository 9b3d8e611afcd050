//! What happens at the limits: full table, full ring, long bursts, strange clocks.

mod support;

use loadlock_exchange::DropReason::{
    EventRingFull, FlowTableFull, NoRule, NotOpened, TransmitRefused, WrongDirection,
};
use loadlock_exchange::{EventKind, Mode, RingFullPolicy, SegmentPolicy, TableFull, WorkerCounter};
use loadlock_packet::{SegmentId, Side};
use loadlock_pipeline::{BURST_FRAMES_MAX, Basis, BurstTally, Capacity, Verdict};
use support::flags::{ACK, SYN};
use support::{Packet, ROUND_NS, Rig, Rule, SECOND_NS, START_NS, Sort, TIMEOUTS, segment};

fn http() -> Rule {
    Rule::to_b(1, Sort::Tcp4, 80)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

fn settled(narrow: usize, rules: &[Rule]) -> Rig {
    let mut rig =
        Rig::new(Capacity { narrow, wide: 8, fragments: 64 }, segment(Mode::Enforce), rules);
    rig.now_ns += TIMEOUTS.grace_ns;
    rig
}

fn connect(rig: &mut Rig, port: u16) -> Packet {
    let syn = Packet::syn(80).port(port);
    for packet in [syn, syn.back(SYN | ACK), syn.with(ACK)] {
        assert_eq!(rig.send(packet), by(http()), "{packet:?}");
    }
    syn.with(ACK)
}

#[test]
fn full_table_forwards_what_is_permitted_and_nothing_else() {
    let dns = Rule::to_b(2, Sort::Udp4, 53);
    let gre = Rule::to_b(3, Sort::Gre4, 47);
    for capacity in [0, 3] {
        let mut rig = settled(capacity, &[http(), dns, gre]);
        for port in 0..capacity as u16 {
            connect(&mut rig, 1000 + port);
        }
        let mut refused = 0;
        for _ in 0..3 {
            for packet in [
                Packet::syn(80),
                Packet::syn(80).back(SYN | ACK),
                Packet::syn(80).with(ACK),
                Packet::syn(80).back(ACK),
            ] {
                assert_eq!(rig.send(packet), by(http()), "{packet:?}");
                refused += 1;
            }
            for (rule, packet) in [(dns, Packet::udp(53)), (gre, Packet::to_b(Sort::Gre4, 0, 0))] {
                assert_eq!(rig.send(packet), by(rule));
                assert_eq!(rig.send(packet.back(0)), by(rule));
                refused += 2;
            }
            assert_eq!(rig.send(Packet::syn(80).back(SYN)), Verdict::Deny(WrongDirection));
            assert_eq!(rig.send(Packet::syn(81)), Verdict::Deny(NoRule));
            assert_eq!(rig.send(Packet::syn(81).with(ACK)), Verdict::Deny(NoRule));
        }
        assert_eq!(rig.counter(WorkerCounter::FlowsRefused), refused);
        assert_eq!(rig.flows(), capacity as u64);
    }
}

fn answering(mode: Mode, table_full: TableFull, ring_full: RingFullPolicy) -> Rig {
    let segment = SegmentPolicy { table_full, ring_full, ..segment(mode) };
    let mut rig = Rig::new(Capacity { narrow: 1, wide: 8, fragments: 64 }, segment, &[http()]);
    rig.now_ns += TIMEOUTS.grace_ns;
    rig
}

#[test]
fn full_table_that_closes_lets_in_nothing_new_and_cuts_nothing_off() {
    let mut rig = answering(Mode::Enforce, TableFull::Closed, RingFullPolicy::Static);
    let first = connect(&mut rig, 1000);
    let second = Packet::syn(80).port(2000);
    for _ in 0..3 {
        assert_eq!(rig.send(second), Verdict::Deny(FlowTableFull));
        assert_eq!(rig.send(Packet::syn(81)), Verdict::Deny(NoRule));
        assert_eq!(rig.send(first), by(http()));
    }
    rig.send(first.with(support::flags::RST));
    rig.wait(TIMEOUTS.tcp_closing_ns);
    assert_eq!(rig.send(second), by(http()), "there is room again");
    for (mode, basis) in [(Mode::Monitor, None), (Mode::Learn, Some(Basis::Learning))] {
        let mut rig = answering(mode, TableFull::Closed, RingFullPolicy::Static);
        connect(&mut rig, 1000);
        let expected = basis.map_or(Verdict::WouldDeny(FlowTableFull), Verdict::Allow);
        assert_eq!(rig.send(second), expected);
    }
}

#[test]
fn full_table_that_opens_forwards_what_no_rule_permits_and_counts_it() {
    let mut rig = answering(Mode::Enforce, TableFull::Open, RingFullPolicy::Static);
    let foreign = Packet::syn(81);
    assert_eq!(rig.send(foreign), Verdict::Deny(NoRule));
    let first = connect(&mut rig, 1000);
    for _ in 0..3 {
        assert_eq!(rig.send(foreign), Verdict::WouldDeny(NoRule));
        assert_eq!(rig.send(Packet::syn(80).port(2000)), by(http()));
    }
    rig.send(first.with(support::flags::RST));
    rig.wait(TIMEOUTS.tcp_closing_ns);
    rig.now_ns += TIMEOUTS.grace_ns;
    assert_eq!(rig.send(foreign), Verdict::Deny(NoRule), "there is room again");
}

#[test]
fn full_ring_that_closes_lets_in_nothing_that_nobody_would_know_of() {
    let mut rig = answering(Mode::Enforce, TableFull::Static, RingFullPolicy::Closed);
    rig.ring.capacity = 1;
    let first = connect(&mut rig, 1000);
    let second = Packet::syn(80).port(2000);
    for _ in 0..3 {
        assert_eq!(rig.send(second), Verdict::Deny(EventRingFull));
        assert_eq!(rig.send(first), by(http()));
    }
    rig.ring.drain();
    assert_eq!(rig.send(second), by(http()));
}

/// Of the segment that was in bypass, and of no other.
#[test]
fn conversations_that_began_in_bypass_are_adopted_for_the_grace_time() {
    let mut rig = settled(8, &[http()]);
    let running = Packet::syn(80).with(ACK);
    assert_eq!(rig.send(running), Verdict::Deny(NotOpened));
    rig.pipeline.start_grace_of(SegmentId::new(1).unwrap(), rig.now_ns);
    assert_eq!(rig.send(running), Verdict::Deny(NotOpened), "another segment's");
    rig.pipeline.start_grace_of(SegmentId::new(0).unwrap(), rig.now_ns);
    assert_eq!(rig.send(running), by(http()));
    rig.now_ns += TIMEOUTS.grace_ns;
    assert_eq!(rig.send(running), by(http()));
    assert_eq!(rig.send(running.port(2000)), Verdict::Deny(NotOpened), "it is over");
}

/// What passes without a line is counted (and an alarm, `control/api`), what is denied is counted and reported.
#[test]
fn full_table_is_silent_about_nothing() {
    let mut rig = settled(1, &[http()]);
    connect(&mut rig, 1000);
    let mut tally = BurstTally::new();
    for number in 0..20 {
        for packet in [Packet::syn(80).port(2000 + number), Packet::syn(81).port(2000 + number)] {
            tally.count(rig.send(packet).into(), packet.frame().len() as u32);
        }
    }
    assert_eq!(rig.counter(WorkerCounter::FlowsRefused), 20);
    let tally = tally.tally();
    assert_eq!((tally.forwarded_packets, tally.dropped[NoRule as usize]), (20, 20));
    let reported: u64 = rig.events(EventKind::Denied(NoRule)).iter().map(|e| e.packets[0]).sum();
    assert_eq!(reported + rig.counter(WorkerCounter::DeniedUnreported), 20);
    assert_eq!(rig.flows(), 1);
}

/// Regression: what began while the table was full was cut when a line became free.
#[test]
fn conversation_begun_while_the_table_was_full_goes_on_when_it_is_not() {
    let mut rig = settled(1, &[http()]);
    let first = connect(&mut rig, 1000);
    let second = connect(&mut rig, 2000);
    rig.send(first.with(support::flags::RST));
    rig.wait(TIMEOUTS.tcp_closing_ns);
    assert_eq!(rig.flows(), 0);
    assert_eq!(rig.send(second.back(ACK)), by(http()));
    assert_eq!(rig.flows(), 1);
    let started = *rig.events(EventKind::Started).last().unwrap();
    assert!(started.flags.midstream && !started.flags.after_grace);
    rig.wait(TIMEOUTS.tcp_open_ns);
    assert_eq!(rig.send(second), Verdict::Deny(NotOpened), "the time to be adopted is over");
}

#[test]
fn established_conversations_lose_nothing_under_a_syn_flood() {
    let any = Rule { client: None, ..http() };
    let mut rig = settled(256, &[any]);
    let established: Vec<_> = (0..100).map(|at| connect(&mut rig, 1000 + at)).collect();
    for round in 0..200u32 {
        let flood = (0..64u32).map(|at| {
            let number = round * 64 + at;
            let service = if number.is_multiple_of(2) { 80 } else { 443 };
            let syn = Packet::syn(service).port((number % 60_000) as u16 + 5000);
            Packet { hosts: [2 + (number % 200) as u8, 1], ..syn }.frame()
        });
        let verdicts = rig.burst(Side::A, &flood.collect::<Vec<_>>());
        assert!(verdicts.iter().step_by(2).all(|&verdict| verdict == by(any)));
        assert!(
            verdicts.iter().skip(1).step_by(2).all(|&verdict| verdict == Verdict::Deny(NoRule))
        );
        for &data in &established {
            assert_eq!(rig.send(data), by(any));
            assert_eq!(rig.send(data.back(ACK)), by(any));
        }
        rig.now_ns += SECOND_NS / 10;
        rig.age();
    }
    assert!(rig.counter(WorkerCounter::FlowsRefused) > 1000);
    assert!(rig.flows() > 250, "full but for what timed out in the last sweep");
    rig.pipeline.end_all(&mut rig.ring);
    let mut carried = std::collections::HashMap::new();
    for kind in [EventKind::Counted, EventKind::Ended] {
        for event in rig.events(kind) {
            *carried.entry(event.key).or_insert(0) += event.packets[1];
        }
    }
    assert_eq!(carried.values().filter(|packets| **packets > 100).count(), 100);
}

#[test]
fn full_ring_leaves_the_conversation_unreported_until_its_next_packet() {
    let mut rig = settled(64, &[http()]);
    rig.ring.capacity = 2;
    let conversations: Vec<_> = (0..5).map(|at| connect(&mut rig, 1000 + at)).collect();
    assert_eq!(rig.events(EventKind::Started).len(), 2);
    // Three conversations, three packets each, tried to report.
    assert_eq!(rig.counter(WorkerCounter::EventsRefused), 9);
    rig.ring.drain();
    rig.ring.capacity = usize::MAX;
    for data in &conversations {
        assert_eq!(rig.send(*data), by(http()));
        assert_eq!(rig.send(data.back(ACK)), by(http()));
    }
    let started = rig.events(EventKind::Started);
    assert_eq!(started.len(), 3, "once each");
    assert!(started.iter().all(|event| !event.flags.repeated && event.packets == [2, 1]));
    assert_eq!(rig.counter(WorkerCounter::EventsSent), 5);
    assert_eq!(rig.counter(WorkerCounter::EventsRefused), 9);
}

#[test]
fn frames_beyond_the_longest_burst_are_not_looked_at() {
    let mut rig = settled(256, &[Rule { client: None, ..http() }]);
    let frames: Vec<_> = (0..100).map(|at| Packet::syn(80).port(1000 + at).frame()).collect();
    let verdicts = rig.burst(Side::A, &frames);
    assert_eq!(verdicts.len(), BURST_FRAMES_MAX);
    assert!(verdicts.iter().all(|&verdict| verdict == by(http())));
    assert_eq!(rig.flows(), BURST_FRAMES_MAX as u64);
    assert_eq!(rig.burst(Side::A, &[]), []);
    assert!(!verdicts.contains(&Verdict::Deny(TransmitRefused)));
}

/// Regression: a clock set back stopped ageing, and the limit of reports, until it came round.
#[test]
fn clock_set_back_does_not_stop_time() {
    let dns = Rule::to_b(2, Sort::Udp4, 53);
    let mut rig = settled(64, &[dns]);
    rig.send(Packet::udp(53));
    rig.send(Packet::syn(81));
    rig.now_ns -= 86_400 * SECOND_NS;
    rig.age();
    assert_eq!(rig.send(Packet::udp(53).back(0)), by(dns), "no time went by");
    rig.wait(TIMEOUTS.udp_ns);
    assert_eq!(rig.send(Packet::udp(53).back(0)), Verdict::Deny(WrongDirection));
    rig.ring.drain();
    rig.send(Packet::syn(81));
    let reports = rig.events(EventKind::Denied(NoRule));
    assert_eq!((reports.len(), reports[0].time_ns), (1, rig.now_ns), "by the clock as it is now");
}

#[test]
fn clock_that_jitters_does_not_make_time_run() {
    let dns = Rule::to_b(2, Sort::Udp4, 53);
    let mut rig = settled(64, &[dns]);
    rig.send(Packet::udp(53));
    let start_ns = rig.now_ns;
    for _ in 0..1000 {
        for back_ns in [0, SECOND_NS / 2] {
            rig.now_ns = start_ns - back_ns;
            rig.age();
        }
    }
    assert_eq!(rig.send(Packet::udp(53).back(0)), by(dns));
}

#[test]
fn clock_that_jumps_by_years_ends_everything_once() {
    for years in [1, 2, 3, 100, 500] {
        let mut rig = settled(64, &[http()]);
        let data = connect(&mut rig, 1000);
        rig.now_ns = START_NS.saturating_add(years * 365 * 86_400 * SECOND_NS);
        rig.age();
        assert_eq!(rig.events(EventKind::Ended).len(), 1, "{years} years");
        assert_eq!(rig.send(data), Verdict::Deny(NotOpened));
        connect(&mut rig, 1000);
    }
    for now_ns in [0, u64::MAX] {
        let mut rig = settled(64, &[http()]);
        rig.now_ns = now_ns;
        rig.age();
        connect(&mut rig, 1000);
        rig.now_ns = 1;
        rig.age();
        connect(&mut rig, 1001);
    }
}

/// Regression: a small table that was due seldom held up the sweep of the large one.
#[test]
fn each_table_is_swept_in_its_own_time() {
    let capacity = Capacity { narrow: 4000, wide: 0, fragments: 64 };
    let mut rig = Rig::new(capacity, segment(Mode::Learn), &[]);
    for number in 0..2000 {
        rig.send(Packet::udp(53).port(1000 + number));
    }
    rig.now_ns += TIMEOUTS.udp_ns;
    for _ in 0..2 * ROUND_NS / 20_000_000 {
        rig.now_ns += 20_000_000;
        rig.pipeline.age(rig.now_ns, 64, rig.generation, 0, &mut rig.ring);
    }
    assert_eq!(rig.flows(), 0);
}
