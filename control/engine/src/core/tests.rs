//! What people say to learning: asked, answered, in force, and the same after a restart.

use std::path::Path;

use loadlock_api::{
    AnswerBody, BackendError, LearningAnswer, LearningRequest, Question, WindowBody,
};
use loadlock_exchange::EventFlags;
use loadlock_learn::{NS_PER_DAY, flow_key};
use loadlock_packet::{KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

use super::*;

pub(super) const CONFIGURATION: &str = r#"
[dataplane]
main_core = 0
worker_cores = [1]
hugepages = false
[exchange]
path = "/dev/shm/loadlock-of-no-dataplane/exchange"
[[port]]
name = "tools"
device = "net_null"
[[port]]
name = "servers"
device = "net_null"
[[segment]]
name = "fab"
side_a = "tools"
side_b = "servers"
mode = "learn"
[control]
core = 0
socket = "control.sock"
store = "loadlock.db"
admission = "evidence"
"#;

fn core(folder: &Path) -> Core {
    let file = folder.join("loadlock.toml");
    std::fs::write(&file, CONFIGURATION).unwrap();
    let settings = Settings::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    let storage = Storage::open(&settings.control.store).unwrap();
    let (events, _) = broadcast::channel(16);
    Core::new(settings, storage, events, loadlock_outward::Boards::default()).unwrap()
}

/// An answered conversation from 10.0.1.`tool` to 10.0.2.1.
fn converse(core: &mut Core, tool: u8, port: u16, time_ns: u64) {
    let tail =
        KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::Tcp).of_client(Side::A);
    let ip = |last| Network::Ip([10, 0, if last == 1 { 2 } else { 1 }, last].into());
    let learning = core.state.modes[0] == Mode::Learn;
    let begun = Event {
        kind: EventKind::Started,
        time_ns,
        key: flow_key(tail, [ip(tool), ip(1)], [40_000, port]).unwrap(),
        initiator: Side::A,
        flags: EventFlags { forwarded: true, learning, ..EventFlags::default() },
        rule: None,
        packets: [1, 0],
        bytes: [74, 0],
        macs: [MacAddress([2, 0, 0, 0, 0, tool]), MacAddress([2, 0, 0, 0, 0, 1])],
        claimed: None,
    };
    let flags = EventFlags { handshake: true, ..begun.flags };
    core.observe(&begun);
    core.observe(&Event { kind: EventKind::Ended, flags, packets: [9, 9], ..begun });
    core.events_unsaved += 2;
}

/// Control ends, and its store is free.
fn end(mut core: Core) {
    core.finish();
}

fn ask(core: &mut Core, request: LearningRequest) -> LearningAnswer {
    core.learning(request, "ada").unwrap_or_else(|error| panic!("{error}"))
}

fn questions(core: &mut Core) -> Vec<Question> {
    match ask(core, LearningRequest::Questions { limit: 9 }) {
        LearningAnswer::Questions(questions) => questions.items,
        other => panic!("{other:?}"),
    }
}

fn answer(id: &str, approve: bool) -> LearningRequest {
    let body = AnswerBody { approve, reason: "work order 12".to_owned() };
    LearningRequest::Answer { id: id.to_owned(), body }
}

#[test]
fn an_approval_is_a_rule_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = self::core(folder.path());
    for day in 0..3 {
        converse(&mut core, 11, 445, day * NS_PER_DAY);
        converse(&mut core, 11, 5000, day * NS_PER_DAY);
    }
    let asked = questions(&mut core);
    assert_eq!(asked.len(), 1, "file sharing is asked, the rest stands by itself: {asked:?}");
    assert_eq!(asked[0].tuples, ["10.0.1.11 → 10.0.2.1 tcp/445"]);
    end(core);

    let mut core = self::core(folder.path());
    assert_eq!(questions(&mut core), asked, "the same question, with the same id");
    assert_eq!(core.state.policy.rules().len(), 1);
    let answered = ask(&mut core, answer(&asked[0].id, true));
    assert!(matches!(answered, LearningAnswer::Answered(found) if found.rules == [1, 2]));
    assert_eq!(questions(&mut core), []);
    let again = core.learning(answer(&asked[0].id, false), "bob");
    assert!(matches!(again, Err(BackendError::Conflict { .. })));
    let policy = core.state.policy.to_toml();
    end(core);

    let mut core = self::core(folder.path());
    assert_eq!(core.state.policy.to_toml(), policy);
    assert_eq!(core.learner.policy_of(&core.decide()).unwrap().rules().len(), 2);
    let LearningAnswer::Answers(given) = ask(&mut core, LearningRequest::Answers { limit: 9 })
    else {
        panic!("no answers");
    };
    let words: Vec<_> =
        given.items.iter().map(|one| (one.author.as_str(), one.reason.as_str())).collect();
    assert_eq!(words, [("ada", "work order 12")]);
}

#[test]
fn an_approval_of_drift_changes_an_enforced_segment() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = self::core(folder.path());
    for day in 0..3 {
        converse(&mut core, 11, 5000, day * NS_PER_DAY);
    }
    core.set_mode("fab", Mode::Enforce, "ada").unwrap();
    assert_eq!(core.state.policy.rules().len(), 1);
    // Refused, three times.
    let tail =
        KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::Tcp).of_client(Side::A);
    let ips = [[10, 0, 1, 11], [10, 0, 2, 9]].map(|ip| Network::Ip(ip.into()));
    for at in 0..3 {
        core.observe(&Event {
            kind: EventKind::Denied(loadlock_exchange::DropReason::NoRule),
            time_ns: 4 * NS_PER_DAY + at,
            key: flow_key(tail, ips, [40_000, 8883]).unwrap(),
            initiator: Side::A,
            flags: EventFlags::default(),
            rule: None,
            packets: [1, 0],
            bytes: [74, 0],
            macs: [MacAddress([2, 0, 0, 0, 0, 11]), MacAddress([2, 0, 0, 0, 0, 9])],
            claimed: None,
        });
    }
    let asked = questions(&mut core);
    assert_eq!(asked.len(), 1, "{asked:?}");
    ask(&mut core, answer(&asked[0].id, true));
    assert_eq!(core.state.policy.rules().len(), 2);
    assert_eq!(questions(&mut core), []);
}

#[test]
fn what_is_new_in_a_window_is_no_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = self::core(folder.path());
    let body = WindowBody {
        segment: "fab".to_owned(),
        seconds: 3_600,
        monitor: true,
        reason: "pump".to_owned(),
    };
    let LearningAnswer::Window(window) = ask(&mut core, LearningRequest::OpenWindow(body.clone()))
    else {
        panic!("no window");
    };
    assert!(window.open);
    converse(&mut core, 11, 5000, now_ns());
    assert_eq!(core.decide().candidates, []);
    core.set_mode("fab", Mode::Enforce, "ada").unwrap();
    assert_eq!(core.modes_in_force(), [Mode::Monitor], "as long as the window is open");
    end(core);

    let mut core = self::core(folder.path());
    assert_eq!(core.modes_in_force(), [Mode::Monitor], "also after a restart");
    ask(&mut core, LearningRequest::CloseWindow { number: window.number });
    assert_eq!(core.modes_in_force(), [Mode::Enforce]);
    let again = core.learning(LearningRequest::CloseWindow { number: window.number }, "ada");
    assert!(matches!(again, Err(BackendError::Conflict { .. })));
    let other = WindowBody { segment: "bay".to_owned(), ..body };
    let unknown = core.learning(LearningRequest::OpenWindow(other), "ada");
    assert!(matches!(unknown, Err(BackendError::UnknownSegment { .. })));
}

#[test]
fn a_draft_is_judged_beside_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = core(folder.path());
    assert!(core.shadow_status(10).is_err(), "none runs");
    let document = "format = 1\n[[device]]\nname = \"etch-09\"\naddress = \"10.0.1.9\"\nmode = \"quarantine\"\n[[permit]]\nfrom = \"10.0.1.0/24\"\nto = \"10.0.2.1\"\nservice = \"tcp/5000\"\nsegment = \"fab\"\nreason = \"r\"\nowner = \"o\"\n";
    let document = loadlock_policy::Document::parse(document, "site.toml").unwrap();
    let policy = document.expand(&core.state.policy, now_ns()).unwrap();
    let draft =
        State { policy: Arc::new(policy), document: Arc::new(document), ..core.state.clone() };
    let shadow = Shadow::new(&draft, &core.settings, "site.toml".to_owned(), "ada".to_owned(), 7);
    core.start_shadow(Box::new(shadow.unwrap()));
    for (tool, port) in [(7, 5_000), (7, 5_000), (7, 445), (9, 5_000)] {
        converse(&mut core, tool, port, NS_PER_DAY);
    }
    let status = core.shadow_status(10).unwrap();
    assert_eq!((status.would_allow, status.would_deny, status.rows.total), (2, 2, 3));
    let first = &status.rows.items[0];
    assert!(first.now == "allow" && first.then.starts_with("deny"), "{first:?}");
    assert!(status.rows.items[2].then.contains("rule 1"), "{:?}", status.rows.items);
    assert!(core.state.policy.rules().is_empty(), "nothing was changed");
    assert_eq!(core.stop_shadow().unwrap().would_deny, 2);
    assert!(core.stop_shadow().is_err());
}
