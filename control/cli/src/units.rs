//! Figures as people read them.

use loadlock_api::thousands;

/// A count and its noun: `1 rule`, `2,000 rules`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// Three digits and a unit of a thousand times the one before.
fn scaled(number: u64, units: &[&str]) -> String {
    let mut value = number as f64;
    let mut at = 0;
    // From 999.5 on, three digits would show 1000.
    while value >= 999.5 && at + 1 < units.len() {
        value /= 1_000.0;
        at += 1;
    }
    let decimals = match value {
        _ if at == 0 => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", units[at])
}

/// Nanoseconds as `850 ns`, `1.84 µs`, `12.0 ms`; `-` when there is none.
pub fn latency(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| scaled(ns, &["ns", "µs", "ms", "s"]))
}

/// Bytes as `88.4 kB`, in powers of 1,000.
pub fn traffic_bytes(bytes: u64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Packets a second as `1.21 Mpps`.
pub fn packet_rate(pps: u64) -> String {
    scaled(pps, &["pps", "kpps", "Mpps", "Gpps"])
}

/// Bits a second as `9.87 Gbit/s`.
pub fn bit_rate(bits_per_s: u64) -> String {
    scaled(bits_per_s, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
}

/// Bytes as `256 MiB`, in powers of 1,024 and without a fraction.
pub fn memory(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", thousands(bytes.div_ceil(1_024))),
        _ => format!("{} MiB", thousands(bytes.div_ceil(1_048_576))),
    }
}

/// Milliseconds as `12 ms`, from a second on like [`duration`].
pub fn age(ms: u64) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { duration(ms / 1_000) }
}

/// Seconds as `42 s`, `7 min 5 s`, `3 h 20 min`, `3 d 4 h`.
pub fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", thousands(days), hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_its_own_noun() {
        assert_eq!(counted(1, "rule", "rules"), "1 rule");
        assert_eq!(counted(2_000, "rule", "rules"), "2,000 rules");
    }

    #[test]
    fn figures_have_three_digits() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_840, "1.84 µs"),
            (99_960, "100 µs"),
            (999_600, "1.00 ms"),
            (184_320, "184 µs"),
            (12_345_678_901, "12.3 s"),
        ] {
            assert_eq!(latency(Some(ns)), text);
        }
        assert_eq!(latency(None), "-");
        assert_eq!(traffic_bytes(88_412), "88.4 kB");
        assert_eq!(traffic_bytes(u64::MAX), "18.4 EB");
        assert_eq!((packet_rate(1_210_000), bit_rate(0)), ("1.21 Mpps".into(), "0 bit/s".into()));
        assert_eq!((memory(1), memory(268_435_456)), ("1 KiB".into(), "256 MiB".into()));
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in
            [(59, "59 s"), (425, "7 min 5 s"), (12_000, "3 h 20 min"), (273_604, "3 d 4 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
