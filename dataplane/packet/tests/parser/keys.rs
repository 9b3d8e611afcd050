//! The key's promise: both directions of a conversation give the same one, and nothing else gives it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_packet::{
    Endpoint, FlowKey, Headers, Ingress, Kind, MacAddress, Network, SegmentId, Side, VlanStack,
    parse,
};

use crate::frames::*;

const ANY_TAGS: [&[(u16, u16)]; 4] = [&[], &[(TAG, 20)], &[(TAG, 0)], &[(0x88a8, 7), (TAG, 8)]];

fn both_ways(there: &[u8], back: &[u8]) -> (Headers, Headers) {
    let there = parse_at(Side::A, there).expect("frame from A");
    let back = parse_at(Side::B, back).expect("answer from B");
    assert_eq!(there.key, back.key);
    (there, back)
}

/// (protocol, packet content there, content of the answer, kind, services of A and B) over IPv4.
type Conversation = (u8, Vec<u8>, Vec<u8>, Kind, (u16, u16));

fn transports(icmp_protocol: u8, echo: u8, echo_reply: u8) -> Vec<Conversation> {
    let asked = u16::from(echo) << 8;
    vec![
        (
            TCP,
            tcp((1025, 443), 2, &[], b""),
            tcp((443, 1025), 18, &[], b""),
            Kind::Tcp,
            (1025, 443),
        ),
        (UDP, udp((5353, 53), b"x"), udp((53, 5353), b"yy"), Kind::Udp, (5353, 53)),
        (
            icmp_protocol,
            icmp(echo, 0, 0x1234),
            icmp(echo_reply, 0, 0x1234),
            Kind::Icmp,
            (0x1234, asked),
        ),
        (47, vec![0; 4], vec![0; 4], Kind::OtherIp, (47, 47)),
    ]
}

#[test]
fn an_answer_has_the_key_of_its_question_over_ipv4() {
    for (protocol, there, back, kind, expected) in transports(ICMP, 8, 0) {
        for tags in ANY_TAGS {
            let there = V4::new(protocol).packet(&there);
            let back = V4::new(protocol).reversed().packet(&back);
            let (headers, _) = both_ways(
                &ethernet(MAC_A, MAC_B, tags, TYPE_V4, &there),
                &ethernet(MAC_B, MAC_A, tags, TYPE_V4, &back),
            );
            assert!(matches!(headers.key, FlowKey::Narrow(_)));
            assert_eq!((headers.key.tail().kind(), services(&headers)), (kind, expected));
            let address = |side| headers.key.endpoint(side).network;
            assert_eq!(address(Side::A), Network::Ip(IpAddr::V4(Ipv4Addr::from(V4_A))));
            assert_eq!(address(Side::B), Network::Ip(IpAddr::V4(Ipv4Addr::from(V4_B))));
        }
    }
}

#[test]
fn an_answer_has_the_key_of_its_question_over_ipv6() {
    for (protocol, there, back, kind, expected) in transports(ICMP_V6, 128, 129) {
        for tags in ANY_TAGS {
            let there = V6::new(protocol).packet(&there);
            let back = V6::new(protocol).reversed().packet(&back);
            let (headers, _) = both_ways(
                &ethernet(MAC_A, MAC_B, tags, TYPE_V6, &there),
                &ethernet(MAC_B, MAC_A, tags, TYPE_V6, &back),
            );
            assert!(matches!(headers.key, FlowKey::Wide(_)));
            assert_eq!((headers.key.tail().kind(), services(&headers)), (kind, expected));
            let address = |side| headers.key.endpoint(side).network;
            assert_eq!(address(Side::A), Network::Ip(IpAddr::V6(Ipv6Addr::from(V6_A))));
            assert_eq!(address(Side::B), Network::Ip(IpAddr::V6(Ipv6Addr::from(V6_B))));
        }
    }
}

#[test]
fn an_answer_has_the_key_of_its_question_on_the_link() {
    let snap = [0xaa, 0xaa, 3, 0x00, 0x00, 0x0c, 0x20, 0x00, 1, 2];
    let llc = [0x42, 0x42, 3, 0];
    let cases = [
        (0x8892, &[0; 46][..], Kind::NonIp, 0x8892, [0; 3]),
        (4, &llc, Kind::Llc, 0x4242, [0; 3]),
        (10, &snap, Kind::Snap, 0x2000, [0, 0, 0x0c]),
    ];
    for (ether_type, payload, kind, service, oui) in cases {
        let (headers, _) = both_ways(
            &ethernet(MAC_A, MAC_B, &[], ether_type, payload),
            &ethernet(MAC_B, MAC_A, &[], ether_type, payload),
        );
        assert_eq!((headers.key.tail().kind(), services(&headers)), (kind, (service, service)));
        let end = |mac| Endpoint { network: Network::Link { mac: MacAddress(mac), oui }, service };
        assert_eq!(headers.key.endpoint(Side::A), end(MAC_A));
        assert_eq!(headers.key.endpoint(Side::B), end(MAC_B));
    }
}

#[test]
fn the_same_frame_from_the_other_side_is_another_conversation() {
    for frame in [
        V4::new(UDP).frame(&udp((1, 2), b"")),
        V6::new(UDP).frame(&udp((1, 2), b"")),
        ethernet(MAC_A, MAC_B, &[], 0x88b8, &[0; 8]),
    ] {
        let from_a = parse_at(Side::A, &frame).expect("from A");
        let from_b = parse_at(Side::B, &frame).expect("from B");
        assert_ne!(
            from_a.key, from_b.key,
            "a spoofed source on the other side must not meet the real one's flow"
        );
        assert_eq!(from_a.key.endpoint(Side::A), from_b.key.endpoint(Side::B));
        assert_eq!(from_a.key.endpoint(Side::B), from_b.key.endpoint(Side::A));
    }
}

#[test]
fn each_part_of_the_conversation_changes_the_key() {
    let base = V4::new(UDP).frame(&udp((1, 2), b""));
    let key = |frame: &[u8]| parse_a(frame).expect("well-formed").key;
    let mut source = V4::new(UDP);
    source.source = [10, 1, 2, 4];
    let mut destination = V4::new(UDP);
    destination.destination = [10, 1, 2, 4];
    let others = [
        source.frame(&udp((1, 2), b"")),
        destination.frame(&udp((1, 2), b"")),
        V4::new(UDP).frame(&udp((3, 2), b"")),
        V4::new(UDP).frame(&udp((1, 3), b"")),
        V4::new(TCP).frame(&tcp((1, 2), 2, &[], b"")),
        ethernet(MAC_A, MAC_B, &[(TAG, 5)], TYPE_V4, &V4::new(UDP).packet(&udp((1, 2), b""))),
    ];
    for other in others {
        assert_ne!(key(&base), key(&other));
    }
    let mut macs = base.clone();
    macs[11] = 0x77;
    assert_eq!(key(&base), key(&macs), "stations are kept beside an IP key, not in it");
    assert_eq!(parse_a(&macs).expect("well-formed").source_mac.0[5], 0x77);
}

#[test]
fn segments_keep_equal_conversations_apart() {
    let frame = V4::new(UDP).frame(&udp((1, 2), b""));
    let key = |number| {
        let segment = SegmentId::new(number).expect("below 16");
        let ingress = Ingress { segment, side: Side::A };
        let key = parse(&frame, frame.len() as u32, ingress).expect("well-formed").key;
        assert_eq!(key.tail().segment(), segment);
        key
    };
    for number in 1..16 {
        assert_ne!(key(0), key(number));
    }
}

#[test]
fn keys_survive_their_words() {
    let snap = [0xaa, 0xaa, 3, 0x00, 0x00, 0x0c, 0x20, 0x00];
    for frame in [
        V4::new(TCP).frame(&tcp((9, 10), 2, &[], b"")),
        V6::new(UDP).frame(&udp((9, 10), b"")),
        ethernet(MAC_A, MAC_B, &[(0x88a8, 4094), (TAG, 4093)], 8, &snap),
    ] {
        let key = parse_a(&frame).expect("well-formed").key;
        let narrow = matches!(key, FlowKey::Narrow(_));
        assert_eq!(FlowKey::from_words(key.words(), narrow), Some(key));
    }
    assert_eq!(VlanStack::new(4094, 4093).to_string(), "4094.4093");
}

/// ICMPv6 in IPv4 and ICMP in IPv6 have no meaning; a rule for `ping` must not let them through.
#[test]
fn the_other_familys_icmp_is_just_a_protocol_number() {
    let ping = parse_a(&V4::new(ICMP).frame(&icmp(8, 0, 0))).expect("ping");
    let disguised = parse_a(&V4::new(ICMP_V6).frame(&icmp(8, 0, 0))).expect("protocol 58 in IPv4");
    assert_ne!(ping.key, disguised.key);
    assert_eq!(disguised.key.tail().kind(), Kind::OtherIp);
    assert_eq!(services(&disguised), (58, 58));
    let ping = parse_a(&V6::new(ICMP_V6).frame(&icmp(128, 0, 0))).expect("ping");
    let disguised = parse_a(&V6::new(ICMP).frame(&icmp(128, 0, 0))).expect("protocol 1 in IPv6");
    assert_ne!(ping.key, disguised.key);
    assert_eq!((disguised.key.tail().kind(), services(&disguised)), (Kind::OtherIp, (1, 1)));
}
