//! The IPv4 header (RFC 791).

use std::net::Ipv4Addr;

use super::{Checksum, FrameError};

/// Longest IPv4 packet, in bytes.
const PACKET_BYTES_MAX: usize = 65_535;
/// Longest options, in bytes.
const OPTIONS_BYTES_MAX: usize = 40;
/// Header without options, in bytes.
const HEADER_BYTES: usize = 20;
/// Highest fragment offset, in bytes.
pub(super) const FRAGMENT_OFFSET_MAX: u16 = 0x1fff * 8;

/// An IPv4 header; lengths and checksum are filled in when the frame is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv4 {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    traffic_class: u8,
    ttl: u8,
    identification: u16,
    dont_fragment: bool,
    more_fragments: bool,
    fragment_offset_bytes: u16,
    options: Vec<u8>,
}

impl Ipv4 {
    /// TTL 64, identification 0, no flags, no options.
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            source,
            destination,
            traffic_class: 0,
            ttl: 64,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset_bytes: 0,
            options: Vec::new(),
        }
    }

    /// Sets the DSCP and ECN byte.
    pub fn traffic_class(mut self, traffic_class: u8) -> Self {
        self.traffic_class = traffic_class;
        self
    }

    /// Sets the time to live.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets the identification.
    pub fn identification(mut self, identification: u16) -> Self {
        self.identification = identification;
        self
    }

    /// Sets the don't-fragment flag.
    pub fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// Makes this one fragment: its offset in bytes, a multiple of 8, and whether more follow. To cut a whole packet
    /// use [`super::FrameBuilder::fragments`].
    pub fn fragment(mut self, offset_bytes: u16, more_fragments: bool) -> Self {
        self.fragment_offset_bytes = offset_bytes;
        self.more_fragments = more_fragments;
        self
    }

    /// Appends raw option bytes; the whole is filled up to a multiple of 4 with end-of-options.
    pub fn option(mut self, bytes: &[u8]) -> Self {
        self.options.extend_from_slice(bytes);
        self
    }

    /// Header length in bytes.
    fn header_bytes(&self) -> usize {
        HEADER_BYTES + self.options.len().next_multiple_of(4)
    }

    /// Header and content as one packet.
    pub(super) fn encode(&self, protocol: u8, content: &[u8]) -> Result<Vec<u8>, FrameError> {
        if self.options.len() > OPTIONS_BYTES_MAX {
            return Err(FrameError::too_long(
                "IPv4 options",
                self.options.len(),
                OPTIONS_BYTES_MAX,
            ));
        }
        if !self.fragment_offset_bytes.is_multiple_of(8) {
            return Err(FrameError::FragmentOffset {
                offset_bytes: self.fragment_offset_bytes.into(),
            });
        }
        let header_bytes = self.header_bytes();
        if header_bytes + content.len() > PACKET_BYTES_MAX {
            return Err(FrameError::too_long(
                "IPv4 content",
                content.len(),
                PACKET_BYTES_MAX - header_bytes,
            ));
        }
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let mut packet = Vec::with_capacity(header_bytes + content.len());
        packet.extend_from_slice(&[0x40 | (header_bytes / 4) as u8, self.traffic_class]);
        packet.extend_from_slice(&((header_bytes + content.len()) as u16).to_be_bytes());
        packet.extend_from_slice(&self.identification.to_be_bytes());
        packet.extend_from_slice(&(flags | (self.fragment_offset_bytes / 8)).to_be_bytes());
        packet.extend_from_slice(&[self.ttl, protocol, 0, 0]);
        packet.extend_from_slice(&self.source.octets());
        packet.extend_from_slice(&self.destination.octets());
        packet.extend_from_slice(&self.options);
        packet.resize(header_bytes, 0);
        let checksum = Checksum::default().with(&packet).finish();
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend_from_slice(content);
        Ok(packet)
    }

    /// The packets of `content` cut to `mtu`. Every fragment carries the options, as for those with the copied bit.
    pub(super) fn fragments(
        &self,
        protocol: u8,
        content: &[u8],
        mtu: usize,
    ) -> Result<Vec<Vec<u8>>, FrameError> {
        if self.more_fragments || self.fragment_offset_bytes != 0 {
            return Err(FrameError::AlreadyFragment);
        }
        let header_bytes = self.header_bytes();
        if header_bytes + content.len() > PACKET_BYTES_MAX {
            return Err(FrameError::too_long(
                "IPv4 content",
                content.len(),
                PACKET_BYTES_MAX - header_bytes,
            ));
        }
        let pieces = pieces(content, mtu, header_bytes)?;
        pieces
            .map(|(offset_bytes, more, piece)| {
                let mut header = self.clone().fragment(offset_bytes, more);
                header.dont_fragment = false;
                header.encode(protocol, piece)
            })
            .collect()
    }
}

/// Cuts `content` into pieces that fit in `mtu` after `header_bytes`: offset, whether more follow, bytes. Content may
/// not be longer than 65,535 bytes.
pub(super) fn pieces(
    content: &[u8],
    mtu: usize,
    header_bytes: usize,
) -> Result<impl Iterator<Item = (u16, bool, &[u8])>, FrameError> {
    let needed = header_bytes + 8;
    if mtu < needed {
        return Err(FrameError::MtuTooSmall { mtu, needed });
    }
    let piece_bytes = (mtu - header_bytes) & !7;
    let total = content.len();
    Ok(content.chunks(piece_bytes).enumerate().map(move |(index, piece)| {
        let offset = index * piece_bytes;
        (offset as u16, offset + piece.len() < total, piece)
    }))
}
