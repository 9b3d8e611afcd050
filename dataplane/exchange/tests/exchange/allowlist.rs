//! The compiled allowlist against the slow one, and its limits.

use std::net::Ipv6Addr;
use std::time::Instant;

use loadlock_exchange::{
    CompileError, Policy, PolicyImage, RuleEntry, RuleId, RuleOptions, SHAPES_MAX, Seed, Shape,
};
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, Side, VlanStack};
use proptest::prelude::*;

use crate::fixtures::*;
use crate::reference;

/// Few values, close to each other, so that rules and keys meet and prefixes matter.
const NARROW: [[u8; 4]; 5] =
    [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 1, 1], [11, 0, 0, 1], [192, 168, 0, 1]];
const SERVICES: [u16; 6] = [0, 80, 81, 5000, 5001, 0x8000];
const VLANS: [(u16, u16); 4] = [(0, 0), (20, 0), (0, 20), (20, 4094)];
const NARROW_PREFIXES: [u8; 5] = [0, 7, 24, 31, 32];
const WIDE_PREFIXES: [u8; 6] = [0, 48, 63, 64, 127, 128];
const SERVICE_PREFIXES: [u8; 4] = [0, 1, 15, 16];

fn wide_address(kind: Kind, at: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    if kind.is_link_layer() {
        bytes[..6].copy_from_slice(&[2, 0, 0, 0, at as u8 / 2, at as u8]);
        bytes[6..9].copy_from_slice(&[0, 0, if kind == Kind::Snap { 12 } else { 0 }]);
    } else {
        bytes[0] = 0xfd;
        bytes[7] = at as u8 % 2;
        bytes[8] = (at as u8 / 2) << 7;
        bytes[15] = at as u8;
    }
    bytes
}

fn network(kind: Kind, narrow: bool, at: usize) -> Network {
    let bytes = wide_address(kind, at);
    if narrow {
        v4(NARROW[at])
    } else if kind.is_link_layer() {
        let [m0, m1, m2, m3, m4, m5, o0, o1, o2, ..] = bytes;
        Network::Link { mac: MacAddress([m0, m1, m2, m3, m4, m5]), oui: [o0, o1, o2] }
    } else {
        Network::Ip(Ipv6Addr::from(bytes).into())
    }
}

/// What stands in a rule or key: table, kind, ends, service, VLANs, segment.
type Parts = (bool, Kind, (usize, usize), u16, (u16, u16), usize);

fn parts() -> impl Strategy<Value = Parts> {
    let kinds = vec![Kind::Tcp, Kind::Udp, Kind::Icmp, Kind::NonIp, Kind::Snap];
    (
        any::<bool>(),
        prop::sample::select(kinds),
        (0..NARROW.len(), 0..NARROW.len()),
        prop::sample::select(&SERVICES[..]),
        prop::sample::select(&VLANS[..]),
        0..2_usize,
    )
        .prop_map(|(narrow, kind, ends, service, vlans, segment)| {
            (narrow && !kind.is_link_layer(), kind, ends, service, vlans, segment)
        })
}

fn tail_of(parts: &Parts) -> KeyTail {
    let (_, kind, _, _, (outer, inner), segment) = *parts;
    tail(segment, VlanStack::new(outer, inner), kind)
}

fn rule() -> impl Strategy<Value = RuleEntry> {
    let narrow = prop::sample::select(&NARROW_PREFIXES[..]);
    let wide = prop::sample::select(&WIDE_PREFIXES[..]);
    let prefixes = ((narrow.clone(), narrow), (wide.clone(), wide));
    let service_prefix = prop::sample::select(&SERVICE_PREFIXES[..]);
    let options = any::<[bool; 3]>();
    (parts(), prefixes, service_prefix, any::<bool>(), any::<bool>(), options).prop_map(
        |(
            parts,
            (narrow, wide),
            service_prefix,
            vlans_exact,
            side_a,
            [client_opens, server_opens, midstream],
        )| {
            let (is_narrow, kind, (client, server), service, ..) = parts;
            let (client_prefix, server_prefix) = if is_narrow { narrow } else { wide };
            let shape = Shape {
                narrow: is_narrow,
                client_prefix,
                server_prefix,
                service_prefix,
                vlans_exact,
            };
            RuleEntry {
                shape,
                client_side: if side_a { Side::A } else { Side::B },
                client: network(kind, is_narrow, client),
                server: network(kind, is_narrow, server),
                service,
                tail: tail_of(&parts),
                rule: RuleId::new(1).expect("not 0"),
                options: RuleOptions { client_opens, server_opens, midstream },
            }
        },
    )
}

fn key_of(parts: &Parts, client: Side, client_service: u16) -> FlowKey {
    let (narrow, kind, (asks, serves), service, ..) = *parts;
    let by_side = |client_part, server_part| match client {
        Side::A => [client_part, server_part],
        Side::B => [server_part, client_part],
    };
    let services = by_side(client_service, service);
    let tail = tail_of(parts);
    // An even service of the client's stands for the other side's query.
    let asker = if client_service.is_multiple_of(2) { client.other() } else { client };
    let tail = if kind == Kind::Icmp { tail.asked_by(asker) } else { tail };
    if narrow {
        let [a, b] = by_side(asks as u16, serves as u16).map(|at| NARROW[usize::from(at)]);
        narrow_key([a, b], services, tail)
    } else {
        let ends = by_side(asks as u16, serves as u16);
        wide_key(ends.map(|at| wide_address(kind, usize::from(at))), services, tail)
    }
}

/// Rules numbered in their order, at most [`SHAPES_MAX`] shapes and without duplicates.
fn rule_set() -> impl Strategy<Value = Vec<RuleEntry>> {
    prop::collection::vec(rule(), 0..60).prop_map(|rules| {
        let mut kept: Vec<RuleEntry> = Vec::new();
        let mut shapes = std::collections::BTreeSet::new();
        for rule in rules {
            if (shapes.contains(&rule.shape) || shapes.len() < SHAPES_MAX)
                && !kept.iter().any(|other| reference::same_key(other, &rule))
            {
                shapes.insert(rule.shape);
                let number = RuleId::new(kept.len() as u32 + 1).expect("short list");
                kept.push(RuleEntry { rule: number, ..rule });
            }
        }
        kept
    })
}

fn compile(rules: &[RuleEntry], seed: Seed) -> PolicyImage {
    PolicyImage::compile(1, &[ENFORCED], rules, seed, rules.len())
        .unwrap_or_else(|error| panic!("{error}"))
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn lookups_find_what_the_slow_matcher_finds(
        rules in rule_set(),
        seed in any::<[u64; 2]>(),
        keys in prop::collection::vec((parts(), any::<bool>(), any::<u16>()), 1..30),
    ) {
        let image = compile(&rules, Seed(seed));
        loadlock_exchange::verify(image.words()).expect("a fresh image is whole");
        let policy = Policy::read(image.words()).expect("a fresh image is readable");
        let view = policy.view(image.words(), 1);
        for (parts, side_a, port) in &keys {
            let client = if *side_a { Side::A } else { Side::B };
            let key = key_of(parts, client, *port);
            for client in [Side::A, Side::B] {
                let expected = reference::find(&rules, &key, client).map(|rule| (rule.rule, rule.options));
                let found = view.find(&key, client).map(|found| (found.rule, found.options));
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_duplicate_is_refused_and_named(rules in rule_set(), copied in any::<prop::sample::Index>()) {
        prop_assume!(!rules.is_empty());
        let first = rules[copied.index(rules.len())];
        let second = RuleEntry { rule: RuleId::new(1000).expect("not 0"), ..first };
        let rules = [rules, vec![second]].concat();
        let compiled = PolicyImage::compile(1, &[], &rules, SEED, rules.len());
        let duplicate = CompileError::Duplicate { first: first.rule, second: second.rule };
        prop_assert_eq!(compiled.err(), Some(duplicate));
    }
}

/// `count` different narrow rules with sequential servers and ports.
fn narrow_rules(count: usize) -> Vec<RuleEntry> {
    (0..count as u32)
        .map(|at| {
            let [_, _, high, low] = (at / 100).to_be_bytes();
            RuleEntry {
                server: v4([10, 1, high, low]),
                service: 1 + (at % 100) as u16,
                rule: RuleId::new(at + 1).expect("below 2^28"),
                ..crate::fixtures::rule(1)
            }
        })
        .collect()
}

/// `count` different wide rules with sequential servers and ports.
fn wide_rules(count: usize) -> Vec<RuleEntry> {
    let shape = Shape { narrow: false, client_prefix: 128, server_prefix: 128, ..EXACT_NARROW };
    narrow_rules(count)
        .into_iter()
        .enumerate()
        .map(|(at, rule)| {
            let mut server = [0; 16];
            server[..2].copy_from_slice(&[0xfd, 0]);
            server[12..].copy_from_slice(&(at as u32 / 100).to_be_bytes());
            let server = Network::Ip(Ipv6Addr::from(server).into());
            let client = Network::Ip(Ipv6Addr::LOCALHOST.into());
            RuleEntry { shape, client, server, ..rule }
        })
        .collect()
}

#[test]
fn as_many_rules_of_any_kind_fit_as_the_capacity_says_and_not_one_more() {
    for capacity in [0_usize, 1, 2, 3, 4, 5, 7, 10, 64, 99, 1000, 4096] {
        for wide in [0, 1, capacity / 3, capacity / 2, capacity.saturating_sub(1), capacity] {
            let wide = wide.min(capacity);
            let rules = [narrow_rules(capacity - wide), wide_rules(wide)].concat();
            let image = PolicyImage::compile(1, &[], &rules, SEED, capacity);
            let image =
                image.unwrap_or_else(|error| panic!("{capacity} rules, {wide} wide: {error}"));
            loadlock_exchange::verify(image.words()).expect("whole");
            let one_more = [rules, narrow_rules(capacity + 1)[capacity..].to_vec()].concat();
            let error = PolicyImage::compile(1, &[], &one_more, SEED, capacity).err();
            let too_many = CompileError::TooManyRules { rules: capacity + 1, capacity };
            assert_eq!(error, Some(too_many));
        }
    }
}

#[test]
fn sixteen_shapes_fit_and_seventeen_are_refused() {
    let rules: Vec<_> = (0..=SHAPES_MAX)
        .map(|at| {
            let shape = Shape { client_prefix: at as u8, ..EXACT_NARROW };
            RuleEntry { shape, ..crate::fixtures::rule(at as u32 + 1) }
        })
        .collect();
    let image = compile(&rules[..SHAPES_MAX], SEED);
    let policy = Policy::read(image.words()).expect("readable");
    let found = policy.view(image.words(), 1).find(&conversation(), Side::A).expect("all match");
    assert_eq!(found.rule.number(), SHAPES_MAX as u32, "the most specific one");
    let error = PolicyImage::compile(1, &[], &rules, SEED, rules.len()).err();
    assert_eq!(error, Some(CompileError::TooManyShapes { shapes: SHAPES_MAX + 1 }));
}

#[test]
fn rule_numbers_keep_their_whole_range() {
    assert_eq!(RuleId::new(0), None);
    assert_eq!(RuleId::new(loadlock_exchange::RULES_MAX + 1), None);
    for number in [1, loadlock_exchange::RULES_MAX] {
        let image = compile(&[crate::fixtures::rule(number)], SEED);
        let policy = Policy::read(image.words()).expect("readable");
        assert_eq!(judged_by(&policy.view(image.words(), 1)), Some(number));
    }
}

#[test]
fn an_empty_policy_permits_nothing() {
    for policy in [Policy::none(), Policy::read(compile(&[], SEED).words()).expect("readable")] {
        let words = compile(&[], SEED);
        let view = policy.view(words.words(), 1);
        assert_eq!(view.find(&conversation(), Side::A), None);
        assert_eq!(
            view.find(&key_of(&(false, Kind::NonIp, (0, 1), 0, (0, 0), 0), Side::A, 0), Side::A),
            None
        );
    }
}

/// Every rule of a large policy is found by its own key, under several seeds.
#[test]
fn every_rule_of_a_large_policy_is_found() {
    let rules = [narrow_rules(5_000), wide_rules(5_000)].concat();
    for seed in [[0, 0], [1, 0], [u64::MAX; 2], SEED.0] {
        let image = compile(&rules, Seed(seed));
        let policy = Policy::read(image.words()).expect("readable");
        let view = policy.view(image.words(), 1);
        for rule in &rules {
            let key = own_key(rule);
            assert_eq!(view.find(&key, Side::A).map(|found| found.rule), Some(rule.rule));
            assert_eq!(view.find(&key, Side::B), None);
        }
    }
}

fn own_key(rule: &RuleEntry) -> FlowKey {
    match (rule.client, rule.server) {
        (Network::Ip(std::net::IpAddr::V4(client)), Network::Ip(std::net::IpAddr::V4(server))) => {
            narrow_key([client.octets(), server.octets()], [40_000, rule.service], rule.tail)
        }
        (Network::Ip(std::net::IpAddr::V6(client)), Network::Ip(std::net::IpAddr::V6(server))) => {
            wide_key([client.octets(), server.octets()], [40_000, rule.service], rule.tail)
        }
        other => panic!("no rule here has {other:?}"),
    }
}

/// `cargo test --release -p loadlock-exchange --test exchange -- --ignored --nocapture compile_time`
#[test]
#[ignore = "a measurement, in release: scripts/perf/measure runs it"]
fn compile_time_and_lookup_cost_of_large_policies() {
    for (name, rules) in [
        ("100 k narrow", narrow_rules(100_000)),
        ("1 M narrow", narrow_rules(1_000_000)),
        ("100 k wide", wide_rules(100_000)),
        ("1 M wide", wide_rules(1_000_000)),
    ] {
        let mut seconds = Vec::new();
        for round in 0..5 {
            let start = Instant::now();
            let image = compile(&rules, Seed([round, 77]));
            seconds.push(start.elapsed().as_secs_f64());
            std::hint::black_box(image);
        }
        seconds.sort_by(f64::total_cmp);
        let image = compile(&rules, SEED);
        let policy = Policy::read(image.words()).expect("readable");
        let view = policy.view(image.words(), 1);
        let keys: Vec<_> = rules.iter().step_by(7).map(own_key).collect();
        let lookup_ns = |client| {
            let start = Instant::now();
            let found = keys.iter().filter(|key| view.find(key, client).is_some()).count();
            (start.elapsed().as_nanos() as f64 / keys.len() as f64, found)
        };
        let ((hit_ns, hits), (miss_ns, misses)) = (lookup_ns(Side::A), lookup_ns(Side::B));
        assert_eq!((hits, misses), (keys.len(), 0));
        println!(
            "{name}: compile median {:.3} s (min {:.3}, max {:.3}), {} bytes a rule, hit {hit_ns:.0} ns, miss {miss_ns:.0} ns",
            seconds[2],
            seconds[0],
            seconds[4],
            image.words().len() * 8 / rules.len(),
        );
    }
}
