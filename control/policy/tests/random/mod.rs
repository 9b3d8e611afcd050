//! Random rules and keys from small pools, so that they often meet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use loadlock_exchange::RuleId;
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};
use loadlock_policy::{AddressMatch, Opens, Policy, Prefix, Rule, RuleParts, Service, VlanMatch};
use proptest::prelude::*;

/// Segments that random rules name, in the order of their ids.
pub const SEGMENTS: [&str; 2] = ["fab", "lab-2"];

const SERVICES: &[&str] = &[
    "tcp/80",
    "tcp/5000",
    "tcp/5000-5007",
    "tcp/any",
    "udp/53",
    "udp/any",
    "icmp/echo",
    "icmp/8",
    "icmpv6/echo",
    "icmpv6/any",
    "ip/47",
    "ip/any",
    "fragment/17",
    "ether/0x88cc",
    "ether/any",
    "llc/0x4242",
    "snap/00000c:0x2000",
    "snap/00000d:0x2000",
];

fn vlan_stacks() -> impl Strategy<Value = VlanStack> {
    prop_oneof![
        Just(VlanStack::UNTAGGED),
        Just(VlanStack::new(10, 0)),
        Just(VlanStack::new(10, 20)),
        Just(VlanStack::new(0, 20))
    ]
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (0..2u8, 0..3u8).prop_map(|(net, host)| Ipv4Addr::new(10, 0, net, host))
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    (0..2u16, 0..3u16).prop_map(|(net, host)| Ipv6Addr::new(0xfd00, 0, 0, net, 0, 0, 0, host))
}

fn mac() -> impl Strategy<Value = MacAddress> {
    (0..3u8).prop_map(|last| MacAddress([2, 0, 0, 0, 0, last]))
}

fn network_prefix(address: impl Into<IpAddr>, bits: u8) -> AddressMatch {
    let cleared: IpAddr = match address.into() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() >> (32 - bits) << (32 - bits)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> (128 - bits) << (128 - bits)).into(),
    };
    AddressMatch::Ip(Prefix::new(cleared, bits).expect("the bits behind it are clear"))
}

fn addresses() -> impl Strategy<Value = AddressMatch> {
    prop_oneof![
        Just(AddressMatch::Any),
        ipv4().prop_map(|address| AddressMatch::Ip(Prefix::host(address.into()))),
        ipv4().prop_map(|address| network_prefix(address, 24)),
        ipv6().prop_map(|address| AddressMatch::Ip(Prefix::host(address.into()))),
        ipv6().prop_map(|address| network_prefix(address, 64)),
        mac().prop_map(AddressMatch::Mac),
    ]
}

fn sides() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn parts() -> impl Strategy<Value = RuleParts> {
    let vlans = prop_oneof![Just(VlanMatch::Any), vlan_stacks().prop_map(VlanMatch::Exactly)];
    let opens = prop_oneof![Just(Opens::Client), Just(Opens::Server), Just(Opens::Both)];
    let ends = (addresses(), addresses(), proptest::option::of(sides()));
    let service = proptest::sample::select(SERVICES);
    let texts = ("[ -~äöß→\\\\\"]{0,20}", proptest::option::of("[ -~]{0,10}"));
    (0..SEGMENTS.len(), vlans, ends, service, opens, any::<bool>(), texts).prop_map(
        |(segment, vlans, (client, server, client_side), service, opens, midstream, texts)| {
            RuleParts {
                id: RuleId::new(1).expect("1 is an id"),
                segment: SEGMENTS[segment].into(),
                vlans,
                client,
                client_side,
                server,
                service: Service::from_text(service).expect("the list holds services"),
                opens,
                midstream,
                reason: format!("r{}", texts.0).into(),
                owner: texts.1.map(|owner| Arc::from(format!("o{owner}"))),
            }
        },
    )
}

/// Policies of up to 40 random rules. What doesn't fit together is left out, from the last rule on.
pub fn policies() -> impl Strategy<Value = Policy> {
    let rules = proptest::collection::vec((parts(), 1..5u32), 0..40);
    rules.prop_map(|list| {
        let mut next = 0;
        let numbered = list.into_iter().map(|(parts, step)| {
            next += step;
            RuleParts { id: RuleId::new(next).expect("few rules"), ..parts }
        });
        let mut rules: Vec<_> = numbered.filter_map(|parts| Rule::new(parts).ok()).collect();
        loop {
            match Policy::from_rules(rules.clone(), "random rules") {
                Ok(policy) => return policy,
                Err(_) => drop(rules.pop()),
            }
        }
    })
}

/// A key of any kind, as the parser packs it.
pub fn keys() -> impl Strategy<Value = FlowKey> {
    let services =
        prop_oneof![Just(80u16), 4999..5009u16, Just(53), Just(0x0800), Just(0x0801), Just(0x8000)];
    let link = prop_oneof![
        Just((Kind::NonIp, 0x88ccu16, [0; 3])),
        Just((Kind::Llc, 0x4242, [0; 3])),
        Just((Kind::Snap, 0x2000, [0, 0, 0xc])),
        Just((Kind::Snap, 0x2000, [0, 0, 0xd])),
    ];
    let opaque = prop_oneof![
        Just((Kind::OtherIp, 47u16)),
        Just((Kind::OtherIp, 50)),
        Just((Kind::Fragment, 17))
    ];
    let kinds = prop_oneof![Just(Kind::Tcp), Just(Kind::Udp), Just(Kind::Icmp)];
    let ends = prop_oneof![
        (ipv4(), ipv4()).prop_map(|(a, b)| [IpAddr::V4(a), IpAddr::V4(b)]),
        (ipv6(), ipv6()).prop_map(|(a, b)| [IpAddr::V6(a), IpAddr::V6(b)]),
    ];
    let ip = prop_oneof![
        (kinds, services.clone(), services).prop_map(|(kind, a, b)| (kind, [a, b])),
        opaque.prop_map(|(kind, protocol)| (kind, [protocol; 2])),
    ];
    let conversation = prop_oneof![
        (ends, ip).prop_map(|(ends, (kind, services))| (ends.map(Network::Ip), kind, services)),
        (mac(), mac(), link).prop_map(|(a, b, (kind, service, oui))| {
            ([a, b].map(|mac| Network::Link { mac, oui }), kind, [service; 2])
        }),
    ];
    (0..SEGMENTS.len(), vlan_stacks(), conversation, any::<bool>()).prop_map(
        |(segment, vlans, (ends, kind, services), b_asks)| {
            let segment = SegmentId::new(segment).expect("few segments");
            let tail = KeyTail::new(segment, vlans, kind);
            let asker = if b_asks { Side::B } else { Side::A };
            let tail = if kind == Kind::Icmp { tail.asked_by(asker) } else { tail };
            key(tail, ends, services)
        },
    )
}

/// Packs a key as documented at `NarrowKey` and `WideKey`.
pub fn key(tail: KeyTail, ends: [Network; 2], services: [u16; 2]) -> FlowKey {
    let mut bytes = Vec::new();
    for end in ends {
        match end {
            Network::Ip(IpAddr::V4(address)) => bytes.extend(address.octets()),
            Network::Ip(IpAddr::V6(address)) => bytes.extend(address.octets()),
            Network::Link { mac, oui } => {
                bytes.extend(mac.0);
                bytes.extend(oui);
                bytes.extend([0; 7]);
            }
        }
    }
    for service in services {
        bytes.extend(service.to_be_bytes());
    }
    bytes.extend(tail.bits().to_le_bytes());
    let narrow = bytes.len() == 16;
    let mut words = [0; 5];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(chunk.try_into().expect("chunks of eight"));
    }
    FlowKey::from_words(words, narrow).expect("a known kind")
}
