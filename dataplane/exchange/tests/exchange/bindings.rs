//! Bindings in a policy slot against a list.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::{
    BindingEntry, BindingError, ControlExchange, DataplaneExchange, Dimensions, Owner, Place,
    Policy, PolicyImage, Station, binding_capacity,
};
use loadlock_packet::{Address, Kind, MacAddress, SegmentId, Side, VlanStack};
use proptest::prelude::*;

use crate::fixtures::*;

fn entry() -> impl Strategy<Value = BindingEntry> {
    let address = prop_oneof![
        any::<[u8; 2]>().prop_map(|[a, b]| IpAddr::V4(Ipv4Addr::new(10, 0, a % 4, b % 16))),
        (0..16_u16).prop_map(|last| IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last))),
    ];
    (0..3_usize, 0..3_u16, any::<bool>(), prop::option::of(address), prop::option::of(0..24_u8))
        .prop_map(|(segment, vlan, b, address, mac)| BindingEntry {
            segment: SegmentId::new(segment).expect("below 16"),
            vlans: VlanStack::new(vlan, 0),
            side: Side::from_bit(b.into()),
            address,
            mac: mac.map(|last| MacAddress([2, 0, 0, 0, 0, last])),
        })
}

/// Without what contradicts the entries before it.
fn consistent(entries: Vec<BindingEntry>) -> Vec<BindingEntry> {
    let mut kept: Vec<BindingEntry> = Vec::new();
    for entry in entries {
        let contradicts = |known: &BindingEntry| {
            let here = (known.segment, known.vlans) == (entry.segment, entry.vlans);
            let twice = entry.address.is_some() && entry.address == known.address;
            let moved = entry.mac.is_some() && entry.mac == known.mac && entry.side != known.side;
            here && (twice || moved)
        };
        if !kept.iter().any(contradicts) {
            kept.push(entry);
        }
    }
    kept
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn lookups_agree_with_a_list(entries in prop::collection::vec(entry(), 0..200), seed in any::<[u64; 2]>()) {
        let entries = consistent(entries);
        let seed = loadlock_exchange::Seed(seed);
        let image = PolicyImage::compile(1, &[ENFORCED], &[rule(1)], seed, 4096).expect("compiles");
        let image = image.bind(&entries, 4096).expect("they fit");
        let policy = Policy::read(image.words()).expect("readable");
        let view = policy.view(image.words(), 1);
        prop_assert_eq!(view.holds_identity(), entries.iter().any(|e| e.address.is_some() || e.mac.is_some()));
        prop_assert!(view.find(&conversation(), Side::A).is_some(), "the rules are there too");
        for (segment, vlan) in [(0, 0), (0, 1), (1, 0), (2, 2)] {
            let vlans = VlanStack::new(vlan, 0);
            let place = Place::of(tail(segment, vlans, Kind::Udp));
            let here = || entries.iter().filter(move |e| {
                (e.segment.index(), e.vlans) == (segment, vlans)
            });
            for address in entries.iter().filter_map(|e| e.address) {
                let expected = here().find(|e| e.address == Some(address));
                let owner = expected.map(|e| Owner { side: e.side, mac: e.mac });
                prop_assert_eq!(view.owner(place, &Address::from(address)), owner);
            }
            for last in 0..26 {
                let mac = MacAddress([2, 0, 0, 0, 0, last]);
                let of = || here().filter(|e| e.mac == Some(mac));
                let has_ipv4 = of().any(|e| e.address.is_some_and(|a| a.is_ipv4()));
                let station = of().next().map(|e| Station { side: e.side, has_ipv4 });
                prop_assert_eq!(view.station(place, mac), station);
            }
        }
    }
}

#[test]
fn contradictions_are_refused() {
    let compile = |bindings: &[BindingEntry]| {
        PolicyImage::compile(1, &[ENFORCED], &[], SEED, 64).expect("empty").bind(bindings, 64).err()
    };
    let [first, second] = bindings(2).try_into().expect("two");
    let twice = BindingEntry { address: first.address, ..second };
    let moved = BindingEntry { mac: first.mac, side: Side::B, ..second };
    for binding in [twice, moved] {
        assert_eq!(compile(&[first, binding]), Some(BindingError::Contradiction { binding }));
    }
    assert_eq!(compile(&[first, BindingEntry { mac: first.mac, ..second }]), None);
}

#[test]
fn as_many_as_the_slot_is_made_for_fit_and_one_more_is_refused() {
    let capacity = binding_capacity(1024);
    let many: Vec<BindingEntry> = (0..=capacity as u32)
        .map(|number| BindingEntry {
            address: Some(IpAddr::V4(Ipv4Addr::from(number + 0x0a00_0000))),
            mac: Some(MacAddress([2, 0, 0, 0, (number >> 8) as u8, number as u8])),
            ..bindings(1)[0]
        })
        .collect();
    let rules: Vec<_> = (1..=1024)
        .map(|number| loadlock_exchange::RuleEntry { service: number as u16, ..rule(number) })
        .collect();
    let image = || PolicyImage::compile(1, &[], &rules, SEED, 1024).expect("fits");
    let full = image().bind(&many[..capacity], 1024).expect("fits");
    let (folder, dimensions) = (folder(), Dimensions { rule_capacity: 1024, ..DIMENSIONS });
    let path = folder.path().join("exchange");
    let _dataplane = DataplaneExchange::open(&path, dimensions).expect("made");
    let mut control = ControlExchange::attach(&path, dimensions).expect("attached");
    control.publish(&full).expect("the slot has room for both");
    let bindings = capacity + 1;
    assert_eq!(image().bind(&many, 1024).err(), Some(BindingError::TooMany { bindings, capacity }));
}
