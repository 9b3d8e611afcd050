//! Times as people write them: RFC 3339, and durations with a unit.

/// Nanoseconds of a second.
pub(crate) const NS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Days from 1970-01-01 to a day of the Gregorian calendar, from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    // Howard Hinnant, "chrono-compatible low-level date algorithms": years that begin in March put the leap day last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year % 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// Year, month and day so many days after 1970-01-01.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// ns since 1970 as RFC 3339 in UTC, with nine decimals.
pub(crate) fn rfc3339(time_ns: u64) -> String {
    let (seconds, ns) = (time_ns / NS_PER_SECOND, time_ns % NS_PER_SECOND);
    let (year, month, day) = civil_from_days(seconds / SECONDS_PER_DAY);
    let of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z")
}

/// Reads an RFC 3339 time (section 5.6) with `Z` or an offset, from 1970 to 2554.
pub(crate) fn from_rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let offset_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = rest.split_at(offset_at);
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let fits = (1970..=2554).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let days = fits.then(|| days_from_civil(year, month, day))??;
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let seconds = days * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset_s(offset)?)?;
    let ns = fraction.map_or(Some(0), fraction_ns)?;
    seconds.checked_mul(NS_PER_SECOND)?.checked_add(ns)
}

/// Seconds by which a zone is ahead of UTC.
fn offset_s(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let [hours, minutes] = numbers(text.get(1..)?, ':', [2, 2])?;
    let seconds = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some(if text.starts_with('-') { -seconds } else { seconds })
}

/// Numbers of exactly so many digits with `separator` between them.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut values = [0; N];
    for (value, digits) in values.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(values)
}

/// Decimals of a second; what is finer than a nanosecond is cut off.
fn fraction_ns(decimals: &str) -> Option<u64> {
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{decimals:0<9}").get(..9)?.parse().ok()
}

/// Reads `280s`, `1.5h` and the like, with `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn duration_ns(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| character.is_ascii_alphabetic())?;
    let (value, unit) = text.split_at(unit_at);
    let unit_ns = match unit {
        "ms" => NS_PER_SECOND / 1_000,
        "s" => NS_PER_SECOND,
        "m" => 60 * NS_PER_SECOND,
        "h" => 3_600 * NS_PER_SECOND,
        "d" => SECONDS_PER_DAY * NS_PER_SECOND,
        _ => return None,
    };
    let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = u128::from(fraction_ns(decimals)?) * u128::from(unit_ns);
    let part = u64::try_from(part / u128::from(NS_PER_SECOND)).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(unit_ns)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        for (time_ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_476_085_321_000_000_001, "2016-10-10T07:42:01.000000001Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(rfc3339(time_ns), text);
            assert_eq!(from_rfc3339(text), Some(time_ns));
        }
        let zoned = from_rfc3339("2016-10-10T09:42:01.5+02:00");
        assert_eq!(zoned, Some(1_476_085_321_500_000_000));
    }

    #[test]
    fn impossible_times_are_refused() {
        for text in [
            "2016-02-30T00:00:00Z",
            "2016-13-01T00:00:00Z",
            "2016-10-10T24:00:00Z",
            "2016-10-10T07:42Z",
            "2016-10-10T07:42:01",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "2554-12-31T00:00:00Z",
            "2016-10-10T07:42:01.Z",
            "",
        ] {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }
}
