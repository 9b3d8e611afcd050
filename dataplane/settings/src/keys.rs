//! Every key of the configuration file: name, range, default, unit, meaning.
//!
//! Nothing but data. [`crate::reference`] prints it, [`crate::scope`] enforces it.

pub(crate) use api::API;

use crate::schema::{CORE_MAX, Default, Key, Kind, PathRule, Repeated, Shape, Table};

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

pub(crate) static DATAPLANE: Table = Table {
    name: "dataplane",
    repeated: None,
    meaning: "The process loadlock-dataplane: its cores, its memory, its queues.",
    keys: &[
        shaped(
            "main_core",
            (0, CORE_MAX),
            Shape::Core,
            0,
            "",
            "CPU of the housekeeping thread (EAL's main lcore). It forwards nothing, so it may share its core with \
             control.core, but never with a worker.",
        ),
        required(
            "worker_cores",
            Kind::Cores { count_max: WORKERS_MAX },
            &["[1]"],
            "CPUs of the workers: one pinned, busy-polling thread each. Every port gets one queue pair per worker. Keep \
             these cores free of everything else (isolcpus or a cpuset), and on the NUMA node of the cards.",
        ),
        integer(
            "burst_packets",
            (4, 64),
            64,
            "frames",
            "Most frames taken from a receive queue at a time. Larger bursts are cheaper per frame and add latency.",
        ),
        text(
            "file_prefix",
            Kind::Name { underscore: true },
            "loadlock",
            "Prefix of EAL's runtime files. Two dataplanes on one machine need two prefixes.",
        ),
        Key {
            name: "hugepages",
            kind: Kind::Flag,
            default: Default::Flag(true),
            unit: "",
            meaning: "false runs EAL with --no-huge: for functional tests only. No speed is ever quoted without \
                      hugepages.",
            examples: &[],
        },
        text(
            "hugepage_dir",
            Kind::Path(PathRule::AbsoluteOrEmpty("EAL finds the mount itself")),
            "",
            "Mount point of the hugetlbfs to take memory from, where a machine has several.",
        ),
        shaped(
            "memory_mib",
            (64, 1_048_576),
            Shape::OrZero("worked out from the pool and table sizes"),
            0,
            "MiB",
            "Memory that EAL reserves at start.",
        ),
        integer(
            "mbufs",
            (1024, 16_777_215),
            32_768,
            "buffers",
            "Packet buffers in the one pool that all ports share. It must fill every descriptor of every queue and the \
             workers' caches; too few is an error that says how many are needed. 2^n - 1 uses memory best.",
        ),
        integer(
            "mbuf_cache",
            (0, 512),
            256,
            "buffers",
            "Buffers that each worker keeps to itself, so that it seldom goes to the shared pool.",
        ),
        integer(
            "mbuf_data_bytes",
            (1152, 65_535),
            2176,
            "bytes",
            "Data room of a buffer, 128 bytes of headroom included. A whole frame (mtu + 26 bytes of Ethernet header, two \
             VLAN tags and checksum) must fit behind the headroom.",
        ),
        integer(
            "rx_descriptors",
            (64, 8192),
            1024,
            "descriptors",
            "Length of each receive queue. The device may round it up.",
        ),
        integer(
            "tx_descriptors",
            (64, 8192),
            1024,
            "descriptors",
            "Length of each transmit queue. The device may round it up.",
        ),
        integer(
            "tx_retries",
            (0, 1000),
            4,
            "tries",
            "Extra tries for the frames that a full transmit queue didn't take. What is left then is dropped and counted.",
        ),
        text(
            "idle",
            Kind::Choice(&["spin", "pause", "power"]),
            "spin",
            "What a worker does while none of its queues has a frame. spin: look again at once; the least latency, the most power. \
             pause: look ever more seldom, with the CPU's pause instruction between, up to idle_pause_us; a hyperthread beside it \
             gets the core's units meanwhile. power: the same with the CPU's timed wait (TPAUSE), which lets the core save power; \
             refused at start on a CPU without WAITPKG. The core counts as busy in all three. Under load nothing is waited for.",
        ),
        integer(
            "idle_pause_us",
            (1, 1000),
            10,
            "us",
            "Longest pause between two looks, reached after some hundred looks in vain: at most so much latency is added to the first \
             frame after a silence, and none to those behind it. Receive queues must hold what arrives meanwhile: 1 us is 15 of the \
             smallest frames at 10 Gbit/s and 149 at 100 Gbit/s. Without effect with idle = \"spin\".",
        ),
        text(
            "rss",
            Kind::Choice(&["symmetric", "device"]),
            "symmetric",
            "How frames are spread over several workers. symmetric: the card must hash both directions of an IP pair to the \
             same worker, or the start is refused. device: trust the device's own way (virtual devices, tests). Without \
             effect with one worker.",
        ),
        text(
            "clock",
            Kind::Choice(&["tsc", "capture"]),
            "tsc",
            "tsc: the CPU's time stamp counter. capture: time is the timestamp in the capture file, and both ports of a \
             segment are processed in timestamp order; needs one worker and only net_pcap ports that read files.",
        ),
        integer(
            "policy_wait_ms",
            (0, 600_000),
            10_000,
            "ms",
            "How long the dataplane waits at its start for control's first policy. 0: not at all.",
        ),
        integer(
            "watchdog_ms",
            (20, 10_000),
            80,
            "ms",
            "Silence of a worker after which it counts as hung. It is looked at every 10 ms, so that the default notices within \
             100 ms. Only time in which the watching thread itself ran counts, so that a stopped virtual machine isn't taken for \
             a hung worker.",
        ),
        text(
            "worker_hung",
            Kind::Choice(&["restart", "static"]),
            "restart",
            "When a worker hangs. restart: the process ends at once (exit code 8), and whoever supervises it starts it again; \
             meanwhile each segment is as its dataplane_dead says. One worker serves all segments, so that this can't be said for \
             each. static: go on with the other workers; the frames of the hung one's queues are lost, and it is an alarm.",
        ),
        integer(
            "control_silence_s",
            (1, 3600),
            10,
            "s",
            "Silence of control after which it counts as dead for control_dead. An upgrade of control takes one or two.",
        ),
        integer(
            "latency_sample_bursts",
            (1, 65_536),
            64,
            "bursts",
            "One burst in this many is timed from receive to transmit.",
        ),
        integer(
            "age_step_entries",
            (1, 65_536),
            64,
            "entries",
            "Flow entries looked at for expiry per ageing step. More expires sooner and adds jitter.",
        ),
    ],
};

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

pub(crate) static PORT: Table = Table {
    name: "port",
    repeated: Some(Repeated { minimum: 2, maximum: PORTS_MAX, shown: 2 }),
    meaning: "One [[port]] for each network port: 2 to 32 of them, because DPDK limits a process to 32. Each belongs to \
              exactly one side of one segment.",
    keys: &[
        required(
            "name",
            Kind::Name { underscore: false },
            &["\"fab-a\"", "\"fab-b\""],
            "Name of the port in counters, logs and the API. No two ports share one.",
        ),
        required(
            "device",
            Kind::Device,
            &["\"0000:3b:00.0\"", "\"0000:3b:00.1\""],
            "What is behind the port: the PCI address of a card bound to vfio-pci (or of a bifurcated driver such as mlx5), \
             or a virtual driver of DPDK. No two ports share a PCI address.",
        ),
        integer(
            "mtu",
            (68, 9702),
            1500,
            "bytes",
            "Largest payload of an Ethernet frame. The two ports of a segment need the same, and mbuf_data_bytes must hold \
             it.",
        ),
        Key {
            name: "promiscuous",
            kind: Kind::Flag,
            default: Default::Flag(true),
            unit: "",
            meaning: "Whether the device is told to take frames to every address. A line needs that; false is for a device that hands \
                      over every frame without it and refuses the mode, such as a trusted virtual function.",
            examples: &[],
        },
        shaped(
            "rx_descriptors",
            (64, 8192),
            Shape::OrZero("as dataplane.rx_descriptors"),
            0,
            "descriptors",
            "Length of each of this port's receive queues, if it is to differ from the others'.",
        ),
        shaped(
            "tx_descriptors",
            (64, 8192),
            Shape::OrZero("as dataplane.tx_descriptors"),
            0,
            "descriptors",
            "Length of each of this port's transmit queues, if it is to differ from the others'.",
        ),
        Key {
            name: "options",
            kind: Kind::Options,
            default: Default::Absent,
            unit: "",
            meaning: "Options of a virtual driver, listed below. A value may not contain a comma, an equals sign, square \
                      brackets, spaces or control characters, because DPDK's argument syntax has no escape for them. \
                      Relative paths count from the folder of this file.",
            examples: &[],
        },
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
mod segment;
#[cfg(test)]
mod tests;
