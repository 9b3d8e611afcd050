//! What a whole TCP segment or UDP datagram carries, for those few conversations whose content is read.

use crate::ethernet::{self, Payload};
use crate::ip::{self, Chain};
use crate::parse::{Malformed, field};
use crate::transport::{self, Span};

/// Content of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'frame> {
    /// TCP: sequence number of its first byte, in host byte order. 0 for UDP.
    pub sequence: u32,
    /// Its bytes, as far as they are in the frame's first buffer segment.
    pub bytes: &'frame [u8],
    /// All of it is there.
    pub whole: bool,
}

/// Finds the content of a frame that [`crate::parse`] took, if it is TCP or UDP and no fragment. `head` and `frame_bytes` as
/// there. Reads the headers once more; no allocation.
#[must_use]
pub fn content(head: &[u8], frame_bytes: u32) -> Option<Content<'_>> {
    let frame_bytes = frame_bytes as usize;
    let head = &head[..head.len().min(frame_bytes)];
    let link = ethernet::parse(head, frame_bytes).ok()?;
    let (protocol, span) = match link.payload {
        Payload::EtherType(ip::ETHER_TYPE_V4) => over_v4(head, link.payload_at),
        Payload::EtherType(ip::ETHER_TYPE_V6) => over_v6(head, link.payload_at),
        _ => None,
    }?;
    let end = span.end.min(frame_bytes);
    let (sequence, header_bytes, end) = match protocol {
        transport::TCP => {
            let header: [u8; transport::TCP_HEADER_BYTES] = read(head, span.at)?;
            let [_, _, _, _, s0, s1, s2, s3, ..] = header;
            (u32::from_be_bytes([s0, s1, s2, s3]), usize::from(header[12] >> 4) * 4, end)
        }
        transport::UDP => {
            let [_, _, _, _, l0, l1, _, _]: [u8; 8] = read(head, span.at)?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            (0, 8, end.min(span.at + length))
        }
        _ => return None,
    };
    let start = span.at + header_bytes;
    let bytes = head.get(start.min(end)..end.min(head.len())).unwrap_or(&[]);
    Some(Content { sequence, bytes, whole: end <= head.len() })
}

fn read<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    field(head, at, head.len(), Malformed::HeaderSplit).ok()
}

fn over_v4(head: &[u8], at: usize) -> Option<(u8, Span)> {
    let header: [u8; 20] = read(head, at)?;
    let total_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
    let start = at + usize::from(header[0] & 0xf) * 4;
    let span = Span { at: start, end: at + total_bytes, first_fragment: false };
    whole.then_some((header[9], span))
}

fn over_v6(head: &[u8], at: usize) -> Option<(u8, Span)> {
    let header: [u8; 40] = read(head, at)?;
    let start = at + header.len();
    let end = start + usize::from(u16::from_be_bytes([header[4], header[5]]));
    let chain = Span { at: start, end, first_fragment: false };
    match ip::extensions(head, chain, header[6]).ok()? {
        Chain::Transport { protocol, span, fragment: None } => Some((protocol, span)),
        _ => None,
    }
}
