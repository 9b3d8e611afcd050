//! Figures and events of both processes at work: the endpoint agrees with `status`, the file with what was counted.

mod appliance;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use appliance::captures::write_conversations;
use appliance::{Appliance, PATIENCE, Site, wait_until};
use serde_json::Value;

const PORTS: &str = r#"
[[port]]
name = "tools"
device = "net_pcap"
options = { rx_pcap = "in-tools.pcap", tx_pcap = "out-tools.pcap" }
[[port]]
name = "servers"
device = "net_pcap"
options = { rx_pcap = "in-servers.pcap", tx_pcap = "out-servers.pcap" }
[[segment]]
name = "fab"
side_a = "tools"
side_b = "servers"
mode = "enforce"
"#;

/// The body of `GET /metrics`.
fn scrape(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: loadlock\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// Samples by name and labels.
fn samples_of(body: &str) -> BTreeMap<String, f64> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// The sum over the samples of a metric with this label.
fn sum(samples: &BTreeMap<String, f64>, name: &str, label: &str) -> f64 {
    let of_name = samples.iter().filter(|(found, _)| found.split('{').next() == Some(name));
    of_name.filter(|(found, _)| found.contains(label)).map(|(_, value)| value).sum()
}

#[test]
fn the_endpoint_agrees_with_status_and_the_file_with_the_counters() {
    let Some(site) = Site::open() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    write_conversations(&site.path("in-tools.pcap"), &site.path("in-servers.pcap"));
    let outward = format!(
        "[outward.metrics]\nlisten = \"127.0.0.1:{port}\"\n[outward.file]\npath = \"events.jsonl\"\n\
         [outward.syslog]\ntargets = [\"tcp://127.0.0.1:1\"]\n"
    );
    site.configure(&format!("{}{PORTS}{outward}", site.base("clock = \"capture\"", "")));
    let appliance = Appliance::start(site);
    let site = &appliance.site;
    wait_until("all frames", PATIENCE, || {
        site.port("tools")["received_packets"] == 24
            && site.port("servers")["received_packets"] == 16
    });
    // The last events may still be on their way.
    let (mut status, mut samples) = (Value::Null, BTreeMap::new());
    wait_until("the endpoint agrees with status on events", PATIENCE, || {
        status = site.status();
        samples = samples_of(&scrape(port));
        let sent = "loadlock_worker_events_sent_total{worker=\"0\"}";
        [
            ("loadlock_control_events_total", &status["control"]["events_received"]),
            (sent, &status["workers"][0]["events_sent"]),
            (sent, &status["control"]["events_received"]),
        ]
        .iter()
        .all(|(name, shown)| shown.as_u64() == Some(samples[*name] as u64))
    });
    let drops = site.ask(&["drops"]).unwrap();
    for (at, name) in [("side_a", "tools"), ("side_b", "servers")] {
        let shown = &status["segments"][0][at];
        let label = format!("port=\"{name}\"");
        let figure = |metric: &str| sum(&samples, metric, &label);
        let received = figure("loadlock_port_received_packets_total");
        let dropped = figure("loadlock_port_dropped_packets_total");
        assert_eq!(Value::from(received as u64), shown["received_packets"]);
        assert_eq!(Value::from(dropped as u64), shown["dropped_packets"]);
        assert_eq!(received, figure("loadlock_port_forwarded_packets_total") + dropped);
        let bytes = figure("loadlock_port_received_bytes_total") as u64;
        assert_eq!(Value::from(bytes), shown["received_bytes"]);
    }
    assert!(!drops.as_array().unwrap().is_empty());
    for drop in drops.as_array().unwrap() {
        let text = |key: &str| drop[key].as_str().unwrap();
        let side = if text("port") == "tools" { "a" } else { "b" };
        let name = format!(
            "loadlock_port_dropped_packets_total{{segment=\"{}\",side=\"{side}\",port=\"{}\",reason=\"{}\"}}",
            text("segment"),
            text("port"),
            text("reason")
        );
        assert_eq!(samples[&name] as u64, drop["dropped_packets"].as_u64().unwrap(), "{name}");
    }
    assert_eq!(samples["loadlock_segment_mode{segment=\"fab\",mode=\"enforce\"}"], 1.0);
    assert_eq!(samples["loadlock_dataplane_state{state=\"running\"}"], 1.0);
    let figure = |name: &str| samples[name] as u64;
    assert_eq!(figure("loadlock_policy_version"), status["control"]["policy_version"]);
    assert!(figure("loadlock_store_bytes") > 0);

    // A server that nobody runs: said by status and metrics, with the next step; and the file has the alarm.
    let sink = |name: &str| {
        let sinks = site.status()["outward"].as_array().cloned().unwrap_or_default();
        sinks.into_iter().find(|sink| sink["name"] == name).unwrap_or_default()
    };
    wait_until("the server is missed", PATIENCE, || {
        sink("syslog-1")["error"].as_str().is_some_and(|error| error.contains("check the receiver"))
    });
    assert_eq!(samples["loadlock_sink_connected{sink=\"syslog-1\"}"], 0.0);
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(site.path("events.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    wait_until("the alarm is in the file", PATIENCE, || {
        lines().iter().any(|line| line["kind"] == "alarm" && line["state"] == "raised")
    });
    let site = appliance.stop();

    // Each denied frame is in an event, some only at the end of their time.
    let text = fs::read_to_string(site.path("events.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let denied: Vec<Value> = lines.filter(|line| line["kind"] == "denied").collect();
    assert!(denied.len() >= 8, "{text}");
    assert!(denied.iter().all(|event| event["verdict"] == "deny" && event["segment"] == "fab"));
}
