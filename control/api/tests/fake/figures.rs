//! Fixed figures and lists.

use loadlock_api::*;

use super::NOW_NS;

pub fn status() -> Status {
    let port = |name: &str, packets: u64, dropped: u64| PortStatus {
        port: name.to_owned(),
        link_up: true,
        speed_mbps: Some(10_000),
        received_packets: packets,
        received_bytes: packets * 412,
        forwarded_packets: packets - dropped,
        forwarded_bytes: (packets - dropped) * 412,
        dropped_packets: dropped,
        ..PortStatus::default()
    };
    Status {
        version: "0.1.0".to_owned(),
        time: Time::from_ns(NOW_NS),
        uptime_s: 273_604,
        control: ControlStatus {
            state: ControlState::Attached,
            policy_version: 37,
            generation: 41,
            store_path: "/var/lib/loadlock/store.db".to_owned(),
            evidence_keys: 1_204,
            events_received: 88_412_907,
            records_refused: 0,
            kept: KeptStatus {
                used_bytes: 812_646_400,
                limit_bytes: 4 << 30,
                days: 90,
                since: Some(Time::from_ns(NOW_NS - 90 * 86_400_000_000_000)),
                ..KeptStatus::default()
            },
            last_error: None,
        },
        dataplane: DataplaneStatus {
            state: DataplaneState::Running,
            pid: Some(4_711),
            starts: 1,
            heartbeat_age_ms: Some(12),
            cycles_per_s: 2_000_000_000,
            memory: MemoryStatus {
                exchange_path: "/dev/hugepages/loadlock".to_owned(),
                exchange_bytes: 268_435_456,
                exchange_on_huge_pages: true,
                rule_capacity: 100_000,
                policy_bytes: 6_800_384,
            },
        },
        segments: vec![SegmentStatus {
            name: "fab".to_owned(),
            mode: Mode::Enforce,
            rules: 128,
            handling: Handling::Judged,
            bypass: None,
            side_a: port("fab-a", 1_234_567_890, 567),
            side_b: port("fab-b", 987_654_321, 1_234),
        }],
        workers: vec![WorkerStatus {
            index: 0,
            core: 2,
            generation: Some(41),
            heartbeat_age_ms: Some(0),
            flows_narrow: 1_204,
            flows_wide: 38,
            flow_capacity_narrow: 1_048_576,
            flow_capacity_wide: 262_144,
            flows_started: 90_112,
            flows_ended: 88_870,
            table_bytes: 141_557_824,
            table_huge_bytes: 141_557_824,
            events_sent: 88_412_907,
            bursts: 402_113_000,
            empty_polls: 9_402_113_000,
            received_packets: 2_222_222_211,
            sampled_bursts: 6_283_015,
            sampled_cycles: 6_943_000_000,
            latency_p50_ns: Some(1_840),
            latency_p99_ns: Some(5_120),
            latency_p99_9_ns: Some(11_264),
            latency_max_ns: Some(184_320),
            ring_used: 12,
            ring_capacity: 65_536,
            ..WorkerStatus::default()
        }],
        outward: Vec::new(),
        alarms: Vec::new(),
    }
}

pub fn bindings() -> Vec<Binding> {
    let host = Binding {
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        side: Side::A,
        address: Some("10.0.1.11".to_owned()),
        mac: Some("02:00:00:00:00:01".to_owned()),
        held: "mac-ip".to_owned(),
        reason: "learned".to_owned(),
        words: "10.0.1.11 is 02:00:00:00:00:01 on side a".to_owned(),
    };
    let routed = Binding {
        side: Side::B,
        address: Some("10.9.0.1".to_owned()),
        mac: None,
        held: "ip".to_owned(),
        reason: "learned; behind a router".to_owned(),
        words: "10.9.0.1 is any station on side b".to_owned(),
        ..host.clone()
    };
    let station = Binding {
        address: None,
        words: "station 02:00:00:00:00:01 is on side a".to_owned(),
        ..host.clone()
    };
    vec![host, routed, station]
}

pub fn rules() -> Vec<Rule> {
    let rule = |id, client: &str, server: &str, service: &str, reason: &str| Rule {
        id,
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        client: client.to_owned(),
        client_side: Some(Side::A),
        server: server.to_owned(),
        service: service.to_owned(),
        opens: Opens::Client,
        midstream: false,
        reason: reason.to_owned(),
        owner: None,
        words: format!("{client} (side A) → {server} {service}, opened by the client"),
    };
    vec![
        rule(1, "10.0.1.11", "10.0.2.5", "tcp/5000", "learned: 14 conversations"),
        rule(2, "10.0.1.12", "10.0.2.5", "tcp/5000", "learned: 9 conversations"),
        rule(812, "10.0.1.0/24", "10.0.2.53", "udp/53", "DNS for all tools, ticket 4711"),
        rule(813, "fd00:10::11", "fd00:20::5", "icmpv6/echo", "learned: 2 conversations"),
    ]
}

pub fn flows() -> Vec<Flow> {
    let flow = |client: &str, port, server: &str, service: &str, verdict, age_s: u64| Flow {
        segment: "fab".to_owned(),
        vlan: "untagged".to_owned(),
        client: client.to_owned(),
        client_port: port,
        client_side: Side::A,
        server: server.to_owned(),
        service: service.to_owned(),
        initiator: Side::A,
        state: FlowState::Open,
        rule: (verdict == Verdict::Allow).then_some(1),
        verdict,
        started: Time::from_ns(NOW_NS - age_s * 1_000_000_000),
        client_packets: 1_204 + age_s,
        client_bytes: 88_412 + age_s * 100,
        server_packets: 1_180,
        server_bytes: 1_204_551,
    };
    vec![
        flow("10.0.1.13", Some(50_112), "10.0.2.9", "tcp/445", Verdict::WouldDeny, 4),
        flow("10.0.1.11", Some(49_152), "10.0.2.5", "tcp/5000", Verdict::Allow, 86_400),
        flow("fd00:10::11", None, "fd00:20::5", "icmpv6/echo", Verdict::Allow, 90_000),
    ]
}

pub fn drops() -> Vec<DropCount> {
    let drop = |port: &str, reason: &str, meaning: &str, dropped, would_deny| DropCount {
        segment: "fab".to_owned(),
        port: port.to_owned(),
        reason: reason.to_owned(),
        meaning: meaning.to_owned(),
        dropped_packets: dropped,
        would_deny_packets: would_deny,
    };
    vec![
        drop("fab-a", "no_rule", "no rule permits this conversation", 560, 12),
        drop("fab-a", "ipv4_length", "IPv4 total length and frame contradict each other", 7, 0),
        drop(
            "fab-b",
            "wrong_direction",
            "a rule permits the conversation, but not that this side opens it",
            1_234,
            0,
        ),
    ]
}

/// Events that differ in their time and the number in their words.
pub fn event(number: u64, kind: EventKind) -> EventLine {
    let denied = kind == EventKind::Denied;
    EventLine {
        time: Time::from_ns(NOW_NS + number * 1_000_000),
        kind,
        segment: "fab".to_owned(),
        words: format!("10.0.1.66:{} → 10.0.2.5 tcp/445", 40_000 + number),
        vlan: "untagged".to_owned(),
        client: "10.0.1.66".to_owned(),
        client_port: Some(40_000),
        client_side: Side::A,
        server: "10.0.2.5".to_owned(),
        service: "tcp/445".to_owned(),
        initiator: Side::A,
        verdict: if denied { Verdict::Deny } else { Verdict::Allow },
        reason: denied.then(|| "no_rule".to_owned()),
        rule: None,
        started: None,
        midstream: false,
        client_packets: number,
        client_bytes: 60 * number,
        server_packets: 0,
        server_bytes: 0,
    }
}

pub fn question() -> Question {
    Question {
        id: "0123456789ab".to_owned(),
        kind: QuestionKind::Held,
        words: "may it?".to_owned(),
        segments: vec!["fab".to_owned()],
        tuples: vec!["10.0.1.11 → 10.0.2.1 tcp/445".to_owned()],
        tuples_total: 1,
    }
}

/// Newest first; the hash of an entry is its number again and again.
pub fn audit() -> Vec<AuditLine> {
    let line = |number: u64, actor: &str, action: &str, version, note: &str| AuditLine {
        number,
        time: Time::from_ns(NOW_NS - (3 - number) * 60_000_000_000),
        actor: actor.to_owned(),
        action: action.to_owned(),
        version,
        note: note.to_owned(),
        sha256: format!("{number:02x}").repeat(32),
    };
    vec![
        line(3, "bert", "account", 0, "user \u{1b}[2J added"),
        line(2, "anna", "applied", 37, "new recipe server"),
        line(1, "anna", "proposed", 37, "new recipe server"),
    ]
}

pub fn audit_check() -> AuditCheck {
    AuditCheck {
        is_whole: true,
        whole_entries: 3,
        last_sha256: Some("03".repeat(32)),
        broken_entry: None,
        finding: None,
    }
}
