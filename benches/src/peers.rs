//! The programs that Loadlock is compared with.

use std::io;
use std::path::Path;

use clap::ValueEnum;

use crate::load::Load;
use crate::report::{MACSWAP, Run};
use crate::{ovs, testpmd};

/// One program in one of its ways to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// testpmd that swaps the MAC addresses: it touches each header, which makes it the practical limit.
    Macswap,
    /// testpmd that looks at nothing.
    Io,
    /// OVS-DPDK that forwards from port to port.
    OvsPortToPort,
    /// OVS-DPDK with an exact rule for each pair of hosts and direction.
    OvsRules,
    /// OVS-DPDK with the allowlist for new connections, and connection tracking.
    OvsConntrack,
}

impl Peer {
    /// All, in the order of tables.
    pub const ALL: [Self; 5] =
        [Self::Macswap, Self::Io, Self::OvsPortToPort, Self::OvsRules, Self::OvsConntrack];

    /// In tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Macswap => MACSWAP,
            Self::Io => "testpmd io",
            Self::OvsPortToPort => "OVS-DPDK port to port",
            Self::OvsRules => "OVS-DPDK exact rules",
            Self::OvsConntrack => "OVS-DPDK conntrack allowlist",
        }
    }

    /// Why it can't take part, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let (installed, package) = match self {
            Self::Macswap | Self::Io => (testpmd::installed(), "dpdk"),
            _ => (ovs::installed(), "openvswitch-switch-dpdk"),
        };
        let name = self.name();
        (!installed)
            .then(|| format!("{name} isn't installed and is skipped: apt-get install {package}"))
    }

    /// Why it can't keep two captures of `frames` frames each in memory, if so.
    #[must_use]
    pub fn too_small(self, frames: u32) -> Option<String> {
        let fits = matches!(self, Self::Macswap | Self::Io) || 2 * frames <= ovs::FRAMES_MAX;
        (!fits).then(|| {
            format!(
                "{} is skipped at {frames} flows: its packet buffers don't hold them",
                self.name()
            )
        })
    }

    /// Runs it for `seconds` and returns the packets per second of both ports together.
    ///
    /// # Errors
    /// It can't start or prints no figures.
    pub fn run(self, load: &Load, seconds: u32, folder: &Path) -> io::Result<Run> {
        match self {
            Self::Macswap => testpmd::run("macswap", load, seconds, folder),
            Self::Io => testpmd::run("io", load, seconds, folder),
            Self::OvsPortToPort => ovs::run(ovs::Rules::PortToPort, load, seconds, folder),
            Self::OvsRules => ovs::run(ovs::Rules::Exact, load, seconds, folder),
            Self::OvsConntrack => ovs::run(ovs::Rules::Conntrack, load, seconds, folder),
        }
    }
}
