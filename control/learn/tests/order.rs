//! Random events: the order doesn't matter, nothing is lost on the way through the store, and the rules permit what they were
//! learned from.

mod support;

use loadlock_exchange::{
    Event, EventKind, Found, Infrastructure, Policy as Snapshot, PolicyView, Seed, SegmentPolicy,
};
use loadlock_learn::{AdmissionSettings, Answers, LearnLimits, Learner};
use loadlock_packet::{FlowKey, Kind, Side};
use loadlock_policy::SegmentDefinition;
use proptest::prelude::*;
use support::{Talk, talk};

fn talks() -> impl Strategy<Value = Talk> {
    let ports = || {
        prop_oneof![Just(53u16), Just(123), Just(5000), Just(5001), 1024..1030u16, 50000..50006u16]
    };
    let hosts = || 1..4u8;
    let kinds = prop_oneof![3 => Just(Kind::Udp), 3 => Just(Kind::Tcp), 1 => Just(Kind::Icmp)];
    let group = prop_oneof![5 => Just(false), 1 => Just(true)];
    let circumstances = (any::<bool>(), 0..4u8, any::<bool>(), group);
    (kinds, (hosts(), ports()), (hosts(), ports()), circumstances).prop_map(
        |(kind, a, b, (from_b, state, answered, group))| {
            let far =
                if group && kind == Kind::Udp { "239.0.0".to_owned() } else { "10.0.2".to_owned() };
            let (a, b) = (format!("10.0.1.{}:{}", a.0, a.1), format!("{far}.{}:{}", b.0, b.1));
            let mut made = talk(kind, &a, &b);
            if from_b && !far.starts_with("239") {
                made = made.begun_by_b();
            }
            made = match (kind, state) {
                (Kind::Tcp, 0) => made.running(),
                (Kind::Tcp | Kind::Icmp, 1) => made.late(),
                (Kind::Tcp, 2) => made.accepted(),
                _ => made,
            };
            if answered && !far.starts_with("239") { made } else { made.unanswered() }
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let timed = proptest::collection::vec((talks(), 0..1_000_000u64, any::<bool>()), 1..60);
    timed.prop_map(|talks| {
        let mut events = Vec::new();
        for (talk, second, counted) in talks {
            events.extend(talk.events(second * 1_000_000_000));
            if counted {
                events.push(talk.event(EventKind::Counted, second * 1_000_000_000 + 500));
            }
        }
        events
    })
}

fn learner_of(events: &[Event], limits: LearnLimits) -> Learner {
    let mut learner = Learner::new(&["fab".to_owned()], limits);
    events.iter().for_each(|event| learner.observe(event));
    learner
}

fn text(learner: &Learner) -> String {
    learner
        .policy(&AdmissionSettings::record_all(), &Answers::default())
        .expect("learned rules are valid")
        .to_toml()
}

/// The verdict's rules as in the pipeline: may this frame begin, or continue, a conversation that isn't known?
fn permits(view: &PolicyView<'_>, event: &Event) -> bool {
    let find = |client: Side| -> Option<Found> { view.find(&event.key, client) };
    let (forward, reverse) = (find(event.initiator), find(event.initiator.other()));
    if event.flags.midstream {
        let adopted = |found: Found| !event.flags.after_grace || found.options.midstream;
        return forward.is_some_and(adopted) || reverse.is_some_and(adopted);
    }
    forward.is_some_and(|found| found.options.client_opens)
        || reverse.is_some_and(|found| found.options.server_opens)
}

fn is_service(key: &FlowKey, side: Side) -> bool {
    matches!(key.endpoint(side).service, 53 | 123 | 5000 | 5001)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_same_events_give_the_same_rules_in_any_order(
        (events, shuffled) in events().prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
    ) {
        let straight = learner_of(&events, LearnLimits::default());
        let mixed = learner_of(&shuffled, LearnLimits::default());
        prop_assert_eq!(text(&straight), text(&mixed));
        prop_assert!(straight.evidence().eq(mixed.evidence()));
    }

    #[test]
    fn evidence_survives_the_store_at_any_moment(
        events in events(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        conversations_max in prop_oneof![Just(8usize), Just(1000)],
    ) {
        let limits = LearnLimits { conversations_max, ..LearnLimits::default() };
        let whole = learner_of(&events, limits);
        let mut stored = std::collections::BTreeMap::new();
        let mut learner = Learner::new(&["fab".to_owned()], limits);
        for (at, event) in events.iter().enumerate() {
            if cuts.iter().any(|cut| cut.index(events.len()) == at) {
                let changes = learner.take_changes();
                // The first attempt to store fails.
                learner.keep_unsaved(&changes);
                let changes = learner.take_changes();
                changes.removed.iter().for_each(|subject| drop(stored.remove(subject)));
                stored.extend(changes.written.into_iter().map(|row| (row.subject.clone(), row)));
                let rows: Vec<_> = stored.values().cloned().collect();
                prop_assert!(learner.evidence().eq(rows.iter().cloned()));
                learner = Learner::new(&["fab".to_owned()], limits);
                let restored = learner.restore(rows);
                prop_assert_eq!((restored.other_segments, restored.refused), (0, 0));
            }
            learner.observe(event);
        }
        // What was settled early for want of room depends on when room was wanted, and a new learner has all of its own.
        if conversations_max == 1000 {
            prop_assert_eq!(text(&learner), text(&whole));
            prop_assert!(learner.evidence().eq(whole.evidence()));
        }
    }

    #[test]
    fn the_rules_permit_every_conversation_that_they_were_learned_from(
        events in events(),
        conversations_max in prop_oneof![Just(2usize), Just(8), Just(1000)],
    ) {
        let limits = LearnLimits { conversations_max, ..LearnLimits::default() };
        let policy = learner_of(&events, limits).policy(&AdmissionSettings::record_all(), &Answers::default()).expect("learned rules are valid");
        let infrastructure = Infrastructure { arp: false, neighbour_discovery: false, link_local: false };
        let closed = SegmentPolicy { infrastructure, ..SegmentPolicy::CLOSED };
        let segments = [SegmentDefinition { name: "fab".to_owned(), policy: closed }];
        let image = policy.compile(&segments, 1, Seed([1, 2]), 1000);
        let image = image.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let snapshot = Snapshot::read(image.words()).expect("a sound image");
        let view = snapshot.view(image.words(), 1);
        for event in &events {
            prop_assert!(permits(&view, event), "{:?} isn't permitted by\n{}", event, policy.to_toml());
        }
    }

    #[test]
    fn with_a_handshake_no_client_port_ever_becomes_a_service(
        clients in proptest::collection::vec((1..4u8, 40000..60000u16, any::<bool>()), 1..40),
    ) {
        let mut talks = vec![talk(Kind::Tcp, "10.0.1.9:39999", "10.0.2.1:5000").accepted()];
        talks.extend(clients.iter().map(|(host, port, running)| {
            let made = talk(Kind::Tcp, &format!("10.0.1.{host}:{port}"), "10.0.2.1:5000");
            if *running { made.running() } else { made.accepted() }
        }));
        prop_assert!(talks.iter().all(|talk| is_service(&talk.key, Side::B)));
        let found = support::rules(&support::learner(&talks));
        prop_assert!(found.iter().all(|(words, _)| words.ends_with("→ 10.0.2.1 tcp/5000")), "{:?}", found);
    }
}
