//! `[outward.*]`.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where figures and events go besides the API. Everything is off unless configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutwardSettings {
    /// Where `GET /metrics` is answered.
    pub metrics: Option<SocketAddr>,
    /// Events as lines of JSON.
    pub file: Option<EventFileSettings>,
    /// Events to syslog servers.
    pub syslog: SyslogSettings,
    /// Records of conversations to collectors.
    pub ipfix: IpfixSettings,
}

/// `[outward.file]`, if it has a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFileSettings {
    /// The file; `None` is standard output.
    pub path: Option<PathBuf>,
    /// Size from which on a new file is begun, 1 to 65,536 MiB.
    pub bytes_max: u64,
    /// Earlier files that are kept, 1 to 100.
    pub files_kept: u32,
    /// What is written.
    pub events: EventChoice,
    /// Events that wait, 16 to 1,000,000.
    pub spool_events: u32,
}

/// `[outward.syslog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    /// The servers, at most 4, none twice.
    pub targets: Vec<Target>,
    /// Messages are CEF; else structured data and a sentence.
    pub cef: bool,
    /// What is sent.
    pub events: EventChoice,
    /// Events that wait for each server, 16 to 1,000,000.
    pub spool_events: u32,
    /// Authorities; given if a target needs TLS.
    pub ca_file: Option<PathBuf>,
    /// Own certificate; given together with its key or not at all.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// `[outward.ipfix]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpfixSettings {
    /// The collectors, at most 4, none twice, none by TLS.
    pub targets: Vec<Target>,
    /// Observation domain.
    pub domain: u32,
    /// Shortest time between two sendings of the templates by UDP.
    pub template_interval: Duration,
    /// Records that wait for each collector, 16 to 1,000,000.
    pub spool_events: u32,
}

/// Which events a sink gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventChoice {
    /// Conversations that begin.
    pub started: bool,
    /// Conversations that end.
    pub ended: bool,
    /// Denied conversations.
    pub denied: bool,
    /// Alarms that come and go.
    pub alarm: bool,
}

/// How a receiver is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream in TLS.
    Tls,
}

impl Transport {
    /// The word before `://`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// A receiver, written `tcp://siem.fab:6514`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// A host name, or an address without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl Target {
    /// Reads `scheme://host:port`. `None` for anything else: no path, no user, a host of letters, digits, `.`, `-` and `_`, or an
    /// IPv6 address in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let transport = transports.into_iter().find(|transport| transport.as_str() == scheme)?;
        let (host, port) = rest.rsplit_once(':')?;
        // `u16::from_str` takes a plus sign.
        let port = port.parse().ok().filter(|found| *found != 0 && port == format!("{found}"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok()?.to_string(),
            None => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                let is_host = !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed);
                is_host.then(|| host.to_owned())?
            }
        };
        Some(Self { transport, host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = (self.transport.as_str(), self.port);
        match self.host.contains(':') {
            true => write!(formatter, "{scheme}://[{}]:{port}", self.host),
            false => write!(formatter, "{scheme}://{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_as_it_is_written() {
        for text in ["udp://10.0.0.5:514", "tls://siem.fab:6514", "tcp://[fd00::1]:601"] {
            assert_eq!(Target::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "10.0.0.5:514",
            "http://a:1",
            "udp://a",
            "udp://:514",
            "udp://a:0",
            "udp://a:+5",
            "udp://a:007",
            "udp://a:65536",
            "udp://fd00::1:514",
            "udp://[fd00::g]:514",
            "udp://user@a:514",
            "udp://a:514/path",
            "udp://a b:514",
        ] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }
}
