//! Fixed answers about policy and devices.

use loadlock_api::*;

use super::NOW_NS;

pub fn policy_version(number: u64, state: &str) -> PolicyVersion {
    PolicyVersion {
        number,
        state: state.to_owned(),
        author: "anna".to_owned(),
        approver: Some("bert".to_owned()),
        reason: "new recipe server".to_owned(),
        ticket: "CHG-7".to_owned(),
        created: Time::from_ns(NOW_NS),
        applied: None,
        previous: Some(number - 1),
        sha256: "ab".repeat(32),
    }
}

fn rule_change(rule: u32) -> RuleChange {
    RuleChange {
        rule,
        segment: "fab".to_owned(),
        words: "10.0.1.7 → 10.0.2.1 tcp/5000".to_owned(),
        other: None,
        reason: "learned".to_owned(),
    }
}

pub fn shadow() -> ShadowStatus {
    let row = |service: &str, then: &str| ShadowRow {
        segment: "fab".to_owned(),
        client: "etch-07 (10.0.1.7)".to_owned(),
        server: "10.0.2.1".to_owned(),
        service: service.to_owned(),
        now: "allow".to_owned(),
        then: then.to_owned(),
        conversations: 1_204,
        last: Time::from_ns(NOW_NS),
    };
    let rows = vec![
        row("tcp/445", "deny: no rule permits this conversation"),
        row("tcp/5000", "allow: rule 7"),
    ];
    ShadowStatus {
        draft: "version 12".to_owned(),
        author: "anna".to_owned(),
        started: Time::from_ns(NOW_NS),
        would_allow: 1_204,
        would_deny: 1_204,
        left_out: 0,
        rows: Listing::take(rows, 10),
    }
}

pub fn device() -> Device {
    Device {
        name: "etch-07".to_owned(),
        addresses: vec!["10.0.1.7".to_owned()],
        segment: Some("fab".to_owned()),
        side: Some("a".to_owned()),
        vlan: None,
        role: Some("etcher".to_owned()),
        zone: None,
        mode: Some(Mode::Quarantine),
        inventory: [("model".to_owned(), "K\u{1b}[2J".to_owned())].into(),
        vendor_by_mac: None,
    }
}

/// A fixed answer of the right kind.
pub fn policy_answer(request: &PolicyRequest) -> PolicyAnswer {
    let none = || Listing::take(Vec::new(), 10);
    let diff = PolicyDiff {
        from: 11,
        to: 12,
        added: none(),
        removed: Listing::take(vec![rule_change(812)], 10),
        widened: none(),
        narrowed: none(),
        shadowed: none(),
        unused: none(),
        modes: Vec::new(),
    };
    match request {
        PolicyRequest::List { limit } => PolicyAnswer::Versions(Listing::take(
            vec![policy_version(12, "proposed"), policy_version(11, "in force")],
            *limit,
        )),
        PolicyRequest::Show(number) => PolicyAnswer::Text(PolicyText {
            version: policy_version(number.unwrap_or(11), "in force"),
            modes: vec![("fab".to_owned(), Mode::Enforce)],
            source: "format = 1\n".to_owned(),
            rules: "format = 1\n".to_owned(),
            audit: Vec::new(),
        }),
        PolicyRequest::Diff { .. } => PolicyAnswer::Diff(diff),
        PolicyRequest::Propose(_) => PolicyAnswer::Proposed(Proposed {
            version: policy_version(12, "proposed"),
            diff,
            failing: Vec::new(),
        }),
        PolicyRequest::Step { step: Step::Approve | Step::Reject, number, .. } => {
            PolicyAnswer::Version(policy_version(*number, "approved"))
        }
        PolicyRequest::Assert(_) => PolicyAnswer::Assertions(vec![AssertionResult {
            name: "no tool reaches a tool on 445".to_owned(),
            holds: false,
            counterexample: Some("etch-07 → etch-08 tcp/445: rule 9 permits it".to_owned()),
        }]),
        PolicyRequest::Test(..) => PolicyAnswer::Test(TestResult {
            judged: 7,
            span: None,
            changes: Listing::take(Vec::new(), 10),
        }),
        PolicyRequest::Tuple(_) => PolicyAnswer::Tuple(vec![TupleAnswer {
            segment: "fab".to_owned(),
            tuple: "10.0.1.7 → 10.0.2.1 tcp/5001".to_owned(),
            verdict: "deny".to_owned(),
            why: "no rule permits it".to_owned(),
            nearest: vec!["rule 812: differs in service (tcp/5000 there)".to_owned()],
            next_steps: Vec::new(),
        }]),
        PolicyRequest::StartShadow(_) | PolicyRequest::StopShadow | PolicyRequest::Shadow(_) => {
            PolicyAnswer::Shadow(shadow())
        }
        PolicyRequest::Devices(_) => PolicyAnswer::Devices(Listing::take([device()], 1)),
        PolicyRequest::Device(_) => PolicyAnswer::Device(device()),
        PolicyRequest::IsItMe(device) => PolicyAnswer::IsItMe(IsItMe {
            device: device.clone(),
            answer: format!("no: Loadlock has blocked nothing of {device}"),
            watching_since: Time::from_ns(NOW_NS),
            forgotten: 0,
            denials: Vec::new(),
        }),
        _ => PolicyAnswer::Changed(PolicyChanged {
            version: policy_version(12, "in force"),
            generation: 41,
            confirm_by: None,
            next_step: None,
        }),
    }
}
