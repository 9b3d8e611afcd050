//! Metrics of each worker.

use loadlock_api::WorkerStatus;

use super::text::{Kind, Text, seconds};

/// Upper bounds of the latency histogram: text in seconds, value in ns.
const LATENCY_BOUNDS: &[(&str, u64)] = &[
    ("0.000001", 1_000),
    ("0.000002", 2_000),
    ("0.000005", 5_000),
    ("0.00001", 10_000),
    ("0.00002", 20_000),
    ("0.00005", 50_000),
    ("0.0001", 100_000),
    ("0.0002", 200_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.002", 2_000_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.1", 100_000_000),
];

/// Name, kind, meaning, value of one of a worker's figures.
type WorkerFamily = (&'static str, Kind, &'static str, fn(&WorkerStatus) -> Option<String>);

const WORKER_FAMILIES: &[WorkerFamily] = &[
    ("loadlock_worker_online", Kind::Gauge, "1 if the worker judges packets.", |worker| {
        Some(u8::from(worker.generation.is_some()).to_string())
    }),
    (
        "loadlock_worker_generation",
        Kind::Gauge,
        "Generation of the policy that the worker judges by; absent while it is offline.",
        |worker| worker.generation.map(|generation| generation.to_string()),
    ),
    (
        "loadlock_worker_heartbeat_age_seconds",
        Kind::Gauge,
        "Time since the worker's last poll; absent before the first.",
        |worker| worker.heartbeat_age_ms.map(|ms| seconds(u128::from(ms) * 1_000_000)),
    ),
    (
        "loadlock_worker_flows_refused_packets_total",
        Kind::Counter,
        "Packets judged without a flow entry because the table was full.",
        |worker| Some(worker.flows_refused.to_string()),
    ),
    (
        "loadlock_worker_events_sent_total",
        Kind::Counter,
        "Events that the worker's ring took.",
        |worker| Some(worker.events_sent.to_string()),
    ),
    (
        "loadlock_worker_events_refused_total",
        Kind::Counter,
        "Events that the ring refused because it was full; conversations among them are reported again.",
        |worker| Some(worker.events_refused.to_string()),
    ),
    (
        "loadlock_worker_flows_started_total",
        Kind::Counter,
        "Conversations begun since the worker's start.",
        |worker| Some(worker.flows_started.to_string()),
    ),
    (
        "loadlock_worker_flows_ended_total",
        Kind::Counter,
        "Conversations over since the worker's start.",
        |worker| Some(worker.flows_ended.to_string()),
    ),
    (
        "loadlock_worker_denied_unreported_packets_total",
        Kind::Counter,
        "Denied packets counted without an event of their own: their like was reported within the interval.",
        |worker| Some(worker.denied_unreported.to_string()),
    ),
    (
        "loadlock_worker_negotiated_opened_total",
        Kind::Counter,
        "Negotiated ports (FTP, DCE/RPC, TFTP) that were opened.",
        |worker| Some(worker.negotiated_opened.to_string()),
    ),
    (
        "loadlock_worker_negotiated_unread_total",
        Kind::Counter,
        "TCP segments that may have negotiated a port and weren't read.",
        |worker| Some(worker.negotiated_unread.to_string()),
    ),
    (
        "loadlock_worker_table_bytes",
        Kind::Gauge,
        "Size of the worker's flow tables, all taken at start.",
        |worker| Some(worker.table_bytes.to_string()),
    ),
    (
        "loadlock_worker_table_huge_bytes",
        Kind::Gauge,
        "Of the flow tables, what lies on reserved hugepages; elsewhere forwarding is slower.",
        |worker| Some(worker.table_huge_bytes.to_string()),
    ),
    ("loadlock_worker_bursts_total", Kind::Counter, "Polls that brought frames.", |worker| {
        Some(worker.bursts.to_string())
    }),
    ("loadlock_worker_empty_polls_total", Kind::Counter, "Polls that brought none.", |worker| {
        Some(worker.empty_polls.to_string())
    }),
    ("loadlock_worker_ring_events", Kind::Gauge, "Events that wait in the ring.", |worker| {
        Some(worker.ring_used.to_string())
    }),
    (
        "loadlock_worker_ring_capacity_events",
        Kind::Gauge,
        "Room of the ring, in events.",
        |worker| Some(worker.ring_capacity.to_string()),
    ),
    (
        "loadlock_worker_latency_max_seconds",
        Kind::Gauge,
        "Longest time from receive to transmit since the region was made; absent without a sample.",
        |worker| worker.latency_max_ns.map(|ns| seconds(u128::from(ns))),
    ),
];

/// Name, meaning, values of the narrow and the wide flow table of one of a worker's figures.
type TableFamily = (&'static str, &'static str, fn(&WorkerStatus) -> [u64; 2]);

/// Each worker's figures; `latency` are its samples as (ns, count).
pub(super) fn write_workers(
    text: &mut Text,
    workers: &[WorkerStatus],
    latency: &[Vec<(u64, u64)>],
) {
    let numbers: Vec<String> = workers.iter().map(|worker| worker.index.to_string()).collect();
    let label = |at: usize| ("worker", numbers[at].as_str());
    for (name, kind, help, value) in WORKER_FAMILIES {
        text.family(name, *kind, help);
        for (at, worker) in workers.iter().enumerate() {
            if let Some(value) = value(worker) {
                text.sample(&[label(at)], value);
            }
        }
    }
    let by_table: [TableFamily; 2] = [
        (
            "loadlock_worker_flows",
            "Live conversations: narrow is IPv4, wide is IPv6 and what isn't IP.",
            |worker| [worker.flows_narrow, worker.flows_wide],
        ),
        ("loadlock_worker_flow_capacity", "Room for live conversations.", |worker| {
            [worker.flow_capacity_narrow, worker.flow_capacity_wide]
        }),
    ];
    for (name, help, values) in by_table {
        text.family(name, Kind::Gauge, help);
        for (at, worker) in workers.iter().enumerate() {
            for (table, value) in ["narrow", "wide"].into_iter().zip(values(worker)) {
                text.sample(&[label(at), ("table", table)], value);
            }
        }
    }
    let help = "Time from receive to transmit of the bursts that are timed.";
    text.family("loadlock_worker_latency_seconds", Kind::Histogram, help);
    for (at, samples) in latency.iter().enumerate().take(workers.len()) {
        text.histogram(&[label(at)], LATENCY_BOUNDS, samples);
    }
}
