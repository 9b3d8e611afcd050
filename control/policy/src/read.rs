//! From TOML to [`RuleFile`]s with their places. Types and names of keys are checked here, values in [`crate::validate`].

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{PolicyErrors, Problem};
use crate::file::{BindingFile, FILE_FORMAT, PolicyFile, RuleFile, VlanFile};
use crate::policy::Policy;
use crate::validate::{self, Findings, Places};

const FILE_KEYS: &[&str] = &["format", "rule", "binding"];
const DOCUMENT_KEYS: &[&str] = &[
    "format", "learned", "device", "zone", "service", "permit", "deny", "hold", "island", "assert",
    "rule", "binding",
];
const BINDING_KEYS: &[&str] = &["segment", "vlan", "side", "address", "mac", "reason"];
const RULE_KEYS: &[&str] = &[
    "id",
    "segment",
    "vlan",
    "client",
    "client_side",
    "server",
    "service",
    "opens",
    "midstream",
    "reason",
    "owner",
];

/// Below this likeness (1 is equal) a hint would mislead more than it helps.
const LIKENESS_MIN: f64 = 0.5;

/// Byte offsets of each rule's header and keys; turned into lines only for messages.
pub(crate) struct TextPlaces<'a> {
    text: &'a str,
    line_starts: std::cell::OnceCell<Vec<usize>>,
    rules: Vec<RuleOffsets>,
    bindings: Vec<BindingOffsets>,
}

struct BindingOffsets {
    header: usize,
    keys: [Option<usize>; BINDING_KEYS.len()],
}

struct RuleOffsets {
    header: usize,
    keys: [Option<usize>; RULE_KEYS.len()],
}

impl TextPlaces<'_> {
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        let starts = self.line_starts.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            newlines.map(|(at, _)| at + 1).collect()
        });
        starts.partition_point(|start| *start <= offset) + 1
    }
}

impl Places for TextPlaces<'_> {
    fn line(&self, rule: usize, key: &str) -> Option<usize> {
        let offsets = self.rules.get(rule)?;
        let at = RULE_KEYS.iter().position(|known| *known == key);
        let offset = at.and_then(|at| offsets.keys[at]).unwrap_or(offsets.header);
        Some(self.line_of(offset))
    }

    fn binding_line(&self, binding: usize, key: &str) -> Option<usize> {
        let offsets = self.bindings.get(binding)?;
        let at = BINDING_KEYS.iter().position(|known| *known == key);
        let offset = at.and_then(|at| offsets.keys[at]).unwrap_or(offsets.header);
        Some(self.line_of(offset))
    }
}

pub(crate) type TextFindings<'a> = Findings<'a, TextPlaces<'a>>;

/// [`crate::PolicyFile::parse`].
pub(crate) fn parse(text: &str, place: &str) -> Result<Policy, PolicyErrors> {
    // Bindings, of which there are few, follow the rules in what a program writes.
    let (head, tail) = text.find("\n[[binding]]\n").map_or((text, ""), |at| text.split_at(at));
    let bound = toml::from_str::<PolicyFile>(&format!("format = {FILE_FORMAT}\n{tail}"));
    if let Ok(PolicyFile { binding, .. }) = bound
        // Only what has no mistake is taken on the short way, so that messages have their lines.
        && let Some(quick) = validate::canonical(head, binding, place)
    {
        return Ok(quick);
    }
    with_table(text, place, |table, mut findings| {
        refuse_unknown_keys(table, FILE_KEYS, &mut findings);
        let rules = rules(table, &mut findings);
        let bindings = bindings(table, &mut findings);
        validate::policy(rules, bindings, findings)
    })
}

/// Parses a text, and hands its table over with room for mistakes.
pub(crate) fn with_table<T>(
    text: &str,
    place: &str,
    read: impl FnOnce(&DeTable<'_>, TextFindings<'_>) -> Result<T, PolicyErrors>,
) -> Result<T, PolicyErrors> {
    let line_starts = std::cell::OnceCell::new();
    let places = TextPlaces { text, line_starts, rules: Vec::new(), bindings: Vec::new() };
    let mut findings = Findings::new(place, places);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| findings.places.line_of(span.start));
        let message = error.message().to_owned();
        findings.report_file(line, "", Problem::Syntax { message });
    }
    if let Some(errors) = PolicyErrors::from_list(std::mem::take(&mut findings.errors)) {
        return Err(errors);
    }
    read(document.get_ref(), findings)
}

fn refuse_unknown_keys(
    document: &DeTable<'_>,
    known: &'static [&'static str],
    findings: &mut TextFindings<'_>,
) {
    for (key, _) in document.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
        let line = Some(findings.places.line_of(key.span().start));
        let name = validate::excerpt(key.get_ref());
        let nearest = nearest(key.get_ref(), known);
        findings.report_file(line, &name, Problem::UnknownKey { nearest, known });
    }
}

/// True if a document lists all rules itself. Reports keys that a document doesn't have.
pub(crate) fn learned_is_listed(document: &DeTable<'_>, findings: &mut TextFindings<'_>) -> bool {
    refuse_unknown_keys(document, DOCUMENT_KEYS, findings);
    let Some(value) = document.get("learned") else { return false };
    match value.get_ref().as_str() {
        Some("keep") => false,
        Some("listed") => true,
        other => {
            let line = Some(findings.places.line_of(value.span().start));
            let found = validate::excerpt(other.unwrap_or(value.get_ref().type_str()));
            let allowed = "\"keep\" (what was learned stays) or \"listed\" (only the learned rules of this file stay)";
            findings.report_file(
                line,
                "learned",
                Problem::NotAllowed { found, allowed, instead: None },
            );
            false
        }
    }
}

/// Format and rules of a file.
pub(crate) fn rules(document: &DeTable<'_>, findings: &mut TextFindings<'_>) -> Vec<RuleFile> {
    match document.get("format") {
        None => findings.report_file(None, "format", Problem::Format { found: None }),
        Some(value) if integer(value) != Some(FILE_FORMAT) => {
            let line = Some(findings.places.line_of(value.span().start));
            let found = match integer(value) {
                Some(found) => found.to_string(),
                None => value.get_ref().type_str().to_owned(),
            };
            findings.report_file(line, "format", Problem::Format { found: Some(found) });
        }
        Some(_) => {}
    }
    let Some(value) = document.get("rule") else {
        return Vec::new();
    };
    let Some(entries) = value.get_ref().as_array() else {
        refuse_shape(value, findings);
        return Vec::new();
    };
    let mut rules = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        let Some(table) = entry.get_ref().as_table() else {
            refuse_shape(entry, findings);
            continue;
        };
        let keys = [None; RULE_KEYS.len()];
        findings.places.rules.push(RuleOffsets { header: entry.span().start, keys });
        rules.push(read_rule(table, rules.len(), findings));
    }
    rules
}

fn refuse_shape(value: &Spanned<DeValue<'_>>, findings: &mut TextFindings<'_>) {
    refuse_list(value, "rule", "rules, each below a header [[rule]]", findings);
}

fn refuse_list(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    allowed: &'static str,
    findings: &mut TextFindings<'_>,
) {
    let line = Some(findings.places.line_of(value.span().start));
    let found = value.get_ref().type_str();
    findings.report_file(line, key, Problem::WrongType { found, allowed });
}

/// Bindings of a file.
pub(crate) fn bindings(
    document: &DeTable<'_>,
    findings: &mut TextFindings<'_>,
) -> Vec<BindingFile> {
    const ALLOWED: &str = "bindings, each below a header [[binding]]";
    let Some(value) = document.get("binding") else { return Vec::new() };
    let Some(entries) = value.get_ref().as_array() else {
        refuse_list(value, "binding", ALLOWED, findings);
        return Vec::new();
    };
    let mut bindings = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        let Some(table) = entry.get_ref().as_table() else {
            refuse_list(entry, "binding", ALLOWED, findings);
            continue;
        };
        let keys = [None; BINDING_KEYS.len()];
        findings.places.bindings.push(BindingOffsets { header: entry.span().start, keys });
        bindings.push(read_binding(table, bindings.len(), findings));
    }
    bindings
}

fn read_binding(table: &DeTable<'_>, index: usize, findings: &mut TextFindings<'_>) -> BindingFile {
    let mut binding = BindingFile::default();
    for (key, value) in table {
        let Some(at) = BINDING_KEYS.iter().position(|known| known == key.get_ref()) else {
            let line = Some(findings.places.line_of(key.span().start));
            let name = format!("binding[#{}].{}", index + 1, validate::excerpt(key.get_ref()));
            let nearest = nearest(key.get_ref(), BINDING_KEYS);
            findings.report_file(line, &name, Problem::UnknownKey { nearest, known: BINDING_KEYS });
            continue;
        };
        if let Some(offsets) = findings.places.bindings.last_mut() {
            offsets.keys[at] = Some(value.span().start);
        }
        if let Err(allowed) = assign_binding(&mut binding, BINDING_KEYS[at], value) {
            let found = value.get_ref().type_str();
            findings.report_binding(index, BINDING_KEYS[at], Problem::WrongType { found, allowed });
            findings.mistyped_bindings.insert((index, BINDING_KEYS[at]));
        }
    }
    binding
}

/// Puts a value into its field, or says what the field takes.
fn assign_binding(
    binding: &mut BindingFile,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), &'static str> {
    if key == "vlan" {
        binding.vlan = Some(vlan(value)?);
        return Ok(());
    }
    let text = value.get_ref().as_str().ok_or("a text in quotation marks")?.to_owned();
    let field = match key {
        "segment" => &mut binding.segment,
        "side" => &mut binding.side,
        "address" => &mut binding.address,
        "mac" => &mut binding.mac,
        _ => &mut binding.reason,
    };
    *field = Some(text);
    Ok(())
}

fn vlan(value: &Spanned<DeValue<'_>>) -> Result<VlanFile, &'static str> {
    let text = || value.get_ref().as_str().map(|text| VlanFile::Text(text.to_owned()));
    let vlan = integer(value).map(VlanFile::Id).or_else(text);
    vlan.ok_or(
        "a VLAN id from 1 to 4094, or a text: \"untagged\", \"any\", or two ids such as \"10.20\" in quotation marks",
    )
}

fn read_rule(table: &DeTable<'_>, index: usize, findings: &mut TextFindings<'_>) -> RuleFile {
    let mut rule = RuleFile::default();
    for (key, value) in table {
        let Some(at) = RULE_KEYS.iter().position(|known| known == key.get_ref()) else {
            let line = Some(findings.places.line_of(key.span().start));
            let name = format!("rule[#{}].{}", index + 1, validate::excerpt(key.get_ref()));
            let nearest = nearest(key.get_ref(), RULE_KEYS);
            findings.report_file(line, &name, Problem::UnknownKey { nearest, known: RULE_KEYS });
            continue;
        };
        if let Some(offsets) = findings.places.rules.last_mut() {
            offsets.keys[at] = Some(value.span().start);
        }
        if let Err(allowed) = assign(&mut rule, RULE_KEYS[at], value) {
            let found = value.get_ref().type_str();
            findings.report(index, RULE_KEYS[at], Problem::WrongType { found, allowed });
            findings.mistyped.insert((index, RULE_KEYS[at]));
        }
    }
    rule
}

/// Puts a value into its field, or says what the field takes.
fn assign(
    rule: &mut RuleFile,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), &'static str> {
    let text = match key {
        "id" => {
            rule.id = Some(integer(value).ok_or("a whole number from 1 to 268435455")?);
            return Ok(());
        }
        "midstream" => {
            rule.midstream = Some(value.get_ref().as_bool().ok_or("true or false")?);
            return Ok(());
        }
        "vlan" => {
            rule.vlan = Some(vlan(value)?);
            return Ok(());
        }
        _ => value.get_ref().as_str().ok_or("a text in quotation marks")?.to_owned(),
    };
    let field = match key {
        "segment" => &mut rule.segment,
        "client" => &mut rule.client,
        "client_side" => &mut rule.client_side,
        "server" => &mut rule.server,
        "service" => &mut rule.service,
        "opens" => &mut rule.opens,
        "reason" => &mut rule.reason,
        _ => &mut rule.owner,
    };
    *field = Some(text);
    Ok(())
}

pub(crate) fn integer(value: &Spanned<DeValue<'_>>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(crate) fn nearest(found: &str, known: &'static [&'static str]) -> Option<&'static str> {
    // A long key resembles nothing, and comparing it would take quadratic time.
    let found = (found.len() <= 64).then(|| found.to_lowercase())?;
    let likeness = |known| strsim::normalized_damerau_levenshtein(&found, known);
    let rated = known.iter().map(|known| (likeness(known), *known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}
