//! Whether a capture file is one that net_pcap can read: classic pcap, Ethernet, with whole headers.
//!
//! Looked at before DPDK is, because net_pcap answers every fault with one "Couldn't open", and takes a capture of
//! another link type for Ethernet. Format: draft-ietf-opsawg-pcap, section 4.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// File header of classic pcap.
const FILE_HEADER_BYTES: usize = 24;
/// Header of one record.
const RECORD_HEADER_BYTES: usize = 16;
/// `LINKTYPE_ETHERNET`.
const LINK_TYPE_ETHERNET: u32 = 1;

/// What is wrong with a capture file.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureProblem {
    /// There is no such file.
    Missing,
    /// It is a folder, pipe or device.
    NotAFile,
    /// It can't be read.
    Unreadable {
        /// What the system said.
        source: io::Error,
    },
    /// It has no byte.
    Empty,
    /// It ends within the file header or the first record's header.
    Truncated {
        /// Its length.
        bytes: usize,
    },
    /// It is in the newer pcapng format.
    Pcapng,
    /// It is compressed.
    Compressed {
        /// The compression's tool.
        tool: &'static str,
    },
    /// It begins like no format known here.
    UnknownFormat {
        /// Its first four bytes.
        magic: [u8; 4],
    },
    /// Its frames aren't Ethernet.
    NotEthernet {
        /// The link type in its header.
        link_type: u32,
    },
    /// It holds no frame, and is to be repeated for ever.
    NoFrames,
}

impl fmt::Display for CaptureProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no such file"),
            Self::NotAFile => formatter.write_str("not a regular file"),
            Self::Unreadable { source } => write!(formatter, "can't be read: {source}"),
            Self::Empty => formatter.write_str("the file is empty"),
            Self::Truncated { bytes } => {
                write!(formatter, "the file is cut off after {bytes} bytes, within its headers")
            }
            Self::Pcapng => formatter.write_str("the file is pcapng, net_pcap needs classic pcap"),
            Self::Compressed { tool } => write!(formatter, "the file is compressed with {tool}"),
            Self::UnknownFormat { magic } => {
                let [a, b, c, d] = magic;
                write!(
                    formatter,
                    "not a classic pcap file, it begins with bytes {a:02x} {b:02x} {c:02x} {d:02x}"
                )
            }
            Self::NotEthernet { link_type } => write!(
                formatter,
                "the capture's link type is {link_type}, only Ethernet (1) can be forwarded"
            ),
            Self::NoFrames => {
                formatter.write_str("the capture has no frame, so infinite_rx has none to repeat")
            }
        }
    }
}

impl Error for CaptureProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { source } => Some(source),
            _ => None,
        }
    }
}

impl CaptureProblem {
    /// What the operator should do, as a sentence.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::Missing => {
                "correct the path (a relative one counts from the folder of the configuration file), or put the file there."
            }
            Self::NotAFile => "name a capture file.",
            Self::Unreadable { .. } => "let this user read the file.",
            Self::Empty | Self::Truncated { .. } => "copy or record the capture again.",
            Self::Pcapng => "convert it: editcap -F pcap IN.pcapng OUT.pcap",
            Self::Compressed { tool: "gzip" } => "unpack it: gunzip FILE",
            Self::Compressed { .. } => "unpack it: unzstd FILE",
            Self::UnknownFormat { .. } => {
                "name a capture in classic pcap format (tcpdump -w writes it)."
            }
            Self::NotEthernet { .. } => {
                "record on an Ethernet interface; captures of \"any\", of loopback or of raw IP don't serve."
            }
            Self::NoFrames => "name a capture with frames, or delete infinite_rx.",
        }
    }
}

/// Checks the headers of a capture file; `is_endless` if it is to be repeated, which takes a frame.
pub(crate) fn check(path: &Path, is_endless: bool) -> Result<(), CaptureProblem> {
    // Opening a pipe would wait for a writer, so look before.
    let metadata = std::fs::metadata(path).map_err(from_io)?;
    if !metadata.is_file() {
        return Err(CaptureProblem::NotAFile);
    }
    let mut head = Vec::new();
    let head_bytes = (FILE_HEADER_BYTES + RECORD_HEADER_BYTES) as u64;
    let file = File::open(path).map_err(from_io)?;
    file.take(head_bytes).read_to_end(&mut head).map_err(from_io)?;
    check_head(&head, is_endless)
}

fn from_io(source: io::Error) -> CaptureProblem {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => CaptureProblem::Missing,
        _ => CaptureProblem::Unreadable { source },
    }
}

/// Checks the first 40 bytes of a file, or fewer if it is shorter.
fn check_head(head: &[u8], is_endless: bool) -> Result<(), CaptureProblem> {
    let truncated = CaptureProblem::Truncated { bytes: head.len() };
    if head.is_empty() {
        return Err(CaptureProblem::Empty);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Err(CaptureProblem::Compressed { tool: "gzip" });
    }
    let Some(magic) = head.first_chunk::<4>() else {
        return Err(truncated);
    };
    let is_big_endian = match magic {
        // Microseconds, then nanoseconds.
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => true,
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => false,
        [0x0a, 0x0d, 0x0d, 0x0a] => return Err(CaptureProblem::Pcapng),
        [0x28, 0xb5, 0x2f, 0xfd] => return Err(CaptureProblem::Compressed { tool: "zstd" }),
        _ => return Err(CaptureProblem::UnknownFormat { magic: *magic }),
    };
    let Some(link_type) = head.get(20..24).and_then(|bytes| bytes.first_chunk::<4>()) else {
        return Err(truncated);
    };
    let link_type =
        if is_big_endian { u32::from_be_bytes(*link_type) } else { u32::from_le_bytes(*link_type) };
    // The upper bits hold the length of the frame check sequence.
    if link_type & 0x0fff_ffff != LINK_TYPE_ETHERNET {
        return Err(CaptureProblem::NotEthernet { link_type });
    }
    match head.len() - FILE_HEADER_BYTES {
        0 if is_endless => Err(CaptureProblem::NoFrames),
        0 | RECORD_HEADER_BYTES => Ok(()),
        _ => Err(truncated),
    }
}
