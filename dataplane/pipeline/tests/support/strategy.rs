//! Random packets between a few hosts.

use loadlock_packet::Side;
use proptest::prelude::*;

use super::packet::flags::{ACK, FIN, PSH, RST, SYN, URG};
use super::packet::{Packet, Sort};

const FLAGS: [u8; 10] =
    [SYN, SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, 0, FIN | PSH | URG, SYN | FIN];

pub fn side() -> impl Strategy<Value = Side> {
    (0u8..2).prop_map(Side::from_bit)
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
    )
        .prop_map(move |(sort, hosts, ports, flags, answer, about)| Packet {
            sort,
            from,
            hosts,
            ports,
            flags,
            answer: answer && sort == Sort::Ping4,
            about: sort.is_error().then_some(about),
        })
}
