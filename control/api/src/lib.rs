//! What control and its clients say to each other: one vocabulary, a server, a client.
//!
//! ```text
//!   loadlock status ──► Client ──── HTTP/1.1 + JSON ────► serve ──► Backend
//!   a program, curl ──────────────── Unix socket ───────►   │         (control's core thread behind it)
//!   loadlock observe ◄── EventStream ◄── SSE ◄── History ◄──┴── Backend::subscribe
//! ```
//!
//! * Types: [`Status`], [`Rule`], [`Flow`], [`DropCount`], [`EventLine`], [`ModeChanged`], [`Binding`], and [`ErrorBody`] for what went wrong.
//!   Field names are stable within [`API_VERSION`]; units stand at their ends. A field may be added, so clients ignore
//!   fields that they don't know.
//! * [`serve`] answers requests through a [`Backend`]; nothing here knows the exchange or the store.
//! * [`Client`] is blocking, for the command line.
//! * Everything has a limit: [`LIMIT_MAX`], [`BODY_BYTES_MAX`], [`CONNECTIONS_MAX`], [`STREAMS_MAX`], [`HISTORY_EVENTS`].
//!
//! This crate isn't the place for authorisation beyond the socket's mode (0660), nor for anything per packet.
//!
//! Tested by a fake backend behind a real socket (`tests/`): every endpoint, every error, both ends of the event stream.

#![forbid(unsafe_code)]

mod account;
mod address;
mod alarm;
mod audit;
mod backend;
mod binding;
mod bypass;
mod capture;
mod client;
mod device;
mod error;
mod event;
mod event_filter;
mod explanation;
mod kept;
mod learning;
mod listing;
mod policy;
mod reload;
mod role;
mod server;
mod shadow;
mod sink;
mod status;
mod text;
mod time;
mod traffic;
mod user;
mod versions;

pub use account::{
    AccountAnswer, AccountRequest, Actor, Credential, CredentialKind, Done, Issued, LOCK_S,
    LOGIN_FAILURES_MAX, Login, NewToken, NewUser, PASSWORD_BYTES, PasswordChange, SESSION_S,
    TOKEN_S_MAX, User, UserChange,
};
pub use address::{AddressFilter, AddressFilterError};
pub use audit::{AuditCheck, AuditLine, AuditLog, AuditQuery};
pub use backend::{Backend, BackendError, Identity};
pub use binding::{Binding, BindingRenewal, BindingRenewed};
pub use bypass::{BYPASS_S_MAX, Bypass, BypassBody, BypassChanged};
pub use capture::{
    CAPTURE_FRAMES_MAX, CAPTURE_S_MAX, CAPTURE_UNASKED_S, Capture, CaptureBody, CapturePage,
    CaptureQuery, CapturedFrame,
};
pub use client::{Client, ClientError, EventStream, TLS_PORT_DEFAULT};
pub use device::{DEVICES_CHANGED_MAX, Device, DeviceChange, DeviceChanges, DeviceQuery};
pub use error::{ErrorBody, ErrorCode};
pub use event::{EventKind, EventLine, Lost, LostTag, Notice, StreamItem};
pub use event_filter::EventFilter;
pub use explanation::{Explanation, ExplanationKind, ExplanationQuery};
pub use kept::KeptStatus;
pub use learning::{
    AnswerBody, Answered, DeviceReadiness, GivenAnswer, LearningAnswer, LearningRequest, Question,
    QuestionKind, REASON_BYTES_MAX, ReadinessReport, WINDOW_S_MAX, Window, WindowBody,
};
pub use listing::{FlowQuery, LIMIT_DEFAULT, LIMIT_MAX, Listing, RuleQuery};
pub use policy::{Mode, ModeChange, ModeChanged, Opens, Rule};
pub use reload::{KeyChange, ReloadBody, Reloaded};
pub use role::Role;
pub use server::{
    BODY_BYTES_MAX, CONNECTIONS_MAX, Certificate, HISTORY_EVENTS, LiveOptions, STREAMS_MAX,
    ServeError, ServeOptions, TlsError, TlsOptions, openapi, serve, serve_changing,
};
pub use shadow::{ShadowRow, ShadowStatus};
pub use sink::SinkStatus;
pub use status::{
    ControlState, ControlStatus, DataplaneState, DataplaneStatus, Handling, MemoryStatus,
    PortStatus, SegmentStatus, Status, WorkerStatus,
};
pub use text::{printable, thousands, to_json};
pub use time::Time;
pub use traffic::{DropCount, Flow, FlowState, Side, Verdict};
pub use user::local_user;
pub use versions::{
    ALLOW_FOR_S_MAX, Allow, AssertionResult, CONFIRM_WITHIN_S_MAX, Denial, Draft, IsItMe,
    IslandSwitch, POLICY_BYTES_MAX, PolicyAnswer, PolicyChanged, PolicyDiff, PolicyRequest,
    PolicyText, PolicyVersion, Proposal, Proposed, RollBack, RuleChange, Step, StepBody,
    TestResult, TupleAnswer, TupleQuery, VerdictChange,
};

/// Version of the API: the first part of every path, and the value of the header [`API_VERSION_HEADER`].
pub const API_VERSION: u32 = 1;

/// Response header with the server's API version, by which a client knows that it talks to Loadlock at all.
pub const API_VERSION_HEADER: &str = "loadlock-api-version";

/// Where control listens unless its configuration says otherwise.
pub const SOCKET_DEFAULT: &str = "/run/loadlock/control.sock";
