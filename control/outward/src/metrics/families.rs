//! Every metric: name, meaning, value.

use loadlock_api::{
    ControlState, ControlStatus, DataplaneState, DataplaneStatus, Handling, KeptStatus,
    MemoryStatus, Mode, PortStatus, SegmentStatus, SinkStatus, Status, Time, WorkerStatus,
};

use super::text::{Kind, Text, seconds};
use super::workers::write_workers;
use super::{Figures, PortFigures, reasons};

pub(super) fn write(text: &mut Text, figures: &Figures, sinks: &[SinkStatus]) {
    let status = &figures.status;
    text.family("loadlock_build_info", Kind::Gauge, "Version of the program; always 1.");
    text.sample(&[("version", &status.version)], 1);
    write_control(text, status);
    write_dataplane(text, &status.dataplane);
    write_segments(text, &status.segments);
    write_ports(text, &status.segments, &figures.ports);
    write_workers(text, &status.workers, &figures.latency);
    write_sinks(text, sinks);
}

fn write_control(text: &mut Text, status: &Status) {
    let control = &status.control;
    text.family("loadlock_control_uptime_seconds", Kind::Gauge, "Time since control's start.");
    text.sample(&[], status.uptime_s);
    let state = "What control is doing: 1 for its state, 0 for the others.";
    text.family("loadlock_control_state", Kind::Gauge, state);
    use ControlState::{Attached, Starting, Stopping, Waiting};
    for state in [Starting, Waiting, Attached, Stopping] {
        text.sample(&[("state", state.name())], u8::from(state == control.state));
    }
    let gauges: [(&str, &str, u64); 7] = [
        (
            "loadlock_policy_version",
            "Policy version in force, 0 before the first.",
            control.policy_version,
        ),
        (
            "loadlock_policy_generation",
            "Generation published to the workers, 0 before the first.",
            control.generation,
        ),
        (
            "loadlock_evidence_keys",
            "Conversation keys that learning has evidence of.",
            control.evidence_keys,
        ),
        ("loadlock_store_used_bytes", "What the store holds.", control.kept.used_bytes),
        (
            "loadlock_store_limit_bytes",
            "What the store may hold, before the oldest flow records go.",
            control.kept.limit_bytes,
        ),
        (
            "loadlock_alarms",
            "Alarms that `loadlock status` shows; 0 if all is well.",
            status.alarms.len() as u64,
        ),
        (
            "loadlock_control_error",
            "1 if something failed in control's background since its start; `loadlock status` says what.",
            u64::from(control.last_error.is_some()),
        ),
    ];
    for (name, help, value) in gauges {
        text.family(name, Kind::Gauge, help);
        text.sample(&[], value);
    }
    let counters = [
        (
            "loadlock_control_events_total",
            "Events taken from the workers' rings since control's start.",
            control.events_received,
        ),
        (
            "loadlock_control_records_refused_total",
            "Records in the rings that no worker writes; the region is damaged if there is one.",
            control.records_refused,
        ),
    ];
    for (name, help, value) in counters {
        text.family(name, Kind::Counter, help);
        text.sample(&[], value);
    }
    text.family("loadlock_store_bytes", Kind::Gauge, "Size of the store with its journal.");
    text.sample(&[], store_bytes(&control.store_path));
}

fn store_bytes(path: &str) -> u64 {
    let length = |path: &str| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path) + length(&format!("{path}-wal"))
}

fn write_dataplane(text: &mut Text, dataplane: &DataplaneStatus) {
    let state = "What the dataplane is doing: 1 for its state, 0 for the others.";
    text.family("loadlock_dataplane_state", Kind::Gauge, state);
    use DataplaneState::{Running, Starting, Stopped, Stopping, Waiting};
    for state in [Stopped, Starting, Waiting, Running, Stopping] {
        text.sample(&[("state", state.name())], u8::from(state == dataplane.state));
    }
    let starts = "Starts of the dataplane on this exchange.";
    text.family("loadlock_dataplane_starts_total", Kind::Counter, starts);
    text.sample(&[], dataplane.starts);
    let age = "Time since the dataplane's last sign of life; absent before the first.";
    text.family("loadlock_dataplane_heartbeat_age_seconds", Kind::Gauge, age);
    if let Some(ms) = dataplane.heartbeat_age_ms {
        text.sample(&[], seconds(u128::from(ms) * 1_000_000));
    }
    let bytes = "Size of the shared memory region, 0 while control isn't attached.";
    text.family("loadlock_exchange_bytes", Kind::Gauge, bytes);
    text.sample(&[], dataplane.memory.exchange_bytes);
    text.family(
        "loadlock_policy_capacity_rules",
        Kind::Gauge,
        "Most rules that a policy can have.",
    );
    text.sample(&[], dataplane.memory.rule_capacity);
}

fn write_segments(text: &mut Text, segments: &[SegmentStatus]) {
    let mode = "Mode of the segment: 1 for its mode, 0 for the others.";
    text.family("loadlock_segment_mode", Kind::Gauge, mode);
    for segment in segments {
        for mode in Mode::ALL {
            let labels = [("segment", segment.name.as_str()), ("mode", mode.name())];
            text.sample(&labels, u8::from(mode == segment.mode));
        }
    }
    let handling =
        "What the dataplane does with the segment's frames: 1 for that, 0 for the others.";
    text.family("loadlock_segment_handling", Kind::Gauge, handling);
    for segment in segments {
        let ways =
            [("judged", Handling::Judged), ("open", Handling::Open), ("closed", Handling::Closed)];
        for (name, way) in ways {
            let labels = [("segment", segment.name.as_str()), ("handling", name)];
            text.sample(&labels, u8::from(way == segment.handling));
        }
    }
    text.family(
        "loadlock_segment_bypass",
        Kind::Gauge,
        "1 if somebody put the segment into bypass.",
    );
    for segment in segments {
        text.sample(&[("segment", &segment.name)], u8::from(segment.bypass.is_some()));
    }
    let rules = "Rules of the policy in force that hold in the segment.";
    text.family("loadlock_segment_rules", Kind::Gauge, rules);
    for segment in segments {
        text.sample(&[("segment", &segment.name)], segment.rules);
    }
}

/// Name, kind, meaning, value of one of a port's figures.
type PortFamily = (&'static str, Kind, &'static str, fn(&PortStatus) -> Option<u64>);

const PORT_FAMILIES: &[PortFamily] = &[
    ("loadlock_port_link_up", Kind::Gauge, "1 if the link is up.", |port| {
        Some(u64::from(port.link_up))
    }),
    (
        "loadlock_port_speed_bytes_per_second",
        Kind::Gauge,
        "Speed of the link; absent if the device doesn't say.",
        |port| port.speed_mbps.map(|mbps| u64::from(mbps) * 125_000),
    ),
    (
        "loadlock_port_received_packets_total",
        Kind::Counter,
        "Frames taken from the port's receive queues: those forwarded and those dropped, exactly.",
        |port| Some(port.received_packets),
    ),
    (
        "loadlock_port_received_bytes_total",
        Kind::Counter,
        "Their bytes, without checksum.",
        |port| Some(port.received_bytes),
    ),
    (
        "loadlock_port_forwarded_packets_total",
        Kind::Counter,
        "Of the frames received here, those sent through the other side's port.",
        |port| Some(port.forwarded_packets),
    ),
    (
        "loadlock_port_forwarded_bytes_total",
        Kind::Counter,
        "Their bytes, without checksum.",
        |port| Some(port.forwarded_bytes),
    ),
    (
        "loadlock_port_unjudged_packets_total",
        Kind::Counter,
        "Of the frames forwarded, those that nobody judged: in bypass, or after a failure that opens the segment.",
        |port| Some(port.unjudged_packets),
    ),
    (
        "loadlock_port_missed_packets_total",
        Kind::Counter,
        "Frames that the device lost because its receive queue was full.",
        |port| Some(port.missed_packets),
    ),
    (
        "loadlock_port_receive_error_packets_total",
        Kind::Counter,
        "Frames that the device refused as damaged.",
        |port| Some(port.receive_error_packets),
    ),
    (
        "loadlock_port_no_buffer_packets_total",
        Kind::Counter,
        "Frames lost because no packet buffer was free.",
        |port| Some(port.no_buffer_packets),
    ),
    (
        "loadlock_port_transmit_error_packets_total",
        Kind::Counter,
        "Frames that the device failed to send after it had taken them.",
        |port| Some(port.transmit_error_packets),
    ),
];

/// Name, meaning, values by reason of one of a port's counters.
type ReasonFamily = (&'static str, &'static str, fn(&PortFigures) -> &[u64]);

fn write_ports(text: &mut Text, segments: &[SegmentStatus], figures: &[PortFigures]) {
    let sides = segments.iter().flat_map(|segment| {
        [("a", &segment.side_a), ("b", &segment.side_b)]
            .map(|(side, port)| ([("segment", segment.name.as_str()), ("side", side)], port))
    });
    let ports: Vec<_> = sides.collect();
    for (name, kind, help, value) in PORT_FAMILIES {
        text.family(name, *kind, help);
        for (labels, port) in &ports {
            if let Some(value) = value(port) {
                text.sample(&[labels.as_slice(), &[("port", &port.port)]].concat(), value);
            }
        }
    }
    let by_reason: [ReasonFamily; 2] = [
        (
            "loadlock_port_dropped_packets_total",
            "Frames received here and dropped, by reason; `loadlock drops` says what the reasons mean.",
            |port| &port.dropped,
        ),
        (
            "loadlock_port_would_deny_packets_total",
            "Frames received here and forwarded that enforce mode would drop, by reason.",
            |port| &port.would_deny,
        ),
    ];
    for (name, help, counts) in by_reason {
        text.family(name, Kind::Counter, help);
        for ((labels, port), figures) in ports.iter().zip(figures) {
            for (reason, count) in reasons().zip(counts(figures)) {
                let more = [("port", port.port.as_str()), ("reason", reason)];
                text.sample(&[labels.as_slice(), &more].concat(), count);
            }
        }
    }
}

/// Name, kind, meaning, value of one of a sink's figures.
type SinkFamily = (&'static str, Kind, &'static str, fn(&SinkStatus) -> u64);

const SINK_FAMILIES: &[SinkFamily] = &[
    ("loadlock_sink_connected", Kind::Gauge, "1 if the receiver can be written to.", |sink| {
        u64::from(sink.connected_since.is_some())
    }),
    (
        "loadlock_sink_sent_total",
        Kind::Counter,
        "Events, records or answers handed over since control's start.",
        |sink| sink.sent,
    ),
    (
        "loadlock_sink_lost_total",
        Kind::Counter,
        "Events given up because the spool was full or the receiver refused them.",
        |sink| sink.lost,
    ),
    ("loadlock_sink_spool_events", Kind::Gauge, "Events that wait.", |sink| sink.waiting),
    ("loadlock_sink_spool_capacity_events", Kind::Gauge, "Room of the spool.", |sink| sink.room),
];

fn write_sinks(text: &mut Text, sinks: &[SinkStatus]) {
    for (name, kind, help, value) in SINK_FAMILIES {
        text.family(name, *kind, help);
        for sink in sinks {
            text.sample(&[("sink", &sink.name)], value(sink));
        }
    }
}

/// Figures in which everything is present, so that every name is shown: for checks of dashboards and rules.
#[must_use]
pub fn example() -> Figures {
    let port = |name: &str| PortStatus {
        port: name.to_owned(),
        link_up: true,
        speed_mbps: Some(10_000),
        received_packets: 10,
        forwarded_packets: 8,
        dropped_packets: 2,
        ..PortStatus::default()
    };
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        time: Time::from_ns(0),
        uptime_s: 1,
        control: ControlStatus {
            state: ControlState::Attached,
            policy_version: 1,
            generation: 1,
            store_path: String::new(),
            evidence_keys: 0,
            events_received: 0,
            records_refused: 0,
            kept: KeptStatus::default(),
            last_error: None,
        },
        dataplane: DataplaneStatus {
            state: DataplaneState::Running,
            pid: None,
            starts: 1,
            heartbeat_age_ms: Some(20),
            cycles_per_s: 2_000_000_000,
            memory: MemoryStatus::default(),
        },
        segments: vec![SegmentStatus {
            name: "fab".to_owned(),
            mode: Mode::Enforce,
            rules: 1,
            handling: Handling::Judged,
            bypass: None,
            side_a: port("fab-a"),
            side_b: port("fab-b"),
        }],
        workers: vec![WorkerStatus {
            generation: Some(1),
            heartbeat_age_ms: Some(0),
            latency_max_ns: Some(9_000),
            ..WorkerStatus::default()
        }],
        outward: Vec::new(),
        alarms: Vec::new(),
    };
    let mut dropped = vec![0; reasons().count()];
    dropped[0] = 2;
    let figures = PortFigures { would_deny: vec![0; dropped.len()], dropped };
    Figures {
        status,
        ports: vec![figures.clone(), figures],
        latency: vec![vec![(900, 3), (9_000, 1)]],
    }
}
