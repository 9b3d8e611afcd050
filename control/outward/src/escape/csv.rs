//! A field of a CSV file (RFC 4180) that a spreadsheet may open.

use loadlock_api::printable;

/// The text as one field, always in quotes: hidden characters visible, quotes doubled, and an apostrophe before what a spreadsheet
/// would compute (`=`, `+`, `-`, `@` at the beginning, which OWASP calls CSV injection).
#[must_use]
pub fn field(text: &str) -> String {
    let shown = printable(text);
    let guard = if shown.trim_start().starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", shown.replace('"', "\"\""))
}
