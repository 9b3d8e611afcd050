//! What lists something: its columns, and how often.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::{ask, outcome, program, run, served};

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
