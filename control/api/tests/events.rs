//! Both ends of the event stream: order, filters, loss, reconnection.

mod fake;

use std::time::{Duration, Instant};

use fake::{Served, event};
use loadlock_api::*;
use loadlock_exchange::DropReason;

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("control.sock"));
    (folder, served)
}

/// Waits until the server has kept `total` events.
fn wait_for(client: &Client, total: u64) {
    let started = Instant::now();
    while client.recent_events(&EventFilter::of_kinds(&[]), 1).unwrap().total < total {
        assert!(started.elapsed() < Duration::from_secs(10), "the events don't arrive");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn number(item: &StreamItem) -> Option<u64> {
    match item {
        StreamItem::Event(event) => Some(event.client_packets),
        StreamItem::Lost(_) => None,
    }
}

#[test]
fn events_come_whole_in_order_and_by_kind() {
    let (_folder, served) = served();
    let client = served.client();
    let mut all = client.events(&EventFilter::of_kinds(&[])).unwrap();
    let mut some =
        client.events(&EventFilter::of_kinds(&[EventKind::Denied, EventKind::Ended])).unwrap();
    for number in 0..9 {
        served.backend.send(event(number, EventKind::ALL[number as usize % 3]));
    }
    for number in 0..9 {
        let expected =
            StreamItem::Event(Box::new(event(number, EventKind::ALL[number as usize % 3])));
        assert_eq!(all.next().unwrap().unwrap(), expected);
    }
    let got: Vec<_> = some.by_ref().take(6).map(|item| number(&item.unwrap()).unwrap()).collect();
    assert_eq!(got, [1, 2, 4, 5, 7, 8]);
}

#[test]
fn the_newest_events_are_kept_for_those_who_come_late() {
    let (_folder, served) = served();
    let client = served.client();
    for number in 0..9 {
        served.backend.send(event(number, EventKind::ALL[number as usize % 3]));
    }
    wait_for(&client, 9);
    let recent = client.recent_events(&EventFilter::of_kinds(&[]), 2).unwrap();
    assert_eq!(recent.items, [event(7, EventKind::Ended), event(8, EventKind::Denied)]);
    let recent = client.recent_events(&EventFilter::of_kinds(&[EventKind::Started]), 2).unwrap();
    assert_eq!((recent.items.len(), recent.total), (2, 3));
    assert_eq!(recent.items[0], event(3, EventKind::Started));
}

#[test]
fn events_are_filtered_by_segment_address_reason_and_verdict() {
    let (_folder, served) = served();
    let client = served.client();
    let sent = |number: u64| {
        let mut event = event(number, EventKind::Denied);
        event.segment = ["fab", "a, b&c=d"][number as usize % 2].to_owned();
        event.server = ["10.0.2.5", "fd00:20::5"][number as usize / 2 % 2].to_owned();
        event.reason = Some(["no_rule", "udp_length"][number as usize / 4 % 2].to_owned());
        event.verdict = [Verdict::Deny, Verdict::WouldDeny][number as usize / 8 % 2];
        event
    };
    let filters = [
        (EventFilter::default(), 16),
        (EventFilter { segments: vec!["a, b&c=d".to_owned()], ..EventFilter::default() }, 8),
        (
            EventFilter {
                address: Some("fd00:20:0::5".parse().unwrap()),
                ..EventFilter::default()
            },
            8,
        ),
        (EventFilter { reasons: vec![DropReason::UdpLength], ..EventFilter::default() }, 8),
        (EventFilter { verdicts: vec![Verdict::WouldDeny], ..EventFilter::default() }, 8),
        (
            EventFilter {
                kinds: vec![EventKind::Denied, EventKind::Ended],
                segments: vec!["a, b&c=d".to_owned(), "nowhere".to_owned()],
                address: Some("10.0.2.5".parse().unwrap()),
                reasons: vec![DropReason::UdpLength, DropReason::TcpHeader],
                verdicts: vec![Verdict::WouldDeny],
            },
            1,
        ),
        (EventFilter { segments: vec!["nowhere".to_owned()], ..EventFilter::default() }, 0),
    ];
    let mut streams: Vec<_> =
        filters.iter().map(|(filter, _)| client.events(filter).unwrap()).collect();
    (0..16).for_each(|number| served.backend.send(sent(number)));
    wait_for(&client, 16);
    for ((filter, wanted), stream) in filters.iter().zip(&mut streams) {
        let recent = client.recent_events(filter, 100).unwrap();
        assert_eq!((recent.total, recent.items.len()), (*wanted, *wanted as usize), "{filter:?}");
        for event in recent.items {
            assert_eq!(stream.next().unwrap().unwrap(), StreamItem::Event(Box::new(event)));
        }
    }
}

#[test]
fn a_slow_client_is_told_exactly_what_it_lost() {
    let (_folder, served) = served();
    let client = served.client();
    let mut stream = client.events(&EventFilter::of_kinds(&[])).unwrap();
    let total = 4 * HISTORY_EVENTS as u64;
    for number in 0..total {
        served.backend.send(event(number, EventKind::Denied));
    }
    let (mut next, mut lost, mut gaps) = (0, 0, 0);
    while next < total {
        match stream.next().unwrap().unwrap() {
            StreamItem::Event(event) => {
                assert_eq!(event.client_packets, next, "a gap that wasn't told");
                next += 1;
            }
            StreamItem::Lost(gap) => {
                let count = gap.count.unwrap();
                gaps += 1;
                lost += count;
                next += count;
            }
        }
    }
    assert_eq!(next, total);
    assert!(gaps > 0 && lost > 0, "{gaps} gaps, {lost} lost: the test must overrun the history");
}

#[test]
fn a_reconnected_client_goes_on_behind_its_last_event() {
    let (_folder, served) = served();
    let client = served.client();
    let mut stream = client.events(&EventFilter::of_kinds(&[])).unwrap();
    for number in 0..3 {
        served.backend.send(event(number, EventKind::Started));
    }
    assert_eq!(number(&stream.next().unwrap().unwrap()), Some(0));
    stream.reconnect().unwrap();
    served.backend.send(event(3, EventKind::Started));
    let rest: Vec<_> = stream.by_ref().take(3).map(|item| number(&item.unwrap())).collect();
    assert_eq!(rest, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_client_that_saw_nothing_yet_misses_nothing_either() {
    let (_folder, served) = served();
    let client = served.client();
    let mut stream = client.events(&EventFilter::of_kinds(&[])).unwrap();
    served.backend.send(event(0, EventKind::Ended));
    assert!(stream.next().unwrap().is_ok());
    let mut idle = client.events(&EventFilter::of_kinds(&[EventKind::Denied])).unwrap();
    served.backend.send(event(1, EventKind::Denied));
    assert_eq!(number(&idle.next().unwrap().unwrap()), Some(1));
    idle.reconnect().unwrap();
    served.backend.send(event(2, EventKind::Denied));
    assert_eq!(number(&idle.next().unwrap().unwrap()), Some(2));
}

#[test]
fn a_restart_of_control_ends_the_stream_in_order_and_is_told_as_loss() {
    let (_folder, mut served) = served();
    let client = served.client();
    let mut stream = client.events(&EventFilter::of_kinds(&[])).unwrap();
    served.backend.send(event(0, EventKind::Started));
    assert_eq!(number(&stream.next().unwrap().unwrap()), Some(0));
    assert!(served.stop() < Duration::from_secs(2));
    assert!(stream.next().is_none());
    assert!(matches!(stream.reconnect(), Err(error) if error.is_unreachable()));
    assert!(stream.next().is_none());

    let again = Served::start(served.socket.clone());
    stream.reconnect().unwrap();
    assert_eq!(stream.next().unwrap().unwrap(), StreamItem::Lost(Lost::new(None)));
    again.backend.send(event(7, EventKind::Started));
    assert_eq!(number(&stream.next().unwrap().unwrap()), Some(7));
}

#[test]
fn one_stream_too_many_is_refused_and_requests_are_not() {
    let (_folder, served) = served();
    let client = served.client();
    let streams: Vec<_> =
        (0..STREAMS_MAX).map(|_| client.events(&EventFilter::of_kinds(&[])).unwrap()).collect();
    match client.events(&EventFilter::of_kinds(&[])).err().unwrap() {
        ClientError::Refused { status, body } => {
            assert_eq!((status, body.code), (503, ErrorCode::TooManyStreams));
        }
        other => panic!("{other:?}"),
    }
    assert!(client.status().is_ok());
    drop(streams);
}
