//! IPv4: header, lengths, options and fragments.

use loadlock_packet::{Fragment, Kind, Malformed, Opening, TcpFlags};

use crate::frames::*;

fn datagram() -> Vec<u8> {
    udp((1, 2), b"payload!")
}

/// The frame with one byte of its IPv4 header changed.
fn with_header_byte(index: usize, value: u8) -> Vec<u8> {
    let mut frame = V4::new(UDP).frame(&datagram());
    frame[14 + index] = value;
    frame
}

#[test]
fn version_and_header_length_must_make_sense() {
    for (first, expected) in [
        (0x45, None),
        (0x44, Some(Malformed::Ipv4Header)),
        (0x40, Some(Malformed::Ipv4Header)),
        (0x55, Some(Malformed::Ipv4Header)),
        (0x65, Some(Malformed::Ipv4Header)),
        (0x4a, Some(Malformed::Ipv4Header)),
        (0x4f, Some(Malformed::Ipv4Header)),
    ] {
        assert_eq!(parse_a(&with_header_byte(0, first)).err(), expected, "first byte {first:#x}");
    }
    let mut padded = with_header_byte(0, 0x4a);
    padded.resize(60, 0);
    assert_eq!(
        parse_a(&padded),
        Err(Malformed::Ipv4Length),
        "the header fits the frame, not the packet"
    );
}

#[test]
fn total_length_must_fit_the_frame_and_hold_the_header() {
    let frame = V4::new(UDP).frame(&datagram());
    let total = frame.len() - 14;
    for claimed in [0, 19, total + 1, 0xffff] {
        let mut frame = frame.clone();
        frame[16..18].copy_from_slice(&(claimed as u16).to_be_bytes());
        assert_eq!(parse_a(&frame), Err(Malformed::Ipv4Length), "total length {claimed}");
    }
    let mut shorter = frame.clone();
    shorter[16..18].copy_from_slice(&(total as u16 - 1).to_be_bytes());
    assert_eq!(
        parse_a(&shorter),
        Err(Malformed::UdpLength),
        "the datagram reaches beyond its packet"
    );
}

#[test]
fn padding_behind_the_packet_is_allowed_and_not_read() {
    let mut frame = V4::new(ICMP).frame(&icmp(8, 0, 7));
    let key = parse_a(&frame).expect("well-formed").key;
    frame.resize(60, 0xee);
    assert_eq!(parse_a(&frame).expect("padded").key, key);
    let mut short = V4::new(ICMP).frame(&[8, 0, 0, 0]);
    short.resize(60, 0xee);
    assert_eq!(parse_a(&short), Err(Malformed::IcmpHeader), "padding must not complete a header");
    let mut short = V4::new(TCP).frame(&[0; 19]);
    short.resize(60, 0xee);
    assert_eq!(parse_a(&short), Err(Malformed::TcpHeader));
    let mut short = V4::new(UDP).frame(&[0; 7]);
    short.resize(60, 0xee);
    assert_eq!(parse_a(&short), Err(Malformed::UdpLength));
}

#[test]
fn options_move_the_transport_header_and_nothing_else() {
    let plain = parse_a(&V4::new(UDP).frame(&datagram())).expect("well-formed");
    for option_bytes in (4..=40).step_by(4) {
        let mut header = V4::new(UDP);
        header.options = vec![1; option_bytes];
        assert_eq!(
            parse_a(&header.frame(&datagram())),
            Ok(plain),
            "{option_bytes} bytes of options"
        );
    }
}

#[test]
fn reserved_and_do_not_fragment_bits_do_not_make_a_fragment() {
    for bits in [0x4000, 0x8000, 0xc000] {
        let headers = parse_a(&V4::new(UDP).fragment(bits).frame(&datagram())).expect("whole");
        assert_eq!((headers.key.tail().kind(), services(&headers)), (Kind::Udp, (1, 2)));
    }
}

#[test]
fn time_to_live_and_checksum_are_not_judged() {
    for (index, value) in [(8, 0), (8, 255), (10, 0x55), (11, 0xaa)] {
        assert!(parse_a(&with_header_byte(index, value)).is_ok());
    }
}

#[test]
fn a_first_fragment_carries_the_key_of_its_datagram() {
    // The datagram is longer than the fragment: only the first fragment may say so.
    let mut content = udp((1, 2), &[0; 24]);
    content[4..6].copy_from_slice(&1400_u16.to_be_bytes());
    let first = parse_a(&V4::new(UDP).fragment(MORE).frame(&content)).expect("first fragment");
    assert_eq!((first.key.tail().kind(), services(&first)), (Kind::Udp, (1, 2)));
    let fragment =
        Fragment { identification: 0x1234, protocol: UDP, offset_bytes: 0, end_bytes: 32 };
    assert_eq!(first.fragment, Some(fragment));
    assert_eq!(parse_a(&V4::new(UDP).frame(&content)), Err(Malformed::UdpLength));

    let segment = tcp((1, 2), TcpFlags::SYN, &[2, 4, 5, 0xb4], &[0; 8]);
    let first = parse_a(&V4::new(TCP).fragment(MORE).frame(&segment)).expect("first fragment");
    assert_eq!((first.key.tail().kind(), first.opening), (Kind::Tcp, Opening::May));
}

#[test]
fn a_first_fragment_without_its_transport_header_is_tiny() {
    let segment = tcp((1, 2), TcpFlags::SYN, &[1; 20], &[]);
    for (protocol, content, enough) in
        [(TCP, segment, 40), (UDP, datagram(), 8), (ICMP, icmp(8, 0, 1), 8)]
    {
        for bytes in 0..content.len() {
            let parsed = parse_a(&V4::new(protocol).fragment(MORE).frame(&content[..bytes]));
            if bytes < enough {
                assert_eq!(
                    parsed,
                    Err(Malformed::FragmentTiny),
                    "protocol {protocol}, {bytes} bytes"
                );
            } else {
                assert!(parsed.is_ok(), "protocol {protocol}, {bytes} bytes");
            }
        }
    }
    assert!(parse_a(&V4::new(47).fragment(MORE).frame(&[])).is_ok(), "opaque: nothing to be cut");
}

#[test]
fn later_fragments_are_keyed_by_protocol_alone() {
    for (protocol, bits) in [(UDP, 1), (UDP, MORE | 185), (ICMP, 1), (TCP, 3), (50, 1)] {
        let headers =
            parse_a(&V4::new(protocol).fragment(bits).frame(&[0xff; 40])).expect("later fragment");
        assert_eq!(headers.key.tail().kind(), Kind::Fragment);
        assert_eq!(services(&headers), (u16::from(protocol), u16::from(protocol)));
        assert_eq!((headers.opening, headers.tcp_flags), (Opening::May, TcpFlags::default()));
        let empty = parse_a(&V4::new(protocol).fragment(bits).frame(&[])).expect("empty fragment");
        assert_eq!(empty.key, headers.key, "content must not matter");
    }
    let whole = parse_a(&V4::new(47).frame(&[0; 8])).expect("whole");
    let later = parse_a(&V4::new(47).fragment(1).frame(&[0; 8])).expect("later fragment");
    assert_ne!(whole.key, later.key, "a rule for the protocol is not a rule for its fragments");
}

/// RFC 3128: a second fragment inside the TCP header would put other ports or flags over the ones that were judged.
#[test]
fn a_later_fragment_that_overlaps_the_tcp_header_is_tiny() {
    for units in 1..=2 {
        let frame = V4::new(TCP).fragment(units).frame(&[0; 40]);
        assert_eq!(parse_a(&frame), Err(Malformed::FragmentTiny), "offset {} bytes", units * 8);
    }
    assert!(parse_a(&V4::new(TCP).fragment(3).frame(&[0; 40])).is_ok());
    assert!(
        parse_a(&V4::new(UDP).fragment(1).frame(&[0; 40])).is_ok(),
        "8 bytes of header end there"
    );
}

/// The reassembled packet counts with its header: beyond 65,535 bytes is the ping of death.
#[test]
fn fragments_must_not_end_beyond_the_longest_packet() {
    let ends = |offset_bytes: usize, content: usize, options: usize| {
        let mut header = V4::new(UDP).fragment((offset_bytes / 8) as u16);
        header.options = vec![1; options];
        parse_a(&header.frame(&vec![0; content])).err()
    };
    // 65,528 + 7 + 20 bytes of header.
    assert_eq!(ends(65_528, 7, 0), Some(Malformed::FragmentTooLong));
    assert_eq!(ends(65_504, 11, 0), None, "65,535 with the header");
    assert_eq!(ends(65_504, 12, 0), Some(Malformed::FragmentTooLong));
    assert_eq!(ends(65_496, 15, 4), None, "65,535 with header and options");
    assert_eq!(ends(65_496, 16, 4), Some(Malformed::FragmentTooLong));
    assert_eq!(ends(65_528, 1480, 0), Some(Malformed::FragmentTooLong));
}
