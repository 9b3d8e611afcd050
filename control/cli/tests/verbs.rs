//! The built program against a fake control behind a real socket: what people see, what programs get, and the exit codes.

#[path = "../../api/tests/fake/mod.rs"]
mod fake;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use fake::{Served, Trouble, event};
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

type Lines<Pipe> =
    std::iter::Map<std::io::Lines<BufReader<Pipe>>, fn(std::io::Result<String>) -> String>;

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

#[test]
fn status_answers_in_at_most_ten_lines_of_a_hundred_columns() {
    let (_folder, served) = served();
    let out = ask(&served, &["status"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
all well, 2026-05-04T12:03:11+00:00 (Loadlock 0.1.0)
control    attached, up 3 d 4 h, policy version 37, generation 41
dataplane  running, pid 4711, 1 start, heard 12 ms ago, exchange 256 MiB
fab        enforce, 128 rules; 2,222,222,211 packets, 1,801 dropped, 0 would be denied
1 worker   1,242 conversations, room for 1,310,720; latency p99 5.12 µs; 0 events refused
"
    );
    {
        let mut status = served.backend.status.lock().unwrap();
        for number in 0..15 {
            let mut segment = status.segments[0].clone();
            segment.name = format!("fab-{number}");
            status.segments.push(segment);
        }
    }
    assert!(ask(&served, &["status"]).contains("\nsegments   16 enforce, 2,048 rules; "));
    {
        let mut status = served.backend.status.lock().unwrap();
        for segment in &mut status.segments {
            segment.side_b.link_up = false;
        }
    }
    let out = ask(&served, &["status"]);
    println!("{out}");
    assert_eq!(out.lines().count(), 10, "{out}");
    assert!(out.starts_with("NOT well: 16 alarms, "), "{out}");
    assert!(out.contains(" more alarms: `loadlock status -o wide` has all\n"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[test]
fn status_is_wide_if_asked_for() {
    let (_folder, served) = served();
    let out = ask(&served, &["status", "-o", "wide"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
all well, 2026-05-04T12:03:11+00:00 (Loadlock 0.1.0)
control    attached, up 3 d 4 h, policy version 37, generation 41
learning   1,204 keys with evidence from 88,412,907 events
dataplane  running, pid 4711, 1 start, heard 12 ms ago, exchange 256 MiB
memory     7 MiB for each compiled policy, of up to 100,000 rules

SEGMENT  MODE     RULES  PORT      LINK            RECEIVED      FORWARDED  DROPPED  WOULD DENY
fab      enforce    128  a: fab-a  10 Gbit/s  1,234,567,890  1,234,567,323      567           0
                         b: fab-b  10 Gbit/s    987,654,321    987,653,087    1,234           0

WORKER  CORE  FLOWS   ROOM FOR   TABLES      EVENTS  REFUSED  LATENCY P50      P99    P99.9     MAX
     0     2  1,242  1,310,720  136 MiB  88,412,907        0      1.84 µs  5.12 µs  11.3 µs  184 µs
"
    );
}

#[test]
fn status_shows_trouble_first_and_fails_only_if_asked_to() {
    let (_folder, served) = served();
    {
        let mut status = served.backend.status.lock().unwrap();
        status.segments[0].side_b.link_up = false;
        status.workers[0].events_refused = 1_204;
        status.control.last_error = Some("\u{1b}[2Jstore: disk full".to_owned());
    }
    let out = ask(&served, &["status"]);
    println!("{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("NOT well: 3 alarms, "), "{out}");
    assert!(lines[1].starts_with("! segment fab, port fab-b: the link is down"), "{out}");
    assert!(
        out.contains("control: \\u{1b}[2Jstore: disk full") && !out.contains('\u{1b}'),
        "{out}"
    );
    assert!(out.contains("ring refused 1,204 events"), "{out}");
    let (code, ..) =
        outcome(program(&["status", "--fail-on-alarm", "--socket"]).arg(&served.socket));
    assert_eq!(code, 1);
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
fn bindings_are_listed_with_how_they_are_held() {
    let (_folder, served) = served();
    let out = ask(&served, &["bindings", "list"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
SEGMENT  VLAN      SIDE  ADDRESS    STATION            HELD    REASON
fab      untagged  a     10.0.1.11  02:00:00:00:00:01  mac-ip  learned
fab      untagged  b     10.9.0.1   any                ip      learned; behind a router
fab      untagged  a     –          02:00:00:00:00:01  mac-ip  learned
3 bindings
"
    );
}

#[test]
fn a_binding_is_renewed_in_one_line() {
    let (_folder, served) = served();
    let renew = ["bindings", "renew", "fab", "10.0.1.11", "02:00:00:00:00:99", "--side", "a"];
    let out = ask(&served, &renew);
    assert_eq!(
        out,
        "segment fab: 10.0.1.11 is 02:00:00:00:00:99 on side a (before: 10.0.1.11 is 02:00:00:00:00:01 on side a), policy \
         version 38, in force as generation 42\n"
    );
    let (code, _, err) = outcome(
        program(&["bindings", "renew", "fba", "10.0.1.11", "any", "--socket"]).arg(&served.socket),
    );
    assert_ne!(code, 0);
    assert!(err.contains("there is no segment \"fba\""), "{err}");
    let (code, ..) = run(&["bindings", "renew", "fab", "10.0.1.300", "any"]);
    assert_eq!(code, 2, "not an address");
}

#[test]
fn rules_are_listed_in_words() {
    let (_folder, served) = served();
    let out = ask(&served, &["rules", "list"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
RULE  SEGMENT  PERMITS                                                              REASON
   1  fab      10.0.1.11 (side A) → 10.0.2.5 tcp/5000, opened by the client         learned: 14 conversations
   2  fab      10.0.1.12 (side A) → 10.0.2.5 tcp/5000, opened by the client         learned: 9 conversations
 812  fab      10.0.1.0/24 (side A) → 10.0.2.53 udp/53, opened by the client        DNS for all tools, ticket 4711
 813  fab      fd00:10::11 (side A) → fd00:20::5 icmpv6/echo, opened by the client  learned: 2 conversations
4 rules
"
    );
}

#[test]
fn flows_are_listed_newest_first_with_both_directions() {
    let (_folder, served) = served();
    let out = ask(&served, &["flows", "--limit", "2"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
SEGMENT  CLIENT → SERVER                      VERDICT     RULE     PACKETS → ←          BYTES → ←  STARTED
fab      10.0.1.13:50112 → 10.0.2.9 tcp/445   would-deny     -   1,208 / 1,180  88.8 kB / 1.20 MB  2026-05-04T12:03:07+00:00
fab      10.0.1.11:49152 → 10.0.2.5 tcp/5000  allow          1  87,604 / 1,180  8.73 MB / 1.20 MB  2026-05-03T12:03:11+00:00
the newest 2 of 3 conversations; --limit shows up to 100,000, --address those of one device
"
    );
    let out = ask(&served, &["flows", "--address", "fd00:10::11"]);
    assert!(out.ends_with("\n1 conversation\n"), "{out}");
    assert_eq!(ask(&served, &["flows", "--address", "10.9.9.9"]), "no live conversations\n");
}

#[test]
fn drops_are_summed() {
    let (_folder, served) = served();
    let out = ask(&served, &["drops"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
SEGMENT  PORT   DROPPED  WOULD DENY  REASON           MEANING
fab      fab-a      560          12  no_rule          no rule permits this conversation
fab      fab-a        7           0  ipv4_length      IPv4 total length and frame contradict each other
fab      fab-b    1,234           0  wrong_direction  a rule permits the conversation, but not that this side opens it
all               1,801          12
"
    );
}

#[test]
fn devices_are_listed_shown_and_written() {
    let (folder, served) = served();
    let out = ask(&served, &["device", "list"]);
    println!("{out}");
    assert_eq!(
        out,
        "\
DEVICE   ADDRESS   SEGMENT  ROLE    ZONE  MODE        VENDOR  MODEL
etch-07  10.0.1.7  fab      etcher  –     quarantine  –       K\\u{1b}[2J
1 device
"
    );
    assert!(ask(&served, &["device", "show", "etch-07"]).contains("mode            quarantine\n"));
    let csv = ask(&served, &["device", "export"]);
    assert!(csv.lines().nth(1).unwrap().starts_with("etch-07,10.0.1.7,fab,a,"), "{csv}");
    let json = ask(&served, &["device", "export", "--format", "json"]);
    let file = write(folder.path(), "devices.json", &json);
    let file = file.to_str().unwrap();
    let (code, _, err) = run(&["device", "import", file, "--check"]);
    assert!(code == 3 && err.contains("devices.json:2: `model` is"), "{err}");
    let good = write(folder.path(), "good.csv", "name,address\netch-09,10.0.1.9\n");
    let good = good.to_str().unwrap();
    assert_eq!(run(&["device", "import", good, "--check"]).1, "no mistakes: 1 device\n");
    ask(&served, &["device", "import", good, "--reason", "r"]);
    assert!(asked(&served).contains("name: \"etch-09\", create: true"), "{}", asked(&served));
    assert_eq!(run(&["device", "import", good]).0, 2, "a reason must be given");
    let (code, _, err) = run(&["device", "set", "etch-07", "--mode", "isolate", "--reason", "r"]);
    assert!(code == 2 && err.contains("\"quarantine\", or inherit"), "{err}");
    assert_eq!(run(&["device", "set", "etch-07", "--reason", "r"]).0, 2, "nothing to change");
}

#[test]
fn observe_shows_the_latest_events() {
    let (_folder, served) = served();
    for number in 0..30 {
        served.backend.send(event(number, EventKind::ALL[number as usize % 3]));
    }
    let client = served.client();
    while client.recent_events(&EventFilter::default(), 1).unwrap().total < 30 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let id = event(29, EventKind::Denied).denial_id().unwrap();
    assert_eq!(
        ask(&served, &["observe", "--kind", "denied,ended", "--count", "2"]),
        format!(
            "\
2026-05-04T12:03:11.028+00:00  ended    fab  10.0.1.66:40028 → 10.0.2.5 tcp/445
2026-05-04T12:03:11.029+00:00  denied   fab  10.0.1.66:40029 → 10.0.2.5 tcp/445  [{id}]
"
        )
    );
    let lines = |filter: &[&str]| {
        ask(&served, &[&["observe", "--count", "100"], filter].concat()).lines().count()
    };
    assert_eq!(lines(&["--verdict", "deny", "--reason", "no_rule,not_opened"]), 10);
    assert_eq!(lines(&["--service", "tcp/445", "--device", "10.0.1.66"]), 30);
    assert_eq!((lines(&["--service", "tcp/80"]), lines(&["--device", "etch-07"])), (0, 0));
    assert_eq!(lines(&["--segment", "ward"]), 0);
    let (code, _, err) = run(&["observe", "--reason", "because"]);
    assert!(code == 2 && err.contains("no_rule, not_opened"), "{err}");
    let out = ask(&served, &["explain", "drop", &format!("[{id}]")]);
    println!("{out}");
    assert!(out.contains("deny: no rule permits this conversation\n  reported: 10 times"), "{out}");
    assert!(out.contains("who else: nobody") && out.contains("near: rule 812"), "{out}");
    let (code, _, err) =
        outcome(program(&["explain", "drop", "00000000", "--socket"]).arg(&served.socket));
    assert!(code == 2 && err.contains("isitme"), "{err}");
    let (code, out, err) = outcome(program(&["observe", "--socket"]).arg(&served.socket));
    assert_eq!((code, out.lines().count()), (0, 20));
    assert!(err.starts_with("the latest 20 of 30 events"), "{err}");
    let out = ask(&served, &["observe", "--count", "1", "-o", "json"]);
    assert_eq!(
        StreamItem::from_json(&out).unwrap(),
        StreamItem::Event(Box::new(event(29, EventKind::Denied)))
    );
}

#[test]
fn wide_shows_every_column_and_watch_shows_it_again() {
    let (_folder, served) = served();
    let out = ask(&served, &["rules", "list", "-o", "wide"]);
    println!("{out}");
    assert!(
        out.starts_with("RULE  SEGMENT  PERMITS") && out.contains("  VLAN      MIDSTREAM   OWNER"),
        "{out}"
    );
    assert!(out.contains("  untagged  grace time  "), "{out}");
    assert!(ask(&served, &["flows", "-o", "wide"]).contains("CLIENT ON SIDE  STATE"));
    for (format, first) in [("table", "SEGMENT"), ("json", "[{")] {
        let mut command = program(&["drops", "--watch=1", "-o", format, "--socket"]);
        let mut child = command.arg(&served.socket).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(lines.filter(|line| line.starts_with(first)).take(2).count(), 2);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(run(&["drops", "--watch=0"]).0, 2);
    let nowhere = run(&["drops", "--watch=1", "--socket", "/nowhere"]);
    assert_eq!(nowhere.0, 4, "the first answer must come");
}

fn follow(served: &Served, arguments: &[&str]) -> (Child, Lines<ChildStdout>, Lines<ChildStderr>) {
    let mut command = program(&["observe", "-f"]);
    command.args(arguments).arg("--socket").arg(&served.socket);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap as fn(_) -> _);
    let err =
        BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap as fn(_) -> _);
    (child, out, err)
}

/// Sends an event again and again until `lines` has one: when a follower is there isn't seen from outside.
fn first_line(served: &Served, number: u64, lines: impl Iterator<Item = String> + Send) -> String {
    let mut lines = lines;
    std::thread::scope(|scope| {
        let line = scope.spawn(|| lines.next().unwrap());
        while !line.is_finished() {
            served.backend.send(event(number, EventKind::Started));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        line.join().unwrap()
    })
}

#[test]
fn observe_follows_over_a_restart_of_control_and_tells_the_gap() {
    let (_folder, mut served) = served();
    let (mut child, mut out, mut err) = follow(&served, &[]);
    assert!(first_line(&served, 1, &mut out).ends_with("10.0.1.66:40001 → 10.0.2.5 tcp/445"));
    served.stop();
    let gone = err.next().unwrap();
    assert!(gone.starts_with("control went away (it ended the stream)"), "{gone}");
    let again = Served::start(served.socket.clone());
    assert_eq!(err.next().unwrap(), "control is back");
    again.backend.send(event(9, EventKind::Denied));
    let rest: Vec<String> = out
        .by_ref()
        .skip_while(|line| line.ends_with("tcp/445") && line.contains(":40001"))
        .take(2)
        .collect();
    assert_eq!(rest[0], "  … control was restarted; events meanwhile aren't shown");
    assert!(rest[1].contains("denied   fab  10.0.1.66:40009"), "{rest:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn observe_ends_after_the_events_asked_for() {
    let (_folder, served) = served();
    let (mut child, mut out, _err) = follow(&served, &["--count", "1", "-o", "json"]);
    let line = first_line(&served, 5, &mut out);
    assert!(
        matches!(StreamItem::from_json(&line).unwrap(), StreamItem::Event(event) if event.client_packets == 5)
    );
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(out.next(), None);
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
fn check_reports_all_mistakes_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.toml", CONFIGURATION);
    let (code, out, err) = run(&["check", "--file-only", good.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("no mistakes, this machine wasn't looked at: 1 segment, 2 ports, 1 worker\n")
            && out.contains("\nmemory "),
        "{out}"
    );

    let bad = CONFIGURATION
        .replace("worker_cores = [1]", "worker_cors = [1]")
        .replace("\"fab-b\"\n\n", "\"fab-c\"\n\n");
    let bad = write(folder.path(), "bad.toml", &bad);
    let (code, out, err) = run(&["check", bad.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("worker_cors") && err.contains("mistakes in"), "{err}");

    let (code, out, _) = run(&["check", "--reference"]);
    assert_eq!(code, 0);
    assert!(out.contains("worker_cores = "), "{out}");
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

#[test]
fn generate_writes_what_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/scenarios/demo.toml");
    let (out, labels, sides) =
        (folder.path().join("x.pcap"), folder.path().join("x.jsonl"), folder.path().join("sides"));
    let mut command = program(&["generate", scenario, "--split", "0.5", "--seed", "7"]);
    command.arg("--out").arg(&out).arg("--labels").arg(&labels).arg("--sides").arg(&sides);
    let (code, text, err) = outcome(&mut command);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(text.contains("of them attacks") && out.exists() && labels.exists(), "{text}");
    assert_eq!(std::fs::read_dir(sides).unwrap().count(), 4);
}

#[test]
fn help_of_every_verb_explains_its_arguments() {
    let (code, help, _) = run(&["--help"]);
    assert_eq!(code, 0);
    println!("{help}");
    for verb in ["status", "mode", "rules", "flows", "drops", "observe", "check", "generate"] {
        assert!(help.contains(&format!("  {verb} ")), "{verb}: {help}");
        assert_eq!(run(&[verb, "--help"]).0, 0);
    }
    assert!(help.contains("Exit codes:\n  0  ok"), "{help}");
    assert_eq!(run(&[]).0, 2);
}

#[test]
fn a_support_bundle_has_the_answers_and_no_secrets() {
    let (folder, served) = served();
    let text = format!(
        "{CONFIGURATION}\n[control]\nsocket = {:?}\n# token = \"tok-4711\"\n",
        served.socket
    );
    let config = write(folder.path(), "loadlock.toml", &text);
    let bundle = folder.path().join("bundle.tar.gz");
    let make = || outcome(program(&["support-bundle"]).arg(&bundle).arg("--config").arg(&config));
    let (code, out, err) = make();
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("look through it"), "{out}");
    assert_eq!(make().0, 8, "never written over");
    let unpacked = folder.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").arg("xzf").arg(&bundle).arg("-C").arg(&unpacked).status();
    assert!(tar.unwrap().success());
    let unpacked = unpacked.join("loadlock");
    let mut names: Vec<String> = std::fs::read_dir(&unpacked)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    println!("{names:?}");
    for name in ["status.json", "configuration.toml", "events.json", "machine-proc-meminfo"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    for name in &names {
        let text = std::fs::read_to_string(unpacked.join(name)).unwrap();
        assert!(!text.contains("tok-4711"), "{name}");
    }
    let status = std::fs::read_to_string(unpacked.join("status.json")).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&status).unwrap(), fake::status());
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    for (shell, mark) in
        [("bash", "complete -F"), ("zsh", "#compdef loadlock"), ("fish", "complete -c loadlock")]
    {
        let (code, script, err) = run(&["completions", shell]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(script.contains(mark) && script.contains("isitme"), "{shell}: {script}");
    }
    assert_eq!(run(&["completions", "cmd"]).0, 2);

    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("made/man1");
    let (code, out, err) = run(&["man", "--dir", pages.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains(" pages in "), "{out}");
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("loadlock.1").contains("Exit codes"));
    assert!(
        page("loadlock-status.1").contains("fail\\-on\\-alarm"),
        "{}",
        page("loadlock-status.1")
    );
    assert!(page("loadlock-policy-apply.1").contains("confirm"));
    let file = write(folder.path(), "file", "");
    let (code, _, err) = run(&["man", "--dir", file.join("x").to_str().unwrap()]);
    assert!(code == 8 && err.contains("fix: name a place"), "{err}");
}

/// What the fake was asked last, in the form that Rust prints.
fn asked(served: &Served) -> String {
    let asked = served.backend.asked.lock().unwrap();
    let (request, author) = asked.last().unwrap();
    assert!(!format!("{request:?}").contains("Propose") || !author.is_empty());
    format!("{request:?}")
}

#[test]
fn policy_verbs_ask_for_what_they_say() {
    let (folder, served) = served();
    let file = write(folder.path(), "site.toml", "format = 1\n");
    let file = file.to_str().unwrap();
    for (verb, expected) in [
        ("policy list --limit 3", "List { limit: 3 }"),
        ("policy show 11", "Show(Some(11))"),
        ("policy diff 11 12", "Diff { from: Some(11), to: Some(12), limit: 1000 }"),
        (
            "policy approve 12 --note ok",
            "Step { number: 12, step: Approve, body: StepBody { note: \"ok\", confirm_within_s: None } }",
        ),
        (
            "policy reject 12 --reason no",
            "Step { number: 12, step: Reject, body: StepBody { note: \"no\", confirm_within_s: None } }",
        ),
        (
            "policy apply 12 --confirm-within 10m",
            "Step { number: 12, step: Apply, body: StepBody { note: \"\", confirm_within_s: Some(600) } }",
        ),
        ("policy confirm", "Confirm"),
        ("policy rollback --reason worm", "RollBack(RollBack { to: None, reason: \"worm\" })"),
        (
            "allow a b tcp/1 --for 8h --reason r",
            "Allow(Allow { from: \"a\", to: \"b\", service: \"tcp/1\", segment: None, for_s: 28800, reason: \"r\" })",
        ),
        (
            "island bay-1 on --reason r",
            "Island(\"bay-1\", IslandSwitch { island: true, reason: \"r\" })",
        ),
        ("isitme etch-07", "IsItMe(\"etch-07\")"),
        (
            "device list --role etcher",
            "Devices(DeviceQuery { segment: None, role: Some(\"etcher\"), zone: None, limit: 1000 })",
        ),
        ("device show etch-07", "Device(\"etch-07\")"),
        ("policy shadow status --limit 5", "Shadow(5)"),
        ("policy shadow stop", "StopShadow"),
        (
            "policy shadow start --version 12",
            "StartShadow(Draft { version: Some(12), text: None, place: \"\" })",
        ),
        (
            "device set etch-07 --mode inherit --model K2 --reason r",
            "ChangeDevices(DeviceChanges { devices: [DeviceChange { name: \"etch-07\", create: false, fields: {\"mode\": None, \"model\": Some(\"K2\")} }], reason: \"r\" })",
        ),
        (
            "explain tuple a → b tcp/1 --vlan 10",
            "Tuple(TupleQuery { client: \"a\", server: \"b\", service: \"tcp/1\", segment: None, vlan: Some(\"10\") })",
        ),
    ] {
        let words: Vec<&str> = verb.split(' ').collect();
        ask(&served, &words);
        assert_eq!(asked(&served), expected, "{verb}");
    }
    let out = ask(&served, &["policy", "propose", file, "--reason", "first", "--ticket", "CHG-7"]);
    assert!(asked(&served).contains("text: \"format = 1\\n\""));
    assert_eq!(
        out,
        "from version 11 to version 12\nremoved: permits no more (1)\n  rule 812 on fab: 10.0.1.7 → 10.0.2.1 tcp/5000  [learned]\n\
         policy version 12: proposed; next: loadlock policy approve 12\n"
    );
    let mut assert = program(&["policy", "assert", file, "--socket"]);
    let (code, out, err) = outcome(assert.arg(&served.socket));
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.starts_with("FAILS  no tool reaches a tool on 445\n       etch-07"), "{out}");
    let (code, _, err) = run(&["allow", "a", "b", "tcp/1", "--for", "8", "--reason", "r"]);
    assert!(code == 2 && err.contains("such as 10m"), "{err}");
    let (code, _, err) = run(&["explain", "tuple", "a", "b"]);
    assert!(code == 2 && err.contains("three words"), "{err}");
}
