//! Bounds on the time that a large policy takes. Run in release: `cargo test --release -p loadlock-policy -- --ignored`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use loadlock_exchange::{RuleId, Seed, SegmentPolicy};
use loadlock_packet::Side;
use loadlock_policy::{
    AddressMatch, Opens, Policy, PolicyFile, Prefix, Rule, RuleParts, SegmentDefinition, Service,
    VlanMatch,
};

fn policy(count: u32) -> Policy {
    let host = |bits: u32| AddressMatch::Ip(Prefix::host(IpAddr::V4(Ipv4Addr::from_bits(bits))));
    let service = Service::from_text("tcp/5000").expect("a service");
    let (segment, reason) = ("fab".into(), "learned".into());
    let base = RuleParts {
        id: RuleId::new(1).expect("1 is an id"),
        segment,
        vlans: VlanMatch::DEFAULT,
        client: AddressMatch::Any,
        client_side: Some(Side::A),
        server: AddressMatch::Any,
        service,
        opens: Opens::Client,
        midstream: false,
        reason,
        owner: None,
    };
    let rules = (1..=count).map(|number| {
        let id = RuleId::new(number).expect("few enough");
        let (client, server) = (host(0x0a00_0000 + number), host(0x0b00_0000 + number % 997));
        Rule::new(RuleParts { id, client, server, ..base.clone() }).expect("valid")
    });
    Policy::from_rules(rules.collect(), "test").expect("distinct")
}

fn measure<T>(what: &str, work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    let spent = start.elapsed();
    println!("{what}: {spent:?}");
    (spent, result)
}

#[test]
#[ignore = "a measurement, in release: scripts/perf/measure runs it"]
fn a_hundred_thousand_rules_compile_in_100_ms_and_a_million_in_a_second() {
    let segments = [SegmentDefinition { name: "fab".to_owned(), policy: SegmentPolicy::CLOSED }];
    for (count, limit_ms) in [(100_000, 100), (1_000_000, 1_000)] {
        let (_, rules) = measure(&format!("{count} rules, joined"), || policy(count));
        let (_, text) = measure(&format!("{count} rules, written"), || rules.to_toml());
        let (_, read) =
            measure(&format!("{count} rules, read"), || PolicyFile::parse(&text, "test"));
        assert_eq!(read.as_ref(), Ok(&rules));
        // The best of five: other processes of the machine only ever add.
        let compile = || rules.compile(&segments, 1, Seed([3, 5]), count as usize);
        let runs = (0..5).map(|_| {
            let (spent, image) = measure(&format!("{count} rules, compiled"), compile);
            assert!(image.is_ok());
            spent
        });
        let best = runs.min().unwrap_or(Duration::MAX);
        assert!(best < Duration::from_millis(limit_ms), "{count} rules took {best:?}");
    }
}
