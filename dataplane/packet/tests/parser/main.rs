//! Tests of the parser's public face: what key, class and refusal each kind of frame gives.
//!
//! `frames` builds the bytes by hand, so that a test sees each field it is about and nothing of the workspace's own
//! generator; `seeds` lists frames for truncating, bit-flipping and fuzzing; `invariants` says what holds for any input and
//! is shared with the fuzz target; `differential` compares with etherparse.

mod bad_input;
mod claims;
mod differential;
mod frames;
mod invariants;
mod ipv4;
mod ipv6;
mod keys;
mod link;
mod oracle;
mod outline;
mod seeds;
mod transport;
