//! TCP, UDP and ICMP headers: which lengths are refused, and which frame may begin a conversation.

use loadlock_packet::{Kind, Malformed, Opening, Side, TcpFlags};

use crate::frames::*;

#[test]
fn a_tcp_header_must_lie_inside_its_packet() {
    let segment = tcp((1, 2), TcpFlags::ACK, &[1; 8], b"data");
    for bytes in 0..segment.len() {
        let v4 = parse_a(&V4::new(TCP).frame(&segment[..bytes]));
        let v6 = parse_a(&V6::new(TCP).frame(&segment[..bytes]));
        assert_eq!(v4.is_ok(), bytes >= 28, "{bytes} bytes");
        assert!(v4.is_ok() || v4 == Err(Malformed::TcpHeader));
        // An IPv6 packet of length 0 that isn't marked as empty counts as a jumbogram.
        let expected = if bytes == 0 { Malformed::Ipv6Length } else { Malformed::TcpHeader };
        assert!(v6.is_ok() == v4.is_ok() && (v6.is_ok() || v6 == Err(expected)));
    }
}

#[test]
fn the_tcp_data_offset_must_make_sense() {
    let mut segment = tcp((1, 2), TcpFlags::ACK, &[], &[0; 20]);
    for offset in 0..16_u8 {
        segment[12] = offset << 4 | 0xf;
        let parsed = parse_a(&V4::new(TCP).frame(&segment));
        assert_eq!(parsed.is_ok(), (5..=10).contains(&offset), "offset {offset}");
        assert!(parsed.is_ok() || parsed == Err(Malformed::TcpHeader));
    }
}

#[test]
fn only_a_bare_syn_opens_a_tcp_conversation() {
    for flags in 0..=255_u8 {
        let headers = parse_a(&V4::new(TCP).frame(&tcp((1, 2), flags, &[], b""))).expect("TCP");
        let significant = flags & 0x17;
        let expected = if significant == TcpFlags::SYN { Opening::May } else { Opening::MayNot };
        assert_eq!((headers.opening, headers.tcp_flags), (expected, TcpFlags(flags)));
        assert_eq!(headers.tcp_flags.has(TcpFlags::SYN | TcpFlags::ACK), flags & 0x12 == 0x12);
        assert_eq!(headers.tcp_flags.any(TcpFlags::FIN | TcpFlags::RST), flags & 0x05 != 0);
    }
}

#[test]
fn the_udp_length_must_lie_between_its_header_and_its_packet() {
    let mut content = udp((1, 2), &[0; 12]);
    for (length, fits) in
        [(0, false), (7, false), (8, true), (19, true), (20, true), (21, false), (0xffff, false)]
    {
        content[4..6].copy_from_slice(&u16::to_be_bytes(length));
        for parsed in
            [parse_a(&V4::new(UDP).frame(&content)), parse_a(&V6::new(UDP).frame(&content))]
        {
            assert_eq!(parsed.is_ok(), fits, "length {length}");
            assert!(fits || parsed == Err(Malformed::UdpLength));
        }
    }
    for bytes in 1..8 {
        assert_eq!(parse_a(&V4::new(UDP).frame(&content[..bytes])), Err(Malformed::UdpLength));
    }
}

#[test]
fn ports_of_zero_are_ports_like_others() {
    for protocol in [TCP, UDP] {
        let content = if protocol == TCP { tcp((0, 0), 2, &[], b"") } else { udp((0, 0), b"") };
        let headers = parse_a(&V4::new(protocol).frame(&content)).expect("port 0");
        assert_eq!(services(&headers), (0, 0));
    }
}

#[test]
fn icmp_needs_eight_bytes() {
    for bytes in 1..8 {
        let message = &icmp(8, 0, 1)[..bytes];
        assert_eq!(parse_a(&V4::new(ICMP).frame(message)), Err(Malformed::IcmpHeader));
        assert_eq!(parse_a(&V6::new(ICMP_V6).frame(message)), Err(Malformed::IcmpHeader));
    }
    assert!(parse_a(&V4::new(ICMP).frame(&icmp(8, 0, 1)[..8])).is_ok());
}

#[test]
fn queries_and_answers_pair_up_in_both_families() {
    let pairs = [(ICMP, 8, 0), (ICMP, 13, 14), (ICMP, 15, 16), (ICMP, 17, 18), (ICMP_V6, 128, 129)];
    for (protocol, query, answer) in pairs {
        let frame = |kind, back: bool| {
            let message = icmp(kind, 0, 0xbeef);
            match (protocol, back) {
                (ICMP, false) => V4::new(protocol).frame(&message),
                (ICMP, true) => V4::new(protocol).reversed().frame(&message),
                (_, false) => V6::new(protocol).frame(&message),
                (_, true) => V6::new(protocol).reversed().frame(&message),
            }
        };
        let asked = parse_at(Side::A, &frame(query, false)).expect("query");
        let answered = parse_at(Side::B, &frame(answer, true)).expect("answer");
        assert_eq!(asked.key, answered.key, "type {query}");
        assert_eq!((asked.opening, answered.opening), (Opening::May, Opening::MayNot));
        assert_eq!(services(&asked), (0xbeef, u16::from(query) << 8));
        // An answer from the asker's side answers a query of the other one: another conversation.
        let stray = parse_at(Side::A, &frame(answer, false)).expect("stray answer");
        assert_ne!(asked.key, stray.key);
        assert_eq!(services(&stray), (u16::from(query) << 8, 0xbeef));
    }
}

#[test]
fn the_code_of_a_query_belongs_to_its_service() {
    let service =
        |code| services(&parse_a(&V4::new(ICMP).frame(&icmp(8, code, 1))).expect("ping")).1;
    assert_eq!((service(0), service(7)), (0x0800, 0x0807));
}

#[test]
fn other_messages_are_one_way_and_keyed_without_their_content() {
    for (protocol, kind) in
        [(ICMP, 3), (ICMP, 5), (ICMP, 11), (ICMP_V6, 1), (ICMP_V6, 2), (ICMP_V6, 143)]
    {
        let parsed = |identifier| {
            let message = icmp(kind, 4, identifier);
            let frame = if protocol == ICMP {
                V4::new(protocol).frame(&message)
            } else {
                V6::new(protocol).frame(&message)
            };
            parse_a(&frame).expect("message")
        };
        assert_eq!(parsed(1), parsed(0xffff), "type {kind}");
        assert_eq!(services(&parsed(1)), (0, u16::from(kind) << 8 | 4));
        assert_eq!((parsed(1).key.tail().kind(), parsed(1).opening), (Kind::Icmp, Opening::May));
    }
}
