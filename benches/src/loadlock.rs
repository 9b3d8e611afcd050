//! Our dataplane on the same captures, with this program in control's place.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use loadlock_exchange::{
    ControlExchange, DataplaneState, Infrastructure, Mode, PolicyImage, PortTally, SegmentPolicy,
    WorkerCounter, seed,
};
use loadlock_settings::Settings;

use crate::load::{Load, rules};
use crate::process::Process;

/// What one run gave.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Packets per second that were received, judged and forwarded.
    pub packets_per_second: f64,
    /// Conversations in the flow table.
    pub flows: u64,
}

fn settings_text(load: &Load, folder: &Path, rules: u32) -> String {
    let Load { flows, side_a, side_b } = load;
    format!(
        r#"[dataplane]
main_core = 0
worker_cores = [1]
file_prefix = "loadlock-bench"
mbufs = {mbufs}
policy_wait_ms = 600000
[exchange]
path = "{exchange}"
rule_capacity = {rules}
[flows]
narrow_capacity = {capacity}
midstream_grace_s = 86400
[[port]]
name = "a"
device = "net_pcap"
options = {{ rx_pcap = "{a}", infinite_rx = true }}
[[port]]
name = "b"
device = "net_pcap"
options = {{ rx_pcap = "{b}", infinite_rx = true }}
[[segment]]
name = "bench"
side_a = "a"
side_b = "b"
mode = "enforce"
[control]
core = 0
"#,
        mbufs = 2 * flows + 40_000,
        exchange = folder.join("exchange").display(),
        rules = rules.max(1024),
        capacity = (*flows).max(65_536),
        a = side_a.display(),
        b = side_b.display(),
    )
}

/// Runs `dataplane` for `seconds` with an enforced allowlist of `rule_count` rules that permits the load.
///
/// # Errors
/// It can't start, or doesn't forward everything.
pub fn run(
    dataplane: &Path,
    load: &Load,
    rule_count: u32,
    seconds: u32,
    folder: &Path,
) -> io::Result<Run> {
    let config = folder.join("loadlock.toml");
    std::fs::write(&config, settings_text(load, folder, rule_count))?;
    let settings = Settings::load(&config).map_err(io::Error::other)?;
    let mut command = Command::new(dataplane);
    command.arg("--config").arg(&config);
    let mut process = Process::start(command, &folder.join("loadlock.log"))?;
    let path = settings.exchange.path.clone();
    let mut exchange = process.wait_for("the exchange", Duration::from_secs(60), || {
        Ok(ControlExchange::attach(&path, settings.dimensions()).ok())
    })?;
    let entries = rules(load.flows, rule_count)?;
    let segment = SegmentPolicy {
        mode: Mode::Enforce,
        infrastructure: Infrastructure { arp: true, neighbour_discovery: true, link_local: true },
    };
    let image =
        PolicyImage::compile(1, &[segment], &entries, seed()?, settings.dimensions().rule_capacity)
            .map_err(io::Error::other)?;
    exchange.publish(&image).map_err(io::Error::other)?;
    process.wait_for("the workers", Duration::from_secs(120), || {
        Ok((exchange.dataplane().state == DataplaneState::Running).then_some(()))
    })?;
    // Until every conversation is in the table.
    let wanted = u64::from(load.flows);
    process.wait_for("all conversations", Duration::from_secs(60), || {
        drain(&mut exchange);
        Ok((exchange.worker_value(0, WorkerCounter::FlowsNarrow) >= wanted).then_some(()))
    })?;
    measure(&mut exchange, seconds)
}

fn drain(exchange: &mut ControlExchange) {
    for events in &mut exchange.events {
        while events.next_record().is_some() {}
        events.release();
    }
}

fn measure(exchange: &mut ControlExchange, seconds: u32) -> io::Result<Run> {
    let both = |exchange: &ControlExchange| {
        let mut sum = PortTally::default();
        sum.add(&exchange.port_tally(0));
        sum.add(&exchange.port_tally(1));
        sum
    };
    let (start, before) = (Instant::now(), both(exchange));
    while start.elapsed() < Duration::from_secs(u64::from(seconds)) {
        drain(exchange);
        std::thread::sleep(Duration::from_millis(50));
    }
    let (elapsed, after) = (start.elapsed(), both(exchange));
    let received = after.received_packets - before.received_packets;
    let forwarded = after.forwarded_packets - before.forwarded_packets;
    if received != forwarded {
        let reasons: Vec<u64> = after.dropped.to_vec();
        return Err(io::Error::other(format!(
            "{received} received, {forwarded} forwarded; dropped by reason: {reasons:?}"
        )));
    }
    Ok(Run {
        packets_per_second: forwarded as f64 / elapsed.as_secs_f64(),
        flows: exchange.worker_value(0, WorkerCounter::FlowsNarrow),
    })
}
