//! Keys, rules, policies and places to put a region.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use loadlock_exchange::{
    BindingEntry, Dimensions, Found, Infrastructure, Midstream, Mode, PolicyImage, PolicyView,
    RingFullPolicy, RuleEntry, RuleId, RuleOptions, Seed, SegmentPolicy, Shape, TableFull,
};
use loadlock_packet::negotiation::Helpers;
use loadlock_packet::{
    FlowKey, KeyTail, Kind, MacAddress, NarrowKey, Network, SegmentId, Side, VlanStack, WideKey,
};
use proptest::test_runner::Config;
use tempfile::TempDir;

pub const DIMENSIONS: Dimensions =
    Dimensions { workers: 2, ports: 2, ring_events: 16, rule_capacity: 64, fingerprint: 0xf00d };

pub const SEED: Seed = Seed([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);

/// So many cases a property, or what `PROPTEST_CASES` says, for a campaign.
pub fn cases(count: u32) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        Config::default()
    } else {
        Config::with_cases(count)
    }
}

/// A folder in shared memory if there is one, as in earnest.
pub fn folder() -> TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }
        .expect("a temporary folder")
}

pub fn tail(segment: usize, vlans: VlanStack, kind: Kind) -> KeyTail {
    KeyTail::new(SegmentId::new(segment).expect("below 16"), vlans, kind)
}

/// A conversation between two IPv4 hosts; side A's part first.
pub fn narrow_key(addresses: [[u8; 4]; 2], services: [u16; 2], tail: KeyTail) -> FlowKey {
    let [a, b] = services.map(u16::to_be_bytes);
    let bytes = [addresses.concat(), a.to_vec(), b.to_vec(), tail.bits().to_le_bytes().to_vec()];
    FlowKey::Narrow(NarrowKey(words(&bytes.concat())))
}

/// A conversation over IPv6 or on the link; side A's part first.
pub fn wide_key(addresses: [[u8; 16]; 2], services: [u16; 2], tail: KeyTail) -> FlowKey {
    let [a, b] = services.map(u16::to_be_bytes);
    let bytes = [addresses.concat(), a.to_vec(), b.to_vec(), tail.bits().to_le_bytes().to_vec()];
    FlowKey::Wide(WideKey(words(&bytes.concat())))
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    std::array::from_fn(|at| {
        u64::from_ne_bytes(bytes[at * 8..at * 8 + 8].try_into().expect("eight"))
    })
}

pub fn v4(address: [u8; 4]) -> Network {
    Network::Ip(IpAddr::V4(Ipv4Addr::from(address)))
}

pub const EXACT_NARROW: Shape = Shape {
    narrow: true,
    client_prefix: 32,
    server_prefix: 32,
    service_prefix: 16,
    vlans_exact: true,
};

pub const CLIENT: [u8; 4] = [10, 0, 0, 1];
pub const SERVER: [u8; 4] = [10, 0, 0, 2];

/// The TCP rule number `rule`: client on side A, server port 5000.
pub fn rule(rule: u32) -> RuleEntry {
    RuleEntry {
        shape: EXACT_NARROW,
        client_side: Side::A,
        client: v4(CLIENT),
        server: v4(SERVER),
        service: 5000,
        tail: tail(0, VlanStack::UNTAGGED, Kind::Tcp),
        rule: RuleId::new(rule).expect("a rule number"),
        options: RuleOptions::CLIENT_OPENS,
    }
}

/// A conversation under [`rule`].
pub fn conversation() -> FlowKey {
    narrow_key([CLIENT, SERVER], [1025, 5000], tail(0, VlanStack::UNTAGGED, Kind::Tcp))
}

pub const ENFORCED: SegmentPolicy = SegmentPolicy {
    mode: Mode::Enforce,
    infrastructure: Infrastructure { arp: true, neighbour_discovery: false, link_local: true },
    helpers: Helpers::NONE,
    midstream: Midstream::Grace,
    table_full: TableFull::Static,
    ring_full: RingFullPolicy::Static,
};

/// The policy of this version; its one rule has the same number.
pub fn policy(version: u32) -> PolicyImage {
    PolicyImage::compile(
        version.into(),
        &[ENFORCED],
        &[rule(version)],
        SEED,
        DIMENSIONS.rule_capacity,
    )
    .expect("one rule compiles")
}

/// Number of the rule that permits [`conversation`].
pub fn judged_by(view: &PolicyView<'_>) -> Option<u32> {
    view.find(&conversation(), Side::A).map(|Found { rule, .. }| rule.number())
}

/// Changes bytes of the file at `path` where `marker` stands for the `which`th time, `skip` bytes further on.
pub fn damage(path: &Path, marker: &[u8; 8], which: usize, skip: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let content = std::fs::read(path).expect("readable");
    let found = content
        .chunks_exact(8)
        .enumerate()
        .filter(|(_, word)| word == marker)
        .map(|(at, _)| at as u64 * 8)
        .nth(which)
        .expect("the marker is there");
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("writable");
    file.write_all_at(bytes, found + skip).expect("written");
}

/// How a policy slot begins.
pub const SLOT_MARKER: &[u8; 8] = b"LLPOLIC3";

/// So many hosts of one side, each with an IPv4 address and a station.
pub fn bindings(count: u8) -> Vec<BindingEntry> {
    let binding = |number| BindingEntry {
        segment: SegmentId::new(0).expect("below 16"),
        vlans: VlanStack::UNTAGGED,
        side: Side::A,
        address: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))),
        mac: Some(MacAddress([2, 0, 0, 0, 0, number])),
    };
    (1..=count).map(binding).collect()
}
