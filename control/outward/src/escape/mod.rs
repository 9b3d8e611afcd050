//! Text from the network made safe for one format each.
//!
//! | format | what would break it | module |
//! |---|---|---|
//! | terminal, log | control characters, bidirectional and invisible ones | [`loadlock_api::printable`] |
//! | JSON | the same | [`loadlock_api::to_json`] |
//! | CSV | separators, quotes, and what a spreadsheet takes for a formula | [`csv`] |
//! | structured data of RFC 5424 | `"`, `\`, `]` | [`structured`] |
//! | CEF | `\|`, `=`, `\`, line breaks | [`cef`] |
//!
//! The last three make hidden characters visible first, as `printable` does, and cut what is too long at a mark: one name must not
//! push the rest of a message beyond what a receiver takes.

pub mod cef;
pub mod csv;
pub mod structured;

use loadlock_api::printable;

/// Longest field in bytes, escapes included.
pub const FIELD_BYTES_MAX: usize = 512;
/// Longest sentence in bytes, escapes included.
pub const WORDS_BYTES_MAX: usize = 2048;
/// Ends what was cut.
pub const CUT: &str = "...";

/// A sentence of a message that has no syntax of its own.
#[must_use]
pub fn sentence(text: &str) -> String {
    escape(text, &[], WORDS_BYTES_MAX)
}

/// The text with hidden characters visible and a backslash before each of `escaped`, of at most `bytes_max` bytes: cut between
/// characters, never within an escape.
fn escape(text: &str, escaped: &[char], bytes_max: usize) -> String {
    // An escape needs no more than 10 bytes, `\u{10ffff}`, so what lies beyond can't be needed.
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = String::new();
    let mut room = bytes_max - CUT.len();
    let mut piece = String::new();
    for c in text[..end].chars() {
        piece.clear();
        for shown in printable(c.encode_utf8(&mut [0; 4])).chars() {
            if escaped.contains(&shown) {
                piece.push('\\');
            }
            piece.push(shown);
        }
        if piece.len() > room {
            return out + CUT;
        }
        room -= piece.len();
        out.push_str(&piece);
    }
    if end < text.len() {
        out.push_str(CUT);
    }
    out
}
