//! Ethernet, tags, LLC and SNAP, and the classes that keep a link alive.

use loadlock_packet::{FrameClass, Kind, Malformed, Opening, Side, VlanStack, parse};

use crate::frames::*;

fn vlans(tags: &[(u16, u16)]) -> VlanStack {
    let frame = ethernet(MAC_A, MAC_B, tags, TYPE_V4, &V4::new(UDP).packet(&udp((1, 2), b"")));
    let headers = parse_a(&frame).expect("well-formed");
    assert_eq!(headers.key.tail().kind(), Kind::Udp, "tags must not hide the packet");
    headers.key.tail().vlans()
}

#[test]
fn up_to_two_tags_of_any_type_go_into_the_key() {
    assert_eq!(vlans(&[]), VlanStack::UNTAGGED);
    for outer in [0x8100, 0x88a8, 0x9100] {
        assert_eq!(vlans(&[(outer, 20)]), VlanStack::new(20, 0));
        for inner in [0x8100, 0x88a8, 0x9100] {
            assert_eq!(vlans(&[(outer, 20), (inner, 4094)]), VlanStack::new(20, 4094));
        }
    }
}

#[test]
fn priority_and_drop_eligibility_do_not_matter() {
    assert_eq!(vlans(&[(TAG, 0xf000 | 20)]), VlanStack::new(20, 0));
    assert_eq!(vlans(&[(TAG, 0xe000)]), VlanStack::UNTAGGED, "a priority tag names no VLAN");
}

#[test]
fn a_vlan_inside_a_priority_tag_is_not_that_vlan() {
    assert_ne!(vlans(&[(TAG, 0), (TAG, 20)]), vlans(&[(TAG, 20)]));
    assert_ne!(vlans(&[(TAG, 10), (TAG, 20)]), vlans(&[(TAG, 20), (TAG, 10)]));
}

#[test]
fn a_third_tag_is_an_opaque_ether_type() {
    for third in [0x8100_u16, 0x88a8, 0x9100] {
        let packet = V4::new(UDP).packet(&udp((1, 2), b""));
        let tags = [(TAG, 1), (TAG, 2), (third, 3)];
        let headers = parse_a(&ethernet(MAC_A, MAC_B, &tags, TYPE_V4, &packet)).expect("opaque");
        assert_eq!(headers.key.tail().kind(), Kind::NonIp);
        assert_eq!(headers.key.tail().vlans(), VlanStack::new(1, 2));
        assert_eq!(services(&headers), (third, third));
    }
}

#[test]
fn the_reserved_vlan_is_refused_wherever_it_stands() {
    for tags in [&[(TAG, 4095)][..], &[(TAG, 1), (TAG, 0xffff)], &[(TAG, 4095), (TAG, 1)]] {
        let frame = ethernet(MAC_A, MAC_B, tags, 0x88b8, &[0; 8]);
        assert_eq!(parse_a(&frame), Err(Malformed::VlanReserved));
    }
}

#[test]
fn a_frame_that_ends_inside_its_link_header_is_refused() {
    let frame = ethernet(MAC_A, MAC_B, &[(TAG, 1), (TAG, 2)], 0x88b8, &[]);
    for bytes in 0..frame.len() {
        let expected = if bytes < 14 { Malformed::FrameTooShort } else { Malformed::VlanTruncated };
        assert_eq!(parse_a(&frame[..bytes]), Err(expected), "{bytes} bytes");
    }
    assert!(parse_a(&frame).is_ok());
}

#[test]
fn a_group_address_can_not_be_a_source() {
    for source in [[0xff; 6], [0x01, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        let frame = ethernet(source, MAC_B, &[], 0x88b8, &[0; 46]);
        assert_eq!(parse_a(&frame), Err(Malformed::SourceMacGroup));
    }
}

#[test]
fn llc_is_keyed_by_its_service_access_points() {
    let frame = ethernet(MAC_A, MAC_B, &[(TAG, 6)], 3, &[0x42, 0x43, 3, 0, 0, 0]);
    let headers = parse_a(&frame).expect("LLC");
    assert_eq!((headers.key.tail().kind(), services(&headers)), (Kind::Llc, (0x4243, 0x4243)));
    assert_eq!(headers.key.tail().vlans(), VlanStack::new(6, 0));
}

#[test]
fn snap_is_keyed_by_organisation_and_protocol() {
    let snap = |oui: [u8; 3]| {
        let payload = [&[0xaa, 0xaa, 3][..], &oui, &[0x20, 0x04]].concat();
        parse_a(&ethernet(MAC_A, MAC_B, &[], 8, &payload)).expect("SNAP")
    };
    assert_eq!(snap([0, 0, 0x0c]).key.tail().kind(), Kind::Snap);
    assert_eq!(services(&snap([0, 0, 0x0c])), (0x2004, 0x2004));
    assert_ne!(snap([0, 0, 0x0c]).key, snap([0, 0, 0x0d]).key);
    let short = parse_a(&ethernet(MAC_A, MAC_B, &[], 7, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 4]));
    let short = short.expect("too short for SNAP");
    assert_eq!((short.key.tail().kind(), services(&short).0), (Kind::Llc, 0xaaaa));
}

/// RFC 1042 puts IP behind SNAP; some stacks still take it. It must not pass under an IP rule, nor be looked into.
#[test]
fn ip_behind_snap_stays_opaque() {
    let packet = V4::new(UDP).packet(&udp((1, 2), b""));
    let payload = [&[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00][..], &packet].concat();
    let frame = ethernet(MAC_A, MAC_B, &[], payload.len() as u16, &payload);
    assert_eq!(parse_a(&frame).expect("SNAP").key.tail().kind(), Kind::Snap);
}

#[test]
fn an_802_3_length_must_fit_the_frame() {
    for (length, room, fits) in
        [(0, 46, false), (2, 46, false), (3, 46, true), (46, 46, true), (47, 46, false)]
    {
        let frame = ethernet(MAC_A, MAC_B, &[], length, &vec![0x42; room]);
        let parsed = parse_a(&frame);
        assert_eq!(parsed.is_ok(), fits, "length {length} in {room} bytes");
        assert!(fits || parsed == Err(Malformed::LlcLength));
    }
    let longest = ethernet(MAC_A, MAC_B, &[], 1500, &[0x42; 1500]);
    assert_eq!(parse_a(&longest).expect("1500").key.tail().kind(), Kind::Llc);
    let undefined = ethernet(MAC_A, MAC_B, &[], 1501, &[0x42; 1501]);
    assert_eq!(parse_a(&undefined).expect("1501").key.tail().kind(), Kind::NonIp);
}

#[test]
fn arp_is_a_class_of_its_own_in_any_vlan() {
    for tags in [&[][..], &[(TAG, 9)], &[(TAG, 9), (TAG, 10)]] {
        let headers = parse_a(&ethernet(MAC_A, [0xff; 6], tags, 0x0806, &[0; 28])).expect("ARP");
        assert_eq!(headers.class, FrameClass::Arp);
        assert_eq!((headers.key.tail().kind(), services(&headers).0), (Kind::NonIp, 0x0806));
    }
    let reverse = parse_a(&ethernet(MAC_A, [0xff; 6], &[], 0x8035, &[0; 28])).expect("RARP");
    assert_eq!(reverse.class, FrameClass::Ordinary);
}

#[test]
fn link_local_groups_are_a_class_and_their_neighbours_are_not() {
    let class = |last: u8, ether_type: u16, payload: &[u8]| {
        let frame = ethernet(MAC_A, [0x01, 0x80, 0xc2, 0, 0, last], &[], ether_type, payload);
        parse_a(&frame).expect("well-formed").class
    };
    assert_eq!(class(0x00, 3, &[0x42, 0x42, 3]), FrameClass::LinkLocal);
    assert_eq!(class(0x0e, 0x88cc, &[0; 4]), FrameClass::LinkLocal);
    assert_eq!(class(0x0f, 0x0806, &[0; 28]), FrameClass::LinkLocal, "before ARP");
    assert_eq!(class(0x10, 0x88cc, &[0; 4]), FrameClass::Ordinary);
    let ip = V4::new(UDP).packet(&udp((1, 2), b""));
    assert_eq!(class(0x03, TYPE_V4, &ip), FrameClass::LinkLocal);
}

#[test]
fn unknown_ether_types_are_keyed_by_their_number() {
    for ether_type in
        [0x0600, 0x8847, 0x8863, 0x8864, 0x8892, 0x88a4, 0x88b8, 0x88cc, 0x88f7, 0xffff]
    {
        let headers = parse_a(&ethernet(MAC_A, MAC_B, &[], ether_type, &[])).expect("opaque");
        assert_eq!(headers.key.tail().kind(), Kind::NonIp);
        assert_eq!(services(&headers), (ether_type, ether_type));
        assert_eq!((headers.opening, headers.class), (Opening::May, FrameClass::Ordinary));
    }
}

/// The same frame in buffer segments: as long as the headers lie in the first, nothing changes; else it is refused.
#[test]
fn headers_split_over_segments_are_refused_and_not_misread() {
    let payload = [7; 64];
    let cases = [
        (V4::new(TCP).frame(&tcp((1, 2), 2, &[], &payload)), 54),
        (V4::new(ICMP).frame(&icmp(8, 0, 1)), 42),
        (V6::new(UDP).frame(&udp((1, 2), &payload)), 62),
        (chained(&[options(HOP_BY_HOP, 1), fragment(0, false)], UDP, &udp((1, 2), b"")), 86),
        (ethernet(MAC_A, MAC_B, &[(TAG, 1), (TAG, 2)], 0x88b8, &payload), 22),
        (ethernet(MAC_A, MAC_B, &[], 64, &payload), 16),
    ];
    for (frame, header_bytes) in cases {
        let frame_bytes = frame.len() as u32;
        let whole = parse(&frame, frame_bytes, at(Side::A)).expect("well-formed");
        for head in 0..frame.len() {
            let expected =
                if head < header_bytes { Err(Malformed::HeaderSplit) } else { Ok(whole) };
            assert_eq!(parse(&frame[..head], frame_bytes, at(Side::A)), expected, "{head} bytes");
        }
    }
}
