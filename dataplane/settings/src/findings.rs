//! What reading a file turns up: the mistakes, and the line of every key.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::SettingsError;
use crate::problem::Problem;

/// Longest quotation of a value in a message, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 60;

/// Line of each key that stands in the file, by key path.
pub(crate) type Lines = BTreeMap<String, u32>;

/// Value of each key, its default where the file lacks it, by key path, written in one way.
pub(crate) type Values = BTreeMap<String, String>;

/// The text with its mistakes so far.
#[derive(Debug)]
pub(crate) struct Findings<'text> {
    text: &'text str,
    place: String,
    line_starts: Vec<usize>,
    /// The mistakes, in the order found.
    pub(crate) errors: Vec<SettingsError>,
    /// The lines, kept for later checks against the machine.
    pub(crate) lines: Lines,
    /// The values, kept to compare one file with another.
    pub(crate) values: Values,
}

impl<'text> Findings<'text> {
    /// No mistake yet.
    pub(crate) fn new(text: &'text str, place: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            text,
            place: place.to_owned(),
            line_starts: newlines.map(|(offset, _)| offset + 1).collect(),
            errors: Vec::new(),
            lines: Lines::new(),
            values: Values::new(),
        }
    }

    /// Line, from 1, of the first byte of the span.
    pub(crate) fn line_of(&self, span: &Range<usize>) -> u32 {
        let before = self.line_starts.partition_point(|start| *start <= span.start);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }

    /// The text of the span as it is written, on one line and shortened.
    pub(crate) fn excerpt(&self, span: &Range<usize>) -> String {
        let written = self.text.get(span.clone()).unwrap_or("").trim();
        let mut excerpt = String::new();
        for (count, character) in written.chars().enumerate() {
            if count == EXCERPT_CHARACTERS_MAX || character == '\n' || character == '\r' {
                excerpt.push_str("...");
                break;
            }
            excerpt.push(character);
        }
        printable(&excerpt)
    }

    /// Notes a mistake.
    pub(crate) fn report(&mut self, line: Option<u32>, key: impl Into<String>, problem: Problem) {
        self.errors.push(SettingsError {
            place: self.place.clone(),
            line,
            // A quoted key may hold anything, and a control character would move the terminal's cursor.
            key: printable(&key.into()),
            problem,
        });
    }

    /// Line of the key, of the value or table around it if the key is absent, or `None` if that is absent too.
    pub(crate) fn nearest_line(&self, key: &str) -> Option<u32> {
        let around = || self.lines.get(key.rsplit_once('.')?.0);
        self.lines.get(key).or_else(around).copied()
    }

    /// Notes a mistake at a key, on the line that [`Findings::nearest_line`] gives.
    pub(crate) fn report_at(&mut self, key: &str, problem: Problem) {
        self.report(self.nearest_line(key), key, problem);
    }

    /// Whether neither this key nor any of its list entries has a mistake, so that a rule between keys may use it.
    pub(crate) fn is_sound(&self, key: &str) -> bool {
        !self.errors.iter().any(|error| {
            let rest = error.key.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        })
    }
}

/// The text with control characters escaped.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_a_newline_belongs_to_its_line() {
        let findings = Findings::new("a\nbc\n\nd", "x.toml");
        let lines: Vec<u32> = (0..8).map(|at| findings.line_of(&(at..at))).collect();
        assert_eq!(lines, [1, 1, 2, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn an_excerpt_is_short_and_on_one_line() {
        let long = "é".repeat(100);
        let findings = Findings::new(&long, "x.toml");
        let excerpt = findings.excerpt(&(0..long.len()));
        assert_eq!(excerpt.chars().count(), EXCERPT_CHARACTERS_MAX + 3);
        let two_lines = Findings::new("[1,\n2]", "x.toml");
        assert_eq!(two_lines.excerpt(&(0..6)), "[1,...");
    }

    #[test]
    fn an_error_in_a_list_entry_makes_the_list_unsound() {
        let mut findings = Findings::new("", "x.toml");
        findings.report(None, "dataplane.worker_cores[2]", Problem::NotUtf8);
        assert!(!findings.is_sound("dataplane.worker_cores"));
        assert!(findings.is_sound("dataplane.worker"));
    }
}
