//! Values of structured data (RFC 5424, section 6.3.3).

use super::{FIELD_BYTES_MAX, escape};

/// The text as it stands between the quotes of a parameter.
#[must_use]
pub fn value(text: &str) -> String {
    escape(text, &['"', '\\', ']'], FIELD_BYTES_MAX)
}
