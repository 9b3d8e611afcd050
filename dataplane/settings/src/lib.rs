//! The one configuration file of Loadlock, read by both processes.
//!
//! [`Settings::load`] turns a TOML file into validated settings, or into *all* the mistakes in it, each with file, line,
//! key, value found, what is allowed and the next step. [`Settings::check_machine`] then compares valid settings with
//! the machine at hand; it is apart, so that a file can be checked where it won't run. [`reference()`] is the text of
//! `config/reference.toml`.
//!
//! ```text
//!   keys ──► schema ◄── scope ◄── read ──► Settings ──► machine
//!     │                   ▲         ▲         ▲
//!     └─► reference    findings   options    rules
//! ```
//!
//! `keys` is the table of every key, and `drivers` that of every virtual driver's options: what they don't list is
//! refused, and what they list is in the reference. This crate isn't the place for settings that change while the
//! appliance runs (modes, rules): those go through the API into the store.
//!
//! Tested by name for every kind of mistake, by a snapshot of a whole error report, by random mutations of valid files
//! (never a panic), and by comparing `config/reference.toml` with the code.

#![forbid(unsafe_code)]

mod changes;
mod derived;
mod device;
mod drivers;
mod error;
mod findings;
mod keys;
mod machine;
mod nearest;
mod options;
mod problem;
mod read;
mod reference;
mod rules;
mod schema;
mod scope;
mod settings;
mod sums;
mod tuning;

use std::collections::BTreeSet;
use std::path::{Path, absolute};

use toml::de::DeTable;

pub use changes::{Change, Takes};
pub use device::{Device, DeviceOption, PciAddress, VirtualDevice};
pub use drivers::Driver;
pub use error::{SettingsError, SettingsErrors};
pub use machine::{CaptureProblem, Machine, MachineError};
pub use problem::Problem;
pub use reference::reference;
pub use settings::{
    Answer, ApiSettings, Clock, ControlSettings, CoreId, DataplaneSettings, EventChoice,
    EventFileSettings, ExchangeSettings, FlowSettings, HardwareBypass, HugepageSize, Idle,
    IpfixSettings, LogLevel, OutwardSettings, PortIndex, PortName, PortPool, PortSettings, Relay,
    Rss, SegmentName, SegmentSettings, Settings, SyslogSettings, Target, Transport,
};
pub use sums::Sums;
pub use tuning::{GpioLine, RssKey};

use findings::Findings;

impl Settings {
    /// Reads and validates a configuration file.
    ///
    /// Relative paths in the file count from its folder. The machine isn't looked at, the file apart: see
    /// [`Settings::check_machine`].
    ///
    /// # Errors
    /// All mistakes of the file. Print them and exit; there are no settings to go on with.
    pub fn load(path: &Path) -> Result<Self, SettingsErrors> {
        let place = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| {
            let mut findings = Findings::new("", &place);
            findings.report(None, "", Problem::Unreadable { source });
            SettingsErrors::new(&place, findings.errors)
        })?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse_in(text, &place, path),
            Err(error) => {
                let (sound, _) = bytes.split_at(error.valid_up_to());
                let line = sound.iter().filter(|byte| **byte == b'\n').count() + 1;
                let mut findings = Findings::new("", &place);
                findings.report(u32::try_from(line).ok(), "", Problem::NotUtf8);
                Err(SettingsErrors::new(&place, findings.errors))
            }
        }
    }

    /// The file as it was named.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Validates the text of a configuration file.
    ///
    /// `place` is the file's name in messages; relative paths in the text count from its folder. Nothing is read from
    /// the machine except the working directory, if `place` is relative.
    ///
    /// # Errors
    /// All mistakes of the text. Where it isn't valid TOML, rules between keys are left for the next attempt.
    pub fn parse(text: &str, place: &str) -> Result<Self, SettingsErrors> {
        Self::parse_in(text, place, Path::new(place))
    }

    fn parse_in(text: &str, place: &str, file: &Path) -> Result<Self, SettingsErrors> {
        let file = absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = file.parent().unwrap_or(Path::new("/"));
        let mut findings = Findings::new(text, place);
        let (document, syntax_errors) = DeTable::parse_recoverable(text);
        let read = read::Document { root: document.get_ref(), folder };
        let mut settings = read.read(&mut findings);
        if syntax_errors.is_empty() {
            rules::check(&settings, &mut findings);
        } else {
            keep_what_syntax_errors_leave_certain(&mut findings, &syntax_errors);
        }
        if !findings.errors.is_empty() {
            return Err(SettingsErrors::new(place, findings.errors));
        }
        settings.place = place.to_owned();
        settings.lines = findings.lines;
        settings.values = findings.values;
        Ok(settings)
    }
}

/// Adds the syntax errors and drops what they may have caused: findings on their lines, and things missing.
fn keep_what_syntax_errors_leave_certain(
    findings: &mut Findings<'_>,
    syntax_errors: &[toml::de::Error],
) {
    let mut lines = BTreeSet::new();
    let mut reports = Vec::new();
    for error in syntax_errors {
        let line = error.span().map(|span| findings.line_of(&span));
        // One slip often gives several errors on its line; the first says what it is.
        if lines.insert(line) {
            reports.push((line, error.message().to_owned()));
        }
    }
    findings.errors.retain(|error| {
        let consequence = matches!(
            error.problem,
            Problem::Missing { .. }
                | Problem::NoSuchPort { .. }
                | Problem::EntryCount { .. }
                | Problem::DriverNeeds { .. }
        );
        !consequence && !lines.contains(&error.line)
    });
    for (line, message) in reports {
        findings.report(line, "", Problem::Syntax { message });
    }
}
