//! Classic pcap: one file header, then records (draft-ietf-opsawg-pcap).

use pcap_parser::{parse_pcap_frame, parse_pcap_frame_be, parse_pcap_header};

use crate::error::{Fault, FaultResult, FormatProblem};
use crate::reader::Record;
use crate::source::ByteSource;
use crate::{FRAME_BYTES_MAX, LINK_TYPE_ETHERNET};

/// Length of the file header.
const FILE_HEADER_BYTES: usize = 24;
/// Length of a record's header: seconds, fraction, captured length, original length.
const RECORD_HEADER_BYTES: usize = 16;
/// The link type's part of the header's last word; above it are FCS length and reserved bits.
const LINK_TYPE_MASK: u32 = 0xffff;

/// The four magics, as they are in the file.
pub(crate) const MAGICS: [[u8; 4]; 4] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
];

/// State of reading a classic capture.
pub(crate) struct ClassicFormat {
    big_endian: bool,
    tick_ns: i64,
}

impl ClassicFormat {
    /// Reads the file header, whose first four bytes are `magic`, one of [`MAGICS`].
    pub(crate) fn open(source: &mut ByteSource, magic: [u8; 4]) -> FaultResult<Self> {
        let mut header_bytes = [0u8; FILE_HEADER_BYTES];
        header_bytes[..4].copy_from_slice(&magic);
        source.read_part(&mut header_bytes[4..], 0, 4)?;
        let Ok((_, header)) = parse_pcap_header(&header_bytes) else {
            return Err(Fault::format(0, FormatProblem::UnknownMagic { magic }));
        };
        if header.version_major != 2 {
            return Err(Fault::format(
                0,
                FormatProblem::Version { major: header.version_major, minor: header.version_minor },
            ));
        }
        let link_type = (header.network.0 as u32 & LINK_TYPE_MASK) as u16;
        if link_type != LINK_TYPE_ETHERNET {
            return Err(Fault::format(
                0,
                FormatProblem::LinkType { interface: None, found: link_type },
            ));
        }
        Ok(Self {
            big_endian: header.is_bigendian(),
            tick_ns: if header.is_nanosecond_precision() { 1 } else { 1_000 },
        })
    }

    /// Reads the next record into `buffer`; `None` at the end of the capture.
    ///
    /// The header's snaplen isn't used: published captures state 0 or less than their frames have, and a limit that the
    /// file sets for itself protects nobody.
    pub(crate) fn next_record(
        &mut self,
        source: &mut ByteSource,
        buffer: &mut Vec<u8>,
    ) -> FaultResult<Option<Record>> {
        let start = source.offset_bytes();
        buffer.resize(RECORD_HEADER_BYTES, 0);
        if !source.read_part(&mut buffer[..], start, 0)? {
            return Ok(None);
        }
        let captured_field = [buffer[8], buffer[9], buffer[10], buffer[11]];
        let captured_bytes = if self.big_endian {
            u32::from_be_bytes(captured_field)
        } else {
            u32::from_le_bytes(captured_field)
        };
        if captured_bytes as usize > FRAME_BYTES_MAX {
            return Err(Fault::format(start, FormatProblem::FrameTooLong { captured_bytes }));
        }
        buffer.resize(RECORD_HEADER_BYTES + captured_bytes as usize, 0);
        source.read_part(&mut buffer[RECORD_HEADER_BYTES..], start, RECORD_HEADER_BYTES)?;
        let parsed =
            if self.big_endian { parse_pcap_frame_be(buffer) } else { parse_pcap_frame(buffer) };
        let Ok((_, frame)) = parsed else {
            // The buffer has the length that the header asks for, so the parser has no reason to refuse.
            return Err(Fault::format(start, FormatProblem::FrameTooLong { captured_bytes }));
        };
        Ok(Some(Record {
            time_ns: self.time_ns(frame.ts_sec, frame.ts_usec),
            wire_bytes: frame.origlen,
            data: RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + captured_bytes as usize,
        }))
    }

    /// Nanoseconds since 1970 from the record's two time fields.
    ///
    /// The fraction is read as signed: old recorders wrote a negative `tv_usec` after a clock step (as in
    /// `proto/idaholab_DHCP.pcap`), and as an unsigned number it would put the packet an hour into the future. A
    /// fraction of more than a second is carried over. Fits by construction: |fraction| < 2³¹ µs.
    fn time_ns(&self, seconds: u32, fraction: u32) -> u64 {
        let fraction_ns = i64::from(fraction as i32) * self.tick_ns;
        (u64::from(seconds) * 1_000_000_000).saturating_add_signed(fraction_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::ClassicFormat;

    #[test]
    fn a_negative_fraction_goes_back_and_a_large_one_carries_over() {
        let format = ClassicFormat { big_endian: false, tick_ns: 1_000 };
        assert_eq!(format.time_ns(10, 500), 10_000_500_000);
        assert_eq!(format.time_ns(10, (-250_000i32) as u32), 9_750_000_000);
        assert_eq!(format.time_ns(10, 1_500_000), 11_500_000_000);
        assert_eq!(format.time_ns(0, u32::MAX), 0, "never before 1970");
    }
}
