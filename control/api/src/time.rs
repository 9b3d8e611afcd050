//! A moment on the wire: RFC 3339 in UTC with nanoseconds, so that it sorts as text and reads without a tool.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Nanoseconds since 1970; written as `2026-05-04T12:03:11.000000250Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// The moment so many nanoseconds after the beginning of 1970. Every value can be written: the last is in 2554.
    #[must_use]
    pub fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the beginning of 1970.
    #[must_use]
    pub fn ns(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{timestamp:.9}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// RFC 3339 with an offset; the error says what is allowed.
impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = text.parse::<Timestamp>().ok();
        let ns = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
        ns.map(Self).ok_or_else(|| {
            format!("\"{text}\" isn't allowed, allowed is a time such as 2026-05-04T12:03:11Z, from 1970 to 2554")
        })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339 in UTC with nine digits of the second"))
            .into()
    }
}

impl ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_written_with_nine_digits_and_read_back() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_777_896_191_000_000_250, "2026-05-04T12:03:11.000000250Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            let time = Time::from_ns(ns);
            assert_eq!(time.to_string(), text);
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["\"yesterday\"", "\"1969-12-31T23:59:59Z\"", "17", "\"\""] {
            assert!(serde_json::from_str::<Time>(text).is_err(), "{text}");
        }
    }
}
