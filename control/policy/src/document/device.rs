//! Devices of a document: what may be said of one, and changing it without touching the rest of the text.

use std::collections::HashMap;

use loadlock_exchange::Mode;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::Document;
use crate::address::AddressMatch;
use crate::canonical;
use crate::error::{PolicyError, PolicyErrors, Problem, Refused};
use crate::rule::{check_segment, check_text};
use crate::vlan::VlanMatch;

/// Keys of a device's section, in the order in which they are written.
pub static DEVICE_KEYS: [&str; 18] = [
    "name",
    "address",
    "segment",
    "side",
    "vlan",
    "role",
    "zone",
    "mode",
    "vendor",
    "model",
    "serial",
    "asset_tag",
    "os",
    "firmware",
    "location",
    "owner",
    "criticality",
    "end_of_support",
];

/// Those that judge nothing.
pub const INVENTORY_KEYS: [&str; 10] = [
    "vendor",
    "model",
    "serial",
    "asset_tag",
    "os",
    "firmware",
    "location",
    "owner",
    "criticality",
    "end_of_support",
];

const TEXT: &str = "1 to 500 characters, not all of them spaces, without control characters";

/// Is this what an inventory key takes? The error says what is allowed.
pub(super) fn check_inventory(key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "criticality" if ["low", "medium", "high", "critical"].contains(&value) => Ok(()),
        "criticality" => Err("\"low\", \"medium\", \"high\" or \"critical\""),
        "end_of_support" if is_date(value) => Ok(()),
        "end_of_support" => Err("a date such as \"2027-06-30\""),
        _ => check_text(value).map_err(|_| TEXT),
    }
}

/// `2027-06-30`, a day that the calendar has.
fn is_date(text: &str) -> bool {
    let has_form = text.len() == 10 && text.is_ascii();
    has_form && text.parse::<toml::value::Datetime>().is_ok_and(|time| time.time.is_none())
}

/// Is this what a key of a device takes, as far as it can be said without the document? Several addresses are divided by commas. The
/// error says what is allowed.
///
/// # Errors
/// What is allowed.
pub fn check_device(key: &str, value: &str) -> Result<(), &'static str> {
    let single = |text: &str| match AddressMatch::from_text(text.trim()) {
        Ok(AddressMatch::Ip(prefix)) => prefix == crate::Prefix::host(prefix.address()),
        Ok(AddressMatch::Mac(_)) => true,
        Ok(AddressMatch::Any) | Err(Refused { .. }) => false,
    };
    let when = |fits: bool, allowed| if fits { Ok(()) } else { Err(allowed) };
    match key {
        "name" => when(
            check_text(value).is_ok() && !value.contains([':', ',']),
            "1 to 500 characters, not all of them spaces, without ':', ',' and control characters",
        ),
        "address" => {
            when(value.split(',').all(single), "single IP or MAC addresses, divided by commas")
        }
        "segment" => when(check_segment(value).is_ok(), "the name of a segment"),
        "side" => when(["a", "b", "both"].contains(&value), "\"a\", \"b\" or \"both\""),
        "vlan" => when(
            VlanMatch::from_text(value).is_ok(),
            "\"untagged\", \"any\", a VLAN id from 1 to 4094, or two ids such as \"10.20\"",
        ),
        "mode" => when(
            Mode::from_name(value).is_some(),
            "\"learn\", \"monitor\", \"enforce\" or \"quarantine\"",
        ),
        key if INVENTORY_KEYS.contains(&key) => check_inventory(key, value),
        _ => check_text(value).map_err(|_| TEXT),
    }
}

/// What is to be different about one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceEdit {
    /// Its name.
    pub name: String,
    /// It may be a new one.
    pub create: bool,
    /// Keys, with their new value, or none to remove them; several addresses divided by commas.
    pub fields: Vec<(String, Option<String>)>,
}

impl Document {
    /// The document with these devices changed or added; all else stays as it was written, comments too.
    ///
    /// # Errors
    /// All mistakes at once: names that aren't there, keys that a device doesn't have, and what the new text says wrongly.
    pub fn with_devices(&self, edits: &[DeviceEdit], place: &str) -> Result<Self, PolicyErrors> {
        // A long list of rules at the end isn't looked through.
        let head = canonical::split(&self.text).map_or(&*self.text, |(head, _)| head);
        let rules = &self.text[head.len()..];
        let error = |key: String, problem| PolicyError {
            place: place.to_owned(),
            line: None,
            key,
            problem,
        };
        let mut text: DocumentMut = head.parse().map_err(|syntax: toml_edit::TomlError| {
            error(String::new(), Problem::Syntax { message: syntax.message().to_owned() })
        })?;
        if head.trim().is_empty() {
            text["format"] = toml_edit::value(crate::FILE_FORMAT);
        }
        let devices = text.entry("device").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        let Some(devices) = devices.as_array_of_tables_mut() else {
            let problem =
                Problem::WrongType { found: "list", allowed: "sections below [[device]]" };
            return Err(error("device".to_owned(), problem).into());
        };
        let named = |table: &Table| table.get("name")?.as_str().map(str::to_owned);
        let mut places: HashMap<String, usize> = devices
            .iter()
            .enumerate()
            .filter_map(|(at, table)| Some((named(table)?, at)))
            .collect();
        let mut errors = Vec::new();
        for edit in edits {
            let at = match places.get(&edit.name) {
                Some(at) => *at,
                None if edit.create => {
                    let mut table = Table::new();
                    table["name"] = toml_edit::value(&edit.name);
                    devices.push(table);
                    places.insert(edit.name.clone(), devices.len() - 1);
                    devices.len() - 1
                }
                None => {
                    let found = crate::validate::excerpt(&edit.name);
                    let nearest = nearest(&edit.name, places.keys());
                    let problem = Problem::UnknownName { what: "device", found, nearest };
                    errors.push(error("device".to_owned(), problem));
                    continue;
                }
            };
            let Some(table) = devices.get_mut(at) else { continue };
            for (key, value) in &edit.fields {
                let path = format!("device {}: {key}", crate::validate::excerpt(&edit.name));
                if !DEVICE_KEYS.contains(&key.as_str()) || key == "name" {
                    let nearest = crate::read::nearest(key, &DEVICE_KEYS[1..]);
                    let problem = Problem::UnknownKey { nearest, known: &DEVICE_KEYS[1..] };
                    errors.push(error(path, problem));
                    continue;
                }
                match value {
                    None => drop(table.remove(key)),
                    Some(value) => match check_device(key, value) {
                        Ok(()) => set(table, key, value),
                        Err(allowed) => {
                            let found = crate::validate::excerpt(value);
                            let problem = Problem::NotAllowed { found, allowed, instead: None };
                            errors.push(error(path, problem));
                        }
                    },
                }
            }
        }
        if let Some(errors) = PolicyErrors::from_list(errors) {
            return Err(errors);
        }
        Self::parse(&format!("{text}{rules}"), place)
    }
}

/// Sets a key; what stands beside it on its line stays.
fn set(table: &mut Table, key: &str, value: &str) {
    let new = match value.contains(',') && key == "address" {
        true => Value::from(value.split(',').map(str::trim).collect::<Array>()),
        false => Value::from(value.trim()),
    };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => table[key] = Item::Value(new),
    }
}

fn nearest<'n>(found: &str, known: impl Iterator<Item = &'n String>) -> Option<String> {
    let likeness = |known: &String| strsim::normalized_damerau_levenshtein(found, known);
    let rated = known.map(|known| (likeness(known), known));
    let nearest = rated.max_by(|(a, one), (b, other)| a.total_cmp(b).then(other.cmp(one)));
    nearest.filter(|(likeness, _)| *likeness >= 0.5).map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "format = 1\n# Bay 1\n[[device]]\nname = \"etch-07\" # the old one\naddress = \"10.0.1.7\"\nsegment = \"fab\"\nmode = \"learn\" # new\n\n[[zone]]\nname = \"z\"\n";

    fn edit(name: &str, create: bool, fields: &[(&str, Option<&str>)]) -> DeviceEdit {
        let fields =
            fields.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)));
        DeviceEdit { name: name.to_owned(), create, fields: fields.collect() }
    }

    #[test]
    fn the_rest_of_the_text_stays_as_it_was() {
        let rule = "\n[[rule]]\nid = 7\nsegment = \"fab\"\nvlan = 10\nclient = \"10.0.0.1\"\nclient_side = \"a\"\nserver = \"10.0.0.2\"\nservice = \"tcp/1\"\nopens = \"client\"\nmidstream = false\nreason = \"r\"\nowner = \"o\"\n";
        let document = Document::parse(&format!("{TEXT}{rule}"), "site.toml").unwrap();
        let changed = document
            .with_devices(
                &[
                    edit(
                        "etch-07",
                        false,
                        &[("mode", Some("quarantine")), ("model", Some("K \"2\""))],
                    ),
                    edit("etch-08", true, &[("address", Some("10.0.1.8, 02:00:00:00:00:08"))]),
                ],
                "site.toml",
            )
            .unwrap();
        assert_eq!(changed.devices()[0].mode, Some(Mode::Quarantine));
        assert_eq!(&*changed.devices()[0].inventory["model"], "K \"2\"");
        assert_eq!(changed.devices()[1].addresses.len(), 2);
        let text = changed.text();
        for part in [
            "# Bay 1\n",
            "name = \"etch-07\" # the old one\n",
            "mode = \"quarantine\" # new\n",
            rule,
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        let back = changed
            .with_devices(&[edit("etch-07", false, &[("mode", None), ("model", None)])], "x");
        assert_eq!(back.unwrap().devices()[0].mode, None);
        let first = Document::default()
            .with_devices(&[edit("a", true, &[("address", Some("10.0.0.1"))])], "x");
        assert_eq!(first.unwrap().devices().len(), 1);
    }

    #[test]
    fn all_mistakes_are_said() {
        let document = Document::parse(TEXT, "site.toml").unwrap();
        let errors = document
            .with_devices(
                &[
                    edit("etch-7", false, &[]),
                    edit(
                        "etch-07",
                        false,
                        &[("modle", Some("x")), ("side", Some("c")), ("os", Some("a\u{1b}[2J"))],
                    ),
                    edit(
                        "x",
                        true,
                        &[("end_of_support", Some("2027-02-30")), ("criticality", Some("very"))],
                    ),
                ],
                "policy in force",
            )
            .unwrap_err()
            .to_string();
        assert_eq!(errors.lines().count(), 6, "{errors}");
        assert!(
            errors.contains("did you mean \"etch-07\"") || errors.contains("etch-07"),
            "{errors}"
        );
        assert!(errors.contains("did you mean `model`") && !errors.contains('\u{1b}'), "{errors}");
        let missing = document.with_devices(&[edit("x", true, &[])], "policy in force");
        assert!(missing.unwrap_err().to_string().contains("address"));
    }
}
