//! What can be wrong with a capture: one enum for reading, one for writing.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::{BLOCK_BYTES_MAX, FRAME_BYTES_MAX, INTERFACES_MAX};

/// A capture couldn't be opened or read to its end.
///
/// Offsets count bytes from the start of the capture, after decompression where the file is gzip-compressed, and name
/// the start of the record or block at fault. `packets_read` packets before it were delivered and are good.
#[derive(Debug)]
pub enum CaptureError {
    /// The file can't be opened.
    Open {
        /// The path as given.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system or the decompressor failed in the middle of the file.
    Read {
        /// Name of the capture.
        file: String,
        /// Where the record or block at fault begins.
        offset_bytes: u64,
        /// Packets delivered before the fault.
        packets_read: u64,
        /// What the system or the decompressor said.
        source: io::Error,
    },
    /// The capture ends within a header, record or block.
    Truncated {
        /// Name of the capture.
        file: String,
        /// Where the cut record or block begins.
        offset_bytes: u64,
        /// Packets delivered before the cut one.
        packets_read: u64,
        /// Bytes that the cut part should have, as far as its own header says; `None` when the gzip stream is cut.
        needed_bytes: Option<u64>,
        /// Bytes that are there.
        found_bytes: u64,
    },
    /// The bytes aren't what the format allows, or are a kind of capture that isn't supported.
    Format {
        /// Name of the capture.
        file: String,
        /// Where the record or block at fault begins.
        offset_bytes: u64,
        /// Packets delivered before the fault.
        packets_read: u64,
        /// What is wrong.
        problem: FormatProblem,
    },
}

/// What exactly is wrong in a capture whose bytes could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatProblem {
    /// The first four bytes are neither pcap's nor pcapng's.
    UnknownMagic {
        /// The bytes found.
        magic: [u8; 4],
    },
    /// The version isn't pcap 2.x or pcapng 1.x.
    Version {
        /// Major version found.
        major: u16,
        /// Minor version found.
        minor: u16,
    },
    /// The frames aren't Ethernet frames.
    LinkType {
        /// pcapng: the interface the packet belongs to. Classic pcap has only one and no number for it.
        interface: Option<u32>,
        /// Link type found.
        found: u16,
    },
    /// A record claims more captured bytes than a frame may have.
    FrameTooLong {
        /// Captured length claimed by the record.
        captured_bytes: u32,
    },
    /// A section header's byte-order magic is neither byte order's.
    ByteOrder {
        /// The four bytes found.
        magic: [u8; 4],
    },
    /// A block's length is impossible for its kind.
    BlockLength {
        /// Block type.
        block_type: u32,
        /// Length claimed.
        found_bytes: u32,
    },
    /// A block's length at its end differs from the one at its start.
    BlockLengthsDiffer {
        /// Block type.
        block_type: u32,
        /// Length at the start.
        first_bytes: u32,
        /// Length at the end.
        last_bytes: u32,
    },
    /// A block's fields don't fit within the block.
    BlockContent {
        /// Block type.
        block_type: u32,
    },
    /// A packet belongs to an interface that no block has described.
    UnknownInterface {
        /// Interface named by the packet.
        interface: u32,
        /// Interfaces described so far in this section.
        described: usize,
    },
    /// A section describes more interfaces than [`INTERFACES_MAX`].
    TooManyInterfaces,
    /// An interface's `if_tsresol` is finer than 64 bits can count.
    TimeResolution {
        /// Interface, counted from 0.
        interface: usize,
        /// Value found.
        found: u8,
    },
    /// A packet's time lies before 1970 or beyond what 64 bits of nanoseconds hold (the year 2554).
    TimeOutOfRange {
        /// Ticks since the interface's zero, as in the file.
        ticks: u64,
    },
    /// The packet is in a block type that pcapng gave up (type 2); skipping it would lose packets without a word.
    ObsoletePacketBlock,
}

/// Result of reading, before file name and packet count are known.
pub(crate) type FaultResult<T> = Result<T, Fault>;

/// A fault and where it is; [`crate::CaptureReader`] adds the file's name and the packet count.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Start of the record or block at fault.
    pub offset_bytes: u64,
    /// What happened.
    pub kind: FaultKind,
}

/// The three ways reading fails; they become the variants of [`CaptureError`].
#[derive(Debug)]
pub(crate) enum FaultKind {
    Read(io::Error),
    Truncated { needed_bytes: Option<u64>, found_bytes: u64 },
    Format(FormatProblem),
}

impl Fault {
    /// A fault of format at `offset_bytes`.
    pub(crate) fn format(offset_bytes: u64, problem: FormatProblem) -> Self {
        Self { offset_bytes, kind: FaultKind::Format(problem) }
    }

    /// Adds what only the reader knows.
    pub(crate) fn into_error(self, file: &str, packets_read: u64) -> CaptureError {
        let (file, offset_bytes) = (file.to_owned(), self.offset_bytes);
        match self.kind {
            FaultKind::Read(source) => {
                CaptureError::Read { file, offset_bytes, packets_read, source }
            }
            FaultKind::Truncated { needed_bytes, found_bytes } => CaptureError::Truncated {
                file,
                offset_bytes,
                packets_read,
                needed_bytes,
                found_bytes,
            },
            FaultKind::Format(problem) => {
                CaptureError::Format { file, offset_bytes, packets_read, problem }
            }
        }
    }
}

impl CaptureError {
    /// Packets that were delivered before the fault; 0 when the capture couldn't be opened.
    pub fn packets_read(&self) -> u64 {
        match self {
            Self::Open { .. } => 0,
            Self::Read { packets_read, .. }
            | Self::Truncated { packets_read, .. }
            | Self::Format { packets_read, .. } => *packets_read,
        }
    }

    /// Whether the capture merely ends too early, as one does whose recorder was killed.
    pub fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { file, .. } => write!(
                f,
                "capture {}: can't be opened; check the path and the read permission",
                file.display()
            ),
            Self::Read { file, offset_bytes, packets_read, .. } => write!(
                f,
                "capture {file}: reading failed at byte {offset_bytes}, after {packets_read} good packets; check the \
                 disk, or `gzip -t` where the file is compressed"
            ),
            Self::Truncated { file, offset_bytes, packets_read, needed_bytes, found_bytes } => {
                write!(f, "capture {file}: ends early at byte {offset_bytes}: ")?;
                match needed_bytes {
                    Some(needed) => write!(f, "{found_bytes} bytes are there of {needed}")?,
                    None => write!(f, "the gzip stream is cut")?,
                }
                write!(
                    f,
                    "; the {packets_read} packets before are good: copy the file again, or keep those (`editcap -r`)"
                )
            }
            Self::Format { file, offset_bytes, packets_read, problem } => write!(
                f,
                "capture {file}: at byte {offset_bytes}, after {packets_read} good packets: {problem}"
            ),
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => Some(source),
            Self::Truncated { .. } | Self::Format { .. } => None,
        }
    }
}

impl fmt::Display for FormatProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_finding(f)?;
        write!(f, "; {}", self.next_step())
    }
}

impl FormatProblem {
    /// What was found and what is allowed.
    fn fmt_finding(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownMagic { magic } => write!(
                f,
                "starts with {magic:02x?}, which is neither pcap (d4 c3 b2 a1, 4d 3c b2 a1, or reversed) nor pcapng"
            ),
            Self::Version { major, minor } => {
                write!(f, "version {major}.{minor}; allowed are pcap 2.x and pcapng 1.x")
            }
            Self::LinkType { interface, found } => fmt_link_type(f, *interface, *found),
            Self::FrameTooLong { captured_bytes } => {
                write!(f, "a frame of {captured_bytes} bytes; allowed are {FRAME_BYTES_MAX}")
            }
            Self::ByteOrder { magic } => {
                write!(f, "byte-order magic {magic:02x?}; allowed is 1a 2b 3c 4d or reversed")
            }
            Self::BlockLength { block_type, found_bytes } => write!(
                f,
                "block type {block_type:#x} of {found_bytes} bytes; allowed are multiples of 4, from the block's fixed \
                 fields to {BLOCK_BYTES_MAX}"
            ),
            Self::BlockLengthsDiffer { block_type, first_bytes: first, last_bytes: last } => {
                write!(
                    f,
                    "block type {block_type:#x} says {first} bytes at its start, {last} at its end"
                )
            }
            Self::BlockContent { block_type } => {
                write!(f, "fields of block type {block_type:#x} reach beyond the block")
            }
            Self::UnknownInterface { interface, described } => {
                write!(
                    f,
                    "a packet of interface {interface}, where {described} are described, counted from 0"
                )
            }
            Self::TooManyInterfaces => {
                write!(f, "more than {INTERFACES_MAX} interfaces in one section")
            }
            Self::TimeResolution { interface, found } => write!(
                f,
                "if_tsresol {found:#x} of interface {interface}; allowed are 0 to 0x13 and 0x80 to 0xbf"
            ),
            Self::TimeOutOfRange { ticks } => {
                write!(f, "a time of {ticks} ticks, before 1970 or after 2554")
            }
            Self::ObsoletePacketBlock => write!(f, "a packet block of the obsolete type 2"),
        }
    }

    /// What to do about it.
    fn next_step(&self) -> &'static str {
        match self {
            Self::UnknownMagic { .. }
            | Self::Version { .. }
            | Self::TimeResolution { .. }
            | Self::ObsoletePacketBlock => "convert the file with `editcap -F pcap`",
            Self::LinkType { .. } => "capture on an Ethernet port, not on `any`",
            Self::TooManyInterfaces => "split the file by interface",
            Self::TimeOutOfRange { .. } => "correct the times with `editcap -t`",
            Self::FrameTooLong { .. }
            | Self::ByteOrder { .. }
            | Self::BlockLength { .. }
            | Self::BlockLengthsDiffer { .. }
            | Self::BlockContent { .. }
            | Self::UnknownInterface { .. } => {
                "the file is damaged here: copy it again, or keep the packets before (`editcap -r`)"
            }
        }
    }
}

/// The link type found and, in pcapng, whose it is.
fn fmt_link_type(f: &mut fmt::Formatter<'_>, interface: Option<u32>, found: u16) -> fmt::Result {
    write!(f, "link type {found} ({})", link_type_name(found))?;
    if let Some(interface) = interface {
        write!(f, " of interface {interface}")?;
    }
    write!(f, "; allowed is 1 (Ethernet)")
}

/// The name of the link types people meet in practice (<https://www.tcpdump.org/linktypes.html>).
fn link_type_name(link_type: u16) -> &'static str {
    match link_type {
        0 => "BSD loopback",
        9 => "PPP",
        12 | 14 | 101 => "raw IP",
        105 => "802.11",
        113 => "Linux cooked capture, of interface `any`",
        127 => "802.11 with radiotap",
        195 | 230 => "802.15.4",
        220 => "USB",
        276 => "Linux cooked capture v2, of interface `any`",
        _ => "unnamed here, see tcpdump.org/linktypes.html",
    }
}

/// A capture couldn't be written.
#[derive(Debug)]
pub enum CaptureWriteError {
    /// The file can't be created.
    Create {
        /// The path as given.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed.
    Write {
        /// Packets handed over before.
        packets_written: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The frame is longer than [`FRAME_BYTES_MAX`].
    FrameTooLong {
        /// Length of the frame.
        frame_bytes: usize,
    },
    /// Classic pcap holds 32 bits of seconds, until 2106-02-07.
    TimeOutOfRange {
        /// The time given.
        time_ns: u64,
    },
}

impl fmt::Display for CaptureWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { file, .. } => write!(
                f,
                "capture {}: can't be created; check that the folder exists and may be written",
                file.display()
            ),
            Self::Write { packets_written, .. } => write!(
                f,
                "writing the capture failed after {packets_written} packets; check the free space"
            ),
            Self::FrameTooLong { frame_bytes } => write!(
                f,
                "a frame of {frame_bytes} bytes can't be written, {FRAME_BYTES_MAX} is the most; split it"
            ),
            Self::TimeOutOfRange { time_ns } => write!(
                f,
                "time {time_ns} ns is beyond 2106-02-07, the last day classic pcap can hold; use an earlier time"
            ),
        }
    }
}

impl std::error::Error for CaptureWriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Create { source, .. } | Self::Write { source, .. } => Some(source),
            Self::FrameTooLong { .. } | Self::TimeOutOfRange { .. } => None,
        }
    }
}
