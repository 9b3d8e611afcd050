//! Query strings: every parameter known, in range, and at most once.

use std::str::FromStr;

use loadlock_exchange::DropReason;

use super::endpoint::Parameter;
use super::refusal::Refusal;
use crate::error::ErrorCode;
use crate::event::EventKind;
use crate::event_filter::EventFilter;
use crate::explanation::ExplanationKind;
use crate::listing::{LIMIT_DEFAULT, LIMIT_MAX};
use crate::traffic::Verdict;

/// Lists: more values, more results.
const REPEATABLE: [&str; 4] = ["kind", "segment", "reason", "verdict"];

/// The decoded parameters of a request.
#[derive(Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidQuery, message, "correct the query string.")
}

impl Parameters {
    /// Takes the pairs if they are all among `allowed` and none but [`REPEATABLE`] ones come twice.
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
            if !REPEATABLE.contains(&name.as_str())
                && pairs[..at].iter().any(|(earlier, _)| earlier == name)
            {
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

    /// The number of something, if it is given.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let number = |text: &str| {
            let refused =
                || invalid(format!("{name}: \"{text}\" isn't allowed, allowed is a number"));
            text.parse().map_err(|_| refused())
        };
        self.text(name).map(number).transpose()
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

    /// Which events are wanted; all if nothing is said.
    pub(super) fn event_filter(&self) -> Result<EventFilter, Refusal> {
        let reasons: Vec<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        let segments = self.0.iter().filter(|(name, _)| name == "segment");
        Ok(EventFilter {
            kinds: self.words(
                "kind",
                EventKind::from_name,
                &EventKind::ALL.map(EventKind::name),
            )?,
            segments: segments.map(|(_, segment)| segment.clone()).collect(),
            address: self.parsed("address")?,
            reasons: self.words("reason", reason, &reasons)?,
            verdicts: self.words(
                "verdict",
                Verdict::from_name,
                &Verdict::ALL.map(Verdict::name),
            )?,
        })
    }

    /// `kind=denied&kind=ended` and `kind=denied,ended` alike; empty means all.
    fn words<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
        allowed: &[&str],
    ) -> Result<Vec<T>, Refusal> {
        let values = self.0.iter().filter(|(found, _)| found == name);
        let words = values.flat_map(|(_, value)| value.split(','));
        let one = |word: &str| {
            read(word).ok_or_else(|| {
                let list = allowed.join(", ");
                invalid(format!("{name}: \"{word}\" isn't allowed, allowed are {list}"))
                    .allowing(allowed)
            })
        };
        words.map(one).collect()
    }
}

fn reason(name: &str) -> Option<DropReason> {
    DropReason::ALL.iter().copied().find(|reason| reason.name() == name)
}
