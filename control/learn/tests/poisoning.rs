//! Somebody is at work while the line is learned. Each test is one way of it, by name.

mod fab;

use fab::{HOUR_NS, START_NS, Talk, decide, learner_of, outcome, tcp, work};
use loadlock_learn::{AdmissionSettings, Answers, Charge, Hold, NS_PER_DAY, Outcome};

const MINUTE_NS: u64 = HOUR_NS / 60;
const DAY_5: u64 = START_NS + 5 * NS_PER_DAY;

/// None of the attack's tuples is admitted, and all the work is.
fn none_admitted(work: &[Talk], attack: &[Talk]) -> loadlock_learn::Decisions {
    let all: Vec<Talk> = work.iter().chain(attack).copied().collect();
    let decisions = decide(&all);
    for talk in attack {
        let found = outcome(&decisions, &talk.tuple());
        assert_ne!(found, Some(Outcome::Admitted), "{}", talk.tuple());
    }
    for talk in work {
        let found = outcome(&decisions, &talk.tuple());
        assert_eq!(found, Some(Outcome::Admitted), "{}", talk.tuple());
    }
    decisions
}

/// Tries on tools 1 to 10 and on addresses nobody has: every fifth finds an open door.
fn scan(source: u8, pause_ns: u64) -> Vec<Talk> {
    (0..40u8)
        .map(|number| {
            let at = DAY_5 + u64::from(number) * pause_ns;
            let talk = tcp(
                (2, source),
                (1, 1 + number % 20),
                [5000, 80, 3389, 22][usize::from(number / 20)],
                at,
            );
            if number % 5 == 4 { talk } else { talk.failed() }
        })
        .collect()
}

#[test]
fn scan_fast() {
    let decisions = none_admitted(&work(10, 14), &scan(66, 1_000_000_000));
    assert_eq!(decisions.convictions.len(), 1);
    assert!(matches!(decisions.convictions[0].charge, Charge::FailedContacts { failed: 4 }));
}

#[test]
fn scan_slow_one_an_hour() {
    let decisions = none_admitted(&work(10, 14), &scan(66, HOUR_NS));
    assert_eq!(decisions.convictions.len(), 1);
}

#[test]
fn scan_distributed_over_forty_sources() {
    let attack: Vec<Talk> = scan(66, 10 * MINUTE_NS)
        .into_iter()
        .zip(100..)
        .map(|(talk, source)| Talk { client: (9, source), ..talk })
        .collect();
    let decisions = none_admitted(&work(10, 14), &attack);
    assert!(decisions.convictions.iter().all(|found| matches!(found.charge, Charge::Pool { .. })));
    assert_eq!(decisions.cards(50).cards.iter().filter(|card| card.devices.len() > 30).count(), 1);
}

#[test]
fn scan_of_open_ports_only() {
    // Every try succeeds, on two days.
    let attack: Vec<Talk> = (0..20u8)
        .map(|number| {
            tcp((2, 66), (1, 1 + number % 10), 5000, DAY_5 + u64::from(number) * 2 * HOUR_NS)
        })
        .map(|talk| Talk { port: 4840, ..talk })
        .collect();
    let thin = |talk: &Talk| {
        let [begun, mut ended] = talk.events();
        ended.packets = [3, 4];
        [begun, ended]
    };
    let mut learner = learner_of(&work(10, 14));
    attack.iter().flat_map(thin).for_each(|event| learner.observe(&event));
    let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
    for talk in &attack {
        assert_eq!(outcome(&decisions, &talk.tuple()), Some(Outcome::Held), "{}", talk.tuple());
    }
}

#[test]
fn worm_that_every_machine_lets_in() {
    let mut attack = Vec::new();
    for source in 1..=6u8 {
        for target in 1..=9u8 {
            let at = DAY_5 + u64::from(source) * HOUR_NS + u64::from(target) * MINUTE_NS;
            attack.push(tcp((1, source), (3, target), 445, at));
        }
        attack.push(tcp((1, source), (4, 7), 443, DAY_5 + u64::from(source + 1) * HOUR_NS));
    }
    let decisions = none_admitted(&work(10, 14), &attack);
    assert_eq!(decisions.convictions.len(), 6);
    assert!(matches!(decisions.convictions[0].charge, Charge::Lateral { .. }));
}

#[test]
fn pre_infected_tool_that_calls_home() {
    let attack: Vec<Talk> = (0..14 * 24u64)
        .map(|hour| tcp((1, 3), (4, 7), 443, START_NS + hour * HOUR_NS + MINUTE_NS))
        .collect();
    let decisions = none_admitted(&work(10, 14), &attack);
    let home = attack[0].tuple();
    let found = decisions.candidates.iter().find(|candidate| candidate.tuple == home);
    let hold = found.and_then(|candidate| candidate.hold);
    assert_eq!(hold, Some(Hold::RareServer { users: 1, role: 10 }));
}

#[test]
fn spoofed_address() {
    let attack: Vec<Talk> = (0..60u64)
        .map(|number| Talk {
            forged_by: Some(0x66),
            ..tcp((1, 3), (2, 10), 8000, DAY_5 + number * HOUR_NS)
        })
        .collect();
    let decisions = none_admitted(&work(10, 14), &attack);
    assert_eq!(decisions.claimed.len(), 1);
}

#[test]
fn replayed_station_on_the_other_side() {
    let attack: Vec<Talk> = (0..60u64)
        .map(|number| Talk {
            wrong_side: true,
            ..tcp((1, 3), (1, 4), 8000, DAY_5 + number * HOUR_NS)
        })
        .collect();
    let learner = learner_of(&work(10, 14).into_iter().chain(attack.clone()).collect::<Vec<_>>());
    let decisions = learner.decide(&AdmissionSettings::default(), &Answers::default());
    assert_eq!(outcome(&decisions, &attack[0].tuple()), Some(Outcome::Held));
}

#[test]
fn operator_flooding_shows_at_most_fifty_cards() {
    let attack: Vec<Talk> = (0..2_000u64)
        .map(|number| {
            let (net, host) = ((number % 40 + 10) as u8, (number % 200) as u8);
            tcp((net, host), (1, 1 + (number % 10) as u8), 22, DAY_5 + number * 1_000_000_000)
        })
        .collect();
    let all: Vec<Talk> = work(10, 14).into_iter().chain(attack).collect();
    let cards = decide(&all).cards(AdmissionSettings::default().cards_max);
    assert!(cards.cards.len() <= 50, "{}", cards.cards.len());
}

#[test]
fn every_decision_can_be_explained() {
    let all: Vec<Talk> = work(10, 14).into_iter().chain(scan(66, HOUR_NS)).collect();
    let decisions = decide(&all);
    let settings = AdmissionSettings::default();
    for candidate in &decisions.candidates {
        let explanation = decisions.explain(&candidate.tuple, &settings).expect("it is known");
        assert!(!explanation.reasons.is_empty() && !explanation.would_change.is_empty());
    }
    let conviction = &decisions.convictions[0];
    let explanation = decisions.explain_conviction(&conviction.source).expect("it was convicted");
    assert!(explanation.evidence.len() > 4, "{explanation:?}");
}
