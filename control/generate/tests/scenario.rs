//! Scenario files: the demo is good, and all mistakes of a file are told at once.

use std::path::{Path, PathBuf};

use loadlock_generate::{Scenario, ScenarioError, ScenarioProblem};
use proptest::prelude::*;

const MINIMAL: &str = "[line]\ntools = 2\nduration_s = 120\nstart = 2026-03-02T06:00:00Z\n";

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/scenarios/demo.toml")
}

fn problems(text: &str) -> Vec<ScenarioProblem> {
    match Scenario::parse("test.toml", text) {
        Err(ScenarioError::Invalid { problems, .. }) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[test]
fn the_demo_is_good() {
    let scenario = Scenario::open(&demo()).expect("the demo is good");
    assert_eq!(scenario.tools(), 6);
    assert_eq!(scenario.duration_ns(), 600_000_000_000);
    assert_eq!(scenario.moment_ns(0.5) - scenario.start_ns(), 300_000_000_000);
}

#[test]
fn the_defaults_in_the_demo_are_the_defaults() {
    let text = std::fs::read_to_string(demo()).expect("the demo is there");
    let demo = Scenario::parse("demo", &text).expect("good");
    let bare = "[line]\ntools = 6\nduration_s = 600\nstart = 2026-03-02T06:00:00Z\n[intruder]\n";
    assert_eq!(demo, Scenario::parse("bare", bare).expect("good"));
}

#[test]
fn all_mistakes_are_told_at_once_with_key_value_and_range() {
    let text = r#"
        [line]
        tools = 0
        duration_s = "long"
        vlam = 3
        [addresses]
        mes = "10.10.2.999"
        [traffic]
        linktest_s = -1
        [intruder]
        start_fraction = 0.2
        answers = 1
        [trafic]
        ntp_s = 1
    "#;
    let found: Vec<(String, String)> =
        problems(text).into_iter().map(|problem| (problem.key, problem.found)).collect();
    let expected = [
        ("line.tools", "0"),
        ("line.duration_s", "\"long\""),
        ("line.start", "nothing"),
        ("line.vlam", "3"),
        ("addresses.mes", "\"10.10.2.999\""),
        ("traffic.linktest_s", "-1"),
        ("intruder.start_fraction", "0.2"),
        ("intruder.answers", "1"),
        ("trafic", "a section"),
    ];
    assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let message = Scenario::parse("test.toml", text).expect_err("wrong").to_string();
    assert!(message.contains("scenario test.toml: 9 to correct"), "{message}");
    assert!(message.contains("line.tools: found 0; allowed is 1 to 200"), "{message}");
    assert!(message.contains("the nearest is line.vlan"), "{message}");
    assert!(message.contains("the nearest is traffic"), "{message}");
}

#[test]
fn an_empty_file_names_what_is_required() {
    let keys: Vec<String> = problems("").into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["line.tools", "line.duration_s", "line.start"]);
}

#[test]
fn addresses_must_differ_and_tools_must_fit() {
    let text = format!("{MINIMAL}[addresses]\nmes = \"10.10.1.12\"\neda = \"10.10.2.30\"\n");
    let keys: Vec<String> = problems(&text).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["addresses.mes", "addresses.recipe"]);
    let text = format!("{MINIMAL}[addresses]\nfirst_tool = \"223.255.255.255\"\n");
    assert_eq!(problems(&text)[0].key, "addresses.first_tool");
}

#[test]
fn a_scan_must_fit_in_the_intruders_time() {
    let text = format!("{MINIMAL}[intruder]\nscan_pause_ms = 60000\n");
    let problem = &problems(&text)[0];
    assert_eq!(problem.key, "intruder.scan_pause_ms");
    assert!(problem.allowed.starts_with("1 to "), "{}", problem.allowed);
}

#[test]
fn an_intruder_that_starts_too_late_is_told_the_latest_start() {
    let late = |fraction| format!("{MINIMAL}[intruder]\nstart_fraction = {fraction}\n");
    let problem = &problems(&late(0.751))[0];
    assert_eq!(problem.key, "intruder.start_fraction");
    assert!(problem.allowed.starts_with("0.5 to 0.75,"), "{}", problem.allowed);
    assert!(Scenario::parse("x", &late(0.75)).is_ok());
}

#[test]
fn what_is_not_toml_or_not_there_is_told() {
    assert!(matches!(Scenario::parse("x", "[line"), Err(ScenarioError::Syntax { .. })));
    let error = Scenario::open(Path::new("/nonexistent.toml")).expect_err("not there");
    assert!(error.to_string().contains("/nonexistent.toml"));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z_\\[\\]=\"0-9. \n-]{0,200}") {
        let _ = Scenario::parse("x", &text);
        let _ = Scenario::parse("x", &format!("{MINIMAL}{text}"));
    }
}
