//! Every endpoint: path, least role, what it takes and gives. Routes, authorisation, query checks, the list that refusals name and
//! the OpenAPI document are made from this one list.
//!
//! **To add one**: write its handler beside the others, a line here, and renew `control/api/openapi.json`
//! (`loadlock openapi > control/api/openapi.json`); a test compares the two, another asks each endpoint as each role.

use super::endpoint::{Endpoint, Least, Parameter, delete, get, post, put};
use super::{BODY_BYTES_MAX, accounts, audit, captures, learning, policy, routes};
use crate::account::{
    Credential, Done, Issued, Login, NewToken, NewUser, PasswordChange, User, UserChange,
};
use crate::audit::{AuditCheck, AuditLog};
use crate::binding::{Binding, BindingRenewal, BindingRenewed};
use crate::bypass::{BypassBody, BypassChanged};
use crate::capture::{Capture, CaptureBody, CapturePage};
use crate::device::{Device, DeviceChanges};
use crate::event::{EventLine, StreamItem};
use crate::explanation::Explanation;
use crate::learning::{
    AnswerBody, Answered, GivenAnswer, Question, ReadinessReport, Window, WindowBody,
};
use crate::policy::{ModeChange, ModeChanged, Rule};
use crate::reload::{ReloadBody, Reloaded};
use crate::role::Role::{Admin, Approver, Operator, Viewer};
use crate::shadow::ShadowStatus;
use crate::status::Status;
use crate::traffic::{DropCount, Flow};
use crate::versions::{
    Allow, AssertionResult, Draft, IsItMe, IslandSwitch, POLICY_BYTES_MAX, PolicyChanged,
    PolicyDiff, PolicyText, PolicyVersion, Proposal, Proposed, RollBack, StepBody, TestResult,
    TupleAnswer,
};

const LIMIT: Parameter = ("limit", "most items, 1 to 100000; 1000 if absent");
const SEGMENT: Parameter = ("segment", "only this segment's");
/// What both ways to events take.
const EVENTS: [Parameter; 5] = [
    ("kind", "only events of these kinds, divided by commas, or given again"),
    ("segment", "only this segment's; may be given again"),
    ("address", "only conversations with this IP or MAC address"),
    ("reason", "only denials for these reasons, divided by commas, or given again"),
    ("verdict", "only events with these verdicts, divided by commas, or given again"),
];
const RECENT: [Parameter; 6] = [EVENTS[0], EVENTS[1], EVENTS[2], EVENTS[3], EVENTS[4], LIMIT];
/// JSON escapes make a text longer.
const POLICY_BODY_BYTES_MAX: usize = POLICY_BYTES_MAX * 2;
const _: () = assert!(POLICY_BODY_BYTES_MAX > BODY_BYTES_MAX);

/// Every endpoint, in the order in which they are listed to people.
pub(super) fn all() -> Vec<Endpoint> {
    let mut all = vec![
        get("/v1/openapi.json", Viewer, "This description", routes::openapi).answers_object(),
        get("/v1/status", Viewer, "The state of everything, alarms included", routes::status)
            .answers::<Status>(),
        put("/v1/segments/{segment}/mode", Approver, "Set a segment's mode", routes::set_mode)
            .takes::<ModeChange>()
            .answers::<ModeChanged>(),
        put(
            "/v1/segments/{segment}/bypass",
            Approver,
            "Forward everything of a segment, unjudged, or end that",
            routes::set_bypass,
        )
        .takes::<BypassBody>()
        .answers::<BypassChanged>(),
        put(
            "/v1/segments/{segment}/bindings",
            Approver,
            "Give an address to another station",
            routes::renew_binding,
        )
        .takes::<BindingRenewal>()
        .answers::<BindingRenewed>(),
        get("/v1/rules", Viewer, "The rules in force", routes::rules)
            .query(&[SEGMENT, LIMIT])
            .lists::<Rule>(),
        get("/v1/bindings", Viewer, "Which station has which address", routes::bindings)
            .query(&[SEGMENT, LIMIT])
            .lists::<Binding>(),
        get("/v1/explanations", Viewer, "Why learning decided so", routes::explanations)
            .query(&[
                ("about", "rule, candidate or conviction; required"),
                ("subject", "the rule's number, words of the candidate, or an address"),
                LIMIT,
            ])
            .lists::<Explanation>(),
        get("/v1/flows", Viewer, "Live conversations, newest first", routes::flows)
            .query(&[("address", "only conversations with this IP or MAC address"), LIMIT])
            .lists::<Flow>(),
        get("/v1/drops", Viewer, "Dropped packets by segment, port and reason", routes::drops)
            .answers_each::<DropCount>(),
        get(
            "/v1/events",
            Viewer,
            "Every event from now on, or from behind Last-Event-ID",
            routes::events,
        )
        .query(&EVENTS)
        .streams::<StreamItem>(),
        get("/v1/events/recent", Viewer, "The newest events, oldest first", routes::recent)
            .query(&RECENT)
            .lists::<EventLine>(),
    ];
    all.push(
        post("/v1/reload", Admin, "Take over the changed configuration file", routes::reload)
            .takes::<ReloadBody>()
            .answers::<Reloaded>(),
    );
    all.extend(of_captures());
    all.extend(of_policy());
    all.extend(of_learning());
    all.extend(of_accounts());
    all
}

fn of_captures() -> Vec<Endpoint> {
    vec![
        post("/v1/captures", Operator, "Capture frames of a device", captures::start)
            .takes::<CaptureBody>()
            .answers::<Capture>(),
        get(
            "/v1/captures/{id}/frames",
            Operator,
            "The frames of a capture that have come since",
            captures::frames,
        )
        .query(&[("after", "number of the last frame that you have; 0 if absent"), LIMIT])
        .answers::<CapturePage>(),
        delete("/v1/captures/{id}", Operator, "End a capture", captures::stop).answers::<Capture>(),
    ]
}

fn of_policy() -> Vec<Endpoint> {
    vec![
        get("/v1/policy/versions", Viewer, "Policy versions, newest first", policy::list)
            .query(&[LIMIT])
            .lists::<PolicyVersion>(),
        post("/v1/policy/versions", Operator, "Propose a version", policy::propose)
            .up_to(POLICY_BODY_BYTES_MAX)
            .takes::<Proposal>()
            .answers::<Proposed>(),
        get(
            "/v1/policy/versions/{number}",
            Viewer,
            "A version with its text and what was done to it; in-force is one too",
            policy::show,
        )
        .answers::<PolicyText>(),
        post(
            "/v1/policy/versions/{number}/approve",
            Approver,
            "Approve a proposal",
            policy::approve,
        )
        .takes::<StepBody>()
        .answers::<PolicyVersion>(),
        post("/v1/policy/versions/{number}/reject", Approver, "Reject a proposal", policy::reject)
            .takes::<StepBody>()
            .answers::<PolicyVersion>(),
        post(
            "/v1/policy/versions/{number}/apply",
            Operator,
            "Put an approved version in force",
            policy::apply,
        )
        .takes::<StepBody>()
        .answers::<PolicyChanged>(),
        get("/v1/policy/diff", Viewer, "What changes from one version to another", policy::diff)
            .query(&[
                ("from", "a version's number; the one in force if absent"),
                ("to", "a version's number; the one in force if absent"),
                LIMIT,
            ])
            .answers::<PolicyDiff>(),
        post("/v1/policy/confirmation", Operator, "Keep the version in force", policy::confirm)
            .answers::<PolicyChanged>(),
        post(
            "/v1/policy/rollback",
            Operator,
            "Put an older version in force again",
            policy::roll_back,
        )
        .takes::<RollBack>()
        .answers::<PolicyChanged>(),
        post("/v1/policy/permits", Approver, "Permit something for a time", policy::allow)
            .takes::<Allow>()
            .answers::<PolicyChanged>(),
        put(
            "/v1/policy/zones/{zone}/island",
            Operator,
            "Cut a zone off, or let it back",
            policy::island,
        )
        .takes::<IslandSwitch>()
        .answers::<PolicyChanged>(),
        post(
            "/v1/policy/assertions",
            Viewer,
            "What must hold, checked on a draft",
            policy::assertions,
        )
        .up_to(POLICY_BODY_BYTES_MAX)
        .takes::<Draft>()
        .answers_each::<AssertionResult>(),
        post("/v1/policy/test", Viewer, "A draft against what was seen", policy::test)
            .up_to(POLICY_BODY_BYTES_MAX)
            .query(&[LIMIT])
            .takes::<Draft>()
            .answers::<TestResult>(),
        get(
            "/v1/policy/verdict",
            Viewer,
            "Why a conversation is permitted or not",
            policy::verdict,
        )
        .query(&[
            ("client", "the client's address"),
            ("server", "the server's address"),
            ("service", "what they talk, such as tcp/5000"),
            ("segment", "where; every segment if absent"),
            ("vlan", "untagged, 10 or 10.20; untagged if absent"),
        ])
        .answers_each::<TupleAnswer>(),
        put(
            "/v1/policy/shadow",
            Operator,
            "Let a draft judge live traffic beside the policy in force; it forwards and drops nothing",
            policy::start_shadow,
        )
        .up_to(POLICY_BODY_BYTES_MAX)
        .takes::<Draft>()
        .answers::<ShadowStatus>(),
        get("/v1/policy/shadow", Viewer, "How the draft does", policy::shadow)
            .query(&[LIMIT])
            .answers::<ShadowStatus>(),
        delete("/v1/policy/shadow", Operator, "End it, with its last figures", policy::stop_shadow)
            .answers::<ShadowStatus>(),
        get("/v1/devices", Viewer, "Devices of the policy in force", policy::devices)
            .query(&[
                SEGMENT,
                ("role", "only devices of this role"),
                ("zone", "only devices of this zone"),
                LIMIT,
            ])
            .lists::<Device>(),
        post(
            "/v1/devices",
            Approver,
            "Change what is said of devices, their modes among it; all as one version, or nothing",
            policy::change_devices,
        )
        .up_to(POLICY_BODY_BYTES_MAX)
        .takes::<DeviceChanges>()
        .answers::<PolicyChanged>(),
        get("/v1/devices/{device}", Viewer, "A device by name or address", policy::device)
            .answers::<Device>(),
        get("/v1/devices/{device}/denials", Viewer, "Has Loadlock blocked it", policy::denials)
            .answers::<IsItMe>(),
    ]
}

fn of_learning() -> Vec<Endpoint> {
    vec![
        get(
            "/v1/questions",
            Viewer,
            "What learning asks, the most urgent first",
            learning::questions,
        )
        .query(&[LIMIT])
        .lists::<Question>(),
        post("/v1/questions/{id}", Approver, "Answer a question", learning::answer)
            .takes::<AnswerBody>()
            .answers::<Answered>(),
        get("/v1/answers", Viewer, "Given answers, the latest first", learning::answers)
            .query(&[LIMIT])
            .lists::<GivenAnswer>(),
        get("/v1/readiness", Viewer, "What enforcing would cost", learning::readiness)
            .query(&[SEGMENT, LIMIT])
            .answers::<ReadinessReport>(),
        get("/v1/windows", Viewer, "Maintenance windows, the latest first", learning::windows)
            .query(&[LIMIT])
            .lists::<Window>(),
        post("/v1/windows", Approver, "Open a maintenance window", learning::open_window)
            .takes::<WindowBody>()
            .answers::<Window>(),
        put(
            "/v1/windows/{number}/closing",
            Operator,
            "Close a window before its time",
            learning::close_window,
        )
        .answers::<Window>(),
    ]
}

fn of_accounts() -> Vec<Endpoint> {
    vec![
        get("/v1/audit", Viewer, "The audit log, newest first", audit::list)
            .query(&[
                ("actor", "only what this one did"),
                ("action", "only such actions, as applied"),
                ("since", "only from this time on, RFC 3339"),
                ("before", "only entries with a lower number: the next page"),
                LIMIT,
            ])
            .answers::<AuditLog>(),
        get("/v1/audit/check", Viewer, "Whether the audit log is whole", audit::check)
            .answers::<AuditCheck>(),
        post("/v1/login", Least::Anyone, "Open a session", accounts::login)
            .takes::<Login>()
            .answers::<Issued>(),
        post("/v1/logout", Viewer, "End the session that is shown", accounts::logout)
            .answers::<Done>(),
        put("/v1/password", Viewer, "Change one's own password", accounts::change_password)
            .takes::<PasswordChange>()
            .answers::<Done>(),
        get("/v1/users", Admin, "Users, by name", accounts::users).lists::<User>(),
        post("/v1/users", Admin, "Add a user", accounts::add_user)
            .takes::<NewUser>()
            .answers::<User>(),
        put("/v1/users/{name}", Admin, "Change a user", accounts::change_user)
            .takes::<UserChange>()
            .answers::<User>(),
        delete("/v1/users/{name}", Admin, "Remove a user", accounts::remove_user).answers::<Done>(),
        get("/v1/tokens", Viewer, "One's own tokens; for an admin all", accounts::tokens)
            .lists::<Credential>(),
        post("/v1/tokens", Viewer, "Make a token", accounts::issue_token)
            .takes::<NewToken>()
            .answers::<Issued>(),
        delete("/v1/tokens/{id}", Viewer, "Revoke a token", accounts::revoke_token)
            .answers::<Done>(),
        get("/v1/sessions", Viewer, "One's own sessions; for an admin all", accounts::sessions)
            .lists::<Credential>(),
        delete("/v1/sessions/{id}", Viewer, "End a session", accounts::revoke_session)
            .answers::<Done>(),
    ]
}
