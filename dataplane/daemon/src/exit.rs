//! How the process can fail, and with which exit code.

use std::fmt;
use std::io;
use std::time::Duration;

use loadlock_dpdk::{
    EalError, Errno, FindPortError, LaunchError, MempoolError, PortError, WorkerExit, WorkerOutcome,
};
use loadlock_exchange::RegionError;
use loadlock_settings::{CoreId, MachineError, SettingsErrors};

/// The exit codes, as `--help` shows them.
pub const EXIT_CODES: &str = "Exit codes:
  0  ended in order (SIGTERM, SIGINT)
  2  wrong command line
  3  configuration or machine: every mistake is listed
  4  DPDK couldn't start: cores, hugepages, memory
  5  a port couldn't be opened or started
  6  the exchange couldn't be made or opened
  7  a worker died
  8  a worker hung
  9  --preflight found a problem";

/// Why the process ends.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in the configuration, or it doesn't fit the machine.
    Settings(SettingsErrors),
    /// The machine doesn't say what it has.
    Machine(MachineError),
    /// DPDK doesn't start.
    Eal(Box<EalError>),
    /// No packet buffers.
    Mempool(MempoolError),
    /// A driver didn't make its virtual device; DPDK has printed why, and goes on without it.
    DeviceRefused {
        /// The port's name in the configuration.
        port: String,
        /// The device and its options, as DPDK got them.
        argument: String,
    },
    /// A configured port isn't there.
    PortMissing {
        /// Its name in the configuration.
        port: String,
        /// What DPDK says.
        source: Box<FindPortError>,
    },
    /// A port can't be configured or started.
    Port {
        /// Its name in the configuration.
        port: String,
        /// What DPDK says.
        source: Box<PortError>,
    },
    /// `tx-fast-free`, and what the port sends may lie in several buffers.
    ScatteredFastFree {
        /// The port that sends.
        port: String,
        /// The one that receives.
        receives: String,
    },
    /// A port's counters can't be read at the start.
    PortState {
        /// Its name in the configuration.
        port: String,
        /// What DPDK says.
        source: Errno,
    },
    /// `clock = "capture"` needs the timestamps of net_pcap, and there are none.
    NoCaptureTime,
    /// `idle = "power"`, and this CPU can't.
    NoTimedWait,
    /// No memory for a flow table.
    FlowTable {
        /// Which worker's.
        worker: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel gives no random numbers for the hash seed.
    Random(io::Error),
    /// The exchange.
    Exchange(RegionError),
    /// The workers couldn't be started.
    Launch(LaunchError),
    /// No thread for the relays.
    Relays(io::Error),
    /// Signals can't be received.
    Signals(std::io::Error),
    /// A worker that doesn't poll any more.
    Hung {
        /// Which.
        worker: usize,
        /// Its CPU.
        core: CoreId,
        /// For how long.
        silent: Duration,
        /// How long it may be.
        allowed: Duration,
    },
    /// What `--preflight` found; each was printed.
    Preflight {
        /// How many.
        problems: usize,
    },
    /// Workers that ended by a panic.
    Workers(Vec<WorkerExit>),
}

impl Failure {
    /// As [`EXIT_CODES`] says.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Machine(_) => 3,
            Self::Eal(_)
            | Self::Mempool(_)
            | Self::FlowTable { .. }
            | Self::Random(_)
            | Self::NoTimedWait
            | Self::Launch(_)
            | Self::Relays(_)
            | Self::Signals(_) => 4,
            Self::DeviceRefused { .. }
            | Self::PortMissing { .. }
            | Self::Port { .. }
            | Self::ScatteredFastFree { .. }
            | Self::PortState { .. }
            | Self::NoCaptureTime => 5,
            Self::Exchange(_) => 6,
            Self::Workers(_) => 7,
            Self::Hung { .. } => 8,
            Self::Preflight { .. } => 9,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(errors) => errors.fmt(f),
            Self::Machine(error) => error.fmt(f),
            Self::Eal(error) => error.fmt(f),
            Self::Mempool(error) => error.fmt(f),
            Self::DeviceRefused { port, argument } => write!(
                f,
                "port {port}: DPDK couldn't make the device `{argument}`; its driver says why above. Check that what the \
                 port's `options` name exists, and that this user may open it"
            ),
            Self::PortMissing { port, source } => write!(f, "port {port}: {source}"),
            Self::Port { port, source } => write!(f, "port {port}: {source}"),
            Self::ScatteredFastFree { port, receives } => write!(
                f,
                "port {port}: offload tx-fast-free is for frames in one buffer, and the device of port {receives} needs several for \
                 its MTU; raise dataplane.mbuf_data_bytes, or take tx-fast-free out of the port's offloads"
            ),
            Self::PortState { port, source } => {
                write!(f, "port {port}: its counters can't be read: {source}; check the driver")
            }
            Self::NoCaptureTime => f.write_str(
                "`dataplane.clock` is \"capture\", but no port gives capture times; use net_pcap ports with `rx_pcap`, or \
                 `clock = \"tsc\"`",
            ),
            Self::NoTimedWait => f.write_str(
                "`dataplane.idle` is \"power\", and this CPU has no timed wait (no flag waitpkg in /proc/cpuinfo; hypervisors often hide \
                 it); use \"pause\", which every CPU can, or \"spin\"",
            ),
            Self::FlowTable { worker, source } => write!(
                f,
                "no memory for the flow tables of worker {worker}: {source}; lower `flows.narrow_capacity` or \
                 `flows.wide_capacity`, or give the machine more memory"
            ),
            Self::Random(error) => {
                write!(f, "/dev/urandom gives no seed for the hash: {error}; mount /dev")
            }
            Self::Exchange(error) => error.fmt(f),
            Self::Launch(error) => error.fmt(f),
            Self::Relays(error) => {
                write!(f, "no thread for the hardware bypass: {error}; raise the limit of threads")
            }
            Self::Signals(error) => {
                write!(f, "signals can't be received: {error}; start it from another supervisor")
            }
            Self::Preflight { problems } => {
                write!(f, "{problems} problems keep this machine from forwarding as configured; see above")
            }
            Self::Hung { worker, core, silent, allowed } => write!(
                f,
                "worker {worker} on core {core} hasn't polled for {} ms, allowed are {} (dataplane.watchdog_ms); this process ends to \
                 be started again. Keep the core free of other work; if it is, report this",
                silent.as_millis(),
                allowed.as_millis()
            ),
            Self::Workers(exits) => {
                for exit in exits {
                    if let WorkerOutcome::Panicked { message } = &exit.outcome {
                        write!(f, "the worker on core {} died: {message}; ", exit.thread.core)?;
                    }
                }
                f.write_str("its frames were no longer forwarded; restart, and report this message")
            }
        }
    }
}
