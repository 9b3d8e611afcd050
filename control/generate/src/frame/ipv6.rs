//! The IPv6 header and its extension headers (RFC 8200).

use std::net::Ipv6Addr;

use super::FrameError;
use super::ipv4::{FRAGMENT_OFFSET_MAX, pieces};

/// Longest content after the fixed header, in bytes; jumbograms aren't built.
const CONTENT_BYTES_MAX: usize = 65_535;
/// Longest hop-by-hop, routing or destination header, in bytes.
const EXTENSION_BYTES_MAX: usize = 2048;
/// The fixed header, in bytes.
const HEADER_BYTES: usize = 40;
/// The fragment header, in bytes.
const FRAGMENT_HEADER_BYTES: usize = 8;

/// An extension header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ipv6Extension {
    /// Options for every hop (0): raw options, filled up with padding.
    HopByHop(Vec<u8>),
    /// Options for the destination (60): raw options, filled up with padding.
    Destination(Vec<u8>),
    /// Routing (43).
    Routing {
        /// Routing type: 0 and 2 are lists of addresses, 4 is segment routing.
        kind: u8,
        /// Segments left; above 0, checksums still count the header's own destination.
        segments_left: u8,
        /// What follows the first four bytes, filled up with zeros to a multiple of 8 less 4.
        data: Vec<u8>,
    },
    /// Fragment (44).
    Fragment {
        /// Offset in bytes, a multiple of 8.
        offset_bytes: u16,
        /// Whether more fragments follow.
        more_fragments: bool,
        /// Identification.
        identification: u32,
    },
}

impl Ipv6Extension {
    /// The number that the header before gives for this one.
    fn number(&self) -> u8 {
        match self {
            Self::HopByHop(_) => 0,
            Self::Routing { .. } => 43,
            Self::Fragment { .. } => 44,
            Self::Destination(_) => 60,
        }
    }

    /// Appends the header, followed by header `next`.
    fn encode(&self, next: u8, packet: &mut Vec<u8>) -> Result<(), FrameError> {
        let start = packet.len();
        packet.extend_from_slice(&[next, 0]);
        match self {
            Self::HopByHop(options) | Self::Destination(options) => {
                packet.extend_from_slice(options);
                pad_options(packet, start);
            }
            Self::Routing { kind, segments_left, data } => {
                packet.extend_from_slice(&[*kind, *segments_left]);
                packet.extend_from_slice(data);
                let bytes = (packet.len() - start).next_multiple_of(8);
                packet.resize(start + bytes, 0);
            }
            Self::Fragment { offset_bytes, more_fragments, identification } => {
                if !offset_bytes.is_multiple_of(8) || *offset_bytes > FRAGMENT_OFFSET_MAX {
                    return Err(FrameError::FragmentOffset {
                        offset_bytes: (*offset_bytes).into(),
                    });
                }
                let field = offset_bytes | u16::from(*more_fragments);
                packet.extend_from_slice(&field.to_be_bytes());
                packet.extend_from_slice(&identification.to_be_bytes());
                return Ok(());
            }
        }
        let bytes = packet.len() - start;
        if bytes > EXTENSION_BYTES_MAX {
            return Err(FrameError::too_long("IPv6 extension header", bytes, EXTENSION_BYTES_MAX));
        }
        packet[start + 1] = (bytes / 8 - 1) as u8;
        Ok(())
    }
}

/// Fills options up to a multiple of 8 with Pad1 or PadN (RFC 8200 section 4.2).
fn pad_options(packet: &mut Vec<u8>, start: usize) {
    let missing = (packet.len() - start).next_multiple_of(8) - (packet.len() - start);
    match missing {
        0 => {}
        1 => packet.push(0),
        _ => {
            packet.extend_from_slice(&[1, missing as u8 - 2]);
            packet.resize(packet.len() + missing - 2, 0);
        }
    }
}

/// An IPv6 header with its extension headers; lengths are filled in when the frame is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6 {
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    traffic_class: u8,
    flow_label: u32,
    hop_limit: u8,
    extensions: Vec<Ipv6Extension>,
}

impl Ipv6 {
    /// Hop limit 64, flow label 0, no extension headers.
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            source,
            destination,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
            extensions: Vec::new(),
        }
    }

    /// Sets the traffic class.
    pub fn traffic_class(mut self, traffic_class: u8) -> Self {
        self.traffic_class = traffic_class;
        self
    }

    /// Sets the flow label; its upper 12 bits are cut off.
    pub fn flow_label(mut self, flow_label: u32) -> Self {
        self.flow_label = flow_label & 0xf_ffff;
        self
    }

    /// Sets the hop limit.
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// Appends an extension header, in any order, sensible or not.
    pub fn extension(mut self, extension: Ipv6Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Headers and content as one packet.
    pub(super) fn encode(&self, protocol: u8, content: &[u8]) -> Result<Vec<u8>, FrameError> {
        let mut packet = Vec::with_capacity(HEADER_BYTES + content.len());
        let first = self.extensions.first().map_or(protocol, Ipv6Extension::number);
        let word = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        packet.extend_from_slice(&word.to_be_bytes());
        packet.extend_from_slice(&[0, 0, first, self.hop_limit]);
        packet.extend_from_slice(&self.source.octets());
        packet.extend_from_slice(&self.destination.octets());
        for (index, extension) in self.extensions.iter().enumerate() {
            let next = self.extensions.get(index + 1).map_or(protocol, Ipv6Extension::number);
            extension.encode(next, &mut packet)?;
        }
        packet.extend_from_slice(content);
        let content_bytes = packet.len() - HEADER_BYTES;
        if content_bytes > CONTENT_BYTES_MAX {
            return Err(FrameError::too_long(
                "IPv6 content with extension headers",
                content_bytes,
                CONTENT_BYTES_MAX,
            ));
        }
        packet[4..6].copy_from_slice(&(content_bytes as u16).to_be_bytes());
        Ok(packet)
    }

    /// The packets of `content` cut to `mtu`; extension headers given so far are repeated in each, before the fragment
    /// header.
    pub(super) fn fragments(
        &self,
        protocol: u8,
        content: &[u8],
        mtu: usize,
    ) -> Result<Vec<Vec<u8>>, FrameError> {
        let is_fragment = |extension: &_| matches!(extension, Ipv6Extension::Fragment { .. });
        if self.extensions.iter().any(is_fragment) {
            return Err(FrameError::AlreadyFragment);
        }
        if content.len() > CONTENT_BYTES_MAX {
            return Err(FrameError::too_long("IPv6 content", content.len(), CONTENT_BYTES_MAX));
        }
        let header_bytes = self.encode(protocol, &[])?.len() + FRAGMENT_HEADER_BYTES;
        pieces(content, mtu, header_bytes)?
            .map(|(offset_bytes, more_fragments, piece)| {
                self.clone()
                    .extension(Ipv6Extension::Fragment {
                        offset_bytes,
                        more_fragments,
                        identification: 0x4c4f_4144,
                    })
                    .encode(protocol, piece)
            })
            .collect()
    }
}
