//! Query strings: every parameter known, in range, and at most once.

use std::str::FromStr;

use super::endpoint::Parameter;
use super::refusal::Refusal;
use crate::error::ErrorCode;
use crate::event::EventKind;
use crate::explanation::ExplanationKind;
use crate::listing::{LIMIT_DEFAULT, LIMIT_MAX};

/// The decoded parameters of a request.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidQuery, message, "correct the query string.")
}

impl Parameters {
    /// Takes the pairs if they are all among `allowed` and none but `kind` comes twice.
    pub(super) fn new(
        pairs: Vec<(String, String)>,
        allowed: &[Parameter],
    ) -> Result<Self, Refusal> {
        let allowed: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                let list = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                let message = format!("there is no parameter \"{name}\" here, allowed: {list}");
                return Err(invalid(message).allowing(allowed));
            }
            if name != "kind" && pairs[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(invalid(format!("the parameter {name} comes twice, allowed is once")));
            }
        }
        Ok(Self(pairs))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A value that its type reads and whose error says what is allowed.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Refusal> {
        let value = self.text(name).map(str::parse).transpose();
        value.map_err(|error: T::Err| invalid(format!("{name}: {}", error.to_string())))
    }

    /// What is to be explained; required.
    pub(super) fn explanation_kind(&self) -> Result<ExplanationKind, Refusal> {
        let found = self.text("about").unwrap_or_default();
        ExplanationKind::from_name(found).ok_or_else(|| {
            let names = ExplanationKind::ALL.map(ExplanationKind::name);
            let message =
                format!("about: \"{found}\" isn't allowed, allowed are {}", names.join(", "));
            invalid(message).allowing(names)
        })
    }

    pub(super) fn limit(&self) -> Result<u32, Refusal> {
        let Some(text) = self.text("limit") else {
            return Ok(LIMIT_DEFAULT);
        };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| {
            invalid(format!(
                "limit: \"{text}\" isn't allowed, allowed is a number from 1 to {LIMIT_MAX}"
            ))
        })
    }

    /// `kind=denied&kind=ended` and `kind=denied,ended` alike; empty means all.
    pub(super) fn kinds(&self) -> Result<Vec<EventKind>, Refusal> {
        let values = self.0.iter().filter(|(name, _)| name == "kind");
        let words = values.flat_map(|(_, value)| value.split(','));
        let kind = |word: &str| {
            EventKind::from_name(word).ok_or_else(|| {
                let names = EventKind::ALL.map(EventKind::name);
                let message =
                    format!("kind: \"{word}\" isn't allowed, allowed are {}", names.join(", "));
                invalid(message).allowing(names)
            })
        };
        words.map(kind).collect()
    }
}
