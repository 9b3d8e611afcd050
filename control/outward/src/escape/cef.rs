//! ArcSight's Common Event Format, revision 25 of its guide: header fields and extension values have rules of their own.

use super::{FIELD_BYTES_MAX, WORDS_BYTES_MAX, escape};

/// The text as a field of the header, between two `|`.
#[must_use]
pub fn header(text: &str) -> String {
    escape(text, &['|', '\\'], FIELD_BYTES_MAX)
}

/// The text as the value of a key in the extension.
#[must_use]
pub fn value(text: &str) -> String {
    escape(text, &['=', '\\'], FIELD_BYTES_MAX)
}

/// The same for a sentence, which may be longer.
#[must_use]
pub fn words(text: &str) -> String {
    escape(text, &['=', '\\'], WORDS_BYTES_MAX)
}
