//! How well the tables spread keys that lie close together, as a plant's addresses and ports do.

use std::net::{Ipv4Addr, Ipv6Addr};

use loadlock_packet::{KeyTail, Kind, Network, SegmentId, Side, VlanStack};

use super::*;

/// `count` rules with sequential servers and, for each, 50 sequential ports.
fn sequential(count: u32, narrow: bool) -> Vec<RuleEntry> {
    let longest = if narrow { 32 } else { 128 };
    let shape = Shape {
        narrow,
        client_prefix: longest,
        server_prefix: longest,
        service_prefix: 16,
        vlans_exact: true,
    };
    let address = |last: u32| -> Network {
        if narrow {
            Network::Ip(Ipv4Addr::from(0x0a00_0000 + last).into())
        } else {
            Network::Ip(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(last)).into())
        }
    };
    let segment = SegmentId::new(0).expect("segment 0 exists");
    (0..count)
        .map(|at| RuleEntry {
            shape,
            client_side: Side::A,
            client: address(7),
            server: address(256 + at / 50),
            service: 5000 + (at % 50) as u16,
            tail: KeyTail::new(segment, VlanStack::UNTAGGED, Kind::Tcp),
            rule: RuleId::new(at + 1).expect("below the highest"),
            options: RuleOptions::CLIENT_OPENS,
        })
        .collect()
}

/// Buckets or index words that lookups read in a table, as (mean, most).
fn probes(tables: &compile::Compiled, keys: &[[u64; 5]], narrow: bool, seed: Seed) -> (f64, usize) {
    let count = |key: &[u64; 5]| {
        if narrow {
            probes_narrow(tables, [key[0], key[1]], seed)
        } else {
            probes_wide(tables, *key, seed)
        }
    };
    let counts: Vec<usize> = keys.iter().map(count).collect();
    let sum: usize = counts.iter().sum();
    (sum as f64 / counts.len() as f64, counts.into_iter().max().unwrap_or(0))
}

fn probes_narrow(tables: &compile::Compiled, key: [u64; 2], seed: Seed) -> usize {
    let start = reduce(hash_narrow(key, seed), tables.narrow_buckets);
    let lookup = (0..tables.narrow_buckets).map(|probe| {
        let bucket = (start + probe) % tables.narrow_buckets;
        let line = &tables.words[bucket * BUCKET_WORDS..][..BUCKET_WORDS];
        line[7] >> 32 == 0 || (0..BUCKET_KEYS).any(|at| line[at * 2..at * 2 + 2] == key)
    });
    1 + lookup.take_while(|ends| !ends).count()
}

fn probes_wide(tables: &compile::Compiled, key: [u64; 5], seed: Seed) -> usize {
    let slots = tables.wide_rules * INDEX_WORDS;
    let index = &tables.words[tables.narrow_buckets * BUCKET_WORDS..];
    let hash = hash_wide(key, seed);
    let start = reduce(hash, slots);
    let lookup = (0..slots).map(|probe| {
        let word = index[(start + probe) % slots];
        word == 0 || word >> 32 == hash & TAG_MASK
    });
    1 + lookup.take_while(|ends| !ends).count()
}

/// Keys of the rules, and the same with the ports that follow theirs: found and not found.
fn measure(count: u32, narrow: bool, seed: Seed) -> [(f64, usize); 2] {
    let rules = sequential(count, narrow);
    let tables = compile(&rules, seed).expect("well spread");
    let keys = |add: u16| -> Vec<[u64; 5]> {
        let rules = rules.iter().map(|rule| RuleEntry { service: rule.service + add, ..*rule });
        rules.map(|rule| entry_words(&rule)).collect()
    };
    [0, 50].map(|add| probes(&tables, &keys(add), narrow, seed))
}

#[test]
fn sequential_keys_spread_over_the_tables() {
    for seed in [[0; 2], [1, 2], [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210], [u64::MAX; 2]] {
        for (narrow, mean_max) in [(true, 1.3), (false, 3.0)] {
            let [found, missed] = measure(10_000, narrow, Seed(seed));
            println!("narrow {narrow}, seed {seed:x?}: found {found:.2?}, missed {missed:.2?}");
            assert!(found.0 < mean_max && missed.0 < mean_max);
            // An index word is an eighth of a line.
            let most = if narrow { 32 } else { 128 };
            assert!(found.1 < most && missed.1 < most);
        }
    }
}
