//! The environment abstraction layer: DPDK's one-time start of memory, cores and devices.

mod arguments;
mod checks;
mod error;

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use loadlock_dpdk_sys as sys;

pub use error::{CoreUse, EalError};

use crate::worker::{self, LaunchError, Task, Workers};
use crate::{Errno, FindPortError, PortId, PortInfo, cpus, port};

/// Set by the first [`Eal::init`] that reaches DPDK. Paired with nothing: it guards no other data, and the swap alone
/// decides which caller is the first.
static STARTED: AtomicBool = AtomicBool::new(false);

/// DPDK's version, as in `DPDK 22.11.11`. Works before [`Eal::init`].
pub fn version() -> String {
    // SAFETY: returns a static text.
    let text = unsafe { sys::rte_version() };
    // SAFETY: it is NUL-terminated and never changes.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

/// Where packet memory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Hugepages: the only choice for real NICs and for speed.
    Hugepages {
        /// A hugetlbfs mount to use, for instance to choose the page size. `None`: anonymous, without files.
        dir: Option<PathBuf>,
        /// MiB taken at start; `None`: as pools ask for it.
        mib: Option<u32>,
        /// Pages of so many bytes and no others: of `dir`, or of the first hugetlbfs that is mounted with them.
        page_bytes: Option<u64>,
    },
    /// Ordinary pages, for trying it out on virtual devices. Never measure with it.
    NoHuge {
        /// MiB, all there will be.
        mib: u32,
    },
}

/// The least serious message that EAL and the drivers still print to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// And warnings.
    #[default]
    Warning,
    /// And what is normal but notable.
    Notice,
    /// And the steps of the start.
    Info,
    /// Everything.
    Debug,
}

/// What [`Eal::init`] needs. Made from validated settings; nothing of it is passed through from a user.
#[derive(Clone, Debug)]
pub struct EalConfig {
    /// The CPU of the calling thread, which becomes the main lcore.
    pub main_core: usize,
    /// One CPU for each worker, in the order in which [`Eal::run_workers`] fills them.
    pub worker_cores: Vec<usize>,
    /// Where packet memory comes from.
    pub memory: Memory,
    /// Tells processes on one machine apart in file names. Letters, digits, `_` and `-`.
    pub file_prefix: String,
    /// Full `--vdev` texts, such as `net_pcap0,rx_pcap=in.pcap`.
    pub virtual_devices: Vec<String>,
    /// PCI addresses to take over, such as `0000:03:00.0`; empty: the bus isn't even scanned.
    pub pci_devices: Vec<String>,
    /// What is printed.
    pub log_level: LogLevel,
}

/// DPDK, running. Exists once a process, and is needed to make everything else.
///
/// It stays on the thread that made it: that thread is the main lcore, pinned to the main core. Threads spawned from it
/// inherit that pinning; pin them elsewhere, or spawn them before.
///
/// There is no shutdown: stop the workers, drop the ports, and let the process end. Unmapping packet memory earlier
/// would leave mbufs pointing nowhere. The chosen arguments leave nothing behind but an empty directory, named after the
/// file prefix, in DPDK's runtime directory.
#[derive(Debug)]
pub struct Eal {
    worker_cores: Vec<usize>,
    /// Neither Send nor Sync.
    _main_thread: PhantomData<*const ()>,
}

impl Eal {
    /// Starts DPDK, once a process; pins the calling thread to the main core and starts an idle thread on each worker
    /// core. Everything that can be is checked before, so that the message can say what to do.
    ///
    /// Takes from 0.1 s to some seconds (hugepages are zeroed). An error of the checks before leaves the process as it
    /// was, and `init` may be called again; after [`EalError::Start`] or [`EalError::MainNotPinned`] it may not.
    pub fn init(config: &EalConfig) -> Result<Self, EalError> {
        if STARTED.load(Ordering::Relaxed) {
            return Err(EalError::AlreadyStarted);
        }
        checks::cores(config)?;
        let memory = checks::memory(&config.memory)?;
        let arguments = arguments::build(&EalConfig { memory, ..config.clone() })?;
        if STARTED.swap(true, Ordering::Relaxed) {
            return Err(EalError::AlreadyStarted);
        }
        start(&arguments)?;
        let allowed = cpus::of_this_thread().map_err(|source| EalError::Affinity { source })?;
        if allowed != [config.main_core] {
            return Err(EalError::MainNotPinned {
                core: config.main_core,
                allowed: cpus::format_list(&allowed),
            });
        }
        Ok(Self { worker_cores: config.worker_cores.clone(), _main_thread: PhantomData })
    }

    /// The CPUs of the workers, in order.
    pub fn worker_cores(&self) -> &[usize] {
        &self.worker_cores
    }

    /// Runs each task on a worker core of its own, the first on the first. Returns when all threads have shown, by
    /// asking the kernel, that they are pinned to exactly their CPU; only then does any task begin.
    ///
    /// A task that panics ends alone; [`Workers::join`] tells. Drop what the tasks must not outlive after joining.
    pub fn run_workers(&self, tasks: Vec<Task>) -> Result<Workers, LaunchError> {
        worker::launch(&self.worker_cores, tasks)
    }

    /// All ports there are, real and virtual, in DPDK's order.
    pub fn ports(&self) -> Vec<PortId> {
        port::find::all()
    }

    /// The NUMA node a port is attached to; `None`: to none, or it doesn't say.
    pub fn port_node(&self, port: PortId) -> Option<u32> {
        PortInfo::read(port).ok()?.socket
    }

    /// A port's name: the PCI address, or the virtual device's name.
    pub fn port_name(&self, port: PortId) -> String {
        port::find::name(port)
    }

    /// The port of that name. The error lists the names there are, and says for a PCI address what is in the way.
    pub fn find_port(&self, name: &str) -> Result<PortId, FindPortError> {
        port::find::by_name(name)
    }
}

/// Calls rte_eal_init.
fn start(arguments: &[String]) -> Result<(), EalError> {
    let refused = |argument: &String| EalError::Argument { argument: argument.clone() };
    let mut pointers: Vec<*mut c_char> = Vec::with_capacity(arguments.len() + 1);
    for argument in arguments {
        // Leaked: EAL keeps pointers into its arguments for as long as the process runs.
        pointers.push(CString::new(argument.as_str()).map_err(|_| refused(argument))?.into_raw());
    }
    pointers.push(std::ptr::null_mut());
    let pointers = pointers.leak();
    let count = arguments.len() as i32;
    // SAFETY: argv is NULL-terminated, writable and never freed; STARTED lets one thread through, once.
    let parsed = unsafe { sys::rte_eal_init(count, pointers.as_mut_ptr()) };
    if parsed < 0 {
        return Err(EalError::Start { cause: Errno::last(), arguments: arguments[1..].join(" ") });
    }
    Ok(())
}
