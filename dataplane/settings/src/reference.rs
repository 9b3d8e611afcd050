//! The text of `config/reference.toml`: every key with its meaning, unit, range and default.

use crate::changes::takes;
use crate::drivers::{DRIVERS, DriverSchema};
use crate::schema::{Default, Key, Kind, Table};

/// Width of the comment lines, in characters.
const LINE_CHARACTERS_MAX: usize = 100;

const PREAMBLE: &str = "The configuration of Loadlock: every key with its meaning, its range and its default. Both \
                        processes read this one file. A key that is absent has its default; a key that isn't listed \
                        here is an error. Units stand in the names: _s seconds, _ms milliseconds, _us microseconds, _mib MiB. \
                        What takes effect at a reload does so with `loadlock reload`.";
const ORIGIN: &str = "Printed by `loadlock check --reference`. `loadlock check` reports all mistakes of a file at once.";

/// The reference of the configuration file: itself a valid file, in which every key has its default.
pub fn reference() -> String {
    let mut text = String::new();
    comment(&mut text, PREAMBLE);
    text.push_str("#\n");
    comment(&mut text, ORIGIN);
    for table in crate::keys::TABLES {
        text.push('\n');
        comment(&mut text, table.meaning);
        let shown = table.repeated.map_or(1, |repeated| repeated.shown);
        for entry in 0..shown {
            if entry > 0 {
                text.push('\n');
            }
            text.push_str(&table.header());
            text.push('\n');
            write_keys(&mut text, table, entry);
        }
    }
    text
}

/// Writes the keys of one entry; only the first one explains them, and later ones hold only what differs.
fn write_keys(text: &mut String, table: &Table, entry: usize) {
    for key in table.keys {
        if entry == 0 {
            text.push('\n');
            comment(text, key.meaning);
            write_range_and_default(text, table, key);
        }
        match (key.default_text(), key.examples.get(entry), key.kind) {
            (_, _, Kind::Options) if entry == 0 => {
                text.push_str("# options = { rx_pcap = \"a.pcap\", tx_pcap = \"out.pcap\" }\n");
                for driver in DRIVERS {
                    write_driver(text, driver);
                }
            }
            (Some(default), _, _) if entry == 0 => assign(text, key, &default),
            (None, Some(example), _) => assign(text, key, example),
            _ => {}
        }
    }
}

fn assign(text: &mut String, key: &Key, value: &str) {
    text.push_str(key.name);
    text.push_str(" = ");
    text.push_str(value);
    text.push('\n');
}

fn write_range_and_default(text: &mut String, table: &Table, key: &Key) {
    comment(text, &format!("Allowed: {}.", key.allowed()));
    match key.default {
        Default::Required => comment(text, "Required: there is no default."),
        Default::Absent => comment(text, "May be absent."),
        default => comment(text, &format!("Default: {default}.")),
    }
    comment(text, &format!("Takes effect: {}.", takes(table.name, key.name)));
}

fn write_driver(text: &mut String, driver: &DriverSchema) {
    text.push_str("#\n");
    let mut heading = format!("{}: {}.", driver.name, driver.meaning);
    match driver.needs_one_of {
        [] => {}
        [option] => heading.push_str(&format!(" Needs {option}.")),
        options => heading.push_str(&format!(" Needs any of {}.", options.join(", "))),
    }
    comment(text, &heading);
    for option in driver.options {
        comment(text, &format!("  {}: {}", option.name, option.kind.allowed()));
    }
}

/// Writes words as comment lines; leading spaces indent all of them.
fn comment(text: &mut String, words: &str) {
    let indent = &words[..words.len() - words.trim_start().len()];
    let mut line = format!("#{indent}");
    let empty = line.chars().count();
    for word in words.split_whitespace() {
        let length = line.chars().count();
        if length > empty && length + 1 + word.chars().count() > LINE_CHARACTERS_MAX {
            text.push_str(&line);
            text.push('\n');
            line = format!("#{indent}");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
