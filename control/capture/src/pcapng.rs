//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng).
//!
//! This module frames the blocks (type, length, bounds) and `pcap-parser` decodes those that are kept: section header,
//! interface description, enhanced and simple packet. All others are skipped without being held.

use pcap_parser::{
    EPB_MAGIC, IDB_MAGIC, InterfaceDescriptionBlock, OptionCode, SHB_MAGIC, SPB_MAGIC,
    parse_enhancedpacketblock_be, parse_enhancedpacketblock_le, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_sectionheaderblock, parse_simplepacketblock_be,
    parse_simplepacketblock_le,
};

use crate::error::{Fault, FaultResult, FormatProblem};
use crate::reader::Record;
use crate::source::ByteSource;
use crate::{BLOCK_BYTES_MAX, FRAME_BYTES_MAX, INTERFACES_MAX, LINK_TYPE_ETHERNET};

/// A section header's block type, the same in both byte orders.
pub(crate) const SECTION_HEADER_MAGIC: [u8; 4] = SHB_MAGIC.to_be_bytes();
/// The byte-order magic in a big-endian section.
const BYTE_ORDER_BIG: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];
/// The byte-order magic in a little-endian section.
const BYTE_ORDER_LITTLE: [u8; 4] = [0x4d, 0x3c, 0x2b, 0x1a];
/// Block type of the packet block that pcapng gave up.
const OBSOLETE_PACKET_BLOCK: u32 = 2;
/// Block type and length, before every block's content.
const BLOCK_HEADER_BYTES: usize = 8;
/// A block without content: type, length, length.
const BLOCK_BYTES_MIN: u32 = 12;
/// Where an enhanced packet block's frame begins.
const ENHANCED_DATA_OFFSET: usize = 28;
/// Where a simple packet block's frame begins.
const SIMPLE_DATA_OFFSET: usize = 12;

/// What one interface description block says.
struct Interface {
    link_type: u16,
    /// Longest frame recorded, 0 for no limit; needed for simple packet blocks.
    snap_bytes: u32,
    ticks_per_second: u64,
    offset_s: i64,
}

/// State of reading a pcapng capture.
pub(crate) struct PcapngFormat {
    big_endian: bool,
    interfaces: Vec<Interface>,
    last_time_ns: u64,
}

impl PcapngFormat {
    /// Reads the first section header, whose block type has been read already.
    pub(crate) fn open(source: &mut ByteSource) -> FaultResult<Self> {
        let mut format = Self { big_endian: false, interfaces: Vec::new(), last_time_ns: 0 };
        let mut buffer = vec![0u8; BLOCK_HEADER_BYTES];
        buffer[..4].copy_from_slice(&SECTION_HEADER_MAGIC);
        source.read_part(&mut buffer[4..], 0, 4)?;
        format.begin_section(source, &mut buffer, 0)?;
        Ok(format)
    }

    /// Reads blocks up to and with the next packet, into `buffer`; `None` at the end of the capture.
    pub(crate) fn next_record(
        &mut self,
        source: &mut ByteSource,
        buffer: &mut Vec<u8>,
    ) -> FaultResult<Option<Record>> {
        loop {
            let start = source.offset_bytes();
            buffer.resize(BLOCK_HEADER_BYTES, 0);
            if !source.read_part(&mut buffer[..], start, 0)? {
                return Ok(None);
            }
            match self.word(buffer, 0) {
                SHB_MAGIC => self.begin_section(source, buffer, start)?,
                IDB_MAGIC => {
                    self.read_block(source, buffer, start, 20)?;
                    self.add_interface(buffer, start)?;
                }
                EPB_MAGIC => {
                    self.read_block(source, buffer, start, 32)?;
                    return self.enhanced_packet(buffer, start).map(Some);
                }
                SPB_MAGIC => {
                    self.read_block(source, buffer, start, 16)?;
                    return self.simple_packet(buffer, start).map(Some);
                }
                OBSOLETE_PACKET_BLOCK => {
                    return Err(Fault::format(start, FormatProblem::ObsoletePacketBlock));
                }
                _ => self.skip_block(source, buffer, start)?,
            }
        }
    }

    /// Memory held for interface descriptions, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.interfaces.capacity() * size_of::<Interface>()
    }

    /// Reads the rest of a section header; interfaces of the section before are forgotten.
    fn begin_section(
        &mut self,
        source: &mut ByteSource,
        buffer: &mut Vec<u8>,
        start: u64,
    ) -> FaultResult<()> {
        let mut magic = [0u8; 4];
        source.read_part(&mut magic, start, BLOCK_HEADER_BYTES)?;
        self.big_endian = match magic {
            BYTE_ORDER_BIG => true,
            BYTE_ORDER_LITTLE => false,
            _ => return Err(Fault::format(start, FormatProblem::ByteOrder { magic })),
        };
        buffer.extend_from_slice(&magic);
        self.read_block(source, buffer, start, 28)?;
        let Ok((_, header)) = parse_sectionheaderblock(buffer) else {
            return Err(content_fault(start, SHB_MAGIC));
        };
        if header.major_version != 1 {
            return Err(Fault::format(
                start,
                FormatProblem::Version { major: header.major_version, minor: header.minor_version },
            ));
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Reads the rest of the block whose first bytes are in `buffer`, after its length is found possible.
    fn read_block(
        &self,
        source: &mut ByteSource,
        buffer: &mut Vec<u8>,
        start: u64,
        bytes_min: u32,
    ) -> FaultResult<()> {
        let block_type = self.word(buffer, 0);
        let length = self.word(buffer, 4);
        if length < bytes_min || !length.is_multiple_of(4) || length as usize > BLOCK_BYTES_MAX {
            return Err(Fault::format(
                start,
                FormatProblem::BlockLength { block_type, found_bytes: length },
            ));
        }
        let before = buffer.len();
        buffer.resize(length as usize, 0);
        source.read_part(&mut buffer[before..], start, before)?;
        check_lengths(start, block_type, length, self.word(buffer, length as usize - 4))
    }

    /// Skips the rest of a block of a kind that isn't needed, however long.
    fn skip_block(
        &self,
        source: &mut ByteSource,
        buffer: &mut [u8],
        start: u64,
    ) -> FaultResult<()> {
        let block_type = self.word(buffer, 0);
        let length = self.word(buffer, 4);
        if length < BLOCK_BYTES_MIN || !length.is_multiple_of(4) {
            return Err(Fault::format(
                start,
                FormatProblem::BlockLength { block_type, found_bytes: length },
            ));
        }
        let content_bytes = u64::from(length - BLOCK_BYTES_MIN);
        source.skip(content_bytes, start, BLOCK_HEADER_BYTES as u64)?;
        source.read_part(&mut buffer[..4], start, length as usize - 4)?;
        check_lengths(start, block_type, length, self.word(buffer, 0))
    }

    /// Keeps what an interface description block says.
    fn add_interface(&mut self, block: &[u8], start: u64) -> FaultResult<()> {
        let parsed = if self.big_endian {
            parse_interfacedescriptionblock_be(block)
        } else {
            parse_interfacedescriptionblock_le(block)
        };
        let Ok((_, description)) = parsed else {
            return Err(content_fault(start, IDB_MAGIC));
        };
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(Fault::format(start, FormatProblem::TooManyInterfaces));
        }
        let resolution = description.if_tsresol;
        let ticks_per_second = ticks_per_second(resolution).ok_or_else(|| {
            Fault::format(
                start,
                FormatProblem::TimeResolution {
                    interface: self.interfaces.len(),
                    found: resolution,
                },
            )
        })?;
        self.interfaces.push(Interface {
            link_type: description.linktype.0 as u16,
            snap_bytes: description.snaplen,
            ticks_per_second,
            offset_s: self.time_offset_s(&description),
        });
        Ok(())
    }

    /// The `if_tsoffset` option. pcap-parser's own field of this name takes it for little-endian in every file.
    fn time_offset_s(&self, description: &InterfaceDescriptionBlock<'_>) -> i64 {
        let option =
            description.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
        let Some(Ok(&value)) = option.map(|option| <&[u8; 8]>::try_from(option.value())) else {
            return 0;
        };
        if self.big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) }
    }

    /// The record in an enhanced packet block.
    fn enhanced_packet(&mut self, block: &[u8], start: u64) -> FaultResult<Record> {
        // Before the parser, which says for every fault only that there is one.
        let captured_bytes = self.word(block, 20);
        if captured_bytes as usize > FRAME_BYTES_MAX {
            return Err(Fault::format(start, FormatProblem::FrameTooLong { captured_bytes }));
        }
        let parsed = if self.big_endian {
            parse_enhancedpacketblock_be(block)
        } else {
            parse_enhancedpacketblock_le(block)
        };
        let Ok((_, packet)) = parsed else {
            return Err(content_fault(start, EPB_MAGIC));
        };
        let interface = self.ethernet_interface(packet.if_id, start)?;
        let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
        let time_ns = interface
            .time_ns(ticks)
            .ok_or_else(|| Fault::format(start, FormatProblem::TimeOutOfRange { ticks }))?;
        self.last_time_ns = time_ns;
        Ok(Record {
            time_ns,
            wire_bytes: packet.origlen,
            data: ENHANCED_DATA_OFFSET..ENHANCED_DATA_OFFSET + captured_bytes as usize,
        })
    }

    /// The record in a simple packet block, which belongs to interface 0 and has no time and no captured length.
    fn simple_packet(&mut self, block: &[u8], start: u64) -> FaultResult<Record> {
        let parsed = if self.big_endian {
            parse_simplepacketblock_be(block)
        } else {
            parse_simplepacketblock_le(block)
        };
        let Ok((_, packet)) = parsed else {
            return Err(content_fault(start, SPB_MAGIC));
        };
        let snap_bytes = match self.ethernet_interface(0, start)?.snap_bytes {
            0 => u32::MAX,
            limit => limit,
        };
        let captured_bytes = packet.origlen.min(snap_bytes);
        if captured_bytes as usize > FRAME_BYTES_MAX {
            return Err(Fault::format(start, FormatProblem::FrameTooLong { captured_bytes }));
        }
        if captured_bytes as usize > packet.data.len() {
            return Err(content_fault(start, SPB_MAGIC));
        }
        Ok(Record {
            time_ns: self.last_time_ns,
            wire_bytes: packet.origlen,
            data: SIMPLE_DATA_OFFSET..SIMPLE_DATA_OFFSET + captured_bytes as usize,
        })
    }

    /// The interface a packet names. Its link type is checked here and not where it is described, so that a capture
    /// with an interface of another kind is refused only when that interface has packets.
    fn ethernet_interface(&self, interface: u32, start: u64) -> FaultResult<&Interface> {
        let Some(description) = self.interfaces.get(interface as usize) else {
            return Err(Fault::format(
                start,
                FormatProblem::UnknownInterface { interface, described: self.interfaces.len() },
            ));
        };
        if description.link_type != LINK_TYPE_ETHERNET {
            return Err(Fault::format(
                start,
                FormatProblem::LinkType {
                    interface: Some(interface),
                    found: description.link_type,
                },
            ));
        }
        Ok(description)
    }

    /// The 32-bit word at `offset` in the section's byte order; callers have checked that it is there.
    fn word(&self, bytes: &[u8], offset: usize) -> u32 {
        let word = [bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]];
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }
}

impl Interface {
    /// Nanoseconds since 1970, rounded down; `None` when 64 bits don't hold them.
    fn time_ns(&self, ticks: u64) -> Option<u64> {
        let fraction_ns = i128::from(ticks) * 1_000_000_000 / i128::from(self.ticks_per_second);
        u64::try_from(i128::from(self.offset_s) * 1_000_000_000 + fraction_ns).ok()
    }
}

/// Ticks in a second from `if_tsresol`: a power of 10, or of 2 when the top bit is set; `None` when 64 bits don't
/// hold it. Our own because `pcap_parser::build_ts_resolution` (0.17) refuses every power of 2.
fn ticks_per_second(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10u64.checked_pow(exponent) } else { 1u64.checked_shl(exponent) }
}

/// The two lengths of a block must be equal.
fn check_lengths(
    start: u64,
    block_type: u32,
    first_bytes: u32,
    last_bytes: u32,
) -> FaultResult<()> {
    if first_bytes == last_bytes {
        return Ok(());
    }
    Err(Fault::format(
        start,
        FormatProblem::BlockLengthsDiffer { block_type, first_bytes, last_bytes },
    ))
}

/// A block whose fields don't fit.
fn content_fault(start: u64, block_type: u32) -> Fault {
    Fault::format(start, FormatProblem::BlockContent { block_type })
}

#[cfg(test)]
mod tests {
    use super::{Interface, ticks_per_second};

    #[test]
    fn resolutions_are_powers_of_ten_and_of_two() {
        assert_eq!(ticks_per_second(6), Some(1_000_000));
        assert_eq!(ticks_per_second(19), Some(10_000_000_000_000_000_000));
        assert_eq!(ticks_per_second(20), None);
        assert_eq!(ticks_per_second(0x80), Some(1));
        assert_eq!(ticks_per_second(0x80 | 63), Some(1 << 63));
        assert_eq!(ticks_per_second(0x80 | 64), None);
    }

    #[test]
    fn times_that_do_not_fit_are_refused() {
        let interface = |ticks_per_second, offset_s| Interface {
            link_type: 1,
            snap_bytes: 0,
            ticks_per_second,
            offset_s,
        };
        assert_eq!(interface(1_000_000, 5).time_ns(1), Some(5_000_001_000));
        assert_eq!(interface(1 << 10, 0).time_ns(1536), Some(1_500_000_000));
        assert_eq!(interface(1, 0).time_ns(u64::MAX), None);
        assert_eq!(interface(1_000_000_000, -1).time_ns(999_999_999), None);
    }
}
