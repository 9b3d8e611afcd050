//! Reads hand-made captures of every supported kind, and checks the error of every unsupported one.

mod blocks;

use std::io::Cursor;

use blocks::{Blocks, classic, gzip};
use loadlock_capture::{
    CaptureError, CaptureReader, CaptureWriter, FRAME_BYTES_MAX, FormatProblem, Resolution,
};

type Owned = (u64, u64, u32, Vec<u8>);

/// Reads all packets, and the error that ends the capture if one does.
fn read_all(bytes: &[u8]) -> (Vec<Owned>, Option<CaptureError>) {
    let mut packets = Vec::new();
    let mut reader = match CaptureReader::from_reader("test", Cursor::new(bytes.to_vec())) {
        Ok(reader) => reader,
        Err(error) => return (packets, Some(error)),
    };
    loop {
        match reader.next() {
            Ok(Some(packet)) => packets.push((
                packet.number,
                packet.time_ns,
                packet.wire_bytes,
                packet.data.to_vec(),
            )),
            Ok(None) => return (packets, None),
            Err(error) => {
                assert_eq!(error.packets_read(), packets.len() as u64);
                assert!(matches!(reader.next(), Ok(None)), "an error is told once");
                return (packets, Some(error));
            }
        }
    }
}

/// The problem that ends the capture after `packets` good ones.
fn problem(bytes: &[u8], packets: usize) -> FormatProblem {
    match read_all(bytes) {
        (read, Some(CaptureError::Format { problem, .. })) => {
            assert_eq!(read.len(), packets);
            problem
        }
        other => panic!("expected a format error, got {other:?}"),
    }
}

#[test]
fn classic_captures_of_all_four_magics_read_alike_plain_and_compressed() {
    for big_endian in [false, true] {
        for nano in [false, true] {
            let bytes = classic(
                big_endian,
                nano,
                1,
                &[(7, 123_456, b"first"), (8, 9, b""), (9, 0, b"third")],
            );
            let tick = if nano { 1 } else { 1_000 };
            let expected = vec![
                (1, 7_000_000_000 + 123_456 * tick, 5, b"first".to_vec()),
                (2, 8_000_000_000 + 9 * tick, 0, Vec::new()),
                (3, 9_000_000_000, 5, b"third".to_vec()),
            ];
            for bytes in [bytes.clone(), gzip(&bytes)] {
                let (packets, error) = read_all(&bytes);
                assert!(error.is_none(), "{error:?}");
                assert_eq!(packets, expected);
            }
        }
    }
}

#[test]
fn pcapng_with_several_interfaces_sections_and_foreign_blocks_reads_in_both_byte_orders() {
    let mut bytes = Vec::new();
    for big_endian in [false, true, false] {
        let order = Blocks { big_endian };
        let nano = [order.option(9, &[9]), order.option(14, &order.u64(100))].concat();
        let binary = [order.option(9, &[0x80 | 10]), order.option(0, b"")].concat();
        bytes.extend(order.section());
        bytes.extend(order.interface(1, 0, b""));
        bytes.extend(order.interface(1, 0, &nano));
        bytes.extend(order.interface(1, 0, &binary));
        bytes.extend(order.interface(113, 0, b""));
        // Longer than a block that is held may be: skipped without being read into memory.
        bytes.extend(order.block(0x0bad, &vec![7; 3 * FRAME_BYTES_MAX]));
        bytes.extend(order.enhanced(0, 5_000_001, 5, b"micro"));
        bytes.extend(order.enhanced(1, 7, 900, b"cut"));
        bytes.extend(order.enhanced(2, 1536, 6, b"binary"));
        bytes.extend(order.simple(6, b"simple"));
    }
    let one_section = [
        (5_000_001_000, 5, b"micro".to_vec()),
        (100_000_000_007, 900, b"cut".to_vec()),
        (1_500_000_000, 6, b"binary".to_vec()),
        (1_500_000_000, 6, b"simple".to_vec()),
    ];
    let expected: Vec<Owned> = one_section
        .iter()
        .cycle()
        .take(12)
        .zip(1..)
        .map(|((time, wire, data), number)| (number, *time, *wire, data.clone()))
        .collect();
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let (packets, error) = read_all(&bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(packets, expected);
    }
}

#[test]
fn several_gzip_members_are_one_capture() {
    let bytes = classic(false, false, 1, &[(1, 1, b"one"), (2, 2, b"two")]);
    let (head, tail) = bytes.split_at(50);
    let (packets, error) = read_all(&[gzip(head), gzip(tail)].concat());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(packets.len(), 2);
}

#[test]
fn a_simple_packet_block_is_cut_by_the_interface_snap_length() {
    let order = Blocks { big_endian: false };
    let bytes = [order.section(), order.interface(1, 4, b""), order.simple(1500, b"cut!")].concat();
    assert_eq!(read_all(&bytes).0, vec![(1, 0, 1500, b"cut!".to_vec())]);
}

#[test]
fn other_link_types_are_refused_by_number() {
    assert_eq!(
        problem(&classic(false, false, 113, &[]), 0),
        FormatProblem::LinkType { interface: None, found: 113 }
    );
    let fcs_bits = classic(false, false, 0x3000_0001, &[(1, 1, b"x")]);
    assert_eq!(read_all(&fcs_bits).0.len(), 1, "FCS bits aren't link type");
    let order = Blocks { big_endian: true };
    let bytes = [
        order.section(),
        order.interface(1, 0, b""),
        order.interface(127, 0, b""),
        order.enhanced(0, 0, 1, b"x"),
        order.enhanced(1, 0, 1, b"x"),
    ]
    .concat();
    assert_eq!(problem(&bytes, 1), FormatProblem::LinkType { interface: Some(1), found: 127 });
}

#[test]
fn hostile_lengths_are_refused_with_offset_and_count() {
    let mut long = classic(false, false, 1, &[(1, 1, b"good"), (2, 2, b"bad")]);
    let second = 24 + 16 + 4;
    long[second + 8..second + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    match read_all(&long) {
        (packets, Some(error @ CaptureError::Format { .. })) => {
            assert_eq!(packets.len(), 1);
            let message = error.to_string();
            assert!(message.contains("capture test: at byte 44"), "{message}");
            assert!(message.contains("after 1 good packets"), "{message}");
            assert!(message.contains("4294967295"), "{message}");
        }
        other => panic!("{other:?}"),
    }

    let order = Blocks { big_endian: false };
    let start = [order.section(), order.interface(1, 0, b"")].concat();
    for (length, offset) in [(0u32, 4), (8, 4), (13, 4), (16, 4), (u32::MAX, 4)] {
        let mut bytes = [start.clone(), order.enhanced(0, 0, 4, b"abcd")].concat();
        let at = start.len() + offset;
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(
            problem(&bytes, 0),
            FormatProblem::BlockLength { block_type: 6, found_bytes: length }
        );
    }
    let mut bytes = [start.clone(), order.enhanced(0, 0, 4, b"abcd")].concat();
    let at = start.len() + 20;
    bytes[at..at + 4].copy_from_slice(&200u32.to_le_bytes());
    assert_eq!(problem(&bytes, 0), FormatProblem::BlockContent { block_type: 6 });
    bytes[at..at + 4].copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
    assert_eq!(
        problem(&bytes, 0),
        FormatProblem::FrameTooLong { captured_bytes: FRAME_BYTES_MAX as u32 + 1 }
    );
}

#[test]
fn damaged_blocks_are_refused_each_by_its_kind() {
    let order = Blocks { big_endian: false };
    let start = [order.section(), order.interface(1, 0, b"")].concat();
    let mut differ = [start.clone(), order.block(5, &[0; 8])].concat();
    let last = differ.len() - 4;
    differ[last] ^= 1;
    assert_eq!(
        problem(&differ, 0),
        FormatProblem::BlockLengthsDiffer { block_type: 5, first_bytes: 20, last_bytes: 21 }
    );
    let unknown = [start.clone(), order.enhanced(3, 0, 1, b"x")].concat();
    assert_eq!(
        problem(&unknown, 0),
        FormatProblem::UnknownInterface { interface: 3, described: 1 }
    );
    let obsolete = [start.clone(), order.block(2, &[0; 24])].concat();
    assert_eq!(problem(&obsolete, 0), FormatProblem::ObsoletePacketBlock);
    let fine = [order.section(), order.interface(1, 0, &order.option(9, &[20]))].concat();
    assert_eq!(problem(&fine, 0), FormatProblem::TimeResolution { interface: 0, found: 20 });
    let mut many = order.section();
    for _ in 0..=loadlock_capture::INTERFACES_MAX {
        many.extend(order.interface(1, 0, b""));
    }
    assert_eq!(problem(&many, 0), FormatProblem::TooManyInterfaces);
    assert_eq!(
        problem(b"GIF89a, not a capture", 0),
        FormatProblem::UnknownMagic { magic: *b"GIF8" }
    );
}

#[test]
fn a_cut_last_record_is_told_after_the_good_packets() {
    let bytes = classic(false, false, 1, &[(1, 1, b"good"), (2, 2, b"last one")]);
    for cut in 45..bytes.len() {
        let (packets, error) = read_all(&bytes[..cut]);
        assert_eq!(packets.len(), 1);
        let error = error.expect("a cut record is an error");
        assert!(error.is_truncated());
        assert!(
            matches!(error, CaptureError::Truncated { packets_read: 1, offset_bytes: 44, .. }),
            "{error:?}"
        );
    }
    assert!(read_all(&bytes[..44]).1.is_none(), "ends between records");
    for cut in 0..24 {
        assert!(read_all(&bytes[..cut]).1.expect("no header").is_truncated());
    }
}

#[test]
fn a_cut_gzip_stream_never_passes_for_a_clean_end() {
    let bytes = gzip(&classic(false, false, 1, &[(1, 1, b"first"), (2, 2, b"second")]));
    for cut in 0..bytes.len() {
        let (_, error) = read_all(&bytes[..cut]);
        assert!(error.is_some(), "cut at {cut} of {}", bytes.len());
    }
}

#[test]
fn every_cut_of_a_pcapng_is_an_error_except_between_blocks() {
    let order = Blocks { big_endian: true };
    let parts = [
        order.section(),
        order.interface(1, 0, b""),
        order.enhanced(0, 1, 3, b"abc"),
        order.block(4, &[0; 16]),
        order.simple(3, b"abc"),
    ];
    let bytes = parts.concat();
    let mut ends: Vec<usize> = parts
        .iter()
        .scan(0, |end, part| {
            *end += part.len();
            Some(*end)
        })
        .collect();
    ends.sort_unstable();
    for cut in 0..bytes.len() {
        assert_eq!(read_all(&bytes[..cut]).1.is_none(), ends.contains(&cut), "cut at {cut}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let packets: [(u64, &[u8]); 3] = [
        (1_700_000_000_123_456_789, b"one"),
        (1_700_000_000_123_456_790, b""),
        (1_700_000_001_000_000_000, &[0x5a; 9000]),
    ];
    for (name, resolution, tick) in [
        ("micro.pcap", Resolution::Micro, 1_000),
        ("nano.pcap", Resolution::Nano, 1),
        ("nano.pcap.gz", Resolution::Nano, 1),
    ] {
        let path = folder.path().join(name);
        let mut writer = CaptureWriter::create(&path, resolution).expect("created");
        for (time_ns, data) in packets {
            writer.write(time_ns, data).expect("written");
        }
        assert_eq!(writer.packets_written(), 3);
        writer.finish().expect("finished");
        let compressed = std::fs::read(&path).expect("written")[..2] == [0x1f, 0x8b];
        assert_eq!(compressed, name.ends_with(".gz"));
        let mut reader = CaptureReader::open(&path).expect("opened");
        for (time_ns, data) in packets {
            let packet = reader.next().expect("good").expect("a packet");
            assert_eq!(packet.time_ns, time_ns / tick * tick);
            assert_eq!(packet.data, data);
            assert_eq!(packet.padded_bytes(), data.len());
            assert!(!packet.is_cut());
        }
        assert!(reader.next().expect("good").is_none());
    }
}

#[test]
fn the_writer_refuses_what_the_format_cannot_hold() {
    let mut writer = CaptureWriter::new(Vec::new(), Resolution::Nano).expect("a Vec takes all");
    assert!(writer.write(u64::MAX, b"").is_err());
    assert!(writer.write(0, &vec![0; FRAME_BYTES_MAX + 1]).is_err());
    assert!(writer.write(0, &vec![0; FRAME_BYTES_MAX]).is_ok());
    let bytes = writer.finish().expect("a Vec takes all");
    assert_eq!(read_all(&bytes).0.len(), 1);
}

#[test]
fn the_length_to_pad_to_is_bounded_and_never_below_the_data() {
    let mut bytes = classic(false, false, 1, &[(1, 1, b"abcd")]);
    for (claimed, padded) in [(0u32, 4), (3, 4), (60, 60), (u32::MAX, FRAME_BYTES_MAX)] {
        bytes[36..40].copy_from_slice(&claimed.to_le_bytes());
        let mut reader =
            CaptureReader::from_reader("test", Cursor::new(bytes.clone())).expect("header");
        let packet = reader.next().expect("good").expect("a packet");
        assert_eq!(packet.wire_bytes, claimed);
        assert_eq!(packet.padded_bytes(), padded);
    }
}
