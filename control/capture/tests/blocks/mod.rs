//! pcapng blocks made by hand, in either byte order, so that the tests need neither editcap nor a second library.

#![allow(dead_code, reason = "each test binary uses the part of this module that it needs")]

/// Makes blocks of one byte order.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    pub big_endian: bool,
}

impl Blocks {
    pub fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// Any block, its content padded to 4 bytes.
    pub fn block(self, block_type: u32, content: &[u8]) -> Vec<u8> {
        let mut content = content.to_vec();
        content.resize(content.len().next_multiple_of(4), 0);
        let length = self.u32(content.len() as u32 + 12);
        [&self.u32(block_type)[..], &length, &content, &length].concat()
    }

    pub fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut padded = value.to_vec();
        padded.resize(value.len().next_multiple_of(4), 0);
        [&self.u16(code)[..], &self.u16(value.len() as u16)[..], &padded].concat()
    }

    pub fn section(self) -> Vec<u8> {
        let content =
            [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &self.u64(u64::MAX)].concat();
        self.block(0x0a0d_0d0a, &content)
    }

    pub fn interface(self, link_type: u16, snap_bytes: u32, options: &[u8]) -> Vec<u8> {
        let content =
            [&self.u16(link_type)[..], &self.u16(0), &self.u32(snap_bytes), options].concat();
        self.block(1, &content)
    }

    pub fn enhanced(self, interface: u32, ticks: u64, wire_bytes: u32, data: &[u8]) -> Vec<u8> {
        let mut padded = data.to_vec();
        padded.resize(data.len().next_multiple_of(4), 0);
        // A comment, so that options are met as well.
        let options = [self.option(1, b"hand-made"), self.option(0, b"")].concat();
        let content = [
            &self.u32(interface)[..],
            &self.u32((ticks >> 32) as u32),
            &self.u32(ticks as u32),
            &self.u32(data.len() as u32),
            &self.u32(wire_bytes),
            &padded,
            &options,
        ]
        .concat();
        self.block(6, &content)
    }

    pub fn simple(self, wire_bytes: u32, data: &[u8]) -> Vec<u8> {
        self.block(3, &[&self.u32(wire_bytes)[..], data].concat())
    }
}

/// A classic pcap of one byte order and resolution.
pub fn classic(
    big_endian: bool,
    nano: bool,
    link_type: u32,
    records: &[(u32, u32, &[u8])],
) -> Vec<u8> {
    let order = Blocks { big_endian };
    let magic = if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut bytes = [
        &order.u32(magic)[..],
        &order.u16(2),
        &order.u16(4),
        &[0; 8],
        &order.u32(0),
        &order.u32(link_type),
    ]
    .concat();
    for (seconds, fraction, data) in records {
        let length = order.u32(data.len() as u32);
        for field in [order.u32(*seconds), order.u32(*fraction), length, length] {
            bytes.extend_from_slice(&field);
        }
        bytes.extend_from_slice(data);
    }
    bytes
}

/// Compresses as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}
