//! The Internet checksum.

/// One's-complement sum of 16-bit words in network order (RFC 1071).
#[derive(Debug, Clone, Copy, Default)]
pub struct Checksum {
    sum: u64,
}

impl Checksum {
    /// Adds bytes; an odd last byte counts as if a zero followed, so only the last part may have an odd length.
    pub fn with(mut self, bytes: &[u8]) -> Self {
        let (words, last) = bytes.as_chunks::<2>();
        for word in words {
            self.sum += u64::from(u16::from_be_bytes(*word));
        }
        if let [byte] = last {
            self.sum += u64::from(*byte) << 8;
        }
        self
    }

    /// The checksum: 0 when the bytes held a right one.
    pub fn finish(self) -> u16 {
        let mut sum = self.sum;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    /// The example of RFC 1071 section 3.
    #[test]
    fn gives_the_value_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Checksum::default().with(&bytes).finish(), !0xddf2);
        assert_eq!(Checksum::default().with(&[0x12]).finish(), !0x1200);
    }
}
