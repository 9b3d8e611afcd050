//! FTP control connection: PORT, PASV (RFC 959), EPRT, EPSV (RFC 2428) and the replies 227 and 229.

use std::net::{IpAddr, Ipv4Addr};

use super::{End, Said};

/// Most lines of a segment that are looked at.
const LINES_MAX: usize = 16;
/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 512;

/// Calls `say` with what each line of a segment says: of the first sixteen, each of 512 bytes at the most. The content must
/// begin with a line.
pub fn lines(content: &[u8], by_client: bool, mut say: impl FnMut(Said)) -> End {
    let mut rest = content;
    for _ in 0..LINES_MAX {
        if rest.is_empty() {
            break;
        }
        let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
        let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
            say(if may_negotiate(window, by_client) { Said::Unread } else { Said::Nothing });
            return End::Later;
        };
        let line = window[..end].strip_suffix(b"\r").unwrap_or(&window[..end]);
        say(if by_client { command(line) } else { reply(line) });
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        say(Said::Unread);
    }
    if content.last() == Some(&b'\n') { End::Here } else { End::Later }
}

/// Might a line that begins so be about a port?
fn may_negotiate(start: &[u8], by_client: bool) -> bool {
    let verbs: &[&[u8]] =
        if by_client { &[b"PORT", b"EPRT", b"PASV", b"EPSV"] } else { &[b"227", b"229"] };
    verbs.iter().any(|verb| {
        let known = start.len().min(verb.len());
        start[..known].eq_ignore_ascii_case(&verb[..known])
    })
}

/// The client's command.
fn command(line: &[u8]) -> Said {
    let Some((verb, rest)) = line.split_at_checked(4) else { return Said::Nothing };
    let argument = rest.trim_ascii();
    match verb.to_ascii_upper().as_slice() {
        b"PASV" if rest.is_empty() || rest[0] == b' ' => Said::Asks,
        b"EPSV" if !argument.eq_ignore_ascii_case(b"ALL") => Said::Asks,
        b"PORT" => offer(six(argument).filter(|(_, rest)| rest.is_empty()).map(|(place, _)| place)),
        b"EPRT" => offer(extended(argument)),
        _ => Said::Nothing,
    }
}

/// The server's reply. Where the numbers begin isn't laid down (RFC 1123, 4.1.2.6): at the first digit.
fn reply(line: &[u8]) -> Said {
    let Some((code, text)) = line.split_at_checked(4) else { return Said::Nothing };
    match code {
        b"227 " => {
            let digits = text.iter().position(u8::is_ascii_digit);
            offer(digits.and_then(|at| six(&text[at..])).map(|(place, _)| place))
        }
        b"229 " => {
            let open = text.iter().position(|&byte| byte == b'(');
            offer(open.and_then(|at| passive(&text[at + 1..])).map(|port| (None, port)))
        }
        _ => Said::Nothing,
    }
}

fn offer(place: Option<(Option<IpAddr>, u16)>) -> Said {
    match place {
        Some((address, port)) => Said::Offers { address, port },
        None => Said::Unread,
    }
}

type Place = (Option<IpAddr>, u16);

/// `h1,h2,h3,h4,p1,p2` and what follows.
fn six(mut text: &[u8]) -> Option<(Place, &[u8])> {
    let mut numbers = [0; 6];
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            text = text.strip_prefix(b",")?;
        }
        let (value, rest) = decimal(text)?;
        *number = u8::try_from(value).ok()?;
        text = rest;
    }
    let [a, b, c, d, high, low] = numbers;
    let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    Some(((Some(address), u16::from_be_bytes([high, low])), text))
}

/// `|1|10.0.0.1|5001|`, with any printable delimiter.
fn extended(text: &[u8]) -> Option<Place> {
    let (&mark, text) = text.split_first()?;
    if !(33..=126).contains(&mark) || mark.is_ascii_digit() {
        return None;
    }
    let mut parts = text.split(|&byte| byte == mark);
    let (family, address, port, end) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let address: IpAddr = std::str::from_utf8(address).ok()?.parse().ok()?;
    let fits = match family {
        b"1" => address.is_ipv4(),
        b"2" => address.is_ipv6(),
        _ => false,
    };
    let (port, rest) = decimal(port)?;
    let whole = end.is_empty() && parts.next().is_none() && rest.is_empty();
    (fits && whole).then_some((Some(address), u16::try_from(port).ok()?))
}

/// `|||5001|)`, with any delimiter.
fn passive(text: &[u8]) -> Option<u16> {
    let [mark, second, third, text @ ..] = text else { return None };
    if second != mark || third != mark {
        return None;
    }
    let (port, rest) = decimal(text)?;
    rest.starts_with(&[*mark, b')']).then_some(u16::try_from(port).ok()?)
}

/// One to five digits, and what follows.
fn decimal(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=5).contains(&digits) {
        return None;
    }
    let (digits, rest) = text.split_at(digits);
    Some((digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest))
}

trait Upper {
    fn to_ascii_upper(&self) -> [u8; 4];
}

impl Upper for [u8] {
    /// The first four bytes, without allocating.
    fn to_ascii_upper(&self) -> [u8; 4] {
        std::array::from_fn(|at| self.get(at).map_or(0, u8::to_ascii_uppercase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str, by_client: bool) -> (Vec<Said>, End) {
        let mut all = Vec::new();
        let end = lines(content.as_bytes(), by_client, |said| all.push(said));
        (all, end)
    }

    fn one(content: &str, by_client: bool) -> Said {
        let (all, end) = said(content, by_client);
        assert_eq!((all.len(), end), (1, End::Here), "{content}");
        all[0]
    }

    fn at(address: &str, port: u16) -> Said {
        Said::Offers { address: Some(address.parse().unwrap()), port }
    }

    #[test]
    fn commands_and_replies_that_name_a_port() {
        assert_eq!(one("PORT 10,0,0,1,19,137\r\n", true), at("10.0.0.1", 5001));
        assert_eq!(one("port 10,0,0,1,19,137\n", true), at("10.0.0.1", 5001));
        assert_eq!(one("EPRT |1|10.0.0.1|5001|\r\n", true), at("10.0.0.1", 5001));
        assert_eq!(one("EPRT !2!fd00::1!5001!\r\n", true), at("fd00::1", 5001));
        assert_eq!(one("PASV\r\n", true), Said::Asks);
        assert_eq!(one("epsv 2\r\n", true), Said::Asks);
        let passive = "227 Entering Passive Mode (10,0,1,1,255,255).\r\n";
        assert_eq!(one(passive, false), at("10.0.1.1", 65_535));
        assert_eq!(one("227 =10,0,1,1,4,0\r\n", false), at("10.0.1.1", 1024));
        let extended = "229 Entering Extended Passive Mode (|||6446|)\r\n";
        assert_eq!(one(extended, false), Said::Offers { address: None, port: 6446 });
    }

    #[test]
    fn what_names_no_port_says_nothing() {
        for line in ["USER x\r\n", "EPSV ALL\r\n", "RETR PORT\r\n", "PO\r\n", "\r\n", "PASVX\r\n"] {
            assert_eq!(one(line, true), Said::Nothing, "{line}");
        }
        for line in ["220 227 hello\r\n", "227-multi\r\n", "150 ok\r\n"] {
            assert_eq!(one(line, false), Said::Nothing, "{line}");
        }
    }

    #[test]
    fn damaged_ones_are_unread() {
        for line in [
            "PORT 10,0,0,1,19\r\n",
            "PORT 10,0,0,256,19,137\r\n",
            "PORT 10,0,0,1,19,137,1\r\n",
            "PORT 10,0,0,1,19,000137\r\n",
            "PORT\r\n",
            "EPRT |2|10.0.0.1|5001|\r\n",
            "EPRT |1|10.0.0.1|65536|\r\n",
            "EPRT |1|10.0.0.1|5001\r\n",
            "EPRT |1|10.0.0.1|5001|x|\r\n",
        ] {
            assert_eq!(one(line, true), Said::Unread, "{line}");
        }
        for line in ["227 (1,2,3)\r\n", "229 (||6446|)\r\n", "229 (|||6446)\r\n", "229 (|||x|)\r\n"]
        {
            assert_eq!(one(line, false), Said::Unread, "{line}");
        }
    }

    #[test]
    fn lines_in_one_segment_and_split_ones() {
        let (all, end) = said("PASV\r\nPORT 10,0,0,1,19,137\r\n", true);
        assert_eq!((all, end), (vec![Said::Asks, at("10.0.0.1", 5001)], End::Here));
        assert_eq!(said("NOOP\r\nPOR", true), (vec![Said::Nothing, Said::Unread], End::Later));
        assert_eq!(said("PORT 10,0,0,1,19,13", true), (vec![Said::Unread], End::Later));
        assert_eq!(said("RETR x", true), (vec![Said::Nothing], End::Later));
        let (all, end) = said(&"NOOP\r\n".repeat(20), true);
        assert_eq!((all.len(), all[16], end), (17, Said::Unread, End::Here));
        let long = format!("SITE {}\r\n", "x".repeat(600));
        assert_eq!(said(&long, true), (vec![Said::Nothing], End::Later));
    }
}
