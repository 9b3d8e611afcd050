//! The writer of pcapng, for frames that have more to say than their bytes: where they came in, and a comment.

use std::collections::BTreeMap;
use std::io::Write;

use crate::error::CaptureWriteError;
use crate::{FRAME_BYTES_MAX, LINK_TYPE_ETHERNET};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Option codes, each of its block.
const COMMENT: u16 = 1;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;
const INTERFACE_DROPS: u16 = 5;

/// Times in ns.
const NANOSECONDS: [u8; 1] = [9];
const INBOUND: [u8; 4] = 1_u32.to_le_bytes();
const OPTION_BYTES_MAX: usize = 1_024;

/// A frame to be written.
#[derive(Clone, Copy, Debug)]
pub struct CommentedFrame<'a> {
    /// Name of the interface where it came in; each new one is described before it.
    pub interface: &'a str,
    /// ns since 1970.
    pub time_ns: u64,
    /// Its length on the wire.
    pub frame_bytes: u32,
    /// Its first bytes.
    pub data: &'a [u8],
    /// What is to be said of it; cut at 1,024 bytes.
    pub comment: &'a str,
}

/// Writes a little-endian pcapng of one section with link type Ethernet and times in ns. A block is written at once, so that what was
/// written before an end in the middle is a whole capture.
pub struct PcapngWriter<W: Write> {
    writer: W,
    interfaces: BTreeMap<String, u32>,
    packets_written: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins with the section's header; `application` says who writes.
    ///
    /// # Errors
    /// [`CaptureWriteError::Write`].
    pub fn new(writer: W, application: &str) -> Result<Self, CaptureWriteError> {
        let mut writer = Self { writer, interfaces: BTreeMap::new(), packets_written: 0 };
        let mut content = BYTE_ORDER.to_le_bytes().to_vec();
        content.extend([1, 0, 0, 0]);
        // The section's length isn't known yet.
        content.extend(u64::MAX.to_le_bytes());
        option(&mut content, USER_APPLICATION, application.as_bytes());
        writer.block(SECTION_HEADER, content, true)?;
        Ok(writer)
    }

    /// Writes one frame, and flushes.
    ///
    /// # Errors
    /// [`CaptureWriteError::FrameTooLong`] leaves the capture as it was; after [`CaptureWriteError::Write`] its last block may be cut.
    pub fn write(&mut self, frame: &CommentedFrame<'_>) -> Result<(), CaptureWriteError> {
        let captured_bytes = frame.data.len();
        if captured_bytes > FRAME_BYTES_MAX {
            return Err(CaptureWriteError::FrameTooLong { frame_bytes: captured_bytes });
        }
        let interface = self.interface(frame.interface)?;
        let mut content = interface.to_le_bytes().to_vec();
        content.extend(time(frame.time_ns));
        content.extend((captured_bytes as u32).to_le_bytes());
        content.extend(frame.frame_bytes.max(captured_bytes as u32).to_le_bytes());
        content.extend(frame.data);
        pad(&mut content);
        option(&mut content, COMMENT, frame.comment.as_bytes());
        option(&mut content, PACKET_FLAGS, &INBOUND);
        self.block(ENHANCED_PACKET, content, true)?;
        self.packets_written += 1;
        Ok(())
    }

    /// Packets written so far.
    pub fn packets_written(&self) -> u64 {
        self.packets_written
    }

    /// Says how many frames are missing, in the statistics of the first interface if there is one, and gives the writer back.
    ///
    /// # Errors
    /// [`CaptureWriteError::Write`].
    pub fn finish(mut self, time_ns: u64, lost: u64) -> Result<W, CaptureWriteError> {
        if !self.interfaces.is_empty() {
            let mut content = 0_u32.to_le_bytes().to_vec();
            content.extend(time(time_ns));
            option(&mut content, INTERFACE_DROPS, &lost.to_le_bytes());
            self.block(INTERFACE_STATISTICS, content, true)?;
        }
        Ok(self.writer)
    }

    fn interface(&mut self, name: &str) -> Result<u32, CaptureWriteError> {
        if let Some(number) = self.interfaces.get(name) {
            return Ok(*number);
        }
        let mut content = LINK_TYPE_ETHERNET.to_le_bytes().to_vec();
        content.extend([0; 2]);
        content.extend((FRAME_BYTES_MAX as u32).to_le_bytes());
        option(&mut content, INTERFACE_NAME, name.as_bytes());
        option(&mut content, TIME_RESOLUTION, &NANOSECONDS);
        self.block(INTERFACE_DESCRIPTION, content, false)?;
        let number = self.interfaces.len() as u32;
        self.interfaces.insert(name.to_owned(), number);
        Ok(number)
    }

    /// Writes a block of which `content` has everything but the end of its options.
    fn block(
        &mut self,
        kind: u32,
        mut content: Vec<u8>,
        flush: bool,
    ) -> Result<(), CaptureWriteError> {
        content.extend([0; 4]);
        let bytes = (content.len() as u32 + 12).to_le_bytes();
        let block = [&kind.to_le_bytes()[..], &bytes, &content, &bytes].concat();
        let written = self.writer.write_all(&block);
        let written = written.and_then(|()| if flush { self.writer.flush() } else { Ok(()) });
        let packets_written = self.packets_written;
        written.map_err(|source| CaptureWriteError::Write { packets_written, source })
    }
}

/// Upper half first, each half little-endian.
fn time(time_ns: u64) -> [u8; 8] {
    let [a, b, c, d] = ((time_ns >> 32) as u32).to_le_bytes();
    let [e, f, g, h] = (time_ns as u32).to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

fn pad(content: &mut Vec<u8>) {
    content.resize(content.len().next_multiple_of(4), 0);
}

fn option(content: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(OPTION_BYTES_MAX)];
    content.extend(code.to_le_bytes());
    content.extend((value.len() as u16).to_le_bytes());
    content.extend(value);
    pad(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CaptureReader;

    #[test]
    fn what_is_written_is_read_back_whatever_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written.pcapng");
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = PcapngWriter::new(file, "loadlock 1").unwrap();
        let all: Vec<u8> = (0..=255).collect();
        let comment = "x".repeat(3_000);
        for at in 0..130 {
            let frame = CommentedFrame {
                interface: if at % 3 == 0 { "fab a" } else { "fab b" },
                time_ns: 1_790_000_000_123_456_789 + at as u64,
                frame_bytes: 1_514,
                data: &all[..at],
                comment: &comment[..at * 20],
            };
            writer.write(&frame).unwrap();
        }
        assert_eq!(writer.packets_written(), 130);
        writer.finish(1_790_000_001_000_000_000, 7).unwrap();
        let mut reader = CaptureReader::open(&path).unwrap();
        for at in 0..130 {
            let packet = reader.next().unwrap().unwrap();
            assert_eq!(packet.data, &all[..at]);
            assert_eq!(packet.time_ns, 1_790_000_000_123_456_789 + at as u64);
            assert_eq!(packet.wire_bytes, 1_514);
        }
        assert!(reader.next().unwrap().is_none());
    }
}
