//! Answers about policy versions, on the API's threads: texts are read, expanded and compared here, so that the core thread goes on
//! draining. What changes what is in force goes to the core as a [`Change`] that is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use loadlock_api::{
    BackendError, CONFIRM_WITHIN_S_MAX, Draft, Listing, PolicyAnswer, PolicyDiff, PolicyRequest,
    PolicyText, PolicyVersion, Proposal, Proposed, RollBack, RuleChange, Step, StepBody, Time,
};
use loadlock_exchange::Mode;
use loadlock_policy::{Document, Policy, PolicyErrors, Rule};
use loadlock_store::{StoreError, Version, VersionNumber, VersionState, VersionSummary};

use crate::backend::{Command, CoreBackend};
use crate::change::{Change, proposal};
use crate::core::now_ns;
use crate::shadow::Shadow;
use crate::state::State;

mod asked;
mod audit;
mod devices;
mod edits;
mod evidence;
mod proof;

pub(crate) use asked::{Asked, device_at, device_words, verdict_words};

type Answer = Result<PolicyAnswer, BackendError>;

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A store's refusal in the API's words.
pub(crate) fn store_error(error: StoreError) -> BackendError {
    let reason = error.to_string();
    let conflict = |next_step: &str| BackendError::Conflict {
        reason: reason.clone(),
        next_step: next_step.to_owned(),
    };
    match error {
        StoreError::WrongState { .. } => {
            conflict("`loadlock policy show` says where it stands and what was done to it")
        }
        StoreError::NoVersion { .. } => conflict("`loadlock policy list` has the numbers"),
        StoreError::VersionDamaged { .. } => {
            conflict("take another version; `loadlock policy list` has them")
        }
        _ => BackendError::Store { reason },
    }
}

fn mistakes(errors: &PolicyErrors) -> BackendError {
    BackendError::InvalidPolicy { mistakes: errors.to_string() }
}

pub(crate) fn conflict(reason: String, next_step: &str) -> BackendError {
    BackendError::Conflict { reason, next_step: next_step.to_owned() }
}

/// A version as the API shows it.
pub(crate) fn version_line(version: &VersionSummary) -> PolicyVersion {
    PolicyVersion {
        number: version.number.0,
        state: version.state.name().to_owned(),
        author: version.author.clone(),
        approver: version.approver.clone(),
        reason: version.reason.clone(),
        ticket: version.ticket.clone(),
        created: Time::from_ns(version.created_ns),
        applied: version.applied_ns.map(Time::from_ns),
        previous: version.previous.map(|previous| previous.0),
        sha256: hexadecimal(&version.sha256),
    }
}

fn change_line(rule: &Rule, other: Option<String>) -> RuleChange {
    RuleChange {
        rule: rule.id().number(),
        segment: rule.parts().segment.to_string(),
        words: rule.words(),
        other,
        reason: rule.parts().reason.to_string(),
    }
}

fn required(text: &str, what: &str, example: &str) -> Result<(), BackendError> {
    if !text.trim().is_empty() && text.chars().count() <= 500 && !text.chars().any(char::is_control)
    {
        return Ok(());
    }
    let reason = format!(
        "{what} is {:?}; allowed are 1 to 500 characters without line breaks",
        text.chars().take(80).collect::<String>()
    );
    Err(conflict(reason, example))
}

const REASON_EXAMPLE: &str = "say why, such as --reason \"new recipe server\": an auditor reads it";

impl CoreBackend {
    /// Answers a request about policy.
    pub(crate) fn answer(&self, request: PolicyRequest, author: &str) -> Answer {
        match request {
            PolicyRequest::List { limit } => self.list(limit),
            PolicyRequest::Show(number) => self.show(number).map(PolicyAnswer::Text),
            PolicyRequest::Diff { from, to, limit } => {
                let (from, to) = (self.state_of(from)?, self.state_of(to)?);
                self.difference(&from, &to, evidence::unused(self, &from, &to)?, limit)
                    .map(PolicyAnswer::Diff)
            }
            PolicyRequest::Propose(proposal) => self.propose(&proposal, author),
            PolicyRequest::Step { number, step, body } => {
                self.step(VersionNumber(number), step, body, author)
            }
            PolicyRequest::Confirm => self.change(Change::Confirm { author: author.to_owned() }),
            PolicyRequest::RollBack(body) => self.roll_back(body, author),
            PolicyRequest::Allow(allow) => self.allow(&allow, author),
            PolicyRequest::Island(zone, switch) => self.island(&zone, &switch, author),
            PolicyRequest::Assert(draft) => {
                let state = self.draft(&draft)?;
                Ok(PolicyAnswer::Assertions(proof::assertions(&state, &self.settings())?))
            }
            PolicyRequest::Test(draft, limit) => {
                let (now, then) = (self.state_of(None)?, self.draft(&draft)?);
                evidence::test(self, &now, &then, limit).map(PolicyAnswer::Test)
            }
            PolicyRequest::Tuple(query) => {
                let state = self.state_of(None)?;
                asked::explain(&state, &self.settings(), &query).map(PolicyAnswer::Tuple)
            }
            PolicyRequest::IsItMe(device) => self.is_it_me(&device),
            PolicyRequest::StartShadow(draft) => self.start_shadow(&draft, author),
            PolicyRequest::StopShadow => self.ask(Command::StopShadow).map(PolicyAnswer::Shadow),
            PolicyRequest::Shadow(limit) => {
                self.ask(|reply| Command::Shadow(limit, reply)).map(PolicyAnswer::Shadow)
            }
            PolicyRequest::Devices(query) => self.devices(&query),
            PolicyRequest::Device(name) => self.device(&name),
            PolicyRequest::ChangeDevices(changes) => self.change_devices(changes, author),
        }
    }

    fn change(&self, change: Change) -> Answer {
        self.ask(|reply| Command::Change(change, reply)).map(PolicyAnswer::Changed)
    }

    /// What is in force, or a stored version.
    fn state_of(&self, number: Option<u64>) -> Result<State, BackendError> {
        let Some(number) = number.map(VersionNumber) else { return self.ask(Command::Snapshot) };
        let version = self.stored(number)?;
        self.read_version(&version)
    }

    fn stored(&self, number: VersionNumber) -> Result<Version, BackendError> {
        self.store.with(move |store| store.version(number)).map_err(store_error)
    }

    fn read_version(&self, version: &Version) -> Result<State, BackendError> {
        State::of(version, &self.settings())
            .map_err(|error| BackendError::Store { reason: error.to_string() })
    }

    /// A stored version, a text as it would be over what is in force, or what is in force.
    fn draft(&self, draft: &Draft) -> Result<State, BackendError> {
        let Some(text) = &draft.text else { return self.state_of(draft.version) };
        let base = self.state_of(None)?;
        let document = Document::read(text, &draft.place).map_err(|errors| mistakes(&errors))?;
        let policy = document.expand(&base.policy, now_ns()).map_err(|errors| mistakes(&errors))?;
        let number = VersionNumber(0);
        Ok(State { number, policy: Arc::new(policy), document: Arc::new(document), ..base })
    }

    fn list(&self, limit: u32) -> Answer {
        let versions = self.store.with(|store| store.versions()).map_err(store_error)?;
        let newest_first = versions.iter().rev().map(version_line);
        Ok(PolicyAnswer::Versions(Listing::take(newest_first, limit)))
    }

    fn summary(&self, number: VersionNumber) -> Result<PolicyVersion, BackendError> {
        let versions = self.store.with(|store| store.versions()).map_err(store_error)?;
        let found = versions.iter().find(|version| version.number == number);
        found.map(version_line).ok_or_else(|| store_error(StoreError::NoVersion { number }))
    }

    fn show(&self, number: Option<u64>) -> Result<PolicyText, BackendError> {
        let number = match number {
            Some(number) => VersionNumber(number),
            None => self.ask(Command::Snapshot)?.number,
        };
        let version = self.stored(number)?;
        let entries =
            self.store.with(move |store| store.audit(Some(number))).map_err(store_error)?;
        let modes = version.content.modes.iter().filter_map(|mode| {
            Some((mode.segment.clone(), loadlock_api::Mode::from_name(&mode.mode)?))
        });
        Ok(PolicyText {
            version: self.summary(number)?,
            modes: modes.collect(),
            source: version.content.source,
            rules: version.content.rules,
            audit: entries.into_iter().map(audit::audit_line).collect(),
        })
    }

    fn difference(
        &self,
        from: &State,
        to: &State,
        unused: Vec<RuleChange>,
        limit: u32,
    ) -> Result<PolicyDiff, BackendError> {
        let difference = from.policy.difference(&to.policy);
        let pair = |(rule, other): &(&Rule, Option<&Rule>)| {
            change_line(rule, other.map(|other| format!("rule {}: {}", other.id(), other.words())))
        };
        let settings = self.settings();
        let modes = settings.segments.iter().zip(from.modes.iter().zip(&to.modes));
        let modes = modes.filter(|(_, (from, to))| from != to).map(|(segment, (from, to))| {
            format!("segment {}: {} to {}", segment.name, from.name(), to.name())
        });
        Ok(PolicyDiff {
            from: from.number.0,
            to: to.number.0,
            added: Listing::take(
                difference.added.iter().map(|rule| change_line(rule, None)),
                limit,
            ),
            removed: Listing::take(
                difference.removed.iter().map(|rule| change_line(rule, None)),
                limit,
            ),
            widened: Listing::take(difference.widened.iter().map(pair), limit),
            narrowed: Listing::take(difference.narrowed.iter().map(pair), limit),
            shadowed: Listing::take(
                difference.shadowed.iter().map(|(rule, by)| pair(&(rule, Some(by)))),
                limit,
            ),
            unused: Listing::take(unused, limit),
            modes: modes.chain(device_modes(&from.document, &to.document)).collect(),
        })
    }

    fn propose(&self, proposed: &Proposal, author: &str) -> Answer {
        required(&proposed.reason, "the reason", REASON_EXAMPLE)?;
        let draft = Draft {
            version: None,
            text: Some(proposed.text.clone()),
            place: proposed.place.clone(),
        };
        let base = self.state_of(None)?;
        let state = self.draft(&draft)?;
        self.submit(&base, &state, author, &proposed.reason, &proposed.ticket)
            .map(PolicyAnswer::Proposed)
    }

    /// Stores a proposal, if this machine could enforce it.
    fn submit(
        &self,
        base: &State,
        state: &State,
        author: &str,
        reason: &str,
        ticket: &str,
    ) -> Result<Proposed, BackendError> {
        self.refuse_unknown_segments(&state.policy)?;
        state.compile(&self.settings()).map_err(|reason| {
            conflict(reason, "make the policy smaller, or raise the limit that is named")
        })?;
        let failing = proof::failing(state, &self.settings())?;
        let new = proposal(state, &self.settings(), author, reason, ticket);
        let number = self.store.with(move |store| store.propose(&new)).map_err(store_error)?;
        let state = State { number, ..state.clone() };
        *self.proposed.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
        let diff = self.difference(base, &state, Vec::new(), loadlock_api::LIMIT_DEFAULT)?;
        Ok(Proposed { version: self.summary(number)?, diff, failing })
    }

    fn refuse_unknown_segments(&self, policy: &Policy) -> Result<(), BackendError> {
        let known: Vec<String> =
            self.settings().segments.iter().map(|segment| segment.name.to_string()).collect();
        let mut unknown: BTreeMap<&str, u32> = BTreeMap::new();
        for rule in policy.rules() {
            let segment = &*rule.parts().segment;
            if !known.iter().any(|known| known == segment) {
                unknown.entry(segment).or_insert(rule.id().number());
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let lines = unknown.into_iter().map(|(segment, rule)| {
            format!(
                "segment \"{segment}\" of rule {rule} isn't configured; configured are {}",
                known.join(", ")
            )
        });
        Err(BackendError::InvalidPolicy { mistakes: lines.collect::<Vec<_>>().join("\n") })
    }

    fn step(&self, number: VersionNumber, step: Step, body: StepBody, author: &str) -> Answer {
        let (note, actor) = (body.note.clone(), author.to_owned());
        match step {
            Step::Approve => {
                self.refuse_own(number, author)?;
                self.store
                    .with(move |store| store.approve(number, now_ns(), &actor, &note))
                    .map_err(store_error)?;
            }
            Step::Reject => {
                required(&body.note, "the reason", REASON_EXAMPLE)?;
                self.store
                    .with(move |store| store.reject(number, now_ns(), &actor, &note))
                    .map_err(store_error)?;
            }
            Step::Apply => return self.apply(number, &body, author),
        }
        self.summary(number).map(PolicyAnswer::Version)
    }

    fn refuse_own(&self, number: VersionNumber, author: &str) -> Result<(), BackendError> {
        if !self.settings().control.another_approver || self.summary(number)?.author != author {
            return Ok(());
        }
        Err(conflict(
            format!(
                "policy version {number} was proposed by {author}, and `control.approver` wants another person"
            ),
            "have somebody else run `loadlock policy approve`",
        ))
    }

    fn apply(&self, number: VersionNumber, body: &StepBody, author: &str) -> Answer {
        let confirm_within = match body.confirm_within_s {
            Some(found) if !(1..=CONFIRM_WITHIN_S_MAX).contains(&found) => {
                return Err(conflict(
                    format!("confirm_within_s is {found}, allowed are 1 to {CONFIRM_WITHIN_S_MAX}"),
                    "give a time such as 10m",
                ));
            }
            within => within.map(|seconds| Duration::from_secs(seconds.into())),
        };
        let state = self.store.with(move |store| store.state(number)).map_err(store_error)?;
        if state != VersionState::Approved {
            // One that doesn't exist is refused as that.
            self.summary(number)?;
            let from: &'static [VersionState] = &[VersionState::Approved];
            let action = loadlock_store::Action::Applied;
            return Err(store_error(StoreError::WrongState { number, state, action, from }));
        }
        // The store compares the version's hash once more before it puts it in force.
        let proposed = self.proposed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let state = match proposed.filter(|proposed| proposed.number == number) {
            Some(proposed) => proposed,
            None => self.read_version(&self.stored(number)?)?,
        };
        let failing = proof::failing(&state, &self.settings())?;
        if !failing.is_empty() {
            return Err(conflict(
                format!(
                    "policy version {number} breaks what must hold:\n  {}",
                    failing.join("\n  ")
                ),
                "correct the rules, or the assertion, and propose it again",
            ));
        }
        let (author, note) = (author.to_owned(), body.note.clone());
        self.change(Change::Apply { state, author, note, confirm_within })
    }

    fn roll_back(&self, body: RollBack, author: &str) -> Answer {
        required(&body.reason, "the reason", REASON_EXAMPLE)?;
        let to = match body.to.map(VersionNumber) {
            Some(to) => to,
            None => self
                .store
                .with(|store| store.before_last_person())
                .map_err(store_error)?
                .ok_or_else(|| {
                    conflict(
                        "nobody has changed the policy yet, so there is nothing to go back to"
                            .to_owned(),
                        "name a version: `loadlock policy list` has them",
                    )
                })?,
        };
        let version = self.stored(to)?;
        let stands = self.store.with(move |store| store.state(to)).map_err(store_error)?;
        if !matches!(stands, VersionState::Superseded | VersionState::InForce) {
            return Err(conflict(
                format!(
                    "policy version {to} is {stands} and was never in force, so there is no way back to it"
                ),
                "take one that was: `loadlock policy list`",
            ));
        }
        let state = self.read_version(&version)?;
        let reason = format!("back to version {to}: {}", body.reason);
        self.change(Change::RollBack { state, author: author.to_owned(), reason })
    }

    fn start_shadow(&self, draft: &Draft, author: &str) -> Answer {
        let state = self.draft(draft)?;
        self.refuse_unknown_segments(&state.policy)?;
        let name = match (draft.version, draft.place.as_str()) {
            (Some(version), _) => format!("version {version}"),
            (None, "") => format!("version {}", state.number),
            (None, place) => place.chars().filter(|c| !c.is_control()).take(200).collect(),
        };
        let shadow = Shadow::new(&state, &self.settings(), name, author.to_owned(), now_ns());
        let shadow = shadow.map_err(|reason| {
            conflict(reason, "make the policy smaller, or raise the limit that is named")
        })?;
        let limit = loadlock_api::LIMIT_DEFAULT;
        self.ask(|reply| Command::StartShadow(Box::new(shadow), limit, reply))
            .map(PolicyAnswer::Shadow)
    }

    fn is_it_me(&self, device: &str) -> Answer {
        let (addresses, words) = self.device_called(device)?;
        self.ask(|reply| Command::Denials(addresses, words, reply)).map(PolicyAnswer::IsItMe)
    }
}

/// Devices whose own mode changes, in words.
fn device_modes(from: &Document, to: &Document) -> Vec<String> {
    let own = |document: &Document| -> BTreeMap<String, Mode> {
        let devices = document.devices().iter();
        devices.filter_map(|device| Some((device.name.to_string(), device.mode?))).collect()
    };
    let (from, to) = (own(from), own(to));
    let names: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let word = |mode: Option<&Mode>| mode.map_or("its segment's", |mode| mode.name());
    let changed = names.into_iter().filter(|name| from.get(*name) != to.get(*name));
    changed
        .map(|name| format!("device {name}: {} to {}", word(from.get(name)), word(to.get(name))))
        .collect()
}
