//! The systemd units of the package: what systemd itself says of them, and what they must promise. `scripts/package-test` runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/systemd").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(unit(name)).unwrap()
}

/// None, with a printed reason, where there is no systemd.
fn analyze(arguments: &[&str]) -> Option<String> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => {
            Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        }
        Err(error) => {
            println!("skipped: systemd-analyze: {error}");
            None
        }
    }
}

#[test]
fn systemd_finds_no_fault() {
    for name in ["loadlock-dataplane.service", "loadlock-control.service"] {
        let path = unit(name).display().to_string();
        let Some(said) = analyze(&["verify", "--man=no", &path]) else { return };
        // The programs aren't installed here.
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(name) && !line.contains("is not executable"))
            .collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn control_is_hardened_and_the_dataplane_has_four_capabilities() {
    let path = unit("loadlock-control.service").display().to_string();
    let Some(said) = analyze(&["security", "--offline=true", "--no-pager", &path]) else { return };
    let level = said.lines().rev().find_map(|line| line.split("loadlock-control.service: ").nth(1));
    let level: f64 = level.and_then(|rest| rest.split(' ').next()?.parse().ok()).expect(&said);
    assert!(level <= 2.0, "{said}");
    let dataplane = text("loadlock-dataplane.service");
    let set = "CAP_NET_RAW CAP_NET_ADMIN CAP_IPC_LOCK CAP_SYS_NICE\n";
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        assert!(dataplane.contains(&format!("{key}={set}")), "{key}");
    }
}

#[test]
fn neither_process_pulls_the_other_down() {
    for (name, other) in [
        ("loadlock-dataplane.service", "loadlock-control"),
        ("loadlock-control.service", "loadlock-dataplane"),
    ] {
        let text = text(name);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let bound = ["Requires", "BindsTo", "PartOf", "Wants", "Requisite", "Conflicts"];
            let binds = bound.iter().any(|key| line.starts_with(&format!("{key}=")));
            assert!(!(binds && line.contains(other)), "{name}: {line}");
        }
        for promise in ["Type=notify", "Restart=always", "User=loadlock", "NoNewPrivileges=yes"] {
            assert!(text.contains(promise), "{name}: {promise}");
        }
    }
    assert!(text("loadlock-dataplane.service").contains("WatchdogSec="));
}

/// What no second start mends stays ended; anything else is started again.
#[test]
fn a_worker_that_dies_is_started_again() {
    let text = text("loadlock-dataplane.service");
    let codes =
        text.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
    let codes: Vec<&str> = codes.split(' ').collect();
    assert!(codes.contains(&"3") && !codes.contains(&"7") && !codes.contains(&"1"), "{codes:?}");
}
