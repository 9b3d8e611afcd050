//! What can be wrong with a region.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::layout::{Dimensions, LAYOUT_VERSION};
use crate::region::ProcessKind;

/// Why a region can't be made or attached.
#[derive(Debug)]
pub enum RegionError {
    /// A system call failed.
    Io {
        /// What was to be done with the file.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no file: the dataplane hasn't started yet.
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file isn't an exchange.
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// Another version of the layout.
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// Too short, or not the size its header says.
    Size {
        /// Which file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What it should be, at least.
        expected: u64,
    },
    /// Dimensions no region can have.
    Dimensions {
        /// The dimensions.
        dimensions: Dimensions,
    },
    /// Made for another configuration.
    OtherConfiguration {
        /// Which file.
        path: PathBuf,
        /// What it was made for.
        found: Dimensions,
        /// What this process is configured for.
        wanted: Dimensions,
    },
    /// Another process of the same kind runs.
    Taken {
        /// Its kind.
        kind: ProcessKind,
        /// The lock it holds.
        lock: PathBuf,
    },
}

impl RegionError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, path, source } => write!(
                f,
                "exchange: can't {what} {}: {source}; `exchange.path` must lie on tmpfs or hugetlbfs with enough free memory, \
                 and be writable for this user",
                path.display()
            ),
            Self::Missing { path } => write!(
                f,
                "exchange: there is no {}; start loadlock-dataplane, or set `exchange.path` to where it makes its region",
                path.display()
            ),
            Self::Foreign { path } => write!(
                f,
                "exchange: {} isn't a Loadlock exchange; set `exchange.path` to another name, or remove the file if nothing \
                 else uses it",
                path.display()
            ),
            Self::Version { path, found } => write!(
                f,
                "exchange: {} has layout version {found}, this program has {LAYOUT_VERSION}; install the same release of \
                 loadlock and loadlock-dataplane, then restart the dataplane",
                path.display()
            ),
            Self::Size { path, bytes, expected } => write!(
                f,
                "exchange: {} has {bytes} bytes instead of {expected}; stop both processes, remove it, start the dataplane again",
                path.display()
            ),
            Self::Dimensions { dimensions } => write!(
                f,
                "exchange: no region can have {dimensions}; lower `exchange.event_ring_events` or `exchange.rule_capacity`"
            ),
            Self::OtherConfiguration { path, found, wanted } => write!(
                f,
                "exchange: {} was made for another configuration ({found}), this process has {wanted}; start both with the \
                 same file, the dataplane first",
                path.display()
            ),
            Self::Taken { kind, lock } => write!(
                f,
                "exchange: another {} runs on this exchange (it holds {}); stop it first, or give this one another \
                 `exchange.path`",
                match kind {
                    ProcessKind::Dataplane => "loadlock-dataplane",
                    ProcessKind::Control => "loadlock control",
                },
                lock.display()
            ),
        }
    }
}

impl std::error::Error for RegionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
