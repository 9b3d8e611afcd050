//! Why DPDK couldn't be started.

use std::path::PathBuf;
use std::{fmt, io};

use crate::Errno;

/// What a core is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreUse {
    /// The main core.
    Main,
    /// The worker of that index.
    Worker(usize),
}

impl fmt::Display for CoreUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => write!(formatter, "the main core"),
            Self::Worker(index) => write!(formatter, "worker {index}"),
        }
    }
}

/// Why [`Eal::init`](crate::Eal::init) failed.
#[derive(Debug)]
pub enum EalError {
    /// A second start in one process.
    AlreadyStarted,
    /// Two uses of one core.
    CoreUsedTwice {
        /// The CPU.
        core: usize,
        /// Its first use.
        first: CoreUse,
        /// Its second.
        second: CoreUse,
    },
    /// No such CPU, or it is off-line.
    CoreMissing {
        /// The CPU.
        core: usize,
        /// What for.
        used_for: CoreUse,
        /// The CPUs there are, in the kernel's notation.
        online: String,
    },
    /// The CPU exists, but this process may not run there.
    CoreNotAllowed {
        /// The CPU.
        core: usize,
        /// What for.
        used_for: CoreUse,
        /// The CPUs it may use, in the kernel's notation.
        allowed: String,
    },
    /// More workers than DPDK was built for.
    TooManyWorkers {
        /// As configured.
        wanted: usize,
        /// The most there can be.
        max: usize,
    },
    /// Fewer free hugepages than asked for, or none.
    HugepagesShort {
        /// As configured, at least 1.
        wanted_mib: u64,
        /// Free, in all page sizes that are allowed.
        free_mib: u64,
        /// Size of a page.
        page_mib: u64,
    },
    /// No hugetlbfs with pages of the configured size.
    HugepageSize {
        /// As configured.
        wanted_mib: u64,
        /// Those there are, or the configured one, with the size of their pages.
        mounted: Vec<(PathBuf, Option<u64>)>,
    },
    /// The configured directory isn't on a hugetlbfs.
    HugepageDirectory {
        /// As configured.
        dir: PathBuf,
        /// Where there are some.
        mounted: Vec<PathBuf>,
    },
    /// Too little memory for EAL itself.
    MemoryTooSmall {
        /// As configured.
        mib: u32,
        /// The least.
        min: u32,
    },
    /// The prefix can't be part of a file name.
    FilePrefix {
        /// As configured.
        prefix: String,
    },
    /// An argument with a NUL byte.
    Argument {
        /// The argument.
        argument: String,
    },
    /// A file of the kernel's can't be read, or not understood.
    SystemFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel doesn't tell where this thread may run.
    Affinity {
        /// Why.
        source: io::Error,
    },
    /// rte_eal_init failed; its own messages are on stderr.
    Start {
        /// DPDK's reason.
        cause: Errno,
        /// The arguments it got.
        arguments: String,
    },
    /// EAL started, but this thread isn't pinned to the main core alone.
    MainNotPinned {
        /// The main core.
        core: usize,
        /// Where the thread may run, in the kernel's notation.
        allowed: String,
    },
}

impl fmt::Display for EalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HugepagesShort { .. }
            | Self::HugepageSize { .. }
            | Self::HugepageDirectory { .. }
            | Self::MemoryTooSmall { .. } => self.show_memory(formatter),
            Self::CoreUsedTwice { .. }
            | Self::CoreMissing { .. }
            | Self::CoreNotAllowed { .. }
            | Self::MainNotPinned { .. } => self.show_core(formatter),
            Self::AlreadyStarted => {
                write!(
                    formatter,
                    "EAL: started before in this process, allowed is once; start a new process"
                )
            }
            Self::TooManyWorkers { wanted, max } => {
                write!(
                    formatter,
                    "worker cores: {wanted} given, this DPDK allows {max}; remove some"
                )
            }
            Self::FilePrefix { prefix } => write!(
                formatter,
                "EAL file prefix \"{prefix}\": allowed are 1 to 64 letters, digits, _ and -; change it"
            ),
            Self::Argument { argument } => {
                write!(formatter, "EAL argument {argument:?}: a NUL byte isn't allowed; remove it")
            }
            Self::SystemFile { path, source } => write!(
                formatter,
                "{}: can't be read or understood ({source}); mount /proc and /sys, and allow reading them",
                path.display()
            ),
            Self::Affinity { source } => {
                write!(
                    formatter,
                    "sched_getaffinity: {source}; allow that system call to this process"
                )
            }
            Self::Start { cause, arguments } => write!(
                formatter,
                "rte_eal_init: {cause}, with {arguments}; its own lines on stderr say more: mostly a missing right \
                 (run as root), a device in use, or too little memory; mend it and start a new process"
            ),
        }
    }
}

impl EalError {
    fn show_core(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoreUsedTwice { core, first, second } => {
                write!(
                    formatter,
                    "core {core}: used as {first} and as {second}, allowed is once; give {second} another"
                )
            }
            Self::CoreMissing { core, used_for, online } => {
                write!(
                    formatter,
                    "core {core} ({used_for}): there is none, allowed are {online}; choose one of those"
                )
            }
            Self::CoreNotAllowed { core, used_for, allowed } => write!(
                formatter,
                "core {core} ({used_for}): this process may not run there, allowed are {allowed}; choose one of those, \
                 or widen the CPU set (systemd: AllowedCPUs, container: cpuset)"
            ),
            Self::MainNotPinned { core, allowed } => write!(
                formatter,
                "core {core} (the main core): EAL left the thread on {allowed}, allowed is {core} alone; stop what \
                 changes affinities, and start a new process"
            ),
            _ => Ok(()),
        }
    }

    fn show_memory(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HugepagesShort { wanted_mib, free_mib, page_mib: 2 } => write!(
                formatter,
                "hugepages: {free_mib} MiB free, at least {wanted_mib} MiB asked for; reserve more, for 2 MiB pages: \
                 echo {} > /proc/sys/vm/nr_hugepages, or run without hugepages (slow, virtual devices only)",
                wanted_mib.div_ceil(2).max(512)
            ),
            Self::HugepagesShort { wanted_mib, free_mib, page_mib } => write!(
                formatter,
                "hugepages: {free_mib} MiB free in pages of {page_mib} MiB, at least {wanted_mib} MiB asked for; reserve more: echo {} > \
                 /sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages, or take another hugepage_size",
                wanted_mib.div_ceil(*page_mib),
                page_mib << 10
            ),
            Self::HugepageSize { wanted_mib, mounted } => {
                let mounted: Vec<String> = mounted
                    .iter()
                    .map(|(place, mib)| match mib {
                        Some(mib) => format!("{} with {mib} MiB", place.display()),
                        None => place.display().to_string(),
                    })
                    .collect();
                let mounted =
                    if mounted.is_empty() { "nowhere".to_owned() } else { mounted.join(", ") };
                write!(
                    formatter,
                    "hugepages of {wanted_mib} MiB: allowed is a hugetlbfs mounted with them (now: {mounted}); mkdir -p \
                     /dev/hugepages-{wanted_mib}M && mount -t hugetlbfs -o pagesize={wanted_mib}M none \
                     /dev/hugepages-{wanted_mib}M, or take another hugepage_size"
                )
            }
            Self::HugepageDirectory { dir, mounted } => {
                let mounted: Vec<String> =
                    mounted.iter().map(|place| place.display().to_string()).collect();
                let mounted =
                    if mounted.is_empty() { "nowhere".to_owned() } else { mounted.join(", ") };
                let dir = dir.display();
                write!(
                    formatter,
                    "hugepage directory {dir}: no hugetlbfs there, allowed is a place where one is mounted (now: \
                     {mounted}); mount -t hugetlbfs none {dir}, or leave the directory out"
                )
            }
            Self::MemoryTooSmall { mib, min } => {
                write!(
                    formatter,
                    "memory without hugepages: {mib} MiB, allowed are {min} and more; 256 will do"
                )
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for EalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::SystemFile { source, .. } | Self::Affinity { source } => Some(source),
            Self::Start { cause, .. } => Some(cause),
            _ => None,
        }
    }
}
