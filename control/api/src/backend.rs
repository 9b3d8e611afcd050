//! What the server asks control for.

use std::fmt;

use tokio::sync::broadcast;

use crate::account::{AccountAnswer, AccountRequest, Actor, LOCK_S, LOGIN_FAILURES_MAX};
use crate::audit::{AuditCheck, AuditLog, AuditQuery};
use crate::binding::{Binding, BindingRenewal, BindingRenewed};
use crate::bypass::{BypassBody, BypassChanged};
use crate::capture::{Capture, CaptureBody, CapturePage, CaptureQuery};
use crate::event::Notice;
use crate::explanation::{Explanation, ExplanationQuery};
use crate::learning::{LearningAnswer, LearningRequest};
use crate::listing::{FlowQuery, Listing, RuleQuery};
use crate::policy::{Mode, ModeChanged, Rule};
use crate::reload::{ReloadBody, Reloaded};
use crate::role::Role;
use crate::status::Status;
use crate::traffic::{DropCount, Flow};
use crate::versions::{PolicyAnswer, PolicyRequest};

/// Control as the server sees it.
///
/// The server calls every method but [`Backend::subscribe`] on a thread where waiting is allowed, several at once, and gives
/// up on one after ten seconds without stopping it: a method must end by itself, in error if the core doesn't answer.
pub trait Backend: Send + Sync + 'static {
    /// The state of everything, alarms included ([`Status::find_alarms`]).
    ///
    /// # Errors
    /// [`BackendError::Unavailable`].
    fn status(&self) -> Result<Status, BackendError>;

    /// Sets a segment's mode; returns when it is durable and published. `author` is the user who asks, by name or as
    /// `uid 1000`, free of hidden characters.
    ///
    /// # Errors
    /// [`BackendError`]; the mode before stays.
    fn set_mode(
        &self,
        segment: &str,
        mode: Mode,
        author: &str,
    ) -> Result<ModeChanged, BackendError>;

    /// Puts a segment into bypass or takes it out; returns when it is durable, and done by a dataplane that runs. `author` as for
    /// [`Backend::set_mode`].
    ///
    /// # Errors
    /// [`BackendError`]; what held before still does.
    fn set_bypass(
        &self,
        segment: &str,
        change: &BypassBody,
        author: &str,
    ) -> Result<BypassChanged, BackendError>;

    /// Rules of the policy in force, in the order of their numbers.
    ///
    /// # Errors
    /// [`BackendError::UnknownSegment`], [`BackendError::Unavailable`].
    fn rules(&self, query: &RuleQuery) -> Result<Listing<Rule>, BackendError>;

    /// Bindings of the policy in force, in the order of segments, VLANs and addresses.
    ///
    /// # Errors
    /// [`BackendError::UnknownSegment`], [`BackendError::Unavailable`].
    fn bindings(&self, query: &RuleQuery) -> Result<Listing<Binding>, BackendError>;

    /// Gives an address to another station; returns when it is durable and published. `author` as for [`Backend::set_mode`].
    ///
    /// # Errors
    /// [`BackendError`]; the binding before stays.
    fn renew_binding(
        &self,
        segment: &str,
        renewal: &BindingRenewal,
        author: &str,
    ) -> Result<BindingRenewed, BackendError>;

    /// Decisions of learning that fit the query, in the order of their subjects.
    ///
    /// # Errors
    /// [`BackendError::Conflict`] if there is nothing to explain, [`BackendError::Unavailable`].
    fn explain(&self, query: &ExplanationQuery) -> Result<Listing<Explanation>, BackendError>;

    /// Live conversations, newest first.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`].
    fn flows(&self, query: &FlowQuery) -> Result<Listing<Flow>, BackendError>;

    /// Drop counters above zero, by segment, port and reason. Bounded by ports × reasons, so always whole.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`].
    fn drops(&self) -> Result<Vec<DropCount>, BackendError>;

    /// Has the dataplane capture frames of a device; returns when that is recorded and every worker does it. `author` as for
    /// [`Backend::set_mode`].
    ///
    /// # Errors
    /// [`BackendError::Conflict`] while another capture goes on, no dataplane runs, or for what is neither device nor address;
    /// [`BackendError`].
    fn start_capture(&self, body: &CaptureBody, author: &str) -> Result<Capture, BackendError>;

    /// What a capture has brought.
    ///
    /// # Errors
    /// [`BackendError::Conflict`] if it is forgotten, [`BackendError::Unavailable`].
    fn captured(&self, query: CaptureQuery) -> Result<CapturePage, BackendError>;

    /// Ends a capture; one that has ended stays so.
    ///
    /// # Errors
    /// As [`Backend::captured`].
    fn stop_capture(&self, id: u64) -> Result<Capture, BackendError>;

    /// Takes over what may change in the configuration file while control runs; all of it, or nothing if the file has a mistake.
    /// `author` as for [`Backend::set_mode`].
    ///
    /// # Errors
    /// [`BackendError::InvalidSettings`], [`BackendError::Store`], [`BackendError::Unavailable`].
    fn reload(&self, body: &ReloadBody, author: &str) -> Result<Reloaded, BackendError>;

    /// Everything about policy versions. `author` is the user who asks; empty for what changes nothing.
    ///
    /// # Errors
    /// [`BackendError`]; what was in force still is.
    fn policy(&self, request: PolicyRequest, author: &str) -> Result<PolicyAnswer, BackendError>;
    /// Questions of learning and their answers, readiness, windows. `author` is the user who asks; empty for what changes nothing.
    ///
    /// # Errors
    /// [`BackendError`]; what was in force still is.
    fn learning(
        &self,
        request: LearningRequest,
        author: &str,
    ) -> Result<LearningAnswer, BackendError>;

    /// Whose secret this is: a token's or a session's. `None`: nobody's, or of somebody who may not use it any more; nobody learns
    /// which. Called on the server's own thread: must not wait.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`].
    fn authenticate(&self, secret: &str) -> Result<Option<Identity>, BackendError>;

    /// Everything about users, tokens and sessions. `actor` is who asks.
    ///
    /// # Errors
    /// [`BackendError`]; nothing was changed.
    fn account(
        &self,
        request: AccountRequest,
        actor: &Actor,
    ) -> Result<AccountAnswer, BackendError>;

    /// Entries of the audit log, newest first.
    ///
    /// # Errors
    /// [`BackendError::Invalid`] for an unknown action, [`BackendError::Store`].
    fn audit(&self, query: &AuditQuery) -> Result<AuditLog, BackendError>;

    /// Checks every entry of the audit log and their chain. Reads all of it: some µs an entry.
    ///
    /// # Errors
    /// [`BackendError::Store`].
    fn check_audit(&self) -> Result<AuditCheck, BackendError>;

    /// Events from now on, and how many of them weren't put into words. Called once, when serving starts, on the server's thread: must not wait. Events that the server is too slow
    /// for are told to clients as lost.
    fn subscribe(&self) -> broadcast::Receiver<Notice>;
}

/// Who a secret belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// What the secret allows: the user's role, or the lower one of a token.
    pub role: Role,
}

/// Why control didn't do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendError {
    /// The configuration has no such segment.
    UnknownSegment {
        /// The name asked for.
        found: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The state doesn't allow it now.
    Conflict {
        /// What stands in the way, with the value found.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The caller's secret is no longer good.
    Unauthenticated,
    /// User or password is wrong, or the user may not log in now; nobody learns which.
    WrongLogin,
    /// The caller's role is too low for just this.
    Forbidden {
        /// What is too high.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// A field of the request isn't allowed.
    Invalid {
        /// Which, with what is allowed.
        reason: String,
        /// What to do.
        next_step: String,
    },
    /// The configuration file has mistakes.
    InvalidSettings {
        /// All of them, each with place, value, what is allowed.
        mistakes: String,
    },
    /// A policy text has mistakes.
    InvalidPolicy {
        /// All of them, one a line, each with place, value, what is allowed.
        mistakes: String,
    },
    /// The core thread doesn't answer: starting, stopping or hung.
    Unavailable {
        /// What is the matter.
        reason: String,
    },
    /// The store failed; the change isn't in force.
    Store {
        /// File, operation and cause.
        reason: String,
    },
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSegment { found, known } => {
                write!(
                    f,
                    "there is no segment \"{found}\"; the configuration has {}",
                    known.join(", ")
                )
            }
            Self::InvalidSettings { mistakes } | Self::InvalidPolicy { mistakes } => {
                f.write_str(mistakes)
            }
            Self::Conflict { reason, .. }
            | Self::Forbidden { reason, .. }
            | Self::Invalid { reason, .. } => f.write_str(reason),
            Self::Unauthenticated => f.write_str("the token or session is no longer good"),
            Self::WrongLogin => write!(
                f,
                "user or password is wrong, or {LOGIN_FAILURES_MAX} log-ins have failed within {} min, after which all fail for as long",
                LOCK_S / 60
            ),
            Self::Unavailable { reason } => write!(f, "control's core doesn't answer: {reason}"),
            Self::Store { reason } => write!(f, "the store failed, nothing was changed: {reason}"),
        }
    }
}

impl std::error::Error for BackendError {}
