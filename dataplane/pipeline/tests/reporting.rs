//! Events in the real ring, and the roll-call for a new control.

mod support;

use std::collections::HashMap;

use loadlock_exchange::DropReason::NoRule;
use loadlock_exchange::{
    Consumer, ControlExchange, DataplaneExchange, Dimensions, Event, EventKind, Mode, RegionRing,
    WorkerCounter,
};
use loadlock_packet::{FlowKey, Ingress, SegmentId};
use loadlock_pipeline::{Capacity, EventSink, Verdict};
use proptest::prelude::*;
use support::flags::{ACK, SYN};
use support::{Packet, ROUND_NS, Rig, Rule, SECOND_NS, Sort, TIMEOUTS, segment};

const RING_EVENTS: usize = 64;

fn any_http() -> Rule {
    Rule { client: None, ..Rule::to_b(1, Sort::Tcp4, 80) }
}

fn drain(consumer: &mut Consumer<RegionRing>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(record) = consumer.next_record() {
        events.push(Event::decode(&record).unwrap());
    }
    consumer.release();
    events
}

#[test]
fn scan_takes_half_of_the_ring_at_most_and_the_counts_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange");
    let dimensions = Dimensions {
        workers: 1,
        ports: 2,
        ring_events: RING_EVENTS,
        rule_capacity: 16,
        fingerprint: 1,
    };
    let mut dataplane = DataplaneExchange::open(&path, dimensions).unwrap();
    let mut worker = dataplane.take_workers().remove(0);
    let mut control = ControlExchange::attach(&path, dimensions).unwrap();
    let mut rig = Rig::settled(segment(Mode::Enforce), &[any_http()]);
    let mut send = |rig: &mut Rig, packet: Packet| {
        let frame = packet.frame();
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: packet.from };
        let mut verdict = [Verdict::Deny(NoRule).into()];
        let frames = [frame.as_slice()];
        let (now_ns, ring) = (rig.now_ns, &mut worker.events);
        rig.judge_into(ingress, now_ns, &frames, ring, &mut verdict);
        EventSink::publish(&mut worker.events);
        verdict[0].verdict()
    };
    for port in 0..1000 {
        assert_eq!(send(&mut rig, Packet::syn(81).port(port)), Verdict::Deny(NoRule));
    }
    for port in 0..50 {
        assert!(send(&mut rig, Packet::syn(80).port(2000 + port)).forwards());
    }
    let consumer = &mut control.events[0];
    let first = drain(consumer);
    let denied = first.iter().filter(|event| matches!(event.kind, EventKind::Denied(_))).count();
    assert_eq!((denied, first.len()), (RING_EVENTS / 2, RING_EVENTS));
    for port in 0..50 {
        let packet = Packet::syn(80).port(2000 + port).back(SYN | ACK);
        assert!(send(&mut rig, packet).forwards());
    }
    let second = drain(consumer);
    let started = first.iter().chain(&second).filter(|event| event.kind == EventKind::Started);
    let keys: std::collections::HashSet<FlowKey> = started.clone().map(|event| event.key).collect();
    assert_eq!((started.count(), keys.len()), (50, 50));
    let sent = rig.counter(WorkerCounter::EventsSent);
    let refused = rig.counter(WorkerCounter::EventsRefused);
    assert_eq!(sent, (first.len() + second.len()) as u64);
    assert_eq!(sent + refused, 1000 + 50 + 18, "every attempt, and 18 second ones");
}

#[test]
fn new_control_gets_every_live_conversation_once_as_repeated() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[any_http()]);
    let send = |rig: &mut Rig, port: u16| rig.send(Packet::syn(80).port(1000 + port));
    for port in 0..50 {
        send(&mut rig, port);
    }
    assert!(rig.ring.drain().iter().all(|event| !event.flags.repeated));
    rig.control_epoch = 1;
    rig.ring.capacity = 10;
    let mut repeated = Vec::new();
    for round in 0..24 {
        rig.now_ns += ROUND_NS / 8;
        rig.age();
        // Conversations that begin during the roll-call were reported to the new control already.
        rig.ring.capacity = usize::MAX;
        send(&mut rig, 100 + round % 3);
        rig.ring.capacity = 10;
        repeated.extend(rig.ring.drain().into_iter().filter(|event| event.flags.repeated));
        for port in 0..50 {
            send(&mut rig, port);
        }
    }
    assert!(repeated.iter().all(|event| event.kind == EventKind::Started));
    let keys: std::collections::HashSet<FlowKey> = repeated.iter().map(|event| event.key).collect();
    assert_eq!((repeated.len(), keys.len()), (50, 50));
}

/// Regression: a control that attached and then stopped reading also stopped the ageing of the flow table.
#[test]
fn roll_call_that_nobody_reads_does_not_stop_ageing() {
    let mut rig = Rig::settled(segment(Mode::Enforce), &[any_http()]);
    for port in 0..60 {
        let syn = Packet::syn(80).port(1000 + port);
        rig.send(syn);
        if port % 2 == 0 {
            rig.send(syn.back(SYN | ACK));
        }
    }
    rig.control_epoch = 1;
    rig.ring.capacity = 0;
    rig.wait(TIMEOUTS.tcp_opening_ns + SECOND_NS);
    assert_eq!(rig.flows(), 30, "a crowded table gives up reports, not room");
}

#[derive(Clone, Debug)]
enum Step {
    Send(u16),
    /// Time, and lines the sweep may look at.
    Age(u64, usize),
    /// Revokes the rule for some clients' packets, which removes their lines at once.
    Cut(u16),
    Attach,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u16..80).prop_map(Step::Send),
        6 => (1u64..1000, 1usize..100).prop_map(|(ms, lines)| Step::Age(ms, lines)),
        2 => (0u16..80).prop_map(Step::Cut),
        1 => Just(Step::Attach),
        3 => Just(Step::Drain),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever removals, pauses and a full ring do to the sweep, a roll-call brings each conversation once.
    #[test]
    fn roll_call_misses_and_doubles_nothing(
        ports in prop::collection::vec(0u16..80, 20..80),
        steps in prop::collection::vec(step(), 1..80),
        room in 1usize..40,
    ) {
        let udp = Rule { client: None, ..Rule::to_b(1, Sort::Udp4, 53) };
        let capacity = Capacity { narrow: 80, wide: 1, fragments: 64 };
        let mut rig = Rig::new(capacity, segment(Mode::Enforce), &[udp]);
        let mut repeated: HashMap<FlowKey, u64> = HashMap::new();
        let mut roll_calls = 0;
        let datagram = |port| Packet::udp(53).port(1000 + port);
        for &port in &ports {
            rig.send(datagram(port));
        }
        let mut survivors: Vec<u16> = ports;
        survivors.sort_unstable();
        survivors.dedup();
        rig.ring.drain();
        rig.ring.capacity = room;
        let mut collect = |rig: &mut Rig| {
            for event in rig.ring.drain().iter().filter(|event| event.flags.repeated) {
                *repeated.entry(event.key).or_default() += 1;
            }
        };
        for step in steps {
            match step {
                Step::Send(port) => drop(rig.send(datagram(port))),
                Step::Age(ms, lines) => {
                    rig.now_ns += ms * 1_000_000;
                    let (now_ns, epoch) = (rig.now_ns, rig.control_epoch);
                    rig.pipeline.age(now_ns, lines, rig.generation, epoch, &mut rig.ring);
                }
                Step::Cut(port) => {
                    rig.publish(segment(Mode::Enforce), &[]);
                    rig.send(datagram(port));
                    rig.publish(segment(Mode::Enforce), &[udp]);
                    survivors.retain(|&survivor| survivor != port);
                }
                Step::Attach if roll_calls == 0 => {
                    rig.control_epoch += 1;
                    roll_calls += 1;
                }
                Step::Attach => {}
                Step::Drain => collect(&mut rig),
            }
            // Nothing may time out here.
            for &port in &survivors {
                rig.send(datagram(port));
            }
        }
        rig.ring.capacity = usize::MAX;
        for _ in 0..4 {
            rig.now_ns += ROUND_NS;
            rig.age();
        }
        collect(&mut rig);
        prop_assert!(repeated.values().all(|&times| times <= roll_calls), "{repeated:?}");
        if roll_calls == 1 {
            for port in survivors {
                let key = rig.key(datagram(port));
                prop_assert_eq!(repeated.get(&key), Some(&1), "port {}", port);
            }
        }
    }
}
