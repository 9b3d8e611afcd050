//! Captures per side, in two parts: what DPDK's `net_pcap` feeds into the two ports, first to learn and then to
//! enforce.

use std::fs;
use std::path::PathBuf;

use super::{CaptureFile, GenerateError, SidesOptions};
use crate::conversation::Side;
use crate::scenario::Scenario;
use crate::traffic::GeneratedPacket;

/// The four captures while they are written, part 1 before part 2 and side A before side B.
pub(super) struct SideWriter {
    boundary_ns: u64,
    captures: [CaptureFile; 4],
}

impl SideWriter {
    /// Checks the fraction, makes the folder and the captures.
    pub(super) fn open(scenario: &Scenario, options: &SidesOptions) -> Result<Self, GenerateError> {
        let found = options.split_fraction;
        if !(0.0001..=0.9999).contains(&found) {
            return Err(GenerateError::SplitFraction { found });
        }
        fs::create_dir_all(&options.folder)
            .map_err(|source| GenerateError::Write { path: options.folder.clone(), source })?;
        let capture = |name: &str| CaptureFile::create(options.folder.join(name));
        Ok(Self {
            boundary_ns: scenario.moment_ns(found),
            captures: [
                capture("side-a-1.pcap")?,
                capture("side-b-1.pcap")?,
                capture("side-a-2.pcap")?,
                capture("side-b-2.pcap")?,
            ],
        })
    }

    /// Writes a packet into the capture of its side and part.
    pub(super) fn write(&mut self, packet: &GeneratedPacket) -> Result<(), GenerateError> {
        let part = usize::from(packet.time_ns >= self.boundary_ns);
        let side = match packet.side {
            Side::A => 0,
            Side::B => 1,
        };
        self.captures[2 * part + side].write(packet)
    }

    /// Completes the captures.
    pub(super) fn finish(self) -> Result<Vec<PathBuf>, GenerateError> {
        self.captures.into_iter().map(CaptureFile::finish).collect()
    }
}
