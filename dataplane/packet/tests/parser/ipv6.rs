//! IPv6: header, extension chains, fragments and neighbour discovery.

use loadlock_packet::{Fragment, FrameClass, Headers, Kind, Malformed, TcpFlags};

use crate::frames::*;

const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;
const SKIPPED: [u8; 5] = [HOP_BY_HOP, DESTINATION, MOBILITY, HOST_IDENTITY, SHIM6];

fn datagram() -> Vec<u8> {
    udp((1, 2), b"payload!")
}

fn plain() -> Headers {
    parse_a(&V6::new(UDP).frame(&datagram())).expect("well-formed")
}

#[test]
fn version_and_header_must_be_whole() {
    let frame = V6::new(UDP).frame(&datagram());
    for version in [0x00, 0x40, 0x50, 0x70, 0xf0] {
        let mut frame = frame.clone();
        frame[14] = version;
        assert_eq!(parse_a(&frame), Err(Malformed::Ipv6Header));
    }
    for bytes in 14..54 {
        assert_eq!(parse_a(&frame[..bytes]), Err(Malformed::Ipv6Header), "{bytes} bytes");
    }
}

#[test]
fn payload_length_must_fit_the_frame() {
    let mut frame = V6::new(UDP).frame(&datagram());
    frame[19] += 1;
    assert_eq!(parse_a(&frame), Err(Malformed::Ipv6Length));
    frame.push(0);
    assert_eq!(parse_a(&frame), Ok(plain()), "the datagram is shorter than its packet");
    frame.resize(300, 0xee);
    assert_eq!(parse_a(&frame), Ok(plain()), "padded");
}

/// RFC 2675. No device here needs one, and its length lies outside the checks.
#[test]
fn jumbograms_are_refused_and_an_empty_packet_is_not() {
    for next in [HOP_BY_HOP, UDP, TCP] {
        let mut frame = V6::new(next).frame(&[0; 64]);
        frame[18..20].copy_from_slice(&[0, 0]);
        assert_eq!(parse_a(&frame), Err(Malformed::Ipv6Length), "next header {next}");
    }
    let nothing = parse_a(&V6::new(NO_NEXT).frame(&[])).expect("no next header");
    assert_eq!((nothing.key.tail().kind(), services(&nothing).0), (Kind::OtherIp, 59));
}

#[test]
fn any_two_extension_headers_in_any_order_are_followed() {
    for first in SKIPPED {
        for second in SKIPPED {
            for units in [0, 1, 31] {
                let chain = [options(first, units), options(second, 0)];
                let frame = chained(&chain, UDP, &datagram());
                assert_eq!(parse_a(&frame), Ok(plain()), "{first} of {units} units, {second}");
            }
        }
        for kind in [2, 3, 4] {
            let frame = chained(&[options(first, 0), routing(kind)], UDP, &datagram());
            assert_eq!(parse_a(&frame), Ok(plain()));
        }
    }
}

#[test]
fn eight_extension_headers_are_followed_and_nine_refused() {
    for count in 0..=16 {
        let chain: Vec<_> = (0..count).map(|at| options(SKIPPED[at % 5], 0)).collect();
        let expected = if count <= 8 { Ok(plain()) } else { Err(Malformed::Ipv6Extensions) };
        assert_eq!(parse_a(&chained(&chain, UDP, &datagram())), expected, "{count} headers");
    }
}

/// Every order of up to four of six kinds, and of up to sixteen as many orders as there is time for.
#[test]
fn extension_chains_of_up_to_sixteen_in_any_order_lead_to_the_same_packet_or_are_refused() {
    let kind = |number: usize| match number {
        5 => fragment(0, false),
        other => options(SKIPPED[other], 0),
    };
    let mut chains: Vec<Vec<usize>> = vec![Vec::new()];
    for length in 1..=4_usize {
        chains.extend((0..6_usize.pow(length as u32)).map(|mut order| {
            let digit = |_| {
                let digit = order % 6;
                order /= 6;
                digit
            };
            (0..length).map(digit).collect()
        }));
    }
    let mut state = 7_u64;
    for length in 5..=16 {
        chains.extend((0..300).map(|_| {
            let digit = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) as usize % 6
            };
            (0..length).map(digit).collect()
        }));
    }
    for chain in chains {
        let headers: Vec<_> = chain.iter().map(|number| kind(*number)).collect();
        let expected = if chain.len() <= 8 { Ok(plain()) } else { Err(Malformed::Ipv6Extensions) };
        assert_eq!(parse_a(&chained(&headers, UDP, &datagram())), expected, "{chain:?}");
    }
}

#[test]
fn an_extension_header_beyond_its_packet_is_refused() {
    for number in SKIPPED {
        let frame = chained(&[options(number, 1)], UDP, &[]);
        assert_eq!(parse_a(&frame), Err(Malformed::UdpLength), "whole, but nothing follows");
        for content in 0..16 {
            // Without content, an empty packet that isn't marked as one counts as a jumbogram.
            let packet = V6::new(number).packet(&frame[54..54 + content]);
            let mut frame = ethernet(MAC_A, MAC_B, &[], TYPE_V6, &packet);
            frame.resize(200, 0);
            let expected =
                if content == 0 { Malformed::Ipv6Length } else { Malformed::Ipv6Extensions };
            assert_eq!(parse_a(&frame), Err(expected), "{number}, {content} bytes");
        }
    }
}

/// RFC 5095.
#[test]
fn routing_header_zero_is_refused_wherever_it_stands() {
    for chain in [
        vec![routing(0)],
        vec![options(HOP_BY_HOP, 0), routing(0)],
        vec![fragment(0, false), routing(0)],
        vec![fragment(0, true), routing(0)],
        vec![routing(4), routing(0)],
    ] {
        let frame = chained(&chain, UDP, &datagram());
        assert_eq!(parse_a(&frame), Err(Malformed::Ipv6RoutingZero), "{chain:?}");
    }
}

#[test]
fn authentication_and_encryption_end_the_chain_as_opaque_protocols() {
    for protocol in [51, 50] {
        let content = [&[TCP, 4][..], &[0; 22], &tcp((1, 2), 2, &[], b"")].concat();
        for chain in [vec![], vec![options(HOP_BY_HOP, 0)]] {
            let headers = parse_a(&chained(&chain, protocol, &content)).expect("opaque");
            assert_eq!(headers.key.tail().kind(), Kind::OtherIp);
            assert_eq!(services(&headers), (u16::from(protocol), u16::from(protocol)));
        }
        let headers = parse_a(&V4::new(protocol).frame(&content)).expect("opaque");
        assert_eq!(
            (headers.key.tail().kind(), services(&headers).0),
            (Kind::OtherIp, protocol.into())
        );
    }
}

#[test]
fn unknown_next_headers_are_opaque() {
    for protocol in [4, 41, 47, 132, 253, 255] {
        let headers = parse_a(&V6::new(protocol).frame(&[0xff; 9])).expect("opaque");
        assert_eq!(
            (headers.key.tail().kind(), services(&headers).1),
            (Kind::OtherIp, protocol.into())
        );
    }
}

/// RFC 6946: a fragment header with offset 0 and nothing to follow.
#[test]
fn atomic_fragments_are_ordinary_packets() {
    assert_eq!(parse_a(&chained(&[fragment(0, false)], UDP, &datagram())), Ok(plain()));
    let chain = [options(HOP_BY_HOP, 0), fragment(0, false), options(DESTINATION, 0)];
    assert_eq!(parse_a(&chained(&chain, UDP, &datagram())), Ok(plain()));
    let mut cut = datagram();
    cut[5] += 1;
    let atomic = chained(&[fragment(0, false)], UDP, &cut);
    assert_eq!(parse_a(&atomic), Err(Malformed::UdpLength), "its length is the datagram's");
}

#[test]
fn a_first_fragment_carries_the_key_of_its_datagram() {
    let mut content = udp((1, 2), &[0; 24]);
    content[4..6].copy_from_slice(&1400_u16.to_be_bytes());
    let first = |protocol, end_bytes| {
        let fragment =
            Fragment { identification: 0xcafe_f00d, protocol, offset_bytes: 0, end_bytes };
        Ok(Headers { fragment: Some(fragment), ..plain() })
    };
    assert_eq!(parse_a(&chained(&[fragment(0, true)], UDP, &content)), first(UDP, 32));
    let chain = [options(HOP_BY_HOP, 0), fragment(0, true), options(DESTINATION, 0)];
    assert_eq!(parse_a(&chained(&chain, UDP, &content)), first(DESTINATION, 40));
    // The outer fragment of two is the one that its receiver puts together.
    let chain = [fragment(0, true), fragment(0, true)];
    assert_eq!(parse_a(&chained(&chain, UDP, &content)), first(FRAGMENT, 40));
}

/// RFC 7112: the first fragment holds the whole header chain.
#[test]
fn a_first_fragment_without_its_header_chain_is_tiny() {
    let chain = [fragment(0, true), options(DESTINATION, 1)];
    let whole = chained(&chain, TCP, &tcp((1, 2), TcpFlags::SYN, &[1; 4], &[]));
    let content = &whole[54..];
    for bytes in 8..content.len() {
        let frame = V6::new(FRAGMENT).frame(&content[..bytes]);
        assert_eq!(parse_a(&frame), Err(Malformed::FragmentTiny), "{bytes} bytes");
    }
    assert!(parse_a(&whole).is_ok());
    let echo = chained(&[fragment(0, true)], ICMP_V6, &icmp(128, 0, 1)[..7]);
    assert_eq!(parse_a(&echo), Err(Malformed::FragmentTiny));
}

#[test]
fn later_fragments_are_keyed_by_protocol_alone() {
    for (protocol, offset_bytes, more) in [
        (UDP, 8, false),
        (UDP, 1448, true),
        (TCP, 24, false),
        (ICMP_V6, 8, true),
        (DESTINATION, 8, false),
    ] {
        let frame = chained(&[fragment(offset_bytes, more)], protocol, &[0xff; 24]);
        let headers = parse_a(&frame).expect("later fragment");
        assert_eq!(headers.key.tail().kind(), Kind::Fragment);
        assert_eq!(services(&headers), (u16::from(protocol), u16::from(protocol)));
        let behind_options = [options(HOP_BY_HOP, 0), fragment(offset_bytes, more)];
        let same = parse_a(&chained(&behind_options, protocol, &[0; 16])).expect("later fragment");
        assert_eq!(same.key, headers.key);
        let of = headers.fragment.expect("a fragment");
        assert_eq!((of.identification, of.protocol), (0xcafe_f00d, protocol));
        assert_eq!((of.offset_bytes, of.end_bytes), (offset_bytes, offset_bytes + 24));
    }
    for offset_bytes in [8, 16] {
        let frame = chained(&[fragment(offset_bytes, false)], TCP, &[0; 40]);
        assert_eq!(parse_a(&frame), Err(Malformed::FragmentTiny), "overlaps the TCP header");
    }
}

#[test]
fn a_fragment_of_a_fragment_is_judged_by_the_first_offset_that_is_not_zero() {
    let chain = [fragment(0, false), fragment(8, false)];
    let headers = parse_a(&chained(&chain, UDP, &datagram())).expect("later fragment");
    assert_eq!((headers.key.tail().kind(), services(&headers).0), (Kind::Fragment, UDP.into()));
    let chain = [fragment(8, false), fragment(0, false)];
    let headers = parse_a(&chained(&chain, UDP, &datagram())).expect("later fragment");
    assert_eq!(
        (headers.key.tail().kind(), services(&headers).0),
        (Kind::Fragment, FRAGMENT.into())
    );
}

/// RFC 8200, 4.5: the reassembled packet's payload length counts the extension headers before the fragment header.
#[test]
fn fragments_must_not_end_beyond_the_longest_packet() {
    let ends = |chain: &[Extension], content: usize| {
        parse_a(&chained(chain, UDP, &vec![0; content])).err()
    };
    assert_eq!(ends(&[fragment(65_528, false)], 7), None);
    assert_eq!(ends(&[fragment(65_528, false)], 8), Some(Malformed::FragmentTooLong));
    assert_eq!(ends(&[options(HOP_BY_HOP, 0), fragment(65_520, false)], 7), None);
    let behind_options = [options(HOP_BY_HOP, 0), fragment(65_520, false)];
    assert_eq!(ends(&behind_options, 8), Some(Malformed::FragmentTooLong));
}

#[test]
fn neighbour_discovery_is_a_class_only_when_no_router_forwarded_it() {
    let class = |kind: u8, hop_limit: u8| {
        let mut header = V6::new(ICMP_V6);
        header.hop_limit = hop_limit;
        parse_a(&header.frame(&icmp(kind, 0, 0))).expect("well-formed").class
    };
    for kind in 133..=137 {
        assert_eq!(class(kind, 255), FrameClass::NeighbourDiscovery, "type {kind}");
        assert_eq!(class(kind, 254), FrameClass::Ordinary, "type {kind} from afar");
        assert_eq!(class(kind, 64), FrameClass::Ordinary);
    }
    for kind in [1, 128, 129, 130, 132, 138, 143] {
        assert_eq!(class(kind, 255), FrameClass::Ordinary, "type {kind}");
    }
}

/// RFC 6980 forbids fragmented discovery; hidden behind any extension header it has no free passage here either.
#[test]
fn neighbour_discovery_behind_extension_headers_is_ordinary() {
    for chain in [vec![fragment(0, false)], vec![options(HOP_BY_HOP, 0)], vec![fragment(0, true)]] {
        let mut frame = chained(&chain, ICMP_V6, &icmp(135, 0, 0));
        frame[21] = 255;
        assert_eq!(parse_a(&frame).expect("well-formed").class, FrameClass::Ordinary, "{chain:?}");
    }
    let mut plain = V6::new(ICMP_V6).frame(&icmp(135, 0, 0));
    plain[21] = 255;
    assert_eq!(parse_a(&plain).expect("well-formed").class, FrameClass::NeighbourDiscovery);
}
