//! A policy snapshot: what a slot of the region holds, and what replay holds in memory.
//!
//! Words: 0 magic, 1 policy version, 2 words in use, 3 checksum of all others in use, 4–5 hash seed,
//! 6 shapes and entries, 7 narrow buckets and wide rules, 8–23 segments, 24–39 shapes, 40 place and number of the
//! bindings' table places, 41 the same of the modes, with bit 63 if there are stations among them, 42–47 zero, from 48 the tables of
//! [`crate::allowlist`], behind them, at multiples of eight, those of [`crate::bindings`] and [`crate::modes`]. Half-word pairs hold
//! the first in the low half.

use std::fmt;

use loadlock_packet::{
    Address, FlowKey, MacAddress, NarrowKey, SEGMENTS_MAX, SegmentId, Side, WideKey,
};

use crate::allowlist::{CompileError, Found, RuleEntry, SHAPES_MAX, Tables, TablesHeader, compile};
use crate::bindings::{
    BindingEntry, BindingError, Bindings, Owner, Place, Station, WORDS_PER_BINDING,
    binding_capacity,
};
use crate::hash::Seed;
use crate::index::Index;
use crate::modes::{ModeEntry, ModeError, Modes, WORDS_PER_MODE, mode_capacity};
use crate::segment::{Mode, SegmentPolicy};

const MAGIC: u64 = u64::from_le_bytes(*b"LLPOLIC3");
const SEGMENTS_AT: usize = 8;
const SHAPES_AT: usize = SEGMENTS_AT + SEGMENTS_MAX;
const BINDINGS_WORD: usize = SHAPES_AT + SHAPES_MAX;
const MODES_WORD: usize = BINDINGS_WORD + 1;
/// A multiple of eight: tables begin with a cache line.
const TABLES_AT: usize = BINDINGS_WORD + 8;
/// Words of a slot for each rule that `exchange.rule_capacity` allows.
const WORDS_PER_RULE: usize = 8;

/// What is wrong with a slot's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// Not a snapshot of this version.
    Magic(u64),
    /// It claims more words than the slot has.
    Length(u64),
    /// Content and checksum differ.
    Checksum,
    /// Header values that don't fit together.
    Header,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(found) => {
                write!(f, "the policy slot starts with {found:#018x}, not {MAGIC:#018x}")
            }
            Self::Length(words) => {
                write!(f, "the policy claims {words} words, more than its slot has")
            }
            Self::Checksum => f.write_str("the policy and its checksum differ"),
            Self::Header => f.write_str("the policy's header contradicts itself"),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Bytes of a compiled policy of `rule_capacity` rules, bindings included.
#[must_use]
pub fn slot_bytes(rule_capacity: usize) -> usize {
    slot_words(rule_capacity) * size_of::<u64>()
}

/// A compiled policy, ready to be written into a slot or to judge a replay.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyImage {
    words: Vec<u64>,
}

/// Words a slot needs for `rule_capacity` compiled rules of any kind, and as many bindings and modes as go with them.
#[must_use]
pub fn slot_words(rule_capacity: usize) -> usize {
    // Narrow rules need less, but for rounding up to whole buckets.
    TABLES_AT
        + (rule_capacity + 4) * WORDS_PER_RULE
        + binding_capacity(rule_capacity) * WORDS_PER_BINDING
        + mode_capacity(rule_capacity) * WORDS_PER_MODE
}

impl PolicyImage {
    /// Compiles `entries` for a slot with room for `rule_capacity` rules. `segments` are in the order of their ids.
    /// Linear in the number of entries; allocates the image.
    ///
    /// # Errors
    /// [`CompileError`]; nothing is kept.
    pub fn compile(
        version: u64,
        segments: &[SegmentPolicy],
        entries: &[RuleEntry],
        seed: Seed,
        rule_capacity: usize,
    ) -> Result<Self, CompileError> {
        if entries.len() > rule_capacity {
            return Err(CompileError::TooManyRules {
                rules: entries.len(),
                capacity: rule_capacity,
            });
        }
        let tables = compile(entries, seed)?;
        assert!(TABLES_AT + tables.words.len() <= slot_words(rule_capacity), "slots are too small");
        let mut words = vec![0; TABLES_AT];
        words[0] = MAGIC;
        words[1] = version;
        words[2] = (TABLES_AT + tables.words.len()) as u64;
        words[4..6].copy_from_slice(&seed.0);
        words[6] = tables.shapes.len() as u64 | (entries.len() as u64) << 32;
        words[7] = tables.narrow_buckets as u64 | (tables.wide_rules as u64) << 32;
        for at in 0..SEGMENTS_MAX {
            words[SEGMENTS_AT + at] =
                segments.get(at).copied().unwrap_or(SegmentPolicy::CLOSED).to_word();
        }
        words[SHAPES_AT..][..tables.shapes.len()].copy_from_slice(&tables.shapes);
        words.extend_from_slice(&tables.words);
        words[3] = checksum(&words);
        Ok(Self { words })
    }

    /// Adds bindings, for a slot with room for `rule_capacity` rules.
    ///
    /// # Errors
    /// [`BindingError`]; nothing is kept.
    pub fn bind(
        mut self,
        bindings: &[BindingEntry],
        rule_capacity: usize,
    ) -> Result<Self, BindingError> {
        let capacity = binding_capacity(rule_capacity);
        if bindings.len() > capacity {
            return Err(BindingError::TooMany { bindings: bindings.len(), capacity });
        }
        let table = crate::bindings::compile(bindings, Seed([self.words[4], self.words[5]]))?;
        let at = self.append(&table);
        self.words[BINDINGS_WORD] = Index::header_word(at, table.len());
        self.words[3] = checksum(&self.words);
        Ok(self)
    }

    /// Adds modes of single devices, for a slot with room for `rule_capacity` rules.
    ///
    /// # Errors
    /// [`ModeError`]; nothing is kept.
    pub fn set_modes(
        mut self,
        modes: &[ModeEntry],
        rule_capacity: usize,
    ) -> Result<Self, ModeError> {
        let capacity = mode_capacity(rule_capacity);
        if modes.len() > capacity {
            return Err(ModeError::TooMany { addresses: modes.len(), capacity });
        }
        let seed = Seed([self.words[4], self.words[5]]);
        let (table, has_stations) = crate::modes::compile(modes, seed)?;
        let at = self.append(&table);
        self.words[MODES_WORD] = Modes::header_word(at, table.len(), has_stations);
        self.words[3] = checksum(&self.words);
        Ok(self)
    }

    /// Puts a table behind the others, at the beginning of a cache line; returns the word where.
    fn append(&mut self, table: &[u64]) -> usize {
        let at = self.words.len().next_multiple_of(8);
        self.words.resize(at, 0);
        self.words.extend_from_slice(table);
        self.words[2] = self.words.len() as u64;
        at
    }

    /// The image's words, to read or to copy into a slot.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// Multiply-and-rotate sum over all words but the checksum itself. Finds torn writes and flipped bits, not forgery:
/// whoever can write the region needs no forgery.
fn checksum(words: &[u64]) -> u64 {
    let others = words[..3].iter().chain(&words[4..]);
    others.fold(0x243f_6a88_85a3_08d3, |sum: u64, word| {
        (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Reads a slot completely and compares its checksum. Linear in the policy; not for a worker.
///
/// # Errors
/// What is wrong with it; such a slot must not judge.
pub fn verify(words: &[u64]) -> Result<(), SnapshotError> {
    let used = words_used(words)?;
    if checksum(&words[..used]) != words[3] {
        return Err(SnapshotError::Checksum);
    }
    Policy::read(words).map(drop)
}

fn words_used(words: &[u64]) -> Result<usize, SnapshotError> {
    let header = words.get(..TABLES_AT).ok_or(SnapshotError::Length(words.len() as u64))?;
    if header[0] != MAGIC {
        return Err(SnapshotError::Magic(header[0]));
    }
    match usize::try_from(header[2]) {
        Ok(used) if (TABLES_AT..=words.len()).contains(&used) => Ok(used),
        _ => Err(SnapshotError::Length(header[2])),
    }
}

/// A snapshot's header as a worker keeps it: segment modes and where the tables lie.
#[derive(Clone, Debug)]
pub struct Policy {
    version: u64,
    segments: [SegmentPolicy; SEGMENTS_MAX],
    tables: Tables,
    bindings: Bindings,
    modes: Modes,
}

impl Policy {
    /// The policy before the first: every segment closed, no rule.
    #[must_use]
    pub fn none() -> Self {
        Self {
            version: 0,
            segments: [SegmentPolicy::CLOSED; SEGMENTS_MAX],
            tables: Tables::empty(),
            bindings: Bindings(Index::EMPTY),
            modes: Modes::EMPTY,
        }
    }

    /// Reads and checks a header. Constant time, no allocation.
    ///
    /// # Errors
    /// What is wrong with it; keep the policy in force.
    pub fn read(words: &[u64]) -> Result<Self, SnapshotError> {
        let used = words_used(words)?;
        let low = |word: u64| (word & 0xffff_ffff) as usize;
        let shapes = low(words[6]);
        if shapes > SHAPES_MAX {
            return Err(SnapshotError::Header);
        }
        let mut segments = [SegmentPolicy::CLOSED; SEGMENTS_MAX];
        for (segment, &word) in segments.iter_mut().zip(&words[SEGMENTS_AT..]) {
            *segment = SegmentPolicy::from_word(word).ok_or(SnapshotError::Header)?;
        }
        let header = TablesHeader {
            seed: Seed([words[4], words[5]]),
            shapes: &words[SHAPES_AT..SHAPES_AT + shapes],
            narrow_buckets: low(words[7]),
            wide_rules: (words[7] >> 32) as usize,
            at: TABLES_AT,
        };
        let tables = Tables::read(&header, used).map_err(|_| SnapshotError::Header)?;
        let index = Index::read(header.seed, words[BINDINGS_WORD], used);
        let bindings = Bindings(index.ok_or(SnapshotError::Header)?);
        let modes = Modes::read(header.seed, words[MODES_WORD], used);
        let modes = modes.ok_or(SnapshotError::Header)?;
        Ok(Self { version: words[1], segments, tables, bindings, modes })
    }

    /// Number of the policy version in the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Joins the header with the words it was read from.
    #[inline]
    #[must_use]
    pub fn view<'a>(&'a self, words: &'a [u64], generation: u64) -> PolicyView<'a> {
        PolicyView { policy: self, words, generation }
    }
}

/// The policy in force, for one burst.
#[derive(Clone, Copy)]
pub struct PolicyView<'a> {
    policy: &'a Policy,
    words: &'a [u64],
    generation: u64,
}

impl PolicyView<'_> {
    /// Number in the order of publication; a cached verdict holds as long as it stays the same.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A segment's mode and infrastructure classes.
    #[inline]
    #[must_use]
    pub fn segment(&self, segment: SegmentId) -> SegmentPolicy {
        self.policy.segments[segment.index()]
    }

    /// The rule under which side `client` is this conversation's client. One cache line a shape in use, one or two more
    /// where a wide rule is found; lock-free, no allocation.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &FlowKey, client: Side) -> Option<Found> {
        match key {
            FlowKey::Narrow(key) => self.find_narrow(key, client),
            FlowKey::Wide(key) => self.find_wide(key, client),
        }
    }

    /// [`PolicyView::find`] for a narrow key.
    #[inline]
    #[must_use]
    pub fn find_narrow(&self, key: &NarrowKey, client: Side) -> Option<Found> {
        self.policy.tables.find_narrow(self.words, key, client)
    }

    /// [`PolicyView::find`] for a wide key.
    #[inline]
    #[must_use]
    pub fn find_wide(&self, key: &WideKey, client: Side) -> Option<Found> {
        self.policy.tables.find_wide(self.words, key, client)
    }

    /// Asks the processor for the lines that [`PolicyView::find_narrow`] will look at.
    #[inline]
    pub fn prefetch_narrow(&self, key: &NarrowKey, client: Side) {
        self.policy.tables.prefetch_narrow(self.words, key, client);
    }

    /// Asks the processor for the lines that [`PolicyView::find_wide`] will look at.
    #[inline]
    pub fn prefetch_wide(&self, key: &WideKey, client: Side) {
        self.policy.tables.prefetch_wide(self.words, key, client);
    }

    /// Are there bindings at all?
    #[inline]
    #[must_use]
    pub fn holds_identity(&self) -> bool {
        !self.policy.bindings.is_empty()
    }

    /// Who may speak for `address` in this place, if it is bound. One cache line, seldom two; lock-free, no allocation.
    #[inline]
    #[must_use]
    pub fn owner(&self, place: Place, address: &Address) -> Option<Owner> {
        self.policy.bindings.owner(self.words, place, address)
    }

    /// Has any device a mode of its own?
    #[inline]
    #[must_use]
    pub fn has_device_modes(&self) -> bool {
        !self.policy.modes.is_empty()
    }

    /// Has any station, so that a mode may hang on more than a key?
    #[inline]
    #[must_use]
    pub fn has_station_modes(&self) -> bool {
        self.policy.modes.has_stations()
    }

    /// The mode by which a conversation is judged that goes between these stations: the strictest that one of its ends has of its own, else
    /// that of the segment. A cache line an end, seldom two; lock-free, no allocation.
    #[must_use]
    pub fn mode_of(&self, key: &FlowKey, stations: &[MacAddress]) -> Mode {
        let place = Place::of(key.tail());
        let of_station = |mac: MacAddress| self.policy.modes.of_station(self.words, place, mac);
        let addresses = [Side::A, Side::B].into_iter().filter_map(|side| Address::of(key, side));
        let own = addresses
            .filter_map(|address| self.policy.modes.of_address(self.words, place, &address))
            .max();
        let stations = match self.has_station_modes() {
            true => stations.iter().copied().filter_map(of_station).max(),
            false => None,
        };
        own.max(stations).unwrap_or(self.segment(key.tail().segment()).mode)
    }

    /// The mode of a station whose frame has no key that could be read.
    #[must_use]
    pub fn mode_of_station(&self, segment: SegmentId, mac: MacAddress) -> Mode {
        let place = Place::new(segment, loadlock_packet::VlanStack::UNTAGGED);
        let own = self.policy.modes.of_station(self.words, place, mac);
        own.unwrap_or(self.segment(segment).mode)
    }

    /// What is known of a station in this place. Costs as [`PolicyView::owner`].
    #[inline]
    #[must_use]
    pub fn station(&self, place: Place, mac: MacAddress) -> Option<Station> {
        self.policy.bindings.station(self.words, place, mac)
    }
}
