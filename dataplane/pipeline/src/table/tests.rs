//! The flow table against a map of the standard library, and under crafted collisions.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use loadlock_packet::{MacAddress, NarrowKey, WideKey};
use proptest::prelude::*;

use super::*;
use crate::entry::{Flags, Tick};
use crate::verdict::VerdictWord;

const SEED: Seed = Seed([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);

/// Keys by number.
trait TestKey: TableKey + Hash + Debug {
    fn numbered(number: u64) -> Self;
}

impl TestKey for NarrowKey {
    fn numbered(number: u64) -> Self {
        NarrowKey([number, 0])
    }
}

impl TestKey for WideKey {
    fn numbered(number: u64) -> Self {
        WideKey([0, number, 0, 0, 0])
    }
}

fn entry<K: TestKey>(key: K, last_seen: Tick) -> Entry<K> {
    Entry {
        key,
        bytes: [0; 2],
        packets: [0; 2],
        last_seen,
        verdict: VerdictWord::LEARNING,
        generation: 0,
        state: State::UDP,
        flags: Flags::default(),
        macs: [MacAddress([0; 6]); 2],
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Touch(u64),
    Remove(u64),
    /// Removes what is older, over so many lines.
    Sweep(Tick, usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u64..60).prop_map(Step::Insert),
        2 => (0u64..60).prop_map(Step::Touch),
        3 => (0u64..60).prop_map(Step::Remove),
        2 => (0u32..40, 1usize..30).prop_map(|(age, lines)| Step::Sweep(age, lines)),
        1 => Just(Step::Restart),
    ]
}

/// Every line is where a lookup finds it, and its tag says whether there is one.
fn check<K: TestKey>(table: &Table<K>, model: &HashMap<K, Tick>)
where
    Entry<K>: Zeroed,
{
    assert_eq!(table.length(), model.len());
    assert_eq!(table.is_full(), model.len() >= table.capacity);
    for (key, &last_seen) in model {
        let line = table.find(key, table.hash(key)).expect("lost");
        assert_eq!(table.lines[line].last_seen, last_seen);
    }
    let mut occupied = 0;
    for (line, entry) in table.lines.iter().enumerate() {
        let there = entry.state != State::EMPTY;
        occupied += usize::from(there);
        let tag = if there { tag(table.hash(&entry.key)) } else { 0 };
        assert!(table.tags.lanes(line, tag).next() == Some(0), "line {line}");
    }
    assert_eq!(occupied, model.len());
}

fn run<K: TestKey>(capacity: usize, steps: &[Step])
where
    Entry<K>: Zeroed,
{
    let mut table = Table::<K>::new(capacity, SEED, false).unwrap();
    let mut model: HashMap<K, Tick> = HashMap::new();
    for (now, step) in (1..).zip(steps) {
        match *step {
            Step::Insert(number) => {
                let key = K::numbered(number);
                let hash = table.hash(&key);
                assert_eq!(table.find(&key, hash).is_some(), model.contains_key(&key));
                if !model.contains_key(&key) {
                    let inserted = table.insert(entry(key, now), hash).is_some();
                    assert_eq!(inserted, model.len() < capacity);
                    if inserted {
                        model.insert(key, now);
                    }
                }
            }
            Step::Touch(number) => {
                let key = K::numbered(number);
                if let Some(line) = table.find(&key, table.hash(&key)) {
                    table.get_mut(line).last_seen = now;
                    model.insert(key, now);
                }
            }
            Step::Remove(number) => {
                let key = K::numbered(number);
                if let Some(line) = table.find(&key, table.hash(&key)) {
                    table.remove(line);
                    assert!(model.remove(&key).is_some());
                }
            }
            Step::Sweep(age, lines) => {
                table.sweep(lines, |entry, _| {
                    if now - entry.last_seen < age {
                        return Sweep::Keep;
                    }
                    assert!(model.remove(&entry.key).is_some(), "swept twice");
                    Sweep::Remove
                });
            }
            Step::Restart => table.restart_sweep(),
        }
        check(&table, &model);
    }
}

/// One round in portions, with removals by the sweep and, between portions, by others. Returns how often each
/// conversation was looked at.
fn visits<K: TestKey>(
    numbers: &[u64],
    doomed: u64,
    portions: &[usize],
    cut: &[u64],
) -> HashMap<K, usize>
where
    Entry<K>: Zeroed,
{
    let mut table = Table::<K>::new(numbers.len(), SEED, false).unwrap();
    for &number in numbers {
        let key = K::numbered(number);
        table.insert(entry(key, number as Tick), table.hash(&key)).unwrap();
    }
    let mut visits = HashMap::new();
    let mut cut = cut.iter();
    for &portion in portions.iter().chain(&[usize::MAX]) {
        let at_end = table.sweep(portion, |entry, _| {
            *visits.entry(entry.key).or_insert(0) += 1;
            if u64::from(entry.last_seen) % 7 < doomed { Sweep::Remove } else { Sweep::Keep }
        });
        if at_end {
            break;
        }
        if let Some(&number) = cut.next() {
            let key = K::numbered(number);
            if let Some(line) = table.find(&key, table.hash(&key)) {
                table.remove(line);
                visits.entry(key).or_insert(1);
            }
        }
    }
    visits
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_map(capacity in 0usize..50, steps in prop::collection::vec(step(), 0..300)) {
        run::<NarrowKey>(capacity, &steps);
        run::<WideKey>(capacity, &steps);
    }

    #[test]
    fn a_round_of_the_sweep_misses_nobody(
        count in 1u64..200,
        first in any::<u32>(),
        doomed in 0u64..8,
        portions in prop::collection::vec(1usize..60, 0..20),
        cut in prop::collection::vec(0u64..200, 0..20),
    ) {
        let numbers: Vec<u64> = (0..count).map(|number| number + u64::from(first)).collect();
        let cut: Vec<u64> = cut.iter().map(|number| number + u64::from(first)).collect();
        for visits in [
            visits::<NarrowKey>(&numbers, doomed, &portions, &cut).into_values().collect::<Vec<_>>(),
            visits::<WideKey>(&numbers, doomed, &portions, &cut).into_values().collect(),
        ] {
            prop_assert_eq!(visits.len(), numbers.len());
        }
        // Without removals everybody is looked at exactly once.
        let visits = visits::<NarrowKey>(&numbers, 0, &portions, &[]);
        prop_assert!(visits.values().all(|&times| times == 1));
    }
}

/// Numbers of keys whose home is the table's last line.
fn at_the_end(table: &Table<NarrowKey>, count: usize) -> Vec<NarrowKey> {
    let last = table.lines() - 1;
    let keys = (0..).map(NarrowKey::numbered);
    keys.filter(|key| table.home(table.hash(key)) == last).take(count).collect()
}

#[test]
fn a_chain_wraps_around_the_end_and_closes_again() {
    let mut table = Table::<NarrowKey>::new(64, SEED, false).unwrap();
    let keys = at_the_end(&table, 5);
    let mut model = HashMap::new();
    for (now, &key) in (1..).zip(&keys) {
        table.insert(entry(key, now), table.hash(&key)).unwrap();
        model.insert(key, now);
    }
    assert_eq!(table.find(&keys[4], table.hash(&keys[4])), Some(3));
    for key in [keys[1], keys[0], keys[4], keys[2], keys[3]] {
        table.remove(table.find(&key, table.hash(&key)).unwrap());
        model.remove(&key);
        check(&table, &model);
    }
}

#[test]
fn a_sweep_that_removes_at_the_end_looks_at_most_twice_at_what_wrapped() {
    let mut table = Table::<NarrowKey>::new(64, SEED, false).unwrap();
    let keys = at_the_end(&table, 5);
    for &key in &keys {
        table.insert(entry(key, 0), table.hash(&key)).unwrap();
    }
    let mut visits = HashMap::new();
    let at_end = table.sweep(usize::MAX, |entry, _| {
        *visits.entry(entry.key).or_insert(0) += 1;
        if entry.key == keys[0] { Sweep::Remove } else { Sweep::Keep }
    });
    assert!(at_end && table.length() == 4);
    assert_eq!(keys.iter().map(|key| visits[key]).collect::<Vec<_>>(), [1, 2, 1, 1, 1]);
}

#[test]
fn a_table_for_nobody_is_full_and_finds_nothing() {
    let mut table = Table::<WideKey>::new(0, SEED, false).unwrap();
    let key = WideKey::numbered(1);
    assert!(table.is_full());
    assert_eq!(table.find(&key, table.hash(&key)), None);
    assert_eq!(table.insert(entry(key, 0), table.hash(&key)), None);
    assert!(table.sweep(usize::MAX, |_, _| Sweep::Remove));
}

/// Lines a lookup of each key reads, at most.
fn longest_chain(table: &Table<NarrowKey>, keys: &[NarrowKey]) -> usize {
    let reach = |key: &NarrowKey| {
        let hash = table.hash(key);
        table.find(key, hash).map_or(0, |line| table.distance(table.home(hash), line) + 1)
    };
    keys.iter().map(reach).max().unwrap_or(0)
}

#[test]
fn what_a_sweep_has_not_reached_yet_does_not_fill_up_to_the_last_line() {
    // Regression: a flood had filled the table, and its conversations were over; while the sweep removed them, the next flood came.
    const CAPACITY: u64 = 100_000;
    let mut table = Table::<NarrowKey>::new(CAPACITY as usize, SEED, false).unwrap();
    let insert = |table: &mut Table<_>, number| {
        let key = NarrowKey::numbered(number);
        let hash = table.hash(&key);
        table.has_room(hash) && table.insert(entry(key, 0), hash).is_some()
    };
    let refused = (0..CAPACITY).filter(|&number| !insert(&mut table, number)).count();
    assert_eq!(refused, 0, "at random no part is at its limit before the table is");
    table.sweep(table.lines() / 2, |_, _| Sweep::Remove);
    let tried = CAPACITY..3 * CAPACITY;
    let keys: Vec<_> =
        tried.filter(|&number| insert(&mut table, number)).map(NarrowKey::numbered).collect();
    assert!(keys.len() > CAPACITY as usize / 3, "{} taken", keys.len());
    let longest = longest_chain(&table, &keys);
    assert!(longest < 512, "a chain of {longest}");
}

#[test]
fn keys_crafted_to_collide_under_one_seed_spread_under_others() {
    const KEYS: usize = 1000;
    // Addresses fixed, ports free: what one compromised host can choose.
    let known = Table::<NarrowKey>::new(16 * KEYS, SEED, false).unwrap();
    let candidates =
        (0..u64::from(u32::MAX)).map(|ports| NarrowKey([0x0100_000a_0200_000a, ports]));
    let crafted: Vec<_> = candidates
        .filter(|key| known.home(known.hash(key)) < known.lines() / 1000)
        .take(KEYS)
        .collect();
    let fill = |seed| {
        let mut table = Table::<NarrowKey>::new(16 * KEYS, seed, false).unwrap();
        for &key in &crafted {
            table.insert(entry(key, 0), table.hash(&key)).unwrap();
        }
        longest_chain(&table, &crafted)
    };
    assert!(fill(SEED) > KEYS / 2, "they do collide under the seed they were made for");
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state ^ (state >> 29)
    };
    for _ in 0..200 {
        // A table filled to a sixteenth with unrelated keys has chains of two or three.
        let longest = fill(Seed([random(), random()]));
        assert!(longest <= 8, "a chain of {longest}");
    }
}
