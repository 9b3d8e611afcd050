//! `status`: the answer first, in ten lines.

use crate::{ask, outcome, program, served};

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
dataplane  running, pid 4711, 1 start, heard 12 ms ago, exchange 256 MiB on huge pages
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
store      775 MiB of 4,096 MiB; flow records since 2026-02-03T12:03:11+00:00, kept for 90 days
dataplane  running, pid 4711, 1 start, heard 12 ms ago, exchange 256 MiB on huge pages
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
fn reload_says_of_each_key_what_it_takes() {
    let (_folder, served) = served();
    let out = ask(&served, &["reload"]);
    println!("{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..3],
        ["/etc/loadlock/loadlock.toml: valid", "changed:", "  control.log: \"info\" -> \"debug\""]
    );
    for words in [
        "restart control (systemctl restart loadlock-control): nothing on the line notices",
        "  api.connections: 64 -> 128",
        "the line is interrupted until it forwards again",
        "  flows.udp_s: 180 -> 60",
        "  segment: fab -> fab, ward",
        "use `loadlock mode`",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(ask(&served, &["reload", "--dry-run"]).contains("would change at once:"));
}
