//! Any sequence of fragments through a whole pipeline, against the rules of `DESIGN.md` told as a list: a later fragment passes only if
//! its first one did, of the same protocol, and nothing overlapped that.
//!
//! Input: six bytes a fragment: side and family and protocol, hosts and identification, offset, length, time, a policy's change.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use loadlock_exchange::DropReason;
use loadlock_packet::Side;
use loadlock_pipeline::{Basis, Verdict};

#[path = "../rig.rs"]
mod rig;

use rig::{Rig, udp_rule};

const SECOND_NS: u64 = 1_000_000_000;

/// A first fragment as it was judged.
struct First {
    place: (bool, Side, u8, u8),
    protocol: u8,
    end: u16,
    at_ns: u64,
    passed: bool,
    overlapped: bool,
}

fn frame(v6: bool, side: Side, hosts: u8, id: u8, protocol: u8, offset: u16, bytes: u16) -> Vec<u8> {
    let (from, to) = (side as u8, side.other() as u8);
    let mut frame = vec![2, 0, 0, 0, to, 1, 2, 0, 0, 0, from, 1];
    let port = if side == Side::A { [[0x9c, 0x40], [0, 53]] } else { [[0, 53], [0x9c, 0x40]] };
    // A transport header that fits UDP and TCP: its length, its data offset.
    let mut content = [&port.concat()[..], &bytes.to_be_bytes(), &[0; 6], &[0x50, 0x02], &[0; 6]].concat();
    content.resize(usize::from(bytes), 0);
    let more = 1;
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend((8 + bytes).to_be_bytes());
        frame.extend([44, 64]);
        for end in [from, to] {
            frame.extend([0xfd, 0, 0, 0, 0, 0, 0, end, 0, 0, 0, 0, 0, 0, 0, hosts]);
        }
        frame.extend([protocol, 0]);
        frame.extend((offset * 8 | more).to_be_bytes());
        frame.extend([0, 0, 0, id]);
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((20 + bytes).to_be_bytes());
        frame.extend([0, id]);
        frame.extend((offset | more << 13).to_be_bytes());
        frame.extend([64, protocol, 0, 0, 10, 0, from, hosts, 10, 0, to, hosts]);
    }
    frame.extend(content);
    frame
}

thread_local! {
    static RIG: RefCell<Rig> = RefCell::new(Rig::new(&[udp_rule(1), udp_rule(2)]));
}

fuzz_target!(|input: &[u8]| {
    RIG.with_borrow_mut(|rig| {
        // What earlier inputs left is over.
        rig.now_ns += 1000 * SECOND_NS;
        let mut firsts: Vec<First> = Vec::new();
        for bytes in input.as_chunks::<6>().0.iter().take(64) {
            let [kind, hosts, offset, length, wait, _] = *bytes;
            let (v6, side) = (kind & 1 == 1, Side::from_bit(kind >> 1));
            let protocol = if kind & 4 == 0 { 17 } else { 6 };
            // Hosts 1 and 2 have a rule, 3 has none.
            let (hosts, id) = (1 + (hosts & 3) % 3, hosts >> 2 & 7);
            let (offset, length) = (u16::from(offset & 15), 24 + u16::from(length & 7) * 8);
            rig.now_ns += u64::from(wait & 3) * SECOND_NS / 2;
            let verdict = rig.send(side, &frame(v6, side, hosts, id, protocol, offset, length));
            let place = (v6, side, hosts, id);
            let live = |first: &First| {
                first.place == place && rig.now_ns - first.at_ns < rig::FRAGMENT_NS + SECOND_NS / 10
            };
            if offset == 0 {
                firsts.retain(|first| (first.place, first.protocol) != (place, protocol));
                let passed = matches!(verdict, Verdict::Allow(_));
                firsts.push(First { place, protocol, end: length, at_ns: rig.now_ns, passed, overlapped: false });
                continue;
            }
            let tiny = protocol == 6 && offset * 8 < 20;
            let own = firsts.iter_mut().find(|first| live(first) && first.protocol == protocol);
            match (verdict, own) {
                (Verdict::Deny(DropReason::FragmentTiny), _) => assert!(tiny),
                (Verdict::Allow(basis), Some(first)) => {
                    assert!(matches!(basis, Basis::Rule(_)));
                    assert!(first.passed && !first.overlapped && offset * 8 >= first.end);
                }
                (Verdict::Allow(_), None) => panic!("passes without a first fragment"),
                (Verdict::Deny(DropReason::FragmentOverlap), Some(first)) => {
                    assert!(first.passed && (first.overlapped || offset * 8 < first.end));
                    first.overlapped = true;
                }
                (Verdict::Deny(DropReason::FragmentOverlap), None) => panic!("overlaps nothing"),
                (Verdict::Deny(DropReason::FragmentProtocol), _) => {
                    assert!(firsts.iter().any(|first| live(first) && first.protocol != protocol));
                }
                (Verdict::Deny(_), _) => {}
                (Verdict::WouldDeny(_), _) => panic!("the segment enforces"),
            }
        }
        rig.ring.clear();
    });
});
