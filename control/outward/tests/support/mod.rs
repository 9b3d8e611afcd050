//! Receivers of Debian's as children, events to send, waiting without sleeps.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadlock_api::{EventKind, EventLine, Notice, Side, Time, Verdict};
use loadlock_outward::{Figures, Sinks, Source};
use loadlock_settings::{
    EventChoice, IpfixSettings, OutwardSettings, SyslogSettings, Target, Transport,
};
use tokio::sync::broadcast;

/// Long enough on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const ALL: EventChoice = EventChoice { started: true, ended: true, denied: true, alarm: true };

/// Is the program there? Where Debian's packages aren't installed the test is skipped, and says so.
pub fn has(program: &str) -> bool {
    let found = ["/usr/bin", "/usr/sbin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join(program).exists());
    if !found {
        println!("skipped: there is no {program}; scripts/test installs it");
    }
    found
}

/// A port of 127.0.0.1 that nobody has, for TCP and for UDP.
pub fn free_port() -> u16 {
    loop {
        let stream = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stream.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A child that ends with its guard.
pub struct Receiver(pub Child);

impl Receiver {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// SIGTERM, and the end.
    pub fn stop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        self.0.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "after {} s: no {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn target(transport: Transport, port: u16) -> Target {
    Target { transport, host: "127.0.0.1".to_owned(), port }
}

/// Nothing is on.
pub fn off() -> OutwardSettings {
    OutwardSettings {
        metrics: None,
        file: None,
        syslog: SyslogSettings {
            targets: Vec::new(),
            cef: false,
            events: ALL,
            spool_events: 8192,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        },
        ipfix: IpfixSettings {
            targets: Vec::new(),
            domain: 7,
            template_interval: Duration::from_secs(1),
            spool_events: 8192,
        },
    }
}

/// A core without figures.
pub struct Nothing;

impl Source for Nothing {
    fn figures(&self) -> Option<Figures> {
        None
    }
    fn alarms(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

/// Sinks at work, and the way to give them events.
pub struct Running {
    pub sinks: Sinks,
    pub events: broadcast::Sender<Notice>,
}

impl Running {
    pub fn start(settings: &OutwardSettings) -> Self {
        let events = broadcast::Sender::new(16_384);
        let mut sinks = Sinks::new(settings);
        sinks.start(Arc::new(Nothing), events.subscribe()).unwrap();
        Self { sinks, events }
    }

    pub fn send(&self, events: &[EventLine]) {
        for event in events {
            self.events.send(Notice::Event(Arc::new(event.clone()))).unwrap();
        }
    }

    /// Until the only sink has handed over so many.
    pub fn wait_sent(&self, count: u64) {
        wait_until("all sent", || self.sinks.boards().report()[0].sent >= count);
    }
}

pub const NOW_NS: u64 = 1_777_896_191_000_000_000;

/// Conversations of every kind, with what hostile devices call themselves in the sentence.
pub fn events(count: u64) -> Vec<EventLine> {
    (0..count)
        .map(|number| {
            let kind = EventKind::ALL[(number % 3) as usize];
            let is_denied = kind == EventKind::Denied;
            let v6 = number % 5 == 0;
            let (client, server) = match v6 {
                true => (format!("fd00::{number:x}"), "fd00:20::5".to_owned()),
                false => (format!("10.0.1.{}", number % 250 + 1), "10.0.2.5".to_owned()),
            };
            EventLine {
                time: Time::from_ns(NOW_NS + number * 1_000_000),
                kind,
                segment: "fab".to_owned(),
                words: format!(
                    "{client} → {server} tcp/445, name {}",
                    HOSTILE[number as usize % HOSTILE.len()]
                ),
                vlan: if number % 2 == 0 { "untagged" } else { "10.20" }.to_owned(),
                client,
                client_port: Some(40_000 + (number % 20_000) as u16),
                client_side: Side::A,
                server,
                service: ["tcp/445", "udp/53", "tcp/5000"][(number % 3) as usize].to_owned(),
                initiator: Side::A,
                verdict: if is_denied { Verdict::Deny } else { Verdict::Allow },
                reason: is_denied.then(|| "no_rule".to_owned()),
                rule: (!is_denied).then_some(7),
                started: (kind == EventKind::Ended).then(|| Time::from_ns(NOW_NS - 5_000_000_000)),
                midstream: false,
                client_packets: number + 1,
                client_bytes: 100 * (number + 1),
                server_packets: number,
                server_bytes: 200 * number,
            }
        })
        .collect()
}

/// What a device may call itself to DHCP or DNS.
pub const HOSTILE: [&str; 10] = [
    "etch-07",
    "\r\n<134>1 2026-01-01T00:00:00Z fab loadlock - - - all is well",
    "a|b=c\\d",
    "x\"] [forged@1 y=\"",
    "\u{1b}[2J\u{1b}[31m",
    "\u{feff}bom",
    "\u{202e}rtl\u{2066}",
    "\u{9b}1m\u{7f}\0",
    "=HYPERLINK(\"http://x\")",
    "a\u{fffd}b",
];
