//! The bytes of a capture in order, decompressed where needed, with their offset.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Fault, FaultKind, FaultResult};

/// First two bytes of a gzip member (RFC 1952 section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Buffer of the file reader and of the decompressor's output, each.
const BUFFER_BYTES: usize = 64 * 1024;

/// A byte stream that knows how far it has been read.
///
/// gzip is told by its magic, not by the file's name, because captures are renamed more often than recompressed.
/// Several members in one file (as `bgzip` and `cat a.gz b.gz` make) count as one stream.
pub(crate) struct ByteSource {
    reader: Box<dyn Read + Send>,
    offset_bytes: u64,
}

impl ByteSource {
    /// Looks at the first bytes of `reader` and puts a decompressor before it where they ask for one.
    pub(crate) fn new(mut reader: impl Read + Send + 'static) -> io::Result<Self> {
        let mut start = [0u8; 2];
        let found = fill(&mut reader, &mut start)?;
        let stream = Cursor::new(start).take(found as u64).chain(reader);
        let stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        let reader: Box<dyn Read + Send> = if start == GZIP_MAGIC {
            let decoder = MultiGzDecoder::new(stream);
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        } else {
            Box::new(stream)
        };
        Ok(Self { reader, offset_bytes: 0 })
    }

    /// Bytes read so far, after decompression.
    pub(crate) fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Fills `buffer` and returns true, or returns false when the stream ends exactly before its first byte.
    ///
    /// `start` is the offset where the record or block begins, and `before` how many of its bytes were read already:
    /// both go into the fault when the stream ends in between. With `before` > 0, an end at the first byte is a fault
    /// too.
    pub(crate) fn read_part(
        &mut self,
        buffer: &mut [u8],
        start: u64,
        before: usize,
    ) -> FaultResult<bool> {
        let found = self.fill_at(buffer, start)?;
        if found == buffer.len() {
            return Ok(true);
        }
        if found == 0 && before == 0 {
            return Ok(false);
        }
        Err(Fault {
            offset_bytes: start,
            kind: FaultKind::Truncated {
                needed_bytes: Some((before + buffer.len()) as u64),
                found_bytes: (before + found) as u64,
            },
        })
    }

    /// Reads and forgets `count` bytes of the block that began at `start`, of which `before` bytes were read already.
    pub(crate) fn skip(&mut self, count: u64, start: u64, before: u64) -> FaultResult<()> {
        let mut scratch = [0u8; 4096];
        let mut left = count;
        while left > 0 {
            let step = left.min(scratch.len() as u64) as usize;
            let found = self.fill_at(&mut scratch[..step], start)?;
            if found < step {
                return Err(Fault {
                    offset_bytes: start,
                    kind: FaultKind::Truncated {
                        needed_bytes: Some(before + count),
                        found_bytes: before + count - left + found as u64,
                    },
                });
            }
            left -= step as u64;
        }
        Ok(())
    }

    /// Reads until `buffer` is full or the stream ends; an error is reported at `start`.
    fn fill_at(&mut self, buffer: &mut [u8], start: u64) -> FaultResult<usize> {
        match fill(&mut self.reader, buffer) {
            Ok(found) => {
                self.offset_bytes += found as u64;
                Ok(found)
            }
            // The decompressor's way to say that the compressed file is cut. At a record's boundary this must not
            // pass for a clean end, so it is a fault even when no byte of the record is there.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Fault {
                offset_bytes: start,
                kind: FaultKind::Truncated {
                    needed_bytes: None,
                    found_bytes: self.offset_bytes - start,
                },
            }),
            Err(error) => Err(Fault { offset_bytes: start, kind: FaultKind::Read(error) }),
        }
    }
}

/// Reads until `buffer` is full or the stream ends, and returns how many bytes are in it.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while found < buffer.len() {
        match reader.read(&mut buffer[found..]) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
