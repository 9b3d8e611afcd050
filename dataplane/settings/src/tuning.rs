//! Values with a syntax of their own: keys of RSS, lines of GPIO, offloads.

use std::fmt;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::problem::Problem;
use crate::scope::Scope;

/// Indirection tables of today's cards have at most so many entries that differ in use: with fewer hashes, queues stay empty.
const HASHES_MIN_BITS: u32 = 9;

/// Key of the Toeplitz hash, repeated over the length that a device wants.
///
/// The hash XORs one 32-bit window of the key for each set bit of the addresses, so that with a period of 32 bits swapping
/// source and destination (32 bits apart for IPv4, 128 for IPv6) changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RssKey(pub [u8; 4]);

impl RssKey {
    /// DPDK's usual symmetric key.
    pub const DEFAULT: Self = Self([0x6d, 0x5a, 0x6d, 0x5a]);

    fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| u32::from_str_radix(text, 16).ok())
            .flatten()
            .map(|key| Self(key.to_be_bytes()))
    }

    /// Independent bits of its hashes: there are 2 to the power of it different ones.
    pub fn hash_bits(self) -> u32 {
        let key = u32::from_be_bytes(self.0);
        // Rank over GF(2) of the windows, which are the key's rotations.
        let mut basis = [0_u32; 32];
        for shift in 0..32 {
            let mut window = key.rotate_left(shift);
            while window != 0 {
                let place = &mut basis[window.leading_zeros() as usize];
                if *place == 0 {
                    *place = window;
                    break;
                }
                window ^= *place;
            }
        }
        basis.iter().filter(|window| **window != 0).count() as u32
    }
}

/// A line of a GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GpioLine {
    /// The chip's character device, such as `/dev/gpiochip0`.
    pub chip: PathBuf,
    /// Its offset on the chip.
    pub line: u32,
    /// Active is the low level.
    pub active_low: bool,
}

impl GpioLine {
    fn parse(text: &str) -> Option<Self> {
        let (text, active_low) = match text.strip_suffix(":active-low") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (chip, line) = text.rsplit_once(':')?;
        let digits =
            (1..=5).contains(&line.len()) && line.bytes().all(|byte| byte.is_ascii_digit());
        let usable =
            chip.starts_with('/') && !chip.contains(':') && !chip.chars().any(char::is_control);
        (digits && usable).then(|| line.parse().ok()).flatten().map(|line| Self {
            chip: PathBuf::from(chip),
            line,
            active_low,
        })
    }
}

impl fmt::Display for GpioLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.active_low { ":active-low" } else { "" };
        write!(formatter, "{}:{}{suffix}", self.chip.display(), self.line)
    }
}

/// What DPDK's offloads do that a line must not do, by their names without `RTE_ETH_RX_OFFLOAD_` and `RTE_ETH_TX_OFFLOAD_`.
const TOUCHING: &[(&[&str], &str)] = &[
    (&["vlan-strip", "qinq-strip", "macsec-strip"], "takes tags out of frames"),
    (&["vlan-insert", "qinq-insert", "macsec-insert"], "puts tags into frames"),
    (
        &["vlan-filter", "vlan-extend"],
        "drops or changes tagged frames, before they are judged and counted",
    ),
    (
        &["keep-crc"],
        "makes each frame longer by its check sequence, with which it would be sent on",
    ),
    (&["tcp-lro", "lro"], "joins several frames to one"),
    (
        &[
            "tcp-tso",
            "udp-tso",
            "tso",
            "vxlan-tnl-tso",
            "gre-tnl-tso",
            "ipip-tnl-tso",
            "geneve-tnl-tso",
            "ip-tnl-tso",
            "udp-tnl-tso",
        ],
        "cuts a frame in several",
    ),
    (
        &[
            "ipv4-cksum",
            "tcp-cksum",
            "udp-cksum",
            "sctp-cksum",
            "outer-ipv4-cksum",
            "outer-udp-cksum",
            "checksum",
        ],
        "drops or mends frames with a wrong checksum, which must go on as they came",
    ),
    (&["security"], "encrypts and decrypts frames"),
    (
        &["header-split", "buffer-split"],
        "lays a frame into several buffers, of which only the first is judged",
    ),
];

/// What this offload does to a frame; `None`: nothing that is known of.
fn touches(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let short = ["rte-eth-rx-offload-", "rte-eth-tx-offload-", "rx-", "tx-"];
    let word = short.iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(&word);
    TOUCHING.iter().find(|(words, _)| words.contains(&word)).map(|(_, effect)| *effect)
}

impl Scope<'_, '_> {
    /// A key of RSS.
    pub(crate) fn rss_key(&mut self, name: &str) -> RssKey {
        let key = self.schema.key(name);
        let (text, Some(value)) = self.text_at(key) else { return RssKey::DEFAULT };
        let Some(parsed) = RssKey::parse(&text) else {
            self.not_allowed(key, self.path_of(name), value, None);
            return RssKey::DEFAULT;
        };
        let bits = parsed.hash_bits();
        if bits < HASHES_MIN_BITS {
            let found = self.findings.excerpt(&value.span());
            let problem = Problem::WeakRssKey { found, bits, bits_min: HASHES_MIN_BITS };
            self.findings.report_at(&self.path_of(name), problem);
        }
        parsed
    }

    /// A line of GPIO, or none.
    pub(crate) fn gpio_line(&mut self, name: &str) -> Option<GpioLine> {
        let key = self.schema.key(name);
        let (text, value) = self.text_at(key);
        let line = GpioLine::parse(&text);
        if let (Some(value), None, false) = (value, &line, text.is_empty()) {
            self.not_allowed(key, self.path_of(name), value, None);
        }
        line
    }

    /// Notes the offloads among the words of a list that would touch a frame, each with what it does. To be called before
    /// [`Scope::choices`] reads the list, which then says nothing more of them.
    pub(crate) fn refuse_touching_offloads(&mut self, name: &str) -> bool {
        let entries = self.content.and_then(|content| content.get(name)?.get_ref().as_array());
        let mut refused = false;
        for (index, entry) in entries.into_iter().flat_map(|entries| entries.iter().enumerate()) {
            let DeValue::String(text) = entry.get_ref() else { continue };
            if let Some(effect) = touches(text) {
                refused = true;
                let problem = Problem::TouchingOffload {
                    found: self.findings.excerpt(&entry.span()),
                    effect,
                };
                let line = self.findings.line_of(&entry.span());
                let path = format!("{}[{index}]", self.path_of(name));
                self.findings.report(Some(line), path, problem);
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Toeplitz by its definition, bit for bit.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
        let mut hash = 0;
        for at in (0..input.len() * 8).filter(|at| bit(input, *at)) {
            let window = (0..32)
                .fold(0_u32, |window, offset| window << 1 | u32::from(bit(key, at + offset)));
            hash ^= window;
        }
        hash
    }

    /// Two addresses without a pattern (SplitMix64).
    fn pair(seed: u64, bytes: usize) -> [Vec<u8>; 2] {
        let mixed = |at: u64| {
            let mut word = (seed * 64 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (word ^ word >> 31) as u8
        };
        let bytes = bytes as u64;
        [(0..bytes).map(mixed).collect(), (32..32 + bytes).map(mixed).collect()]
    }

    #[test]
    fn any_key_of_four_bytes_hashes_both_directions_of_an_ip_pair_alike() {
        for key in [RssKey::DEFAULT, RssKey([0x12, 0x34, 0x56, 0x78]), RssKey([0x80, 0, 0, 0])] {
            let long: Vec<u8> = key.0.iter().copied().cycle().take(52).collect();
            for (seed, bytes) in (0..50).flat_map(|seed| [(seed, 4), (seed, 16)]) {
                let [a, b] = pair(seed, bytes);
                let hash = |first: &[u8], second: &[u8]| toeplitz(&long, &[first, second].concat());
                assert_eq!(hash(&a, &b), hash(&b, &a), "{key:?}");
            }
        }
    }

    #[test]
    fn the_number_of_hashes_is_what_counting_them_gives() {
        for (text, bits) in [("ffffffff", 1), ("55555555", 2), ("01010101", 8), ("0f0f0f0f", 5)] {
            let key = RssKey::parse(text).unwrap();
            let long: Vec<u8> = key.0.iter().copied().cycle().take(40).collect();
            let mut hashes: Vec<u32> = (0..4_000)
                .map(|seed| {
                    let [a, b] = pair(seed, 4);
                    toeplitz(&long, &[a, b].concat())
                })
                .collect();
            hashes.sort_unstable();
            hashes.dedup();
            assert_eq!(hashes.len(), 1 << bits, "{text}");
            assert_eq!(key.hash_bits(), bits, "{text}");
        }
        assert!(RssKey::DEFAULT.hash_bits() >= HASHES_MIN_BITS);
        assert_eq!(RssKey([0; 4]).hash_bits(), 0);
    }

    #[test]
    fn lines_of_gpio_are_a_chip_and_a_number() {
        let line = GpioLine::parse("/dev/gpiochip0:17").unwrap();
        assert_eq!(
            (line.chip.to_str(), line.line, line.active_low),
            (Some("/dev/gpiochip0"), 17, false)
        );
        assert_eq!(line.to_string(), "/dev/gpiochip0:17");
        let low = GpioLine::parse("/dev/gpiochip1:0:active-low").unwrap();
        assert!(low.active_low && low.line == 0);
        for wrong in [
            "",
            "17",
            "/dev/gpiochip0",
            "/dev/gpiochip0:",
            "gpiochip0:1",
            "/dev/g:x",
            "/d:+1",
            "/d:1:high",
            "/d\n:1",
            "/d:999999",
        ] {
            assert_eq!(GpioLine::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn offloads_are_known_by_all_their_names() {
        for word in [
            "vlan-strip",
            "rx-vlan-strip",
            "RTE_ETH_RX_OFFLOAD_VLAN_STRIP",
            "tcp_lro",
            "TX_IPV4_CKSUM",
        ] {
            assert!(touches(word).is_some(), "{word}");
        }
        assert_eq!(touches("tx-fast-free"), None);
        assert_eq!(touches("rss-hash"), None);
    }
}
