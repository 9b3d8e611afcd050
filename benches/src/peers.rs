//! The programs that Loadlock is compared with.

use std::io;
use std::path::Path;

use crate::load::Load;
use crate::report::MACSWAP;
use crate::testpmd;

/// One program in one of its ways to forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// testpmd that swaps the MAC addresses: it touches each header, which makes it the practical limit.
    Macswap,
    /// testpmd that looks at nothing.
    Io,
}

impl Peer {
    /// All, in the order of tables.
    pub const ALL: [Self; 2] = [Self::Macswap, Self::Io];

    /// In tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Macswap => MACSWAP,
            Self::Io => "testpmd io",
        }
    }

    /// The program, and Debian's package that has it.
    fn program(self) -> (&'static str, &'static str) {
        (testpmd::PROGRAM, "dpdk")
    }

    /// Why it can't take part, if so.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        let (program, package) = self.program();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        (!found).then(|| {
            format!("{} is skipped: there is no {program}; apt-get install {package}", self.name())
        })
    }

    /// Whether it can keep captures of so many frames in memory.
    #[must_use]
    pub fn holds(self, _flows: u32) -> bool {
        true
    }

    /// Runs it for `seconds` and returns the packets per second of both ports together.
    ///
    /// # Errors
    /// It can't start or prints no figures.
    pub fn run(self, load: &Load, seconds: u32, folder: &Path) -> io::Result<f64> {
        match self {
            Self::Macswap => testpmd::run("macswap", load, seconds, folder),
            Self::Io => testpmd::run("io", load, seconds, folder),
        }
    }
}
