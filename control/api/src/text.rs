//! Text as people read it; that from the network made safe for terminals and logs.
//!
//! Escaped are control characters (C0, DEL and C1: a bare U+009B starts an ANSI sequence too) and the invisible ones that
//! move or reorder what is shown (Unicode categories Cf, Zl, Zp): a name must not hide, forge or overwrite a line.

use std::borrow::Cow;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// True for what is escaped.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with every hidden character written as `\u{9b}`, and each backslash doubled where there is one to tell apart.
///
/// Borrows, and allocates nothing, when there is nothing to escape.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\\' => shown.push_str("\\\\"),
            c if is_hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON on one line in which hidden characters are `\u` escapes: the same value, safe on a terminal.
///
/// # Errors
/// A value whose `Serialize` fails, or a map whose keys aren't texts; no type of this crate is such.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Escaping))?;
    String::from_utf8(bytes).map_err(|error| serde_json::Error::io(io::Error::other(error)))
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

struct Escaping;

impl Formatter for Escaping {
    /// Gets what serde_json doesn't escape by itself: everything but quotes, backslashes and C0.
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            out.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_and_reordering_become_visible() {
        assert_eq!(printable("\x1b[2Jetch\u{9b}31m\r\n"), "\\u{1b}[2Jetch\\u{9b}31m\\u{d}\\u{a}");
        assert_eq!(printable("a\u{202e}b\\"), "a\\u{202e}b\\\\");
        assert_eq!(printable("Müller → 測定 \\"), "Müller → 測定 \\");
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn json_keeps_the_value_and_loses_the_sequence() {
        let text = "\x1b[2J\u{9b}1m \u{7f}\u{2028}\u{e0041}\"\\ ü";
        let json = to_json(text).unwrap();
        assert_eq!(json, r#""\u001b[2J\u009b1m \u007f\u2028\udb40\udc41\"\\ ü""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
