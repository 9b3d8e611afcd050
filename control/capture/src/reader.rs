//! The reader of captures of either format.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use crate::FRAME_BYTES_MAX;
use crate::classic::{self, ClassicFormat};
use crate::error::{CaptureError, Fault, FaultKind, FaultResult, FormatProblem};
use crate::pcapng::{self, PcapngFormat};
use crate::source::ByteSource;

/// One packet of a capture; borrowed from the reader until the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Position in the capture, from 1, as Wireshark counts.
    pub number: u64,
    /// Nanoseconds since 1970-01-01 UTC. A pcapng simple packet block carries no time and has that of the packet
    /// before.
    pub time_ns: u64,
    /// Length on the wire as the file claims, in bytes. Untrusted: it may be shorter than `data` or absurdly large; use
    /// [`Packet::padded_bytes`] to pad.
    pub wire_bytes: u32,
    /// The captured bytes, [`FRAME_BYTES_MAX`] at most; fewer than `wire_bytes` where the publisher cut the frame.
    pub data: &'a [u8],
}

impl Packet<'_> {
    /// The length to pad the frame to when it is replayed: `wire_bytes`, but at least the length of `data` and at most
    /// [`FRAME_BYTES_MAX`], so that it may be allocated without further thought.
    pub fn padded_bytes(&self) -> usize {
        (self.wire_bytes as usize).min(FRAME_BYTES_MAX).max(self.data.len())
    }

    /// Whether the publisher cut the frame.
    pub fn is_cut(&self) -> bool {
        self.data.len() < self.wire_bytes as usize
    }
}

/// A record as its format gives it; `data` is a range of the reader's buffer.
pub(crate) struct Record {
    pub time_ns: u64,
    pub wire_bytes: u32,
    pub data: Range<usize>,
}

/// The format's own state.
enum Format {
    Classic(ClassicFormat),
    Pcapng(PcapngFormat),
}

/// Reads the packets of a pcap or pcapng capture in order, plain or gzip-compressed, with bounded memory.
///
/// Memory: two 64 KiB buffers, the decompressor's window, and a buffer of twice [`crate::BLOCK_BYTES_MAX`] at most. One
/// reader belongs to one thread at a time.
pub struct CaptureReader {
    name: String,
    source: ByteSource,
    format: Format,
    buffer: Vec<u8>,
    packets_read: u64,
    ended: bool,
}

impl CaptureReader {
    /// Opens the capture at `path` and reads its file header.
    ///
    /// # Errors
    /// [`CaptureError::Open`] when the file can't be opened, and whatever is wrong with its header.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let file = File::open(path)
            .map_err(|source| CaptureError::Open { file: path.to_owned(), source })?;
        Self::from_reader(path.display().to_string(), file)
    }

    /// Reads a capture from any byte stream; `name` stands for the file's name in errors.
    ///
    /// # Errors
    /// What is wrong with the capture's header.
    pub fn from_reader(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let name = name.into();
        let opened = ByteSource::new(reader)
            .map_err(|error| Fault { offset_bytes: 0, kind: FaultKind::Read(error) })
            .and_then(|mut source| {
                let format = read_header(&mut source)?;
                Ok((source, format))
            });
        match opened {
            Ok((source, format)) => {
                Ok(Self { name, source, format, buffer: Vec::new(), packets_read: 0, ended: false })
            }
            Err(fault) => Err(fault.into_error(&name, 0)),
        }
    }

    /// Returns the next packet, or `None` at the end of the capture.
    ///
    /// # Errors
    /// The first fault in the file, once; the packets before it were delivered. Every call after an error returns
    /// `None`.
    #[expect(
        clippy::should_implement_trait,
        reason = "a packet borrows the reader's buffer, which Iterator can't express"
    )]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        let next = match &mut self.format {
            Format::Classic(format) => format.next_record(&mut self.source, &mut self.buffer),
            Format::Pcapng(format) => format.next_record(&mut self.source, &mut self.buffer),
        };
        match next {
            Ok(Some(record)) => {
                self.packets_read += 1;
                Ok(Some(Packet {
                    number: self.packets_read,
                    time_ns: record.time_ns,
                    wire_bytes: record.wire_bytes,
                    data: &self.buffer[record.data],
                }))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(fault) => {
                self.ended = true;
                Err(fault.into_error(&self.name, self.packets_read))
            }
        }
    }

    /// Packets delivered so far.
    pub fn packets_read(&self) -> u64 {
        self.packets_read
    }

    /// Memory held for records and interface descriptions, in bytes, so that tests can assert the bound.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
            + match &self.format {
                Format::Classic(_) => 0,
                Format::Pcapng(format) => format.held_bytes(),
            }
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader")
            .field("name", &self.name)
            .field("packets_read", &self.packets_read)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Tells the format by the first four bytes and reads its header.
fn read_header(source: &mut ByteSource) -> FaultResult<Format> {
    let mut magic = [0u8; 4];
    if !source.read_part(&mut magic, 0, 0)? {
        return Err(Fault {
            offset_bytes: 0,
            kind: FaultKind::Truncated { needed_bytes: Some(24), found_bytes: 0 },
        });
    }
    if magic == pcapng::SECTION_HEADER_MAGIC {
        PcapngFormat::open(source).map(Format::Pcapng)
    } else if classic::MAGICS.contains(&magic) {
        ClassicFormat::open(source, magic).map(Format::Classic)
    } else {
        Err(Fault::format(0, FormatProblem::UnknownMagic { magic }))
    }
}
