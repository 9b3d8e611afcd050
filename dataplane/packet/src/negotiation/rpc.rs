//! DCE/RPC over TCP on port 135 (C706, MS-RPCE): the endpoint mapper's `ept_map` and the activation of DCOM, by which OPC
//! classic finds its servers (MS-DCOM: `RemoteActivation`, `RemoteGetClassObject`, `RemoteCreateInstance`, `ResolveOxid`, `ResolveOxid2`).
//!
//! Covered: requests and responses that begin with a segment, little-endian, a response whole in one segment, not encrypted (signed is
//! fine). Of the answers the towers of `ept_map`, and elsewhere string bindings of TCP with an address: `10.0.0.2[49160]`.
//! Names of hosts are passed over; servers list their addresses too.

use std::net::{IpAddr, Ipv4Addr};

use super::{End, Said};

/// Most messages of a segment that are looked at.
const MESSAGES_MAX: usize = 4;
const HEADER_BYTES: usize = 16;
const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
/// Behind the header: allocation hint, context, and the operation or what stands in its place.
const STUB_AT: usize = 24;
const FIRST_AND_LAST: u8 = 3;
/// `RemoteActivation` and `ResolveOxid` 0, `ept_map` and `RemoteGetClassObject` 3, `RemoteCreateInstance` and `ResolveOxid2` 4.
const OPERATIONS: [u8; 3] = [0, 3, 4];
/// Most bytes of an answer that are looked at.
const STUB_BYTES_MAX: usize = 4096;

/// Calls `say` with what each message of a segment says: of the first four. `server` is the server's address. The content must
/// begin with a message.
pub fn messages(content: &[u8], by_client: bool, server: IpAddr, mut say: impl FnMut(Said)) -> End {
    let mut rest = content;
    for _ in 0..MESSAGES_MAX {
        if rest.is_empty() {
            return End::Here;
        }
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            say(Said::Unread);
            return End::Later;
        };
        let [5, 0 | 1, kind, flags, 0x10, _, _, _, l0, l1, a0, a1, ..] = *header else {
            say(Said::Unread);
            return End::Later;
        };
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if length < HEADER_BYTES {
            say(Said::Unread);
            return End::Later;
        }
        let whole = rest.get(..length);
        say(match (kind, whole) {
            (REQUEST, _) if by_client => request(rest),
            (RESPONSE, Some(_)) if !by_client && flags & FIRST_AND_LAST != FIRST_AND_LAST => {
                Said::Unread
            }
            (RESPONSE, Some(message)) if !by_client => {
                let signature = match u16::from_le_bytes([a0, a1]) {
                    0 => 0,
                    bytes => usize::from(bytes) + 8,
                };
                let stub = message.get(STUB_AT..length.saturating_sub(signature));
                response(stub.unwrap_or(&[]), server)
            }
            (RESPONSE, None) if !by_client => Said::Unread,
            _ => Said::Nothing,
        });
        match rest.get(length..) {
            Some(following) => rest = following,
            None => return End::Later,
        }
    }
    if rest.is_empty() {
        return End::Here;
    }
    say(Said::Unread);
    End::Later
}

/// A request may be longer than its segment: the operation stands in front.
fn request(message: &[u8]) -> Said {
    match message.get(22..STUB_AT) {
        Some([operation, 0]) if OPERATIONS.contains(operation) => Said::Asks,
        Some(_) => Said::Nothing,
        None => Said::Unread,
    }
}

fn response(stub: &[u8], server: IpAddr) -> Said {
    let stub = &stub[..stub.len().min(STUB_BYTES_MAX)];
    let mapped = || towers(stub, 4, server).or_else(|| towers(stub, 8, server));
    match mapped().or_else(|| bindings(stub, server)) {
        Some(port) => Said::Offers { address: Some(server), port },
        None => Said::Nothing,
    }
}

fn word(stub: &[u8], at: usize) -> Option<usize> {
    let bytes = stub.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

/// Towers that a mapper's answer may have.
const TOWERS_MAX: usize = 16;

/// The TCP port of the first tower of an `ept_map` answer that is on `server`. `size` is that of lengths and references: 4 in NDR, 8 in
/// NDR64 (MS-RPCE 2.2.5), which hosts of 64 bits agree on.
fn towers(stub: &[u8], size: usize, server: IpAddr) -> Option<u16> {
    const HANDLE_BYTES: usize = 20;
    let long = |at: usize| match size {
        4 => word(stub, at),
        _ => word(stub, at).filter(|_| word(stub, at + 4) == Some(0)),
    };
    let count = word(stub, HANDLE_BYTES)?;
    let array = HANDLE_BYTES + 4;
    let (offset, actual) = (long(array + size)?, long(array + 2 * size)?);
    if offset != 0 || actual != count || !(1..=TOWERS_MAX).contains(&count) {
        return None;
    }
    let mut at = array + (3 + count) * size;
    for _ in 0..count {
        let (conformance, length) = (long(at)?, word(stub, at + size)?);
        if conformance != length {
            return None;
        }
        let start = at + size + 4;
        let octets = stub.get(start..)?.get(..length)?;
        if let Some(port) = tower(octets, server) {
            return Some(port);
        }
        at = (start + length).next_multiple_of(size);
    }
    None
}

/// The port of a tower of five floors: interface, transfer syntax, RPC, TCP, IP.
fn tower(mut octets: &[u8], server: IpAddr) -> Option<u16> {
    const TCP: u8 = 0x07;
    const IP: u8 = 0x09;
    if take(&mut octets, 2)? != [5, 0] {
        return None;
    }
    let mut floors = [(&[][..], &[][..]); 5];
    for floor in &mut floors {
        *floor = (part(&mut octets)?, part(&mut octets)?);
    }
    let [.., ([TCP], [p0, p1]), ([IP], [a, b, c, d])] = floors else { return None };
    let address = Ipv4Addr::new(*a, *b, *c, *d);
    // Over IPv6 and on some servers the mapper leaves the address out.
    let own = address.is_unspecified() || server == IpAddr::V4(address);
    own.then_some(u16::from_be_bytes([*p0, *p1]))
}

fn take<'a>(octets: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, rest) = octets.split_at_checked(bytes)?;
    *octets = rest;
    Some(taken)
}

/// A length of two bytes and so many bytes.
fn part<'a>(octets: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [low, high] = *take(octets, 2)? else { return None };
    take(octets, usize::from(u16::from_le_bytes([low, high])))
}

/// The port of the first string binding of TCP that is on `server`, wherever it stands.
fn bindings(stub: &[u8], server: IpAddr) -> Option<u16> {
    const TCP: [u8; 2] = [0x07, 0x00];
    stub.windows(2).enumerate().filter(|(_, window)| *window == TCP).find_map(|(at, _)| {
        let (address, port) = binding(&stub[at + 2..])?;
        (address == server).then_some(port)
    })
}

/// `10.0.0.2[49160]` in UTF-16, ended by a zero.
fn binding(text: &[u8]) -> Option<(IpAddr, u16)> {
    const CHARACTERS_MAX: usize = 46;
    let mut characters = [0; CHARACTERS_MAX];
    let mut length = None;
    for (at, unit) in text.as_chunks::<2>().0.iter().take(CHARACTERS_MAX).enumerate() {
        match unit {
            [0, 0] => {
                length = Some(at);
                break;
            }
            [
                character @ (b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'.' | b':' | b'[' | b']'),
                0,
            ] => {
                characters[at] = *character;
            }
            _ => return None,
        }
    }
    let text = std::str::from_utf8(&characters[..length?]).ok()?;
    let (address, port) = text.strip_suffix(']')?.split_once('[')?;
    Some((address.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests;
