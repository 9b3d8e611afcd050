//! Secrets of tokens and sessions: `loadlock_12_` and 256 random bits in hexadecimal digits. The prefix is what scanners for leaked secrets look for;
//! the number finds the entry, so that what is compared is one hash with one hash, in constant time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "loadlock_";
const DIGITS: usize = 64;

/// The random part.
pub(super) fn random() -> Result<String, String> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is kept of it.
pub(super) fn digest(random: &str) -> Vec<u8> {
    Sha256::digest(random.as_bytes()).to_vec()
}

/// As it is shown once.
pub(super) fn text(id: u64, random: &str) -> String {
    format!("{PREFIX}{id}_{random}")
}

/// Number and random part of what somebody shows.
pub(super) fn parts(text: &str) -> Option<(u64, &str)> {
    let (id, random) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (random.len() == DIGITS).then_some((id.parse().ok()?, random))
}

/// True if it is this one.
pub(super) fn is_same(random: &str, sha256: &[u8]) -> bool {
    digest(random).ct_eq(sha256).into()
}
