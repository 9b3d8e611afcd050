//! What can be wrong with rules, each with its place, what was found, what is allowed and what to do.

use std::fmt;

use loadlock_exchange::{RULES_MAX, SHAPES_MAX};

/// A text that a field doesn't take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What the field takes.
    pub allowed: &'static str,
    /// What was probably meant.
    pub instead: Option<String>,
}

/// One kind of mistake. Texts named `found` are as they stand in the file, shortened if long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The text isn't TOML.
    Syntax {
        /// What the TOML parser said.
        message: String,
    },
    /// The text begins as JSON, and isn't, or has what TOML has no value for.
    Json {
        /// What the JSON parser said.
        message: String,
    },
    /// The file doesn't say its format, or has one that this version doesn't read.
    Format {
        /// The value in the file.
        found: Option<String>,
    },
    /// A key that doesn't exist.
    UnknownKey {
        /// The key nearest in spelling.
        nearest: Option<&'static str>,
        /// All keys that exist here.
        known: &'static [&'static str],
    },
    /// A key that a rule must have.
    Missing {
        /// What it takes.
        allowed: &'static str,
    },
    /// A value of another type.
    WrongType {
        /// Its type.
        found: &'static str,
        /// What the key takes.
        allowed: &'static str,
    },
    /// A value of the right type that isn't allowed.
    NotAllowed {
        /// The value.
        found: String,
        /// What the key takes.
        allowed: &'static str,
        /// What was probably meant.
        instead: Option<String>,
    },
    /// An address of a kind that the service doesn't have.
    AddressKind {
        /// The address.
        found: String,
        /// The service.
        service: String,
        /// Addresses that go with it.
        allowed: &'static str,
    },
    /// Client and server are of different IP versions.
    MixedFamilies {
        /// Client's address.
        client: String,
        /// Server's address.
        server: String,
    },
    /// A SNAP service with two open ends: the table couldn't tell its OUI from others.
    SnapOpen,
    /// A name that nothing has.
    UnknownName {
        /// Of which kind: `device`, `role`, `zone`, `service`.
        what: &'static str,
        /// The name.
        found: String,
        /// The name nearest in spelling.
        nearest: Option<String>,
    },
    /// Two things with one name, or devices with one address.
    NameTwice {
        /// The name.
        name: String,
        /// Line of the first.
        first_line: usize,
    },
    /// Two rules with one id.
    IdTwice {
        /// The id.
        id: u32,
        /// The rule that has it, counted from 1 in the order of the file.
        first_rule: usize,
        /// Its line.
        first_line: Option<usize>,
    },
    /// Two rules that permit the same conversations.
    SameMeaning {
        /// Id of the other rule.
        first_id: u32,
        /// Its line.
        first_line: Option<usize>,
    },
    /// The rules leave open more different combinations of fields than a lookup can afford.
    TooManyShapes {
        /// How many combinations there are.
        shapes: usize,
        /// Ids of the first rule of each of the combinations that have the fewest rules, at most eight.
        rarest: Vec<u32>,
    },
    /// More rules than there are ids.
    TooManyRules,
    /// An address with two bindings, or a station on two sides.
    BoundTwice {
        /// The second binding.
        words: String,
        /// The first one, counted from 1 in the order of the file.
        first: usize,
        /// Its line.
        first_line: Option<usize>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { message } => write!(f, "not TOML: {message}"),
            Self::Json { message } => write!(f, "not JSON for TOML's values: {message}"),
            Self::Format { found: None } => {
                f.write_str("is missing; start the file with `format = 1`")
            }
            Self::Format { found: Some(found) } => write!(
                f,
                "is {found}, this version reads format 1; use the version of Loadlock that wrote the file"
            ),
            Self::UnknownKey { nearest: Some(nearest), .. } => {
                write!(f, "there is no such key; did you mean `{nearest}`?")
            }
            Self::UnknownKey { nearest: None, known } => {
                write!(f, "there is no such key; allowed are {}", known.join(", "))
            }
            Self::Missing { allowed } => write!(f, "is missing; give {allowed}"),
            Self::WrongType { found, allowed } => {
                write!(f, "is of type {found}; allowed: {allowed}")
            }
            Self::NotAllowed { found, allowed, instead } => {
                write!(f, "is {found:?}; allowed: {allowed}")?;
                instead.iter().try_for_each(|text| write!(f, "; did you mean {text:?}?"))
            }
            Self::AddressKind { found, service, allowed } => {
                write!(f, "is {found:?}, but the service is {service:?}; allowed: {allowed}")
            }
            Self::MixedFamilies { client, server } => write!(
                f,
                "is {server:?}, but the client is {client:?}; write both as IPv4 or both as IPv6"
            ),
            Self::SnapOpen => f.write_str(
                "client and server are both \"any\", which can't be held to one OUI; name one end by its MAC address",
            ),
            Self::UnknownName { what, found, nearest: Some(nearest) } => {
                write!(f, "there is no {what} {found:?}; did you mean {nearest:?}?")
            }
            Self::UnknownName { what, found, nearest: None } => {
                write!(f, "there is no {what} {found:?}; write it first, as a section of this file")
            }
            Self::NameTwice { name, first_line } => {
                write!(f, "is {name:?} a second time, the first is on line {first_line}; give each its own")
            }
            Self::IdTwice { id, first_rule, first_line } => {
                write!(f, "is {id}, which rule[#{first_rule}]{} has; ", on_line(*first_line))?;
                f.write_str("take another, or leave it out to have one given")
            }
            Self::SameMeaning { first_id, first_line } => write!(
                f,
                "permits conversations that rule {first_id}{} permits in the same form; remove one of them, or join them",
                on_line(*first_line)
            ),
            Self::TooManyShapes { shapes, rarest } => write!(
                f,
                "the rules leave open {shapes} different combinations of fields, at most {SHAPES_MAX} are allowed; write rules of the \
                 same kind with the same prefix lengths and port ranges, beginning with the rarest: rules {rarest:?}"
            ),
            Self::BoundTwice { words, first, first_line } => write!(
                f,
                "({words}) contradicts binding[#{first}]{}; remove one of them",
                on_line(*first_line)
            ),
            Self::TooManyRules => write!(f, "more than {RULES_MAX} rules; split the site"),
        }
    }
}

fn on_line(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

/// One mistake: where, which key, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The file, as its reader named it.
    pub place: String,
    /// Line from 1; `None` where there are no lines, and for the file as a whole.
    pub line: Option<usize>,
    /// Path of the key, such as `rule[#3].service`; rules are counted from 1. Empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))?;
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        self.problem.fmt(f)
    }
}

/// Every mistake of one set of rules, in the order of the lines. Never empty; displayed one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyErrors {
    errors: Vec<PolicyError>,
}

impl From<PolicyError> for PolicyErrors {
    fn from(error: PolicyError) -> Self {
        Self { errors: vec![error] }
    }
}

impl PolicyErrors {
    /// The mistakes as an error, in the order of their lines; `None` if there is none.
    pub(crate) fn from_list(mut errors: Vec<PolicyError>) -> Option<Self> {
        errors.sort_by_key(|error| error.line.unwrap_or(usize::MAX));
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// The mistakes.
    pub fn iter(&self) -> std::slice::Iter<'_, PolicyError> {
        self.errors.iter()
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, error) in self.errors.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}
