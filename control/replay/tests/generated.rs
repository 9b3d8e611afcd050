//! The generated fab line, where the truth is known: sides, rules, and what the intruder gets through.

use std::fs;
use std::path::Path;

use loadlock_capture::{CaptureWriter, Resolution};
use loadlock_generate::{GeneratedPacket, Scenario, Side, generate};
use loadlock_policy::{Policy, PolicyFile};
use loadlock_replay::{LearnUntil, Output, ReplayOptions, ReplayReport, compare, run};
use serde_json::Value;

fn demo(seed: u64) -> Vec<GeneratedPacket> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/scenarios/demo.toml");
    generate(&Scenario::open(&file).unwrap(), seed).collect()
}

/// Replays packets with the default options.
fn replay(packets: &[GeneratedPacket]) -> (ReplayReport, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("demo.pcap");
    let mut writer = CaptureWriter::create(&capture, Resolution::Micro).unwrap();
    for packet in packets {
        writer.write(packet.time_ns, &packet.bytes).unwrap();
    }
    writer.finish().unwrap();
    let verdicts = folder.path().join("verdicts.jsonl");
    let mut options = ReplayOptions::new(capture);
    options.verdicts = Some(Output::File(verdicts.clone()));
    let report = run(&options).unwrap();
    let lines = fs::read_to_string(verdicts).unwrap();
    (report, lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn the_line_works_on_and_the_intruder_gets_nothing_through() {
    for seed in 1..=2 {
        let packets = demo(seed);
        let (report, verdicts) = replay(&packets);
        assert!(report.reconciliation.exact);
        assert_eq!(verdicts.len(), packets.len());
        assert!(packets.iter().any(|packet| packet.label.is_attack()));
        for (packet, verdict) in packets.iter().zip(&verdicts) {
            let denied = verdict["verdict"] == "deny";
            // Its ARP passes: that is infrastructure, forwarded in every mode.
            let expected = packet.label.is_attack() && verdict["reason"] != "infrastructure";
            assert_eq!(denied, expected, "{:?}: {verdict}", packet.label);
        }
    }
}

#[test]
fn every_packet_has_the_side_that_it_really_came_from() {
    let packets = demo(7);
    let (report, verdicts) = replay(&packets);
    // Which of the two is called A is the replay's choice: that of the first station.
    let first_is_a = packets[0].side == Side::A;
    for (packet, verdict) in packets.iter().zip(&verdicts) {
        let expected = if (packet.side == Side::A) == first_is_a { "a" } else { "b" };
        assert_eq!(verdict["side"], expected, "{verdict}");
    }
    assert_eq!(report.sides.same_side_packets + report.sides.two_way_packets, 0);
}

#[test]
fn learned_rules_are_few_and_have_no_client_ports() {
    let (report, _) = replay(&demo(1));
    // HSMS, EDA twice, recipe, syslog, NTP, DNS and ping, for each of six tools.
    assert_eq!(report.learned_rules.count, 6 * 8, "{:#?}", report.learned_rules.rules);
    let services =
        ["tcp/5000", "tcp/80", "tcp/8080", "tcp/445", "udp/514", "udp/123", "udp/53", "icmp/echo"];
    for rule in &report.learned_rules.rules {
        assert!(services.iter().any(|service| rule.words.ends_with(service)), "{}", rule.words);
    }
}

#[test]
fn two_policies_over_one_capture_differ_in_what_one_of_them_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("demo.pcap");
    let mut writer = CaptureWriter::create(&capture, Resolution::Micro).unwrap();
    for packet in demo(3) {
        writer.write(packet.time_ns, &packet.bytes).unwrap();
    }
    writer.finish().unwrap();
    let learned = folder.path().join("learned.toml");
    let mut options = ReplayOptions::new(&capture);
    options.learn_until = Some(LearnUntil::Fraction(1.0));
    options.save_policy = Some(Output::File(learned.clone()));
    run(&options).unwrap();
    let all = PolicyFile::parse(&fs::read_to_string(learned).unwrap(), "learned").unwrap();
    let options = ReplayOptions::new(&capture);
    let same = compare(&options, "replay", [&all, &all]).unwrap();
    assert_eq!((same.changes.len(), same.left_out), (0, 0));
    let missing = all.rules()[0].clone();
    let rest = Policy::from_rules(all.rules()[1..].to_vec(), "rest").unwrap();
    let lost = compare(&options, "replay", [&all, &rest]).unwrap();
    assert!(lost.packets > 0 && !lost.changes.is_empty());
    for changed in &lost.changes {
        assert!(changed.becomes_denied);
        assert_eq!(Some(missing.parts().service), changed.tuple.service());
    }
    let won = compare(&options, "replay", [&rest, &all]).unwrap();
    assert!(won.changes.iter().all(|changed| !changed.becomes_denied));
    assert_eq!(won.changes.len(), lost.changes.len());
}
