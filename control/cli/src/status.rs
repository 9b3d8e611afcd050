//! `loadlock status`: is all well?

use clap::Args;
use loadlock_api::{
    Handling, KeptStatus, MemoryStatus, Mode, PortStatus, SegmentStatus, Side, SinkStatus, Status,
    WorkerStatus, printable, thousands,
};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table, folded};
use crate::units::{age, counted, duration, latency, memory};

/// Arguments of `status`.
///
/// Ends with code 0 also when there are alarms, since the question was answered.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
    /// End with code 1 if there is an alarm
    #[arg(long)]
    fail_on_alarm: bool,
}

impl Arguments {
    /// Shows the status.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        let zone = LocalTime::here();
        let render = |status: &Status, wide| match wide {
            true => detail(status, &zone),
            false => summary(status, &zone),
        };
        let status = self.view.show(|| client.status(), render)?;
        let is_alarm = self.fail_on_alarm && !status.alarms.is_empty();
        Ok(if is_alarm { exit::NO } else { exit::OK })
    }
}

/// Lines of the summary.
const LINES_MAX: usize = 10;
/// Segments with a line of their own, as long as there is no alarm.
const SEGMENTS_SHOWN: usize = 4;

/// The answer in one line.
pub fn verdict(status: &Status, zone: &LocalTime) -> String {
    let verdict = match status.alarms.len() as u64 {
        0 => "all well".to_owned(),
        alarms => format!("NOT well: {}", counted(alarms, "alarm", "alarms")),
    };
    format!("{verdict}, {} (Loadlock {})\n", zone.seconds(status.time), printable(&status.version))
}

/// At most ten lines, unless the first alarm alone takes more: the answer first, then what to do, the most serious first, then the
/// figures.
fn summary(status: &Status, zone: &LocalTime) -> String {
    let mut figures = vec![control_line(status), dataplane_line(status)];
    let shown = match status.alarms.is_empty() {
        true => SEGMENTS_SHOWN,
        false => 0,
    };
    match status.segments.len() <= shown {
        true => figures.extend(status.segments.iter().map(|segment| {
            traffic(&printable(&segment.name), segment.mode.name(), &[segment], segment.rules)
        })),
        false => {
            let segments: Vec<&SegmentStatus> = status.segments.iter().collect();
            let rules = segments.iter().map(|segment| segment.rules).sum();
            figures.push(traffic("segments", &modes(&segments), &segments, rules));
        }
    }
    figures.extend(load(&status.workers));
    figures.extend(outward_line(&status.outward));
    let mut text = verdict(status, zone);
    let mut left = LINES_MAX - 1 - figures.len();
    let mut told = 0;
    for alarm in &status.alarms {
        let lines = folded("! ", alarm);
        let needed = lines.lines().count() + usize::from(told + 1 < status.alarms.len());
        if told > 0 && needed > left {
            break;
        }
        text.push_str(&lines);
        left = left.saturating_sub(lines.lines().count());
        told += 1;
    }
    let untold = (status.alarms.len() - told) as u64;
    if untold > 0 {
        let untold = counted(untold, "more alarm", "more alarms");
        text.push_str(&format!("! {untold}: `loadlock status -o wide` has all\n"));
    }
    for line in figures {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// `3 enforce, 1 learn`.
fn modes(segments: &[&SegmentStatus]) -> String {
    let count = |mode: &Mode| segments.iter().filter(|segment| segment.mode == *mode).count();
    let some = Mode::ALL.iter().rev().filter(|mode| count(mode) > 0);
    some.map(|mode| format!("{} {mode}", count(mode))).collect::<Vec<_>>().join(", ")
}

fn traffic(name: &str, mode: &str, segments: &[&SegmentStatus], rules: u64) -> String {
    let ports = || segments.iter().flat_map(|segment| [&segment.side_a, &segment.side_b]);
    let sum = |figure: fn(&PortStatus) -> u64| thousands(ports().map(figure).sum());
    format!(
        "{name:<10} {mode}, {}; {} packets, {} dropped, {} would be denied",
        counted(rules, "rule", "rules"),
        sum(|port| port.received_packets),
        sum(|port| port.dropped_packets),
        sum(|port| port.would_deny_packets)
    )
}

/// All workers in one line; none without workers.
fn load(workers: &[WorkerStatus]) -> Option<String> {
    let sum = |figure: fn(&WorkerStatus) -> u64| workers.iter().map(figure).sum::<u64>();
    let flows = sum(|worker| worker.flows_narrow + worker.flows_wide);
    let room = sum(|worker| worker.flow_capacity_narrow + worker.flow_capacity_wide);
    let slowest = workers.iter().filter_map(|worker| worker.latency_p99_ns).max();
    (!workers.is_empty()).then(|| {
        format!(
            "{:<10} {} conversations, room for {}; latency p99 {}; {} refused",
            counted(workers.len() as u64, "worker", "workers"),
            thousands(flows),
            thousands(room),
            latency(slowest),
            counted(sum(|worker| worker.events_refused), "event", "events")
        )
    })
}

/// All sinks in one line; none without sinks.
fn outward_line(sinks: &[SinkStatus]) -> Option<String> {
    let sum = |figure: fn(&SinkStatus) -> u64| thousands(sinks.iter().map(figure).sum());
    let connected = sinks.iter().filter(|sink| sink.connected_since.is_some()).count();
    (!sinks.is_empty()).then(|| {
        format!(
            "outward    {connected} of {} connected; {} sent, {} lost, {} waiting",
            counted(sinks.len() as u64, "sink", "sinks"),
            sum(|sink| sink.sent),
            sum(|sink| sink.lost),
            sum(|sink| sink.waiting)
        )
    })
}

/// Everything: every alarm, segment, port, worker and sink.
fn detail(status: &Status, zone: &LocalTime) -> String {
    let mut text = verdict(status, zone);
    for alarm in &status.alarms {
        text.push_str(&folded("! ", alarm));
    }
    text.push_str(&processes(status, zone));
    text.push('\n');
    text.push_str(&segments(status));
    if !status.workers.is_empty() {
        text.push('\n');
        text.push_str(&workers(&status.workers));
    }
    if !status.outward.is_empty() {
        text.push('\n');
        text.push_str(&outward(&status.outward, zone));
    }
    text
}

fn control_line(status: &Status) -> String {
    let control = &status.control;
    let policy = match control.policy_version {
        0 => "no policy yet".to_owned(),
        version => format!(
            "policy version {}, generation {}",
            thousands(version),
            thousands(control.generation)
        ),
    };
    format!("control    {}, up {}, {policy}", control.state, duration(status.uptime_s))
}

fn dataplane_line(status: &Status) -> String {
    let dataplane = &status.dataplane;
    let mut facts = vec![dataplane.state.to_string()];
    facts.extend(dataplane.pid.map(|pid| format!("pid {pid}")));
    facts.push(counted(dataplane.starts, "start", "starts"));
    facts.extend(dataplane.heartbeat_age_ms.map(|ms| format!("heard {} ago", age(ms))));
    if dataplane.memory.exchange_bytes > 0 {
        let pages = if dataplane.memory.exchange_on_huge_pages { "huge" } else { "small" };
        facts
            .push(format!("exchange {} on {pages} pages", memory(dataplane.memory.exchange_bytes)));
    }
    format!("dataplane  {}", facts.join(", "))
}

/// `776 MiB of 4 GiB; flow records since 2026-08-24 12:00:00, kept for 90 days`.
fn kept(kept: &KeptStatus, zone: &LocalTime) -> String {
    let since = match kept.since {
        Some(since) => format!("flow records since {}", zone.seconds(since)),
        None => "no flow records yet".to_owned(),
    };
    format!(
        "{} of {}; {since}, kept for {}",
        memory(kept.used_bytes),
        memory(kept.limit_bytes),
        counted(u64::from(kept.days), "day", "days")
    )
}

fn processes(status: &Status, zone: &LocalTime) -> String {
    let control = &status.control;
    let learned = format!(
        "{} with evidence from {}",
        counted(control.evidence_keys, "key", "keys"),
        counted(control.events_received, "event", "events")
    );
    let (control, dataplane) = (control_line(status), dataplane_line(status));
    let MemoryStatus { policy_bytes, rule_capacity, .. } = status.dataplane.memory;
    let policy = format!(
        "{} for each compiled policy, of up to {} rules",
        memory(policy_bytes),
        thousands(rule_capacity)
    );
    let kept = kept(&status.control.kept, zone);
    format!(
        "{control}\nlearning   {learned}\nstore      {kept}\n{dataplane}\nmemory     {policy}\n"
    )
}

fn segments(status: &Status) -> String {
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("MODE", Align::Left),
        ("RULES", Align::Right),
        ("PORT", Align::Left),
        ("LINK", Align::Left),
        ("RECEIVED", Align::Right),
        ("FORWARDED", Align::Right),
        ("DROPPED", Align::Right),
        ("WOULD DENY", Align::Right),
    ]);
    for segment in &status.segments {
        let mode = match segment.handling {
            Handling::Judged => segment.mode.to_string(),
            Handling::Open if segment.bypass.is_some() => format!("{} (bypass)", segment.mode),
            Handling::Open => format!("{} (open)", segment.mode),
            Handling::Closed => format!("{} (closed)", segment.mode),
        };
        let name = [segment.name.clone(), mode, thousands(segment.rules)];
        let [name, mode, rules] = name;
        table.row(port_row([name, mode, rules], Side::A, &segment.side_a));
        table.row(port_row(Default::default(), Side::B, &segment.side_b));
    }
    table.to_string()
}

/// `down`, or the speed as far as the device says it.
pub fn link(port: &PortStatus) -> String {
    match (port.link_up, port.speed_mbps) {
        (false, _) => "down".to_owned(),
        (true, Some(speed)) if speed >= 1_000 && speed % 1_000 == 0 => {
            format!("{} Gbit/s", speed / 1_000)
        }
        (true, Some(speed)) => format!("{speed} Mbit/s"),
        (true, None) => "up".to_owned(),
    }
}

fn port_row([segment, mode, rules]: [String; 3], side: Side, port: &PortStatus) -> [String; 9] {
    [
        segment,
        mode,
        rules,
        format!("{}: {}", side.name(), port.port),
        link(port),
        thousands(port.received_packets),
        thousands(port.forwarded_packets),
        thousands(port.dropped_packets),
        thousands(port.would_deny_packets),
    ]
}

fn workers(workers: &[WorkerStatus]) -> String {
    let mut table = Table::new(&[
        ("WORKER", Align::Right),
        ("CORE", Align::Right),
        ("FLOWS", Align::Right),
        ("ROOM FOR", Align::Right),
        ("TABLES", Align::Right),
        ("EVENTS", Align::Right),
        ("REFUSED", Align::Right),
        ("LATENCY P50", Align::Right),
        ("P99", Align::Right),
        ("P99.9", Align::Right),
        ("MAX", Align::Right),
    ]);
    for worker in workers {
        table.row([
            worker.index.to_string(),
            worker.core.to_string(),
            thousands(worker.flows_narrow + worker.flows_wide),
            thousands(worker.flow_capacity_narrow + worker.flow_capacity_wide),
            memory(worker.table_bytes),
            thousands(worker.events_sent),
            thousands(worker.events_refused),
            latency(worker.latency_p50_ns),
            latency(worker.latency_p99_ns),
            latency(worker.latency_p99_9_ns),
            latency(worker.latency_max_ns),
        ]);
    }
    table.to_string()
}

fn outward(sinks: &[SinkStatus], zone: &LocalTime) -> String {
    let mut table = Table::new(&[
        ("OUTWARD", Align::Left),
        ("CONNECTED SINCE", Align::Left),
        ("SENT", Align::Right),
        ("LOST", Align::Right),
        ("WAITING", Align::Right),
        ("TARGET", Align::Left),
    ]);
    for sink in sinks {
        let since = sink.connected_since.map(|time| zone.seconds(time));
        table.row([
            sink.name.clone(),
            since.unwrap_or_else(|| "not connected".to_owned()),
            thousands(sink.sent),
            thousands(sink.lost),
            thousands(sink.waiting),
            sink.target.clone(),
        ]);
    }
    table.to_string()
}
