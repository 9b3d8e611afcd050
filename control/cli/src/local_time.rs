//! Times in the zone of whoever reads them, with its offset, so that a copied line stays true elsewhere.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use loadlock_api::Time;

/// The zone in which times are shown: `TZ`, else the system's, else UTC.
pub struct LocalTime(TimeZone);

impl LocalTime {
    /// The reader's zone. Reads `/etc/localtime` or the time zone database.
    pub fn here() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// `2026-05-04T14:03:11+02:00`.
    pub fn seconds(&self, time: Time) -> String {
        self.zoned(time).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// `2026-05-04T14:03:11.250+02:00`.
    pub fn milliseconds(&self, time: Time) -> String {
        // Written as a number of digits, not rounded: %.3f cuts.
        self.zoned(time).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }

    /// A date, or a date and time, in this zone unless it has one of its own.
    fn moment(&self, text: &str) -> Result<Time, String> {
        let local = || text.parse::<DateTime>().ok()?.to_zoned(self.0.clone()).ok();
        let moment =
            text.parse::<Timestamp>().ok().or_else(|| local().map(|zoned| zoned.timestamp()));
        let ns = moment.and_then(|moment| u64::try_from(moment.as_nanosecond()).ok());
        ns.map(Time::from_ns).ok_or_else(|| {
            "allowed is a date, with a time or without, such as 2026-11-01 or 2026-11-01T08:00"
                .to_owned()
        })
    }

    fn zoned(&self, time: Time) -> Zoned {
        // Every u64 of nanoseconds lies within jiff's range, which ends with the year 9999.
        let timestamp = Timestamp::from_nanosecond(i128::from(time.ns())).unwrap_or(Timestamp::MAX);
        timestamp.to_zoned(self.0.clone())
    }
}

/// A moment as people write it, in the reader's zone unless it says another.
///
/// # Errors
/// What is allowed.
pub fn read(text: &str) -> Result<Time, String> {
    LocalTime::here().moment(text)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Central European Summer Time, without a database.
    pub fn summer() -> LocalTime {
        LocalTime(TimeZone::fixed(jiff::tz::offset(2)))
    }

    #[test]
    fn a_time_has_its_offset() {
        let time = Time::from_ns(1_777_896_191_250_999_999);
        assert_eq!(summer().seconds(time), "2026-05-04T14:03:11+02:00");
        assert_eq!(summer().milliseconds(time), "2026-05-04T14:03:11.250+02:00");
        assert_eq!(LocalTime(TimeZone::UTC).seconds(Time::from_ns(0)), "1970-01-01T00:00:00+00:00");
    }

    #[test]
    fn a_moment_is_read_in_the_readers_zone_unless_it_says_another() {
        for (text, shown) in [
            ("2026-11-01", "2026-11-01T00:00:00+02:00"),
            ("2026-11-01T08:00", "2026-11-01T08:00:00+02:00"),
            ("2026-11-01T08:00:00Z", "2026-11-01T10:00:00+02:00"),
        ] {
            assert_eq!(summer().seconds(summer().moment(text).unwrap()), shown);
        }
        for text in ["", "yesterday", "1969-01-01", "2026-13-01", "8:00"] {
            assert!(summer().moment(text).is_err(), "{text}");
        }
    }
}
