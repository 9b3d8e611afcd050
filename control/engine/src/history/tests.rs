//! Records through bytes and back, hours, and the room of an hour.

use loadlock_exchange::EventFlags;
use loadlock_learn::flow_key;
use loadlock_packet::{KeyTail, MacAddress, Network, SegmentId, VlanStack};

use super::*;

const HOUR: u64 = NS_PER_HOUR;

fn names() -> Vec<String> {
    vec!["fab".to_owned(), "ward".to_owned()]
}

fn event(client: u8, port: u16, time_ns: u64, kind: EventKind) -> Event {
    let tail = KeyTail::new(SegmentId::new(1).unwrap(), VlanStack::new(7, 0), Kind::Tcp)
        .of_client(Side::A);
    let networks = [[10, 0, 1, client], [10, 0, 2, 1]].map(|address| Network::Ip(address.into()));
    Event {
        kind,
        time_ns,
        key: flow_key(tail, networks, [40_000, port]).unwrap(),
        initiator: Side::A,
        flags: EventFlags { forwarded: kind == EventKind::Started, ..EventFlags::default() },
        rule: None,
        packets: [3, 2],
        bytes: [300, 200],
        macs: [MacAddress([2, 0, 0, 0, 0, 1]); 2],
        claimed: None,
    }
}

fn read(rows: &[FlowRow]) -> Vec<(u32, FlowKind, Tally)> {
    let read = rows.iter().map(|row| {
        let (kind, tally) = decode(&names(), &row.key, &row.value).unwrap();
        (row.hour, kind, tally)
    });
    read.collect()
}

#[test]
fn an_hour_is_counted_written_as_a_whole_and_taken_up_again() {
    let mut history = History::new(names(), 5 * HOUR + 1, u64::MAX, &[]);
    let denied = EventKind::Denied(DropReason::NoRule);
    history.observe(&event(1, 5_000, 5 * HOUR + 7 * NS_PER_SECOND, EventKind::Started));
    history.observe(&event(1, 5_000, 5 * HOUR + 9 * NS_PER_SECOND, EventKind::Ended));
    history.observe(&event(1, 445, 5 * HOUR + 9 * NS_PER_SECOND, denied));
    let first = history.take_unsaved();
    let counted = read(&first);
    let tally = Tally { conversations: 1, packets: 5, bytes: 500, seconds: [7, 9] };
    assert_eq!((counted[0].0, counted[0].2), (5, tally));
    assert_eq!(counted[0].1.outcome, Outcome::Permitted);
    assert_eq!(counted[1].1.outcome, Outcome::Denied(DropReason::NoRule));
    assert!(
        first[1].key.as_slice() < BEHIND_DENIED && first[0].key.as_slice() > BEHIND_DENIED,
        "denied ones come first"
    );
    assert!(history.take_unsaved().is_empty());
    // Another control takes the stored hour up; what counts is the whole again.
    let mut history = History::new(names(), 5 * HOUR + 2, u64::MAX, &first);
    history.observe(&event(1, 5_000, 5 * HOUR + 11 * NS_PER_SECOND, EventKind::Started));
    let second = history.take_unsaved();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].key, first[0].key);
    assert_eq!(read(&second)[0].2, Tally { conversations: 2, seconds: [7, 11], ..tally });
    // The disk refused them, the hour ended meanwhile: they are given again, each with its hour.
    history.keep_unsaved(second.clone());
    history.observe(&event(2, 5_000, 5 * HOUR + 12 * NS_PER_SECOND, EventKind::Started));
    history.advance(6 * HOUR);
    history.advance(5 * HOUR);
    history.observe(&event(1, 5_000, 6 * HOUR, EventKind::Started));
    let third = read(&history.take_unsaved());
    assert_eq!(third.iter().map(|row| row.0).collect::<Vec<_>>(), [5, 5, 6]);
    assert_eq!(third[2].2.conversations, 1, "a new hour counts from nothing");
}

#[test]
fn one_hour_may_take_its_share_only() {
    let room = 3;
    let mut history = History::new(names(), HOUR, HOUR_SHARE * RECORD_BYTES * room, &[]);
    for client in 0..200 {
        history.observe(&event(client, 5_000, HOUR, EventKind::Started));
    }
    assert_eq!((history.take_unsaved().len() as u64, history.refused), (room, 200 - room));
    history.observe(&event(1, 5_000, HOUR, EventKind::Started));
    assert_eq!(history.take_unsaved().len(), 1, "what is known is counted on");
    history.advance(2 * HOUR);
    history.observe(&event(9, 5_000, 2 * HOUR, EventKind::Started));
    assert_eq!(history.take_unsaved().len(), 1, "the next hour has room again");
}

#[test]
fn what_cannot_be_read_is_no_record() {
    let mut history = History::new(names(), HOUR, u64::MAX, &[]);
    history.observe(&event(1, 445, HOUR, EventKind::Denied(DropReason::NoRule)));
    let row = history.take_unsaved().remove(0);
    for length in 0..row.key.len() {
        assert_eq!(decode(&names(), &row.key[..length], &row.value), None, "{length}");
    }
    for length in 0..row.value.len() {
        assert_eq!(decode(&names(), &row.key, &row.value[..length]), None, "{length}");
    }
    assert_eq!(decode(&names()[..1], &row.key, &row.value), None, "its segment is gone");
    assert_eq!(decode(&names(), &row.key, &[0xff; 40]), None);
}
