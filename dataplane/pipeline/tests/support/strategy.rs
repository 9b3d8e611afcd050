//! Random packets between a few hosts.

use loadlock_packet::Side;
use proptest::prelude::*;

use super::packet::flags::{ACK, FIN, PSH, RST, SYN, URG};
use super::packet::{Packet, Piece, Sort};

const FLAGS: [u8; 10] =
    [SYN, SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, 0, FIN | PSH | URG, SYN | FIN];

pub fn side() -> impl Strategy<Value = Side> {
    (0u8..2).prop_map(Side::from_bit)
}

fn piece() -> impl Strategy<Value = Piece> {
    (0u8..2, any::<bool>(), prop::sample::select(vec![32u16, 32, 40, 16]))
        .prop_map(|(identification, first, offset)| Piece { identification, first, offset })
}

pub fn packet(from: Side) -> impl Strategy<Value = Packet> {
    // 0x0800 as an identifier is what an echo request has as type and code.
    let port = || prop::sample::select(vec![80u16, 1000, 0x0800]);
    (
        prop::sample::select(Sort::ALL.to_vec()),
        [1u8..3, 1u8..3],
        [port(), port()],
        prop::sample::select(FLAGS.to_vec()),
        any::<bool>(),
        prop::sample::select(Sort::ALL.to_vec()),
        prop::option::weighted(0.15, 1u8..4),
        prop::option::weighted(0.5, piece()),
    )
        .prop_map(move |(sort, hosts, ports, flags, answer, about, station, piece)| Packet {
            sort,
            from,
            hosts,
            ports,
            flags,
            answer: answer && sort == Sort::Ping4,
            about: sort.is_error().then_some(about),
            station: station.filter(|_| sort != Sort::Profinet),
            piece: piece.filter(|_| sort == Sort::Udp4),
        })
}
