//! Keyed hash of flow and rule keys.
//!
//! One folded 64 × 64 → 128 bit multiplication per pair of words, as in wyhash (Wang Yi, public domain), keyed by
//! a seed that the kernel's random source gives at start, so that collisions can't be prepared from
//! outside. Not a MAC: an attacker who could read single hash values could find the seed; none leaves the machine.

/// Secret of one table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u64; 2]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(secret)")
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Carries the lower bits into the upper ones, from which tables take their position.
#[inline(always)]
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Hash of a two-word key: one multiplication.
#[inline(always)]
#[must_use]
pub fn hash_narrow(key: [u64; 2], seed: Seed) -> u64 {
    spread(fold(key[0] ^ seed.0[0], key[1] ^ seed.0[1]))
}

/// Hash of a five-word key.
#[inline(always)]
#[must_use]
pub fn hash_wide(key: [u64; 5], seed: Seed) -> u64 {
    let first = fold(key[0] ^ seed.0[0], key[1] ^ seed.0[1]);
    let second = fold(key[2] ^ seed.0[1], key[3] ^ seed.0[0].rotate_left(32));
    spread(fold(first ^ key[4], second ^ seed.0[1]))
}
