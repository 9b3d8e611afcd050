//! Conversations: order, sides, and sequence numbers that fit.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{PacketHeaders, TransportHeader};
use loadlock_generate::Side;
use loadlock_generate::conversation::{
    ConversationError, Direction, Host, Pace, SynAnswer, TimedFrame, arp_resolve, icmp_echo,
    tcp_attempt, tcp_conversation, udp_exchange,
};
use loadlock_generate::frame::Mac;
use proptest::prelude::*;

fn client() -> Host {
    Host::new(Side::B, Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 1))
}

fn server() -> Host {
    Host::new(Side::A, Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(10, 0, 0, 2))
}

fn only_ipv6(host: Host, last: u16) -> Host {
    Host { ipv4: None, ..host.with_ipv6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)) }
}

/// Follows a connection: every segment starts where the one before of its side ended, and acknowledges what was sent.
fn check_tcp(frames: &[TimedFrame], client_side: Side) -> [usize; 2] {
    let mut next: [Option<u32>; 2] = [None, None];
    let mut data_bytes = [0, 0];
    for (index, frame) in frames.iter().enumerate() {
        assert!(frame.bytes.len() <= 1518);
        assert!(index == 0 || frames[index - 1].time_ns <= frame.time_ns);
        let packet = PacketHeaders::from_ethernet_slice(&frame.bytes).expect("etherparse reads it");
        let payload_bytes = packet.payload.slice().len();
        let Some(TransportHeader::Tcp(tcp)) = packet.transport else {
            panic!("TCP was built");
        };
        let (from, to) = if frame.side == client_side { (0, 1) } else { (1, 0) };
        assert_eq!(tcp.syn, next[from].is_none(), "only the first has SYN");
        if let Some(expected) = next[from] {
            assert_eq!(tcp.sequence_number, expected);
        }
        if tcp.ack {
            assert_eq!(Some(tcp.acknowledgment_number), next[to]);
        }
        let counted = payload_bytes as u32 + u32::from(tcp.syn) + u32::from(tcp.fin);
        next[from] = Some(tcp.sequence_number.wrapping_add(counted));
        data_bytes[from] += payload_bytes;
    }
    data_bytes
}

proptest! {
    #[test]
    fn tcp_sequence_numbers_fit_and_all_data_is_there(
        exchanges in proptest::collection::vec((any::<bool>(), 0..6000usize), 0..6),
        start_ns in 0..(1u64 << 62),
        is_ipv6 in any::<bool>(),
        vlan in proptest::option::of(1..4095u16),
    ) {
        let (mut client, mut server) = (client(), server());
        if is_ipv6 {
            (client, server) = (only_ipv6(client, 1), only_ipv6(server, 2));
        }
        if let Some(vlan) = vlan {
            (client, server) = (client.in_vlan(vlan), server.in_vlan(vlan));
        }
        let exchanges: Vec<_> = exchanges
            .into_iter()
            .map(|(to_server, bytes)| {
                (if to_server { Direction::ToServer } else { Direction::ToClient }, bytes)
            })
            .collect();
        let sum = |wanted| {
            let wanted = exchanges.iter().filter(|(direction, _)| *direction == wanted);
            wanted.map(|(_, bytes)| bytes).sum::<usize>()
        };
        let frames = tcp_conversation(Pace::local(start_ns), &client, &server, 40_000, 5000, &exchanges)
            .expect("the hosts can talk");
        prop_assert_eq!(frames[0].time_ns, start_ns);
        prop_assert_eq!(
            check_tcp(&frames, Side::B),
            [sum(Direction::ToServer), sum(Direction::ToClient)]
        );
    }
}

#[test]
fn a_conversation_is_the_same_each_time_and_another_at_another_time() {
    let build = |start_ns| {
        let exchanges = [(Direction::ToServer, 100)];
        tcp_conversation(Pace::local(start_ns), &client(), &server(), 1, 2, &exchanges)
            .expect("the hosts can talk")
    };
    assert_eq!(build(5), build(5));
    assert_ne!(build(5)[0].bytes, build(6)[0].bytes);
}

#[test]
fn attempts_end_as_the_server_answers() {
    let attempt = |answer| {
        tcp_attempt(Pace::local(0), &client(), &server(), 1, 2, answer).expect("the hosts can talk")
    };
    let sides = |answer| -> Vec<Side> { attempt(answer).iter().map(|frame| frame.side).collect() };
    assert_eq!(sides(SynAnswer::Silence), [Side::B; 3]);
    assert_eq!(sides(SynAnswer::Reset), [Side::B, Side::A]);
    assert_eq!(sides(SynAnswer::Accept), [Side::B, Side::A, Side::B]);
    check_tcp(&attempt(SynAnswer::Accept), Side::B);
    let silent = attempt(SynAnswer::Silence);
    assert_eq!(silent[2].time_ns, 3_000_000_000);
    assert_eq!(silent[0].bytes[38..42], silent[2].bytes[38..42], "sequence");
}

#[test]
fn datagrams_go_from_the_right_sides() {
    let (client, server) = (client(), server());
    let pace = Pace::local(1_000);
    let udp = udp_exchange(pace, &client, &server, 1, 2, b"ask", Some(b"answer"));
    let udp = udp.expect("the hosts can talk");
    assert_eq!((udp[0].side, udp[1].side), (Side::B, Side::A));
    assert!(udp.iter().all(|frame| frame.bytes.len() >= 60));
    let arp = arp_resolve(pace, &client, &server).expect("IPv4");
    assert_eq!(arp[0].bytes[..6], [0xff; 6]);
    assert_eq!(arp[1].bytes[..6], client.mac.0);
    for (client, server) in [(client, server), (only_ipv6(client, 1), only_ipv6(server, 2))] {
        let echo = icmp_echo(pace, &client, &server, 7, 2, b"data").expect("the hosts can talk");
        assert_eq!(echo.len(), 4);
        assert_eq!(echo[2].time_ns - echo[0].time_ns, 1_000_000_000);
    }
}

#[test]
fn hosts_without_a_common_family_are_refused() {
    let (client, server) = (client(), only_ipv6(server(), 2));
    let expected = ConversationError::NoCommonFamily { client: client.mac, server: server.mac };
    let pace = Pace::local(0);
    assert_eq!(tcp_conversation(pace, &client, &server, 1, 2, &[]), Err(expected.clone()));
    assert_eq!(arp_resolve(pace, &client, &server), Err(expected));
}
