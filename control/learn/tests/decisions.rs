//! Properties of decisions: what they may depend on, and what their summaries permit.

mod fab;

use std::collections::BTreeSet;

use fab::{HOUR_NS, START_NS, Talk, decide, learner_of, outcome, tcp, work};
use loadlock_exchange::{Event, EventKind};
use loadlock_learn::{
    AdmissionSettings, Answers, LearnLimits, Learner, NS_PER_DAY, Outcome, Tuple, Window,
};
use loadlock_packet::{Kind, MacAddress};
use proptest::prelude::*;

fn policy(learner: &Learner) -> String {
    let policy = learner.policy(&AdmissionSettings::default(), &Answers::default());
    policy.expect("learned rules are valid").to_toml()
}

/// Talks among a dozen devices on three weeks, some failing.
fn talks() -> impl Strategy<Value = Vec<Talk>> {
    let talk = (
        (1..3u8, 1..6u8),
        (1..3u8, 6..12u8),
        prop_oneof![Just(445u16), Just(5000), Just(80), Just(21), 50_000..50_020u16],
        0..500u64,
        any::<bool>(),
    );
    let talk = talk.prop_map(|(client, server, port, hour, answered)| Talk {
        answered,
        ..tcp(client, server, port, START_NS + hour * HOUR_NS)
    });
    proptest::collection::vec(talk, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_events_does_not_matter(talks in talks(), seed in any::<u64>()) {
        let mut events: Vec<_> = talks.iter().flat_map(Talk::events).collect();
        let ordered = learner_of(&talks);
        let mut state = seed | 1;
        for at in (1..events.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            events.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut shuffled = Learner::new(&["fab".to_owned()], LearnLimits::default());
        events.iter().for_each(|event| shuffled.observe(event));
        prop_assert_eq!(policy(&ordered), policy(&shuffled));
    }

    #[test]
    fn a_restart_in_the_middle_changes_nothing(talks in talks(), cut in any::<prop::sample::Index>()) {
        let whole = learner_of(&talks);
        let (before, after) = talks.split_at(cut.index(talks.len()));
        let mut restarted = Learner::new(&["fab".to_owned()], LearnLimits::default());
        restarted.restore(learner_of(before).evidence());
        after.iter().flat_map(Talk::events).for_each(|event| restarted.observe(&event));
        prop_assert_eq!(policy(&whole), policy(&restarted));
    }

    #[test]
    fn summaries_permit_exactly_what_was_admitted(talks in talks()) {
        let decisions = decide(&talks);
        let mut listed = BTreeSet::new();
        for summary in decisions.summaries() {
            for tuple in &summary.tuples {
                prop_assert!(listed.insert(*tuple), "twice: {}", tuple);
            }
            prop_assert!(summary.seen <= summary.tuples.len());
        }
        let single = decisions.candidates.iter().filter(|found| {
            found.outcome == Outcome::Admitted && found.range.is_none()
        });
        let ranges = decisions.ranges.iter().flat_map(|range| range.tuples.iter().copied());
        let admitted: BTreeSet<Tuple> = single.map(|found| found.tuple).chain(ranges).collect();
        prop_assert_eq!(listed, admitted);
    }

    #[test]
    fn a_withdrawal_takes_only_what_came_from_the_source(pause_min in 1..120u64) {
        let work = work(6, 10);
        let clean = decide(&work);
        let mut all = work.clone();
        for number in 0..12u8 {
            let at = START_NS + 4 * NS_PER_DAY + u64::from(number) * pause_min * 60_000_000_000;
            all.push(tcp((2, 66), (1, 100 + number), 445, at).failed());
        }
        let scanned = decide(&all);
        prop_assert_eq!(scanned.convictions.len(), 1);
        for candidate in &clean.candidates {
            prop_assert_eq!(outcome(&scanned, &candidate.tuple), Some(candidate.outcome));
        }
        for found in scanned.candidates.iter().filter(|found| found.outcome == Outcome::Withdrawn) {
            prop_assert_eq!(found.tuple.client_device(), scanned.convictions[0].source);
        }
    }
}

#[test]
fn what_a_role_does_is_admitted_for_a_peer_that_was_not_seen_to() {
    let mut talks = work(6, 10);
    // A weekly job, of two tools of six.
    talks.push(tcp((1, 1), (2, 30), 873, START_NS + NS_PER_DAY));
    talks.push(tcp((1, 2), (2, 30), 873, START_NS + 8 * NS_PER_DAY));
    let decisions = decide(&talks);
    let of_another = tcp((1, 5), (2, 30), 873, 0).tuple();
    assert_eq!(outcome(&decisions, &of_another), Some(Outcome::Admitted));
}

#[test]
fn a_maintenance_window_leaves_no_trace_in_the_baseline() {
    let work = work(6, 10);
    let from_ns = START_NS + 3 * NS_PER_DAY;
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    let window = Window { segment: None, from_ns, until_ns: from_ns + NS_PER_DAY };
    learner.announce(vec![window]);
    let service = |hour| tcp((1, 1), (2, 77), 8000, from_ns + hour * HOUR_NS);
    let in_window: Vec<Talk> = (0..20).map(service).collect();
    work.iter().chain(&in_window).flat_map(Talk::events).for_each(|event| learner.observe(&event));
    let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
    assert_eq!(outcome(&decisions, &in_window[0].tuple()), None);
}

#[test]
fn negotiated_ports_become_one_range_and_say_what_it_permits_beyond() {
    let mut talks = work(6, 10);
    for turn in 0..30u16 {
        for tool in 1..=6u8 {
            let at = START_NS + u64::from(turn) * 8 * HOUR_NS + u64::from(tool) * 1_000_000_000;
            talks.push(tcp((1, tool), (2, 50), 21, at));
            talks.push(tcp((1, tool), (2, 50), 50_000 + turn, at + 1_000_000_000));
        }
    }
    let decisions = decide(&talks);
    assert_eq!(decisions.ranges.len(), 1);
    assert_eq!((decisions.ranges[0].ports, decisions.ranges[0].excess()), ((50_000, 50_029), 0));
    assert_eq!(decisions.ranges[0].tuples.len(), 6);
    let policy = policy(&learner_of(&talks));
    assert!(policy.contains("tcp/50000-50029"), "{policy}");
}

#[test]
fn what_two_devices_say_to_a_group_their_neighbours_may_say_too() {
    let announcement = |tool| {
        let talk = tcp((1, tool), (2, 255), 137, START_NS + u64::from(tool) * HOUR_NS);
        Talk { kind: Kind::Udp, ..talk }.failed()
    };
    let mut learner = learner_of(&work(6, 10));
    for mut event in [1, 2].into_iter().flat_map(|tool| announcement(tool).events()) {
        event.macs[1] = MacAddress([0xff; 6]);
        learner.observe(&event);
    }
    let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
    assert_eq!(outcome(&decisions, &announcement(3).tuple()), Some(Outcome::Admitted));
    // Nobody who isn't known.
    assert_eq!(outcome(&decisions, &announcement(99).tuple()), None);
}

/// Regression: a shell that called back, met running, became a rule by the lower of its two ports.
#[test]
fn a_running_conversation_between_unknown_ports_waits_for_a_person() {
    for (port, expected) in [(7145, Outcome::Waiting), (502, Outcome::Admitted)] {
        let talk = tcp((1, 1), (2, 77), port, START_NS);
        let mut learner = learner_of(&[]);
        for day in 0..3 {
            for mut event in talk.events() {
                event.time_ns += day * NS_PER_DAY;
                event.flags.midstream = true;
                event.flags.handshake = false;
                let goes_on = event.kind == EventKind::Ended;
                event.kind = if goes_on { EventKind::Counted } else { event.kind };
                learner.observe(&event);
            }
        }
        let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
        assert_eq!(outcome(&decisions, &talk.tuple()), Some(expected), "port {port}");
    }
}

/// Regression: a session of weeks was known to be answered only when it ended.
#[test]
fn a_session_that_goes_on_is_answered_and_seen_on_each_day() {
    let talk = tcp((1, 1), (2, 77), 5000, START_NS);
    let [begun, ended] = talk.events();
    let mut learner = learner_of(&[]);
    learner.observe(&begun);
    let counted =
        |day| Event { kind: EventKind::Counted, time_ns: START_NS + day * NS_PER_DAY, ..ended };
    learner.observe(&counted(0));
    learner.observe(&counted(1));
    let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
    assert_eq!(outcome(&decisions, &talk.tuple()), Some(Outcome::Admitted));
}

#[test]
fn in_a_week_with_nobody_to_ask_one_day_suffices_and_a_scan_does_not() {
    let mut talks = work(6, 3);
    let once = tcp((1, 50), (2, 77), 8000, START_NS + HOUR_NS);
    talks.push(once);
    let scan =
        (0..12u8).map(|host| tcp((2, 66), (1, 100 + host), 445, START_NS + HOUR_NS).failed());
    talks.extend(scan);
    let found = tcp((2, 66), (1, 1), 80, START_NS + 2 * HOUR_NS);
    talks.push(found);
    let learner = learner_of(&talks);
    for (days, expected) in [(3, Outcome::Admitted), (14, Outcome::Waiting)] {
        let settings = AdmissionSettings::for_learning_of(days * NS_PER_DAY);
        let decisions = learner.decide(&settings, &Answers::default());
        assert_eq!(outcome(&decisions, &once.tuple()), Some(expected), "{days} days");
        assert_eq!(outcome(&decisions, &found.tuple()), Some(Outcome::Withdrawn));
    }
}
