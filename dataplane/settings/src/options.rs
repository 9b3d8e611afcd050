//! Reading a port's `device` and `options` into a [`Device`].

use toml::de::{DeTable, DeValue};

use crate::device::{Device, DeviceOption, PciAddress, VirtualDevice};
use crate::drivers::{Driver, DriverOption, OptionKind, names};
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::scope::{Located, Scope};

/// Reads both keys. The index of a virtual device is 0 here; [`crate::read`] numbers the devices of each driver.
pub(crate) fn device(scope: &mut Scope<'_, '_>) -> Device {
    let key = scope.schema.key("device");
    let (text, value) = scope.text_at(key);
    let options = scope.find(scope.schema.key("options"));
    let Some(value) = value else {
        return Device::STAND_IN;
    };
    if let Some(address) = PciAddress::from_text(&text) {
        if options.is_some() {
            let problem = Problem::OptionsOfCard { device: address.to_string() };
            scope.findings.report_at(&scope.path_of("options"), problem);
        }
        return Device::Pci(address);
    }
    let Some(driver) = Driver::from_name(&text) else {
        // EAL's own names end in a number, so that is what an operator who knows DPDK writes.
        let plain = text.trim_end_matches(|character: char| character.is_ascii_digit());
        scope.refuse_device("device", value, nearest(plain, names()));
        return Device::STAND_IN;
    };
    Device::Virtual(VirtualDevice {
        driver,
        index: 0,
        options: read_options(scope, driver, options),
    })
}

/// Reads the options in the order of the driver's table, so that the same file always gives the same argument.
fn read_options(
    scope: &mut Scope<'_, '_>,
    driver: Driver,
    value: Option<&Located<'_>>,
) -> Vec<DeviceOption> {
    let mut options = Vec::new();
    if let Some(value) = value {
        match value.get_ref() {
            DeValue::Table(table) => {
                refuse_unknown_options(scope, driver, table);
                for option in driver.schema().options {
                    if let Some(value) = table.get(option.name) {
                        read_option(scope, option, value, &mut options);
                    }
                }
            }
            _ => {
                scope.refuse_type("options", value);
                return options;
            }
        }
    }
    let needed = driver.schema().needs_one_of;
    let given = |name: &&str| {
        let table = value.and_then(|value| value.get_ref().as_table());
        table.is_some_and(|table| table.contains_key(*name))
    };
    let path = scope.path_of("options");
    // With an unknown option, one of the needed ones was probably meant by it.
    if !needed.is_empty() && !needed.iter().any(given) && scope.findings.is_sound(&path) {
        let problem = Problem::DriverNeeds { driver, options: needed };
        scope.findings.report_at(&path, problem);
    }
    options
}

/// Notes every option that the driver doesn't have.
fn refuse_unknown_options(scope: &mut Scope<'_, '_>, driver: Driver, table: &DeTable<'_>) {
    for (name, _) in table {
        let known = driver.schema().option_names();
        let written = name.get_ref().as_ref();
        if known.contains(&written) {
            continue;
        }
        let problem = Problem::Unknown {
            nearest: nearest(written, known.iter().copied()).map(str::to_owned),
            elsewhere: None,
            known,
        };
        let line = scope.findings.line_of(&name.span());
        let path = scope.path_of(&format!("options.{written}"));
        scope.findings.report(Some(line), path, problem);
    }
}

/// Reads one option: a value, or a list of values where the driver numbers queues by repetition.
fn read_option(
    scope: &mut Scope<'_, '_>,
    option: &'static DriverOption,
    value: &Located<'_>,
    options: &mut Vec<DeviceOption>,
) {
    let path = scope.path_of(&format!("options.{}", option.name));
    let line = scope.findings.line_of(&value.span());
    scope.findings.lines.insert(path.clone(), line);
    let listed = matches!(option.kind, OptionKind::Texts | OptionKind::Paths);
    match value.get_ref() {
        DeValue::Array(entries) if listed => {
            if entries.is_empty() {
                let problem =
                    Problem::EntryCount { found: 0, minimum: 1, maximum: crate::keys::WORKERS_MAX };
                scope.findings.report(Some(line), path, problem);
                return;
            }
            for (index, entry) in entries.iter().enumerate() {
                let path = format!("{path}[{index}]");
                let line = scope.findings.line_of(&entry.span());
                scope.findings.lines.insert(path.clone(), line);
                read_value(scope, option, path, entry, options);
            }
        }
        _ => read_value(scope, option, path, value, options),
    }
}

/// Reads one value of an option.
fn read_value(
    scope: &mut Scope<'_, '_>,
    option: &'static DriverOption,
    path: String,
    value: &Located<'_>,
    options: &mut Vec<DeviceOption>,
) {
    let line = Some(scope.findings.line_of(&value.span()));
    let given = match option.kind {
        OptionKind::Path | OptionKind::Paths => match value.get_ref().as_str() {
            Some("") | None => None,
            Some(text) => Some(scope.folder.join(text).to_string_lossy().into_owned()),
        },
        kind => given_to_dpdk(kind, value.get_ref()),
    };
    let Some(given) = given else {
        let problem = Problem::NotAllowed {
            found: scope.findings.excerpt(&value.span()),
            allowed: option.kind.allowed(),
            nearest: match (option.kind, value.get_ref().as_str()) {
                (OptionKind::Choice(words), Some(text)) => {
                    nearest(text, words.iter().copied()).map(|word| format!("\"{word}\""))
                }
                _ => None,
            },
            default: Some("of the driver".to_owned()),
        };
        scope.findings.report(line, path, problem);
        return;
    };
    if let Some(character) = given.chars().find(|character| is_forbidden(*character)) {
        let problem = Problem::ForbiddenCharacter { found: given, character };
        scope.findings.report(line, path, problem);
        return;
    }
    options.push(DeviceOption { name: option.name, value: given, key: path });
}

/// The value as DPDK reads it, or `None` if it isn't allowed. Paths are resolved by the caller.
fn given_to_dpdk(kind: OptionKind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (OptionKind::Flag, DeValue::Boolean(flag)) => Some(u8::from(*flag).to_string()),
        (OptionKind::YesNo, DeValue::Boolean(flag)) => {
            Some(if *flag { "yes" } else { "no" }.to_owned())
        }
        (OptionKind::Integer { minimum, maximum }, DeValue::Integer(written)) => {
            let digits = written.as_str().replace('_', "");
            let number = u64::from_str_radix(&digits, written.radix()).ok()?;
            (minimum..=maximum).contains(&number).then(|| number.to_string())
        }
        (OptionKind::Text | OptionKind::Texts, DeValue::String(text)) if !text.is_empty() => {
            Some(text.to_string())
        }
        (OptionKind::Choice(words), DeValue::String(text)) => {
            words.contains(&text.as_ref()).then(|| text.to_string())
        }
        (OptionKind::Mac(words), DeValue::String(text)) => {
            (words.contains(&text.as_ref()) || is_mac_address(text)).then(|| text.to_string())
        }
        _ => None,
    }
}

/// Whether the text is six hexadecimal pairs with colons.
fn is_mac_address(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    let is_pair =
        |pair: &&str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    pairs.len() == 6 && pairs.iter().all(is_pair)
}

/// Whether DPDK's argument parser (`lib/kvargs/rte_kvargs.c`) would take the character for syntax, or a log or shell
/// would garble it.
fn is_forbidden(character: char) -> bool {
    matches!(character, ',' | '=' | '[' | ']')
        || character.is_whitespace()
        || character.is_control()
}
