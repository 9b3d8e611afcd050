//! What captures take from a frame: whose it is, and where its headers end.

use loadlock_packet::{Network, Side, outline};
use proptest::prelude::*;

use crate::frames::*;
use crate::seeds::seeds;

#[test]
fn what_parses_has_the_same_ends_in_its_outline() {
    let mut compared = 0;
    for (name, bytes) in seeds() {
        let outline = outline(&bytes);
        assert!(outline.header_bytes <= bytes.len(), "{name}");
        let Ok(headers) = parse_a(&bytes) else { continue };
        let stations = [headers.source_mac, headers.destination_mac].map(Some);
        assert_eq!(outline.stations, stations, "{name}");
        let ends = [Side::A, Side::B].map(|side| headers.key.endpoint(side).network);
        for (network, found) in ends.into_iter().zip(outline.addresses) {
            if let Network::Ip(address) = network {
                assert_eq!(found, Some(address), "{name}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn headers_end_before_what_the_hosts_say() {
    const SECRET: &[u8] = b"recipe 4711";
    let tcp_options = tcp((40_000, 5_000), 0x18, &[1; 12], SECRET);
    let ipv4 = |content: &[u8], protocol| V4::new(protocol).frame(content);
    let mut cases = vec![
        (ipv4(&tcp_options, 6), 14 + 20 + 32),
        (ipv4(&udp((40_000, 69), SECRET), 17), 14 + 20 + 8),
        (ipv4(SECRET, 132), 14 + 20),
        (V4::new(17).fragment(3).frame(SECRET), 14 + 20),
        (V6::new(6).frame(&tcp((1, 2), 0x18, &[], SECRET)), 14 + 40 + 20),
        (chained(&[options(0, 0), routing(0)], 17, &udp((1, 2), SECRET)), 14 + 40 + 8 + 8 + 8),
        (chained(&[fragment(64, false)], 17, SECRET), 14 + 40 + 8),
    ];
    let mut tagged = cases[0].0.clone();
    tagged.splice(12..12, [0x81, 0, 0, 7, 0x81, 0, 0, 9]);
    cases.push((tagged, 8 + 14 + 20 + 32));
    for (frame, header_bytes) in cases {
        let found = outline(&frame).header_bytes;
        assert_eq!(found, header_bytes, "{frame:02x?}");
        let shown = &frame[..found];
        assert!(!shown.windows(4).any(|part| SECRET.windows(4).any(|word| word == part)));
    }
}

proptest! {
    #[test]
    fn any_bytes_have_an_outline(seed in 0..seeds().len(), cut in any::<usize>(), flips in prop::collection::vec(any::<(usize, u8)>(), 0..6)) {
        let mut bytes = seeds().swap_remove(seed).1;
        bytes.truncate(cut % (bytes.len() + 1));
        for (at, value) in flips {
            let length = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte = value;
            }
        }
        prop_assert!(outline(&bytes).header_bytes <= bytes.len());
    }
}
