//! The parser against etherparse: built and damaged frames, and every frame of the real captures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use loadlock_capture::CaptureReader;
use proptest::prelude::*;

use crate::frames::*;
use crate::invariants;
use crate::oracle::{Listed, compare};
use crate::seeds::seeds;

fn tags() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let types = prop::sample::select(vec![0x8100_u16, 0x88a8, 0x9100]);
    prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec((types, any::<u16>()), 0..4),
    ]
}

fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let payload = || prop::collection::vec(any::<u8>(), 0..24);
    let words = || prop::collection::vec(any::<u32>(), 0..6);
    let tcp_options =
        words().prop_map(|words| words.iter().flat_map(|word| word.to_be_bytes()).collect());
    let icmp_types = || {
        prop_oneof![
            prop::sample::select(vec![
                0_u8, 3, 5, 8, 11, 13, 14, 15, 16, 17, 18, 128, 129, 133, 135, 137
            ]),
            any::<u8>()
        ]
    };
    prop_oneof![
        (any::<(u16, u16)>(), any::<u8>(), tcp_options, payload()).prop_map(
            |(ports, flags, options, payload): (_, _, Vec<u8>, Vec<u8>)| {
                (TCP, tcp(ports, flags, &options, &payload))
            }
        ),
        (any::<(u16, u16)>(), payload()).prop_map(|(ports, payload)| (UDP, udp(ports, &payload))),
        (prop::sample::select(vec![ICMP, ICMP_V6]), icmp_types(), any::<u8>(), any::<u16>())
            .prop_map(|(protocol, kind, code, identifier)| (
                protocol,
                icmp(kind, code, identifier)
            )),
        (any::<u8>(), payload()),
    ]
}

fn ipv4() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fragments = prop_oneof![3 => Just(0_u16), 1 => Just(MORE), 1 => any::<u16>()];
    let options = prop::collection::vec(any::<u32>(), 0..11);
    (any::<([u8; 4], [u8; 4])>(), fragments, options, transport()).prop_map(
        |((source, destination), fragment, options, (protocol, content))| {
            let options = options.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
            let header = V4 { source, destination, protocol, fragment, options };
            (TYPE_V4, header.packet(&content))
        },
    )
}

fn extension() -> impl Strategy<Value = Extension> {
    let number = prop::sample::select(vec![HOP_BY_HOP, DESTINATION, DESTINATION, 135, 139, 140]);
    prop_oneof![
        4 => (number, 0..4_u8).prop_map(|(number, units)| options(number, units)),
        1 => (0..5_u8).prop_map(routing),
        1 => Just(fragment(0, false)),
        1 => (any::<u16>(), any::<bool>()).prop_map(|(offset, more)| fragment(offset & 0xfff8, more)),
    ]
}

fn ipv6() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let chain = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(extension(), 0..3),
        prop::collection::vec(extension(), 0..17)
    ];
    (any::<([u8; 16], [u8; 16])>(), any::<u8>(), chain, transport()).prop_map(
        |((source, destination), hop_limit, chain, (protocol, content))| {
            let mut packet = chained(&chain, protocol, &content)[14..].to_vec();
            packet[7] = hop_limit;
            packet[8..24].copy_from_slice(&source);
            packet[24..40].copy_from_slice(&destination);
            (TYPE_V6, packet)
        },
    )
}

fn other() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let bytes = prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![(any::<u16>(), bytes.clone()), (0..64_u16, bytes.clone()), (Just(0x0806), bytes),]
}

/// Damage done to a built frame.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Cut(prop::sample::Index),
    Pad(u8),
    Byte(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        2 => Just(Damage::None),
        1 => any::<prop::sample::Index>().prop_map(Damage::Cut),
        1 => any::<u8>().prop_map(Damage::Pad),
        2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, value)| Damage::Byte(at, value)),
    ]
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let packet = prop_oneof![3 => ipv4(), 3 => ipv6(), 1 => other()];
    let mac = || prop_oneof![4 => Just(MAC_A), 1 => any::<[u8; 6]>()];
    (mac(), mac(), tags(), packet, damage()).prop_map(
        |(source, destination, tags, (ether_type, packet), damage)| {
            let mut frame = ethernet(source, destination, &tags, ether_type, &packet);
            match damage {
                Damage::None => {}
                Damage::Cut(at) => frame.truncate(at.index(frame.len() + 1)),
                Damage::Pad(count) => frame.resize(frame.len() + usize::from(count), 0),
                Damage::Byte(at, value) => {
                    let at = at.index(frame.len());
                    frame[at] = value;
                }
            }
            frame
        },
    )
}

/// So many cases a property, or what `PROPTEST_CASES` says, for a campaign.
fn cases(count: u32) -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(count)
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn built_and_damaged_frames_read_alike(frame in frame()) {
        if let Err(what) = compare(&frame) {
            return Err(TestCaseError::fail(what));
        }
    }

    #[test]
    fn invariants_hold_for_built_and_damaged_frames(frame in frame(), cut in any::<u8>(), segment in 0..16_usize) {
        invariants::check(&frame, cut.into(), segment);
    }

    #[test]
    fn invariants_hold_for_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..160), cut in any::<u8>()) {
        invariants::check(&bytes, cut.into(), 0);
    }
}

#[test]
fn seeds_and_their_flipped_bits_read_alike() {
    for (name, seed) in seeds() {
        for bit in 0..=seed.len() * 8 {
            let mut frame = seed.clone();
            if let Some(byte) = frame.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            if let Err(what) = compare(&frame) {
                panic!("{name}, bit {bit}: {what}");
            }
        }
    }
}

/// The real captures, if they are here: `LOADLOCK_CAPTURES`, or beside the checkout.
fn captures() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let folder = std::env::var_os("LOADLOCK_CAPTURES").map_or(beside, PathBuf::from);
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pcap") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn real_frames_read_alike() {
    let captures = captures();
    if captures.is_empty() {
        println!("SKIPPED: no captures; set LOADLOCK_CAPTURES to a folder of pcap files");
        return;
    }
    let mut listed: BTreeMap<Listed, u64> = BTreeMap::new();
    let mut frames = 0_u64;
    let mut differences = Vec::new();
    for path in &captures {
        let mut reader = CaptureReader::open(path).unwrap_or_else(|error| panic!("{error}"));
        while let Some(packet) = reader.next().unwrap_or_else(|error| panic!("{error}")) {
            let mut frame = packet.data.to_vec();
            frame.resize(packet.padded_bytes(), 0);
            frames += 1;
            match compare(&frame) {
                Ok(None) => {}
                Ok(Some(reason)) => *listed.entry(reason).or_default() += 1,
                Err(what) => {
                    differences.push(format!("{} frame {}: {what}", path.display(), packet.number))
                }
            }
            if frames.is_multiple_of(16) && frame.len() <= 2048 {
                invariants::check(&frame, frame.len() / 3, 0);
            }
        }
    }
    println!("{frames} frames of {} captures; listed disagreements: {listed:?}", captures.len());
    for difference in differences.iter().take(5) {
        println!("{difference}");
    }
    assert!(differences.is_empty(), "{} frames read differently", differences.len());
}
