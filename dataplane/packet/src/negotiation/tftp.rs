//! TFTP requests (RFC 1350): the server answers from a port of its own choice.

/// Is this a read or write request: opcode, file name, mode, each ended by a zero byte? Options may follow (RFC 2347).
#[must_use]
pub fn is_request(content: &[u8]) -> bool {
    let [0, 1 | 2, rest @ ..] = content else { return false };
    let mut words = rest.splitn(3, |&byte| byte == 0);
    let (Some(name), Some(mode), Some(_)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let modes: [&[u8]; 3] = [b"octet", b"netascii", b"mail"];
    !name.is_empty() && modes.iter().any(|known| mode.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::is_request;

    #[test]
    fn requests_and_what_is_none() {
        assert!(is_request(b"\0\x01recipe.bin\0octet\0"));
        assert!(is_request(b"\0\x02x\0NetASCII\0blksize\x001428\0"));
        let others: [&[u8]; 8] = [
            b"",
            b"\0\x01",
            b"\0\x01\0octet\0",
            b"\0\x01name\0octet",
            b"\0\x01name\0other\0",
            b"\0\x03name\0octet\0",
            b"\x01\x01name\0octet\0",
            b"\0\x01name",
        ];
        for other in others {
            assert!(!is_request(other), "{other:?}");
        }
    }
}
