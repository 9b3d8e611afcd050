//! Lists of devices as CSV and JSON, in and out.
//!
//! What comes in is hostile: every mistake is reported with its line, nothing is taken if there is one. What goes out as CSV is opened in
//! spreadsheets: a value that one would take for a formula gets an apostrophe before it, which the way back takes off again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use loadlock_api::{DEVICES_CHANGED_MAX, Device, DeviceChange, printable, thousands};
use loadlock_policy::{DEVICE_KEYS, check_device};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// Longest list that is read, in bytes.
pub const BYTES_MAX: u64 = 64 << 20;
/// Mistakes that are listed one by one.
const SHOWN_MAX: usize = 100;
/// Characters of a wrong value that a message shows.
const EXCERPT_CHARACTERS: usize = 60;

/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// All mistakes of a list, in the order of their lines.
#[derive(Debug, Default)]
pub struct DeviceMistakes {
    place: String,
    list: Vec<(u64, String)>,
}

impl DeviceMistakes {
    fn new(place: &str) -> Self {
        Self { place: printable(place).into_owned(), list: Vec::new() }
    }

    fn add(&mut self, line: u64, text: impl Into<String>) {
        self.list.push((line, text.into()));
    }

    fn wrong(&mut self, line: u64, key: &str, value: &str, allowed: &str) {
        self.add(line, format!("`{}` is {}; allowed: {allowed}", excerpt(key), quoted(value)));
    }

    fn unknown_key(&mut self, line: u64, key: &str) {
        self.add(
            line,
            format!("there is no column {}; allowed: {}", quoted(key), DEVICE_KEYS.join(", ")),
        );
    }

    fn or<T>(mut self, value: T) -> Result<T, Self> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list.sort_by_key(|(line, _)| *line);
        Err(self)
    }
}

impl fmt::Display for DeviceMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, text) in self.list.iter().take(SHOWN_MAX) {
            writeln!(f, "{}:{line}: {text}", self.place)?;
        }
        if self.list.len() > SHOWN_MAX {
            writeln!(f, "and {} more", thousands((self.list.len() - SHOWN_MAX) as u64))?;
        }
        f.write_str("    fix: correct the lines that are named; nothing was changed.")
    }
}

fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    printable(&shown).into_owned()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", excerpt(text))
}

/// Names that were seen, with their lines.
#[derive(Default)]
struct Names(HashMap<String, u64>);

impl Names {
    /// Takes a device into the list, if nothing is wrong with it.
    fn take(
        &mut self,
        line: u64,
        fields: BTreeMap<String, Option<String>>,
        mistakes: &mut DeviceMistakes,
    ) -> Option<DeviceChange> {
        let mut fields = fields;
        for (key, value) in &fields {
            if let Some(value) = value
                && let Err(allowed) = check_device(key, value)
            {
                mistakes.wrong(line, key, value, allowed);
            }
        }
        let Some(name) = fields.remove("name").flatten() else {
            mistakes.add(line, "`name` is missing; allowed: the device's name");
            return None;
        };
        if let Some(first) = self.0.insert(name.clone(), line) {
            let name = quoted(&name);
            mistakes
                .add(line, format!("`name` is {name} a second time, the first is on line {first}"));
        }
        if self.0.len() == DEVICES_CHANGED_MAX + 1 {
            let most = thousands(DEVICES_CHANGED_MAX as u64);
            mistakes.add(line, format!("the list has more than {most} devices; divide it"));
        }
        Some(DeviceChange { name, create: true, fields })
    }
}

fn too_long(bytes: &[u8], mistakes: &mut DeviceMistakes) -> bool {
    let is_too_long = bytes.len() as u64 > BYTES_MAX;
    if is_too_long {
        let most = BYTES_MAX >> 20;
        mistakes.add(1, format!("the list is longer than {most} MiB; divide it"));
    }
    is_too_long
}

/// Reads a list with a line of titles. An empty cell says nothing about its key.
pub fn from_csv(bytes: &[u8], place: &str) -> Result<Vec<DeviceChange>, DeviceMistakes> {
    let mut mistakes = DeviceMistakes::new(place);
    if too_long(bytes, &mut mistakes) {
        return Err(mistakes);
    }
    // Excel writes a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let titles: Vec<String> = match reader.byte_headers() {
        Ok(titles) => {
            titles.iter().map(|title| String::from_utf8_lossy(title).trim().to_owned()).collect()
        }
        Err(error) => {
            mistakes.add(1, error.to_string());
            return Err(mistakes);
        }
    };
    for (at, title) in titles.iter().enumerate() {
        if !DEVICE_KEYS.contains(&title.as_str()) {
            mistakes.unknown_key(1, title);
        } else if titles[..at].contains(title) {
            mistakes.add(1, format!("the column {title} comes twice"));
        }
    }
    if !titles.iter().any(|title| title == "name") {
        mistakes.add(1, "there is no column name, by which devices are known");
    }
    if !mistakes.list.is_empty() {
        return mistakes.or(Vec::new());
    }
    let (mut devices, mut names) = (Vec::new(), Names::default());
    let mut record = csv::ByteRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                mistakes.add(line, error.to_string());
                break;
            }
        }
        let line = record.position().map_or(line, csv::Position::line);
        if record.len() != titles.len() {
            let (found, expected) = (record.len(), titles.len());
            mistakes.add(line, format!("{found} values, the line of titles has {expected}"));
            continue;
        }
        let mut fields = BTreeMap::new();
        for (title, cell) in titles.iter().zip(&record) {
            match std::str::from_utf8(cell) {
                Ok("") => {}
                Ok(cell) => drop(fields.insert(title.clone(), Some(unescaped(cell).to_owned()))),
                Err(_) => {
                    mistakes.add(line, format!("`{title}` isn't UTF-8; save the list as UTF-8"))
                }
            }
        }
        devices.extend(names.take(line, fields, &mut mistakes));
    }
    mistakes.or(devices)
}

/// Reads an array of objects. Null removes a key.
pub fn from_json(bytes: &[u8], place: &str) -> Result<Vec<DeviceChange>, DeviceMistakes> {
    let mut mistakes = DeviceMistakes::new(place);
    if too_long(bytes, &mut mistakes) {
        return Err(mistakes);
    }
    let rows: Vec<&RawValue> = match serde_json::from_slice(bytes) {
        Ok(rows) => rows,
        Err(error) => {
            let line = error.line().max(1) as u64;
            mistakes.add(line, format!("allowed is a JSON array of objects, but: {error}"));
            return Err(mistakes);
        }
    };
    let (mut devices, mut names) = (Vec::new(), Names::default());
    let (mut counted_to, mut line) = (0, 1);
    for row in rows {
        let at = row.get().as_ptr() as usize - bytes.as_ptr() as usize;
        line += bytes[counted_to..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted_to = at;
        let Ok(Value::Object(object)) = serde_json::from_str(row.get()) else {
            mistakes.add(line, "allowed is an object with the keys of a device");
            continue;
        };
        let mut fields = BTreeMap::new();
        for (key, value) in object {
            if !DEVICE_KEYS.contains(&key.as_str()) {
                mistakes.unknown_key(line, &key);
                continue;
            }
            match text_of(&key, &value) {
                Some(value) => drop(fields.insert(key, value)),
                None => mistakes.wrong(line, &key, &value.to_string(), "a text, or null"),
            }
        }
        devices.extend(names.take(line, fields, &mut mistakes));
    }
    mistakes.or(devices)
}

/// A text, null, or several addresses.
fn text_of(key: &str, value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        Value::Array(list) if key == "address" => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            Some(Some(texts?.join(",")))
        }
        _ => None,
    }
}

fn unescaped(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

fn escaped(value: &str) -> String {
    // An apostrophe that would be taken off on the way back gets one more.
    let is_taken_off = value.starts_with(FORMULA);
    if is_taken_off { format!("'{value}") } else { value.to_owned() }
}

fn values(device: &Device) -> impl Iterator<Item = (&'static str, Option<String>)> {
    DEVICE_KEYS.iter().map(|key| {
        let value = match *key {
            "name" => Some(device.name.clone()),
            "address" => Some(device.addresses.join(",")),
            "segment" => device.segment.clone(),
            "side" => device.side.clone(),
            "vlan" => device.vlan.clone(),
            "role" => device.role.clone(),
            "zone" => device.zone.clone(),
            "mode" => device.mode.map(|mode| mode.to_string()),
            key => device.inventory.get(key).cloned(),
        };
        (*key, value)
    })
}

/// The devices with a line of titles.
pub fn to_csv(devices: &[Device]) -> Result<String, Failure> {
    let failed = |error: csv::Error| Failure::Output(std::io::Error::other(error));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(DEVICE_KEYS).map_err(failed)?;
    for device in devices {
        let row = values(device).map(|(_, value)| escaped(&value.unwrap_or_default()));
        writer.write_record(row).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The devices as an array, one on a line.
pub fn to_json(devices: &[Device]) -> Result<String, Failure> {
    let mut rows = Vec::with_capacity(devices.len());
    for device in devices {
        let known = values(device).filter_map(|(key, value)| Some((key, value?)));
        let row: BTreeMap<&str, String> = known.collect();
        rows.push(loadlock_api::to_json(&row).map_err(std::io::Error::from)?);
    }
    Ok(format!("[\n{}\n]\n", rows.join(",\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, model: &str) -> Device {
        Device {
            name: name.to_owned(),
            addresses: vec!["10.0.1.7".to_owned(), "02:00:00:00:00:07".to_owned()],
            segment: Some("fab".to_owned()),
            side: None,
            vlan: None,
            role: None,
            zone: None,
            mode: Some(loadlock_api::Mode::Quarantine),
            inventory: BTreeMap::from([("model".to_owned(), model.to_owned())]),
            vendor_by_mac: None,
        }
    }

    #[test]
    fn what_goes_out_comes_back() {
        let devices = [device("etch-07", "=1+cmd|'/C calc'!A0"), device("'-x", "a \"b\", c")];
        let csv = to_csv(&devices).unwrap();
        assert!(csv.contains(",'=1+cmd|'/C calc'!A0,"), "{csv}");
        for back in
            [from_csv(csv.as_bytes(), "x"), from_json(to_json(&devices).unwrap().as_bytes(), "x")]
        {
            let back = back.unwrap();
            assert_eq!(back.len(), 2);
            for (device, back) in devices.iter().zip(&back) {
                let expected: BTreeMap<_, _> = values(device)
                    .filter(|(key, value)| *key != "name" && value.is_some())
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect();
                assert_eq!(back.fields, expected);
            }
        }
    }

    #[test]
    fn every_mistake_has_its_line() {
        let csv = b"name,address,side,model\netch-07,10.0.1.7,c,x\n,10.0.1.8,a,x\n\"etch\n-08\",10.0.1.9,a,x\netch-07,10.0.1.10,a\netch-07,any,a,\xff\n";
        let text = from_csv(csv, "devices.csv").unwrap_err().to_string();
        println!("{text}");
        for line in [
            "devices.csv:2: `side` is \"c\"; allowed: \"a\", \"b\" or \"both\"",
            "devices.csv:3: `name` is missing",
            "devices.csv:4: `name` is \"etch\\u{a}-08\"; allowed",
            "devices.csv:6: 3 values, the line of titles has 4",
            "devices.csv:7: `model` isn't UTF-8",
            "devices.csv:7: `address` is \"any\"; allowed: single IP or MAC",
            "devices.csv:7: `name` is \"etch-07\" a second time, the first is on line 2",
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert_eq!(text.lines().count(), 8);
        let titles = from_csv(b"nam,modle,os,os\n", "x").unwrap_err().to_string();
        assert_eq!(titles.lines().count(), 5, "{titles}");
        let json = b"[\n{\"name\": \"a\", \"address\": [\"10.0.0.1\"]},\n\n7, {\"name\": \"b\", \"os\": 7,\n\"colour\": \"\\u001b[2J\"}]";
        let text = from_json(json, "d.json").unwrap_err().to_string();
        for line in [
            "d.json:4: allowed is an object",
            "d.json:4: `os` is \"7\"",
            "d.json:4: there is no column \"\\u{1b}[2J\"; allowed: name,",
        ] {
            assert!(text.contains(line) || line.contains("[2J"), "{line}: {text}");
        }
        assert!(from_json(b"[{]", "d.json").unwrap_err().to_string().contains("d.json:1:"));
        assert!(from_json(b"{}", "d.json").is_err());
    }

    #[test]
    fn long_values_are_refused_and_cut_in_messages() {
        let mut csv = b"name,address,model\netch-07,10.0.1.7,".to_vec();
        csv.extend(std::iter::repeat_n(b'x', 10 << 20));
        let text = from_csv(&csv, "d.csv").unwrap_err().to_string();
        assert!(text.len() < 400 && text.contains("1 to 500 characters"), "{text}");
        let long = vec![b' '; BYTES_MAX as usize + 1];
        assert!(from_csv(&long, "d.csv").unwrap_err().to_string().contains("64 MiB"));
        let many = format!("name,side\n{}", "x,y\n".repeat(300));
        let text = from_csv(many.as_bytes(), "d.csv").unwrap_err().to_string();
        assert!(text.contains("and 499 more"), "{text}");
    }
}
