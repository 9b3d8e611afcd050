//! Forgetting: devices that are silent for long go with all that is known of them, others keep all, and the room is used again.

mod support;

use loadlock_exchange::EventKind;
use loadlock_learn::{LearnLimits, Learner};
use loadlock_packet::Kind;
use support::{Talk, learner, talk};

const SECOND: u64 = 1_000_000_000;

fn see(learner: &mut Learner, talk: &Talk, second: u64) {
    talk.events(second * SECOND).iter().for_each(|event| learner.observe(event));
}

#[test]
fn a_device_goes_as_a_whole_or_not_at_all() {
    let old = talk(Kind::Tcp, "10.0.0.1:40000", "10.0.1.1:5000");
    let [scan, work] =
        [445, 5_000].map(|port| talk(Kind::Tcp, "10.0.0.2:40000", &format!("10.0.1.1:{port}")));
    let open = talk(Kind::Udp, "10.0.0.3:40000", "10.0.1.1:6000");
    let mut learner = learner(&[old, scan, open]);
    see(&mut learner, &work, 100);
    learner.take_changes();
    let cutoff = 50 * SECOND;
    let silent = learner.silent(cutoff);
    let clients: Vec<String> =
        silent.iter().map(|subject| format!("{:?}", subject.networks[0])).collect();
    assert_eq!(silent.len(), 2, "{clients:?}: a device that works keeps what it did long ago");
    assert_eq!(learner.forget(&silent, cutoff), 2);
    assert_eq!(learner.counts(), (2, 0));
    assert_eq!(learner.forget(&silent, cutoff), 0, "they are gone already");
    let changes = learner.take_changes();
    assert_eq!((changes.removed.len(), changes.written.len()), (2, 0));
    // The disk refused it: the same again, until it is written.
    learner.keep_unsaved(&changes);
    let mut again = learner.take_changes().removed;
    again.sort();
    let mut removed = changes.removed;
    removed.sort();
    assert_eq!(again, removed);
    assert!(learner.take_changes().removed.is_empty());
}

#[test]
fn what_was_seen_meanwhile_stays() {
    let old = talk(Kind::Tcp, "10.0.0.1:40000", "10.0.1.1:5000");
    let mut learner = learner(&[old]);
    let silent = learner.silent(50 * SECOND);
    see(&mut learner, &old, 60);
    assert_eq!(learner.forget(&silent, 50 * SECOND), 0);
    assert_eq!(learner.counts(), (1, 0));
}

#[test]
fn room_is_used_again() {
    let limits = LearnLimits { keys_max: 3, client_keys_max: 3, ..LearnLimits::default() };
    let mut learner = Learner::new(&["fab".to_owned()], limits);
    let of = |client: u8, port: u16| {
        talk(Kind::Tcp, &format!("10.0.0.{client}:40000"), &format!("10.0.1.1:{port}"))
    };
    for port in 1..=3 {
        see(&mut learner, &of(1, port), 1);
    }
    see(&mut learner, &of(2, 1), 100);
    assert_eq!((learner.counts().0, learner.tally().keys_refused), (3, 1));
    let silent = learner.silent(50 * SECOND);
    assert_eq!(learner.forget(&silent, 50 * SECOND), 3);
    for port in 1..=3 {
        see(&mut learner, &of(1, port + 10), 100);
    }
    assert_eq!((learner.counts().0, learner.tally().keys_refused), (3, 1));
    let mut seen: Vec<u16> = learner.evidence().map(|row| row.subject.services[1]).collect();
    seen.sort_unstable();
    assert_eq!(seen, [11, 12, 13]);
    let one = of(1, 11).event(EventKind::Started, 101 * SECOND);
    learner.observe(&one);
    assert_eq!(learner.counts().0, 3);
}
