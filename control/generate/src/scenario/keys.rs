//! Reads the keys of a TOML table one by one and collects every mistake, unknown keys included.

use std::net::Ipv4Addr;

use toml::value::{Datetime, Offset, Table, Value};

use super::ScenarioProblem;

/// One section of the file while it is read.
pub(super) struct Keys<'a> {
    /// Name of the section with a dot, or nothing at the root.
    prefix: String,
    table: &'a Table,
    known: Vec<&'static str>,
    problems: &'a mut Vec<ScenarioProblem>,
}

impl<'a> Keys<'a> {
    /// The file as a whole.
    pub(super) fn root(table: &'a Table, problems: &'a mut Vec<ScenarioProblem>) -> Self {
        Self { prefix: String::new(), table, known: Vec::new(), problems }
    }

    /// Reads a section with `read` as if it were empty, so that its required keys are reported and its others get their
    /// defaults.
    pub(super) fn absent<T>(
        name: &str,
        problems: &mut Vec<ScenarioProblem>,
        read: impl FnOnce(&mut Keys<'_>) -> T,
    ) -> T {
        read(&mut Keys {
            prefix: format!("{name}."),
            table: &Table::new(),
            known: Vec::new(),
            problems,
        })
    }

    /// Where problems are collected.
    pub(super) fn problems(&mut self) -> &mut Vec<ScenarioProblem> {
        self.problems
    }

    /// Reads section `name` with `read` and reports its unknown keys; `None` when it isn't there or isn't a table.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Keys<'_>) -> T,
    ) -> Option<T> {
        let value = self.take(name)?;
        let Value::Table(table) = value else {
            self.refuse(name, value, format!("a section, [{name}]"));
            return None;
        };
        let mut keys =
            Keys { prefix: format!("{name}."), table, known: Vec::new(), problems: self.problems };
        let read = read(&mut keys);
        keys.refuse_unknown();
        Some(read)
    }

    /// An integer from `min` to `max`; without a default the key is required.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        default: Option<u64>,
        min: u64,
        max: u64,
    ) -> u64 {
        match (self.optional_integer(key, min, max), default) {
            (Some(value), _) => value,
            (None, Some(default)) => default,
            (None, None) => {
                if !self.table.contains_key(key) {
                    self.note(key, "nothing".to_owned(), format!("{min} to {max}; required"));
                }
                min
            }
        }
    }

    /// An integer from `min` to `max`, or `None` when the key isn't there or is wrong.
    pub(super) fn optional_integer(
        &mut self,
        key: &'static str,
        min: u64,
        max: u64,
    ) -> Option<u64> {
        let value = self.take(key)?;
        let number = value.as_integer().and_then(|value| u64::try_from(value).ok());
        let in_range = number.filter(|number| (min..=max).contains(number));
        if in_range.is_none() {
            self.refuse(key, value, format!("{min} to {max}"));
        }
        in_range
    }

    /// A fraction, in thousandths, from `min` to `max`.
    pub(super) fn permille(&mut self, key: &'static str, default: u64, min: u64, max: u64) -> u64 {
        let Some(value) = self.take(key) else {
            return default;
        };
        let permille = value.as_float().map(|fraction| fraction * 1000.0);
        match permille.filter(|permille| (min as f64..=max as f64).contains(permille)) {
            Some(permille) => permille.round() as u64,
            None => {
                let (min, max) = (min as f64 / 1000.0, max as f64 / 1000.0);
                self.refuse(key, value, format!("a fraction from {min} to {max}"));
                default
            }
        }
    }

    /// A truth value.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.take(key) else {
            return default;
        };
        value.as_bool().unwrap_or_else(|| {
            self.refuse(key, value, "true or false".to_owned());
            default
        })
    }

    /// A unicast IPv4 address.
    pub(super) fn address(&mut self, key: &'static str, default: Ipv4Addr) -> Ipv4Addr {
        let Some(value) = self.take(key) else {
            return default;
        };
        let address = value.as_str().and_then(|text| text.parse().ok());
        let unicast = address.filter(|address: &Ipv4Addr| {
            (1..=223).contains(&address.octets()[0]) && !address.is_loopback()
        });
        unicast.unwrap_or_else(|| {
            let allowed = "an IPv4 unicast address in quotes, such as \"10.10.2.10\"";
            self.refuse(key, value, allowed.to_owned());
            default
        })
    }

    /// A required moment in UTC, in nanoseconds since 1970.
    pub(super) fn moment_ns(&mut self, key: &'static str) -> u64 {
        const ALLOWED: &str =
            "a UTC time from 1970 to 2099 without quotes, such as 2026-03-02T06:00:00Z";
        let Some(value) = self.take(key) else {
            self.note(key, "nothing".to_owned(), format!("{ALLOWED}; required"));
            return 0;
        };
        value
            .as_datetime()
            .and_then(unix_seconds)
            .map(|seconds| seconds * 1_000_000_000)
            .unwrap_or_else(|| {
                self.refuse(key, value, ALLOWED.to_owned());
                0
            })
    }

    /// Reports every key that wasn't asked for, and names the nearest one.
    pub(super) fn refuse_unknown(&mut self) {
        for (key, value) in self.table {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let nearest = self.known.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key))
            });
            let allowed = match nearest {
                Some(nearest) => format!("no such key; the nearest is {}{nearest}", self.prefix),
                None => "no such key".to_owned(),
            };
            self.problems.push(ScenarioProblem {
                key: format!("{}{key}", self.prefix),
                found: value_text(value),
                allowed,
            });
        }
    }

    /// The value of a key, which thereby is a known one.
    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Notes a wrong value.
    fn refuse(&mut self, key: &str, found: &Value, allowed: String) {
        self.note(key, value_text(found), allowed);
    }

    /// Notes a problem.
    fn note(&mut self, key: &str, found: String, allowed: String) {
        self.problems.push(ScenarioProblem {
            key: format!("{}{key}", self.prefix),
            found,
            allowed,
        });
    }
}

/// A value as the file has it; a table only by its kind.
fn value_text(value: &Value) -> String {
    match value {
        Value::Table(_) => "a section".to_owned(),
        other => other.to_string(),
    }
}

/// Seconds since 1970 of a UTC date and time between 1970 and 2099.
pub(crate) fn unix_seconds(moment: &Datetime) -> Option<u64> {
    let (Some(date), Some(time), Some(Offset::Z)) = (moment.date, moment.time, moment.offset)
    else {
        return None;
    };
    if !(1970..=2099).contains(&date.year) {
        return None;
    }
    // Days from civil, H. Hinnant, "chrono-compatible low-level date algorithms"; years begin in March.
    let year = u64::from(date.year) - u64::from(date.month <= 2);
    let month = (u64::from(date.month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + u64::from(date.day) - 1;
    let day_of_era = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    let days = day_of_era.checked_sub(719_468)?;
    let seconds = u64::from(time.hour) * 3600
        + u64::from(time.minute) * 60
        + u64::from(time.second.unwrap_or(0));
    Some(days * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::unix_seconds;

    #[test]
    fn dates_become_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-03-02T06:00:00Z", 1_772_431_200),
            ("2038-01-19T03:14:08Z", 2_147_483_648),
        ] {
            let moment = text.parse().expect("a date");
            assert_eq!(unix_seconds(&moment), Some(seconds), "{text}");
        }
        let local = "2026-03-02T06:00:00".parse().expect("a date");
        assert_eq!(unix_seconds(&local), None);
    }
}
