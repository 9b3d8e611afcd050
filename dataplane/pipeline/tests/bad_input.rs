//! Bad input through the whole pipeline in enforce mode: nothing passes that the rules don't permit. What the parser says of it alone is
//! in `dataplane/packet/tests/parser`.

mod support;

use std::net::Ipv4Addr;

use loadlock_exchange::{DropReason, Mode};
use loadlock_generate::frame::{FrameBuilder, IcmpMessage, Ipv4, Mac, Tcp, TcpFlags};
use loadlock_packet::{Ingress, SegmentId, Side, parse};
use loadlock_pipeline::{Basis, Capacity, Verdict};
use support::flags::{ACK, FIN, RST, SYN};
use support::model::Model;
use support::{Packet, Rig, Rule, Sort, TIMEOUTS, segment};

fn builder() -> FrameBuilder {
    FrameBuilder::new(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 1, 1]))
}

fn header() -> Ipv4 {
    Ipv4::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)).identification(7)
}

fn dns() -> Rule {
    Rule::to_b(1, Sort::Udp4, 53)
}

fn enforced(rules: &[Rule]) -> Rig {
    Rig::settled(segment(Mode::Enforce), rules)
}

fn by(rule: Rule) -> Verdict {
    Verdict::Allow(Basis::Rule(rule.id()))
}

/// Rules for one conversation of each sort that has a client and a server.
fn rules() -> Vec<Rule> {
    vec![
        Rule::to_b(1, Sort::Tcp4, 80),
        Rule::to_b(2, Sort::Tcp6, 80),
        Rule::to_b(3, Sort::Udp4, 53),
        Rule::to_b(4, Sort::Udp6, 53),
        Rule::to_b(5, Sort::Ping4, 0x0800),
        Rule::to_b(6, Sort::Gre4, 47),
        Rule::to_b(7, Sort::Profinet, 0x8892),
    ]
}

fn permitted() -> Vec<Packet> {
    let service = |sort| match sort {
        Sort::Udp4 | Sort::Udp6 => 53,
        _ => 80,
    };
    rules().iter().map(|rule| Packet::to_b(rule.sort, service(rule.sort), SYN)).collect()
}

/// A damaged frame passes only if what it says now is permitted too: then the parser gives it a key that differs from the whole frame's in
/// nothing that a rule names.
fn check_damaged(rules: &[Rule], whole: Packet, damaged: &[u8]) {
    let verdict = enforced(rules).burst(Side::A, &[damaged.to_vec()])[0];
    let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: Side::A };
    let headers = match (verdict, parse(damaged, damaged.len() as u32, ingress)) {
        (Verdict::Deny(reason), Err(malformed)) => {
            assert_eq!(reason, DropReason::from(malformed));
            return;
        }
        (Verdict::Allow(basis), Ok(headers)) => {
            assert!(matches!(basis, Basis::Rule(_)), "{basis:?}");
            headers
        }
        (Verdict::Deny(_), Ok(_)) => return,
        (verdict, parsed) => panic!("{whole:?}: {verdict:?} of {parsed:?}"),
    };
    let clean = parse(&whole.frame(), whole.frame().len() as u32, ingress).unwrap();
    for side in [Side::A, Side::B] {
        let (now, before) = (headers.key.endpoint(side), clean.key.endpoint(side));
        assert_eq!(now.network, before.network, "{whole:?}");
        let client_port = side == Side::A && !matches!(whole.sort, Sort::Gre4 | Sort::Profinet);
        assert!(client_port || now.service == before.service, "{whole:?}: {now:?}");
    }
    assert_eq!(headers.key.tail(), clean.key.tail());
}

#[test]
fn no_truncated_or_flipped_frame_passes_that_is_not_permitted_as_it_is() {
    let rules = rules();
    for packet in permitted() {
        let frame = packet.frame();
        assert!(matches!(enforced(&rules).send(packet), Verdict::Allow(_)), "{packet:?}");
        for bytes in 0..frame.len() {
            check_damaged(&rules, packet, &frame[..bytes]);
        }
        for bit in 0..frame.len().min(74) * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_damaged(&rules, packet, &flipped);
        }
    }
}

/// How a receiver puts overlapping fragments together (Novak 2005; Snort's frag3): which of two bytes for one place it keeps.
#[derive(Clone, Copy, Debug)]
enum Style {
    First,
    Last,
    /// The one whose fragment begins further left, or there and earlier.
    Bsd,
    /// The one whose fragment begins further left; of two that begin together the later.
    Linux,
    /// The earlier, unless the later fragment begins before it and ends behind it.
    Windows,
    /// The earlier, unless the later fragment begins before it and ends there or behind.
    Solaris,
}

type Piece = (usize, Vec<u8>);

fn reassembled(style: Style, pieces: &[&Piece], length: usize) -> Option<Vec<u8>> {
    let mut bytes: Vec<Option<(u8, usize, usize)>> = vec![None; length];
    for (start, content) in pieces {
        let end = start + content.len();
        for (place, &value) in (*start..).zip(content) {
            let kept = bytes.get_mut(place)?;
            let keeps = kept.is_some_and(|(_, other_start, other_end)| match style {
                Style::First => true,
                Style::Last => false,
                Style::Bsd => other_start <= *start,
                Style::Linux => other_start < *start,
                Style::Windows => !(*start < other_start && end > other_end),
                Style::Solaris => !(*start < other_start && end >= other_end),
            });
            if !keeps {
                *kept = Some((value, *start, end));
            }
        }
    }
    bytes.into_iter().map(|byte| byte.map(|(value, ..)| value)).collect()
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let places = shorter.iter().flat_map(|order| (0..count).map(move |at| (order, at)));
    places
        .map(|(order, at)| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
        .collect()
}

/// One packet to a permitted port, and fragments that would rewrite its ports, in every order and for every style of receiver: what is put
/// together of those that pass goes to the permitted port.
#[test]
fn overlaps_in_every_order_give_no_receiver_another_packet() {
    const LENGTH: usize = 48;
    let datagram = |port: u16| {
        let mut bytes = vec![0x9c, 0x40];
        bytes.extend(port.to_be_bytes());
        bytes.extend((LENGTH as u16).to_be_bytes());
        bytes.resize(LENGTH, 0);
        bytes
    };
    let [good, bad] = [datagram(53), datagram(22)];
    let piece = |bytes: &[u8], from: usize, to: usize| (from, bytes[from..to].to_vec());
    let pieces = [
        piece(&good, 0, 24),
        piece(&good, 24, 48),
        piece(&bad, 0, 8),
        piece(&bad, 0, 32),
        piece(&bad, 8, 48),
    ];
    let frame = |(offset, content): &Piece| {
        let more = offset + content.len() < LENGTH;
        let header = header().fragment(*offset as u16, more);
        builder().ipv4(header).protocol(17).payload(content.clone()).build().unwrap()
    };
    let mut whole = 0;
    for order in orders(pieces.len()) {
        let mut rig = enforced(&[dns()]);
        let sent = order.iter().map(|&at| &pieces[at]);
        let passed: Vec<&Piece> =
            sent.filter(|piece| rig.burst(Side::A, &[frame(piece)])[0].forwards()).collect();
        for style in
            [Style::First, Style::Last, Style::Bsd, Style::Linux, Style::Windows, Style::Solaris]
        {
            if let Some(packet) = reassembled(style, &passed, LENGTH) {
                whole += 1;
                assert_eq!(packet[..4], good[..4], "{style:?} gets {passed:?} of {order:?}");
            }
        }
    }
    assert!(whole > 0, "some orders leave the permitted packet whole");
}

/// Every combination of FIN, SYN, RST, PSH, ACK and URG from either side, in every state that a connection can be brought into, and what it
/// leaves for the segments after it: as the reference model has it.
#[test]
fn every_combination_of_tcp_flags_in_every_state_is_judged_as_the_model_does() {
    let http = Rule::to_b(1, Sort::Tcp4, 80);
    let back = Rule { number: 2, client_side: Side::B, service: 40_000, ..http };
    let syn = Packet::syn(80);
    let open = [syn, syn.back(SYN | ACK), syn.with(ACK)];
    let after = |more: &[Packet]| [&open[..], more].concat();
    let states = [
        ("none", vec![]),
        ("opening", vec![syn]),
        ("opened by both", vec![syn, syn.back(SYN)]),
        ("open", after(&[])),
        ("closed by the client", after(&[syn.with(FIN | ACK)])),
        ("closed by the server", after(&[syn.back(FIN | ACK)])),
        ("closed by both", after(&[syn.with(FIN | ACK), syn.back(FIN | ACK)])),
        ("reset", after(&[syn.back(RST)])),
        ("refused", vec![syn.back(SYN)]),
    ];
    let room = Capacity { narrow: 64, wide: 64, fragments: 64 };
    let fresh = |rules: &[Rule]| {
        let rig = Rig::new(room, segment(Mode::Enforce), rules);
        let model = Model::new([64, 64], Mode::Enforce, rules.to_vec(), rig.now_ns);
        (rig, model)
    };
    let tries = || (0..64).flat_map(|flags| [Side::A, Side::B].map(|side| (flags, side)));
    let check = |(rig, model): &mut (Rig, Model),
                 (name, before): &(&str, Vec<Packet>),
                 (flags, side)| {
        model.now_ns = rig.now_ns;
        let tried = Packet { from: side, flags, ..syn };
        let later = [ACK, SYN, FIN | ACK].map(|flags| syn.with(flags));
        let later = later.iter().flat_map(|packet| [*packet, packet.back(packet.flags)]);
        for packet in before.iter().copied().chain([tried]).chain(later) {
            let wanted = model.judge(&packet);
            assert_eq!(rig.send(packet), wanted, "{name}, {flags:#x} from {side:?}: {packet:?}");
        }
    };
    for rules in [vec![http], vec![http, back], vec![http.midstream()]] {
        let mut both = fresh(&rules);
        for state in &states {
            for tried in tries() {
                // Nothing is left of the try before, but that its SYN may have been denied.
                both.0.wait(2 * TIMEOUTS.tcp_open_ns);
                both.1.now_ns = both.0.now_ns;
                both.1.sweep();
                assert_eq!((both.0.flows(), both.1.flows()), (0, 0));
                check(&mut both, state, tried);
            }
        }
    }
    for state in &states {
        for tried in tries() {
            check(&mut fresh(&[http]), state, tried);
        }
    }
}

/// What a tunnel carries is its ends' business: a rule for the outer packet permits whatever is inside, and one for the inner packet
/// permits no tunnel.
#[test]
fn gre_vxlan_and_gtp_are_judged_by_their_outer_packet_alone() {
    let inner = Packet::udp(53).frame();
    let outer = || builder().ipv4(header());
    let [vxlan, gtp] = [Rule::to_b(2, Sort::Udp4, 4789), Rule::to_b(3, Sort::Udp4, 2152)];
    let tunnels = [
        (Rule::to_b(4, Sort::Gre4, 47), {
            let payload = [&[0, 0, 8, 0][..], &inner[14..]].concat();
            outer().protocol(47).payload(payload).build().unwrap()
        }),
        (vxlan, {
            let payload = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &inner].concat();
            outer().udp(40_000, 4789).payload(payload).build().unwrap()
        }),
        (gtp, {
            let payload = [&[0x30, 0xff, 0, 40, 0, 0, 0, 1][..], &inner[14..]].concat();
            outer().udp(40_000, 2152).payload(payload).build().unwrap()
        }),
    ];
    for (rule, frame) in tunnels {
        let denied = enforced(&[dns()]).burst(Side::A, std::slice::from_ref(&frame))[0];
        assert_eq!(denied, Verdict::Deny(DropReason::NoRule));
        assert_eq!(enforced(&[rule]).burst(Side::A, &[frame])[0], by(rule));
        assert_eq!(enforced(&[rule]).send(Packet::udp(53)), Verdict::Deny(DropReason::NoRule));
    }
}

/// Data on a SYN, and the answers of a split handshake (the server sends ACK and SYN apart), pass as TCP's course says; none opens anything else.
#[test]
fn syn_with_data_and_split_handshake() {
    let http = Rule::to_b(1, Sort::Tcp4, 80);
    let data = builder()
        .ipv4(header())
        .tcp(Tcp::new(40_000, 80).flags(TcpFlags(SYN)))
        .payload(b"GET /".to_vec());
    assert_eq!(enforced(&[http]).burst(Side::A, &[data.build().unwrap()])[0], by(http));
    let mut rig = enforced(&[http]);
    let syn = Packet::syn(80);
    assert_eq!(rig.send(syn), by(http));
    assert_eq!(rig.send(syn.back(ACK)), by(http));
    let refused = rig.send(syn.back(SYN));
    assert_eq!(refused, Verdict::Deny(DropReason::WrongDirection), "the server opens nothing");
    assert_eq!(rig.send(syn.with(ACK)), by(http));
}

/// Of an echo's identifier and the type and code: an answer passes for its own query only, and no message for another type's.
#[test]
fn icmp_of_every_type_and_code_needs_its_own_rule() {
    let ping = Rule::to_b(5, Sort::Ping4, 0x0800);
    for kind in 0..=u8::MAX {
        for code in [0, 1, 255] {
            let message = IcmpMessage { kind, code, rest: [0x9c, 0x40, 0, 1] };
            let frame =
                builder().ipv4(header()).icmp(message).payload(vec![0; 32]).build().unwrap();
            let verdict = enforced(&[ping]).burst(Side::A, &[frame])[0];
            assert_eq!(verdict.forwards(), (kind, code) == (8, 0), "{kind}/{code}: {verdict:?}");
        }
    }
}
