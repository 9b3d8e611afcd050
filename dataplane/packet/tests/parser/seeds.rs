//! Well-formed frames of every kind, to be damaged.

use crate::frames::*;

/// (name, frame). Each parses.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    [link_layer(), over_ipv4(), over_ipv6()].concat()
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn link_layer() -> Seeds {
    let group = [0x01, 0x80, 0xc2, 0, 0, 0];
    let all = [0xff; 6];
    let v4 = V4::new(UDP).packet(&udp((68, 67), &[0; 20]));
    let v6 = V6::new(TCP).packet(&tcp((1, 2), 2, &[], b""));
    let snap = [0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, 1, 2, 3, 4];
    vec![
        ("ARP", ethernet(MAC_A, all, &[], 0x0806, &[0; 28])),
        ("ARP in VLAN", ethernet(MAC_A, all, &[(TAG, 5)], 0x0806, &[0; 28])),
        ("LLDP", ethernet(MAC_A, [1, 0x80, 0xc2, 0, 0, 0x0e], &[], 0x88cc, &[0; 46])),
        ("LACP", ethernet(MAC_A, [1, 0x80, 0xc2, 0, 0, 2], &[], 0x8809, &[0; 46])),
        ("STP", ethernet(MAC_A, group, &[], 38, &[&[0x42, 0x42, 3][..], &[0; 43]].concat())),
        ("PTP", ethernet(MAC_A, [1, 0x1b, 0x19, 0, 0, 0], &[], 0x88f7, &[0; 46])),
        ("PROFINET", ethernet(MAC_A, MAC_B, &[(TAG, 0xc000)], 0x8892, &[0; 40])),
        ("GOOSE", ethernet(MAC_A, MAC_B, &[(TAG, 0x8001)], 0x88b8, &[0; 60])),
        ("EtherCAT", ethernet(MAC_A, all, &[], 0x88a4, &[0; 46])),
        ("SNAP", ethernet(MAC_A, MAC_B, &[], 12, &snap)),
        ("SNAP in VLAN", ethernet(MAC_A, MAC_B, &[(TAG, 7)], 12, &snap)),
        ("LLC", ethernet(MAC_A, MAC_B, &[], 3, &[0xf0, 0xf0, 3])),
        ("MPLS", ethernet(MAC_A, MAC_B, &[], 0x8847, &[0; 30])),
        ("PPPoE", ethernet(MAC_A, MAC_B, &[], 0x8864, &[0; 30])),
        ("empty", ethernet(MAC_A, MAC_B, &[], 0x88b5, &[])),
        ("VLAN", ethernet(MAC_A, MAC_B, &[(TAG, 20)], TYPE_V4, &v4)),
        ("priority tag", ethernet(MAC_A, MAC_B, &[(TAG, 0xe000)], TYPE_V4, &v4)),
        ("QinQ", ethernet(MAC_A, MAC_B, &[(0x88a8, 20), (TAG, 30)], TYPE_V4, &v4)),
        ("QinQ 9100", ethernet(MAC_A, MAC_B, &[(0x9100, 20), (TAG, 30)], TYPE_V6, &v6)),
        ("three tags", ethernet(MAC_A, MAC_B, &[(TAG, 1), (TAG, 2), (TAG, 3)], TYPE_V4, &v4)),
    ]
}

fn over_ipv4() -> Seeds {
    let mut with_options = V4::new(TCP);
    with_options.options = vec![0x94, 4, 0, 0, 1, 1, 1, 0];
    let mut padded = V4::new(ICMP).frame(&icmp(8, 0, 1));
    padded.resize(60, 0);
    vec![
        ("TCP", V4::new(TCP).frame(&tcp((1025, 5000), 2, &[2, 4, 5, 0xb4], b""))),
        ("TCP data", V4::new(TCP).frame(&tcp((1025, 5000), 24, &[], b"S1F1"))),
        ("IPv4 options", with_options.frame(&tcp((1, 2), 16, &[1; 12], b"x"))),
        ("UDP", V4::new(UDP).frame(&udp((161, 162), b"trap"))),
        ("UDP empty", V4::new(UDP).frame(&udp((161, 162), b""))),
        ("ping", V4::new(ICMP).frame(&icmp(8, 0, 1))),
        ("pong padded", padded),
        (
            "unreachable",
            V4::new(ICMP).frame(&[&icmp(3, 1, 0)[..], &V4::new(UDP).packet(&[0; 8])].concat()),
        ),
        ("unreachable port", error_v4(3, UDP, &udp((53, 4000), b""))),
        ("fragmentation needed", error_v4(3, TCP, &tcp((80, 4000), 16, &[], b""))),
        ("time exceeded", error_v4(11, ICMP, &icmp(8, 0, 7))),
        ("first fragment", V4::new(UDP).fragment(MORE).frame(&udp((1, 2), &[0; 16]))),
        ("later fragment", V4::new(UDP).fragment(MORE | 3).frame(&[0; 24])),
        ("last TCP fragment", V4::new(TCP).fragment(3).frame(&[0; 5])),
        ("SCTP", V4::new(132).frame(&[0; 16])),
        ("GRE", V4::new(47).frame(&[0; 24])),
        ("ESP", V4::new(50).frame(&[0; 24])),
        ("AH", V4::new(51).frame(&[&[TCP, 4][..], &[0; 42]].concat())),
        ("IP in IP", V4::new(4).frame(&V4::new(UDP).packet(&udp((1, 2), b"")))),
        ("IGMP", V4::new(2).frame(&[0x16, 0, 0, 0, 224, 0, 0, 5])),
    ]
}

fn over_ipv6() -> Seeds {
    let mut solicitation = V6::new(ICMP_V6);
    solicitation.hop_limit = 255;
    let chain = [options(HOP_BY_HOP, 0), options(DESTINATION, 1), routing(4), fragment(0, false)];
    let eight: Vec<_> = (0..8).map(|_| options(DESTINATION, 0)).collect();
    vec![
        ("TCP6", V6::new(TCP).frame(&tcp((1025, 5000), 2, &[2, 4, 5, 0xb4], b""))),
        ("UDP6", V6::new(UDP).frame(&udp((161, 162), b"trap"))),
        ("ping6", V6::new(ICMP_V6).frame(&icmp(128, 0, 1))),
        ("pong6", V6::new(ICMP_V6).frame(&icmp(129, 0, 1))),
        ("solicitation", solicitation.frame(&[&icmp(135, 0, 0)[..8], &[0; 24]].concat())),
        ("MLD", chained(&[options(HOP_BY_HOP, 0)], ICMP_V6, &icmp(143, 0, 0))),
        ("chain", chained(&chain, UDP, &udp((1, 2), b"xyz"))),
        ("eight extensions", chained(&eight, TCP, &tcp((1, 2), 18, &[], b""))),
        ("mobility", chained(&[options(135, 1)], NO_NEXT, &[])),
        ("too big", error_v6(2, V6::new(TCP).reversed().packet(&tcp((80, 4000), 16, &[], b"")))),
        ("unreachable 6", error_v6(1, chained(&chain, UDP, &udp((53, 4000), b"")).split_off(14))),
        ("first fragment 6", chained(&[fragment(0, true)], UDP, &udp((1, 2), &[0; 16]))),
        ("later fragment 6", chained(&[fragment(1448, true)], TCP, &[0; 24])),
        ("ESP6", V6::new(50).frame(&[0; 24])),
        ("AH6", V6::new(51).frame(&[&[TCP, 4][..], &[0; 42]].concat())),
        ("no next header", V6::new(NO_NEXT).frame(&[])),
        ("6 in 4", V4::new(41).frame(&V6::new(NO_NEXT).packet(&[]))),
    ]
}

/// An error from A to B about what B sent.
fn error_v4(kind: u8, protocol: u8, content: &[u8]) -> Vec<u8> {
    let quoted = V4::new(protocol).reversed().packet(content);
    V4::new(ICMP).frame(&[&icmp(kind, 1, 0)[..8], &quoted].concat())
}

fn error_v6(kind: u8, mut quoted: Vec<u8>) -> Vec<u8> {
    quoted[8..24].copy_from_slice(&V6_B);
    quoted[24..40].copy_from_slice(&V6_A);
    V6::new(ICMP_V6).frame(&[&icmp(kind, 0, 0)[..8], &quoted].concat())
}
