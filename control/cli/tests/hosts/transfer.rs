//! One long iperf3 transfer between two hosts.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Host, Running};

/// A bounded rate: the hosts share a core with control.
const RATE: &str = "50M";

/// A transfer under way, on iperf3's own port 5201.
pub struct Transfer {
    client: Running,
    _server: Running,
    started: Instant,
    lasts: Duration,
}

impl Transfer {
    /// Starts it.
    pub fn start(client: &Host, server: &Host, lasts: Duration) -> Self {
        let mut listening = server.command("iperf3");
        listening.args(["--server", "--one-off", "--forceflush"]);
        let mut listening = Running(listening.stdout(Stdio::piped()).spawn().unwrap());
        wait_until_it_listens(&mut listening);
        let mut sending = client.command("iperf3");
        sending.args(["--client", &IpAddr::V4(server.ipv4).to_string(), "--bitrate", RATE]);
        sending.args(["--time", &lasts.as_secs().to_string(), "--json"]);
        let started = Instant::now();
        let client = Running(sending.stdout(Stdio::piped()).spawn().unwrap());
        Self { client, _server: listening, started, lasts }
    }

    /// How long it still lasts.
    pub fn left(&self) -> Duration {
        self.lasts.saturating_sub(self.started.elapsed())
    }

    /// Waits for its end; bytes that arrived, and bytes sent in each second.
    ///
    /// # Panics
    /// It was cut.
    pub fn end(mut self) -> (u64, Vec<u64>) {
        let (code, text) = self.client.end();
        assert_eq!(code, Some(0), "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let arrived = report["end"]["sum_received"]["bytes"].as_u64().unwrap();
        let seconds = report["intervals"].as_array().unwrap().iter();
        (arrived, seconds.map(|second| second["sum"]["bytes"].as_u64().unwrap()).collect())
    }
}

fn wait_until_it_listens(server: &mut Running) {
    use std::io::{BufRead, BufReader};
    let output = server.0.stdout.as_mut().unwrap();
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("listening")), "iperf3 --server ended");
}
