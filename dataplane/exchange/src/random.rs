//! Numbers from the kernel's random source.

use std::fs::File;
use std::io::{self, Read};

use crate::hash::Seed;

/// One random word.
pub(crate) fn word() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A seed for one table, drawn at start.
///
/// # Errors
/// `/dev/urandom` can't be read; refuse to start rather than hash predictably.
pub fn seed() -> io::Result<Seed> {
    Ok(Seed([word()?, word()?]))
}
