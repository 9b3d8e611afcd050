//! Mistakes in `[outward.*]`; the good file has 12 lines before `more`.

use loadlock_settings::{Problem, Settings, Transport};

use crate::file::{File, GOOD, assert_at, kind};

#[track_caller]
fn parse(more: &'static str) -> Settings {
    File { more, ..GOOD }.parse().unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn what_is_configured_is_read() {
    let settings = parse(
        "[outward.metrics]\nlisten = \"[::1]:9464\"\n\
         [outward.file]\npath = \"events.jsonl\"\nmax_mib = 2\nevents = [\"alarm\"]\n\
         [outward.syslog]\ntargets = [\"udp://10.0.0.5:514\", \"tls://siem.fab:6514\"]\nca_file = \"ca.pem\"\nformat = \"cef\"\n\
         [outward.ipfix]\ntargets = [\"tcp://[fd00::1]:4739\"]\n",
    );
    let outward = settings.outward;
    assert_eq!(outward.metrics, Some("[::1]:9464".parse().unwrap()));
    let file = outward.file.unwrap();
    assert_eq!(file.path.unwrap().to_str(), Some("/etc/loadlock/events.jsonl"));
    assert_eq!((file.bytes_max, file.files_kept), (2 << 20, 8));
    assert!(file.events.alarm && !file.events.denied);
    assert!(outward.syslog.cef && outward.syslog.events.denied && !outward.syslog.events.started);
    let transports = outward.syslog.targets.iter().map(|target| target.transport);
    assert!(transports.eq([Transport::Udp, Transport::Tls]));
    assert_eq!(outward.syslog.ca_file.unwrap().to_str(), Some("/etc/loadlock/ca.pem"));
    assert_eq!(outward.ipfix.targets[0].to_string(), "tcp://[fd00::1]:4739");
}

#[test]
fn a_dash_is_standard_output() {
    let file = parse("[outward.file]\npath = \"-\"").outward.file.unwrap();
    assert_eq!(file.path, None);
}

#[test]
fn listening_address() {
    for listen in ["localhost:9464", "127.0.0.1", "127.0.0.1:0", ":9464"] {
        let more: &'static str = format!("[outward.metrics]\nlisten = \"{listen}\"").leak();
        let found = File { more, ..GOOD }.mistake(kind!(NotAllowed));
        assert_at(&found, 14, "outward.metrics.listen", &[listen, "not at all"]);
    }
}

#[test]
fn targets() {
    let file = File { more: "[outward.ipfix]\ntargets = [\"udp://a:1\", \"tls://b:2\"]", ..GOOD };
    let found = file.mistake(kind!(NotAllowed));
    assert_at(&found, 14, "outward.ipfix.targets[1]", &["tls://b:2", "udp://HOST:PORT"]);
    let twice = "[outward.ipfix]\ntargets = [\"udp://a:1\", \"udp://a:1\"]";
    let found = File { more: twice, ..GOOD }.mistake(kind!(NotAllowed));
    assert_at(&found, 14, "outward.ipfix.targets[1]", &["none twice"]);
    let many = "[outward.ipfix]\ntargets = [\"udp://a:1\", \"udp://a:2\", \"udp://a:3\", \"udp://a:4\", \"udp://a:5\"]";
    let found = File { more: many, ..GOOD }.mistake(kind!(EntryCount));
    assert_at(&found, 14, "outward.ipfix.targets", &["5 entries", "0 to 4"]);
    let file = File { more: "[outward.syslog]\ntargets = \"udp://a:1\"", ..GOOD };
    let found = file.mistake(kind!(WrongType));
    assert_at(&found, 14, "outward.syslog.targets", &["a text", "a list of texts"]);
}

#[test]
fn tls_without_an_authority() {
    let file = File { more: "[outward.syslog]\ntargets = [\"tls://a:6514\"]", ..GOOD };
    let found = file.mistake(kind!(Missing));
    assert_at(&found, 13, "outward.syslog.ca_file", &["PEM file", "ca_file = \""]);
}

#[test]
fn a_certificate_without_its_key() {
    let file = File { more: "[outward.syslog]\ncertificate_file = \"a.pem\"", ..GOOD };
    let found = file.mistake(kind!(Missing));
    assert_at(&found, 13, "outward.syslog.key_file", &["the key of certificate_file"]);
}

#[test]
fn unknown_tables_of_the_group() {
    let found = File { more: "[outward.sylog]\nx = 1", ..GOOD }.mistake(kind!(Unknown));
    assert_at(&found, 13, "outward.sylog", &["\"outward.syslog\""]);
    let found = File { more: "[outward]\nlisten = \"\"", ..GOOD }.mistake(kind!(Unknown));
    assert_at(&found, 14, "outward.listen", &["outward.metrics"]);
    let file = File { more: "[[outward]]\nlisten = \"\"", ..GOOD };
    let found = file.mistake(kind!(TableShape));
    assert_at(&found, 13, "outward.metrics", &["[outward.metrics]"]);
}
