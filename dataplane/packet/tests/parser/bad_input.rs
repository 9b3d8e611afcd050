//! Damaged frames: every truncation and every flipped bit of the seeds.

use loadlock_packet::Malformed;

use crate::frames::*;
use crate::invariants;
use crate::seeds::seeds;

#[test]
fn there_are_forty_seeds_and_each_is_well_formed() {
    let seeds = seeds();
    assert!(seeds.len() >= 40, "{} seeds", seeds.len());
    for (name, frame) in seeds {
        assert!(parse_a(&frame).is_ok(), "{name}: {:?}", parse_a(&frame));
        invariants::check(&frame, frame.len(), 3);
    }
}

/// Where the seed's IP packet ends, if it is one that is looked into.
fn packet_end(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    let mut ether_type = u16::from_be_bytes([frame[at], frame[at + 1]]);
    for _ in 0..2 {
        if [0x8100, 0x88a8, 0x9100].contains(&ether_type) {
            at += 4;
            ether_type = u16::from_be_bytes([frame[at], frame[at + 1]]);
        }
    }
    let length = |index: usize| usize::from(u16::from_be_bytes([frame[index], frame[index + 1]]));
    match ether_type {
        TYPE_V4 => Some(at + 2 + length(at + 4)),
        TYPE_V6 => Some(at + 2 + 40 + length(at + 6)),
        _ => None,
    }
}

#[test]
fn no_truncated_frame_gives_a_key_from_bytes_it_does_not_have() {
    for (name, frame) in seeds() {
        for bytes in 0..frame.len() {
            let cut = &frame[..bytes];
            for head in [0, 14, bytes / 2, bytes.saturating_sub(1), bytes] {
                invariants::check(cut, head, 0);
            }
            let parsed = parse_a(cut);
            if packet_end(&frame).is_some_and(|end| bytes < end) {
                assert!(parsed.is_err(), "{name} cut to {bytes} bytes gives {parsed:?}");
            }
            assert_ne!(parsed, Err(Malformed::HeaderSplit), "{name}: all {bytes} bytes are there");
        }
    }
}

#[test]
fn no_flipped_bit_breaks_the_parser() {
    for (_, frame) in seeds() {
        for bit in 0..frame.len() * 8 {
            let mut frame = frame.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            invariants::check(&frame, frame.len() / 2, 15);
            assert_ne!(parse_a(&frame), Err(Malformed::HeaderSplit));
        }
    }
}

#[test]
fn no_flipped_bit_breaks_the_parser_on_a_truncated_frame() {
    for (_, frame) in seeds() {
        for bytes in 0..frame.len() {
            for bit in (0..bytes * 8).step_by(5) {
                let mut cut = frame[..bytes].to_vec();
                cut[bit / 8] ^= 1 << (bit % 8);
                let parsed = parse_a(&cut);
                cut.extend([0xff; 64]);
                let frame_bytes = bytes as u32;
                let with_garbage =
                    loadlock_packet::parse(&cut, frame_bytes, at(loadlock_packet::Side::A));
                assert_eq!(parsed, with_garbage);
            }
        }
    }
}
