//! Events to records and back, and records that no worker wrote.

use loadlock_exchange::{DropReason, Event, EventFlags, EventKind, RECORD_WORDS, Record, RuleId};
use loadlock_packet::{FlowKey, MacAddress, Side};
use proptest::prelude::*;

use crate::fixtures::cases;

fn key() -> impl Strategy<Value = FlowKey> {
    (any::<[u64; 5]>(), any::<bool>(), 0..8_u64).prop_map(|(mut words, narrow, kind)| {
        let last = if narrow { 1 } else { 4 };
        let kind = if narrow { kind % 5 } else { kind };
        words[last] = words[last] & !(0xf << 56) | kind << 56;
        FlowKey::from_words(words, narrow).expect("a known kind")
    })
}

fn kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        Just(EventKind::Started),
        Just(EventKind::Ended),
        Just(EventKind::Counted),
        prop::sample::select(DropReason::ALL).prop_map(EventKind::Denied),
    ]
}

prop_compose! {
    fn event()(
        kind in kind(),
        time_ns in any::<u64>(),
        key in key(),
        bits in any::<[bool; 8]>(),
        rule in prop::option::of(1..=loadlock_exchange::RULES_MAX),
        counts in any::<([u64; 2], [u64; 2])>(),
        macs in any::<[[u8; 6]; 2]>(),
        claimed in any::<Option<std::net::IpAddr>>(),
    ) -> Event {
        let [initiator_b, midstream, handshake, repeated, forwarded, after_grace, learning, negotiated] =
            bits;
        Event {
            kind,
            time_ns,
            key,
            initiator: if initiator_b { Side::B } else { Side::A },
            flags: EventFlags { midstream, handshake, repeated, forwarded, after_grace, learning, negotiated },
            rule: rule.and_then(RuleId::new),
            packets: counts.0,
            bytes: counts.1,
            macs: macs.map(MacAddress),
            claimed,
        }
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn an_event_survives_its_record(event in event()) {
        prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
    }

    #[test]
    fn any_record_is_decoded_or_refused(mut record in any::<Record>(), kind in any::<Option<u8>>()) {
        // Half the cases get a first byte near the known kinds, or none would come further.
        if let Some(kind) = kind {
            record[0] = record[0] & !0xff | u64::from(kind % 6);
        }
        if let Ok(event) = Event::decode(&record) {
            prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }

    #[test]
    fn a_damaged_record_is_decoded_or_refused(event in event(), word in 0..RECORD_WORDS, value in any::<u64>()) {
        let mut record = event.encode();
        record[word] = value;
        if let Ok(event) = Event::decode(&record) {
            prop_assert_eq!(Event::decode(&event.encode()), Ok(event));
        }
    }
}

#[test]
fn a_slot_never_written_is_refused() {
    assert!(Event::decode(&[0; RECORD_WORDS]).is_err());
    assert!(Event::decode(&[u64::MAX; RECORD_WORDS]).is_err());
}
