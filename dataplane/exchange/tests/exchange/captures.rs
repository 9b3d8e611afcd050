//! Captured frames to records and back, records that no worker wrote, orders and their limits.

use std::collections::BTreeSet;
use std::time::Duration;

use loadlock_exchange::{
    CAPTURE_FRAME_BYTES_MAX, CAPTURE_FRAMES_MAX, CAPTURE_S_MAX, CaptureAddress, CaptureOrder,
    CaptureVerdict, CapturedFrame, ControlExchange, DataplaneExchange, DropReason, RECORD_WORDS,
    Reassembly, Record, RingFull, RuleId,
};
use loadlock_packet::{MacAddress, Outline, SegmentId, Side};
use proptest::prelude::*;

use crate::fixtures::{DIMENSIONS, cases, folder};

fn frame(number: u64, time_ns: u64, bytes: usize) -> CapturedFrame {
    CapturedFrame {
        number,
        time_ns,
        segment: SegmentId::new(3).expect("below 16"),
        side: Side::B,
        verdict: CaptureVerdict::Denied(DropReason::NoRule),
        frame_bytes: 1_514,
        data: (0..bytes.min(1_514)).map(|at| (at as u64 * 7 + time_ns) as u8).collect(),
    }
}

fn places(addresses: impl IntoIterator<Item = CaptureAddress>) -> [Option<CaptureAddress>; 8] {
    let mut addresses = addresses.into_iter();
    std::array::from_fn(|_| addresses.next())
}

fn order() -> CaptureOrder {
    let ip = |text: &str, bits| CaptureAddress::Ip { address: text.parse().expect("good"), bits };
    CaptureOrder {
        addresses: places([
            ip("10.0.1.7", 32),
            ip("10.0.2.0", 24),
            ip("fd00::", 64),
            CaptureAddress::Mac(MacAddress([2, 0, 0, 0, 0, 9])),
        ]),
        all: true,
        payload: false,
        frame_bytes_max: 256,
        frames_max: 500,
        time: Duration::from_millis(90_500),
    }
}

/// Both ends over one region; the folder keeps it.
fn ends() -> (tempfile::TempDir, DataplaneExchange, ControlExchange) {
    let folder = folder();
    let path = folder.path().join("exchange");
    let dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("a region");
    let control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    (folder, dataplane, control)
}

#[test]
fn an_order_reaches_a_worker_once_and_so_does_its_end() {
    let (_folder, mut dataplane, control) = ends();
    let before = control.capture(Some(&order()));
    let mut worker = dataplane.take_workers().remove(0);
    assert_eq!(worker.captures.order(), None, "what was ordered before a worker came is over");
    let number = control.capture(Some(&order()));
    assert_ne!(number, before);
    assert_eq!(worker.captures.order(), Some((number, Some(order()))));
    assert_eq!(worker.captures.order(), None);
    let end = control.capture(None);
    assert_eq!(worker.captures.order(), Some((end, None)));
    let path = _folder.path().join("exchange");
    drop(control);
    let _successor = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    assert!(matches!(worker.captures.order(), Some((_, None))), "a successor wants to see nothing");
}

#[test]
fn an_order_beyond_the_limits_is_brought_within_them() {
    let (_folder, mut dataplane, control) = ends();
    let mut worker = dataplane.take_workers().remove(0);
    control.capture(Some(&CaptureOrder {
        addresses: places((0..40).map(|at| CaptureAddress::Mac(MacAddress([at; 6])))),
        frame_bytes_max: 1 << 20,
        frames_max: u32::MAX,
        time: Duration::MAX,
        ..order()
    }));
    let (_, read) = worker.captures.order().expect("a new one");
    let read = read.expect("armed");
    assert_eq!(read.frame_bytes_max, CAPTURE_FRAME_BYTES_MAX);
    assert_eq!(read.frames_max, CAPTURE_FRAMES_MAX);
    assert_eq!(read.time, Duration::from_secs(CAPTURE_S_MAX.into()));
    let bad = CaptureAddress::Ip { address: "10.0.0.1".parse().expect("good"), bits: 33 };
    control.capture(Some(&CaptureOrder { addresses: places([bad]), ..order() }));
    let (_, read) = worker.captures.order().expect("a new one");
    assert!(read.expect("armed").addresses == [None; 8], "no prefix has 33 bits");
}

#[test]
fn a_frame_belongs_to_a_device_by_either_end() {
    let order = order();
    let by = |addresses: [&str; 2]| {
        let addresses = addresses.map(|text| text.parse().ok());
        order.wants(&Outline { addresses, ..Outline::default() })
    };
    assert!(
        by(["10.0.1.7", "192.0.2.1"]) && by(["192.0.2.1", "10.0.2.255"]) && by(["", "fd00::9"])
    );
    assert!(!by(["10.0.1.8", "10.0.3.0"]) && !by(["", ""]) && !by(["fd00:0:0:1::9", "::10.0.1.7"]));
    let stations = [None, Some(MacAddress([2, 0, 0, 0, 0, 9]))];
    assert!(order.wants(&Outline { stations, ..Outline::default() }));
}

#[test]
fn frames_of_all_lengths_cross_and_a_full_ring_takes_none_by_half() {
    let (_folder, mut dataplane, mut control) = ends();
    let mut worker = dataplane.take_workers().remove(0);
    let mut sent = Vec::new();
    let mut lost = 0;
    for at in 0..4_000_u64 {
        let frame = frame(5, at, at as usize % 1_600);
        match worker.captures.push(&frame) {
            Ok(()) => sent.push(frame),
            Err(RingFull) => lost += 1,
        }
    }
    assert!(lost > 0 && sent.len() > 100, "{} sent, {lost} lost", sent.len());
    worker.captures.publish();
    let mut parts = Reassembly::default();
    let mut found = Vec::new();
    let ring = &mut control.captures[0];
    ring.read_burst(u64::MAX, |record| found.extend(parts.take(record)));
    ring.release();
    assert_eq!((found, parts.damaged()), (sent, 0));
    assert_eq!(worker.captures.push(&frame(5, 1, 1_514)), Ok(()), "there is room again");
}

fn verdict() -> impl Strategy<Value = CaptureVerdict> {
    let reason = || prop::sample::select(DropReason::ALL);
    prop_oneof![
        (0..=loadlock_exchange::RULES_MAX)
            .prop_map(|rule| CaptureVerdict::Allowed(RuleId::new(rule))),
        reason().prop_map(CaptureVerdict::WouldDeny),
        reason().prop_map(CaptureVerdict::Denied),
        Just(CaptureVerdict::Unjudged),
    ]
}

/// The records of some frames, as they lie in a ring.
fn records(frames: &[CapturedFrame]) -> Vec<Record> {
    let (_folder, mut dataplane, mut control) = ends();
    let mut worker = dataplane.take_workers().remove(0);
    for frame in frames {
        worker.captures.push(frame).expect("room");
    }
    worker.captures.publish();
    let mut records = Vec::new();
    control.captures[0].read_burst(u64::MAX, |record| records.push(*record));
    records
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_frame_survives_its_records(
        verdict in verdict(),
        data in prop::collection::vec(any::<u8>(), 0..CAPTURE_FRAME_BYTES_MAX),
        more in 0..9_000_u32,
        words in any::<[u64; 2]>(),
        segment in 0..16_usize,
        side_b in any::<bool>(),
    ) {
        let frame = CapturedFrame {
            number: words[0],
            time_ns: words[1],
            segment: SegmentId::new(segment).expect("below 16"),
            side: if side_b { Side::B } else { Side::A },
            verdict,
            frame_bytes: data.len() as u32 + more,
            data,
        };
        let mut parts = Reassembly::default();
        let found: Vec<_> = records(std::slice::from_ref(&frame)).iter().filter_map(|record| parts.take(record)).collect();
        prop_assert_eq!((found, parts.damaged()), (vec![frame], 0));
    }

    #[test]
    fn damage_costs_the_damaged_frames_only(
        lost in prop::collection::vec(0..60_usize, 0..4),
        damaged in prop::collection::vec((0..60_usize, 0..RECORD_WORDS, any::<u64>()), 0..4),
    ) {
        let frames: Vec<_> = (0..12).map(|at| frame(5, at, at as usize * 60)).collect();
        let mut records = records(&frames);
        // Which record belongs to which frame.
        let mut owner = -1;
        let owners: Vec<i64> = records.iter().map(|record| { owner += i64::from(record[0] as u8 == 1); owner }).collect();
        let mut touched = BTreeSet::new();
        for &(at, word, value) in damaged.iter().filter(|(at, ..)| *at < owners.len()) {
            records[at][word] = value;
            touched.insert(owners[at]);
        }
        for &at in lost.iter().filter(|at| **at < owners.len()) {
            touched.insert(owners[at]);
        }
        let mut parts = Reassembly::default();
        let kept = records.iter().enumerate().filter(|(at, _)| !lost.contains(at));
        let found: Vec<_> = kept.filter_map(|(_, record)| parts.take(record)).collect();
        for (at, frame) in frames.iter().enumerate() {
            prop_assert!(touched.contains(&(at as i64)) || found.contains(frame), "{at} is lost: {touched:?}");
        }
        prop_assert!(found.iter().all(|frame| frame.data.len() <= CAPTURE_FRAME_BYTES_MAX));
    }

    #[test]
    fn any_records_are_put_together_or_refused(records in prop::collection::vec(any::<Record>(), 0..40), kinds in any::<[u8; 40]>()) {
        let mut parts = Reassembly::default();
        for (mut record, kind) in records.into_iter().zip(kinds) {
            record[0] = record[0] & !0xff | u64::from(kind % 4);
            if let Some(frame) = parts.take(&record) {
                prop_assert!(frame.data.len() <= frame.frame_bytes as usize);
            }
        }
    }
}
