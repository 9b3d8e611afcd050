//! Property: whatever the bytes are, reading ends without a panic and with bounded memory.

mod blocks;

use std::io::Cursor;

use blocks::{Blocks, classic, gzip};
use loadlock_capture::{BLOCK_BYTES_MAX, CaptureReader, FRAME_BYTES_MAX};
use proptest::prelude::*;

/// What a reader may hold: a block, which `Vec` may have rounded up to twice, and the interface table.
const HELD_BYTES_MAX: usize = 2 * BLOCK_BYTES_MAX + 2 * loadlock_capture::INTERFACES_MAX * 32;

/// Reads to the end or the first error, and returns the packets read.
fn read_to_the_end(bytes: Vec<u8>) -> u64 {
    let bytes_max = bytes.len() as u64 * 2000 + 16;
    let Ok(mut reader) = CaptureReader::from_reader("hostile", Cursor::new(bytes)) else {
        return 0;
    };
    let mut packets = 0;
    loop {
        let next = reader.next().map(|packet| {
            packet.map(|packet| {
                assert!(packet.data.len() <= FRAME_BYTES_MAX);
                assert!(packet.padded_bytes() <= FRAME_BYTES_MAX);
                packet.number
            })
        });
        match next {
            Ok(Some(number)) => {
                packets += 1;
                assert_eq!(number, packets);
                assert!(packets <= bytes_max, "packets out of nothing");
            }
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.packets_read(), packets);
                assert!(!error.to_string().is_empty());
                break;
            }
        }
        assert!(reader.held_bytes() <= HELD_BYTES_MAX);
    }
    assert!(reader.held_bytes() <= HELD_BYTES_MAX);
    packets
}

/// A good capture of each kind, to be mutated.
fn seed(kind: usize) -> Vec<u8> {
    if kind < 4 {
        return classic(
            kind & 1 != 0,
            kind & 2 != 0,
            1,
            &[(1, 1, b"one"), (2, 2, &[2; 100]), (3, 3, b"")],
        );
    }
    let order = Blocks { big_endian: kind == 5 };
    [
        order.section(),
        order.interface(1, 0, &order.option(9, &[9])),
        order.enhanced(0, 1, 3, b"one"),
        order.block(5, &[0; 12]),
        order.simple(4, b"four"),
        order.section(),
        order.interface(1, 65_535, b""),
        order.enhanced(0, 1, 100, &[2; 100]),
    ]
    .concat()
}

#[test]
fn the_seeds_themselves_are_good() {
    for kind in 0..6 {
        assert_eq!(read_to_the_end(seed(kind)), 3, "kind {kind}");
        assert_eq!(read_to_the_end(gzip(&seed(kind))), 3, "kind {kind}");
    }
}

#[test]
fn every_single_bit_flip_of_every_seed_is_survived() {
    for kind in 0..6 {
        let good = seed(kind);
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            read_to_the_end(bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_to_the_end(bytes);
    }

    #[test]
    fn arbitrary_bytes_after_a_good_start(
        kind in 0..6usize,
        keep in 0..400usize,
        tail in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut bytes = seed(kind);
        bytes.truncate(keep);
        bytes.extend(tail);
        read_to_the_end(bytes);
    }

    #[test]
    fn words_replaced_by_hostile_ones(
        kind in 0..6usize,
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![
                Just(0u32), Just(1), Just(0x7fff_ffff), Just(u32::MAX), Just(u32::MAX - 3),
                Just(0x0a0d_0d0a), Just(6), Just(3), Just(FRAME_BYTES_MAX as u32), any::<u32>(),
            ]),
            1..6,
        ),
        big_endian in any::<bool>(),
        compressed in any::<bool>(),
    ) {
        let mut bytes = seed(kind);
        for (index, value) in changes {
            let at = index.index(bytes.len() / 4) * 4;
            let value = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
            bytes[at..at + 4].copy_from_slice(&value);
        }
        let bytes = if compressed { gzip(&bytes) } else { bytes };
        read_to_the_end(bytes);
    }

    #[test]
    fn damaged_gzip(
        kind in 0..6usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = gzip(&seed(kind));
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        read_to_the_end(bytes);
    }
}

#[test]
fn a_gzip_bomb_costs_time_but_no_memory() {
    let mut bytes = Blocks { big_endian: false }.section();
    // One skipped block of 64 MiB of zeros.
    bytes.extend(Blocks { big_endian: false }.block(0x0bad, &vec![0; 64 << 20]));
    let bomb = gzip(&bytes);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(read_to_the_end(bomb), 0);
}
