//! What ARP and neighbour discovery claim, from frames of which every byte stands here.

use std::net::IpAddr;

use loadlock_packet::{Claim, MacAddress, Malformed, Side, parse};

use crate::frames::*;

const STATION: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

/// An ARP packet: operation, sender's address, target's address.
fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    [&head[..], &STATION.0, &sender, &[0; 6], &target].concat()
}

fn claim_of(frame: &[u8]) -> Option<(IpAddr, Option<MacAddress>, bool)> {
    let Claim { address, mac, unasked } = parse_a(frame).expect("well-formed").claim?;
    Some((address.into(), mac, unasked))
}

fn over_ethernet(packet: &[u8]) -> Vec<u8> {
    ethernet(MAC_A, MAC_B, &[], 0x0806, packet)
}

#[test]
fn arp_claims_its_senders_address_and_says_whether_it_was_asked() {
    let (own, other) = ([10, 0, 0, 9], [10, 0, 0, 1]);
    let address = IpAddr::from(own);
    for (operation, target, unasked) in [(1, other, false), (1, own, true), (2, other, false)] {
        let frame = over_ethernet(&arp(operation, own, target));
        assert_eq!(claim_of(&frame), Some((address, Some(STATION), unasked)), "{operation}");
        let tagged =
            ethernet(MAC_A, MAC_B, &[(TAG, 5), (TAG, 6)], 0x0806, &arp(operation, own, target));
        assert_eq!(claim_of(&tagged), claim_of(&frame));
    }
    let broadcast = ethernet(MAC_A, [0xff; 6], &[], 0x0806, &arp(2, own, other));
    assert_eq!(claim_of(&broadcast).map(|claim| claim.2), Some(true), "an answer to all");
    assert_eq!(claim_of(&over_ethernet(&arp(1, [0; 4], own))), None, "a probe");
}

#[test]
fn what_receivers_ignore_claims_nothing() {
    let packet = arp(1, [10, 0, 0, 9], [10, 0, 0, 1]);
    for bytes in 0..packet.len() {
        assert_eq!(claim_of(&over_ethernet(&packet[..bytes])), None, "{bytes} bytes");
    }
    for (byte, value) in [(0, 1), (1, 7), (2, 9), (4, 5), (5, 16)] {
        let mut other = packet.clone();
        other[byte] = value;
        assert_eq!(claim_of(&over_ethernet(&other)), None, "byte {byte}");
    }
}

/// What lies in another buffer segment can't be judged, so that it doesn't pass.
#[test]
fn arp_split_over_buffer_segments_is_refused() {
    let frame = over_ethernet(&arp(1, [10, 0, 0, 9], [10, 0, 0, 1]));
    let ingress = at(Side::A);
    assert_eq!(parse(&frame[..30], frame.len() as u32, ingress), Err(Malformed::HeaderSplit));
}
