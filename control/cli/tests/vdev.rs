//! Captures in, captures out: both processes on `net_pcap` ports, with the capture's time as the clock.

mod appliance;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use appliance::captures::{Frames, frames, write};
use appliance::{Appliance, PATIENCE, Site, wait_until};
use serde_json::Value;

/// The demo's traffic, but fewer tools and less of it: a dev build judges it.
const SCENARIO: &str = r#"
[line]
tools = 3
duration_s = 600
start = 2026-03-02T06:00:00Z
[traffic]
recipe_s = 90
recipe_bytes = 8000
[intruder]
start_fraction = 0.5
answers = false
"#;

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
mode = "learn"
"#;

/// A generated capture, its labels, and how many frames its first half has.
struct Line {
    frames: Frames,
    labels: Vec<Value>,
    first_half: usize,
}

impl Line {
    /// Generates the scenario into the site's folder.
    fn generate(site: &Site, scenario: &str) -> Self {
        fs::write(site.path("scenario.toml"), scenario).unwrap();
        let arguments = "generate scenario.toml --out all.pcap --labels labels.jsonl --sides sides --split 0.5 --seed 7";
        let output = site.loadlock(&arguments.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let labels = fs::read_to_string(site.path("labels.jsonl")).unwrap();
        let labels = labels.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let half = |side| frames(&site.path(&format!("sides/side-{side}-1.pcap"))).len();
        let first_half = half("a") + half("b");
        Self { frames: frames(&site.path("all.pcap")), labels, first_half }
    }

    /// Frames of the second half that came in on `side` and have this label, in order.
    fn second_half(&self, side: &str, label: &str) -> Vec<&[u8]> {
        let labelled = self.frames.iter().zip(&self.labels).skip(self.first_half);
        labelled
            .filter(|(_, line)| line["side"] == side && line["label"] == label)
            .map(|((_, data), _)| data.as_slice())
            .collect()
    }

    /// Feeds half 1 or 2 into the ports.
    fn feed(site: &Site, half: u32) {
        for (side, port) in [("a", "tools"), ("b", "servers")] {
            let from = site.path(&format!("sides/side-{side}-{half}.pcap"));
            fs::copy(from, site.path(&format!("in-{port}.pcap"))).unwrap();
        }
    }
}

fn count(status: &Value, key: &str) -> u64 {
    status[key].as_u64().unwrap_or(0)
}

/// Waits until both ports have received all that their files hold, and control has taken every event.
fn wait_for_all(site: &Site) {
    for port in ["tools", "servers"] {
        let expected = frames(&site.path(&format!("in-{port}.pcap"))).len() as u64;
        let what = format!("port {port} has received {expected} frames");
        wait_until(&what, PATIENCE, || count(&site.port(port), "received_packets") == expected);
    }
    wait_until("control has taken every event", PATIENCE, || {
        let status = site.status();
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let waiting = |worker: &Value| count(worker, "ring_used") > 0;
        !workers.is_empty() && !workers.iter().any(waiting)
    });
}

/// What each port received is what was forwarded and what was dropped, and the reasons add up. Returns drops by reason.
fn reconcile(site: &Site) -> BTreeMap<String, u64> {
    let drops = site.ask(&["drops"]).expect("control answers");
    let mut by_reason = BTreeMap::new();
    for name in ["tools", "servers"] {
        let port = site.port(name);
        let dropped = count(&port, "dropped_packets");
        let accounted = count(&port, "forwarded_packets") + dropped;
        assert_eq!(count(&port, "received_packets"), accounted, "{port}");
        for lost in [
            "missed_packets",
            "receive_error_packets",
            "no_buffer_packets",
            "transmit_error_packets",
        ] {
            assert_eq!(port[lost], 0, "{lost}: {port}");
        }
        let of_port = drops.as_array().unwrap().iter().filter(|drop| drop["port"] == name);
        let mut sum = 0;
        for drop in of_port {
            sum += count(drop, "dropped_packets");
            *by_reason.entry(drop["reason"].as_str().unwrap().to_owned()).or_default() +=
                count(drop, "dropped_packets");
        }
        assert_eq!(sum, dropped, "{name}: {drops}");
    }
    by_reason.retain(|_, packets| *packets > 0);
    by_reason
}

/// The drops by reason that `loadlock replay` finds in the second half, under what it learns from the first.
fn replay(site: &Site, line: &Line) -> BTreeMap<String, u64> {
    let (first, second) = line.frames.split_at(line.first_half);
    write(&site.path("first.pcap"), first);
    write(&site.path("second.pcap"), second);
    let sides = site.path("stations");
    let stations: Vec<String> = line.frames.iter().zip(&line.labels).fold(
        Vec::new(),
        |mut stations, ((_, data), label)| {
            let mac: Vec<String> = data[6..12].iter().map(|byte| format!("{byte:02x}")).collect();
            let station = format!("{} {}\n", mac.join(":"), label["side"].as_str().unwrap());
            if !stations.contains(&station) {
                stations.push(station);
            }
            stations
        },
    );
    fs::write(&sides, stations.concat()).unwrap();
    for arguments in [
        "replay first.pcap --learn-until 1 --segment fab --sides stations --save-policy policy",
        "replay second.pcap --policy policy --segment fab --sides stations --report report.json",
    ] {
        let output = site.loadlock(&arguments.split(' ').collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let report: Value =
        serde_json::from_slice(&fs::read(site.path("report.json")).unwrap()).unwrap();
    let reasons = report["reasons"]["deny"].as_object().cloned().unwrap_or_default();
    reasons.into_iter().map(|(reason, packets)| (reason, packets.as_u64().unwrap())).collect()
}

/// Learns the first half of a line's traffic and enforces on the second, after a restart that leaves only the store. Just the
/// benign frames come out; returns the drops by reason.
fn learn_then_enforce(site: Site, line: &Line) -> (Site, BTreeMap<String, u64>) {
    Line::feed(&site, 1);
    let appliance = Appliance::start(site);
    wait_for_all(&appliance.site);
    assert_eq!(reconcile(&appliance.site), BTreeMap::new(), "learning drops nothing");
    let changed = appliance.site.set_mode("fab", "enforce");
    let site = appliance.stop();

    fs::remove_file(site.exchange()).unwrap();
    Line::feed(&site, 2);
    let appliance = Appliance::start(site);
    wait_for_all(&appliance.site);
    let status = appliance.site.status();
    assert_eq!(status["control"]["policy_version"], changed["policy_version"]);
    assert_eq!(status["segments"][0]["mode"], "enforce");
    let dropped = reconcile(&appliance.site);
    let attacks = line.second_half("a", "attack").len() + line.second_half("b", "attack").len();
    assert!(attacks >= 30, "the capture has an intruder: {attacks}");
    assert_eq!(dropped.values().sum::<u64>(), attacks as u64, "{dropped:?}");
    let site = appliance.stop();
    for (side, out) in [("a", "out-servers.pcap"), ("b", "out-tools.pcap")] {
        assert_frames(&site, out, &line.second_half(side, "benign"));
    }
    (site, dropped)
}

/// Nobody answers the intruder, as behind an appliance that drops his first frame.
#[test]
fn what_was_learned_passes_byte_for_byte_and_the_rest_is_dropped_as_in_a_replay() {
    let Some(site) = Site::open() else { return };
    let line = Line::generate(&site, SCENARIO);
    site.configure(&format!("{}{PORTS}", site.base("clock = \"capture\"", "")));
    let (site, dropped) = learn_then_enforce(site, &line);
    assert_eq!(dropped, replay(&site, &line));
}

/// An open network was recorded, where the intruder was answered. Without their first frames these look like conversations that
/// already run, which are adopted if a rule matches in either direction; so here nothing is adopted.
#[test]
fn answers_to_the_intruder_are_dropped_too() {
    let Some(site) = Site::open() else { return };
    let line = Line::generate(&site, &SCENARIO.replace("answers = false", "answers = true"));
    let base = site.base("clock = \"capture\"", "");
    let base = base.replace("[flows]\n", "[flows]\nmidstream_grace_s = 0\n");
    site.configure(&format!("{base}{PORTS}"));
    let (_site, dropped) = learn_then_enforce(site, &line);
    for reason in ["no_rule", "not_opened", "wrong_direction"] {
        assert!(dropped.contains_key(reason), "{reason}: {dropped:?}");
    }
}

/// A port has sent just these frames, in this order, byte for byte.
fn assert_frames(site: &Site, file: &str, expected: &[&[u8]]) {
    let sent = frames(&site.path(file));
    let pairs = sent.iter().map(|(_, data)| data.as_slice()).zip(expected.iter().copied());
    for (number, (sent, expected)) in (1..).zip(pairs) {
        let same =
            sent.iter().zip(expected).take_while(|(sent, expected)| sent == expected).count();
        let lengths = (sent.len(), expected.len());
        assert!(
            sent == expected,
            "{file}: frame {number} differs from byte {same}, {lengths:?} bytes"
        );
    }
    assert_eq!(sent.len(), expected.len(), "{file}");
}

/// The real captures, if this machine has them.
fn captures() -> Option<PathBuf> {
    let folder =
        env::var_os("LOADLOCK_CAPTURES").map_or("/work/shared/captures".into(), PathBuf::from);
    if !folder.is_dir() {
        println!(
            "skipped: no captures in {}; set LOADLOCK_CAPTURES to their folder",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// All frames of the captures in a folder, in the order of their names.
fn all_frames(folder: &Path) -> Frames {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_capture = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pcap");
    let mut files: Vec<PathBuf> = entries.filter(is_capture).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no capture", folder.display());
    files.iter().flat_map(|file| frames(file)).collect()
}

/// What net_pcap of DPDK 22.11 writes of a frame at most (`RTE_ETH_PCAP_SNAPLEN`). Frames above 65,535 bytes it can't even read:
/// it counts what is beyond the first buffer in 16 bits, and crashes when it sends the rest that isn't there.
const NET_PCAP_BYTES_MAX: usize = 0x3f00;

/// Learning forwards whatever arrives, however broken it is, and changes no bit of it.
#[test]
fn learning_forwards_every_frame_of_real_captures_unchanged() {
    let Some(folder) = captures() else { return };
    let Some(site) = Site::open() else { return };
    let mut sent = all_frames(&folder.join("malformed"));
    sent.extend(all_frames(&folder.join("proto")));
    sent.retain(|(_, data)| data.len() <= NET_PCAP_BYTES_MAX);
    write(&site.path("in-tools.pcap"), &sent);
    write(&site.path("in-servers.pcap"), []);
    site.configure(&format!("{}{PORTS}", site.base("", "")));
    let appliance = Appliance::start(site);
    wait_for_all(&appliance.site);
    assert_eq!(reconcile(&appliance.site), BTreeMap::new(), "learning drops nothing");
    let site = appliance.stop();
    let sent: Vec<&[u8]> = sent.iter().map(|(_, data)| data.as_slice()).collect();
    assert_frames(&site, "out-servers.pcap", &sent);
    assert_frames(&site, "out-tools.pcap", &[]);
}
