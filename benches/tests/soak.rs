//! The soak, for seconds: both real processes, disturbed, and books that close. What is lost on a busy machine isn't asked here.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_disturbed_appliance_keeps_its_books() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("skipped: generator and worker need a CPU each, and this machine has one");
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_soak"));
    let beside = |name: &str| {
        let path = program.with_file_name(name);
        assert!(path.is_file(), "{}: `cargo build --workspace` first", path.display());
        path
    };
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("soak.json");
    let output = Command::new(program)
        .args(["--no-hugepages", "--minutes", "0.1", "--json"])
        .arg(&json)
        .arg("--dataplane")
        .arg(beside("loadlock-dataplane"))
        .arg("--loadlock")
        .arg(beside("loadlock"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let results: Value = serde_json::from_str(
        &std::fs::read_to_string(json).unwrap_or_else(|error| panic!("{error}: {text}")),
    )
    .unwrap();
    let report = &results["report"];
    let counters = &report["counters"];
    let count = |value: &Value| value.as_u64().unwrap();
    assert!(count(&report["sent"]) > 0 && count(&report["policy_swaps"]) > 0, "{text}");
    assert_eq!(counters["received"], report["sent"], "{text}");
    assert_eq!(counters["forwarded"], report["returned"], "{text}");
    let sum = count(&counters["forwarded"]) + count(&counters["dropped"]);
    assert_eq!(count(&counters["received"]), sum, "{text}");
    let lost = count(&report["lost"]);
    assert_eq!(output.status.success(), lost == 0, "{text}");
}
