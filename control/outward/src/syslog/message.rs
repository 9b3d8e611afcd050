//! One item as a message of RFC 5424.

use std::fmt::Write;

use loadlock_api::{EventKind, EventLine, Time, Verdict};

use crate::escape::{self, cef, structured};
use crate::item::{AlarmState, Item};

/// Facility `local0`: the ones below it are an operating system's.
const FACILITY: u8 = 16;
/// Enterprise number of the structured data's name. It is the one kept for examples (RFC 5612), until Loadlock has one of its own.
const ENTERPRISE: u32 = 32473;
/// A parser finds the text's encoding by it (RFC 5424, section 6.4).
const BOM: char = '\u{feff}';

/// RFC 5424, section 6.2.1.
#[derive(Clone, Copy)]
enum Severity {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Informational = 6,
}

/// Writes messages of this process.
pub(super) struct Writer {
    is_cef: bool,
    /// ` HOST loadlock PID `.
    origin: String,
}

impl Writer {
    pub fn new(is_cef: bool) -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let is_sound = |name: &str| {
            (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let name = Some(name.trim()).filter(|name| is_sound(name)).unwrap_or("-");
        Self { is_cef, origin: format!(" {name} loadlock {} ", std::process::id()) }
    }

    /// Below 8 KiB, which is what receivers take unless told otherwise.
    pub fn message(&self, item: &Item) -> String {
        let priority = FACILITY * 8 + severity(item) as u8;
        let mut text =
            format!("<{priority}>1 {}{}{} ", stamp(item.time()), self.origin, item.kind());
        match self.is_cef {
            true => {
                text.push_str("- ");
                text.push(BOM);
                write_cef(&mut text, item);
            }
            false => {
                write_structured(&mut text, item);
                text.push(' ');
                text.push(BOM);
                text.push_str(&escape::sentence(&words(item)));
            }
        }
        text
    }
}

/// RFC 5424 allows six digits of a second.
fn stamp(time: Time) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..26).unwrap_or_default())
}

fn severity(item: &Item) -> Severity {
    match item {
        Item::Event(event) => match (event.kind, event.verdict) {
            (EventKind::Denied, Verdict::Deny) => Severity::Warning,
            (EventKind::Denied, _) => Severity::Notice,
            _ => Severity::Informational,
        },
        Item::Alarm(alarm) if alarm.state == AlarmState::Raised => Severity::Error,
        Item::Alarm(_) => Severity::Notice,
        Item::Lost { .. } => Severity::Error,
    }
}

fn words(item: &Item) -> String {
    match item {
        Item::Event(event) => event.words.clone(),
        Item::Alarm(alarm) => format!("{}: {}", alarm.state.name(), alarm.words),
        Item::Lost { count, .. } => format!("{count} events are missing here"),
    }
}

fn write_structured(text: &mut String, item: &Item) {
    let _ = write!(text, "[loadlock@{ENTERPRISE}");
    let mut add = |name: &str, value: &str| {
        let _ = write!(text, " {name}=\"{}\"", structured::value(value));
    };
    match item {
        Item::Event(event) => fields(event).iter().for_each(|(name, value)| add(name, value)),
        Item::Alarm(alarm) => add("state", alarm.state.name()),
        Item::Lost { count, .. } => add("count", &count.to_string()),
    }
    text.push(']');
}

/// An event's fields under the API's names; those without a value are left out.
fn fields(event: &EventLine) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("segment", event.segment.clone()),
        ("verdict", event.verdict.name().to_owned()),
        ("vlan", event.vlan.clone()),
        ("client", event.client.clone()),
        ("client_side", event.client_side.name().to_owned()),
        ("server", event.server.clone()),
        ("service", event.service.clone()),
        ("client_packets", event.client_packets.to_string()),
        ("client_bytes", event.client_bytes.to_string()),
        ("server_packets", event.server_packets.to_string()),
        ("server_bytes", event.server_bytes.to_string()),
    ];
    let optional = [
        ("client_port", event.client_port.map(|port| port.to_string())),
        ("reason", event.reason.clone()),
        ("rule", event.rule.map(|rule| rule.to_string())),
        ("started", event.started.map(|time| time.to_string())),
    ];
    fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
    fields
}

/// `CEF:Version|Vendor|Product|Version|Event class|Name|Severity|Extension`.
fn write_cef(text: &mut String, item: &Item) {
    let (name, severity) = match item {
        Item::Event(event) => match (event.kind, event.verdict) {
            (EventKind::Denied, Verdict::Deny) => ("conversation denied", 7),
            (EventKind::Denied, _) => ("conversation would be denied", 5),
            (EventKind::Started, _) => ("conversation started", 1),
            (EventKind::Ended, _) => ("conversation ended", 1),
        },
        Item::Alarm(alarm) if alarm.state == AlarmState::Raised => ("alarm raised", 8),
        Item::Alarm(_) => ("alarm cleared", 2),
        Item::Lost { .. } => ("events lost", 8),
    };
    let class = match item {
        Item::Event(event) => event.reason.as_deref().unwrap_or(item.kind()),
        _ => item.kind(),
    };
    let _ = write!(
        text,
        "CEF:0|Loadlock|Loadlock|{}|{}|{name}|{severity}|rt={}",
        env!("CARGO_PKG_VERSION"),
        cef::header(class),
        item.time().ns() / 1_000_000
    );
    let mut add = |key: &str, value: &str| {
        let _ = write!(text, " {key}={}", cef::value(value));
    };
    match item {
        Item::Event(event) => {
            extension(event).iter().for_each(|(key, value)| add(key, value));
        }
        Item::Alarm(alarm) => add("act", alarm.state.name()),
        Item::Lost { count, .. } => add("cnt", &count.to_string()),
    }
    let _ = write!(text, " msg={}", cef::words(&words(item)));
}

/// The keys of CEF's dictionary; what it has no key for goes into the custom ones, with their labels.
fn extension(event: &EventLine) -> Vec<(&'static str, String)> {
    let is_v6 = |address: &str| address.parse::<std::net::Ipv6Addr>().is_ok();
    let is_v4 = |address: &str| address.parse::<std::net::Ipv4Addr>().is_ok();
    let mut keys = vec![
        ("act", event.verdict.name().to_owned()),
        ("app", event.service.clone()),
        ("out", event.client_bytes.to_string()),
        ("in", event.server_bytes.to_string()),
        ("cn1", event.client_packets.to_string()),
        ("cn1Label", "client packets".to_owned()),
        ("cn2", event.server_packets.to_string()),
        ("cn2Label", "server packets".to_owned()),
        ("cs1", event.segment.clone()),
        ("cs1Label", "segment".to_owned()),
        ("cs2", event.vlan.clone()),
        ("cs2Label", "vlan".to_owned()),
    ];
    let mut end =
        |address: &str, v4: &'static str, v6: (&'static str, &'static str, &'static str), mac| {
            match address {
                _ if is_v4(address) => keys.push((v4, address.to_owned())),
                _ if is_v6(address) => {
                    keys.push((v6.0, address.to_owned()));
                    keys.push((v6.1, v6.2.to_owned()));
                }
                _ => keys.push((mac, address.to_owned())),
            }
        };
    end(&event.client, "src", ("c6a2", "c6a2Label", "client"), "smac");
    end(&event.server, "dst", ("c6a3", "c6a3Label", "server"), "dmac");
    let server_port = event.service.split_once('/').and_then(|(protocol, port)| {
        matches!(protocol, "tcp" | "udp").then(|| (protocol.to_owned(), port.to_owned()))
    });
    if let Some((protocol, port)) = server_port {
        keys.push(("proto", protocol.to_uppercase()));
        keys.push(("dpt", port));
    }
    keys.extend(event.client_port.map(|port| ("spt", port.to_string())));
    keys.extend(event.reason.clone().map(|reason| ("reason", reason)));
    if let Some(rule) = event.rule {
        keys.push(("cn3", rule.to_string()));
        keys.push(("cn3Label", "rule".to_owned()));
    }
    keys.extend(event.started.map(|time| ("start", (time.ns() / 1_000_000).to_string())));
    keys
}
