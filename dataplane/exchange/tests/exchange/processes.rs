//! Both sides as real processes that are killed and stopped at awkward moments.
//!
//! The other process is this test binary again, told by an environment variable which part to play.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loadlock_exchange::{
    Adopted, ControlExchange, DataplaneExchange, DataplaneState, Event, EventFlags, EventKind,
    Generation, PublishError,
};
use loadlock_packet::{MacAddress, Side};

use crate::fixtures::*;

const PART: &str = "LOADLOCK_TEST_PART";
const PATH: &str = "LOADLOCK_TEST_PATH";
const READY: &str = "the part is being played";

/// Starts this binary in `part` and waits until it says that it is ready.
fn start(part: &str, path: &Path) -> Child {
    let binary = std::env::current_exe().expect("this binary");
    let mut child = Command::new(binary)
        .args(["processes::plays_its_part", "--exact", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines.map_while(Result::ok).any(|line| line.contains(READY));
    assert!(ready, "{part} ended early");
    child
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// The children's entry; as an ordinary test it does nothing.
#[test]
fn plays_its_part() {
    let (Ok(part), Some(path)) = (std::env::var(PART), std::env::var_os(PATH)) else { return };
    let path = Path::new(&path);
    match part.as_str() {
        "dataplane" => {
            let mut dataplane = DataplaneExchange::open(path, DIMENSIONS).expect("opened");
            let mut workers = dataplane.take_workers();
            dataplane.set_state(DataplaneState::Running);
            for worker in &mut workers {
                worker.policy.enter();
            }
            wait_for_the_end();
        }
        "control" => {
            let mut control = ControlExchange::attach(path, DIMENSIONS).expect("attached");
            let events = &mut control.events[0];
            events.next_record().expect("the first");
            events.release();
            events.next_record().expect("the second, not released");
            wait_for_the_end();
        }
        other => panic!("no part {other}"),
    }
}

fn wait_for_the_end() {
    println!("{READY}");
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_dataplane_does_not_block_publishing() {
    let folder = folder();
    let path = folder.path().join("exchange");
    drop(DataplaneExchange::open(&path, DIMENSIONS).expect("made"));
    let mut control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    control.publish(&policy(1)).expect("published");
    let child = start("dataplane", &path);
    assert_eq!(control.dataplane().state, DataplaneState::Running);
    assert_eq!(control.dataplane().pid, u64::from(child.id()));
    assert_eq!(control.generations(), [Some(1); 2]);
    control.publish(&policy(2)).expect("published");
    assert!(matches!(control.publish(&policy(3)), Err(PublishError::Busy(_))), "it lives");
    kill(child);
    for version in 3..=6 {
        control.publish(&policy(version)).expect("nobody reads");
    }
    let report = control.dataplane();
    assert_eq!((report.state, report.pid), (DataplaneState::Stopped, 0));
    assert_eq!(control.generations(), [None; 2]);

    let child = start("dataplane", &path);
    assert_eq!(control.generations(), [Some(6); 2], "the new one judges by the last policy");
    kill(child);
    let dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("opened");
    assert_eq!(dataplane.adopted(), &Adopted::Policy { generation: Generation(6), version: 6 });
}

/// Stopped isn't dead: its workers may go on at any moment, in the slot they were reading.
#[test]
fn a_stopped_dataplane_keeps_its_slot() {
    let folder = folder();
    let path = folder.path().join("exchange");
    drop(DataplaneExchange::open(&path, DIMENSIONS).expect("made"));
    let mut control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    control.publish(&policy(1)).expect("published");
    let child = start("dataplane", &path);
    signal(&child, "-STOP");
    control.publish(&policy(2)).expect("published");
    let deadline = Instant::now() + Duration::from_millis(300);
    while Instant::now() < deadline {
        assert!(matches!(control.publish(&policy(3)), Err(PublishError::Busy(_))));
        assert_eq!(control.dataplane().state, DataplaneState::Running);
    }
    signal(&child, "-CONT");
    kill(child);
    control.publish(&policy(3)).expect("nobody reads");
}

fn event(time_ns: u64) -> Event {
    Event {
        kind: EventKind::Started,
        time_ns,
        key: conversation(),
        initiator: Side::A,
        flags: EventFlags::default(),
        rule: None,
        packets: [1, 0],
        bytes: [60, 0],
        macs: [MacAddress([2; 6]), MacAddress([4; 6])],
        claimed: None,
    }
}

#[test]
fn a_killed_controls_successor_reads_again_what_was_not_released() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let mut dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("made");
    let mut workers = dataplane.take_workers();
    let producer = &mut workers[0].events;
    for time_ns in 1..=3 {
        producer.push(&event(time_ns).encode(), 0).expect("room");
    }
    producer.publish();
    let child = start("control", &path);
    assert!(ControlExchange::attach(&path, DIMENSIONS).is_err(), "there is one");
    kill(child);
    let mut control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    let read: Vec<_> = std::iter::from_fn(|| control.events[0].next_record())
        .map(|record| Event::decode(&record).expect("whole").time_ns)
        .collect();
    assert_eq!(read, [2, 3]);
    assert_eq!(control.events[1].next_record(), None, "rings are apart");
}

#[test]
fn a_full_ring_refuses_and_a_restarted_dataplane_goes_on_where_it_published() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let mut dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("made");
    let mut workers = dataplane.take_workers();
    let producer = &mut workers[0].events;
    let taken =
        (1..=20).filter(|&time_ns| producer.push(&event(time_ns).encode(), 2).is_ok()).count();
    assert_eq!(taken, 14, "16 less the reserve");
    producer.publish();
    producer.push(&event(99).encode(), 0).expect("room in the reserve");
    drop((workers, dataplane));

    let mut dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("opened");
    let mut workers = dataplane.take_workers();
    workers[0].events.push(&event(15).encode(), 0).expect("room");
    workers[0].events.publish();
    let mut control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    let read: Vec<_> = std::iter::from_fn(|| control.events[0].next_record())
        .map(|record| Event::decode(&record).expect("whole").time_ns)
        .collect();
    assert_eq!(read, (1..=15).collect::<Vec<_>>(), "unpublished records are lost, no others");
}
