//! The parser by class of frame, and the hashes, a burst of 32 at a time.

use criterion::{Criterion, Throughput};
use loadlock_benches::in_memory::{BURST, SEED, frames};
use loadlock_benches::load::Frames;
use loadlock_exchange::{hash_narrow, hash_wide};
use loadlock_generate::frame::{FrameBuilder, Mac};
use loadlock_packet::{FlowKey, Ingress, SegmentId, Side, parse};
use std::hint::black_box;

fn ingress() -> Ingress {
    Ingress { segment: SegmentId::new(0).expect("0 is a segment"), side: Side::A }
}

fn classes() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let load = |kind| frames(kind, BURST as u32, Side::A).expect("frames of the load");
    let mut tagged = load(Frames::Short);
    for frame in &mut tagged {
        frame.splice(12..12, [0x81, 0x00, 0x00, 100]);
    }
    let mac = |last| Mac([2, 0, 0, 0, 0, last]);
    let profinet = FrameBuilder::new(mac(1), mac(2)).ether_type(0x8892).payload(vec![0; 46]);
    let cut = load(Frames::Short).into_iter().map(|frame| frame[..40].to_vec()).collect();
    vec![
        ("ipv4-tcp", load(Frames::Short)),
        ("ipv4-udp", load(Frames::Udp)),
        ("ipv4-tcp-vlan", tagged),
        ("ipv6-tcp", load(Frames::Ipv6)),
        ("profinet", vec![profinet.build().expect("a frame"); BURST]),
        ("cut-short", cut),
    ]
}

/// By class.
pub fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, frames) in classes() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    let _ = black_box(parse(black_box(frame), frame.len() as u32, ingress()));
                }
            });
        });
    }
}

/// Both keyed hashes.
pub fn hashes(criterion: &mut Criterion) {
    let keys = |kind| {
        let frames = frames(kind, BURST as u32, Side::A).expect("frames of the load");
        let key = |frame: &Vec<u8>| parse(frame, frame.len() as u32, ingress()).expect("whole").key;
        frames.iter().map(key).collect::<Vec<_>>()
    };
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, keys) in [("narrow", keys(Frames::Short)), ("wide", keys(Frames::Ipv6))] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for key in black_box(&keys) {
                    black_box(match key {
                        FlowKey::Narrow(key) => hash_narrow(key.0, SEED),
                        FlowKey::Wide(key) => hash_wide(key.0, SEED),
                    });
                }
            });
        });
    }
}
