//! The keys of `[outward.*]`: where figures and events go besides the API.

use super::{integer, text};
use crate::schema::{Default, Key, Kind, PathRule, Table};

/// Most receivers of one kind: each has a thread and a spool of its own.
pub(crate) const TARGETS_MAX: usize = 4;

/// What can be sent as an event.
const EVENTS: &[&str] = &["started", "ended", "denied", "alarm"];

const fn targets(schemes: &'static [&'static str], meaning: &'static str) -> Key {
    Key {
        name: "targets",
        kind: Kind::Targets { schemes, count_max: TARGETS_MAX },
        default: Default::Texts(&[]),
        unit: "",
        meaning,
        examples: &[],
    }
}

const fn events(default: &'static [&'static str], meaning: &'static str) -> Key {
    Key {
        name: "events",
        kind: Kind::Choices(EVENTS),
        default: Default::Texts(default),
        unit: "",
        meaning,
        examples: &[],
    }
}

const fn spool(meaning: &'static str) -> Key {
    integer("spool_events", (16, 1_000_000), 8192, "events", meaning)
}

pub(crate) static METRICS: Table = Table {
    name: "outward.metrics",
    repeated: None,
    meaning: "Figures for Prometheus: GET /metrics, in its text format or as OpenMetrics. No address is ever in them.",
    keys: &[text(
        "listen",
        Kind::Listen,
        "",
        "Where to listen, by plain HTTP and without a password: on the loopback or a network for managing, never on one of \
         the devices. 9464 is a usual port.",
    )],
};

pub(crate) static FILE: Table = Table {
    name: "outward.file",
    repeated: None,
    meaning: "Events as lines of JSON, the same as those of `loadlock observe -o json`.",
    keys: &[
        text(
            "path",
            Kind::Path(PathRule::FileOrEmpty("off")),
            "",
            "The file; lines are added to it. \"-\" is standard output.",
        ),
        integer(
            "max_mib",
            (1, 65_536),
            64,
            "MiB",
            "Size from which on the file is renamed to NAME.1 (NAME.1 to NAME.2 and so on) and a new one begun.",
        ),
        integer(
            "files_kept",
            (1, 100),
            8,
            "files",
            "Renamed files that are kept; the oldest goes.",
        ),
        events(
            EVENTS,
            "What is written. A denied conversation is one event in flows.denied_report_s, with the number of its frames; \
             alarms are what `loadlock status` shows, when they come and go.",
        ),
        spool(
            "Events that wait for the disk. Beyond it they are lost; how many, and where, is written.",
        ),
    ],
};

pub(crate) static SYSLOG: Table = Table {
    name: "outward.syslog",
    repeated: None,
    meaning: "Events to syslog servers (RFC 5424).",
    keys: &[
        targets(
            &["udp", "tcp", "tls"],
            "The servers; each gets everything. udp: one datagram an event, and nobody knows what got lost on the way. tcp: \
             octet counting (RFC 6587). tls: RFC 5425.",
        ),
        text(
            "format",
            Kind::Choice(&["structured", "cef"]),
            "structured",
            "structured: the fields as structured data, a sentence as the message. cef: the message is ArcSight's Common \
             Event Format.",
        ),
        events(&["denied", "alarm"], "What is sent."),
        spool(
            "Events that wait for each server. Beyond it they are lost; how many is told to the server and by `loadlock \
             status`.",
        ),
        text(
            "ca_file",
            Kind::Path(PathRule::FileOrEmpty("for udp and tcp")),
            "",
            "PEM file with the authorities that tls servers' certificates are checked against. The server's name is the host \
             in its target.",
        ),
        text(
            "certificate_file",
            Kind::Path(PathRule::FileOrEmpty("none")),
            "",
            "PEM file with the certificate, and those between it and the authority, that Loadlock shows to tls servers which \
             ask for one.",
        ),
        text(
            "key_file",
            Kind::Path(PathRule::FileOrEmpty("none")),
            "",
            "PEM file with the key of certificate_file.",
        ),
    ],
};

pub(crate) static IPFIX: Table = Table {
    name: "outward.ipfix",
    repeated: None,
    meaning: "Records of IP conversations to flow collectors (IPFIX, RFC 7011): one when a conversation ends, one for each \
              report of a denied one.",
    keys: &[
        targets(&["udp", "tcp"], "The collectors; each gets everything."),
        integer(
            "domain",
            (0, 4_294_967_295),
            1,
            "",
            "Observation domain: tells two appliances apart that send from one address.",
        ),
        integer(
            "template_s",
            (1, 3600),
            60,
            "s",
            "By udp, templates are sent again after this time: a collector that was restarted reads nothing before it has them.",
        ),
        spool("Records that wait for each collector. Beyond it they are lost and counted."),
    ],
};
