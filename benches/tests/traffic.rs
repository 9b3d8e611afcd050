//! The runner of the load tests: its own generator around the real dataplane, for fractions of a second, and Pktgen by its mock. What is
//! fast isn't asked here; what must not be lost, leaked or left unsaid is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn traffic(out: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_traffic"));
    command.args(arguments).arg("--out").arg(out).current_dir(repository());
    command.envs(settings.iter().copied()).output().unwrap()
}

fn results(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("results.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    value["scenarios"].as_array().unwrap().clone()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn the_generator_of_this_machine_measures_the_real_dataplane() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        println!("skipped: generator and worker need a CPU each, and this machine has one");
        return;
    }
    let dataplane = Path::new(env!("CARGO_BIN_EXE_traffic")).with_file_name("loadlock-dataplane");
    assert!(dataplane.is_file(), "{}: `cargo build --workspace` first", dataplane.display());
    let out = tempfile::tempdir().unwrap();
    let dataplane = dataplane.display().to_string();
    let brief = [
        "--local",
        "--no-hugepages",
        "--seconds",
        "0.05",
        "--flows",
        "256",
        "--sizes",
        "64",
        "--rules",
        "1000",
    ];
    let brief = [&brief[..], &["--dataplane", &dataplane]].concat();
    let output = traffic(out.path(), &[&["rfc2544", "new-flows", "mix"], &brief[..]].concat(), &[]);
    assert!(output.status.success(), "{}", text(&output));
    let results = results(out.path());
    assert_eq!(results.len(), 3);
    for found in &results {
        assert_eq!(found["failure"], Value::Null, "{found}");
        assert!(found["warnings"].to_string().contains("without hugepages"), "{found}");
        for point in found["points"].as_array().unwrap() {
            assert_eq!(
                (&point["lost_packets"], &point["leaked_packets"]),
                (&0.0.into(), &0.0.into())
            );
        }
    }
    let share = |point: &Value| {
        point["received_pps"].as_f64().unwrap() / point["sent_pps"].as_f64().unwrap()
    };
    let mixed = results[2]["points"].as_array().unwrap();
    for (point, permitted) in mixed.iter().zip([1.0, 0.9, 0.5, 0.1]) {
        assert!((share(point) - permitted).abs() < 0.02, "{permitted}: {point}");
    }
    let report = std::fs::read_to_string(out.path().join("report.md")).unwrap();
    assert!(
        report.contains("| 50 % denied |") && report.contains("Latency, port to port"),
        "{report}"
    );
}

/// A program that takes Pktgen's command line; None where the list of its API isn't there.
fn pktgen(folder: &Path) -> Option<PathBuf> {
    let api = repository().join("../shared/pktgen_api.tsv");
    if !api.is_file() {
        println!("skipped: {} isn't there", api.display());
        return None;
    }
    let path = folder.join("pktgen");
    let mock = repository().join("benches/tests/pktgen/mock.lua");
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $4 $5 $6\" = '-l 0-4 -- -P -m [1].0,[2].1' ] || exit 9\n\
         for last; do :; done\nexec lua5.4 {} new {} \"$last\"\n",
        mock.display(),
        api.display()
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Some(path)
}

#[test]
fn pktgens_results_become_report_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = pktgen(folder.path()) else { return };
    let out = folder.path().join("out");
    let program = program.display().to_string();
    let arguments =
        ["--pktgen", &program, "--eal", "-l 0-4", "--map", "[1].0,[2].1", "--minutes", "1"];
    let output = traffic(&out, &arguments, &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(results(&out).len(), 7);
    for name in ["throughput", "rfc2544", "flows", "new-flows", "mix", "vlan", "soak"] {
        let svg = std::fs::read_to_string(out.join(format!("{name}.svg"))).unwrap();
        assert!(svg.contains("Mpps"), "{name}");
    }
    let output =
        traffic(&out, &[&["rfc2544"], &arguments[..]].concat(), &[("MOCK_GENERATOR_PPS", "1e6")]);
    assert!(output.status.success());
    assert!(
        text(&output).contains("warning: 64 bytes: the generator is the limit"),
        "{}",
        text(&output)
    );
    let output = traffic(&out, &[&["mix"], &arguments[..]].concat(), &[("MOCK_LEAK", "1")]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn what_cannot_run_is_named_with_the_next_step() {
    let out = tempfile::tempdir().unwrap();
    let output = traffic(out.path(), &["--pktgen", "/nonexistent/pktgen", "vlan"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("/nonexistent/pktgen") && text(&output).contains("--pktgen"));
    let output = traffic(out.path(), &["--pktgen", "/bin/true", "vlan"], &[]);
    assert!(text(&output).contains("left no result; its output is"), "{}", text(&output));
    for wrong in [&["vlan"][..], &["--local", "--sizes", "9000"], &["--local", "--seconds", "0"]] {
        assert_eq!(traffic(out.path(), wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
}
