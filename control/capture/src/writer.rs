//! The writer of classic pcap.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::CaptureWriteError;
use crate::{FRAME_BYTES_MAX, LINK_TYPE_ETHERNET};

/// Resolution of the times in a written capture; what is finer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds: read by everything, DPDK's `net_pcap` included.
    Micro,
    /// Nanoseconds: read by libpcap 1.5 and later.
    Nano,
}

/// Where the bytes go.
enum Sink<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
}

/// Writes a little-endian pcap with link type Ethernet.
///
/// Same packets in, same bytes out, compressed or not: no clock and no file name goes into the output. Call
/// [`CaptureWriter::finish`]: a writer that is merely dropped may leave a cut file, and nobody is told.
pub struct CaptureWriter<W: Write> {
    sink: Sink<W>,
    resolution: Resolution,
    packets_written: u64,
}

impl CaptureWriter<BufWriter<File>> {
    /// Creates the file at `path`, gzip-compressed where the path ends with `.gz`; an existing file is replaced.
    ///
    /// # Errors
    /// [`CaptureWriteError::Create`] when the file can't be created, [`CaptureWriteError::Write`] when its header
    /// can't be written.
    pub fn create(path: &Path, resolution: Resolution) -> Result<Self, CaptureWriteError> {
        let file = File::create(path)
            .map_err(|source| CaptureWriteError::Create { file: path.to_owned(), source })?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        let sink = if path.extension() == Some(OsStr::new("gz")) {
            Sink::Gzip(GzEncoder::new(file, Compression::default()))
        } else {
            Sink::Plain(file)
        };
        Self::begin(sink, resolution)
    }
}

impl<W: Write> CaptureWriter<W> {
    /// Writes an uncompressed capture to `writer`; give it a buffered one.
    ///
    /// # Errors
    /// [`CaptureWriteError::Write`] when the header can't be written.
    pub fn new(writer: W, resolution: Resolution) -> Result<Self, CaptureWriteError> {
        Self::begin(Sink::Plain(writer), resolution)
    }

    /// Writes one frame with its time in nanoseconds since 1970; its length on the wire is that of `data`.
    ///
    /// # Errors
    /// [`CaptureWriteError::FrameTooLong`] and [`CaptureWriteError::TimeOutOfRange`] leave the capture as it was; after
    /// [`CaptureWriteError::Write`] it is to be thrown away.
    pub fn write(&mut self, time_ns: u64, data: &[u8]) -> Result<(), CaptureWriteError> {
        if data.len() > FRAME_BYTES_MAX {
            return Err(CaptureWriteError::FrameTooLong { frame_bytes: data.len() });
        }
        let seconds = u32::try_from(time_ns / 1_000_000_000)
            .map_err(|_| CaptureWriteError::TimeOutOfRange { time_ns })?;
        let fraction_ns = (time_ns % 1_000_000_000) as u32;
        let fraction = match self.resolution {
            Resolution::Micro => fraction_ns / 1_000,
            Resolution::Nano => fraction_ns,
        };
        let frame_bytes = data.len() as u32;
        let mut header = [0u8; 16];
        for (field, value) in
            header.chunks_exact_mut(4).zip([seconds, fraction, frame_bytes, frame_bytes])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.put(&header)?;
        self.put(data)?;
        self.packets_written += 1;
        Ok(())
    }

    /// Packets written so far.
    pub fn packets_written(&self) -> u64 {
        self.packets_written
    }

    /// Completes the capture, flushes, and gives the inner writer back.
    ///
    /// # Errors
    /// [`CaptureWriteError::Write`] when the last bytes can't be written; the capture is then to be thrown away.
    pub fn finish(self) -> Result<W, CaptureWriteError> {
        let packets_written = self.packets_written;
        let finished = match self.sink {
            Sink::Plain(writer) => Ok(writer),
            Sink::Gzip(encoder) => encoder.finish(),
        };
        finished
            .and_then(|mut writer| writer.flush().map(|()| writer))
            .map_err(|source| CaptureWriteError::Write { packets_written, source })
    }

    /// Writes the file header.
    fn begin(sink: Sink<W>, resolution: Resolution) -> Result<Self, CaptureWriteError> {
        let magic: u32 = match resolution {
            Resolution::Micro => 0xa1b2_c3d4,
            Resolution::Nano => 0xa1b2_3c4d,
        };
        let mut header = [0u8; 24];
        header[0..4].copy_from_slice(&magic.to_le_bytes());
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&(FRAME_BYTES_MAX as u32).to_le_bytes());
        header[20..24].copy_from_slice(&u32::from(LINK_TYPE_ETHERNET).to_le_bytes());
        let mut writer = Self { sink, resolution, packets_written: 0 };
        writer.put(&header)?;
        Ok(writer)
    }

    /// Writes raw bytes.
    fn put(&mut self, bytes: &[u8]) -> Result<(), CaptureWriteError> {
        let written: io::Result<()> = match &mut self.sink {
            Sink::Plain(writer) => writer.write_all(bytes),
            Sink::Gzip(encoder) => encoder.write_all(bytes),
        };
        written.map_err(|source| CaptureWriteError::Write {
            packets_written: self.packets_written,
            source,
        })
    }
}
