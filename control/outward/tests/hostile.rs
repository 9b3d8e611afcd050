//! Names chosen by an attacker can't break out of their field, in any format.

mod support;

use loadlock_api::{printable, to_json};
use loadlock_outward::escape::{self, CUT, FIELD_BYTES_MAX, WORDS_BYTES_MAX, cef, csv, structured};
use proptest::prelude::*;

/// Bytes as they come from the network, read as text: wild characters, every hostile one among them.
fn hostile() -> impl Strategy<Value = String> {
    let wild = prop::collection::vec(any::<u8>(), 0..200)
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let chosen = prop::collection::vec(
        prop::sample::select(
            "|=\\\"] []\r\n\t\0\u{1b}\u{9b}\u{7f}\u{feff}\u{202e}\u{2028}aé測\u{e0041}"
                .chars()
                .collect::<Vec<_>>(),
        ),
        0..60,
    )
    .prop_map(|chars| chars.into_iter().collect());
    prop_oneof![wild, chosen, "\\PC*"]
}

/// What moves a cursor, ends a line or reorders what is shown.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Undoes a backslash before each of `escaped`, and panics at one that isn't escaped.
fn unescape(text: &str, escaped: &[char]) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars.next().expect("a backslash never ends the field");
                assert!(escaped.contains(&next), "{next:?} needs no backslash");
                out.push(next);
            }
            c => {
                assert!(!escaped.contains(&c), "{c:?} stands bare in {text:?}");
                out.push(c);
            }
        }
    }
    out
}

/// Each character by itself, as the escapes of the three formats show it.
fn shown(text: &str) -> String {
    text.chars().map(|c| printable(&c.to_string()).into_owned()).collect()
}

/// What writes a field, which characters it escapes by a backslash, how long the field may be.
type Form = (fn(&str) -> String, &'static [char], usize);

proptest! {
    #[test]
    fn every_format_keeps_the_text_in_its_field(text in hostile()) {
        let formats: [Form; 5] = [
            (structured::value, &['"', '\\', ']'], FIELD_BYTES_MAX),
            (cef::header, &['|', '\\'], FIELD_BYTES_MAX),
            (cef::value, &['=', '\\'], FIELD_BYTES_MAX),
            (cef::words, &['=', '\\'], WORDS_BYTES_MAX),
            (escape::sentence, &[], WORDS_BYTES_MAX),
        ];
        for (write, escaped, bytes_max) in formats {
            let written = write(&text);
            prop_assert!(written.len() <= bytes_max);
            prop_assert!(!written.chars().any(is_harmful), "{written:?}");
            let read = if escaped.is_empty() { written } else { unescape(&written, escaped) };
            match read.strip_suffix(CUT) {
                Some(part) if read != shown(&text) => prop_assert!(shown(&text).starts_with(part)),
                _ => prop_assert_eq!(read, shown(&text)),
            }
        }
    }

    #[test]
    fn a_terminal_and_json_show_nothing_harmful(text in hostile()) {
        prop_assert!(!printable(&text).chars().any(is_harmful));
        let json = to_json(&text).unwrap();
        prop_assert!(!json.chars().any(is_harmful));
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_csv_field_is_one_field_and_no_formula(text in hostile()) {
        let field = csv::field(&text);
        let inner = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        prop_assert!(!inner.replace("\"\"", "").contains('"'));
        prop_assert!(!inner.chars().any(is_harmful));
        prop_assert!(!inner.trim_start().starts_with(['=', '+', '-', '@']));
    }
}

#[test]
fn a_name_of_64_kib_is_cut_at_a_mark() {
    for text in
        ["a".repeat(65_536), "\u{202e}".repeat(20_000), "]".repeat(65_536), "測".repeat(22_000)]
    {
        for (written, bytes_max) in [
            (structured::value(&text), FIELD_BYTES_MAX),
            (cef::header(&text), FIELD_BYTES_MAX),
            (cef::words(&text), WORDS_BYTES_MAX),
        ] {
            assert!(written.len() <= bytes_max && written.ends_with(CUT), "{}", written.len());
            assert!(written.len() > bytes_max - 16, "nothing is cut that fits: {}", written.len());
        }
    }
}
