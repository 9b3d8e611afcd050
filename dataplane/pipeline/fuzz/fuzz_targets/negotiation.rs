//! Any content on a permitted parent's conversation: no panic, and whatever is said, nothing opens that a server reserves, nothing
//! in the wrong direction, and no more ports than a pair may have.
//!
//! Input: byte 0 the helper; then segments: a byte (bit 0 the sender, 1 a gap before it, 2 sent again), a length, the content.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use loadlock_exchange::{EXPECTED_WAYS, ExpectedKey, WorkerCounter};
use loadlock_packet::negotiation::{End, Helper, Said, ftp, rpc, tftp};
use loadlock_packet::{Ingress, Kind, SegmentId, Side, content, parse};
use loadlock_pipeline::Verdict;

#[path = "../rig.rs"]
mod rig;

use rig::{Rig, parent_rule};

const SYN: u8 = 2;
const ACK: u8 = 16;

fn frame(side: Side, ports: [u16; 2], sequence: u32, kind: Kind, flags: u8, bytes: &[u8]) -> Vec<u8> {
    let (from, to) = (side as u8, side.other() as u8);
    let (source, destination) = (ports[side as usize], ports[side.other() as usize]);
    let mut frame = vec![2, 0, 0, 0, to, 1, 2, 0, 0, 0, from, 1, 8, 0, 0x45, 0];
    let header_bytes = if kind == Kind::Tcp { 20 } else { 8 };
    frame.extend((20 + header_bytes + bytes.len() as u16).to_be_bytes());
    let protocol = if kind == Kind::Tcp { 6 } else { 17 };
    frame.extend([0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, from, 1, 10, 0, to, 1]);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    if kind == Kind::Tcp {
        frame.extend(sequence.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    } else {
        frame.extend((8 + bytes.len() as u16).to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.extend(bytes);
    let found = content(&frame, frame.len() as u32).expect("TCP or UDP");
    assert!(found.whole && found.bytes == bytes);
    frame
}

/// The readers alone: as many messages as they say they read, and what they find is in the content.
fn read_alone(helper: Helper, bytes: &[u8]) {
    for by_client in [false, true] {
        let mut said = 0;
        let mut count = |what: Said| {
            said += 1;
            if let Said::Offers { address, .. } = what {
                assert!(helper == Helper::Ftp || (!by_client && address.is_some()));
            }
        };
        let end = match helper {
            Helper::Ftp => ftp::lines(bytes, by_client, &mut count),
            Helper::Rpc => rpc::messages(bytes, by_client, [10, 0, 1, 1].into(), &mut count),
            Helper::Tftp => {
                let _ = tftp::is_request(bytes);
                End::Here
            }
        };
        assert!(said <= 17);
        if helper == Helper::Ftp && !bytes.is_empty() {
            assert_eq!(end == End::Here, bytes.last() == Some(&b'\n'));
        }
    }
}

thread_local! {
    static RIG: RefCell<(Rig, u16)> = RefCell::new((Rig::new(&Helper::ALL.map(parent_rule)), 0));
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, mut rest)) = input.split_first() else { return };
    let helper = Helper::ALL[usize::from(first) % 3];
    RIG.with_borrow_mut(|(rig, client)| {
        // Another client port for every input, and nothing left of the one before.
        *client = client.wrapping_add(1) % 20_000;
        rig.now_ns += 400_000_000_000;
        rig.age();
        let ports = [20_000 + *client, helper.port()];
        let kind = helper.kind();
        let mut next = [101_u32, 201];
        if kind == Kind::Tcp {
            for (side, sequence, flags) in [(Side::A, 100, SYN), (Side::B, 200, SYN | ACK)] {
                assert!(rig.send(side, &frame(side, ports, sequence, kind, flags, b"")).forwards());
            }
        }
        let before = rig.counter(WorkerCounter::NegotiatedOpened);
        let mut segments = 0;
        while let [how, length, following @ ..] = rest
            && segments < 32
        {
            let bytes = &following[..usize::from(*length).min(following.len())];
            rest = &following[bytes.len()..];
            read_alone(helper, bytes);
            let side = Side::from_bit(*how);
            let next = &mut next[side as usize];
            let sequence = match how >> 1 & 3 {
                1 => next.wrapping_add(7),
                2 => next.wrapping_sub(bytes.len() as u32 / 2),
                _ => *next,
            };
            *next = sequence.wrapping_add(bytes.len() as u32);
            let verdict = rig.send(side, &frame(side, ports, sequence, kind, ACK, bytes));
            assert!(!matches!(verdict, Verdict::WouldDeny(_)));
            segments += 1;
        }
        let opened = rig.counter(WorkerCounter::NegotiatedOpened) - before;
        assert!(opened <= segments, "a segment opens one port at the most");
        let ingress = Ingress { segment: SegmentId::new(0).unwrap(), side: Side::A };
        let probe = frame(Side::A, ports, 0, kind, ACK, b"");
        let key = parse(&probe, probe.len() as u32, ingress).unwrap().key;
        let now = (rig.now_ns >> 24) as u32;
        let expected = |kind, side, port| {
            rig.pipeline.expected().is_expected(&ExpectedKey::new(&key, kind, side, port), now)
        };
        let mut open = 0;
        for port in [0, 1, 22, 80, 135, 443, 445, 1023] {
            assert!(!expected(Kind::Tcp, Side::A, port) && !expected(Kind::Tcp, Side::B, port));
        }
        if opened > 0 {
            for port in 1024..=u16::MAX {
                for side in [Side::A, Side::B] {
                    open += usize::from(expected(kind, side, port));
                    let wrong = helper == Helper::Rpc && side == Side::A;
                    assert!(!(wrong && expected(kind, side, port)), "a mapper opens its own ports");
                }
            }
            assert!((1..=EXPECTED_WAYS).contains(&open), "{open} ports open");
        }
    });
});
