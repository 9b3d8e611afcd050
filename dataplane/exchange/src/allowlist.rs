//! The compiled allowlist: a read-only hash table over `(segment, VLANs, client, server, kind, service)`.
//!
//! Rules that leave the same parts of the key open have the same *shape* (exact, any client, a /24 of
//! servers, …). A lookup masks the key by each shape in use and probes once for each, so its cost
//! depends on the number of shapes, at most [`SHAPES_MAX`], and not on the number of rules.
//!
//! Form in a policy slot, in 64-bit words: see [`crate::snapshot`] for the header; then narrow buckets of eight
//! words (one cache line: three keys of two words, three rule words of 32 bits, one overflow word); then, for wide rules,
//! two index words a rule (32 bits of the hash, number of the entry) and entries of six words (key of five, rule
//! word), so that a lookup that finds nothing stays in the index. A bucket's overflow word says whether a
//! lookup must look at the next one, an index word of 0 that it ends. Safe code over a slice; the protocol in [`crate::swap`] keeps writers away.

mod compile;
#[cfg(test)]
mod quality;

use std::fmt;

use loadlock_packet::{KeyTail, Kind, NarrowKey, Network, Side, WideKey};

use crate::hash::{Seed, hash_narrow, hash_wide};
use crate::prefetch::prefetch;

pub use compile::CompileError;
pub(crate) use compile::compile;

#[cfg(target_endian = "big")]
compile_error!("keys are packed for a little-endian machine; Loadlock runs on x86-64");

/// Most shapes a policy may use.
pub const SHAPES_MAX: usize = 16;
/// Highest rule number.
pub const RULES_MAX: u32 = (1 << 28) - 1;

const BUCKET_WORDS: usize = 8;
const BUCKET_KEYS: usize = 3;
/// Index words for each wide rule: the index is half full.
const INDEX_WORDS: usize = 2;
const ENTRY_WORDS: usize = 6;
/// Shapes whose lines are fetched ahead: more would displace each other, and hardly any policy has more that are often found.
const SHAPES_FETCHED: usize = 4;
/// No lookup goes further than this many buckets or index words, whatever the region holds; a well spread table at the
/// loads used here needs a few dozen at the outside (`quality.rs`).
const PROBES_MAX: usize = 1024;

/// Number of a rule in its policy version, 1 to [`RULES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u32);

impl RuleId {
    /// Makes an id; `None` for 0 and beyond [`RULES_MAX`].
    #[inline]
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (1..=RULES_MAX).contains(&number).then_some(Self(number))
    }

    /// The number.
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a permitted conversation may come into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleOptions {
    /// The client may send the first packet.
    pub client_opens: bool,
    /// The server may send the first packet (UDP notifications, device discovery).
    pub server_opens: bool,
    /// May be met running at any time, not only in the grace time after start.
    pub midstream: bool,
}

impl RuleOptions {
    /// The ordinary case: the client opens.
    pub const CLIENT_OPENS: Self =
        Self { client_opens: true, server_opens: false, midstream: false };

    fn bits(self) -> u32 {
        u32::from(self.client_opens) << 28
            | u32::from(self.server_opens) << 29
            | u32::from(self.midstream) << 30
    }
}

/// A rule that a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub rule: RuleId,
    /// What it permits.
    pub options: RuleOptions,
}

impl Found {
    #[inline]
    fn from_word(word: u32) -> Option<Self> {
        let rule = RuleId::new(word & RULES_MAX)?;
        let options = RuleOptions {
            client_opens: word & 1 << 28 != 0,
            server_opens: word & 1 << 29 != 0,
            midstream: word & 1 << 30 != 0,
        };
        Some(Self { rule, options })
    }
}

/// Which parts of the key a rule leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// IPv4 table, or the one for IPv6 and the link layer.
    pub narrow: bool,
    /// Leading bits of the client's address that count: up to 32 narrow, 128 wide.
    pub client_prefix: u8,
    /// Leading bits of the server's address that count.
    pub server_prefix: u8,
    /// Leading bits of the service that count: 16 exact, 0 any.
    pub service_prefix: u8,
    /// False: the rule holds in every VLAN.
    pub vlans_exact: bool,
}

impl Shape {
    fn to_word(self) -> u64 {
        u64::from_le_bytes([
            u8::from(self.narrow),
            self.client_prefix,
            self.server_prefix,
            self.service_prefix,
            u8::from(self.vlans_exact),
            0,
            0,
            0,
        ])
    }

    fn from_word(word: u64) -> Option<Self> {
        let [narrow, client_prefix, server_prefix, service_prefix, vlans_exact, ..] =
            word.to_le_bytes();
        let longest = if narrow == 1 { 32 } else { 128 };
        let fits = client_prefix <= longest && server_prefix <= longest && service_prefix <= 16;
        fits.then_some(Self {
            narrow: narrow == 1,
            client_prefix,
            server_prefix,
            service_prefix,
            vlans_exact: vlans_exact == 1,
        })
    }

    /// Masks over a rule key's words.
    fn masks(self) -> [u64; 5] {
        let prefix = |bits: u8| if bits == 0 { 0 } else { u128::MAX << (128 - u32::from(bits)) };
        let service = if self.service_prefix == 0 {
            0
        } else {
            u64::from((u16::MAX << (16 - u32::from(self.service_prefix))).swap_bytes())
        };
        let vlans: u64 = if self.vlans_exact { 0xff_ffff << 32 } else { 0 };
        let last = service | 0xff00_0000 | vlans | 0xff << 56;
        let halves = |bits: u8| {
            let bytes = prefix(bits).to_be_bytes();
            let half = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
            [half(0), half(8)]
        };
        if self.narrow {
            let client = halves(self.client_prefix)[0] & 0xffff_ffff;
            let server = halves(self.server_prefix)[0] & 0xffff_ffff;
            [client | server << 32, last, 0, 0, 0]
        } else {
            let [c0, c1] = halves(self.client_prefix);
            let [s0, s1] = halves(self.server_prefix);
            [c0, c1, s0, s1, last]
        }
    }

    /// More means more of the key is fixed; such rules are looked up first.
    fn specificity(self) -> u32 {
        u32::from(self.client_prefix)
            + u32::from(self.server_prefix)
            + u32::from(self.service_prefix)
            + u32::from(self.vlans_exact)
    }
}

/// One compiled rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleEntry {
    /// What it leaves open.
    pub shape: Shape,
    /// Side of the segment on which the client is.
    pub client_side: Side,
    /// Client's address; bits beyond the shape's prefix don't matter.
    pub client: Network,
    /// Server's address.
    pub server: Network,
    /// Server's service field; [`loadlock_packet::Kind`] says what it means.
    pub service: u16,
    /// Segment, VLANs and kind.
    pub tail: KeyTail,
    /// Number reported with each verdict.
    pub rule: RuleId,
    /// How it may be used.
    pub options: RuleOptions,
}

/// Where a rule's key has its tail; the side that asks of an ICMP tail is the side of the client.
const TAIL_WITHOUT_ASKER: u64 = 0xf7ff_ffff_0000_0000;
const SHAPE_SHIFT: u32 = 16;
const SIDE_SHIFT: u32 = 24;

/// Words of the key under which a rule is stored, before masking. Byte 2 of the last word is the shape.
fn entry_words(entry: &RuleEntry) -> [u64; 5] {
    let last = u64::from(entry.service.swap_bytes())
        | (entry.client_side as u64) << SIDE_SHIFT
        | u64::from(entry.tail.without_asker().bits()) << 32;
    let [c0, c1] = network_words(entry.client);
    let [s0, s1] = network_words(entry.server);
    if entry.shape.narrow {
        [(c0 & 0xffff_ffff) | s0 << 32, last, 0, 0, 0]
    } else {
        [c0, c1, s0, s1, last]
    }
}

fn network_words(network: Network) -> [u64; 2] {
    let mut bytes = [0; 16];
    match network {
        Network::Ip(std::net::IpAddr::V4(address)) => bytes[..4].copy_from_slice(&address.octets()),
        Network::Ip(std::net::IpAddr::V6(address)) => bytes = address.octets(),
        Network::Link { mac, oui } => {
            bytes[..6].copy_from_slice(&mac.0);
            bytes[6..9].copy_from_slice(&oui);
        }
    }
    let half = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    [half(0), half(8)]
}

/// The last word under which a conversation is looked up when `client` is the side its client is on; `None` for an ICMP message
/// of the other side, since only who asks is its client: its identifier isn't a service.
#[inline(always)]
fn probe_last(word: u64, client: Side) -> Option<u64> {
    // In a key's last word: bits 0–15 service of side A, 16–31 of side B, 32–63 the tail, of which 24–26 the kind and 27 the asker.
    const ICMP: u64 = (Kind::Icmp as u64) << 56;
    let asked = word & (0xf << 56);
    if asked == ICMP | (client.other() as u64) << 59 {
        return None;
    }
    let service = word >> (16 * client.other() as u32) & 0xffff;
    Some(service | (client as u64) << SIDE_SHIFT | word & TAIL_WITHOUT_ASKER)
}

#[inline(always)]
fn probe_narrow(key: &NarrowKey, client: Side) -> Option<[u64; 2]> {
    let [addresses, last] = key.0;
    Some([addresses.rotate_left(32 * client as u32), probe_last(last, client)?])
}

#[inline(always)]
fn probe_wide(key: &WideKey, client: Side) -> Option<[u64; 5]> {
    let [a0, a1, b0, b1, last] = key.0;
    let last = probe_last(last, client)?;
    Some(match client {
        Side::A => [a0, a1, b0, b1, last],
        Side::B => [b0, b1, a0, a1, last],
    })
}

/// The shapes in use of one table: a shape's number in a key's last word, and its masks. In place, because a worker reads it
/// anew with each policy and mustn't allocate.
#[derive(Clone, Debug)]
struct Shapes<const N: usize> {
    list: [(u64, [u64; N]); SHAPES_MAX],
    count: usize,
}

impl<const N: usize> Shapes<N> {
    const NONE: Self = Self { list: [(0, [0; N]); SHAPES_MAX], count: 0 };

    fn push(&mut self, number: u64, masks: [u64; N]) -> Result<(), BadTables> {
        *self.list.get_mut(self.count).ok_or(BadTables)? = (number, masks);
        self.count += 1;
        Ok(())
    }

    /// `probe` as rules of each shape in use are stored, the most specific first.
    #[inline(always)]
    fn masked(&self, probe: [u64; N]) -> impl Iterator<Item = [u64; N]> {
        self.list.iter().take(self.count).map(move |(number, masks)| {
            let mut key: [u64; N] = std::array::from_fn(|at| probe[at] & masks[at]);
            key[N - 1] |= number;
            key
        })
    }
}

/// Where the tables lie in a slot, and by which masks they are read. Read once a generation.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    seed: Seed,
    narrow_shapes: Shapes<2>,
    wide_shapes: Shapes<5>,
    narrow_at: usize,
    narrow_buckets: usize,
    index_at: usize,
    entries_at: usize,
    wide_rules: usize,
}

/// A slot whose content no writer of this version makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadTables;

/// The part of a slot's header that describes the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TablesHeader<'a> {
    pub seed: Seed,
    pub shapes: &'a [u64],
    pub narrow_buckets: usize,
    pub wide_rules: usize,
    /// First word of the tables.
    pub at: usize,
}

impl Tables {
    /// An allowlist without rules.
    pub fn empty() -> Self {
        Self {
            seed: Seed([0; 2]),
            narrow_shapes: Shapes::NONE,
            wide_shapes: Shapes::NONE,
            narrow_at: 0,
            narrow_buckets: 0,
            index_at: 0,
            entries_at: 0,
            wide_rules: 0,
        }
    }

    /// Checks that the tables lie inside `words` and that every shape is possible.
    pub fn read(header: &TablesHeader<'_>, words: usize) -> Result<Self, BadTables> {
        let narrow_words = header.narrow_buckets.checked_mul(BUCKET_WORDS).ok_or(BadTables)?;
        let index_words = header.wide_rules.checked_mul(INDEX_WORDS).ok_or(BadTables)?;
        let entry_words = header.wide_rules.checked_mul(ENTRY_WORDS).ok_or(BadTables)?;
        let index_at = header.at.checked_add(narrow_words).ok_or(BadTables)?;
        let entries_at = index_at.checked_add(index_words).ok_or(BadTables)?;
        if entries_at.checked_add(entry_words).is_none_or(|end| end > words) {
            return Err(BadTables);
        }
        let mut tables = Self {
            seed: header.seed,
            narrow_shapes: Shapes::NONE,
            wide_shapes: Shapes::NONE,
            narrow_at: header.at,
            narrow_buckets: header.narrow_buckets,
            index_at,
            entries_at,
            wide_rules: header.wide_rules,
        };
        for (index, &word) in header.shapes.iter().enumerate() {
            let shape = Shape::from_word(word).ok_or(BadTables)?;
            let (number, masks) = ((index as u64) << SHAPE_SHIFT, shape.masks());
            if shape.narrow {
                tables.narrow_shapes.push(number, [masks[0], masks[1]])?;
            } else {
                tables.wide_shapes.push(number, masks)?;
            }
        }
        Ok(tables)
    }

    /// The first rule, most specific shape first, under which side `client` is this conversation's client. One
    /// cache line a shape in use.
    #[inline]
    pub fn find_narrow(&self, words: &[u64], key: &NarrowKey, client: Side) -> Option<Found> {
        let probe = probe_narrow(key, client)?;
        self.narrow_shapes.masked(probe).find_map(|key| self.stored_narrow(words, key))
    }

    /// The same of a wide key. One cache line a shape in use, one or two more where a rule is found.
    #[inline]
    pub fn find_wide(&self, words: &[u64], key: &WideKey, client: Side) -> Option<Found> {
        let probe = probe_wide(key, client)?;
        self.wide_shapes.masked(probe).find_map(|key| self.stored_wide(words, key))
    }

    /// Fetches the first line that [`Tables::find_narrow`] looks at for each of the most specific shapes.
    #[inline(always)]
    pub fn prefetch_narrow(&self, words: &[u64], key: &NarrowKey, client: Side) {
        let Some(probe) = probe_narrow(key, client) else { return };
        for key in self.narrow_shapes.masked(probe).take(SHAPES_FETCHED) {
            let bucket = reduce(hash_narrow(key, self.seed), self.narrow_buckets);
            prefetch(words.get(self.narrow_at + bucket * BUCKET_WORDS));
        }
    }

    /// Fetches the first line that [`Tables::find_wide`] looks at for each of the most specific shapes.
    #[inline(always)]
    pub fn prefetch_wide(&self, words: &[u64], key: &WideKey, client: Side) {
        let Some(probe) = probe_wide(key, client) else { return };
        for key in self.wide_shapes.masked(probe).take(SHAPES_FETCHED) {
            let slot = reduce(hash_wide(key, self.seed), self.wide_rules * INDEX_WORDS);
            prefetch(words.get(self.index_at + slot));
        }
    }

    #[inline]
    fn stored_narrow(&self, words: &[u64], key: [u64; 2]) -> Option<Found> {
        if self.narrow_buckets == 0 {
            return None;
        }
        let mut bucket = reduce(hash_narrow(key, self.seed), self.narrow_buckets);
        for _ in 0..PROBES_MAX {
            let at = self.narrow_at + bucket * BUCKET_WORDS;
            let line: &[u64; BUCKET_WORDS] = words.get(at..)?.first_chunk()?;
            let same = |slot: usize| (line[slot] ^ key[0]) | (line[slot + 1] ^ key[1]) == 0;
            let rules = [line[6] as u32, (line[6] >> 32) as u32, line[7] as u32];
            for (slot, rule) in [0, 2, 4].into_iter().zip(rules) {
                if same(slot) && rule != 0 {
                    return Found::from_word(rule);
                }
            }
            if line[7] >> 32 == 0 {
                return None;
            }
            bucket = if bucket + 1 == self.narrow_buckets { 0 } else { bucket + 1 };
        }
        None
    }

    #[inline]
    fn stored_wide(&self, words: &[u64], key: [u64; 5]) -> Option<Found> {
        let slots = self.wide_rules * INDEX_WORDS;
        if slots == 0 {
            return None;
        }
        let hash = hash_wide(key, self.seed);
        let mut slot = reduce(hash, slots);
        for _ in 0..PROBES_MAX {
            let index = *words.get(self.index_at + slot)?;
            if index == 0 {
                return None;
            }
            if index >> 32 == hash & TAG_MASK {
                // 0 isn't an entry's number; in a damaged slot it leads far outside, where `get` finds nothing.
                let entry = ((index & TAG_MASK) as usize).wrapping_sub(1);
                let at = self.entries_at.wrapping_add(entry.wrapping_mul(ENTRY_WORDS));
                let stored: &[u64; ENTRY_WORDS] = words.get(at..)?.first_chunk()?;
                if stored[..5] == key {
                    return Found::from_word(stored[5] as u32);
                }
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        None
    }
}

/// The hash's low half is an index word's upper one; the table's position comes from the high half.
const TAG_MASK: u64 = 0xffff_ffff;

/// Maps a hash onto `0..count` by multiplication (Lemire, "Fast random integer generation in an interval", 2019).
#[inline]
fn reduce(hash: u64, count: usize) -> usize {
    ((u128::from(hash) * count as u128) >> 64) as usize
}
