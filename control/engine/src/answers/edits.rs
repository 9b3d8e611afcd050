//! Changes of the document in force by one verb: a right for a time, a zone as an island.

use std::sync::Arc;

use loadlock_api::{ALLOW_FOR_S_MAX, Allow, BackendError, IslandSwitch, Time};
use loadlock_policy::Document;

use super::{Answer, REASON_EXAMPLE, conflict, mistakes, proof, required};
use crate::backend::CoreBackend;
use crate::change::Change;
use crate::core::now_ns;
use crate::state::State;

impl CoreBackend {
    /// A document that follows from the one in force; it is in force at once.
    pub(super) fn edited(&self, base: &State, document: Document) -> Result<State, BackendError> {
        let policy =
            document.expand_again(&base.policy, now_ns()).map_err(|errors| mistakes(&errors))?;
        self.refuse_unknown_segments(&policy)?;
        let state =
            State { policy: Arc::new(policy), document: Arc::new(document), ..base.clone() };
        state
            .compile(&self.settings())
            .map_err(|reason| conflict(reason, "raise the limit that is named"))?;
        Ok(state)
    }

    pub(super) fn allow(&self, allow: &Allow, author: &str) -> Answer {
        required(&allow.reason, "the reason", REASON_EXAMPLE)?;
        if !(1..=ALLOW_FOR_S_MAX).contains(&allow.for_s) {
            return Err(conflict(
                format!("for_s is {}, allowed are 1 to {ALLOW_FOR_S_MAX}", allow.for_s),
                "give a time such as 8h; for longer, propose a permit",
            ));
        }
        for (what, text) in [("from", &allow.from), ("to", &allow.to), ("service", &allow.service)]
        {
            required(
                text,
                what,
                "name a device, role, zone or address, and a service such as tcp/5000",
            )?;
        }
        let base = self.state_of(None)?;
        let ends_ns = now_ns() + allow.for_s * 1_000_000_000;
        // Whole seconds: TOML takes nine digits, people don't.
        let expires = Time::from_ns(ends_ns - ends_ns % 1_000_000_000).to_string();
        let segment = allow.segment.as_ref();
        let segment = segment.map(|segment| format!("segment = {}\n", quoted(segment)));
        let section = format!(
            "[[permit]]\nfrom = {}\nto = {}\nservice = {}\n{}reason = {}\nowner = {}\nexpires = {}Z\n",
            quoted(&allow.from),
            quoted(&allow.to),
            quoted(&allow.service),
            segment.unwrap_or_default(),
            quoted(&allow.reason),
            quoted(author),
            expires.split('.').next().unwrap_or_default(),
        );
        let document = base.document.with_section(&section, "policy in force");
        let state = self.edited(&base, document.map_err(|errors| mistakes(&errors))?)?;
        let failing = proof::failing(&state, &self.settings())?;
        if !failing.is_empty() {
            return Err(conflict(
                format!("this right breaks what must hold:\n  {}", failing.join("\n  ")),
                "ask who wrote the assertion, or ask for less",
            ));
        }
        let reason = format!(
            "allow {} to {} {} for {} s: {}",
            allow.from, allow.to, allow.service, allow.for_s, allow.reason
        );
        if self.settings().control.another_approver {
            return self.to_be_approved(&base, &state, author, &reason);
        }
        let (author, base) = (author.to_owned(), base.number);
        self.change(Change::Edit { base, state, author, reason })
    }

    pub(super) fn island(&self, zone: &str, switch: &IslandSwitch, author: &str) -> Answer {
        required(&switch.reason, "the reason", REASON_EXAMPLE)?;
        let base = self.state_of(None)?;
        let is_island = base.document.islands().iter().any(|island| &*island.zone == zone);
        if is_island == switch.island {
            let word = if is_island { "an island already" } else { "no island" };
            return Err(conflict(
                format!("zone {zone} is {word}"),
                "`loadlock policy show` has the document in force",
            ));
        }
        let document = if switch.island {
            let section = format!(
                "[[island]]\nzone = {}\nreason = {}\nowner = {}\n",
                quoted(zone),
                quoted(&switch.reason),
                quoted(author)
            );
            base.document.with_section(&section, "policy in force")
        } else {
            base.document.without_island(zone, "policy in force")
        };
        let state = self.edited(&base, document.map_err(|errors| mistakes(&errors))?)?;
        let word = if switch.island { "cut off" } else { "let back" };
        let reason = format!("zone {zone} {word}: {}", switch.reason);
        let (author, base) = (author.to_owned(), base.number);
        self.change(Change::Edit { base, state, author, reason })
    }
}

/// A text as TOML writes it; control characters were refused before.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
