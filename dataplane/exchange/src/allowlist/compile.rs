//! From rules to the tables of a policy slot.

use std::fmt;
use std::num::NonZeroU32;

use super::{
    BUCKET_KEYS, BUCKET_WORDS, ENTRY_WORDS, INDEX_WORDS, PROBES_MAX, RULES_MAX, RuleEntry, RuleId,
    SHAPE_SHIFT, SHAPES_MAX, Shape, TAG_MASK, entry_words, reduce,
};
use crate::hash::{Seed, hash_narrow, hash_wide};

/// Why rules can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// More combinations of open parts than [`SHAPES_MAX`].
    TooManyShapes {
        /// How many there are.
        shapes: usize,
    },
    /// More than a policy slot is made for.
    TooManyRules {
        /// Compiled rules.
        rules: usize,
        /// What `exchange.rule_capacity` allows.
        capacity: usize,
    },
    /// Two rules with the same key.
    Duplicate {
        /// The one seen first.
        first: RuleId,
        /// The other.
        second: RuleId,
    },
    /// The seed clusters the rules; with a seed from the kernel this doesn't happen.
    Clustered,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyShapes { shapes } => write!(
                f,
                "the policy's rules have {shapes} different shapes (combinations of open fields), at most {SHAPES_MAX} are \
                 allowed; write rules of the same kind with the same prefix lengths"
            ),
            Self::TooManyRules { rules, capacity } => write!(
                f,
                "the policy compiles to {rules} entries, `exchange.rule_capacity` allows {capacity}; raise it and restart the \
                 dataplane"
            ),
            Self::Duplicate { first, second } => {
                write!(f, "rules {first} and {second} have the same key; remove one of them")
            }
            Self::Clustered => f.write_str(
                "the rules can't be spread over the table; compile again with another seed",
            ),
        }
    }
}

impl std::error::Error for CompileError {}

/// The tables of a policy, ready to be written into a slot.
pub(crate) struct Compiled {
    pub shapes: Vec<u64>,
    pub narrow_buckets: usize,
    pub wide_rules: usize,
    pub words: Vec<u64>,
}

/// Lays out `entries` as tables, hashed with `seed`.
pub(crate) fn compile(entries: &[RuleEntry], seed: Seed) -> Result<Compiled, CompileError> {
    let mut shapes: Vec<Shape> = Vec::new();
    for entry in entries {
        if !shapes.contains(&entry.shape) {
            shapes.push(entry.shape);
        }
    }
    if shapes.len() > SHAPES_MAX {
        return Err(CompileError::TooManyShapes { shapes: shapes.len() });
    }
    shapes.sort_by_key(|shape| (std::cmp::Reverse(shape.specificity()), *shape));
    let narrow_rules = entries.iter().filter(|entry| entry.shape.narrow).count();
    let wide_rules = entries.len() - narrow_rules;
    // Half full: 43 bytes a rule, and one lookup in ten goes to a second line. Wide: 64 bytes.
    let narrow_buckets = narrow_rules.div_ceil(BUCKET_KEYS).saturating_mul(2);
    let words = narrow_buckets * BUCKET_WORDS + wide_rules * (INDEX_WORDS + ENTRY_WORDS);
    let mut compiled = Compiled {
        shapes: shapes.iter().map(|shape| shape.to_word()).collect(),
        narrow_buckets,
        wide_rules,
        words: vec![0; words],
    };
    let mut wide_stored = 0;
    for entry in entries {
        let index = shapes.iter().position(|shape| *shape == entry.shape).unwrap_or(0);
        let masks = entry.shape.masks();
        let stored = entry_words(entry);
        let mut key: [u64; 5] = std::array::from_fn(|at| stored[at] & masks[at]);
        let word = entry.rule.number() | entry.options.bits();
        if entry.shape.narrow {
            key[1] |= (index as u64) << SHAPE_SHIFT;
            compiled.insert_narrow([key[0], key[1]], word, seed)?;
        } else {
            key[4] |= (index as u64) << SHAPE_SHIFT;
            compiled.insert_wide(key, word, wide_stored, seed)?;
            wide_stored += 1;
        }
    }
    Ok(compiled)
}

fn duplicate(stored: u32, new: u32) -> CompileError {
    // Every stored word has its rule's number, which isn't 0.
    let id = |word: u32| RuleId::new(word & RULES_MAX).unwrap_or(RuleId(NonZeroU32::MIN));
    CompileError::Duplicate { first: id(stored), second: id(new) }
}

impl Compiled {
    fn insert_narrow(&mut self, key: [u64; 2], word: u32, seed: Seed) -> Result<(), CompileError> {
        let mut bucket = reduce(hash_narrow(key, seed), self.narrow_buckets);
        for _ in 0..PROBES_MAX {
            let line = &mut self.words[bucket * BUCKET_WORDS..][..BUCKET_WORDS];
            let rules = [line[6] as u32, (line[6] >> 32) as u32, line[7] as u32];
            for (slot, rule) in rules.into_iter().enumerate() {
                if rule == 0 {
                    line[slot * 2] = key[0];
                    line[slot * 2 + 1] = key[1];
                    line[6 + slot / 2] |= u64::from(word) << (32 * (slot % 2));
                    return Ok(());
                }
                if line[slot * 2] == key[0] && line[slot * 2 + 1] == key[1] {
                    return Err(duplicate(rule, word));
                }
            }
            line[7] |= 1 << 32;
            bucket = if bucket + 1 == self.narrow_buckets { 0 } else { bucket + 1 };
        }
        Err(CompileError::Clustered)
    }

    /// Stores wide rule number `stored`, from 0.
    fn insert_wide(
        &mut self,
        key: [u64; 5],
        word: u32,
        stored: usize,
        seed: Seed,
    ) -> Result<(), CompileError> {
        let slots = self.wide_rules * INDEX_WORDS;
        let index_at = self.narrow_buckets * BUCKET_WORDS;
        let entry_at = |entry: usize| index_at + slots + entry * ENTRY_WORDS;
        let hash = hash_wide(key, seed);
        let mut slot = reduce(hash, slots);
        for _ in 0..PROBES_MAX {
            let index = self.words[index_at + slot];
            if index == 0 {
                // RULES_MAX keeps the number within its half of the word.
                self.words[index_at + slot] = hash << 32 | (stored as u64 + 1);
                let entry = &mut self.words[entry_at(stored)..][..ENTRY_WORDS];
                entry[..5].copy_from_slice(&key);
                entry[5] = u64::from(word);
                return Ok(());
            }
            if index >> 32 == hash & TAG_MASK {
                let entry = &self.words[entry_at((index & TAG_MASK) as usize - 1)..][..ENTRY_WORDS];
                if entry[..5] == key {
                    return Err(duplicate(entry[5] as u32, word));
                }
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        Err(CompileError::Clustered)
    }
}
