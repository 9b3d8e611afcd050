//! What the settings mean for the crates that do the work: sizes, times and modes in their own types.

use std::time::Duration;

use loadlock_exchange::{Dimensions, SegmentPolicy};
use loadlock_packet::{Ingress, SegmentId};
use loadlock_pipeline::{Capacity, Timeouts};
use sha2::{Digest, Sha256};

use crate::settings::{FlowSettings, PortIndex, Settings};

impl Settings {
    /// Dimensions of the exchange that both processes must agree on.
    pub fn dimensions(&self) -> Dimensions {
        Dimensions {
            workers: self.dataplane.worker_cores.len(),
            ports: self.ports.len(),
            ring_events: self.exchange.event_ring_events as usize,
            rule_capacity: self.exchange.rule_capacity as usize,
            fingerprint: self.fingerprint(),
        }
    }

    /// Hash of names and order of ports and segments, by which counters and policies are numbered.
    fn fingerprint(&self) -> u64 {
        let mut names = Sha256::new();
        for port in &self.ports {
            names.update(format!("port {}\n", port.name));
        }
        for segment in &self.segments {
            let (a, b) = (self.port(segment.side_a), self.port(segment.side_b));
            names.update(format!("segment {} {} {}\n", segment.name, a.name, b.name));
        }
        let digest = names.finalize();
        u64::from_be_bytes(std::array::from_fn(|byte| digest[byte]))
    }

    /// The segments' modes and infrastructure classes as configured, in the order of their ids.
    pub fn segment_policies(&self) -> Vec<SegmentPolicy> {
        let policy = |segment: &crate::SegmentSettings| SegmentPolicy {
            mode: segment.mode,
            infrastructure: segment.infrastructure,
            helpers: segment.helpers,
            midstream: segment.midstream,
            table_full: segment.table_full,
            ring_full: segment.ring_full,
        };
        self.segments.iter().map(policy).collect()
    }

    /// Segment and side of a port.
    pub fn ingress(&self, port: PortIndex) -> Ingress {
        let (segment, side) = self.segment_of(port);
        let Some(segment) = SegmentId::new(segment) else {
            unreachable!("more than 16 segments are refused when the file is read")
        };
        Ingress { segment, side }
    }
}

impl FlowSettings {
    /// Sizes of a worker's flow tables.
    pub fn capacity(&self) -> Capacity {
        Capacity {
            narrow: self.narrow_capacity as usize,
            wide: self.wide_capacity as usize,
            fragments: self.fragment_capacity as usize,
        }
    }

    /// Times of the flow tables.
    pub fn timeouts(&self) -> Timeouts {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Timeouts {
            tcp_opening_ns: ns(self.tcp_half_open),
            tcp_open_ns: ns(self.tcp_established),
            tcp_closing_ns: ns(self.tcp_closing),
            udp_ns: ns(self.udp),
            icmp_ns: ns(self.icmp),
            other_ns: ns(self.other),
            grace_ns: ns(self.midstream_grace),
            denied_report_ns: ns(self.denied_report),
            fragment_ns: ns(self.fragment),
        }
    }
}
