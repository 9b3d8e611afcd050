//! The changed configuration file taken over by the real control: by verb, by SIGHUP, and not at all.

mod appliance;

use std::fs;

use appliance::{PATIENCE, Process, Site, wait_until};
use rustix::process::Signal;
use serde_json::Value;

const REST: &str = r#"
[[port]]
name = "a"
device = "net_null"
[[port]]
name = "b"
device = "net_null"
[[segment]]
name = "fab"
side_a = "a"
side_b = "b"
[outward.file]
path = "events.jsonl"
"#;

/// A control without a dataplane.
fn site() -> Option<(Site, Process)> {
    let site = Site::open()?;
    site.configure(&format!("{}{REST}", site.base("", "")));
    let control = site.control();
    wait_until("control answers", PATIENCE, || site.status()["control"]["state"].is_string());
    Some((site, control))
}

fn change(site: &Site, old: &str, new: &str) {
    let text = fs::read_to_string(site.config()).unwrap();
    assert!(text.contains(old), "{old}: {text}");
    fs::write(site.config(), text.replacen(old, new, 1)).unwrap();
}

fn reload(site: &Site, arguments: &[&str]) -> Value {
    site.ask(&[&["reload"], arguments].concat()).expect("it is taken over")
}

fn keys(of: &Value) -> Vec<&str> {
    of.as_array().unwrap().iter().map(|change| change["key"].as_str().unwrap()).collect()
}

fn audit(site: &Site) -> String {
    let bytes = fs::read(site.path("loadlock.db-wal")).unwrap_or_default();
    let main = fs::read(site.path("loadlock.db")).unwrap();
    String::from_utf8_lossy(&[bytes, main].concat()).into_owned()
}

#[test]
fn a_reload_takes_over_what_it_can_and_names_the_rest() {
    let Some((site, mut control)) = site() else { return };
    let nothing = reload(&site, &[]);
    for list in ["changed", "needs_control", "needs_dataplane", "needs_both", "by_verb"] {
        assert_eq!(keys(&nothing[list]), [""; 0], "{nothing:#}");
    }

    change(&site, "[control]\n", "[control]\nlog = \"debug\"\n");
    change(&site, "version_interval_s = 1", "version_interval_s = 7");
    change(&site, "[dataplane]\n", "[dataplane]\ntx_retries = 5\n");
    change(&site, "side_b = \"b\"\n", "side_b = \"b\"\nhelpers = [\"ftp\"]\nmode = \"enforce\"\n");
    change(&site, "events.jsonl", "other.jsonl");
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), format!("{text}[api]\nconnections = 32\nrequests_per_s = 7\n"))
        .unwrap();
    let told = reload(&site, &["--dry-run"]);
    assert!(!site.path("other.jsonl").exists() && !audit(&site).contains("reloaded"));
    let done = reload(&site, &[]);
    let live = [
        "api.requests_per_s",
        "control.log",
        "control.version_interval_s",
        "outward.file.path",
        "segment[fab].helpers",
    ];
    assert_eq!(keys(&done["changed"]), live, "{done:#}");
    assert_eq!(done["changed"], told["changed"]);
    assert_eq!(keys(&done["needs_control"]), ["api.connections"]);
    assert_eq!(keys(&done["needs_dataplane"]), ["dataplane.tx_retries"]);
    assert_eq!(keys(&done["by_verb"]), ["segment[fab].mode"]);

    // Each part has it: the log, the sinks, who asks next, and the audit log.
    assert!(control.log().contains("taken over"), "{}", control.log());
    wait_until("the other file is begun", PATIENCE, || site.path("other.jsonl").exists());
    let sinks = site.status()["control"]["sinks"].to_string();
    assert!(sinks.contains("other.jsonl") || sinks == "null", "{sinks}");
    assert!(audit(&site).contains("control.version_interval_s: 1 -> 7"));
    let again = reload(&site, &[]);
    assert_eq!(keys(&again["changed"]), [""; 0], "{again:#}");
    assert_eq!(keys(&again["needs_dataplane"]), ["dataplane.tx_retries"]);

    change(&site, "version_interval_s = 7", "version_interval_s = 8");
    control.signal(Signal::HUP);
    wait_until("SIGHUP does the same", PATIENCE, || {
        audit(&site).contains("version_interval_s: 7 -> 8")
    });
    assert!(control.ended().is_none());
    control.stop();
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_all_are_told() {
    let Some((site, mut control)) = site() else { return };
    change(&site, "[control]\n", "[control]\nlog = \"loud\"\nadmision = \"evidence\"\n");
    change(&site, "version_interval_s = 1", "version_interval_s = 9");
    let output = site.loadlock(&["reload", "--socket", "control.sock"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{message}");
    for words in ["control.log", "control.admision", "admission", "nothing was changed"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    control.signal(Signal::HUP);
    wait_until("SIGHUP says so too", PATIENCE, || control.log().contains("nothing was reloaded"));
    fs::remove_file(site.config()).unwrap();
    let output = site.loadlock(&["reload", "--socket", "control.sock"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!audit(&site).contains("version_interval_s: 1 -> 9"));
    assert!(site.status()["control"]["state"].is_string());
    control.stop();
}
