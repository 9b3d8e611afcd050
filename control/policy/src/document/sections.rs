//! Sections of a policy document, `[[device]]` and the like: names and types of keys, each with its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Problem;
use crate::read::{self, TextFindings};
use crate::validate;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// One text or several.
    Texts,
    Switch,
    /// A point in time with its offset from UTC.
    Time,
    /// A VLAN as in a rule.
    Vlan,
}

impl Kind {
    fn allowed(self) -> &'static str {
        match self {
            Self::Text => "a text in quotation marks",
            Self::Texts => "a text in quotation marks, or several in brackets",
            Self::Switch => "true or false",
            Self::Time => {
                "a time with its offset, without quotation marks, such as 2026-12-31T18:00:00Z"
            }
            Self::Vlan => {
                "a VLAN id from 1 to 4094, or a text: \"untagged\", \"any\", or two ids such as \"10.20\" in quotation marks"
            }
        }
    }
}

/// A kind of section.
#[derive(Debug)]
pub(crate) struct Section {
    pub name: &'static str,
    pub keys: &'static [&'static str],
    pub kinds: &'static [Kind],
    /// Keys that must be there, and what they take.
    pub mandatory: &'static [(&'static str, &'static str)],
}

/// A value as it was read.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Texts(Vec<String>),
    Switch(bool),
    /// ns since 1970.
    Time(u64),
}

/// One section as it was read.
#[derive(Debug)]
pub(crate) struct Row {
    pub section: &'static Section,
    /// Counted from 1 among the sections of its kind.
    pub number: usize,
    /// Byte at which its header starts.
    pub header: usize,
    pub line: usize,
    values: Vec<Option<(Value, usize)>>,
    /// Keys whose value was refused; they aren't missing.
    refused: Vec<&'static str>,
}

impl Row {
    fn value(&self, key: &str) -> Option<&(Value, usize)> {
        let at = self.section.keys.iter().position(|known| *known == key)?;
        self.values[at].as_ref()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts(key).first().map(String::as_str)
    }

    pub fn texts(&self, key: &str) -> &[String] {
        match self.value(key) {
            Some((Value::Texts(texts), _)) => texts,
            _ => &[],
        }
    }

    pub fn switch(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Some((Value::Switch(switch), _)) => Some(*switch),
            _ => None,
        }
    }

    pub fn time(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some((Value::Time(time), _)) => Some(*time),
            _ => None,
        }
    }

    /// Bytes of the text that are this section, up to the next header at the start of a line: its own values hold no line breaks.
    pub fn span(&self, text: &str) -> (usize, usize) {
        let after = text[self.header..].find("\n[");
        (self.header, after.map_or(text.len(), |at| self.header + at + 1))
    }

    /// Line of a key, or of the header if the key isn't there.
    pub fn line_of(&self, key: &str) -> usize {
        self.value(key).map_or(self.line, |(_, line)| *line)
    }

    /// Path of a key in messages.
    pub fn path(&self, key: &str) -> String {
        let point = if key.is_empty() { "" } else { "." };
        format!("{}[#{}]{point}{key}", self.section.name, self.number)
    }

    pub fn report(&self, findings: &mut TextFindings<'_>, key: &str, problem: Problem) {
        findings.report_file(Some(self.line_of(key)), &self.path(key), problem);
    }

    pub fn refuse(
        &self,
        findings: &mut TextFindings<'_>,
        key: &str,
        found: &str,
        allowed: &'static str,
    ) {
        let found = validate::excerpt(found);
        self.report(findings, key, Problem::NotAllowed { found, allowed, instead: None });
    }
}

/// Reads all sections of a kind, and reports keys that are unknown, missing or of another type.
pub(crate) fn read(
    document: &DeTable<'_>,
    section: &'static Section,
    findings: &mut TextFindings<'_>,
) -> Vec<Row> {
    let Some(value) = document.get(section.name) else { return Vec::new() };
    let mut rows = Vec::new();
    let entries = value.get_ref().as_array().map(|entries| entries.iter()).into_iter().flatten();
    for entry in entries {
        let Some(table) = entry.get_ref().as_table() else { continue };
        rows.push(read_row(table, section, rows.len() + 1, entry.span().start, findings));
    }
    let is_array_of_tables = value
        .get_ref()
        .as_array()
        .is_some_and(|entries| entries.iter().all(|entry| entry.get_ref().is_table()));
    if !is_array_of_tables {
        let line = Some(findings.places.line_of(value.span().start));
        let found = value.get_ref().type_str();
        let allowed = "sections, each below a header in double brackets such as [[permit]]";
        findings.report_file(line, section.name, Problem::WrongType { found, allowed });
    }
    rows
}

fn read_row(
    table: &DeTable<'_>,
    section: &'static Section,
    number: usize,
    header: usize,
    findings: &mut TextFindings<'_>,
) -> Row {
    let line = findings.places.line_of(header);
    let values = vec![None; section.keys.len()];
    let mut row = Row { section, number, header, line, values, refused: Vec::new() };
    for (key, value) in table {
        let Some(at) = section.keys.iter().position(|known| known == key.get_ref()) else {
            let line = Some(findings.places.line_of(key.span().start));
            let path = row.path(&validate::excerpt(key.get_ref()));
            let nearest = read::nearest(key.get_ref(), section.keys);
            let problem = Problem::UnknownKey { nearest, known: section.keys };
            findings.report_file(line, &path, problem);
            continue;
        };
        let line = findings.places.line_of(value.span().start);
        match convert(section.kinds[at], value) {
            Some(converted) => row.values[at] = Some((converted, line)),
            None => {
                let found = value.get_ref().type_str();
                let problem = Problem::WrongType { found, allowed: section.kinds[at].allowed() };
                findings.report_file(Some(line), &row.path(section.keys[at]), problem);
                row.refused.push(section.keys[at]);
            }
        }
    }
    for (key, allowed) in section.mandatory {
        let is_empty = row.value(key).is_none()
            || matches!(row.value(key), Some((Value::Texts(texts), _)) if texts.is_empty());
        if is_empty && !row.refused.contains(key) {
            row.report(findings, key, Problem::Missing { allowed });
        }
    }
    row
}

fn convert(kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    let value_ref = value.get_ref();
    let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    match kind {
        Kind::Text => Some(Value::Texts(vec![text(value_ref)?])),
        Kind::Texts => match value_ref.as_array() {
            Some(list) => {
                let texts: Option<Vec<_>> = list.iter().map(|one| text(one.get_ref())).collect();
                texts.map(Value::Texts)
            }
            None => Some(Value::Texts(vec![text(value_ref)?])),
        },
        Kind::Switch => value_ref.as_bool().map(Value::Switch),
        Kind::Time => match value_ref {
            DeValue::Datetime(time) => time_ns(time).map(Value::Time),
            _ => None,
        },
        Kind::Vlan => {
            let id = read::integer(value).map(|id| id.to_string());
            Some(Value::Texts(vec![id.or_else(|| text(value_ref))?]))
        }
    }
}

/// ns since 1970; `None` without date, time or offset, and before 1970.
fn time_ns(time: &toml::value::Datetime) -> Option<u64> {
    let (date, clock, offset) = (time.date?, time.time?, time.offset?);
    let minutes = match offset {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    let days = days_from_civil(i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let seconds = days * 86_400
        + i64::from(clock.hour) * 3_600
        + i64::from(clock.minute) * 60
        + i64::from(clock.second.unwrap_or(0))
        - minutes * 60;
    let ns = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    ns.checked_add(u64::from(clock.nanosecond.unwrap_or(0)))
}

/// Days since 1970-01-01 of a day in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ns_since_1970() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-12-31T18:00:00+01:00", 1_798_736_400),
        ] {
            assert_eq!(time_ns(&text.parse().unwrap()), Some(seconds * 1_000_000_000), "{text}");
        }
        assert_eq!(time_ns(&"2026-12-31T18:00:00".parse().unwrap()), None);
    }
}
