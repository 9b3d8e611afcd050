//! Reading one table of the file against its schema.
//!
//! Every accessor returns a usable value even after a mistake, and notes the mistake: reading goes on to the end, so
//! that all mistakes are found in one pass. Nothing built from such a stand-in leaves the crate, because
//! [`crate::Settings::parse`] returns the errors instead.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::changes::written_one_way;
use crate::findings::Findings;
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::schema::{
    Default, Key, Kind, NAME_BYTES_MAX, PathRule, SOCKET_PATH_BYTES_MAX, Shape, Table,
};
use crate::settings::{CoreId, Target};

/// One value of the file with its place.
pub(crate) type Located<'text> = Spanned<DeValue<'text>>;

/// A table of the file while it is read.
#[derive(Debug)]
pub(crate) struct Scope<'read, 'text> {
    /// Where mistakes go.
    pub(crate) findings: &'read mut Findings<'text>,
    /// What the table may hold.
    pub(crate) schema: &'static Table,
    /// Path of the table, such as `dataplane` or `port[fab-a]`.
    pub(crate) path: String,
    /// Line of the header; `None` if the file lacks the table.
    pub(crate) header_line: Option<u32>,
    /// The contents; `None` if the file lacks the table.
    pub(crate) content: Option<&'read DeTable<'text>>,
    /// Folder of the configuration file.
    pub(crate) folder: &'read Path,
}

impl<'read, 'text> Scope<'read, 'text> {
    /// Path of a key of this table.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// The value in the file, with its line noted; `None` if it is absent, which is a mistake for a required key.
    pub(crate) fn find(&mut self, key: &Key) -> Option<&'read Located<'text>> {
        let found = self.content.and_then(|content| content.get(key.name));
        let path = self.path_of(key.name);
        match found {
            Some(value) => {
                let line = self.findings.line_of(&value.span());
                self.findings.values.insert(path.clone(), written_one_way(value.get_ref()));
                self.findings.lines.insert(path, line);
            }
            None if matches!(key.default, Default::Required) => {
                let place = match self.header_line {
                    Some(_) => "below the header".to_owned(),
                    None => format!("below a header {}", self.schema.header()),
                };
                let example = key.examples.first().copied().unwrap_or("...");
                let problem = Problem::Missing {
                    allowed: key.allowed(),
                    example: format!("{place}: {} = {example}", key.name),
                };
                self.findings.report(self.header_line, path, problem);
            }
            None => {
                let default = key.default_text().unwrap_or_default();
                self.findings.values.insert(path, default);
            }
        }
        found
    }

    /// Notes a value of the wrong type.
    fn wrong_type(&mut self, key: &Key, value: &Located<'_>) {
        let problem = Problem::WrongType {
            found: self.findings.excerpt(&value.span()),
            found_type: with_article(value.get_ref()),
            written_as: key.written_as().to_owned(),
            allowed: key.allowed(),
        };
        let line = self.findings.line_of(&value.span());
        self.findings.report(Some(line), self.path_of(key.name), problem);
    }

    /// Notes a value of the right type that isn't allowed.
    pub(crate) fn not_allowed(
        &mut self,
        key: &Key,
        path: String,
        value: &Located<'_>,
        nearest: Option<&str>,
    ) {
        let problem = Problem::NotAllowed {
            found: self.findings.excerpt(&value.span()),
            allowed: key.allowed(),
            nearest: nearest.map(|word| format!("\"{word}\"")),
            default: key.default_text(),
        };
        let line = self.findings.line_of(&value.span());
        self.findings.report(Some(line), path, problem);
    }

    /// The text of a key whose value is one text, with its place if it stands in the file.
    pub(crate) fn text_at(&mut self, key: &Key) -> (String, Option<&'read Located<'text>>) {
        let stand_in = match key.default {
            Default::Text(text) => text.to_owned(),
            _ => String::new(),
        };
        let Some(value) = self.find(key) else {
            return (stand_in, None);
        };
        match value.get_ref() {
            DeValue::String(text) => (text.to_string(), Some(value)),
            _ => {
                self.wrong_type(key, value);
                (stand_in, None)
            }
        }
    }

    /// A whole number.
    ///
    /// # Panics
    /// If the key's range doesn't fit `T`: a mistake in this crate, which the test of the limits meets.
    pub(crate) fn integer<T: TryFrom<u64, Error: Debug>>(&mut self, name: &str) -> T {
        let key = self.schema.key(name);
        let (Kind::Integer { minimum, maximum, shape }, Default::Integer(default)) =
            (key.kind, key.default)
        else {
            panic!("{name} isn't a whole number with a default");
        };
        let mut number = default;
        if let Some(value) = self.find(key) {
            match value.get_ref() {
                DeValue::Integer(written) => {
                    let digits = written.as_str().replace('_', "");
                    let parsed = i128::from_str_radix(&digits, written.radix());
                    let parsed = parsed.ok().and_then(|parsed| u64::try_from(parsed).ok());
                    match parsed.filter(|parsed| is_allowed(*parsed, minimum, maximum, shape)) {
                        Some(parsed) => number = parsed,
                        None => self.not_allowed(key, self.path_of(name), value, None),
                    }
                }
                _ => self.wrong_type(key, value),
            }
        }
        T::try_from(number).expect("the range in keys.rs fits the field's type")
    }

    /// A number of seconds.
    pub(crate) fn seconds(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.integer(name))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let key = self.schema.key(name);
        let default = matches!(key.default, Default::Flag(true));
        match self.find(key) {
            Some(value) => match value.get_ref() {
                DeValue::Boolean(flag) => *flag,
                _ => {
                    self.wrong_type(key, value);
                    default
                }
            },
            None => default,
        }
    }

    /// A word of the key's list.
    pub(crate) fn choice(&mut self, name: &str) -> String {
        let key = self.schema.key(name);
        let Kind::Choice(words) = key.kind else {
            panic!("{name} isn't a choice");
        };
        let (text, value) = self.text_at(key);
        match value {
            Some(value) if !words.contains(&text.as_str()) => {
                let near = nearest(&text, words.iter().copied());
                self.not_allowed(key, self.path_of(name), value, near);
            }
            _ => {}
        }
        text
    }

    /// Words of the key's list, without repetition.
    pub(crate) fn choices(&mut self, name: &str) -> Vec<String> {
        let key = self.schema.key(name);
        let (Kind::Choices(words), Default::Texts(default)) = (key.kind, key.default) else {
            panic!("{name} isn't a list of words with a default");
        };
        let Some(value) = self.find(key) else {
            return default.iter().map(|word| (*word).to_owned()).collect();
        };
        let Some(entries) = self.entries(key, value) else {
            return Vec::new();
        };
        let mut chosen: Vec<String> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(name));
            match entry.get_ref() {
                DeValue::String(text) if words.contains(&text.as_ref()) => {
                    if chosen.iter().any(|earlier| earlier == text.as_ref()) {
                        self.not_allowed(key, path, entry, None);
                    }
                    chosen.push(text.to_string());
                }
                other => {
                    let near = other.as_str().and_then(|text| nearest(text, words.iter().copied()));
                    self.not_allowed(key, path, entry, near);
                }
            }
        }
        chosen
    }

    /// The entries of a list, or `None` and a note if the value isn't one.
    fn entries(
        &mut self,
        key: &Key,
        value: &'read Located<'text>,
    ) -> Option<&'read DeArray<'text>> {
        let entries = value.get_ref().as_array();
        if entries.is_none() {
            self.wrong_type(key, value);
        }
        entries
    }

    /// CPU numbers; the line of each is noted under `name[index]`. Repetitions are found later, with all other cores.
    pub(crate) fn cores(&mut self, name: &str) -> Vec<CoreId> {
        let key = self.schema.key(name);
        let Kind::Cores { count_min, count_max } = key.kind else {
            panic!("{name} isn't a list of cores");
        };
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(entries) = self.entries(key, value) else {
            return Vec::new();
        };
        if !(count_min..=count_max).contains(&entries.len()) {
            let problem = Problem::EntryCount {
                found: entries.len(),
                minimum: count_min,
                maximum: count_max,
            };
            self.findings.report_at(&self.path_of(name), problem);
        }
        let mut cores = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = format!("{}[{index}]", self.path_of(name));
            let line = self.findings.line_of(&entry.span());
            self.findings.lines.insert(path.clone(), line);
            match core_number(entry.get_ref()) {
                Some(core) => cores.push(core),
                None => self.not_allowed(key, path, entry, None),
            }
        }
        cores
    }

    /// An identifier.
    pub(crate) fn name(&mut self, name: &str) -> String {
        let key = self.schema.key(name);
        let Kind::Name { underscore } = key.kind else {
            panic!("{name} isn't an identifier");
        };
        let (text, value) = self.text_at(key);
        match value {
            Some(value) if !is_name(&text, underscore) => {
                self.not_allowed(key, self.path_of(name), value, None);
            }
            _ => {}
        }
        text
    }

    /// An address to listen on; `None` where there is to be none.
    pub(crate) fn listen(&mut self, name: &str) -> Option<SocketAddr> {
        let key = self.schema.key(name);
        let (text, value) = self.text_at(key);
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        match value {
            Some(value) if !text.is_empty() && address.is_none() => {
                self.not_allowed(key, self.path_of(name), value, None);
                None
            }
            _ => address,
        }
    }

    /// A path, absolute on return except where the key allows an empty one and it is.
    pub(crate) fn path(&mut self, name: &str) -> PathBuf {
        let key = self.schema.key(name);
        let Kind::Path(rule) = key.kind else {
            panic!("{name} isn't a path");
        };
        let (text, value) = self.text_at(key);
        let path = match rule {
            PathRule::AbsoluteOrEmpty(_) | PathRule::FileOrEmpty(_) if text.is_empty() => {
                PathBuf::new()
            }
            _ => self.folder.join(&text),
        };
        // A control character in a path would move the cursor of every terminal that shows it, and NUL ends it.
        let allowed = !text.chars().any(char::is_control)
            && match rule {
                PathRule::Absolute => text.starts_with('/'),
                PathRule::AbsoluteOrEmpty(_) => text.is_empty() || text.starts_with('/'),
                PathRule::File => !text.is_empty(),
                PathRule::FileOrEmpty(_) => true,
                PathRule::Socket => {
                    !text.is_empty() && path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
                }
            };
        if let Some(value) = value
            && !allowed
        {
            self.not_allowed(key, self.path_of(name), value, None);
        }
        path
    }

    /// Receivers, none twice.
    pub(crate) fn targets(&mut self, name: &str) -> Vec<Target> {
        let key = self.schema.key(name);
        let Kind::Targets { schemes, count_max } = key.kind else {
            panic!("{name} isn't a list of targets");
        };
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let Some(entries) = self.entries(key, value) else {
            return Vec::new();
        };
        if entries.len() > count_max {
            let problem =
                Problem::EntryCount { found: entries.len(), minimum: 0, maximum: count_max };
            self.findings.report_at(&self.path_of(name), problem);
        }
        let mut targets: Vec<Target> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let target = entry.get_ref().as_str().and_then(Target::parse);
            let is_new = |target: &Target| {
                schemes.contains(&target.transport.as_str()) && !targets.contains(target)
            };
            match target.filter(is_new) {
                Some(target) => targets.push(target),
                None => {
                    let path = format!("{}[{index}]", self.path_of(name));
                    self.not_allowed(key, path, entry, None);
                }
            }
        }
        targets
    }

    /// Notes every key of the file that the schema lacks.
    pub(crate) fn refuse_unknown_keys(&mut self) {
        let Some(content) = self.content else { return };
        for (name, _) in content {
            let known: Vec<&'static str> = self.schema.keys.iter().map(|key| key.name).collect();
            let written = name.get_ref().as_ref();
            if known.contains(&written) {
                continue;
            }
            let problem = Problem::Unknown {
                nearest: nearest(written, known.iter().copied()).map(str::to_owned),
                elsewhere: table_with(written),
                known,
            };
            let line = self.findings.line_of(&name.span());
            self.findings.report(Some(line), self.path_of(written), problem);
        }
    }

    /// Notes a device that is neither an address nor a driver.
    pub(crate) fn refuse_device(&mut self, name: &str, value: &Located<'_>, near: Option<&str>) {
        let key = self.schema.key(name);
        self.not_allowed(key, self.path_of(name), value, near);
    }

    /// Notes a value that isn't of the key's type, for readers of other modules.
    pub(crate) fn refuse_type(&mut self, name: &str, value: &Located<'_>) {
        let key = self.schema.key(name);
        self.wrong_type(key, value);
    }
}

/// The type of a value, in the operator's words.
fn with_article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The header of a table that has a key of this name.
pub(crate) fn table_with(name: &str) -> Option<String> {
    let mut holders =
        crate::keys::TABLES.iter().filter(|table| table.keys.iter().any(|key| key.name == name));
    let first = holders.next()?;
    // A name that several tables have (such as `name`) says nothing about where the line belongs.
    holders.next().is_none().then(|| first.header())
}

/// Whether the number is in the range and of the shape.
fn is_allowed(number: u64, minimum: u64, maximum: u64, shape: Shape) -> bool {
    let in_range = (minimum..=maximum).contains(&number);
    match shape {
        Shape::Any | Shape::Core => in_range,
        Shape::PowerOfTwo => in_range && number.is_power_of_two(),
        Shape::OrZero(_) => in_range || number == 0,
    }
}

/// The CPU number that a value holds.
fn core_number(value: &DeValue<'_>) -> Option<CoreId> {
    let written = value.as_integer()?;
    let digits = written.as_str().replace('_', "");
    let number = u64::from_str_radix(&digits, written.radix()).ok()?;
    if number > crate::schema::CORE_MAX {
        return None;
    }
    u16::try_from(number).ok().map(CoreId)
}

/// Whether the text is an identifier.
fn is_name(text: &str, underscore: bool) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || byte == b'-'
            || (underscore && byte == b'_')
    };
    let first_fits = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    // A leading hyphen would read as an option on a command line.
    first_fits && text.len() <= NAME_BYTES_MAX && text.bytes().all(allowed)
}
