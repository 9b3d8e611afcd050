//! The built program against a fake control behind a real socket: what people see, what programs get, and the exit codes.

mod audit;
#[path = "../../../api/tests/fake/mod.rs"]
mod fake;
mod listings;
mod observe;
mod offline;
mod packets;
mod policy;
mod status;
mod top;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fake::{Served, Trouble};
use loadlock_api::*;

fn served() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path().join("control.sock"));
    (folder, served)
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadlock"));
    command.args(arguments).env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// Exit code, standard output, standard error.
fn outcome(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(&mut program(arguments))
}

/// A client verb's standard output; it must succeed and say nothing else.
fn ask(served: &Served, arguments: &[&str]) -> String {
    let (code, out, err) = outcome(program(arguments).arg("--socket").arg(&served.socket));
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const CONFIGURATION: &str = r#"
[dataplane]
worker_cores = [1]
hugepages = false

[[port]]
name = "fab-a"
device = "net_null"

[[port]]
name = "fab-b"
device = "net_null"

[[segment]]
name = "fab"
side_a = "fab-a"
side_b = "fab-b"
"#;

#[test]
fn a_reader_that_goes_is_no_failure() {
    let (_folder, served) = served();
    let mut child =
        program(&["flows", "--socket"]).arg(&served.socket).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, _, err) = outcome(program(&["flows", "--socket"]).arg(&served.socket).stdout(full));
    assert_eq!(code, 8, "{err}");
}

#[test]
fn each_failure_has_its_code_and_says_what_to_do() {
    let (folder, served) = served();
    let socket = served.socket.to_str().unwrap();
    let nowhere = folder.path().join("nowhere.sock");
    let nowhere = nowhere.to_str().unwrap();
    let trouble = |trouble| *served.backend.trouble.lock().unwrap() = Some(trouble);
    let cases = |arguments: &[&str], code: i32, word: &str| {
        let (found, out, err) = run(arguments);
        assert_eq!((found, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(word), "{arguments:?}: {err}");
        assert!(!err.contains('\u{1b}'), "{err:?}");
    };
    cases(
        &["status", "--socket", nowhere],
        4,
        "loadlock control isn't running, or listens elsewhere",
    );
    cases(&["observe", "-f", "--socket", nowhere], 4, "--config");
    cases(
        &["mode", "set", "fba", "learn", "--socket", socket],
        5,
        "there is no segment \"fba\"; the configuration has fab",
    );
    cases(
        &["mode", "set", "\u{1b}[2J", "learn", "--socket", socket],
        5,
        "no segment \"\\u{1b}[2J\"",
    );
    cases(
        &["rules", "list", "--segment", "x", "--socket", socket],
        5,
        "fix: name one of the segments.",
    );
    trouble(Trouble::Error(BackendError::Store { reason: "disk full".to_owned() }));
    cases(&["mode", "set", "fab", "learn", "--socket", socket], 7, "disk full");
    trouble(Trouble::Error(BackendError::Unavailable { reason: "starting".to_owned() }));
    cases(&["status", "--socket", socket], 5, "starting");
    cases(
        &["mode", "set", "fab", "block", "--socket", socket],
        2,
        "learn, monitor, enforce, quarantine",
    );
    cases(&["flows", "--address", "etch-07", "--socket", socket], 2, "10.0.1.11");
    cases(&["flows", "--limit", "0", "--socket", socket], 2, "1..=100000");
    cases(&["observe", "--kind", "lost", "--socket", socket], 2, "started, ended, denied");
    cases(&["status", "--socket", socket, "--config", "x"], 2, "cannot be used with");
    cases(&["status", "--config", nowhere], 3, "can't be read");
    cases(&["check"], 2, "<FILE>");
    cases(&["generate", "x.toml"], 2, "--out");
    cases(&["generate", nowhere, "--out", "/dev/null"], 3, nowhere);
}

#[test]
fn every_verb_gives_the_apis_own_json() {
    let (_folder, served) = served();
    let json = |arguments: &[&str]| ask(&served, &[arguments, &["-o", "json"]].concat());
    assert_eq!(serde_json::from_str::<Status>(&json(&["status"])).unwrap(), fake::status());
    let rules: Listing<Rule> = serde_json::from_str(&json(&["rules", "list"])).unwrap();
    assert_eq!(rules.items, fake::rules());
    let flows: Listing<Flow> = serde_json::from_str(&json(&["flows", "--limit", "1"])).unwrap();
    assert_eq!((flows.items.as_slice(), flows.total), (&fake::flows()[..1], 3));
    let drops: Vec<DropCount> = serde_json::from_str(&json(&["drops"])).unwrap();
    assert_eq!(drops, fake::drops());
    let changed: ModeChanged =
        serde_json::from_str(&json(&["mode", "set", "fab", "learn"])).unwrap();
    assert_eq!((changed.mode, changed.previous), (Mode::Learn, Mode::Enforce));
    assert_eq!(served.backend.changes.lock().unwrap().len(), 1);
}

#[test]
fn the_socket_comes_from_the_configuration() {
    let (folder, served) = served();
    let text = format!("{CONFIGURATION}\n[control]\nsocket = {:?}\n", served.socket);
    let file = write(folder.path(), "loadlock.toml", &text);
    let (code, out, err) = outcome(program(&["drops", "--config"]).arg(file));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("SEGMENT"), "{out}");
}
