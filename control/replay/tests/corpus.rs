//! Every file of the shared captures: no panic, exact counters, the same bytes again, and a policy that permits exactly what
//! it was learned from.
//!
//! The captures are in `LOADLOCK_CAPTURES`, or in `../shared/captures` beside the workspace; without them the tests say so
//! and pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use loadlock_exchange::DropReason;
use loadlock_replay::{
    LearnUntil, Output, ReplayError, ReplayOptions, ReplayReport, parse_helpers, run,
};
use serde_json::Value;

/// Every capture, sorted; `None` where there are none on this machine.
fn captures() -> Option<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures");
    let folder = std::env::var_os("LOADLOCK_CAPTURES").map_or(beside, PathBuf::from);
    let mut found = Vec::new();
    collect(&folder, &mut found);
    if found.is_empty() {
        println!("skipped: no captures in {} (set LOADLOCK_CAPTURES)", folder.display());
        return None;
    }
    found.sort();
    Some(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(&path, found);
        } else if [".pcap", ".pcapng", ".cap", ".gz"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// The report, also of a capture that is cut or damaged.
fn report(options: &ReplayOptions) -> ReplayReport {
    match run(options) {
        Ok(report) => report,
        Err(ReplayError::Incomplete { report, .. }) => *report,
        Err(error) => panic!("{}: {error}", options.capture.display()),
    }
}

fn learn_until(capture: &Path, fraction: f64) -> ReplayOptions {
    let learn_until = Some(LearnUntil::Fraction(fraction));
    ReplayOptions { learn_until, ..ReplayOptions::new(capture) }
}

fn to_files(mut options: ReplayOptions, folder: &Path) -> ReplayOptions {
    let file = |name: &str| Some(Output::File(folder.join(name)));
    options.report = file("report.json");
    options.verdicts = file("verdicts.jsonl");
    options.save_policy = file("policy.toml");
    options.save_sides = file("sides.txt");
    options
}

/// All outputs, the report without its speed.
fn outputs(folder: &Path) -> (Value, [String; 3]) {
    let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let mut report: Value = serde_json::from_str(&text("report.json")).unwrap();
    report.as_object_mut().unwrap().remove("speed").unwrap();
    (report, ["verdicts.jsonl", "policy.toml", "sides.txt"].map(text))
}

fn malformed_reasons() -> BTreeSet<&'static str> {
    let judged = [
        DropReason::NoRule,
        DropReason::NotOpened,
        DropReason::WrongDirection,
        DropReason::IcmpErrorUnrelated,
        DropReason::SegmentClosed,
        DropReason::FlowTableFull,
        DropReason::EventRingFull,
    ];
    let form = DropReason::ALL.iter().filter(|reason| !judged.contains(reason));
    form.map(|reason| reason.name()).collect()
}

fn check_verdict_lines(lines: &str, report: &ReplayReport) {
    let mut packets = 0;
    for line in lines.lines() {
        packets += 1;
        assert!(line.starts_with(&format!("{{\"n\":{packets},\"time_ns\":")), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        let order = ["\"n\":", ",\"time_ns\":", ",\"verdict\":", ",\"reason\":", ",\"rule\":"];
        let places = order.map(|key| line.find(key).unwrap());
        assert!(places.is_sorted(), "{line}");
        assert_eq!(value["rule"].is_u64(), value["reason"] == "rule", "{line}");
    }
    assert_eq!(packets, report.packets);
}

#[test]
fn a_second_run_gives_the_same_bytes_and_counters_reconcile() {
    let Some(captures) = captures() else { return };
    for capture in captures {
        let [(report, first), (_, second)] = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let report = report(&to_files(learn_until(&capture, 0.5), folder.path()));
            (report, outputs(folder.path()))
        });
        assert!(first == second, "{}: two runs differ", capture.display());
        assert!(report.reconciliation.exact, "{}", capture.display());
        assert_eq!(report.flows.started, report.flows.ended, "{}", capture.display());
        check_verdict_lines(&first.1[0], &report);
    }
}

#[test]
fn a_policy_recorded_from_a_capture_permits_all_of_it() {
    let Some(captures) = captures() else { return };
    let malformed = malformed_reasons();
    let mut failures = Vec::new();
    for capture in captures {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        let recording = ReplayOptions {
            save_policy: Some(Output::File(policy.clone())),
            ..learn_until(&capture, 1.0)
        };
        let recorded = report(&recording);
        assert!(recorded.reconciliation.exact, "{}", capture.display());
        assert_eq!(recorded.packets_of("deny"), 0, "{}", capture.display());
        let enforcing = ReplayOptions { policy: Some(policy), ..learn_until(&capture, 0.0) };
        let enforced = report(&enforcing);
        assert!(enforced.reconciliation.exact, "{}", capture.display());
        assert_eq!(enforced.phases.learn.packets, 0);
        let mut denied = enforced.reasons["deny"].clone();
        denied.retain(|reason, _| !malformed.contains(reason.as_str()));
        if std::env::var_os("LOADLOCK_FIGURES").is_some() {
            println!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                capture.display(),
                recorded.packets,
                recorded.flows.started,
                recorded.learned_rules.count,
                recorded.sides.same_side_packets,
                recorded.sides.two_way_packets,
                recorded.evidence.met_running,
                recorded.speed.packets_per_second as u64
            );
        }
        if !denied.is_empty() {
            failures.push(format!("{}: {denied:?}", capture.display()));
        }
    }
    assert!(failures.is_empty(), "{} files:\n{}", failures.len(), failures.join("\n"));
}

/// Windows hosts that ask the endpoint mapper, in NDR and in NDR64: with the helper their endpoints need no rule, and nothing is denied
/// but what is malformed.
#[test]
fn endpoints_that_real_hosts_negotiate_need_no_rule() {
    let Some(captures) = captures() else { return };
    for name in ["idaholab_CVE-2020-1472_exploit_win2019", "otrf_purplesharp_ad_playbook_I"] {
        let found = captures.iter().find(|path| path.to_string_lossy().contains(name));
        let Some(capture) = found else {
            println!("skipped: {name} isn't among the captures");
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        let helpers = parse_helpers("ftp,dcerpc,tftp").unwrap();
        let recorded = report(&ReplayOptions {
            helpers,
            save_policy: Some(Output::File(policy.clone())),
            ..learn_until(capture, 1.0)
        });
        let negotiated = recorded.reasons["allow"]["negotiated"];
        assert!(negotiated > 0, "{name}");
        let enforced =
            report(&ReplayOptions { helpers, policy: Some(policy), ..learn_until(capture, 0.0) });
        assert_eq!(enforced.reasons["allow"]["negotiated"], negotiated, "{name}");
        let malformed = malformed_reasons();
        let denied = enforced.reasons["deny"].keys();
        assert!(denied.clone().all(|reason| malformed.contains(reason.as_str())), "{name}");
    }
}

#[test]
fn an_empty_policy_permits_nothing_but_infrastructure() {
    let Some(captures) = captures() else { return };
    for capture in captures {
        let report = report(&learn_until(&capture, 0.0));
        assert!(report.reconciliation.exact, "{}", capture.display());
        let allowed: Vec<_> = report.reasons["allow"].keys().collect();
        assert!(
            allowed.iter().all(|reason| *reason == "infrastructure"),
            "{}: {allowed:?}",
            capture.display()
        );
        assert_eq!(report.packets_of("would-deny"), 0, "{}", capture.display());
        assert_eq!(report.policy.rules, 0);
    }
}
