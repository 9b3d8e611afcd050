//! The packet path makes no system call: strace watches a worker's thread under load.

mod appliance;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use appliance::captures::write_conversations;
use appliance::{Appliance, PATIENCE, Site, wait_until};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// Conversations that begin and end without end: packets of every way, and events.
const PORTS: &str = r#"
[[port]]
name = "tools"
device = "net_pcap"
options = { rx_pcap = "tools.pcap", infinite_rx = true }
[[port]]
name = "servers"
device = "net_pcap"
options = { rx_pcap = "servers.pcap", infinite_rx = true }
[[segment]]
name = "fab"
side_a = "tools"
side_b = "servers"
mode = "learn"
"#;

/// The thread of the process `pid` whose name starts so.
fn thread(pid: u64, name: &str) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).find(|task: &u64| {
        let comm = fs::read_to_string(format!("/proc/{pid}/task/{task}/comm"));
        comm.is_ok_and(|comm| comm.starts_with(name))
    })
}

/// What strace sees a thread call while `during` runs.
fn calls(site: &Site, thread: u64, during: impl FnOnce()) -> Vec<String> {
    let log = site.path("strace.log");
    let mut strace = Command::new("strace")
        .args(["-p", &thread.to_string(), "-o"])
        .arg(&log)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("strace is installed");
    let traced = || {
        let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    };
    wait_until("strace is attached", PATIENCE, traced);
    during();
    kill_process(appliance::pid(strace.id().into()), Signal::INT).expect("strace runs");
    strace.wait().expect("strace ends");
    let log = fs::read_to_string(log).expect("strace wrote its log");
    // Signals and the detaching aren't calls.
    log.lines().filter(|line| line.contains('(')).map(str::to_owned).collect()
}

fn received(status: &Value) -> u64 {
    let segment = &status["segments"][0];
    ["side_a", "side_b"]
        .map(|side| segment[side]["received_packets"].as_u64().unwrap_or(0))
        .iter()
        .sum()
}

#[test]
fn a_worker_under_load_makes_no_system_call() {
    let Some(site) = Site::open() else { return };
    write_conversations(&site.path("tools.pcap"), &site.path("servers.pcap"));
    site.configure(&format!("{}{PORTS}", site.base("", "")));
    let appliance = Appliance::start(site);
    let site = &appliance.site;
    let pid = site.status()["dataplane"]["pid"].as_u64().expect("a dataplane runs");
    let worker = thread(pid, "rte-worker").expect("a worker's thread");
    for mode in ["learn", "enforce"] {
        site.set_mode("fab", mode);
        let before = received(&site.status());
        let made = calls(site, worker, || std::thread::sleep(Duration::from_secs(1)));
        assert_eq!(made, Vec::<String>::new(), "in {mode} mode");
        let judged = received(&site.status()) - before;
        assert!(judged > 10_000, "{judged} packets were judged meanwhile");
    }
    // The same look at a thread that does call: the check can fail.
    let main = calls(site, pid, || std::thread::sleep(Duration::from_millis(500)));
    assert!(!main.is_empty(), "the main thread sleeps by a system call");
}
