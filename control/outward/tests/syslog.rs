//! Debian's rsyslog receives what is sent, event by event.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loadlock_api::EventLine;
use loadlock_outward::escape::{cef, sentence, structured};
use loadlock_settings::{OutwardSettings, Transport};
use support::{Receiver, Running, events, free_port, has, off, target, wait_until};

/// rsyslog with its own configuration, files and ports.
struct Rsyslog {
    folder: tempfile::TempDir,
    port: u16,
    daemon: Option<Receiver>,
}

/// Facility and severity, MSGID, structured data and message of each event, with a line of four for each.
const OUTPUT: &str = r#"
template(name="fields" type="string" string="%pri% %app-name% %msgid%\n%hostname% %timereported:::date-rfc3339%\n%structured-data%\n%msg%\n")
ruleset(name="all") { action(type="omfile" file="FOLDER/received" template="fields") }
"#;

impl Rsyslog {
    fn new(input: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let text =
            format!("global(workDirectory=\"FOLDER\" maxMessageSize=\"8k\")\n{OUTPUT}{input}");
        let text = text
            .replace("FOLDER", folder.path().to_str().unwrap())
            .replace("PORT", &port.to_string());
        fs::write(folder.path().join("rsyslog.conf"), text).unwrap();
        let mut rsyslog = Self { folder, port, daemon: None };
        rsyslog.start();
        rsyslog
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&mut self) {
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.arg("-n").arg("-f").arg(self.path("rsyslog.conf")).arg("-i").arg(self.path("pid"));
        self.daemon = Some(Receiver::start(command.stdout(Stdio::null())));
        let port = format!(":{:04X} ", self.port);
        let is_bound =
            |table: &str| fs::read_to_string(table).is_ok_and(|text| text.contains(&port));
        wait_until("rsyslog listens", || is_bound("/proc/net/udp") || is_bound("/proc/net/tcp"));
    }

    fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    /// Groups of four lines; what is being written yet isn't there.
    fn received(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.path("received")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
        lines.chunks_exact(4).map(<[String]>::to_vec).collect()
    }
}

const UDP: &str = "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"PORT\" ruleset=\"all\")\n";
const TCP: &str = "module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"PORT\" ruleset=\"all\")\n";

fn settings(transport: Transport, port: u16) -> OutwardSettings {
    let mut settings = off();
    settings.syslog.targets = vec![target(transport, port)];
    settings
}

/// What was sent is what was received: each once, in order, whole.
fn compare(received: &[Vec<String>], sent: &[EventLine], is_cef: bool) {
    assert_eq!(received.len(), sent.len());
    for (found, event) in received.iter().zip(sent) {
        let [head, _, data, message] = found.as_slice() else { panic!("{found:?}") };
        let severity = if event.reason.is_some() { 4 } else { 6 };
        assert_eq!(*head, format!("{} loadlock {}", 16 * 8 + severity, event.kind));
        if is_cef {
            assert_eq!(data, "-");
            let words = format!(" msg={}", cef::words(&event.words));
            assert!(message.contains("CEF:0|Loadlock|Loadlock|"), "{message}");
            assert!(message.ends_with(&words), "{message}\nisn't about\n{words}");
            assert!(
                message.contains(&format!(" spt={} ", event.client_port.unwrap())),
                "{message}"
            );
        } else {
            assert!(data.starts_with("[loadlock@32473 segment=\"fab\" verdict=\""), "{data}");
            for value in [&event.client, &event.server, &event.service, &event.vlan] {
                assert!(data.contains(&format!("=\"{}\"", structured::value(value))), "{data}");
            }
            assert!(
                data.contains(&format!(" client_packets=\"{}\"", event.client_packets)),
                "{data}"
            );
            assert_eq!(message.trim_start_matches('\u{feff}'), sentence(&event.words));
        }
    }
}

fn exchange(transport: Transport, input: &str, is_cef: bool) {
    if !has("rsyslogd") {
        return;
    }
    let rsyslog = Rsyslog::new(input);
    let mut settings = settings(transport, rsyslog.port);
    settings.syslog.cef = is_cef;
    let running = Running::start(&settings);
    let sent = events(300);
    // In steps: a burst of datagrams overruns the receiver's socket, which is UDP's way.
    for (number, step) in sent.chunks(50).enumerate() {
        running.send(step);
        let count = 50 * (number + 1);
        wait_until("messages", || rsyslog.received().len() >= count);
    }
    compare(&rsyslog.received(), &sent, is_cef);
    wait_until("accounts", || running.sinks.boards().report()[0].waiting == 0);
    assert_eq!(running.sinks.boards().report()[0].lost, 0);
    running.sinks.finish();
}

#[test]
fn datagrams_with_structured_data() {
    exchange(Transport::Udp, UDP, false);
}

#[test]
fn a_stream_with_cef() {
    exchange(Transport::Tcp, TCP, true);
}

#[test]
fn a_server_that_is_gone_for_a_while_gets_what_waited() {
    if !has("rsyslogd") {
        return;
    }
    let mut rsyslog = Rsyslog::new(TCP);
    let mut settings = settings(Transport::Tcp, rsyslog.port);
    settings.syslog.spool_events = 64;
    let running = Running::start(&settings);
    let sent = events(400);
    running.send(&sent[..50]);
    wait_until("50 messages", || rsyslog.received().len() >= 50);
    rsyslog.stop();
    wait_until("it is noticed", || running.sinks.boards().report()[0].error.is_some());
    running.send(&sent[50..]);
    // All but what the spool holds; while the feed is at work the figure grows.
    let lost = 400 - 50 - 64;
    wait_until("losses", || running.sinks.boards().report()[0].lost == lost);
    rsyslog.start();
    wait_until("what waited", || running.sinks.boards().report()[0].waiting == 0);
    running.send(&events(1));
    // 400 sent, those lost, a note of how many, and one more.
    let expected = 400 - lost as usize + 2;
    wait_until("all that wasn't lost", || rsyslog.received().len() >= expected);
    let received = rsyslog.received();
    assert_eq!(received.len(), expected);
    let kept = expected - 2;
    compare(&received[..kept], &sent[..kept], false);
    assert_eq!(received[kept][2], format!("[loadlock@32473 count=\"{lost}\"]"));
    running.sinks.finish();
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, a server's and a client's certificate.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!(
            "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ca -addext basicConstraints=critical,CA:TRUE"
        ),
    );
    for (name, host) in [("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:loadlock")] {
        openssl(folder, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        fs::write(folder.join("ext"), format!("subjectAltName={host}\n")).unwrap();
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile ext"
            ),
        );
    }
}

#[test]
fn tls_with_certificates_of_both() {
    if !has("rsyslogd")
        || !has("openssl")
        || !Path::new("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so").exists()
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let at = |name: &str| folder.path().join(name);
    let input = format!(
        "global(defaultNetstreamDriver=\"ossl\" defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
         defaultNetstreamDriverKeyFile=\"{}\")\nmodule(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" \
         streamDriver.authMode=\"x509/certvalid\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"PORT\" ruleset=\"all\")\n",
        at("ca.pem").display(),
        at("server.pem").display(),
        at("server.key").display()
    );
    let rsyslog = Rsyslog::new(&input);
    let mut settings = settings(Transport::Tls, rsyslog.port);
    settings.syslog.targets[0].host = "localhost".to_owned();
    settings.syslog.ca_file = Some(at("ca.pem"));
    settings.syslog.certificate_file = Some(at("client.pem"));
    settings.syslog.key_file = Some(at("client.key"));
    let running = Running::start(&settings);
    let sent = events(300);
    running.send(&sent);
    running.wait_sent(300);
    wait_until("300 messages", || rsyslog.received().len() >= 300);
    compare(&rsyslog.received(), &sent, false);
    running.sinks.finish();

    // Another authority: nothing is sent to a stranger, and the error says why.
    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    settings.syslog.ca_file = Some(other.path().join("ca.pem"));
    let running = Running::start(&settings);
    running.send(&sent[..1]);
    let error = || running.sinks.boards().report()[0].error.clone().unwrap_or_default();
    wait_until("the stranger is refused", || error().starts_with("TLS failed: "));
    assert_eq!(running.sinks.boards().report()[0].sent, 0);
    running.sinks.finish();
    assert_eq!(rsyslog.received().len(), 300);
}
