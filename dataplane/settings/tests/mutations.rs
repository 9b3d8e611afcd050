//! Whatever stands in the file, parsing ends with settings or with errors, never with a panic.

use loadlock_settings::{Settings, reference};
use proptest::prelude::*;
use proptest::sample::Index;

const VALUES: &[&str] = &[
    "0",
    "-1",
    "99999999999999999999",
    "0x10",
    "0b",
    "1.5",
    "nan",
    "true",
    "\"\"",
    "\"a\"",
    "\"[\"",
    "[]",
    "[[]]",
    "[1, 1, \"a\"]",
    "{}",
    "{ rx_pcap = [] }",
    "{ a.b = 1 }",
    "1979-05-27",
    "'''",
    "\"\\u0000\"",
    "\"net_pcap\"",
    "\"net_vhost\"",
    "\"../x\"",
    "\"capture\"",
    "[0]",
    "",
];

const LINES: &[&str] = &[
    "[dataplane]",
    "[[port]]",
    "[port]",
    "[[segment]]",
    "[dataplane.mbufs]",
    "[[port.options]]",
    "x = 1",
    "device = \"net_pcap\"",
    "options = { rx_pcap = \"a\", infinite_rx = true }",
    "clock = \"capture\"",
    "\"\" = 1",
    "name = \"fab-a\"",
    "=",
    "\u{feff}",
    "[",
    "\"\"\"",
];

/// One change to a text.
#[derive(Clone, Debug)]
enum Change {
    DeleteLine(Index),
    RepeatLine(Index),
    InsertLine(Index, usize),
    SetValue(Index, usize),
    SetByte(Index, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        at().prop_map(Change::DeleteLine),
        at().prop_map(Change::RepeatLine),
        (at(), 0..LINES.len()).prop_map(|(index, line)| Change::InsertLine(index, line)),
        (at(), 0..VALUES.len()).prop_map(|(index, value)| Change::SetValue(index, value)),
        (at(), any::<u8>()).prop_map(|(index, byte)| Change::SetByte(index, byte)),
        at().prop_map(Change::Cut),
    ]
}

fn apply(text: &str, change: &Change) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    match change {
        Change::DeleteLine(index) => drop(lines.remove(index.index(lines.len()))),
        Change::RepeatLine(index) => lines.push(index.get(&lines).clone()),
        Change::InsertLine(index, line) => {
            lines.insert(index.index(lines.len()), LINES[*line].to_owned());
        }
        Change::SetValue(index, value) => {
            let index = index.index(lines.len());
            if let Some((key, _)) = lines[index].clone().split_once('=') {
                lines[index] = format!("{key}= {}", VALUES[*value]);
            }
        }
        Change::SetByte(index, byte) => {
            let mut bytes = text.as_bytes().to_vec();
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        Change::Cut(index) => lines.truncate(index.index(lines.len())),
    }
    lines.join("\n")
}

/// The reference without its comments, so that changes hit keys and values.
fn start() -> String {
    let reference = reference();
    let lines = reference.lines();
    let kept = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
    kept.collect::<Vec<_>>().join("\n")
}

fn check(text: &str) {
    if let Err(errors) = Settings::parse(text, "/x/test.toml") {
        let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
        assert!(errors.count() > 0);
        for error in &errors {
            assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)), "{error}");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_files_never_panic(changes in prop::collection::vec(change(), 1..12)) {
        let text = changes.iter().fold(start(), |text, change| apply(&text, change));
        check(&text);
    }

    #[test]
    fn random_text_never_panics(text in any::<String>()) {
        check(&text);
    }
}

#[test]
fn every_value_at_every_key() {
    let start = start();
    let lines: Vec<&str> = start.lines().collect();
    for index in 0..lines.len() {
        let Some((key, _)) = lines[index].split_once('=') else {
            continue;
        };
        for value in VALUES {
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            changed[index] = format!("{key}= {value}");
            check(&changed.join("\n"));
        }
    }
}
