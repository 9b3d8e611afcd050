//! Application data that parsers accept: enough for a protocol to be recognised and found well-formed, no more.

use crate::random::SplitMix64;

/// HSMS message types (SEMI E37).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HsmsControl {
    SelectRequest = 1,
    SelectResponse = 2,
    LinktestRequest = 5,
    LinktestResponse = 6,
    SeparateRequest = 9,
}

/// An HSMS control message: length, then the ten-byte header.
pub(super) fn hsms_control(kind: HsmsControl, system: u32) -> Vec<u8> {
    hsms([0xff, 0xff, 0, 0, 0, kind as u8], system, &[])
}

/// A SECS-II data message; a primary message with an odd function asks for an answer.
pub(super) fn hsms_data(stream: u8, function: u8, system: u32, text: &[u8]) -> Vec<u8> {
    let wait = if function % 2 == 1 { 0x80 } else { 0 };
    hsms([0, 1, stream | wait, function, 0, 0], system, text)
}

/// Frames an HSMS message.
fn hsms(header: [u8; 6], system: u32, text: &[u8]) -> Vec<u8> {
    let mut message = (10 + text.len() as u32).to_be_bytes().to_vec();
    message.extend_from_slice(&header);
    message.extend_from_slice(&system.to_be_bytes());
    message.extend_from_slice(text);
    message
}

/// A SECS-II binary item of `bytes` bytes, header included, for event reports (SEMI E5: format code 10 octal, two or
/// three length bytes).
pub(super) fn secs_item(random: &mut SplitMix64, bytes: usize) -> Vec<u8> {
    let data = random.bytes(bytes.saturating_sub(4));
    let [_, high, middle, low] = (data.len() as u32).to_be_bytes();
    let mut item = vec![0x23, high, middle, low];
    item.extend(data);
    item
}

/// An HTTP/1.1 POST of a SOAP envelope to an Interface A service.
pub(super) fn http_request(service: &str) -> Vec<u8> {
    let body = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><{service}/></s:Body></s:Envelope>"
    );
    format!(
        "POST /E134/{service} HTTP/1.1\r\nHost: tool\r\nContent-Type: application/soap+xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The answer, with a body of `bytes` bytes.
pub(super) fn http_response(random: &mut SplitMix64, bytes: usize) -> Vec<u8> {
    let head = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><data>";
    let tail = "</data></s:Body></s:Envelope>";
    let mut body = head.to_owned();
    while body.len() + tail.len() < bytes {
        body.push(char::from(b'a' + random.below(26) as u8));
    }
    body.push_str(tail);
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An encrypted SMB 3 message of about `bytes` bytes: NetBIOS length, transform header (MS-SMB2 section 2.2.41), noise.
pub(super) fn smb_encrypted(random: &mut SplitMix64, bytes: usize) -> Vec<u8> {
    let sealed = random.bytes(bytes.max(64));
    let [_, high, middle, low] = (52 + sealed.len() as u32).to_be_bytes();
    let mut message = vec![0, high, middle, low, 0xfd, b'S', b'M', b'B'];
    message.extend(random.bytes(16 + 11));
    message.extend_from_slice(&[0; 5]);
    message.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
    message.extend_from_slice(&[0, 0, 1, 0]);
    message.extend_from_slice(&0x0000_4c4c_0000_0001u64.to_le_bytes());
    message.extend(sealed);
    message
}

/// A syslog line of RFC 5424.
pub(super) fn syslog(tool: usize, number: u64) -> Vec<u8> {
    format!("<134>1 - tool{tool:03} equipment - - - step {number} completed").into_bytes()
}

/// An NTP version 4 packet: mode 3 asks, mode 4 answers (RFC 5905).
pub(super) fn ntp(mode: u8, unix_ns: u64) -> Vec<u8> {
    /// Seconds from 1900 to 1970.
    const ERA_OFFSET_S: u64 = 2_208_988_800;
    let seconds = ((unix_ns / 1_000_000_000 + ERA_OFFSET_S) as u32).to_be_bytes();
    let fraction = ((((unix_ns % 1_000_000_000) << 32) / 1_000_000_000) as u32).to_be_bytes();
    let stratum = if mode == 3 { 0 } else { 2 };
    let mut packet = vec![4 << 3 | mode, stratum, 6, 0xec];
    packet.resize(40, 0);
    packet.extend_from_slice(&seconds);
    packet.extend_from_slice(&fraction);
    packet
}

/// A DNS question for `name.fab.example` (type A) and its answer (RFC 1035).
pub(super) fn dns(identifier: u16, name: &str, address: [u8; 4]) -> (Vec<u8>, Vec<u8>) {
    let mut question = Vec::new();
    for part in [name, "fab", "example"] {
        question.push(part.len() as u8);
        question.extend_from_slice(part.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let [high, low] = identifier.to_be_bytes();
    let request_header = [high, low, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    let answer_header = [high, low, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4];
    (
        [&request_header[..], &question].concat(),
        [&answer_header[..], &question, &record, &address].concat(),
    )
}

/// The data of a ping, as Unix sends it: 56 bytes counting up.
pub(super) fn ping() -> Vec<u8> {
    (0..56).collect()
}

/// An SNMP version 2c question for sysDescr.0 with community `public`, as scanners send it.
pub(super) fn snmp_get(request: u8) -> Vec<u8> {
    let name = [0x06, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 0x05, 0];
    let mut message = vec![0x30, 38, 2, 1, 1, 4, 6];
    message.extend_from_slice(b"public");
    message.extend_from_slice(&[
        0xa0,
        25,
        2,
        1,
        request & 0x7f,
        2,
        1,
        0,
        2,
        1,
        0,
        0x30,
        14,
        0x30,
        12,
    ]);
    message.extend_from_slice(&name);
    message
}
