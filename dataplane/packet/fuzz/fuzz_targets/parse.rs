//! Any bytes as a frame: no panic, and the invariants of `tests/parser/invariants.rs`.
//!
//! Input: byte 0 is the segment and, times 8, where the first buffer segment ends; the rest is the frame.
//! Run: `cargo +nightly fuzz run parse` in this folder's parent. Inputs that crashed it go to `tests/parser/crashers.rs` by name.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/parser/invariants.rs"]
mod invariants;

fuzz_target!(|input: &[u8]| {
    if let Some((&first, frame)) = input.split_first() {
        invariants::check(frame, usize::from(first) * 8, usize::from(first));
    }
});
