//! One case for each thing that a replay promises, over captures made by hand.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use loadlock_capture::{CaptureError, CaptureWriter, Resolution};
use loadlock_generate::frame::{FrameBuilder, Ipv4, Mac, Tcp, TcpFlags};
use loadlock_packet::MacAddress;
use loadlock_replay::{
    LearnUntil, Output, ReplayError, ReplayOptions, ReplayReport, parse_infrastructure, run,
    summary,
};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;
const SYN: TcpFlags = TcpFlags::SYN;
const SYN_ACK: TcpFlags = TcpFlags(0x12);
const ACK: TcpFlags = TcpFlags::ACK;

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

/// A TCP segment between hosts whose MAC and IP addresses end in `from` and `to`.
fn tcp(macs: [u8; 2], [from, to]: [u8; 2], ports: [u16; 2], flags: TcpFlags) -> Vec<u8> {
    FrameBuilder::new(mac(macs[0]), mac(macs[1]))
        .ipv4(Ipv4::new(ip(from), ip(to)))
        .tcp(Tcp::new(ports[0], ports[1]).flags(flags))
        .build()
        .unwrap()
}

/// SYN, SYN-ACK and ACK of a connection from `client` to port 5000 of `server`; `macs` are those of client and server.
fn handshake(macs: [u8; 2], [client, server]: [u8; 2], port: u16) -> Vec<Vec<u8>> {
    let [forth, back] = [macs, [macs[1], macs[0]]];
    vec![
        tcp(forth, [client, server], [port, 5000], SYN),
        tcp(back, [server, client], [5000, port], SYN_ACK),
        tcp(forth, [client, server], [port, 5000], ACK),
    ]
}

/// A folder with a capture of these frames, one a second.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(frames: &[Vec<u8>]) -> Self {
        let timed =
            frames.iter().zip(0..).map(|(frame, at)| (START + at * SECOND, frame.as_slice()));
        Self::timed(timed)
    }

    fn timed<'a>(frames: impl Iterator<Item = (u64, &'a [u8])>) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let mut writer = CaptureWriter::create(&bench.capture(), Resolution::Nano).unwrap();
        for (time_ns, frame) in frames {
            writer.write(time_ns, frame).unwrap();
        }
        writer.finish().unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn capture(&self) -> PathBuf {
        self.path("capture.pcap")
    }

    fn options(&self, learn_until: &str) -> ReplayOptions {
        ReplayOptions {
            learn_until: Some(learn_until.parse().unwrap()),
            verdicts: Some(Output::File(self.path("verdicts.jsonl"))),
            ..ReplayOptions::new(self.capture())
        }
    }

    fn verdicts(&self) -> Vec<Value> {
        let lines = fs::read_to_string(self.path("verdicts.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Verdict, reason and side of every packet, in one text each.
    fn outcomes(&self) -> Vec<String> {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
        let outcome =
            |line: &Value| ["verdict", "reason", "side"].map(|key| text(line, key)).join(" ");
        self.verdicts().iter().map(outcome).collect()
    }
}

fn words(report: &ReplayReport) -> Vec<&str> {
    report.learned_rules.rules.iter().map(|rule| rule.words.as_str()).collect()
}

fn write(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    path.to_owned()
}

#[test]
fn what_was_learned_is_permitted_and_the_rest_denied() {
    let mut frames = handshake([1, 2], [1, 2], 40_000);
    frames.extend(handshake([1, 2], [1, 2], 40_001));
    frames.push(tcp([2, 1], [2, 1], [5000, 40_002], SYN));
    frames.push(tcp([1, 2], [1, 2], [40_003, 22], SYN));
    let bench = Bench::new(&frames);
    let report = run(&bench.options("3s")).unwrap();
    assert_eq!(words(&report), ["10.0.0.1 (side A) → 10.0.0.2 tcp/5000"]);
    let expected = [
        "allow learning a",
        "allow learning b",
        "allow learning a",
        "allow rule a",
        "allow rule b",
        "allow rule a",
        "deny wrong_direction b",
        "deny no_rule a",
    ];
    assert_eq!(bench.outcomes(), expected);
    let first = fs::read_to_string(bench.path("verdicts.jsonl")).unwrap();
    let line = "{\"n\":1,\"time_ns\":1700000000000000000,\"verdict\":\"allow\",\"reason\":\"learning\",\"rule\":null,\
                \"side\":\"a\",\"flow\":\"tcp 10.0.0.1:40000 > 10.0.0.2:5000\"}";
    assert_eq!(first.lines().next(), Some(line));
    assert_eq!((report.phases.learn.packets, report.phases.enforce.packets), (3, 5));
    assert_eq!(report.verdicts["deny"], 2);
    assert!(summary(&report).contains("8 received = 6 forwarded + 2 dropped, exact"));
}

#[test]
fn one_mac_pair_for_both_directions_is_told_by_its_ip_addresses() {
    // As captures are whose link layer was made up, and loopback captures (all zeros).
    for macs in [[1, 2], [0, 0]] {
        let mut frames = vec![
            tcp(macs, [1, 2], [40_000, 5000], SYN),
            tcp(macs, [2, 1], [5000, 40_000], SYN_ACK),
            tcp(macs, [1, 2], [40_000, 5000], ACK),
        ];
        frames.push(tcp(macs, [3, 1], [40_000, 5001], SYN));
        frames.push(tcp(macs, [1, 3], [5001, 40_000], SYN_ACK));
        let bench = Bench::new(&frames);
        let report = run(&bench.options("1")).unwrap();
        assert_eq!(report.flows.started, 2, "{macs:?}");
        let expected =
            ["10.0.0.1 (side A) → 10.0.0.2 tcp/5000", "10.0.0.3 (side A) → 10.0.0.1 tcp/5001"];
        assert_eq!(words(&report), expected);
        let by_pair = report.sides.same_side_packets + report.sides.two_way_packets;
        assert_eq!(by_pair, if macs == [0, 0] { 5 } else { 2 });
    }
}

#[test]
fn three_hosts_at_a_mirror_port_keep_their_conversations_together() {
    let pairs: [[u8; 2]; 3] = [[1, 2], [2, 3], [3, 1]];
    let frames: Vec<_> = pairs.into_iter().flat_map(|pair| handshake(pair, pair, 40_000)).collect();
    let bench = Bench::new(&frames);
    let report = run(&bench.options("1")).unwrap();
    assert_eq!((report.flows.started, report.learned_rules.count), (3, 3));
    assert_eq!(report.evidence.handshakes, 3);
    assert_eq!((report.sides.same_side_pairs, report.sides.same_side_packets), (1, 3));
}

#[test]
fn a_packet_that_a_router_sends_back_is_two_conversations() {
    // 1 and 2 are on one side, the router 9 is on the other: it sees 1's packet come in and go out again.
    let mut frames = Vec::new();
    for (macs, ips, ports, flags) in [
        ([1, 9], [1, 2], [40_000, 5000], SYN),
        ([9, 2], [1, 2], [40_000, 5000], SYN),
        ([2, 9], [2, 1], [5000, 40_000], SYN_ACK),
        ([9, 1], [2, 1], [5000, 40_000], SYN_ACK),
    ] {
        frames.push(tcp(macs, ips, ports, flags));
    }
    let bench = Bench::new(&frames);
    let report = run(&bench.options("1")).unwrap();
    let expected =
        ["10.0.0.1 (side A) → 10.0.0.2 tcp/5000", "10.0.0.1 (side B) → 10.0.0.2 tcp/5000"];
    assert_eq!(words(&report), expected);
    assert_eq!(report.sides.same_side_packets + report.sides.two_way_packets, 0);
}

#[test]
fn a_forged_address_does_not_change_the_side() {
    let mut frames = handshake([1, 2], [1, 2], 40_000);
    // Station 1 pretends to be 10.0.0.2, whose packets come from the other side.
    frames.push(tcp([1, 2], [2, 1], [5000, 40_009], SYN_ACK));
    frames.push(tcp([3, 2], [2, 1], [5000, 40_000], ACK));
    let bench = Bench::new(&frames);
    run(&bench.options("3s")).unwrap();
    assert_eq!(bench.outcomes()[4], "deny no_rule a");
}

#[test]
fn given_sides_hold_and_saved_ones_are_read_back() {
    let bench = Bench::new(&handshake([1, 2], [1, 2], 40_000));
    let mut options = bench.options("1");
    options.side_b = vec![MacAddress(mac(1).0)];
    options.save_sides = Some(Output::File(bench.path("sides.txt")));
    let report = run(&options).unwrap();
    assert_eq!(words(&report), ["10.0.0.1 (side B) → 10.0.0.2 tcp/5000"]);
    let mut options = bench.options("1");
    options.sides = Some(bench.path("sides.txt"));
    assert_eq!(words(&run(&options).unwrap()), words(&report));
    options.side_a = vec![MacAddress(mac(1).0)];
    assert_eq!(run(&options).unwrap().sides.stations_a, 2);
    options.side_b = vec![MacAddress(mac(1).0)];
    assert!(matches!(run(&options), Err(ReplayError::BothSides { .. })));
}

/// Number, client and server, side of the client, service, who opens, reason.
type RuleWords = (u32, [u8; 2], &'static str, &'static str, &'static str, &'static str);

/// A policy file.
fn policy_text(rules: &[RuleWords]) -> String {
    let rule = |(id, [client, server], side, service, opens, reason): &(
        u32,
        [u8; 2],
        &str,
        &str,
        &str,
        &str,
    )| {
        format!(
            "[[rule]]\nid = {id}\nsegment = \"etch\"\nclient = \"10.0.0.{client}\"\nserver = \"10.0.0.{server}\"\n\
             client_side = \"{side}\"\nservice = \"{service}\"\nopens = \"{opens}\"\nreason = \"{reason}\"\n"
        )
    };
    format!("format = 1\n{}", rules.iter().map(rule).collect::<String>())
}

#[test]
fn a_given_policy_judges_and_learning_adds_to_it() {
    let mut frames = handshake([1, 2], [1, 2], 40_000);
    for service in [21, 22, 80] {
        frames.push(tcp([2, 1], [2, 1], [40_000, service], SYN));
    }
    let bench = Bench::new(&frames);
    let policy = policy_text(&[
        (7, [1, 2], "both", "tcp/5000", "client", "HSMS"),
        (1, [2, 1], "b", "tcp/22", "server", "learned; on another day"),
        (3, [2, 1], "both", "tcp/21", "server", "by hand"),
    ]);
    let mut options = bench.options("0");
    options.policy = Some(write(&bench.path("policy.toml"), &policy));
    let report = run(&options).unwrap();
    assert_eq!((report.segment.as_str(), report.policy.rules), ("etch", 3));
    let verdicts = bench.verdicts();
    assert_eq!(verdicts[0]["rule"], 7);
    let reasons: Vec<_> = verdicts[3..].iter().map(|line| &line["reason"]).collect();
    assert_eq!(reasons, ["wrong_direction", "wrong_direction", "no_rule"]);
    // Learning widens rule 1, leaves what a person wrote alone, and takes the first free number for what is new.
    options.learn_until = Some(LearnUntil::Fraction(1.0));
    options.save_policy = Some(Output::File(bench.path("joined.toml")));
    let report = run(&options).unwrap();
    let expected = [
        "10.0.0.2 (side B) → 10.0.0.1 tcp/22, opened by either",
        "10.0.0.2 (side B) → 10.0.0.1 tcp/80",
    ];
    assert_eq!(words(&report), expected);
    let numbers: Vec<_> = report.learned_rules.rules.iter().map(|rule| rule.rule).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(report.learned_rules.left_out, ["10.0.0.2 (side B) → 10.0.0.1 tcp/21"]);
    assert_eq!((report.policy.rules_given, report.policy.rules), (3, 4));
    options.policy = Some(bench.path("joined.toml"));
    options.learn_until = None;
    options.save_policy = None;
    assert_eq!(run(&options).unwrap().verdicts["deny"], 1);
}

#[test]
fn the_segment_is_the_policys_own_or_must_be_chosen() {
    let bench = Bench::new(&handshake([1, 2], [1, 2], 40_000));
    let rule = |segment: &str| {
        format!(
            "[[rule]]\nsegment = \"{segment}\"\nclient = \"10.0.0.1\"\nserver = \"10.0.0.2\"\n\
             service = \"tcp/5000\"\nreason = \"HSMS\"\n"
        )
    };
    let text = format!("format = 1\n{}{}", rule("etch"), rule("litho"));
    let mut options = bench.options("0");
    options.policy = Some(write(&bench.path("policy.toml"), &text));
    assert!(
        matches!(run(&options), Err(ReplayError::SegmentOpen { segments, .. }) if segments.len() == 2)
    );
    options.segment = Some("litho".to_owned());
    let report = run(&options).unwrap();
    assert_eq!((report.policy.rules, report.verdicts["allow"]), (1, 3));
    options.segment = Some("cmp".to_owned());
    assert!(matches!(run(&options), Err(ReplayError::SegmentAbsent { .. })));
}

#[test]
fn a_cut_capture_is_replayed_as_far_as_it_goes() {
    let bench = Bench::new(&handshake([1, 2], [1, 2], 40_000));
    let bytes = fs::read(bench.capture()).unwrap();
    fs::write(bench.capture(), &bytes[..bytes.len() - 5]).unwrap();
    let mut options = bench.options("1");
    options.report = Some(Output::File(bench.path("report.json")));
    match run(&options) {
        Err(ReplayError::Incomplete { source: CaptureError::Truncated { .. }, report }) => {
            assert_eq!((report.packets, report.complete), (2, false));
        }
        other => panic!("{other:?}"),
    }
    let written: Value =
        serde_json::from_slice(&fs::read(bench.path("report.json")).unwrap()).unwrap();
    assert_eq!(written["complete"], false);
    assert_eq!(bench.verdicts().len(), 2);
    options.allow_truncated = true;
    assert!(!run(&options).unwrap().complete);
}

#[test]
fn a_failed_replay_leaves_older_outputs_alone() {
    let bench = Bench::new(&[]);
    fs::write(bench.capture(), "not a capture").unwrap();
    write(&bench.path("verdicts.jsonl"), "old");
    assert!(matches!(run(&bench.options("1")), Err(ReplayError::Capture(_))));
    assert_eq!(fs::read_to_string(bench.path("verdicts.jsonl")).unwrap(), "old");
    let mut options = bench.options("1");
    options.report = Some(Output::File(bench.path("absent/report.json")));
    assert!(matches!(run(&options), Err(ReplayError::Write { what: "report", .. })));
}

#[test]
fn an_empty_capture_has_a_report_too() {
    let bench = Bench::new(&[]);
    for learn_until in ["0", "0.5", "1", "10s", "2023-01-01T00:00:00Z"] {
        let report = run(&bench.options(learn_until)).unwrap();
        assert_eq!((report.packets, report.first_time_ns), (0, None));
        assert!(report.reconciliation.exact);
    }
}

#[test]
fn learning_ends_by_time_or_where_times_tell_nothing_by_packets() {
    let frames: Vec<_> = (0..8).map(|at| tcp([1, 2], [1, 2], [40_000 + at, 5000], SYN)).collect();
    let learned = |times: [u64; 8], until: &str| {
        let bench = Bench::timed(times.into_iter().zip(frames.iter().map(Vec::as_slice)));
        run(&bench.options(until)).unwrap().phases.learn.packets
    };
    let seconds: [u64; 8] = std::array::from_fn(|at| START + at as u64 * at as u64 * SECOND);
    assert_eq!(learned(seconds, "0.5"), 5);
    assert_eq!(learned(seconds, "10s"), 4);
    assert_eq!(learned(seconds, "2023-11-14T22:13:36Z"), 4);
    assert_eq!(learned(seconds, "0"), 0);
    assert_eq!(learned(seconds, "1"), 8);
    assert_eq!(learned([START; 8], "0.5"), 4);
    let mut bogus = seconds;
    bogus[3] = 0;
    assert_eq!(learned(bogus, "0.5"), 4);
    // Once over, learning doesn't begin again when the clock goes back.
    let mut back = seconds;
    back[7] = START;
    assert_eq!(learned(back, "10s"), 4);
}

#[test]
fn time_outs_act_by_the_captures_time() {
    let udp = |ports: [u16; 2]| {
        let frame = FrameBuilder::new(mac(1), mac(2)).ipv4(Ipv4::new(ip(1), ip(2)));
        frame.udp(ports[0], ports[1]).build().unwrap()
    };
    let frame = udp([40_000, 161]);
    let times = [0, 100, 400, 500, 1_000_000_000];
    let bench =
        Bench::timed(times.map(|at| (START / 2 + at * SECOND, frame.as_slice())).into_iter());
    let report = run(&bench.options("1")).unwrap();
    assert_eq!((report.flows.started, report.flows.ended), (3, 3));
}

#[test]
fn infrastructure_passes_only_where_it_may() {
    let arp = FrameBuilder::new(mac(1), Mac::BROADCAST).ether_type(0x0806).build().unwrap();
    let bench = Bench::new(&[arp]);
    assert_eq!(run(&bench.options("0")).unwrap().reasons["allow"]["infrastructure"], 1);
    let mut options = bench.options("0");
    options.infrastructure = parse_infrastructure("none").unwrap();
    assert_eq!(run(&options).unwrap().reasons["deny"]["no_rule"], 1);
}

#[test]
fn a_cut_frame_is_padded_to_its_length_on_the_wire() {
    let frame = FrameBuilder::new(mac(1), mac(2))
        .ipv4(Ipv4::new(ip(1), ip(2)))
        .udp(40_000, 161)
        .payload(vec![7; 900])
        .build()
        .unwrap();
    let bench = Bench::new(std::slice::from_ref(&frame));
    let mut bytes = fs::read(bench.capture()).unwrap();
    bytes.truncate(24 + 16 + 60);
    bytes[24 + 8..24 + 12].copy_from_slice(&60u32.to_le_bytes());
    fs::write(bench.capture(), bytes).unwrap();
    let report = run(&bench.options("1")).unwrap();
    assert_eq!((report.cut_packets, report.bytes), (1, frame.len() as u64));
    assert!(report.malformed.is_empty());
    assert_eq!(report.flows.started, 1);
}
