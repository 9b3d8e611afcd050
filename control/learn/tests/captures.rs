//! Real captures through the real pipeline: what is recorded from a capture, enforced on the same capture, denies nothing but
//! malformed frames. Skipped where the captures aren't.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use loadlock_capture::CaptureReader;
use loadlock_exchange::{
    DropReason, Event, Infrastructure, Mode, Policy as Snapshot, PolicyImage, Seed, SegmentPolicy,
};
use loadlock_learn::{AdmissionSettings, Answers, LearnLimits, Learner};
use loadlock_packet::{Ingress, Kind, Malformed, SegmentId, Side, parse};
use loadlock_pipeline::{Capacity, Pipeline, Timeouts, Verdict};
use loadlock_policy::{Policy, SegmentDefinition};

const CAPTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/captures");
const SECOND_NS: u64 = 1_000_000_000;

struct Packet {
    time_ns: u64,
    side: Side,
    bytes: Vec<u8>,
}

fn capture_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            capture_files(&path, found);
        } else if path.to_string_lossy().contains(".pcap") {
            found.push(path);
        }
    }
    found.sort();
}

/// A station is on the side opposite to that of the first station it is seen to talk to.
fn packets(path: &Path) -> Vec<Packet> {
    let mut sides: HashMap<[u8; 6], Side> = HashMap::new();
    let mut packets = Vec::new();
    let Ok(mut reader) = CaptureReader::open(path) else { return packets };
    while let Ok(Some(packet)) = reader.next() {
        let mut bytes = packet.data.to_vec();
        bytes.resize(packet.padded_bytes(), 0);
        let station =
            |at: usize| bytes.get(at..at + 6).and_then(|mac| <[u8; 6]>::try_from(mac).ok());
        let (destination, source) =
            (station(0).unwrap_or_default(), station(6).unwrap_or_default());
        let peer = sides.get(&destination).copied();
        let side = *sides.entry(source).or_insert(peer.map_or(Side::A, Side::other));
        packets.push(Packet { time_ns: packet.time_ns, side, bytes });
    }
    packets
}

fn timeouts(grace_s: u64) -> Timeouts {
    Timeouts {
        tcp_opening_ns: 30 * SECOND_NS,
        tcp_open_ns: 3_600 * SECOND_NS,
        tcp_closing_ns: 10 * SECOND_NS,
        udp_ns: 30 * SECOND_NS,
        icmp_ns: 10 * SECOND_NS,
        other_ns: 60 * SECOND_NS,
        grace_ns: grace_s * SECOND_NS,
        denied_report_ns: SECOND_NS,
        fragment_ns: 30 * SECOND_NS,
    }
}

fn compiled(policy: &Policy, mode: Mode) -> PolicyImage {
    let infrastructure =
        Infrastructure { arp: false, neighbour_discovery: false, link_local: false };
    let segments = [SegmentDefinition {
        name: "fab".to_owned(),
        policy: SegmentPolicy { mode, infrastructure, ..SegmentPolicy::CLOSED },
    }];
    policy.compile(&segments, 1, Seed([7, 11]), 1_000_000).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs all packets through a new pipeline: their verdicts, and the events.
fn run(packets: &[Packet], image: &PolicyImage, grace_s: u64) -> (Vec<Verdict>, Vec<Event>) {
    let capacity = Capacity { narrow: 1 << 15, wide: 1 << 14, fragments: 64 };
    let mut pipeline =
        Pipeline::new(capacity, &timeouts(grace_s), Seed([3, 5]), false).expect("memory");
    let snapshot = Snapshot::read(image.words()).expect("a sound image");
    let view = snapshot.view(image.words(), 1);
    let segment = SegmentId::new(0).expect("below 16");
    let mut events = Vec::new();
    let mut verdicts = Vec::with_capacity(packets.len());
    for packet in packets {
        let mut verdict = [Verdict::Deny(Malformed::FrameTooShort.into()).into()];
        let ingress = Ingress { segment, side: packet.side };
        let frames = [packet.bytes.as_slice()];
        pipeline.judge(ingress, packet.time_ns, &frames, view, &mut events, &mut verdict);
        pipeline.age(packet.time_ns, 64, 1, 0, &mut events);
        verdicts.push(verdict[0].verdict());
    }
    pipeline.end_all(&mut events);
    (verdicts, events)
}

fn check(path: &Path, grace_s: u64) -> usize {
    let packets = packets(path);
    let (_, events) = run(&packets, &compiled(&Policy::default(), Mode::Learn), grace_s);
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    events.iter().for_each(|event| learner.observe(event));
    let policy = learner
        .policy(&AdmissionSettings::record_all(), &Answers::default())
        .unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
    assert_eq!(learner.tally().keys_refused + learner.tally().events_refused, 0);
    let (verdicts, _) = run(&packets, &compiled(&policy, Mode::Enforce), grace_s);
    let segment = SegmentId::new(0).expect("below 16");
    for (number, (packet, verdict)) in (1..).zip(packets.iter().zip(&verdicts)) {
        let ingress = Ingress { segment, side: packet.side };
        let headers = parse(&packet.bytes, packet.bytes.len() as u32, ingress);
        // What a fragment without its first one is can't be learned.
        let stray = matches!(
            verdict,
            Verdict::Deny(
                DropReason::FragmentUnknown
                    | DropReason::FragmentProtocol
                    | DropReason::FragmentOverlap
            )
        );
        let later =
            headers.as_ref().is_ok_and(|headers| headers.key.tail().kind() == Kind::Fragment);
        let expected = (headers.is_err() || stray && later) != verdict.forwards();
        assert!(
            expected,
            "{} packet {number}, grace {grace_s} s: {verdict:?} {:?}\n{}",
            path.display(),
            headers.map(|headers| (
                headers.key.tail().kind(),
                [Side::A, Side::B].map(|side| headers.key.endpoint(side))
            )),
            policy.to_toml()
        );
    }
    println!("{} rules, {} packets: {}", policy.rules().len(), packets.len(), path.display());
    policy.rules().len()
}

#[test]
fn what_is_recorded_and_enforced_on_the_same_capture_denies_only_malformed_frames() {
    let mut files = Vec::new();
    capture_files(Path::new(CAPTURES), &mut files);
    if files.is_empty() {
        println!("skipped: no captures in {CAPTURES}");
        return;
    }
    let mut rules = 0;
    for path in &files {
        for grace_s in [0, 5] {
            rules += check(path, grace_s);
        }
    }
    assert!(rules > 0, "captures without a single conversation");
}
