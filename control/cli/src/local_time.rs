//! Times in the zone of whoever reads them, with its offset, so that a copied line stays true elsewhere.

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

    fn zoned(&self, time: Time) -> Zoned {
        // Every u64 of nanoseconds lies within jiff's range, which ends with the year 9999.
        let timestamp = Timestamp::from_nanosecond(i128::from(time.ns())).unwrap_or(Timestamp::MAX);
        timestamp.to_zoned(self.0.clone())
    }
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
}
