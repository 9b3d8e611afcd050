//! What happens to traffic when a process is killed, stopped or ended.

mod appliance;

use std::time::{Duration, Instant};

use appliance::captures::write_conversations;
use appliance::{PATIENCE, Process, Site, pid, wait_until};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// Frames without end from both sides; what is forwarded goes nowhere, but is counted.
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

/// A place whose ports get conversations without end.
fn site() -> Option<Site> {
    let site = Site::open()?;
    write_conversations(&site.path("tools.pcap"), &site.path("servers.pcap"));
    site.configure(&format!("{}{PORTS}", site.base("", "")));
    Some(site)
}

/// The sum of a counter over both ports.
fn count(status: &Value, key: &str) -> u64 {
    let segment = &status["segments"][0];
    ["side_a", "side_b"].map(|side| segment[side][key].as_u64().unwrap_or(0)).iter().sum()
}

/// Waits until both ports together have received so many frames; returns the status then.
fn wait_for_received(site: &Site, frames: u64) -> Value {
    let mut status = Value::Null;
    wait_until(&format!("{frames} frames are received"), PATIENCE, || {
        status = site.status();
        count(&status, "received_packets") >= frames
    });
    status
}

/// Waits until the dataplane judges packets as another process than `before`.
fn wait_for_another_dataplane(site: &Site, before: &Value) -> Value {
    let mut status = Value::Null;
    wait_until("another dataplane runs", PATIENCE, || {
        status = site.status();
        let dataplane = &status["dataplane"];
        dataplane["state"] == "running" && dataplane["pid"] != before["dataplane"]["pid"]
    });
    status
}

fn dataplane_pid(status: &Value) -> Pid {
    pid(status["dataplane"]["pid"].as_u64().expect("a dataplane runs"))
}

/// The children of a process.
fn children(parent: &Process) -> Vec<Pid> {
    let pid = parent.pid().as_raw_nonzero();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let list = std::fs::read_to_string(path).unwrap();
    list.split_whitespace().map(|number| appliance::pid(number.parse().unwrap())).collect()
}

/// Nothing the dataplane received was lost: only once it has ended do the counters belong to one moment.
fn assert_nothing_lost(status: &Value) {
    let received = count(status, "received_packets");
    assert_eq!(count(status, "forwarded_packets"), received, "{status:#}");
    for counter in
        ["dropped_packets", "missed_packets", "no_buffer_packets", "receive_error_packets"]
    {
        assert_eq!(count(status, counter), 0, "{counter}: {status:#}");
    }
}

/// The rules as the API shows them, without what changes with each frame.
fn rules(site: &Site) -> Value {
    let rules = site.ask(&["rules", "list"]).expect("control answers");
    assert_ne!(rules.as_array().map(Vec::len), Some(0), "there are rules");
    rules
}

/// Waits until a rule is learned and no version has followed for two intervals.
fn wait_for_rules(site: &Site) -> Value {
    let mut status = Value::Null;
    let mut since = Instant::now();
    wait_until("rules are learned and no more of them", PATIENCE, || {
        let now = site.status();
        let is_same = now["control"]["policy_version"] == status["control"]["policy_version"];
        let has_rules = now["segments"][0]["rules"].as_u64() > Some(0);
        if !is_same || !has_rules {
            since = Instant::now();
        }
        status = now;
        since.elapsed() > Duration::from_secs(2)
    });
    status
}

/// Lets traffic flow for a while without anybody to ask how much.
fn let_pass(time: Duration) {
    let since = Instant::now();
    wait_until("some traffic has passed", PATIENCE, || since.elapsed() > time);
}

#[test]
fn traffic_goes_on_without_control_and_the_next_control_has_its_rules() {
    let Some(site) = site() else { return };
    let mut control = site.control();
    let mut dataplane = site.dataplane();
    site.wait_until_running();
    let before = wait_for_rules(&site);
    let rules_before = rules(&site);
    control.kill();
    let_pass(Duration::from_millis(500));
    let mut control = site.control();
    wait_until("control answers again", PATIENCE, || {
        site.status()["control"]["state"] == "attached"
    });
    let after = wait_for_received(&site, count(&before, "received_packets") + 10_000);
    assert_eq!(after["dataplane"]["pid"], before["dataplane"]["pid"]);
    assert_eq!(after["dataplane"]["starts"], 1);
    assert_eq!(after["control"]["policy_version"], before["control"]["policy_version"]);
    assert_eq!(rules(&site), rules_before);
    wait_until("events go on", PATIENCE, || {
        site.status()["control"]["events_received"].as_u64() > Some(0)
    });
    assert!(dataplane.stop().success(), "{}", dataplane.log());
    wait_until("the dataplane has stopped", PATIENCE, || {
        site.status()["dataplane"]["state"] == "stopped"
    });
    assert_nothing_lost(&site.status());
    assert!(control.stop().success(), "{}", control.log());
}

#[test]
fn traffic_goes_on_while_control_is_stopped_and_continued() {
    let Some(site) = site() else { return };
    let control = site.control();
    let mut dataplane = site.dataplane();
    site.wait_until_running();
    let before = wait_for_rules(&site);
    control.signal(Signal::STOP);
    let_pass(Duration::from_secs(1));
    control.signal(Signal::CONT);
    let after = wait_for_received(&site, count(&before, "received_packets") + 10_000);
    assert_eq!(after["dataplane"]["pid"], before["dataplane"]["pid"]);
    assert!(dataplane.stop().success(), "{}", dataplane.log());
    wait_until("the dataplane has stopped", PATIENCE, || {
        site.status()["dataplane"]["state"] == "stopped"
    });
    assert_nothing_lost(&site.status());
}

/// The configuration says learn, the store says enforce, and no rule permits anything: a single frame judged before
/// the policy was there would have been forwarded.
#[test]
fn a_killed_dataplane_comes_back_with_the_policy_before_its_first_frame() {
    let Some(site) = site() else { return };
    let mut control = site.control();
    wait_until("control answers", PATIENCE, || site.status()["control"]["state"].is_string());
    let changed = site.set_mode("fab", "enforce");
    assert!(control.stop().success(), "{}", control.log());

    let run = site.run();
    let mut before = site.wait_until_running();
    for turn in 0..3 {
        let status = wait_for_received(&site, 1_000);
        assert_eq!(count(&status, "forwarded_packets"), 0, "turn {turn}: {status:#}");
        let stopped = (turn == 1).then(|| children(&run)[0]);
        if let Some(control) = stopped {
            // Nobody is there to publish: what holds is what lies in the exchange.
            kill_process(control, Signal::STOP).unwrap();
        }
        kill_process(dataplane_pid(&before), Signal::KILL).unwrap();
        if let Some(control) = stopped {
            wait_until("run has started another dataplane", PATIENCE, || {
                children(&run).iter().any(|&pid| pid != control && pid != dataplane_pid(&before))
            });
            wait_until("it says that it runs", PATIENCE, || {
                run.log().matches("running:").count() == turn + 2
            });
            kill_process(control, Signal::CONT).unwrap();
        }
        let status = wait_for_another_dataplane(&site, &before);
        assert!(status["dataplane"]["starts"].as_u64() > before["dataplane"]["starts"].as_u64());
        assert_eq!(status["control"]["policy_version"], changed["policy_version"]);
        assert_eq!(status["segments"][0]["mode"], "enforce");
        before = status;
    }
    let status = wait_for_received(&site, 1_000);
    assert_eq!(count(&status, "forwarded_packets"), 0, "{status:#}");
    assert_ne!(count(&status, "dropped_packets"), 0, "{status:#}");
}

#[test]
fn run_restarts_a_killed_control_and_ends_both_on_sigterm() {
    let Some(site) = site() else { return };
    let mut run = site.run();
    let before = site.wait_until_running();
    let started = children(&run);
    assert_eq!(started.len(), 2);
    let control = *started.iter().find(|&&pid| pid != dataplane_pid(&before)).unwrap();
    kill_process(control, Signal::KILL).unwrap();
    wait_until("another control runs", PATIENCE, || {
        let now = children(&run);
        now.len() == 2 && !now.contains(&control)
    });
    let after = site.wait_until_running();
    assert_eq!(after["dataplane"]["pid"], before["dataplane"]["pid"]);
    let running = children(&run);
    let status = run.stop();
    assert_eq!(status.code(), Some(0), "{}", run.log());
    for pid in running {
        assert!(test_kill_process(pid).is_err(), "{pid:?} is left:\n{}", run.log());
    }
}
