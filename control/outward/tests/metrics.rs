//! Debian's promtool reads the metrics, and dashboard and alert rules use nothing else.

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadlock_api::SinkStatus;
use loadlock_outward::{
    Figures, Format, Sinks, Source, example_figures, metric_names, write_metrics,
};
use support::{free_port, has, off, wait_until};

fn config(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/outward").join(name)
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    if !has("promtool") {
        return;
    }
    let sink = SinkStatus { name: "syslog-1".to_owned(), ..SinkStatus::default() };
    let text = write_metrics(&example_figures(), &[sink], Format::Prometheus);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    if !has("promtool") {
        return;
    }
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let output =
            Command::new("promtool").args(arguments).current_dir(config("")).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn rules_and_dashboard_use_metrics_that_exist() {
    let known: BTreeSet<String> = metric_names().into_iter().collect();
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = std::fs::read_to_string(config(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let used: BTreeSet<&str> = words.filter(|word| word.starts_with("loadlock_")).collect();
        assert!(used.len() > 10, "{file}: {used:?}");
        for name in used {
            assert!(known.contains(name), "{file}: there is no metric {name}");
        }
    }
    let dashboard = std::fs::read_to_string(config("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

/// A core that answers, or doesn't.
struct Core(bool);

impl Source for Core {
    fn figures(&self) -> Option<Figures> {
        self.0.then(example_figures)
    }
    fn alarms(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

/// Status line and headers, and the body.
fn ask(port: u16, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{request}\r\nHost: loadlock\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn the_endpoint_answers_in_both_formats_and_says_when_the_core_is_silent() {
    for is_answering in [true, false] {
        let mut settings = off();
        let port = free_port();
        settings.metrics = Some(([127, 0, 0, 1], port).into());
        let mut sinks = Sinks::new(&settings);
        let (events, outgoing) = tokio::sync::broadcast::channel(16);
        sinks.start(std::sync::Arc::new(Core(is_answering)), outgoing).unwrap();
        wait_until("it listens", || sinks.boards().report()[0].connected_since.is_some());
        let (head, body) = ask(port, "GET /metrics HTTP/1.1");
        if is_answering {
            assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("version=0.0.4"), "{head}");
            assert!(body.contains("\nloadlock_sink_connected{sink=\"metrics\"} 1\n"), "{body}");
            let (head, body) =
                ask(port, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text");
            assert!(head.contains("application/openmetrics-text"), "{head}");
            assert!(body.ends_with("# EOF\n"), "{body}");
            assert_eq!(sinks.boards().report()[0].sent, 2);
        } else {
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            assert_eq!(sinks.boards().report()[0].lost, 1);
        }
        assert!(ask(port, "GET / HTTP/1.1").0.starts_with("HTTP/1.1 404 "));
        assert!(ask(port, "POST /metrics HTTP/1.1").0.starts_with("HTTP/1.1 405 "));
        sinks.finish();
        drop(events);
    }
}
