//! Debian's nfcapd receives what is sent by UDP, record by record; by TCP a reader of the test's own does.

mod support;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use loadlock_api::{EventKind, EventLine, Time};
use loadlock_settings::Transport;
use support::{PATIENCE, Receiver, Running, events, free_port, has, off, target, wait_until};

/// Frame bytes without what octetDeltaCount leaves out.
fn octets(event: &EventLine, bytes: u64, packets: u64) -> u64 {
    let tags = event.vlan.split('.').filter(|tag| tag.parse::<u16>().is_ok()).count() as u64;
    bytes - packets * (14 + 4 * tags)
}

/// As nfdump writes it, with milliseconds.
fn stamp(time: Time) -> String {
    time.to_string()[..23].replace('T', " ")
}

#[test]
fn nfcapd_has_every_record() {
    if !has("nfcapd") || !has("nfdump") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut collector = Command::new("nfcapd");
    let port_text = port.to_string();
    collector.args(["-b", "127.0.0.1", "-p", &port_text, "-t", "3600", "-w"]).arg(folder.path());
    collector.stdout(Stdio::null()).stderr(Stdio::null());
    let mut collector = Receiver::start(&mut collector);
    let bound = format!(":{port:04X} ");
    wait_until("nfcapd listens", || fs::read_to_string("/proc/net/udp").unwrap().contains(&bound));

    let mut settings = off();
    settings.ipfix.targets = vec![target(Transport::Udp, port)];
    let running = Running::start(&settings);
    let sent = events(300);
    running.send(&sent);
    let recorded: Vec<_> =
        sent.iter().filter(|event| event.kind != EventKind::Started).cloned().collect();
    running.wait_sent(recorded.len() as u64);
    running.sinks.finish();
    // It has read its socket empty before it ends.
    std::thread::sleep(std::time::Duration::from_millis(500));
    collector.stop();

    let output = Command::new("nfdump")
        .arg("-R")
        .arg(folder.path())
        .args(["-6", "-q", "-N", "-o", "fmt:%ts;%te;%sa;%sp;%da;%dp;%pr;%ipkt;%ibyt;%opkt;%obyt"])
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<Vec<String>> = text
        .lines()
        .filter(|line| line.contains(';'))
        .map(|line| line.split(';').map(|field| field.trim().to_owned()).collect())
        .collect();
    let mut expected: Vec<Vec<String>> = recorded
        .iter()
        .map(|event| {
            let (protocol, port) = event.service.split_once('/').unwrap();
            vec![
                stamp(event.started.unwrap_or(event.time)),
                stamp(event.time),
                event.client.clone(),
                event.client_port.unwrap().to_string(),
                event.server.clone(),
                port.to_owned(),
                if protocol == "tcp" { "6" } else { "17" }.to_owned(),
                event.client_packets.to_string(),
                octets(event, event.client_bytes, event.client_packets).to_string(),
                event.server_packets.to_string(),
                octets(event, event.server_bytes, event.server_packets).to_string(),
            ]
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(
        found.len(),
        expected.len(),
        "{}",
        text.lines().take(5).collect::<Vec<_>>().join("\n")
    );
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_stream_begins_with_templates_and_counts_its_records() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = off();
    settings.ipfix.targets = vec![target(Transport::Tcp, listener.local_addr().unwrap().port())];
    let running = Running::start(&settings);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = events(100);
    let recorded = sent.iter().filter(|event| event.kind != EventKind::Started).count() as u32;
    running.send(&sent);
    let (mut records, mut is_first) = (0u32, true);
    while records < recorded {
        let mut header = [0; 20];
        stream.read_exact(&mut header).unwrap();
        let short = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        assert_eq!(short(0), 10, "version");
        assert_eq!(header[8..12], records.to_be_bytes(), "records sent before");
        assert_eq!(header[12..16], 7u32.to_be_bytes(), "observation domain");
        let (id, length) = (short(16), usize::from(short(18)));
        assert_eq!(usize::from(short(2)), 16 + length, "one set a message");
        let mut body = vec![0; length - 4];
        stream.read_exact(&mut body).unwrap();
        assert_eq!(id == 2, is_first, "templates come first, and once");
        is_first = false;
        let record_bytes = match id {
            2 => continue,
            256 => 72,
            257 => 96,
            other => panic!("set {other}"),
        };
        assert_eq!(body.len() % record_bytes, 0, "set {id} of {} bytes", body.len());
        records += u32::try_from(body.len() / record_bytes).unwrap();
    }
    running.sinks.finish();
}
