//! Policy slots with damage in them: refused or read, never a panic, never a read outside the slot.

use loadlock_exchange::{
    Infrastructure, Midstream, Mode, Place, Policy, PolicyImage, RingFullPolicy, SegmentPolicy,
    SnapshotError, TableFull, verify,
};
use loadlock_packet::negotiation::Helpers;
use loadlock_packet::{Address, Kind, MacAddress, SegmentId, Side, VlanStack};
use proptest::prelude::*;

use crate::fixtures::*;

/// Words before the tables.
const HEADER_WORDS: usize = 48;

fn image() -> Vec<u64> {
    let rules: Vec<_> = (1..=20)
        .map(|number| loadlock_exchange::RuleEntry { service: number as u16, ..rule(number) })
        .collect();
    let image = PolicyImage::compile(7, &[ENFORCED], &rules, SEED, 20).expect("compiles");
    let image = image.bind(&bindings(20), 20).expect("they fit");
    let mut words = image.words().to_vec();
    words.resize(words.len() + 64, 0);
    words
}

/// Reads a slot as a worker does, and looks a few keys up.
fn use_it(words: &[u64]) {
    let Ok(policy) = Policy::read(words) else { return };
    let view = policy.view(words, 1);
    for service in 0..40 {
        let tail = tail(0, VlanStack::UNTAGGED, Kind::Tcp);
        let narrow = narrow_key([CLIENT, SERVER], [1, service], tail);
        let wide = wide_key([[service as u8; 16], [1; 16]], [1, service], tail);
        for client in [Side::A, Side::B] {
            std::hint::black_box((view.find(&narrow, client), view.find(&wide, client)));
            let place = Place::of(tail);
            for key in [narrow, wide] {
                let address = Address::of(&key, client).expect("of an IP conversation");
                std::hint::black_box(view.owner(place, &address));
            }
            std::hint::black_box(view.station(place, MacAddress([2, 0, 0, 0, 0, service as u8])));
        }
    }
    for number in 0..16 {
        std::hint::black_box(view.segment(SegmentId::new(number).expect("below 16")));
    }
}

fn damaged_word() -> impl Strategy<Value = u64> {
    let half = prop_oneof![0..50_u64, Just(0xffff_ffff), any::<u32>().prop_map(u64::from)];
    prop_oneof![any::<u64>(), (half.clone(), half).prop_map(|(low, high)| low | high << 32)]
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn a_damaged_header_never_panics(
        damages in prop::collection::vec((0..HEADER_WORDS, damaged_word()), 1..6),
        keep in any::<prop::sample::Index>(),
    ) {
        let mut words = image();
        for (at, value) in damages {
            words[at] = value;
        }
        use_it(&words);
        use_it(&words[..keep.index(words.len() + 1)]);
    }

    #[test]
    fn damaged_tables_never_panic(damages in prop::collection::vec((HEADER_WORDS.., any::<u64>()), 1..60)) {
        let mut words = image();
        let count = words.len();
        for (at, value) in damages {
            words[HEADER_WORDS + at % (count - HEADER_WORDS)] = value;
        }
        use_it(&words);
    }

    #[test]
    fn any_flipped_bit_is_found_before_the_policy_judges(at in any::<prop::sample::Index>(), bit in 0..64_u32) {
        let mut words = image();
        let used = words[2] as usize;
        prop_assert_eq!(verify(&words), Ok(()));
        words[at.index(used)] ^= 1_u64 << bit;
        prop_assert!(verify(&words).is_err());
    }
}

#[test]
fn tables_that_are_full_end_a_lookup_all_the_same() {
    let mut words = image();
    words[HEADER_WORDS..].fill(u64::MAX);
    use_it(&words);
}

#[test]
fn a_slot_of_another_form_is_refused_with_the_reason() {
    let words = image();
    assert_eq!(verify(&[]), Err(SnapshotError::Length(0)));
    assert_eq!(verify(&words[..HEADER_WORDS - 1]), Err(SnapshotError::Length(47)));
    assert_eq!(verify(&[0; HEADER_WORDS]), Err(SnapshotError::Magic(0)));
    let used = words[2];
    assert_eq!(verify(&words[..used as usize - 1]), Err(SnapshotError::Length(used)));
    assert_eq!(verify(&words[..used as usize]), Ok(()), "what lies behind doesn't matter");
}

#[test]
fn segments_keep_their_modes_and_classes() {
    let segments: Vec<_> = (0..16_u8)
        .map(|bits| SegmentPolicy {
            mode: [Mode::Learn, Mode::Monitor, Mode::Enforce][usize::from(bits) % 3],
            infrastructure: Infrastructure {
                arp: bits & 1 != 0,
                neighbour_discovery: bits & 2 != 0,
                link_local: bits & 4 != 0,
            },
            helpers: Helpers::from_bits(bits),
            midstream: Midstream::ALL[usize::from(bits) / 2 % 3],
            table_full: TableFull::ALL[usize::from(bits) / 5 % 3],
            ring_full: [RingFullPolicy::Static, RingFullPolicy::Closed][usize::from(bits) / 3 % 2],
        })
        .collect();
    let image = PolicyImage::compile(9, &segments, &[], SEED, 0).expect("compiles");
    let policy = Policy::read(image.words()).expect("readable");
    assert_eq!(policy.version(), 9);
    for (number, segment) in segments.iter().enumerate() {
        let id = SegmentId::new(number).expect("below 16");
        assert_eq!(policy.view(image.words(), 1).segment(id), *segment);
    }
    assert!(
        [Mode::Learn, Mode::Monitor, Mode::Enforce]
            .iter()
            .all(|mode| Mode::from_name(mode.name()) == Some(*mode))
    );
}
