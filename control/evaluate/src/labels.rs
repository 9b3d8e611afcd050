//! What the packets of a capture are in truth.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::EvaluateError;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Benign,
    Attack,
    /// Answers to attackers, and what its publisher isn't sure of: in no figure.
    Ignored,
}

/// Labels of packets by number, from 1; what isn't named is benign.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// First and last packet, in order.
    ranges: Vec<(u64, u64, Label)>,
}

/// A line of labels as `loadlock generate` writes them.
#[derive(Deserialize)]
struct LabelLine {
    n: u64,
    label: String,
}

impl Labels {
    /// Reads JSON lines of `loadlock generate`, or tab-separated lines of first packet, last packet and label.
    pub fn read(file: &Path) -> Result<Self, EvaluateError> {
        let text = fs::read_to_string(file).map_err(|error| EvaluateError::Labels {
            file: file.to_owned(),
            line: 0,
            problem: format!("can't be read ({error}); check the path"),
        })?;
        Self::parse(&text).map_err(|(line, problem)| EvaluateError::Labels {
            file: file.to_owned(),
            line,
            problem: problem.to_owned(),
        })
    }

    fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut ranges = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let range = if line.starts_with('{') {
                let line: LabelLine = serde_json::from_str(line)
                    .map_err(|_| (number, "isn't a label line; it needs `n` and `label`"))?;
                Some((line.n, line.n, label(&line.label)))
            } else {
                of_fields(line)
            };
            let allowed = "allowed are first packet, last packet and label, with tabs between";
            ranges.push(range.ok_or((number, allowed))?);
        }
        ranges.sort_by_key(|(first, ..)| *first);
        Ok(Self { ranges })
    }

    /// The label of a packet.
    pub fn of(&self, number: u64) -> Label {
        let at = self.ranges.partition_point(|(first, ..)| *first <= number);
        match at.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            Some((_, last, label)) if number <= *last => *label,
            _ => Label::Benign,
        }
    }
}

fn of_fields(line: &str) -> Option<(u64, u64, Label)> {
    let mut fields = line.split('\t');
    let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((first, last, label(fields.next()?)))
}

/// `attack` and `attack:…` are attacks, `benign` is benign; everything else the publisher leaves out.
fn label(name: &str) -> Label {
    match name.split(':').next() {
        Some("attack") => Label::Attack,
        Some("benign") => Label::Benign,
        _ => Label::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_others_refused_with_their_line() {
        let text = "# a comment\n5\t7\tattack:nmap\n9\t9\tignore_to_attacker\n{\"n\":11,\"label\":\"attack\"}\n";
        let labels = Labels::parse(text).expect("good");
        let found: Vec<Label> = (4..=11).map(|number| labels.of(number)).collect();
        use Label::{Attack, Benign, Ignored};
        assert_eq!(found, [Benign, Attack, Attack, Attack, Benign, Ignored, Benign, Attack]);
        assert_eq!(Labels::parse("1\t2\n").unwrap_err().0, 1);
        assert_eq!(Labels::parse("\n{\"label\":\"attack\"}\n").unwrap_err().0, 2);
    }
}
