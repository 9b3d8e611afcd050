//! The load: captures with one frame a conversation and direction, and the rules that permit them.

mod frames;
mod rules;

use std::io;
use std::path::{Path, PathBuf};

use loadlock_capture::{CaptureWriter, Resolution};
use loadlock_packet::Side;

pub use frames::{frame, renumber};
pub use rules::{allowed_pairs, rules};

/// What the frames of a load are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Established TCP over IPv4 in the shortest frames Ethernet has: 60 bytes without FCS.
    Short,
    /// The same in frames of 60, 590 and 1514 bytes, 7 : 4 : 1.
    Imix,
    /// Established TCP over IPv6, 74 bytes.
    Ipv6,
    /// UDP over IPv4, 60 bytes.
    Udp,
    /// As [`Frames::Short`], of this many bytes without FCS, 60 to 1514.
    Sized(u16),
    /// As [`Frames::Short`], each client in one of 64 VLANs: 64 bytes.
    Trunk,
    /// As [`Frames::Short`], to a service that the rules don't permit.
    Denied,
    /// A SYN over IPv4 in each frame, clients on both sides: a conversation has one frame in one of the two captures.
    Opening,
}

impl Frames {
    /// In file names, tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Short => "ipv4-60",
            Self::Imix => "ipv4-imix",
            Self::Ipv6 => "ipv6-74",
            Self::Udp => "ipv4-60-udp",
            Self::Sized(_) => "ipv4-sized",
            Self::Trunk => "ipv4-64-vlan",
            Self::Denied => "ipv4-60-denied",
            Self::Opening => "ipv4-60-syn",
        }
    }

    /// Whether the conversations are in the table for IPv4.
    #[must_use]
    pub fn narrow(self) -> bool {
        self != Self::Ipv6
    }
}

/// The captures of one load.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the frames are.
    pub frames: Frames,
    /// Frames of each capture; conversations too, except with [`Frames::Opening`], which has twice as many.
    pub flows: u32,
    /// What comes in on side A.
    pub side_a: PathBuf,
    /// What comes in on side B.
    pub side_b: PathBuf,
}

impl Load {
    /// Writes both captures into `folder`.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn write(frames: Frames, flows: u32, folder: &Path) -> io::Result<Self> {
        let path = |side: &str| folder.join(format!("{}-{flows}-{side}.pcap", frames.name()));
        let load = Self { frames, flows, side_a: path("a"), side_b: path("b") };
        for (side, path) in [(Side::A, &load.side_a), (Side::B, &load.side_b)] {
            let mut writer =
                CaptureWriter::create(path, Resolution::Micro).map_err(io::Error::other)?;
            for (place, number) in scattered(flows).enumerate() {
                let frame = frames::frame(frames, number, place, side)?;
                writer.write(0, &frame).map_err(io::Error::other)?;
            }
            writer.finish().map_err(io::Error::other)?;
        }
        Ok(load)
    }

    /// Different conversations in both captures together.
    #[must_use]
    pub fn conversations(&self) -> u32 {
        if self.frames == Frames::Opening { 2 * self.flows } else { self.flows }
    }

    /// Packet buffers that a program needs which keeps both captures in memory.
    #[must_use]
    pub fn mbufs(&self) -> u32 {
        mbufs(self.flows)
    }
}

/// Packet buffers for two captures of `frames` frames each, with 40,000 for queues and caches.
#[must_use]
pub fn mbufs(frames: u32) -> u32 {
    2 * frames + 40_000
}

/// The order of the conversations in the captures: scattered, the same for both sides, so that neighbours in time aren't
/// neighbours in the table.
fn scattered(flows: u32) -> impl Iterator<Item = u32> {
    // An odd multiplier is a permutation of a power of two; numbers beyond `flows` are left out.
    let size = flows.next_power_of_two();
    (0..size).map(move |at| at.wrapping_mul(0x9e37_79b1) & (size - 1)).filter(move |&at| at < flows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_conversation_comes_once() {
        for flows in [1, 64, 4096, 5000] {
            let seen: HashSet<u32> = scattered(flows).collect();
            assert_eq!((seen.len(), scattered(flows).count()), (flows as usize, flows as usize));
        }
    }
}
