//! Sites: the same for the same seed, in the order of time, with the attacks that are switched on, and all mistakes told at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use loadlock_capture::CaptureReader;
use loadlock_generate::{Flow, ScenarioError, Site, SiteOptions, write_site};

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/scenarios").join(name)
}

fn site(name: &str, with: &[&str]) -> Site {
    let with: Vec<String> = with.iter().map(|name| (*name).to_owned()).collect();
    Site::open(&scenario(name), &with).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn flows_are_in_order_and_repeat_with_their_seed() {
    let site = site("fab-40.toml", &[]).for_days(2);
    let flows: Vec<Flow> = site.flows(1).collect();
    assert!(flows.len() > 5_000);
    assert!(flows.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
    assert!(flows.iter().all(|flow| flow.end_ns >= flow.time_ns && flow.time_ns < site.end_ns()));
    assert!(flows.iter().eq(site.flows(1).collect::<Vec<_>>().iter()));
    assert!(!flows.iter().eq(site.flows(2).collect::<Vec<_>>().iter()));
}

#[test]
fn every_variant_of_every_site_can_be_generated() {
    let attacks = [
        "scan-fast",
        "scan-slow",
        "scan-distributed",
        "scan-open",
        "worm",
        "infected",
        "spoof-ip",
        "spoof-mac",
        "exfiltration",
    ];
    for name in ["fab-40.toml", "fab-300.toml", "ward.toml"] {
        for variant in attacks {
            let site = site(name, &[variant]);
            assert!(site.flows(3).any(|flow| flow.is_attack), "{name} with {variant}");
        }
        for variant in ["roll-out", "move", "swap"] {
            assert_eq!(site(name, &[variant]).windows().len(), 1, "{name} with {variant}");
        }
    }
    assert!(site("worm.toml", &[]).flows(1).any(|flow| flow.is_attack));
    assert!(!site("fab-40.toml", &[]).flows(1).any(|flow| flow.is_attack));
}

#[test]
fn old_windows_connects_from_1025_to_5000() {
    let site = site("fab-40.toml", &[]).for_days(1);
    let tools = site.devices().iter().filter(|device| device.name == "etcher");
    let tools: BTreeSet<_> = tools.map(|device| device.address).collect();
    let mut ports = site.flows(1).filter(|flow| tools.contains(&flow.client));
    assert!(ports.all(|flow| (1025..=5000).contains(&flow.client_port)));
}

#[test]
fn packets_and_their_labels_reconcile() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, labels) = (folder.path().join("bay.pcap.gz"), folder.path().join("bay.jsonl"));
    let options =
        SiteOptions { out: Some(out.clone()), labels: Some(labels.clone()), segment: 1, seed: 5 };
    let site = site("fab-40.toml", &["scan-slow"]).for_days(2);
    let summary = write_site(&site, &options).expect("written");
    let mut reader = CaptureReader::open(&out).expect("a capture");
    let mut times = Vec::new();
    while let Some(packet) = reader.next().expect("good") {
        times.push(packet.time_ns);
    }
    assert_eq!(times.len() as u64, summary.packets);
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    let labels = fs::read_to_string(&labels).expect("labels");
    assert_eq!(labels.lines().count(), times.len());
    let attacks = labels.lines().filter(|line| line.contains("\"attack\"")).count();
    assert!(attacks > 0 && attacks < times.len() / 100, "{attacks}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.toml");
    let text = "[site]\nstart = 2026-03-23T00:00:00Z\ndays = 0\nlearn_days = 14\nbays = 99\n\
                [[model]]\nname = \"m\"\ncount = 2\nfirst = \"10.0.0.1\"\noui = \"zz\"\n\
                [[talk]]\nname = \"t\"\nfrom = \"m\"\nto = \"nobody\"\nservice = \"tcp/80\"\nevery_s = 60\n";
    fs::write(&file, text).expect("written");
    let Err(ScenarioError::Invalid { problems, .. }) = Site::open(&file, &["worm".to_owned()])
    else {
        panic!("it has mistakes");
    };
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    for key in ["site.variants", "site.days", "site.bays", "model m.oui", "talk t.to"] {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
}
