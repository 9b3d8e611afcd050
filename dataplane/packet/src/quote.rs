//! ICMP errors: which conversation the packet belongs to that they quote (RFC 792, RFC 4443, RFC 1812 section 4.3.2.3).
//!
//! An error is about a packet that its receiver sent the other way. What it quotes is somebody's word, and cut off: only as much is
//! read of it as names the conversation, and what doesn't is [`Quote::Unreadable`], never a reason to refuse the frame.

use crate::ethernet::Link;
use crate::ip::{self, Chain};
use crate::key::{FlowKey, NarrowKey, WideKey};
use crate::parse::{Ingress, Malformed, by_side};
use crate::transport::{self, Family, Span, within};

/// What an ICMP error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// A packet of this conversation, sent by the error's receiver.
    Conversation(FlowKey),
    /// Too little is quoted to tell, or a later fragment, another error, or a packet that the receiver didn't send.
    Unreadable,
}

/// Header of an ICMP error, before the packet it quotes.
const ERROR_BYTES: usize = 8;
/// Least bytes of the quoted packet's content (RFC 792).
const CONTENT_BYTES_MIN: usize = 8;

/// Destination unreachable, source quench, time exceeded, parameter problem. A redirect (5) reports no error.
pub(crate) fn is_error_v4(kind: u8) -> bool {
    matches!(kind, 3 | 4 | 11 | 12)
}

/// Destination unreachable, packet too big, time exceeded, parameter problem.
pub(crate) fn is_error_v6(kind: u8) -> bool {
    matches!(kind, 1..=4)
}

/// Reads what the ICMP message in `span`, to `receiver`, quotes.
///
/// # Errors
/// Only [`Malformed::HeaderSplit`].
#[cold]
pub(crate) fn v4(
    head: &[u8],
    span: Span,
    receiver: [u8; 4],
    link: &Link,
    ingress: Ingress,
) -> Result<Quote, Malformed> {
    let ingress = Ingress { side: ingress.side.other(), ..ingress };
    readable(read_v4(head, span, receiver, link, ingress))
}

/// As [`v4`].
#[cold]
pub(crate) fn v6(
    head: &[u8],
    span: Span,
    receiver: [u8; 16],
    link: &Link,
    ingress: Ingress,
) -> Result<Quote, Malformed> {
    let ingress = Ingress { side: ingress.side.other(), ..ingress };
    readable(read_v6(head, span, receiver, link, ingress))
}

fn readable(read: Result<FlowKey, Malformed>) -> Result<Quote, Malformed> {
    match read {
        Ok(key) => Ok(Quote::Conversation(key)),
        Err(Malformed::HeaderSplit) => Err(Malformed::HeaderSplit),
        Err(_) => Ok(Quote::Unreadable),
    }
}

/// `ingress` is where the quoted packet came in.
fn read_v4(
    head: &[u8],
    message: Span,
    receiver: [u8; 4],
    link: &Link,
    ingress: Ingress,
) -> Result<FlowKey, Malformed> {
    let bad = Malformed::Ipv4Header;
    let at = message.at + ERROR_BYTES;
    let header: [u8; 20] = within(head, Span { at, ..message }, bad)?;
    let header_bytes = usize::from(header[0] & 0xf) * 4;
    let total_bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let later_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    let [.., s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let whole = header[0] >> 4 == 4
        && header_bytes >= header.len()
        && total_bytes >= header_bytes + CONTENT_BYTES_MIN;
    if !whole || later_fragment || [s0, s1, s2, s3] != receiver {
        return Err(bad);
    }
    let content = Span { at: at + header_bytes, ..message };
    let transport = transport::quoted(head, content, header[9], Family::V4, ingress.side)?;
    let addresses = by_side(ingress.side, receiver, [d0, d1, d2, d3]);
    let tail = ip::tail(ingress, link, transport);
    Ok(FlowKey::Narrow(NarrowKey::new(addresses, transport.services, tail)))
}

fn read_v6(
    head: &[u8],
    message: Span,
    receiver: [u8; 16],
    link: &Link,
    ingress: Ingress,
) -> Result<FlowKey, Malformed> {
    let bad = Malformed::Ipv6Header;
    let at = message.at + ERROR_BYTES;
    let header: [u8; 40] = within(head, Span { at, ..message }, bad)?;
    let payload_bytes = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let whole = header[0] >> 4 == 6 && payload_bytes >= CONTENT_BYTES_MIN;
    if !whole || header[8..24] != receiver {
        return Err(bad);
    }
    let chain = Span { at: at + header.len(), ..message };
    let Chain::Transport { protocol, span, .. } = ip::extensions(head, chain, header[6])? else {
        return Err(bad);
    };
    let transport = transport::quoted(head, span, protocol, Family::V6, ingress.side)?;
    let mut destination = [0; 16];
    destination.copy_from_slice(&header[24..]);
    let addresses = by_side(ingress.side, receiver, destination);
    let tail = ip::tail(ingress, link, transport);
    Ok(FlowKey::Wide(WideKey::new(addresses, transport.services, tail)))
}
