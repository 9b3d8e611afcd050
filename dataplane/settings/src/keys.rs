//! Every key of the configuration file: name, range, default, unit, meaning.
//!
//! Nothing but data. [`crate::reference`] prints it, [`crate::scope`] enforces it.

pub(crate) use api::API;
pub(crate) use dataplane::DATAPLANE;
pub(crate) use port::PORT;

use crate::schema::{CORE_MAX, Default, Key, Kind, PathRule, Shape, Table};

pub(crate) mod outward;

/// A DPDK process has at most 32 ports (`RTE_MAX_ETHPORTS`).
pub(crate) const PORTS_MAX: usize = 32;
/// Each segment takes two ports.
pub(crate) const SEGMENTS_MAX: usize = PORTS_MAX / 2;
/// One queue pair of every port per worker; more than this no supported card gives us on all ports.
pub(crate) const WORKERS_MAX: usize = 32;

pub(crate) use segment::SEGMENT;

/// All tables, in the order of the reference.
pub(crate) static TABLES: &[&Table] = &[
    &DATAPLANE,
    &EXCHANGE,
    &FLOWS,
    &PORT,
    &SEGMENT,
    &CONTROL,
    &API,
    &outward::METRICS,
    &outward::FILE,
    &outward::SYSLOG,
    &outward::IPFIX,
];

const fn integer(
    name: &'static str,
    (minimum, maximum): (u64, u64),
    default: u64,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    shaped(name, (minimum, maximum), Shape::Any, default, unit, meaning)
}

const fn shaped(
    name: &'static str,
    (minimum, maximum): (u64, u64),
    shape: Shape,
    default: u64,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    Key {
        name,
        kind: Kind::Integer { minimum, maximum, shape },
        default: Default::Integer(default),
        unit,
        meaning,
        examples: &[],
    }
}

const fn text(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key { name, kind, default: Default::Text(default), unit: "", meaning, examples: &[] }
}

const fn required(
    name: &'static str,
    kind: Kind,
    examples: &'static [&'static str],
    meaning: &'static str,
) -> Key {
    Key { name, kind, default: Default::Required, unit: "", meaning, examples }
}

pub(crate) static EXCHANGE: Table = Table {
    name: "exchange",
    repeated: None,
    meaning: "The one memory region that the dataplane and control share.",
    keys: &[
        text(
            "path",
            Kind::Path(PathRule::Absolute),
            "/dev/shm/loadlock/exchange",
            "File behind the region. It belongs on a memory file system (tmpfs, hugetlbfs): on a disk the kernel would write \
             it back while workers run. On a tmpfs mounted with huge=always (scripts/host/setup) what is new or denied is judged \
             about a quarter faster. `loadlock status` says whether it has huge pages.",
        ),
        shaped(
            "event_ring_events",
            (1024, 16_777_216),
            Shape::PowerOfTwo,
            65_536,
            "events",
            "Length of each worker's event ring. A full ring never stops a frame: the event is counted as refused and \
             reported again later.",
        ),
        integer(
            "rule_capacity",
            (1024, 4_194_304),
            131_072,
            "rules",
            "Most rules of one policy. A larger policy is refused before it is published.",
        ),
    ],
};

pub(crate) static FLOWS: Table = Table {
    name: "flows",
    repeated: None,
    meaning: "The flow tables of the workers, and how long a silent conversation stays in them.",
    keys: &[
        integer(
            "narrow_capacity",
            (1024, 67_108_864),
            262_144,
            "entries",
            "IPv4 conversations per worker, 91 bytes each. Beyond it allowed frames are still forwarded, each by its own \
             look-up of the policy.",
        ),
        integer(
            "wide_capacity",
            (1024, 33_554_432),
            65_536,
            "entries",
            "IPv6 and non-IP conversations per worker, 181 bytes each. Beyond it the same holds.",
        ),
        integer(
            "fragment_capacity",
            (64, 1_048_576),
            8192,
            "packets",
            "IP packets in fragments that a worker remembers at once, 64 bytes each, rounded up to a power of two. Beyond it the \
             oldest is forgotten, and fragments of it that still come are dropped (fragment_unknown).",
        ),
        integer(
            "tcp_half_open_s",
            (1, 3600),
            30,
            "s",
            "Silence after which a TCP conversation without a finished handshake is forgotten.",
        ),
        integer(
            "tcp_established_s",
            (60, 31_536_000),
            432_000,
            "s",
            "Silence after which an established TCP conversation is forgotten. The default is 5 days: tools keep \
             connections open over idle weekends.",
        ),
        integer(
            "tcp_closing_s",
            (1, 3600),
            120,
            "s",
            "Silence after which a TCP conversation that saw FIN or RST is forgotten.",
        ),
        integer(
            "udp_s",
            (1, 86_400),
            180,
            "s",
            "Silence after which a UDP conversation is forgotten.",
        ),
        integer(
            "icmp_s",
            (1, 86_400),
            30,
            "s",
            "Silence after which an ICMP or ICMPv6 conversation is forgotten.",
        ),
        integer(
            "other_s",
            (1, 86_400),
            600,
            "s",
            "Silence after which any other conversation is forgotten (other IP protocols, non-IP).",
        ),
        integer(
            "fragment_s",
            (1, 120),
            30,
            "s",
            "For this long after the first fragment of an IP packet, the others follow its verdict. The default is Linux's.",
        ),
        integer(
            "midstream_grace_s",
            (0, 86_400),
            120,
            "s",
            "For this long after the start (or the return from bypass), TCP and UDP conversations that already run are \
             adopted if a rule matches in either direction. 0: never.",
        ),
        integer(
            "denied_report_s",
            (1, 3600),
            10,
            "s",
            "A denied conversation is reported at most once in this time by each worker. Every denied frame is counted.",
        ),
    ],
};

pub(crate) static CONTROL: Table = Table {
    name: "control",
    repeated: None,
    meaning: "The process `loadlock control`: learning, policy, store, API.",
    keys: &[
        shaped(
            "core",
            (0, CORE_MAX),
            Shape::Core,
            0,
            "",
            "CPU of the thread that drains the event rings and learns. It may equal dataplane.main_core, never a worker core.",
        ),
        text(
            "socket",
            Kind::Path(PathRule::Socket),
            "/run/loadlock/control.sock",
            "Unix socket of the API, which the command line talks to.",
        ),
        text(
            "store",
            Kind::Path(PathRule::File),
            "/var/lib/loadlock/loadlock.db",
            "SQLite file with policy versions, evidence, devices and audit. It belongs on a disk that survives a power cut.",
        ),
        integer(
            "version_interval_s",
            (1, 86_400),
            60,
            "s",
            "While learning, newly learned rules become a stored policy version at most this often.",
        ),
        integer(
            "retention_days",
            (1, 3650),
            90,
            "days",
            "How long flow records (what each kind of conversation did in each hour) are kept, and evidence of devices that are \
             silent; evidence that a rule in force rests on stays.",
        ),
        integer(
            "retention_mib",
            (64, 1_048_576),
            4096,
            "MiB",
            "Most that the store may hold. Beyond, the oldest flow records go, and an alarm says so; never policy versions, \
             approvals, the audit log or evidence. Its disk needs a quarter more, for the journal.",
        ),
        text(
            "admission",
            Kind::Choice(&["evidence", "record-all"]),
            "evidence",
            "What becomes a rule. evidence: what was answered on several days, or role peers do as well, unless its source \
             scans; the rest is asked (`loadlock questions list`), and blocked in enforce mode until it is approved. \
             record-all: everything seen, an attack too.",
        ),
        text(
            "approver",
            Kind::Choice(&["anyone", "another-person"]),
            "anyone",
            "Who may approve a policy version. another-person: never its author, so that one person alone can't widen what is \
             permitted; cutting off, rolling back and modes stay with one.",
        ),
        integer(
            "flow_view_capacity",
            (1000, 10_000_000),
            100_000,
            "conversations",
            "Live conversations kept for `loadlock flows`. Those beyond it are missing from the view; forwarding isn't \
             affected.",
        ),
        text(
            "log",
            Kind::Choice(&["error", "warn", "info", "debug"]),
            "info",
            "Least severe message that control logs.",
        ),
    ],
};

mod api;
mod dataplane;
mod port;
mod segment;
#[cfg(test)]
mod tests;
