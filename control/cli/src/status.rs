//! `loadlock status`: is all well?

use clap::Args;
use loadlock_api::{PortStatus, Side, Status, WorkerStatus, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::Output;
use crate::reach::Reach;
use crate::table::{Align, Table, folded};
use crate::units::{age, counted, duration, latency, memory};

/// Arguments of `status`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
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
        let status = self.reach.connect()?.status()?;
        self.output.show(&status, |status| render(status, &LocalTime::here()))?;
        let is_alarm = self.fail_on_alarm && !status.alarms.is_empty();
        Ok(if is_alarm { exit::NO } else { exit::OK })
    }
}

/// At most 12 lines for one segment and one worker without an alarm; the answer is in the first.
fn render(status: &Status, zone: &LocalTime) -> String {
    let verdict = match status.alarms.len() as u64 {
        0 => "all well".to_owned(),
        alarms => counted(alarms, "alarm", "alarms"),
    };
    let mut text =
        format!("{verdict}, {} (Loadlock {})\n", zone.seconds(status.time), status.version);
    for alarm in &status.alarms {
        text.push_str(&folded("! ", alarm));
    }
    text.push_str(&processes(status));
    text.push('\n');
    text.push_str(&segments(status));
    if !status.workers.is_empty() {
        text.push('\n');
        text.push_str(&workers(&status.workers));
    }
    text
}

fn processes(status: &Status) -> String {
    let control = &status.control;
    let policy = match control.policy_version {
        0 => "no policy yet".to_owned(),
        version => format!(
            "policy version {}, generation {}",
            thousands(version),
            thousands(control.generation)
        ),
    };
    let learned = format!(
        "{} with evidence from {}",
        counted(control.evidence_keys, "key", "keys"),
        counted(control.events_received, "event", "events")
    );
    let dataplane = &status.dataplane;
    let mut facts = vec![dataplane.state.to_string()];
    facts.extend(dataplane.pid.map(|pid| format!("pid {pid}")));
    facts.push(counted(dataplane.starts, "start", "starts"));
    facts.extend(dataplane.heartbeat_age_ms.map(|ms| format!("heard {} ago", age(ms))));
    if dataplane.memory.exchange_bytes > 0 {
        facts.push(format!("exchange {}", memory(dataplane.memory.exchange_bytes)));
    }
    format!(
        "control    {}, up {}, {policy}\nlearning   {learned}\ndataplane  {}\n",
        control.state,
        duration(status.uptime_s),
        facts.join(", ")
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
        let name = [segment.name.clone(), segment.mode.to_string(), thousands(segment.rules)];
        let [name, mode, rules] = name;
        table.row(port_row([name, mode, rules], Side::A, &segment.side_a));
        table.row(port_row(Default::default(), Side::B, &segment.side_b));
    }
    table.to_string()
}

fn port_row([segment, mode, rules]: [String; 3], side: Side, port: &PortStatus) -> [String; 9] {
    let link = match (port.link_up, port.speed_mbps) {
        (false, _) => "down".to_owned(),
        (true, Some(speed)) if speed >= 1_000 && speed % 1_000 == 0 => {
            format!("{} Gbit/s", speed / 1_000)
        }
        (true, Some(speed)) => format!("{speed} Mbit/s"),
        (true, None) => "up".to_owned(),
    };
    [
        segment,
        mode,
        rules,
        format!("{}: {}", side.name(), port.port),
        link,
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
