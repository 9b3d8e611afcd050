//! Captures in and out: reads pcap and pcapng, plain or gzip-compressed, and writes classic pcap, or pcapng where frames have comments.
//!
//! ```text
//!   file ─► ByteSource ─► classic record ─┐
//!           (gunzip,      pcapng block ───┴─► CaptureReader::next ─► Packet { number, time_ns, wire_bytes, data }
//!            offset)
//!   (time_ns, data) ─► CaptureWriter ─► pcap, gzip-compressed where the path ends with .gz
//!   CommentedFrame ─► PcapngWriter ─► pcapng
//! ```
//!
//! What it is for: `loadlock replay`, the generator and tests read and write capture files through this crate and
//! nowhere else. What it isn't: it doesn't look into frames, and it isn't on the packet path.
//!
//! A file is untrusted input. Every length is checked against a limit before it is used, memory stays bounded by
//! [`BLOCK_BYTES_MAX`] whatever the file claims, and nothing panics. Packets before the first fault are delivered, then
//! the fault is, with file, byte offset and packet number.
//!
//! Tested by: unit tests beside the code, hand-made pcapng of both byte orders, property tests over arbitrary and
//! mutated bytes, and a count of every packet in every file of the shared captures.

#![forbid(unsafe_code)]

mod classic;
mod error;
mod pcapng;
mod pcapng_writer;
mod reader;
mod source;
mod writer;

pub use error::{CaptureError, CaptureWriteError, FormatProblem};
pub use pcapng_writer::{CommentedFrame, PcapngWriter};
pub use reader::{CaptureReader, Packet};
pub use writer::{CaptureWriter, Resolution};

/// The longest frame that is read or written, in bytes: the limit that libpcap and Wireshark use for Ethernet.
pub const FRAME_BYTES_MAX: usize = 262_144;

/// The longest pcapng block that is held in memory, in bytes: a frame of [`FRAME_BYTES_MAX`] and as much again for
/// options. Blocks of kinds this crate doesn't need are skipped unread and may be longer.
pub const BLOCK_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

/// The most interfaces one pcapng section may describe; a file with more is refused.
pub const INTERFACES_MAX: usize = 4096;

/// Link type of Ethernet in pcap and pcapng, the only one accepted (<https://www.tcpdump.org/linktypes.html>).
pub const LINK_TYPE_ETHERNET: u16 = 1;
