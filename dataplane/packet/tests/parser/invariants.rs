//! What holds for every input, well-formed or not. The fuzz target runs this file too.

use loadlock_packet::{
    Common, FlowKey, Headers, Ingress, KeyTail, Kind, Malformed, Opening, Quote, SegmentId, Side,
    TcpFlags, common, outline, parse,
};

/// Parses `frame` in several guises and compares; panics where an invariant doesn't hold. `cut` is where a first buffer
/// segment ends, `segment` where the frame came in.
pub fn check(frame: &[u8], cut: usize, segment: usize) {
    let frame_bytes = u32::try_from(frame.len()).expect("short input");
    let segment = SegmentId::new(segment % 16).expect("below 16");
    let from = |side| Ingress { segment, side };
    let whole = parse(frame, frame_bytes, from(Side::A));
    assert!(outline(frame).header_bytes <= frame.len(), "a capture copies no more than there is");

    for garbage in [0x00, 0xff, 0x45] {
        let behind = [frame, &[garbage; 80]].concat();
        let parsed = parse(&behind, frame_bytes, from(Side::A));
        assert_eq!(parsed, whole, "bytes behind the frame must not matter");
        check_common(&behind, frame_bytes, from(Side::B));
    }

    let head = &frame[..cut.min(frame.len())];
    let parsed = parse(head, frame_bytes, from(Side::A));
    for (head, side) in [(frame, Side::A), (frame, Side::B), (head, Side::A), (head, Side::B)] {
        check_common(head, frame_bytes, from(side));
    }
    assert!(
        parsed == whole || parsed == Err(Malformed::HeaderSplit),
        "a head of {} bytes gives {parsed:?} instead of {whole:?}",
        head.len()
    );

    let mirrored = parse(frame, frame_bytes, from(Side::B));
    assert_eq!(whole.err(), mirrored.err(), "the side must not decide what is well-formed");
    let (Ok(whole), Ok(mirrored)) = (whole, mirrored) else { return };
    let stations = [whole.source_mac, whole.destination_mac].map(Some);
    assert_eq!(outline(frame).stations, stations, "a capture is of whom the parser says");

    assert_eq!(whole.key.endpoint(Side::A), mirrored.key.endpoint(Side::B));
    assert_eq!(whole.key.endpoint(Side::B), mirrored.key.endpoint(Side::A));
    let (tail, tail_mirrored) = (whole.key.tail(), mirrored.key.tail());
    assert_eq!(tail.without_asker(), tail_mirrored.without_asker());
    assert_eq!(tail.asker().map(Side::other), tail_mirrored.asker());
    assert_eq!(KeyTail::from_bits(tail.bits()), Some(tail));
    assert_eq!(
        (whole.opening, whole.tcp_flags, whole.class, whole.source_mac, whole.destination_mac),
        (
            mirrored.opening,
            mirrored.tcp_flags,
            mirrored.class,
            mirrored.source_mac,
            mirrored.destination_mac
        )
    );

    assert_eq!(whole.fragment, mirrored.fragment);
    assert_eq!(whole.claim, mirrored.claim);
    check_fragment(&whole);
    check_quotes(&whole, &mirrored);

    let narrow = matches!(whole.key, FlowKey::Narrow(_));
    assert_eq!(FlowKey::from_words(whole.key.words(), narrow), Some(whole.key));
    let kind = whole.key.tail().kind();
    assert_eq!(whole.key.tail().segment(), segment);
    assert!(!(narrow && kind.is_link_layer()));
    assert!(kind == Kind::Tcp || whole.tcp_flags == TcpFlags::default());
    let services = [Side::A, Side::B].map(|side| whole.key.endpoint(side).service);
    if !matches!(kind, Kind::Tcp | Kind::Udp | Kind::Icmp) {
        assert_eq!(services[0], services[1], "{kind:?} has one service number for both sides");
    }
}

/// Exactly later fragments have that kind of key; each ends where the longest packet does at the latest.
fn check_fragment(headers: &Headers) {
    let later = headers.fragment.is_some_and(|fragment| !fragment.is_first());
    assert_eq!(headers.key.tail().kind() == Kind::Fragment, later);
    if let Some(fragment) = headers.fragment {
        assert!(fragment.offset_bytes <= fragment.end_bytes && fragment.offset_bytes % 8 == 0);
        assert!(headers.quote.is_none_or(|quote| quote == Quote::Unreadable));
        if later {
            assert_eq!(headers.key.endpoint(Side::A).service, fragment.protocol.into());
        }
    }
}

/// What an error quotes was sent by its receiver, over the same VLANs, and is no error or fragment itself.
fn check_quotes(whole: &Headers, mirrored: &Headers) {
    assert_eq!(whole.quote.is_some(), mirrored.quote.is_some());
    let (Some(quote), Some(other)) = (whole.quote, mirrored.quote) else { return };
    let tail = whole.key.tail();
    assert_eq!((tail.kind(), whole.opening), (Kind::Icmp, Opening::May), "an error asks nothing");
    let (Quote::Conversation(quoted), Quote::Conversation(other)) = (quote, other) else {
        assert_eq!(quote, other, "the side must not decide what can be read");
        return;
    };
    for side in [Side::A, Side::B] {
        assert_eq!(quoted.endpoint(side), other.endpoint(side.other()));
    }
    assert_eq!(quoted.endpoint(Side::B).network, whole.key.endpoint(Side::B).network);
    let narrow = matches!(quoted, FlowKey::Narrow(_));
    assert_eq!(narrow, matches!(whole.key, FlowKey::Narrow(_)));
    assert_eq!(FlowKey::from_words(quoted.words(), narrow), Some(quoted));
    let inner = quoted.tail();
    assert_eq!((inner.vlans(), inner.segment()), (tail.vlans(), tail.segment()));
    assert!(!inner.kind().is_link_layer() && inner.kind() != Kind::Fragment);
}

/// The short reading gives what the full one gives, or nothing.
fn check_common(head: &[u8], frame_bytes: u32, ingress: Ingress) {
    let headers = match common(head, frame_bytes, ingress) {
        Some(Common::Narrow(brief)) => brief.headers(head, FlowKey::Narrow(brief.key)),
        Some(Common::Wide(brief)) => brief.headers(head, FlowKey::Wide(brief.key)),
        None => return,
    };
    assert_eq!(Ok(headers), parse(head, frame_bytes, ingress));
}
