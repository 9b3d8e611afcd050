//! The validated settings: what the two processes work with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use loadlock_exchange::{Identity, Infrastructure, Midstream, Mode, RingFullPolicy, TableFull};
use loadlock_packet::Side;
use loadlock_packet::negotiation::Helpers;

use crate::device::Device;
use crate::findings::{Lines, Values};
use crate::tuning::{GpioLine, RssKey};

mod outward;

pub use outward::{
    EventChoice, EventFileSettings, IpfixSettings, OutwardSettings, SyslogSettings, Target,
    Transport,
};

/// A whole configuration file in which everything is valid and every reference resolves.
///
/// Only [`Settings::load`] and [`Settings::parse`] make one. All paths in it are absolute.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[dataplane]`.
    pub dataplane: DataplaneSettings,
    /// `[exchange]`.
    pub exchange: ExchangeSettings,
    /// `[flows]`.
    pub flows: FlowSettings,
    /// Every `[[port]]` in the order of the file; 2 to 32, each used by one side of one segment.
    pub ports: Vec<PortSettings>,
    /// Every `[[segment]]` in the order of the file; 1 to 16.
    pub segments: Vec<SegmentSettings>,
    /// `[control]`.
    pub control: ControlSettings,
    /// `[api]`.
    pub api: ApiSettings,
    /// `[outward.*]`.
    pub outward: OutwardSettings,
    pub(crate) place: String,
    pub(crate) lines: Lines,
    pub(crate) values: Values,
}

impl Settings {
    /// The port that a segment's side refers to.
    pub fn port(&self, index: PortIndex) -> &PortSettings {
        &self.ports[index.0]
    }

    /// Indexes into [`DataplaneSettings::worker_cores`] of the workers that serve a port; `None` while no segment has it.
    pub(crate) fn workers_of(&self, port: PortIndex) -> Option<&[usize]> {
        let mut segments = self.segments.iter();
        let of = segments.find(|segment| segment.side_a == port || segment.side_b == port);
        of.map(|segment| segment.workers.as_slice())
    }

    /// The port on the other side of a port's segment; `None` while no segment has it.
    pub(crate) fn other_side(&self, port: PortIndex) -> Option<PortIndex> {
        self.segments.iter().find_map(|segment| match port {
            port if segment.side_a == port => Some(segment.side_b),
            port if segment.side_b == port => Some(segment.side_a),
            _ => None,
        })
    }

    /// The segment that a port belongs to, as an index into [`Settings::segments`], and which of its sides it is.
    pub fn segment_of(&self, port: PortIndex) -> (usize, Side) {
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.side_a == port {
                return (index, Side::A);
            }
            if segment.side_b == port {
                return (index, Side::B);
            }
        }
        unreachable!("a port without a segment is refused when the file is read")
    }
}

/// Number of a CPU as the kernel counts, 0 to 1023.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

impl fmt::Display for CoreId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Position of a port in [`Settings::ports`]. It isn't DPDK's port number: find that by [`PortSettings::eal_name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortIndex(pub usize);

/// Name of a port: 1 to 32 characters of `a-z`, `0-9` and `-`, unique among the ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortName(pub(crate) String);

/// Name of a segment: 1 to 32 characters of `a-z`, `0-9` and `-`, unique among the segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName(pub(crate) String);

impl PortName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SegmentName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `[dataplane]`; `config/reference.toml` explains each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataplaneSettings {
    /// CPU of the housekeeping thread; none of `worker_cores`.
    pub main_core: CoreId,
    /// CPUs of the workers in the order of the file; 1 to 32, none twice.
    pub worker_cores: Vec<CoreId>,
    /// Most frames per receive burst, 4 to 64.
    pub burst_packets: u16,
    /// EAL's `--file-prefix`.
    pub file_prefix: String,
    /// Whether EAL uses hugepages.
    pub hugepages: bool,
    /// EAL's `--huge-dir`; `None` lets EAL find the mount.
    pub hugepage_dir: Option<PathBuf>,
    /// Which hugepages packet buffers lie on.
    pub hugepage_size: HugepageSize,
    /// Memory for EAL in MiB, 64 to 1048576; `None` means: work it out.
    pub memory_mib: Option<u32>,
    /// Buffers of the pool of all ports without one of their own.
    pub mbufs: u32,
    /// Buffers in each worker's cache, 0 to 512.
    pub mbuf_cache: u32,
    /// Data room of a buffer in bytes, headroom included: holds a whole frame of every port's MTU.
    pub mbuf_data_bytes: u16,
    /// Descriptors of a receive queue, 64 to 8192.
    pub rx_descriptors: u16,
    /// Descriptors of a transmit queue, 64 to 8192.
    pub tx_descriptors: u16,
    /// Extra tries for frames that a transmit queue didn't take, 0 to 1000.
    pub tx_retries: u16,
    /// What a worker does while nothing arrives.
    pub idle: Idle,
    /// Longest pause between two looks at the queues while nothing arrives, 1 to 100 µs.
    pub idle_pause: Duration,
    /// How frames are spread over workers.
    pub rss: Rss,
    /// Key of the hash that spreads them.
    pub rss_key: RssKey,
    /// Whether a worker on another NUMA node than a card it serves is a mistake.
    pub numa_required: bool,
    /// Where time comes from.
    pub clock: Clock,
    /// Wait for the first policy at the start, up to 10 minutes.
    pub policy_wait: Duration,
    /// Silence after which a worker counts as hung, 20 ms to 10 s.
    pub watchdog: Duration,
    /// When a worker hangs: end the process, so that it is started again; else go on with the others.
    pub restarts_when_hung: bool,
    /// Silence after which control counts as dead, 1 s to an hour.
    pub control_silence: Duration,
    /// One burst in this many is timed, 1 to 65536.
    pub latency_sample_bursts: u32,
    /// Flow entries looked at per ageing step, 1 to 65536.
    pub age_step_entries: u32,
}

/// Which hugepages EAL takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugepageSize {
    /// As EAL finds them.
    Any,
    /// Only those of so many bytes: 2 MiB or 1 GiB.
    Bytes(u64),
}

/// What a worker does while nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Look again at once.
    Spin,
    /// Look ever more seldom, with the CPU's pause instruction between.
    Pause,
    /// The same with the CPU's timed wait, which saves power.
    Power,
}

/// How frames are spread over several workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rss {
    /// The device must hash both directions of an IP pair alike.
    Symmetric,
    /// The device's own distribution is trusted.
    Device,
}

/// Where the workers' time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The CPU's time stamp counter.
    Tsc,
    /// The timestamps of the captures: one worker, every port a net_pcap that reads files or nothing, and once only.
    Capture,
}

/// `[exchange]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// File behind the shared region.
    pub path: PathBuf,
    /// Events per worker's ring, a power of two from 1024 to 16777216.
    pub event_ring_events: u32,
    /// Most rules of a policy, 1024 to 4194304.
    pub rule_capacity: u32,
}

/// `[flows]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// IPv4 entries per worker, 1024 to 67108864; not necessarily a power of two.
    pub narrow_capacity: u32,
    /// IPv6 and non-IP entries per worker, 1024 to 33554432; not necessarily a power of two.
    pub wide_capacity: u32,
    /// Fragmented packets a worker remembers, 64 to 1048576.
    pub fragment_capacity: u32,
    /// Silence that ends a TCP conversation without a handshake.
    pub tcp_half_open: Duration,
    /// Silence that ends an established TCP conversation.
    pub tcp_established: Duration,
    /// Silence that ends a TCP conversation after FIN or RST.
    pub tcp_closing: Duration,
    /// Silence that ends a UDP conversation.
    pub udp: Duration,
    /// Silence that ends an ICMP or ICMPv6 conversation.
    pub icmp: Duration,
    /// Silence that ends any other conversation.
    pub other: Duration,
    /// How long later fragments may follow their first one.
    pub fragment: Duration,
    /// How long after the start running conversations are adopted; zero: never.
    pub midstream_grace: Duration,
    /// Shortest time between two reports of one denied conversation by one worker.
    pub denied_report: Duration,
}

/// One `[[port]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Its name.
    pub name: PortName,
    /// What is behind it.
    pub device: Device,
    /// MTU in bytes, 68 to 9702.
    pub mtu: u16,
    /// Whether the device is told to take frames to every address.
    pub promiscuous: bool,
    /// Descriptors of each of its receive queues, 64 to 8192.
    pub rx_descriptors: u16,
    /// Descriptors of each of its transmit queues, 64 to 8192.
    pub tx_descriptors: u16,
    /// A pool of its own; `None`: its buffers are from that of `dataplane.mbufs`.
    pub pool: Option<PortPool>,
    /// The device gives sent buffers back without looking at each.
    pub tx_fast_free: bool,
    pub(crate) path: String,
}

/// Buffers of one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPool {
    /// 1024 to 16777215.
    pub mbufs: u32,
    /// Buffers in each worker's cache, 0 to 512.
    pub cache: u32,
}

impl PortSettings {
    /// Name under which EAL knows the port: `0000:3b:00.0`, or such as `net_pcap0`, distinct for every port.
    pub fn eal_name(&self) -> String {
        self.device.eal_name()
    }

    /// The value of EAL's `--vdev` for a virtual device; `None` for a card, whose [`PortSettings::eal_name`] goes into
    /// `--allow` instead.
    pub fn virtual_device_argument(&self) -> Option<String> {
        self.device.as_virtual().map(|device| device.argument())
    }
}

/// One `[[segment]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSettings {
    /// Its name.
    pub name: SegmentName,
    /// The port on the one side.
    pub side_a: PortIndex,
    /// The port on the other side.
    pub side_b: PortIndex,
    /// Indexes into [`DataplaneSettings::worker_cores`] of the workers that serve it, ascending; at least one.
    pub workers: Vec<usize>,
    /// What holds until a mode is set by verb.
    pub mode: Mode,
    /// Frame classes that pass without a rule.
    pub infrastructure: Infrastructure,
    /// When conversations that already run are taken on.
    pub midstream: Midstream,
    /// How strictly devices are held to their addresses, side A's first.
    pub identity: [Identity; 2],
    /// Protocols whose negotiated ports are opened.
    pub helpers: Helpers,
    /// The relay that joins the cables when the dataplane is dead; `None`: nothing passes then.
    pub bypass: Option<HardwareBypass>,
    /// How long one side's link must be down before the other's is taken down; `None`: it stays.
    pub link_hold: Option<Duration>,
    /// When control is dead.
    pub control_dead: Answer,
    /// While there is no policy.
    pub no_policy: Answer,
    /// When the policy in the exchange is damaged.
    pub policy_corrupt: Answer,
    /// When the flow table is full.
    pub table_full: TableFull,
    /// When the event ring is full.
    pub ring_full: RingFullPolicy,
    pub(crate) path: String,
}

/// A relay beside the line, and how it is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HardwareBypass {
    /// How it is reached.
    pub relay: Relay,
    /// Time between two heartbeats, 50 ms to 10 s.
    pub every: Duration,
}

/// How a relay is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// A program gets `arm`, `heartbeat` or `disarm`, and the segment's name.
    Program(PathBuf),
    /// Lines of GPIO.
    Gpio {
        /// Changes its level with each heartbeat.
        pulse: GpioLine,
        /// Active from `arm` to `disarm`.
        arm: Option<GpioLine>,
    },
}

/// What a segment does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on by what is known.
    Static,
    /// Forward everything, unjudged.
    Open,
    /// Drop everything.
    Closed,
}

/// `[control]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// CPU of the drain and learn thread; no worker core.
    pub core: CoreId,
    /// Unix socket of the API, at most 107 bytes.
    pub socket: PathBuf,
    /// SQLite file of the store.
    pub store: PathBuf,
    /// Shortest time between two stored versions while learning.
    pub version_interval: Duration,
    /// How long flow records and evidence of silent devices are kept, 1 to 3650 days.
    pub retention_days: u32,
    /// Most that the store may hold, 64 MiB to 1 TiB, in bytes.
    pub retention_bytes: u64,
    /// Everything seen becomes a rule, without weighing evidence.
    pub records_all: bool,
    /// A version that its author approved can't be applied.
    pub another_approver: bool,
    /// Live conversations kept for `loadlock flows`, 1000 to 10000000.
    pub flow_view_capacity: u32,
    /// Least severe message that is logged.
    pub log: LogLevel,
}

/// `[api]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// What users of the Unix socket may do: `viewer`, `operator`, `approver` or `admin`.
    pub socket_role: String,
    /// Where TLS is served; `None`: nowhere.
    pub tls_listen: Option<SocketAddr>,
    /// PEM file with the certificate and its chain.
    pub tls_certificate: PathBuf,
    /// PEM file with the private key.
    pub tls_key: PathBuf,
    /// Most connections over TLS, 4 to 1024.
    pub connections: usize,
    /// Requests a second of one client, 1 to 100000.
    pub requests_per_s: u32,
}

/// Severity of a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs a look.
    Warn,
    /// What happens.
    Info,
    /// Every detail.
    Debug,
}

impl LogLevel {
    /// The word in the file, which is also the one that log filters know.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}
