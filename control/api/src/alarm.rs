//! What in a status needs somebody's attention.

use crate::status::{
    ControlState, DataplaneState, Handling, PortStatus, SegmentStatus, Status, WorkerStatus,
};
use crate::text::{printable, thousands};

/// Silence after which a process or worker counts as hung. Heartbeats come every few ms.
const HEARTBEAT_AGE_MS_MAX: u64 = 3_000;
/// Share of a flow table or ring from which on it counts as nearly full.
const NEARLY_FULL_PERCENT: u64 = 90;

impl Status {
    /// The alarms that follow from the figures, most serious first; each names the place, the value and the next step.
    ///
    /// The backend stores them in [`Status::alarms`], together with what only it knows. Counters count as alarms from
    /// their first loss until the region is made anew: a loss doesn't heal by waiting. Links and the workers' signs of life
    /// count only while the dataplane runs: if it doesn't, one alarm says so.
    #[must_use]
    pub fn find_alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        self.processes(&mut alarms);
        let is_live = self.control.state == ControlState::Attached
            && self.dataplane.state == DataplaneState::Running;
        for segment in &self.segments {
            alarms.extend(segment.unjudged(is_live));
            for port in [&segment.side_a, &segment.side_b] {
                port.alarms(&segment.name, is_live, &mut alarms);
            }
        }
        for worker in &self.workers {
            if is_live {
                worker.signs_of_life(self.control.generation, &mut alarms);
            }
            worker.losses(&mut alarms);
        }
        for sink in &self.outward {
            sink.alarms(&mut alarms);
        }
        self.control.kept.alarms(&mut alarms);
        if let Some(error) = &self.control.last_error {
            alarms.push(format!("control: {error}"));
        }
        alarms
    }

    fn processes(&self, alarms: &mut Vec<String>) {
        match self.control.state {
            ControlState::Attached => {}
            state => alarms.push(format!(
                "control is {state}: it isn't attached, so nothing is learned or reported; a dataplane that runs judges by its \
                 last policy"
            )),
        }
        let attached = self.control.state == ControlState::Attached;
        match self.dataplane.state {
            DataplaneState::Running => {
                let age_ms = self.dataplane.heartbeat_age_ms.unwrap_or(0);
                if age_ms > HEARTBEAT_AGE_MS_MAX {
                    alarms.push(format!(
                        "dataplane: no sign of life for {} ms, allowed are {}; look at its log",
                        thousands(age_ms),
                        thousands(HEARTBEAT_AGE_MS_MAX)
                    ));
                }
            }
            state if attached => alarms
                .push(format!("dataplane is {state}: no packet is forwarded; look at its log")),
            _ => {}
        }
        if self.control.records_refused > 0 {
            alarms.push(format!(
                "exchange: {} records in the rings that no worker writes, the region is damaged; restart the dataplane",
                thousands(self.control.records_refused)
            ));
        }
    }
}

impl SegmentStatus {
    /// That nobody judges its frames, and why.
    fn unjudged(&self, is_live: bool) -> Option<String> {
        let name = &self.name;
        if let Some(bypass) = &self.bypass {
            let until = bypass.until.map_or_else(String::new, |until| format!(" until {until}"));
            return Some(format!(
                "segment {name}: in bypass since {}{until}, by {}: {}. Everything is forwarded, unjudged; end it with `loadlock bypass \
                 off {name} --reason TEXT`",
                bypass.since,
                printable(&bypass.author),
                printable(&bypass.reason)
            ));
        }
        match self.handling {
            Handling::Open if is_live => Some(format!(
                "segment {name}: after a failure everything is forwarded, unjudged, as its configuration says; the dataplane's log has why"
            )),
            Handling::Closed if is_live => Some(format!(
                "segment {name}: after a failure everything is dropped, as its configuration says; the dataplane's log has why"
            )),
            _ => None,
        }
    }
}

impl PortStatus {
    fn alarms(&self, segment: &str, is_live: bool, alarms: &mut Vec<String>) {
        let place = format!("segment {segment}, port {}", self.port);
        let accounted = self.forwarded_packets.checked_add(self.dropped_packets);
        if accounted != Some(self.received_packets) {
            alarms.push(format!(
                "{place}: received {} packets, but {} forwarded and {} dropped don't add up to it; report this as a bug",
                thousands(self.received_packets),
                thousands(self.forwarded_packets),
                thousands(self.dropped_packets)
            ));
        }
        if is_live && !self.link_up {
            alarms.push(format!("{place}: the link is down; check cable and peer"));
        }
        let losses = [
            (
                self.missed_packets,
                "lost before Loadlock saw them, the receive queue was full; give it more workers or rx_descriptors",
            ),
            (
                self.no_buffer_packets,
                "lost because no packet buffer was free; raise dataplane.mbufs",
            ),
            (self.receive_error_packets, "received damaged; check cable and transceiver"),
            (self.transmit_error_packets, "not sent by the device; check its link partner"),
        ];
        for (packets, text) in losses {
            if packets > 0 {
                alarms.push(format!("{place}: {} packets {text}", thousands(packets)));
            }
        }
    }
}

impl WorkerStatus {
    fn place(&self) -> String {
        format!("worker {} on core {}", self.index, self.core)
    }

    fn signs_of_life(&self, published: u64, alarms: &mut Vec<String>) {
        let place = self.place();
        match self.generation {
            None => alarms.push(format!("{place}: offline, it judges no packets; look at the dataplane's log")),
            Some(generation) if generation != published => alarms.push(format!(
                "{place}: judges by generation {generation}, published is {published}; if this stays, it hangs"
            )),
            Some(_) => {}
        }
        if let Some(age_ms) = self.heartbeat_age_ms.filter(|age| *age > HEARTBEAT_AGE_MS_MAX) {
            alarms.push(format!(
                "{place}: no poll for {} ms, allowed are {}; look at the dataplane's log",
                thousands(age_ms),
                thousands(HEARTBEAT_AGE_MS_MAX)
            ));
        }
    }

    fn losses(&self, alarms: &mut Vec<String>) {
        let place = self.place();
        if self.events_refused > 0 {
            alarms.push(format!(
                "{place}: the ring refused {} events, conversations among them are reported again; raise \
                 exchange.event_ring_events if this grows",
                thousands(self.events_refused)
            ));
        }
        if self.flows_refused > 0 {
            alarms.push(format!(
                "{place}: {} packets were judged without a flow entry, the table was full; raise flows.narrow_capacity or \
                 flows.wide_capacity",
                thousands(self.flows_refused)
            ));
        }
        let rooms = [
            (
                self.flows_narrow,
                self.flow_capacity_narrow,
                "IPv4 flow table",
                "flows.narrow_capacity",
            ),
            (
                self.flows_wide,
                self.flow_capacity_wide,
                "IPv6 and non-IP flow table",
                "flows.wide_capacity",
            ),
            (self.ring_used, self.ring_capacity, "event ring", "exchange.event_ring_events"),
        ];
        for (used, capacity, what, key) in rooms {
            let full =
                u128::from(used) * 100 >= u128::from(capacity) * u128::from(NEARLY_FULL_PERCENT);
            if capacity > 0 && full {
                alarms.push(format!(
                    "{place}: {what} holds {} of {}; raise {key}",
                    thousands(used),
                    thousands(capacity)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bypass::Bypass;
    use crate::kept::KeptStatus;
    use crate::policy::Mode;
    use crate::sink::SinkStatus;
    use crate::status::{ControlStatus, DataplaneStatus, MemoryStatus};
    use crate::time::Time;

    fn well() -> Status {
        let port = |name: &str| PortStatus {
            port: name.to_owned(),
            link_up: true,
            received_packets: 10,
            forwarded_packets: 8,
            dropped_packets: 2,
            ..PortStatus::default()
        };
        Status {
            version: "0.1.0".to_owned(),
            time: Time::from_ns(0),
            uptime_s: 1,
            control: ControlStatus {
                state: ControlState::Attached,
                policy_version: 3,
                generation: 4,
                store_path: "/var/lib/loadlock/store.db".to_owned(),
                evidence_keys: 0,
                events_received: 0,
                records_refused: 0,
                kept: KeptStatus { limit_bytes: 4 << 30, days: 90, ..KeptStatus::default() },
                last_error: None,
            },
            dataplane: DataplaneStatus {
                state: DataplaneState::Running,
                pid: Some(7),
                starts: 1,
                heartbeat_age_ms: Some(20),
                cycles_per_s: 2_000_000_000,
                memory: MemoryStatus {
                    exchange_path: "/dev/shm/x".to_owned(),
                    exchange_bytes: 1,
                    exchange_on_huge_pages: true,
                    ..MemoryStatus::default()
                },
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
                core: 1,
                generation: Some(4),
                heartbeat_age_ms: Some(0),
                flow_capacity_narrow: 100,
                flow_capacity_wide: 100,
                ring_capacity: 100,
                ..WorkerStatus::default()
            }],
            outward: vec![SinkStatus { name: "syslog-1".to_owned(), ..SinkStatus::default() }],
            alarms: Vec::new(),
        }
    }

    fn bypass() -> Bypass {
        Bypass {
            since: Time::from_ns(0),
            until: None,
            author: "ada".to_owned(),
            reason: "line 3 stands".to_owned(),
        }
    }

    #[test]
    fn nothing_is_said_when_all_is_well() {
        assert_eq!(well().find_alarms(), Vec::<String>::new());
    }

    #[test]
    fn each_trouble_gives_one_alarm_that_names_it() {
        type Trouble = fn(&mut Status);
        let troubles: &[(Trouble, &str)] = &[
            (|s| s.control.state = ControlState::Waiting, "waiting for dataplane"),
            (|s| s.control.records_refused = 2, "2 records"),
            (|s| s.control.last_error = Some("disk full".to_owned()), "disk full"),
            (|s| s.dataplane.state = DataplaneState::Stopped, "dataplane is stopped"),
            (|s| s.dataplane.heartbeat_age_ms = Some(3_001), "3,001 ms"),
            (|s| s.segments[0].side_a.dropped_packets = 3, "don't add up"),
            (|s| s.segments[0].side_a.forwarded_packets = u64::MAX, "don't add up"),
            (|s| s.segments[0].side_b.link_up = false, "port fab-b: the link is down"),
            (|s| s.segments[0].handling = Handling::Open, "everything is forwarded"),
            (|s| s.segments[0].handling = Handling::Closed, "everything is dropped"),
            (|s| s.segments[0].bypass = Some(bypass()), "by ada: line 3 stands"),
            (|s| s.segments[0].side_b.missed_packets = 5, "5 packets lost"),
            (|s| s.segments[0].side_b.no_buffer_packets = 6, "dataplane.mbufs"),
            (|s| s.segments[0].side_b.receive_error_packets = 7, "7 packets received damaged"),
            (|s| s.segments[0].side_b.transmit_error_packets = 8, "8 packets not sent"),
            (|s| s.workers[0].generation = Some(3), "generation 3, published is 4"),
            (|s| s.workers[0].generation = None, "worker 0 on core 1: offline"),
            (|s| s.workers[0].heartbeat_age_ms = Some(4_000), "no poll for 4,000 ms"),
            (|s| s.workers[0].events_refused = 9, "refused 9 events"),
            (|s| s.workers[0].flows_refused = 10, "10 packets were judged without"),
            (|s| s.workers[0].flows_narrow = 90, "flows.narrow_capacity"),
            (|s| s.workers[0].flows_wide = 100, "flows.wide_capacity"),
            (|s| s.outward[0].lost = 1_200, "1,200 events lost"),
            (|s| s.outward[0].error = Some("refused".to_owned()), "syslog-1 to : refused; 0 wait"),
            (
                |s| s.control.kept.shortened_until = Some(Time::from_ns(0)),
                "of 4,096 MiB: flow records before 1970-01-01",
            ),
            (
                |s| s.control.kept.over_bytes = 1,
                "kept for an hour only; raise control.retention_mib",
            ),
            (|s| s.control.kept.events_left_out = 1_100, "1,100 events are in no flow record"),
            (|s| s.workers[0].ring_used = 95, "exchange.event_ring_events"),
        ];
        for (trouble, word) in troubles {
            let mut status = well();
            trouble(&mut status);
            let alarms = status.find_alarms();
            assert_eq!(alarms.len(), 1, "{word}: {alarms:?}");
            assert!(alarms[0].contains(word), "{word}: {alarms:?}");
        }
    }

    #[test]
    fn a_dead_dataplane_is_one_alarm_whatever_it_left_behind() {
        let mut status = well();
        status.dataplane.state = DataplaneState::Stopped;
        status.dataplane.heartbeat_age_ms = Some(60_000);
        status.segments[0].side_a.link_up = false;
        status.workers[0].generation = None;
        status.workers[0].heartbeat_age_ms = Some(60_000);
        assert_eq!(
            status.find_alarms(),
            ["dataplane is stopped: no packet is forwarded; look at its log"]
        );
    }
}
