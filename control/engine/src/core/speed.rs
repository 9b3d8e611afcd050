//! How long answers take at a size that no site has: a measurement, without a dataplane.

use std::sync::atomic::AtomicBool;

use loadlock_api::{
    Backend, Draft, PolicyAnswer, PolicyRequest, Proposal, Step, StepBody, TupleQuery,
};
use loadlock_exchange::{EventFlags, RuleId};
use loadlock_learn::flow_key;
use loadlock_packet::{KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

use super::*;

/// Hours with a record of each kind.
const HOURS: u64 = 10;
/// Rules of the policy that is applied.
const APPLIED: u32 = 100_000;

fn from_environment(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn client(number: u32) -> std::net::Ipv4Addr {
    let [_, a, b, c] = number.to_be_bytes();
    [10, a, b, c].into()
}

fn conversation(number: u32, time_ns: u64, kind: EventKind) -> Event {
    let tail =
        KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, Kind::Tcp).of_client(Side::A);
    let server = Network::Ip([10, 200, 0, (number % 250) as u8].into());
    let denied = matches!(kind, EventKind::Denied(_));
    let station = MacAddress([2, 0, 0, 0, 0, 1]);
    Event {
        kind,
        time_ns,
        key: flow_key(tail, [Network::Ip(client(number).into()), server], [40_000, 5_000]).unwrap(),
        initiator: Side::A,
        flags: EventFlags {
            forwarded: !denied,
            learning: !denied,
            handshake: !denied,
            ..EventFlags::default()
        },
        rule: None::<RuleId>,
        packets: [7, 5],
        bytes: [700, 500],
        macs: [station; 2],
        claimed: None,
    }
}

/// A line of `/proc/self/status`, in MiB.
fn memory_mib(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|found| found.starts_with(line)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    println!("{what:<58} {:>9.3} s", begun.elapsed().as_secs_f64());
    result
}

/// Where the store lies between the two tests, which are two processes: what filling takes mustn't count as what answering needs.
fn folder() -> std::path::PathBuf {
    std::env::var_os("LOADLOCK_PERF_FOLDER").expect("scripts/perf/policy sets it").into()
}

fn open() -> (Core, crate::backend::CoreBackend, Receiver<Command>) {
    let file = folder().join("loadlock.toml");
    // One hour of this test has more kinds than a share of the default's room.
    let configuration = super::tests::CONFIGURATION
        .replace("\"evidence\"", "\"record-all\"\nretention_mib = 1048576")
        .replace("[exchange]", "[exchange]\nrule_capacity = 1048576");
    std::fs::write(&file, configuration).unwrap();
    let settings = Settings::load(&file).unwrap_or_else(|errors| panic!("{errors}"));
    let storage = timed("  open the store", || Storage::open(&settings.control.store).unwrap());
    let (events, _) = broadcast::channel(16);
    let access = crate::access::Access::open(storage.handle(), now_ns).unwrap();
    let (backend, commands) =
        crate::backend::channel(events.clone(), storage.handle(), settings.clone(), access);
    let core = Core::new(settings, storage, events, Boards::default()).unwrap();
    (core, backend, commands)
}

#[test]
#[ignore = "the first half of a measurement, in release: scripts/perf/policy runs it"]
fn fill_a_store_with_many_rules_and_records() {
    let kinds = from_environment("LOADLOCK_KINDS", 1_000_000);
    let (mut core, ..) = open();
    let hour_ns = 3_600_000_000_000;
    let begin_ns = now_ns() - (HOURS + 1) * hour_ns;
    core.history = History::new(vec!["fab".to_owned()], begin_ns, u64::MAX, &[]);
    timed("learn, and keep flow records for ten hours", || {
        for round in 0..HOURS {
            let time_ns = begin_ns + round * hour_ns;
            core.history.advance(time_ns);
            for number in 1..=kinds {
                let begun = conversation(number, time_ns + u64::from(number), EventKind::Started);
                match round {
                    0 => core.observe(&begun),
                    _ => core.history.observe(&begun),
                }
            }
            core.events_unsaved = 1;
            core.save_due = Instant::now();
            core.save_if_due(Instant::now());
            let saved = core.storage.wait_saved().unwrap();
            core.conclude(saved, Instant::now());
        }
    });
    timed("put the rules in force", || {
        core.make_version(vec![Mode::Enforce], "ada", "speed", true).unwrap();
    });
    println!("{:<58} {:>9}", "rules", core.state.policy.rules().len());
    println!("{:<58} {:>9}", "flow records", u64::from(kinds) * HOURS);
    let bytes = std::fs::metadata(&core.settings.control.store).unwrap().len();
    println!("{:<58} {:>9} MiB", "store", bytes >> 20);
}

#[test]
#[ignore = "the second half of a measurement, in release: scripts/perf/policy runs it"]
fn answers_over_many_rules_and_records() {
    let kinds = from_environment("LOADLOCK_KINDS", 1_000_000);
    let (mut core, backend, commands) = timed("start", open);
    println!("{:<58} {:>9} MiB", "memory after the start", memory_mib("VmRSS"));
    println!("{:<58} {:>9} MiB", "most memory until then", memory_mib("VmHWM"));
    for number in 1..=1_000 {
        let reason = loadlock_exchange::DropReason::NoRule;
        core.observe(&conversation(kinds + number, now_ns(), EventKind::Denied(reason)));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| core.run(&commands, &stop));
        let ask = |request| backend.policy(request, "ada").unwrap();
        let tuple = |service: &str| TupleQuery {
            client: client(7).to_string(),
            server: "10.200.0.7".to_owned(),
            service: service.to_owned(),
            segment: None,
            vlan: None,
        };
        timed("explain tuple, permitted", || ask(PolicyRequest::Tuple(tuple("tcp/5000"))));
        timed("explain tuple, denied: the nearest of all rules", || {
            ask(PolicyRequest::Tuple(tuple("tcp/445")))
        });
        let denied = client(kinds + 7).to_string();
        timed("isitme, blocked", || ask(PolicyRequest::IsItMe(denied)));
        let tested = timed("policy test over all flow records", || {
            ask(PolicyRequest::Test(Draft::default(), 10))
        });
        let PolicyAnswer::Test(tested) = tested else { panic!("another answer") };
        println!("{:<58} {:>9}", "records judged", tested.judged);
        println!("{:<58} {:>9} MiB", "most memory until then", memory_mib("VmHWM"));
        let rule = |number: u32| {
            let service = 5_000 + number / 50_000;
            format!(
                "\n[[rule]]\nid = {number}\nsegment = \"fab\"\nvlan = \"untagged\"\nclient = \"{}\"\nclient_side = \"a\"\n\
                 server = \"10.200.0.1\"\nservice = \"tcp/{service}\"\nopens = \"client\"\nmidstream = false\nreason = \"r\"\nowner = \"o\"\n",
                client(number)
            )
        };
        let text: String = (1..=APPLIED).map(rule).collect();
        let proposal = Proposal {
            text: format!("format = 1\nlearned = \"listed\"\n{text}"),
            place: "speed".to_owned(),
            reason: "speed".to_owned(),
            ticket: String::new(),
        };
        let proposed = timed("propose 100,000 rules instead of them", || {
            ask(PolicyRequest::Propose(proposal))
        });
        let PolicyAnswer::Proposed(proposed) = proposed else { panic!("another answer") };
        let number = proposed.version.number;
        let step = |step| PolicyRequest::Step { number, step, body: StepBody::default() };
        ask(step(Step::Approve));
        timed("apply 100,000 rules: durable and published", || ask(step(Step::Apply)));
        println!("{:<58} {:>9} MiB", "memory at the end", memory_mib("VmRSS"));
        println!("{:<58} {:>9} MiB", "most memory at any time", memory_mib("VmHWM"));
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap();
    });
}

#[test]
#[ignore = "a measurement, in release: scripts/perf/policy runs it"]
fn events_of_a_storm() {
    const EVENTS: u32 = 2_000_000;
    let (mut core, ..) = open();
    let mut storm = |what: &str, event: &dyn Fn(u32) -> Event| {
        let begun = Instant::now();
        for number in 0..EVENTS {
            if u64::from(number).is_multiple_of(DRAIN_RECORDS) {
                core.wording.refill(Instant::now());
            }
            core.observe(&event(number));
        }
        let rate = f64::from(EVENTS) / begun.elapsed().as_secs_f64() / 1e6;
        println!("{what:<58} {rate:>9.2} M/s");
    };
    let time_ns = now_ns();
    let started = EventKind::Started;
    storm("events: new conversations of 4,096 known tuples", &|number| {
        let event = conversation(number % 4_096, time_ns, started);
        let ports = [20_000 + (number >> 12) as u16, 5_000];
        let ends = [Side::A, Side::B].map(|side| event.key.endpoint(side).network);
        Event { key: flow_key(event.key.tail(), ends, ports).unwrap(), ..event }
    });
    storm("events: new conversations, each a tuple of its own", &|number| {
        conversation(number, time_ns, started)
    });
    storm("events: denied, each of a client of its own", &|number| {
        let reason = loadlock_exchange::DropReason::NoRule;
        conversation(number, time_ns, EventKind::Denied(reason))
    });
}
