//! Given sides of stations: from the options, from a file, and back into one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use loadlock_packet::{MacAddress, Side};

use crate::error::ReplayError;
use crate::options::{ReplayOptions, station_from_text};

/// A line of a sides file that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidesProblem {
    /// Line from 1.
    pub line: usize,
    /// The line.
    pub found: String,
    /// The side that the station has by an earlier line, where that is the problem.
    pub contradicts: Option<Side>,
}

/// All sides that the options give.
pub(crate) fn given(options: &ReplayOptions) -> Result<BTreeMap<MacAddress, Side>, ReplayError> {
    let mut sides = match &options.sides {
        Some(path) => read(path)?,
        None => BTreeMap::new(),
    };
    // The command line holds against the file.
    sides.extend(options.side_a.iter().map(|mac| (*mac, Side::A)));
    for mac in &options.side_b {
        if options.side_a.contains(mac) {
            return Err(ReplayError::BothSides { mac: *mac });
        }
        sides.insert(*mac, Side::B);
    }
    Ok(sides)
}

fn read(path: &Path) -> Result<BTreeMap<MacAddress, Side>, ReplayError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ReplayError::ReadSides { file: path.to_owned(), source })?;
    parse(&text).map_err(|problems| ReplayError::Sides { file: path.to_owned(), problems })
}

/// Reads lines of a station's address and `a` or `b`; `#` begins a comment. All problems at once.
fn parse(text: &str) -> Result<BTreeMap<MacAddress, Side>, Vec<SidesProblem>> {
    let mut sides = BTreeMap::new();
    let mut problems = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let content = content.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let problem = |contradicts| SidesProblem {
            line: line + 1,
            found: content.chars().take(80).collect(),
            contradicts,
        };
        let mut words = content.split_whitespace();
        let mac = words.next().and_then(station_from_text);
        let side = match words.next() {
            Some("a" | "A") => Some(Side::A),
            Some("b" | "B") => Some(Side::B),
            _ => None,
        };
        match (mac, side, words.next()) {
            (Some(mac), Some(side), None) => match sides.insert(mac, side) {
                Some(earlier) if earlier != side => problems.push(problem(Some(earlier))),
                _ => {}
            },
            _ => problems.push(problem(None)),
        }
    }
    if problems.is_empty() { Ok(sides) } else { Err(problems) }
}

/// The name of a side in files.
pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::A => "a",
        Side::B => "b",
    }
}

/// The file that [`ReplayOptions::sides`] reads back.
pub(crate) fn to_text(sides: &BTreeMap<MacAddress, Side>) -> String {
    let mut text =
        String::from("# Sides of the stations of a capture, written by loadlock replay.\n");
    for (mac, side) in sides {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{mac} {}", side_name(*side));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let sides = parse("# door\n02:00:00:00:00:01 a # tool\n\n02:00:00:00:00:02\tB\n").unwrap();
        assert_eq!(sides.len(), 2);
        assert_eq!(parse(&to_text(&sides)), Ok(sides));
    }

    #[test]
    fn all_problems_are_reported_with_their_lines() {
        let text = "02:00:00:00:00:01 a\nnonsense\n02:00:00:00:00:01 b\n02:00:00:00:00:02 c\n\
                    ff:ff:ff:ff:ff:ff a\n02:00:00:00:00:03 a b";
        let problems = parse(text).unwrap_err();
        let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6]);
        assert_eq!(problems[1].contradicts, Some(Side::A));
    }
}
