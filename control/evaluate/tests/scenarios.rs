//! The targets, on one seed of the quick site: a month and a half of simulated time in seconds.

use std::path::Path;

use loadlock_evaluate::{Report, ScenarioOptions, evaluate_scenario};

fn evaluate(name: &str, with: &[&str]) -> Report {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/scenarios").join(name);
    let with = with.iter().map(|name| (*name).to_owned()).collect();
    let options = ScenarioOptions { scenario, with, days: None, seed: 1, seeds: 1 };
    evaluate_scenario(&options).unwrap_or_else(|error| panic!("{error}"))
}

fn meets_the_targets(report: &Report) {
    let figure = |key| report.row(key).expect("a figure");
    assert_eq!(figure("attack_tuples_admitted").loadlock, 0.0);
    let blocks = figure("benign_blocks_per_100_devices_week");
    assert!(blocks.loadlock <= 1.0 && blocks.loadlock <= blocks.record_all, "{blocks:?}");
    assert!(figure("cards_per_device").loadlock <= 3.0);
}

#[test]
fn a_worm_during_learning_gets_nothing_and_blocks_nothing() {
    let report = evaluate("worm.toml", &[]);
    meets_the_targets(&report);
    assert!(report.row("attack_tuples_admitted").expect("a figure").record_all > 100.0);
    assert!(report.row("connection_recall").expect("a figure").loadlock >= 0.9995);
}

#[test]
fn a_slow_scan_and_a_server_that_moves() {
    for with in [["scan-slow"], ["move"]] {
        meets_the_targets(&evaluate("fab-40.toml", &with));
    }
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let [one, two] = [(); 2].map(|()| evaluate("fab-40.toml", &["infected"]));
    assert_eq!(one.to_json(), two.to_json());
}
