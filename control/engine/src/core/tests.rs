//! What people say to learning: asked, answered, in force, and the same after a restart.

use std::path::Path;
use std::sync::Arc;

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

/// A tool that has been silent for a hundred days: what no rule permits of it is forgotten, in the store too; what one permits stays, and so
/// does all of a device that is still there.
#[test]
fn old_evidence_goes_but_what_a_rule_rests_on_stays() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_ns();
    let past = now - 100 * NS_PER_DAY;
    let mut core = core(folder.path());
    for tool in 1..=3 {
        for day in 0..6 {
            converse(&mut core, tool, 5_000, past - day * NS_PER_DAY);
        }
    }
    // Rules of what was learned are in force; the rest comes after.
    core.version_due = Instant::now();
    core.version_if_due(Instant::now());
    let rules = core.state.policy.rules().len();
    assert!(rules > 0);
    converse(&mut core, 1, 445, past);
    converse(&mut core, 3, 446, past);
    converse(&mut core, 3, 5_000, now);
    assert_eq!(core.learner.counts().0, 5);
    core.finish();
    core.search_silent(now);
    for _ in 0..2_000 {
        core.keep_within_limits(Instant::now(), now);
        if core.learner.counts().0 < 5 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let left = |core: &Core| -> Vec<(u8, u16)> {
        let mut left: Vec<_> = core
            .learner
            .evidence()
            .map(|row| match row.subject.networks[0] {
                Network::Ip(std::net::IpAddr::V4(client)) => {
                    (client.octets()[3], row.subject.services[1])
                }
                _ => panic!("another address"),
            })
            .collect();
        left.sort_unstable();
        left
    };
    let expected = [(1, 5_000), (2, 5_000), (3, 446), (3, 5_000)];
    assert_eq!(left(&core), expected);
    core.finish();
    drop(core);
    let core = self::core(folder.path());
    assert_eq!(left(&core), expected, "the same after a restart");
    assert!(core.status().alarms.iter().all(|alarm| !alarm.contains("evidence rows")));
}

/// What was denied is told after a restart too.
#[test]
fn denials_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut core = core(folder.path());
    let tail =
        KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::Tcp).of_client(Side::A);
    let ips = [[10, 0, 1, 9], [10, 0, 2, 1]].map(|address| Network::Ip(address.into()));
    let denied = Event {
        kind: EventKind::Denied(loadlock_exchange::DropReason::NoRule),
        time_ns: now_ns(),
        key: flow_key(tail, ips, [40_000, 445]).unwrap(),
        initiator: Side::A,
        flags: EventFlags::default(),
        rule: None,
        packets: [3, 0],
        bytes: [180, 0],
        macs: [MacAddress([2, 0, 0, 0, 0, 9]); 2],
        claimed: None,
    };
    core.observe(&denied);
    core.observe(&denied);
    core.events_unsaved = 2;
    let ask = |core: &Core| {
        let address = "10.0.1.9".parse::<std::net::IpAddr>().unwrap();
        let address = loadlock_policy::AddressMatch::Ip(loadlock_policy::Prefix::host(address));
        core.is_it_me(&[address], "10.0.1.9".to_owned())
    };
    let before = ask(&core);
    assert_eq!(before.denials[0].conversations, 2, "{before:?}");
    core.finish();
    drop(core);
    let mut core = self::core(folder.path());
    let after = ask(&core);
    assert_eq!(after.denials.len(), 1, "{after:?}");
    let told = &after.denials[0];
    assert_eq!((told.conversations, told.packets), (2, 6));
    assert_eq!(told.verdict, "deny");
    assert!(
        after.answer.starts_with("yes: Loadlock has blocked 2 connections"),
        "{}",
        after.answer
    );
    assert!(after.watching_since <= before.watching_since);
    core.observe(&denied);
    assert_eq!(ask(&core).denials[0].conversations, 3, "and counted on");
}
