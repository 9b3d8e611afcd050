//! The scripts of `scripts/pktgen` against a mock of Pktgen (`mock.lua`) that refuses what a release doesn't have, in front of a device
//! with a known loss-free rate. No Pktgen and no root; Debian's `lua5.3` and `lua5.4`, as Pktgen embeds either.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const SCRIPTS: [&str; 7] = ["throughput", "rfc2544", "flows", "new-flows", "mix", "vlan", "soak"];
const RELEASES: [&str; 2] = ["old", "new"];
const LUAS: [&str; 2] = ["lua5.3", "lua5.4"];
/// 64-byte frames of both directions on 10 Gb/s.
const LINE_PPS: f64 = 2.0 * 1e10 / (84.0 * 8.0);

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The list of valid names and argument counts, beside the checkout; None, with a printed reason, where it isn't.
fn api() -> Option<PathBuf> {
    let path = repository().join("../shared/pktgen_api.tsv");
    if !path.is_file() {
        println!("skipped: {} isn't there", path.display());
        return None;
    }
    Some(path)
}

fn script(name: &str) -> PathBuf {
    repository().join("scripts/pktgen").join(format!("{name}.lua"))
}

fn mock(lua: &str, release: &str, api: &Path, script: &Path, settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(lua);
    command.arg(repository().join("benches/tests/pktgen/mock.lua"));
    command.arg(release).arg(api).arg(script).env("LOADLOCK_MINUTES", "1");
    command.envs(settings.iter().copied());
    let output = command.output();
    output.unwrap_or_else(|error| panic!("{lua}: {error}; apt-get install {lua}"))
}

/// The result that a script prints.
fn result(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{:?}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let line = text.lines().find_map(|line| line.strip_prefix("LOADLOCK-RESULT "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("no result in:\n{text}"))).unwrap()
}

fn points(result: &Value) -> &Vec<Value> {
    result["points"].as_array().unwrap()
}

#[test]
fn every_script_runs_on_both_releases_and_finds_the_devices_rate() {
    let Some(api) = api() else { return };
    for name in SCRIPTS {
        for (release, lua) in
            RELEASES.into_iter().flat_map(|release| LUAS.map(|lua| (release, lua)))
        {
            let result = result(&mock(lua, release, &api, &script(name), &[]));
            assert_eq!(result["scenario"], name);
            assert_eq!(result["failure"], Value::Null, "{name} on {release}");
            assert_eq!(
                result["warnings"].as_array().unwrap().len(),
                0,
                "{name} on {release}: {result}"
            );
            assert!(!points(&result).is_empty(), "{name} on {release}");
            for point in points(&result) {
                assert_eq!(point["leaked_packets"], 0, "{name}: {point}");
                let lossless = point["lost_packets"] == 0;
                let above = point["offered_pps"].as_f64().unwrap() > 7.3e6;
                assert_eq!(lossless, !above, "{name} on {release}: {point}");
            }
        }
    }
}

#[test]
fn the_search_finds_a_rate_within_its_resolution() {
    let Some(api) = api() else { return };
    for release in RELEASES {
        for device_pps in [50_000.0, 7.3e6, 14.7e6, 29.7e6] {
            let device = device_pps.to_string();
            let settings = [("MOCK_DEVICE_PPS", device.as_str()), ("LOADLOCK_SIZES", "64")];
            let result = result(&mock("lua5.4", release, &api, &script("rfc2544"), &settings));
            let found = &points(&result)[0];
            let pps = found["offered_pps"].as_f64().unwrap();
            assert!(
                pps <= device_pps && pps > device_pps - LINE_PPS * 0.0011,
                "{device_pps}: {found}"
            );
            assert_eq!((&found["limit"], &found["seconds"]), (&"device".into(), &60.into()));
        }
    }
}

#[test]
fn the_line_and_the_generator_are_told_from_the_device() {
    let Some(api) = api() else { return };
    for release in RELEASES {
        let limit = |settings: &[(&str, &str)]| {
            let result = result(&mock("lua5.4", release, &api, &script("rfc2544"), settings));
            let point = points(&result)[0].clone();
            (
                point["limit"].as_str().unwrap().to_owned(),
                point["sent_pps"].as_f64().unwrap(),
                result["warnings"].to_string(),
            )
        };
        let sizes = ("LOADLOCK_SIZES", "64");
        let (what, pps, warnings) = limit(&[("MOCK_DEVICE_PPS", "1e9"), sizes]);
        assert_eq!((what.as_str(), warnings.as_str()), ("line", "[]"));
        assert!((pps / LINE_PPS - 1.0).abs() < 0.001, "{pps}");
        let (what, pps, warnings) = limit(&[("MOCK_GENERATOR_PPS", "5e6"), sizes]);
        assert_eq!(what, "generator");
        assert!((pps / 5e6 - 1.0).abs() < 0.001, "{pps}");
        assert!(warnings.contains("the generator is the limit"), "{warnings}");
        // It can't fill the line, and more than the device takes.
        let (what, pps, _) = limit(&[("MOCK_GENERATOR_PPS", "1e7"), sizes]);
        assert_eq!(what, "device");
        assert!(pps <= 7.3e6 && pps > 7.25e6, "{pps}");
    }
}

#[test]
fn denied_frames_that_come_through_end_the_mix() {
    let Some(api) = api() else { return };
    for release in RELEASES {
        let result = result(&mock("lua5.4", release, &api, &script("mix"), &[("MOCK_LEAK", "1")]));
        assert_eq!(result["leaked"], true);
        assert!(result["warnings"].to_string().contains("no rule permits"), "{result}");
    }
}

#[test]
fn a_device_that_forwards_nothing_has_no_rate() {
    let Some(api) = api() else { return };
    let result =
        result(&mock("lua5.4", "new", &api, &script("flows"), &[("MOCK_DEVICE_PPS", "0")]));
    assert_eq!(points(&result).len(), 0);
    assert!(result["warnings"].to_string().contains("lost at every rate"), "{result}");
}

#[test]
fn settings_that_cannot_be_are_named() {
    let Some(api) = api() else { return };
    for (name, value) in [
        ("LOADLOCK_SIZES", "64,9000"),
        ("LOADLOCK_FLOWS", "none"),
        ("LOADLOCK_SECONDS", "-1"),
        ("LOADLOCK_LINK_MBPS", "1"),
    ] {
        let output = mock("lua5.4", "new", &api, &script("throughput"), &[(name, value)]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            text.contains(name) && text.contains(value.split(',').next_back().unwrap()),
            "{text}"
        );
    }
}

/// The mock is only worth something if it refuses.
#[test]
fn the_mock_refuses_what_a_release_does_not_have() {
    let Some(api) = api() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.lua");
    for (release, wrong, message) in [
        ("old", "pktgen.clock_gettime()", "no pktgen.clock_gettime"),
        ("new", "pktgen.pktStats('0')", "no pktgen.pktStats"),
        ("new", "pktgen.portStats('0', 'port')", "2 arguments"),
        ("old", "pktgen.portStats('0')", "1 arguments"),
        ("new", "pktgen.range.speed('0', 'start', 1)", "no pktgen.speed"),
        ("old", "pktgen.set('0', 'rate')", "2 arguments"),
        ("old", "pktgen.set('7', 'rate', 1)", "no port 7"),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let output = mock("lua5.4", release, &api, &path, &[]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(message), "{wrong} on {release}: {text}");
    }
}

#[test]
fn the_policy_permits_what_the_scripts_send() {
    let path = repository().join("scripts/pktgen/policy.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let document = loadlock_policy::Document::parse(&text, "policy.toml").expect("valid");
    let policy = document.expand(&loadlock_policy::Policy::default(), 0).expect("expands");
    let words: Vec<String> = policy.rules().iter().map(|rule| rule.words().to_string()).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words[0].contains("10.1.0.0/16") && words[0].contains("udp/5000"), "{words:?}");
}
