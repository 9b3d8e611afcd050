//! Counts every packet of every shared capture against the manifest, as published and in made variants.
//!
//! The captures are beside the checkout (`../shared/captures`, or where `LOADLOCK_CAPTURES` says). Without them the
//! tests print that they are skipped.

mod blocks;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use blocks::{Blocks, gzip};
use loadlock_capture::CaptureReader;

/// One line of the manifest, as far as it is needed here.
struct Entry {
    file: String,
    packets: u64,
    cut: u64,
}

/// The folder of captures and its manifest, or `None`, said in words, when it isn't there.
fn captures() -> Option<(PathBuf, Vec<Entry>)> {
    let folder = std::env::var_os("LOADLOCK_CAPTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures"),
        PathBuf::from,
    );
    let Ok(manifest) = fs::read_to_string(folder.join("MANIFEST.tsv")) else {
        println!("SKIPPED: no MANIFEST.tsv in {}; set LOADLOCK_CAPTURES", folder.display());
        return None;
    };
    let mut lines = manifest.lines();
    let header: Vec<&str> = lines.next().expect("a header").split('\t').collect();
    let column = |name: &str| {
        header
            .iter()
            .position(|title| *title == name)
            .unwrap_or_else(|| panic!("MANIFEST.tsv has no column {name}"))
    };
    let (file, packets, cut) = (column("file"), column("packets"), column("truncated_packets"));
    let entries = lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Entry {
                file: fields[file].to_owned(),
                packets: fields[packets].parse().expect("a packet count"),
                cut: fields[cut].parse().expect("a packet count"),
            }
        })
        .collect();
    Some((folder, entries))
}

type Owned = (u64, u32, Vec<u8>);

fn read_all(reader: &mut CaptureReader) -> Vec<Owned> {
    let mut packets = Vec::new();
    while let Some(packet) = reader.next().expect("a good capture") {
        packets.push((packet.time_ns, packet.wire_bytes, packet.data.to_vec()));
    }
    packets
}

#[test]
fn every_capture_has_the_packets_the_manifest_says() {
    let Some((folder, entries)) = captures() else {
        return;
    };
    assert!(entries.len() > 300, "the manifest is complete");
    let mut total = 0;
    for entry in &entries {
        let mut reader = CaptureReader::open(&folder.join(&entry.file)).expect("opens");
        let (mut packets, mut cut) = (0, 0);
        while let Some(packet) =
            reader.next().unwrap_or_else(|error| panic!("{}: {error}", entry.file))
        {
            packets += 1;
            cut += u64::from(packet.is_cut());
        }
        assert_eq!(packets, entry.packets, "{}", entry.file);
        assert_eq!(cut, entry.cut, "{}: truncated_packets", entry.file);
        total += packets;
    }
    println!("{} captures, {total} packets", entries.len());
}

#[test]
fn compressed_and_pcapng_variants_give_the_same_packets() {
    let Some((folder, entries)) = captures() else {
        return;
    };
    for (index, entry) in entries.iter().enumerate().step_by(12) {
        let path = folder.join(&entry.file);
        let expected = read_all(&mut CaptureReader::open(&path).expect("opens"));
        let compressed = gzip(&fs::read(&path).expect("readable"));

        let order = Blocks { big_endian: index % 24 == 0 };
        let nano = order.option(9, &[9]);
        let mut pcapng =
            [order.section(), order.interface(1, 0, b""), order.interface(1, 0, &nano)].concat();
        for (time_ns, wire_bytes, data) in &expected {
            pcapng.extend(order.enhanced(1, *time_ns, *wire_bytes, data));
        }
        for (kind, bytes) in
            [("gzip", compressed), ("pcapng in gzip", gzip(&pcapng)), ("pcapng", pcapng)]
        {
            let name = format!("{} as {kind}", entry.file);
            let mut reader =
                CaptureReader::from_reader(name.clone(), Cursor::new(bytes)).expect("opens");
            assert!(read_all(&mut reader) == expected, "{name} differs");
        }
    }
}
