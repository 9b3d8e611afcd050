//! Compiled lookups against a matcher that reads the rules one after the other.

mod random;

use loadlock_exchange::{Infrastructure, Policy as Snapshot, Seed, SegmentPolicy};
use loadlock_packet::{FlowKey, Kind, Network, Side};
use loadlock_policy::{
    AddressMatch, Policy, PolicyFile, Protocol, Rule, SegmentDefinition, VlanMatch,
};
use proptest::prelude::*;
use random::{SEGMENTS, keys, policies};

fn definitions() -> Vec<SegmentDefinition> {
    let infrastructure = Infrastructure { arp: true, neighbour_discovery: true, link_local: false };
    let policy = SegmentPolicy { infrastructure, ..SegmentPolicy::CLOSED };
    let named = SEGMENTS.iter().map(|name| SegmentDefinition { name: (*name).to_owned(), policy });
    named.collect()
}

fn address_fits(wanted: AddressMatch, found: Network) -> Option<u32> {
    match (wanted, found) {
        (AddressMatch::Any, _) => Some(0),
        (AddressMatch::Ip(prefix), Network::Ip(address)) => {
            prefix.contains(address).then_some(u32::from(prefix.bits()))
        }
        (AddressMatch::Mac(wanted), Network::Link { mac, .. }) => (wanted == mac).then_some(128),
        _ => None,
    }
}

fn protocol_fits(protocol: Protocol, key: &FlowKey) -> bool {
    let ipv4 = matches!(key.endpoint(Side::A).network, Network::Ip(address) if address.is_ipv4());
    protocol.kind() == key.tail().kind()
        && match protocol {
            Protocol::Icmp => ipv4,
            Protocol::Icmpv6 => !ipv4,
            _ => true,
        }
}

/// Leading bits fixed by the largest aligned block of `first..=last` that holds `value`.
fn block_bits((first, last): (u16, u16), value: u16) -> u32 {
    (0..=16u32)
        .find(|bits| {
            let free = 16 - bits;
            let start = u32::from(value) >> free << free;
            start >= u32::from(first) && start + (1 << free) - 1 <= u32::from(last)
        })
        .expect("a block of one")
}

/// How specific the rule is if it permits the conversation with this client.
fn specificity(rule: &Rule, key: &FlowKey, client: Side) -> Option<u32> {
    let parts = rule.parts();
    let (client_end, server_end) = (key.endpoint(client), key.endpoint(client.other()));
    let (first, last) = parts.service.range();
    let fits = &*parts.segment == SEGMENTS[key.tail().segment().index()]
        && parts.vlans.contains(key.tail().vlans())
        && parts.client_side.is_none_or(|side| side == client)
        && key.tail().asker().is_none_or(|asker| asker == client)
        && protocol_fits(parts.service.protocol(), key)
        && (first..=last).contains(&server_end.service);
    let oui_fits = match server_end.network {
        Network::Link { oui, .. } if key.tail().kind() == Kind::Snap => oui == parts.service.oui(),
        _ => true,
    };
    if !fits || !oui_fits {
        return None;
    }
    let client_bits = address_fits(parts.client, client_end.network)?;
    let server_bits = address_fits(parts.server, server_end.network)?;
    let service_bits = block_bits((first, last), server_end.service);
    let vlans = u32::from(parts.vlans != VlanMatch::Any);
    Some(client_bits + server_bits + service_bits + vlans)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_lookup_finds_one_of_the_most_specific_rules_that_match(
        policy in policies(),
        keys in proptest::collection::vec(keys(), 100),
        seed in any::<[u64; 2]>(),
    ) {
        let image = policy.compile(&definitions(), 7, Seed(seed), 1000).expect("compiles");
        let snapshot = Snapshot::read(image.words()).expect("a sound image");
        let view = snapshot.view(image.words(), 1);
        for (key, client) in keys.iter().flat_map(|key| [(key, Side::A), (key, Side::B)]) {
            let rated = policy.rules().iter().filter_map(|rule| {
                specificity(rule, key, client).map(|specificity| (specificity, rule))
            });
            let best = rated.clone().map(|(specificity, _)| specificity).max();
            let found = view.find(key, client);
            prop_assert_eq!(found.is_some(), best.is_some(), "{:?} {:?}", key, client);
            if let Some(found) = found {
                let fitting = rated.clone().any(|(specificity, rule)| {
                    Some(specificity) == best && rule.id() == found.rule && rule.options() == found.options
                });
                prop_assert!(fitting, "{:?} found {:?}", key, found);
            }
        }
    }

    #[test]
    fn the_canonical_text_and_the_json_form_give_the_policy_back(policy in policies()) {
        let text = policy.to_toml();
        let read = PolicyFile::parse(&text, "round trip").map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        prop_assert_eq!(&read, &policy);
        prop_assert_eq!(read.to_toml(), text);
        let json = serde_json::to_string(&PolicyFile::from(&policy)).expect("plain data");
        let file: PolicyFile = serde_json::from_str(&json).expect("its own output");
        prop_assert_eq!(file.validate("json").expect("valid"), policy);
    }

    #[test]
    fn the_order_of_the_rules_does_not_matter(policy in policies()) {
        let mut rules = policy.rules().to_vec();
        rules.reverse();
        prop_assert_eq!(Policy::from_rules(rules, "reversed").expect("valid").hash(), policy.hash());
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "[ -~\n]{0,200}") {
        let _ = PolicyFile::parse(&text, "noise");
        let _ = PolicyFile::parse(&format!("format = 1\n[[rule]]\n{text}"), "noise");
    }
}

#[test]
fn any_to_any_holds_for_both_ip_versions_and_not_for_the_link_layer() {
    let text = "format = 1\n[[rule]]\nsegment = \"fab\"\nclient = \"any\"\nserver = \"any\"\nservice = \"udp/53\"\nreason = \"names\"";
    let policy = PolicyFile::parse(text, "test").expect("valid");
    let image = policy.compile(&definitions(), 1, Seed([1, 2]), 16).expect("compiles");
    let snapshot = Snapshot::read(image.words()).expect("sound");
    let view = snapshot.view(image.words(), 1);
    let segment = loadlock_packet::SegmentId::new(0).expect("below 16");
    let find = |a: &str, b: &str, kind| {
        let tail =
            loadlock_packet::KeyTail::new(segment, loadlock_packet::VlanStack::UNTAGGED, kind);
        let ends = [a, b].map(|text| Network::Ip(text.parse().expect("an address")));
        view.find(&random::key(tail, ends, [4000, 53]), Side::A)
    };
    assert!(find("10.0.0.1", "192.0.2.1", Kind::Udp).is_some());
    assert!(find("fd00::1", "fd00::2", Kind::Udp).is_some());
    assert!(find("fd00::1", "fd00::2", Kind::Tcp).is_none());
}
