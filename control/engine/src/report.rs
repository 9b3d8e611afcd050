//! The core's state in the API's types.

use hdrhistogram::Histogram;
use loadlock_api::{
    ControlState, ControlStatus, DataplaneState, DataplaneStatus, DropCount, Handling,
    MemoryStatus, Opens, PortStatus, Rule, SegmentStatus, Status, Time, WorkerStatus, thousands,
};
use loadlock_exchange::{ControlExchange, DropReason, PortTally, WorkerCounter};
use loadlock_learn::day_of;
use loadlock_outward::{Figures, PortFigures};
use loadlock_policy::Opens as PolicyOpens;
use loadlock_settings::{PortIndex, Settings};

use crate::bypass::Held;
use crate::core::Core;

impl Core {
    /// Everything that answers "is all well?".
    pub(crate) fn status(&self) -> Status {
        let now_ns = crate::core::now_ns();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            time: Time::from_ns(now_ns),
            uptime_s: self.started.elapsed().as_secs(),
            control: self.control_status(),
            dataplane: self.dataplane_status(now_ns),
            segments: (0..self.settings.segments.len()).map(|at| self.segment(at)).collect(),
            workers: self.exchange.as_ref().map_or_else(Vec::new, |exchange| {
                let workers = 0..exchange.dimensions().workers;
                workers
                    .map(|worker| worker_status(&self.settings, exchange, worker, now_ns))
                    .collect()
            }),
            outward: self.outward.report(),
            alarms: Vec::new(),
        };
        status.alarms = status.find_alarms();
        status.alarms.extend(self.storage.alarms.iter().map(|alarm| format!("store: {alarm}")));
        status.alarms.extend(self.pending_alarm());
        status.alarms.extend(self.violations.alarms(&self.state.policy, now_ns));
        status.alarms.extend(self.unbound());
        status.alarms.extend(self.volume_alarms());
        status
    }

    /// What goes to Prometheus. Ports are read once, so that their figures add up.
    pub(crate) fn figures(&self) -> Figures {
        let mut status = self.status();
        let mut ports = Vec::new();
        for (at, segment) in status.segments.iter_mut().enumerate() {
            let settings = &self.settings.segments[at];
            let sides =
                [(&mut segment.side_a, settings.side_a), (&mut segment.side_b, settings.side_b)];
            for (shown, index) in sides {
                let (port, tally) = self.port(index);
                *shown = port;
                let of_reasons = |counts: &[u64]| counts[..DropReason::ALL.len()].to_vec();
                ports.push(PortFigures {
                    dropped: of_reasons(&tally.dropped),
                    would_deny: of_reasons(&tally.would_deny),
                });
            }
        }
        let latency = self.exchange.as_ref().map_or_else(Vec::new, |exchange| {
            (0..exchange.dimensions().workers).map(|worker| samples(exchange, worker)).collect()
        });
        Figures { status, ports, latency }
    }

    /// That not everything learned can be held, if so.
    fn unbound(&self) -> Option<String> {
        let left_out = self.stations.bindings().len().saturating_sub(self.binding_room()) as u64
            + self.stations.refused();
        (left_out > 0).then(|| {
            format!(
                "identity: {} learned bindings aren't held for want of room; raise exchange.rule_capacity, and restart both",
                thousands(left_out)
            )
        })
    }

    /// Rights that carried much more than usual today or yesterday.
    fn volume_alarms(&self) -> Vec<String> {
        const SHOWN_MAX: usize = 10;
        let today = day_of(crate::core::now_ns());
        let names = self.segment_names();
        let recent = self.volume.loud().filter(|loud| loud.day + 1 >= today);
        let words = recent.take(SHOWN_MAX).map(|loud| {
            let name = names.get(loud.tuple.segment.index()).map_or("?", String::as_str);
            let way = if loud.from_client { "client" } else { "server" };
            format!(
                "segment {name}: {} carried {} bytes from its {way} within a day, usual are {}; find out what, or put the rule's devices \
                 into monitor and look",
                loud.tuple,
                thousands(loud.bytes),
                thousands(loud.usual)
            )
        });
        words.collect()
    }

    fn control_status(&self) -> ControlStatus {
        let (settled, open) = self.learner.counts();
        ControlStatus {
            state: match self.exchange {
                Some(_) => ControlState::Attached,
                None => ControlState::Waiting,
            },
            policy_version: self.state.number.0,
            generation: self.generation,
            store_path: self.settings.control.store.display().to_string(),
            evidence_keys: (settled + open) as u64,
            events_received: self.events_received,
            records_refused: self.records_refused,
            kept: self.kept(),
            last_error: self.last_error.clone(),
        }
    }

    fn dataplane_status(&self, now_ns: u64) -> DataplaneStatus {
        let rule_capacity = self.settings.dimensions().rule_capacity;
        let memory = MemoryStatus {
            exchange_path: self.settings.exchange.path.display().to_string(),
            exchange_bytes: self.exchange.as_ref().map_or(0, |exchange| exchange.bytes() as u64),
            exchange_on_huge_pages: self.exchange.as_ref().is_some_and(ControlExchange::is_huge),
            rule_capacity: rule_capacity as u64,
            policy_bytes: loadlock_exchange::slot_bytes(rule_capacity) as u64,
        };
        let Some(exchange) = &self.exchange else {
            return DataplaneStatus {
                state: DataplaneState::Stopped,
                pid: None,
                starts: 0,
                heartbeat_age_ms: None,
                cycles_per_s: 0,
                memory,
            };
        };
        let report = exchange.dataplane();
        DataplaneStatus {
            state: report.state.into(),
            pid: (report.pid != 0).then_some(report.pid),
            starts: report.starts,
            heartbeat_age_ms: age_ms(now_ns, report.heartbeat_ns),
            cycles_per_s: report.tsc_hz,
            memory,
        }
    }

    fn segment(&self, at: usize) -> SegmentStatus {
        let segment = &self.settings.segments[at];
        let rules = self.state.policy.rules().iter();
        SegmentStatus {
            name: segment.name.to_string(),
            mode: self.state.modes[at].into(),
            rules: rules.filter(|rule| *rule.parts().segment == *segment.name.as_str()).count()
                as u64,
            handling: self.handling(segment.side_a),
            bypass: self.bypasses[at].as_ref().map(Held::shown),
            side_a: self.port(segment.side_a).0,
            side_b: self.port(segment.side_b).0,
        }
    }

    /// What the dataplane does with the frames of this port's segment.
    fn handling(&self, port: PortIndex) -> Handling {
        let exchange = self.exchange.as_ref();
        exchange
            .map_or_else(Handling::default, |exchange| exchange.port_state(port.0).handling.into())
    }

    /// The port, and the tally that it was read from.
    fn port(&self, index: PortIndex) -> (PortStatus, PortTally) {
        let port = self.settings.port(index).name.to_string();
        let Some(exchange) = &self.exchange else {
            return (PortStatus { port, ..PortStatus::default() }, PortTally::default());
        };
        let (tally, state) = (exchange.port_tally(index.0), exchange.port_state(index.0));
        let status = PortStatus {
            port,
            link_up: state.link_up,
            speed_mbps: (state.speed_mbps != 0).then_some(state.speed_mbps),
            received_packets: tally.received_packets,
            received_bytes: tally.received_bytes,
            forwarded_packets: tally.forwarded_packets,
            forwarded_bytes: tally.forwarded_bytes,
            unjudged_packets: tally.unjudged_packets,
            dropped_packets: tally.dropped_packets(),
            would_deny_packets: tally.would_deny.iter().sum(),
            missed_packets: state.missed,
            receive_error_packets: state.receive_errors,
            no_buffer_packets: state.no_buffer,
            transmit_error_packets: state.transmit_errors,
        };
        (status, tally)
    }

    /// Drop counters above zero.
    pub(crate) fn drops(&self) -> Vec<DropCount> {
        let Some(exchange) = &self.exchange else { return Vec::new() };
        let mut drops = Vec::new();
        for segment in &self.settings.segments {
            for side in [segment.side_a, segment.side_b] {
                let tally = exchange.port_tally(side.0);
                let port = self.settings.port(side).name.to_string();
                let counts = DropReason::ALL.iter().map(|reason| drop_count(*reason, &tally));
                drops.extend(counts.flatten().map(|count| DropCount {
                    segment: segment.name.to_string(),
                    port: port.clone(),
                    ..count
                }));
            }
        }
        drops
    }

    /// Rules of the policy in force, all of them.
    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        self.state.policy.rules().iter().map(|rule| {
            let parts = rule.parts();
            Rule {
                id: parts.id.number(),
                segment: parts.segment.to_string(),
                vlan: parts.vlans.to_string(),
                client: parts.client.to_string(),
                client_side: parts.client_side.map(Into::into),
                server: parts.server.to_string(),
                service: parts.service.to_string(),
                opens: match parts.opens {
                    PolicyOpens::Client => Opens::Client,
                    PolicyOpens::Server => Opens::Server,
                    PolicyOpens::Both => Opens::Both,
                    PolicyOpens::Nobody => Opens::Nobody,
                },
                midstream: parts.midstream,
                reason: parts.reason.to_string(),
                owner: parts.owner.as_ref().map(ToString::to_string),
                words: rule.words(),
            }
        })
    }
}

fn drop_count(reason: DropReason, tally: &PortTally) -> Option<DropCount> {
    let at = reason as usize;
    let (dropped, would_deny) = (tally.dropped[at], tally.would_deny[at]);
    (dropped + would_deny > 0).then(|| DropCount {
        segment: String::new(),
        port: String::new(),
        reason: reason.name().to_owned(),
        meaning: reason.meaning().to_owned(),
        dropped_packets: dropped,
        would_deny_packets: would_deny,
    })
}

fn age_ms(now_ns: u64, then_ns: u64) -> Option<u64> {
    (then_ns != 0).then(|| now_ns.saturating_sub(then_ns) / 1_000_000)
}

fn worker_status(
    settings: &Settings,
    exchange: &ControlExchange,
    worker: usize,
    now_ns: u64,
) -> WorkerStatus {
    let values = exchange.worker_values(worker);
    let value = |counter: WorkerCounter| values[counter as usize];
    let core = settings.dataplane.worker_cores.get(worker);
    let latency = latency(exchange, worker);
    let cycles = exchange.latency(worker);
    let quantile = |quantile: f64| latency.as_ref().map(|times| times.value_at_quantile(quantile));
    WorkerStatus {
        index: u32::try_from(worker).unwrap_or(u32::MAX),
        core: core.map_or(0, |core| u32::from(core.0)),
        generation: exchange.generations().get(worker).copied().flatten(),
        heartbeat_age_ms: age_ms(now_ns, value(WorkerCounter::HeartbeatNs)),
        flows_narrow: value(WorkerCounter::FlowsNarrow),
        flows_wide: value(WorkerCounter::FlowsWide),
        flow_capacity_narrow: u64::from(settings.flows.narrow_capacity),
        flow_capacity_wide: u64::from(settings.flows.wide_capacity),
        flows_started: value(WorkerCounter::FlowsStarted),
        flows_ended: value(WorkerCounter::FlowsEnded),
        flows_refused: value(WorkerCounter::FlowsRefused),
        table_bytes: value(WorkerCounter::TableBytes),
        table_huge_bytes: value(WorkerCounter::TableHugeBytes),
        events_sent: value(WorkerCounter::EventsSent),
        events_refused: value(WorkerCounter::EventsRefused),
        denied_unreported: value(WorkerCounter::DeniedUnreported),
        negotiated_opened: value(WorkerCounter::NegotiatedOpened),
        negotiated_unread: value(WorkerCounter::NegotiatedUnread),
        bursts: value(WorkerCounter::Bursts),
        empty_polls: value(WorkerCounter::EmptyPolls),
        received_packets: exchange.worker_received(worker),
        sampled_bursts: cycles.iter().map(|(_, count)| count).sum(),
        sampled_cycles: cycles.iter().map(|(cycles, count)| cycles.saturating_mul(*count)).sum(),
        latency_p50_ns: quantile(0.5),
        latency_p99_ns: quantile(0.99),
        latency_p99_9_ns: quantile(0.999),
        latency_max_ns: latency.as_ref().map(Histogram::max),
        ring_used: exchange.events.get(worker).map_or(0, loadlock_exchange::Consumer::backlog),
        ring_capacity: u64::from(settings.exchange.event_ring_events),
    }
}

/// The worker's samples as a histogram in ns; `None` without a sample.
fn latency(exchange: &ControlExchange, worker: usize) -> Option<Histogram<u64>> {
    let mut times = Histogram::<u64>::new(3).ok()?;
    for (ns, count) in samples(exchange, worker) {
        times.record_n(ns.max(1), count).ok()?;
    }
    (!times.is_empty()).then_some(times)
}

/// The worker's samples: times in ns, and how many took them.
fn samples(exchange: &ControlExchange, worker: usize) -> Vec<(u64, u64)> {
    let hz = u128::from(exchange.dataplane().tsc_hz).max(1);
    let ns = |cycles| u64::try_from(u128::from(cycles) * 1_000_000_000 / hz).unwrap_or(u64::MAX);
    let counts = exchange.latency(worker).into_iter();
    counts.map(|(cycles, count): (u64, u64)| (ns(cycles), count)).collect()
}
