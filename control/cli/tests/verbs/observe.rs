//! `observe`: what is kept, and what comes.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use loadlock_api::*;

use crate::fake::{Served, event};
use crate::{ask, outcome, program, run, served};

type Lines<Pipe> =
    std::iter::Map<std::io::Lines<BufReader<Pipe>>, fn(std::io::Result<String>) -> String>;

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
