//! Making, finding, refusing and replacing the file.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use loadlock_exchange::{
    Adopted, ControlExchange, DataplaneExchange, DataplaneState, Dimensions, Generation,
    LAYOUT_VERSION, PortTally, ProcessKind, RegionError, SnapshotError, WorkerCounter,
};

use crate::fixtures::*;

fn open(path: &Path) -> DataplaneExchange {
    DataplaneExchange::open(path, DIMENSIONS).unwrap_or_else(|error| panic!("{error}"))
}

fn attach(path: &Path) -> ControlExchange {
    ControlExchange::attach(path, DIMENSIONS).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(result: Result<ControlExchange, RegionError>) -> RegionError {
    result.err().expect("must be refused")
}

#[test]
fn a_new_region_has_no_policy_and_zero_counters() {
    let folder = folder();
    let path = folder.path().join("deeper/exchange");
    let mut dataplane = open(&path);
    assert_eq!((dataplane.adopted(), dataplane.has_policy()), (&Adopted::Nothing, false));
    assert!(dataplane.bytes().is_multiple_of(2 << 20));
    let control = attach(&path);
    assert_eq!((control.dimensions(), control.in_force()), (DIMENSIONS, None));
    assert_eq!(control.generations(), [None, None]);
    assert_eq!(control.port_tally(1), PortTally::default());
    let mut workers = dataplane.take_workers();
    assert_eq!(workers.len(), 2);
    assert!(dataplane.take_workers().is_empty(), "a worker's ends are given out once");
    assert!(workers.iter_mut().all(|worker| worker.policy.enter().is_none()));
    assert_eq!(control.generations(), [Some(0), Some(0)]);
}

#[test]
fn the_region_is_closed_to_other_users() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let _dataplane = open(&path);
    for entry in std::fs::read_dir(folder.path()).expect("readable").flatten() {
        let mode = entry.metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o007, 0, "{:?} holds hash seeds or guards them", entry.path());
    }
}

#[test]
fn a_restarted_dataplane_takes_the_policy_and_starts_counting_anew() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let mut dataplane = open(&path);
    let mut control = attach(&path);
    control.publish(&policy(41)).expect("published");
    let instance = control.instance();
    let workers = dataplane.take_workers();
    let tally = PortTally { received_packets: 5, forwarded_packets: 5, ..PortTally::default() };
    workers[1].ports()[0].add(&tally, 0);
    workers[1].counters().store(&[3; 24]);
    workers[1].latency().record(700);
    assert_eq!(control.port_tally(0), tally);
    assert_eq!(control.worker_value(1, WorkerCounter::EventsRefused), 3);
    assert_eq!(control.latency(1).len(), 1);
    drop((workers, dataplane));

    let mut dataplane = open(&path);
    assert_eq!(dataplane.adopted(), &Adopted::Policy { generation: Generation(1), version: 41 });
    assert_eq!(judged_by(&dataplane.take_workers()[0].policy.enter().expect("in force")), Some(41));
    assert_eq!(control.in_force(), Some((Generation(1), 41)));
    assert_eq!(control.port_tally(0), PortTally::default());
    assert_eq!(control.worker_values(1), [0; 24]);
    assert!(control.latency(1).is_empty());
    assert_eq!(control.instance(), instance);
    assert_eq!(control.dataplane().starts, 2);
    assert!(control.is_current());
}

#[test]
fn other_dimensions_make_a_new_region_and_the_old_one_is_told_apart() {
    let variants = [
        Dimensions { workers: 3, ..DIMENSIONS },
        Dimensions { ports: 4, ..DIMENSIONS },
        Dimensions { ring_events: 32, ..DIMENSIONS },
        Dimensions { rule_capacity: 65, ..DIMENSIONS },
        Dimensions { fingerprint: 1, ..DIMENSIONS },
    ];
    for other in variants {
        let folder = folder();
        let path = folder.path().join("exchange");
        drop(open(&path));
        let mut control = attach(&path);
        control.publish(&policy(1)).expect("published");
        let dataplane = DataplaneExchange::open(&path, other).expect("made anew");
        assert_eq!(dataplane.adopted(), &Adopted::Nothing);
        assert!(!control.is_current());
        // The old mapping stays usable until control attaches again.
        assert_eq!(control.in_force(), Some((Generation(1), 1)));
        let instance = control.instance();
        drop(control);
        let error = refused(ControlExchange::attach(&path, DIMENSIONS));
        assert!(matches!(error, RegionError::OtherConfiguration { found, .. } if found == other));
        let control = ControlExchange::attach(&path, other).expect("same dimensions");
        assert!(control.is_current() && control.instance() != instance);
    }
}

#[test]
fn impossible_dimensions_are_refused_before_anything_is_made() {
    let folder = folder();
    let path = folder.path().join("exchange");
    for impossible in [
        Dimensions { workers: 0, ..DIMENSIONS },
        Dimensions { workers: 257, ..DIMENSIONS },
        Dimensions { ring_events: 0, ..DIMENSIONS },
        Dimensions { ring_events: 48, ..DIMENSIONS },
        Dimensions { ring_events: 1 << 60, ..DIMENSIONS },
        Dimensions { rule_capacity: usize::MAX, ..DIMENSIONS },
    ] {
        let error = DataplaneExchange::open(&path, impossible).err().expect("refused");
        assert!(matches!(error, RegionError::Dimensions { .. }), "{impossible}: {error}");
        assert!(!path.exists());
    }
}

#[test]
fn a_foreign_file_stays_untouched() {
    let contents: [&[u8]; 5] = [b"", b"notes", b"LLEXCHN", &[b'x'; 511], &[b'y'; 3 << 20]];
    for content in contents {
        let folder = folder();
        let path = folder.path().join("exchange");
        std::fs::write(&path, content).expect("written");
        let error = DataplaneExchange::open(&path, DIMENSIONS).err().expect("refused");
        assert!(matches!(error, RegionError::Foreign { .. }), "{} bytes: {error}", content.len());
        assert!(error.to_string().contains(path.to_str().expect("UTF-8")));
        let error = refused(ControlExchange::attach(&path, DIMENSIONS));
        assert!(matches!(error, RegionError::Foreign { .. }));
        assert_eq!(std::fs::read(&path).expect("readable"), content);
    }
}

#[test]
fn a_folder_in_the_regions_place_is_an_error() {
    let folder = folder();
    let path = folder.path().join("exchange");
    std::fs::create_dir(&path).expect("made");
    let error = DataplaneExchange::open(&path, DIMENSIONS).err().expect("refused");
    assert!(matches!(error, RegionError::Io { .. }), "{error}");
    assert!(path.is_dir());
}

#[test]
fn another_version_is_refused_by_control_and_replaced_by_the_dataplane() {
    let folder = folder();
    let path = folder.path().join("exchange");
    drop(open(&path));
    damage(&path, b"LLEXCHNG", 0, 8, &(LAYOUT_VERSION + 1).to_le_bytes());
    let error = refused(ControlExchange::attach(&path, DIMENSIONS));
    assert!(matches!(error, RegionError::Version { found, .. } if found == LAYOUT_VERSION + 1));
    let _dataplane = open(&path);
    attach(&path);
}

#[test]
fn a_cut_region_is_refused_by_control_and_replaced_by_the_dataplane() {
    for bytes in [8, 511, 512, 4096, (2 << 20) - 1, 4 << 20] {
        let folder = folder();
        let path = folder.path().join("exchange");
        drop(open(&path));
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
        file.set_len(bytes).expect("cut");
        let error = refused(ControlExchange::attach(&path, DIMENSIONS));
        assert!(matches!(error, RegionError::Size { .. }), "{bytes} bytes: {error}");
        let _dataplane = open(&path);
        attach(&path);
    }
}

#[test]
fn a_header_that_contradicts_itself_is_refused_by_control_and_replaced_by_the_dataplane() {
    // Words 3 to 6: workers, ports, ring events, rule capacity.
    for word in 3..7_u64 {
        for value in [0, 3, u64::MAX, 1 << 40] {
            let folder = folder();
            let path = folder.path().join("exchange");
            drop(open(&path));
            damage(&path, b"LLEXCHNG", 0, word * 8, &value.to_le_bytes());
            assert!(ControlExchange::attach(&path, DIMENSIONS).is_err(), "word {word} = {value}");
            let _dataplane = open(&path);
            attach(&path);
        }
    }
}

#[test]
fn control_waits_for_a_region_that_is_not_there() {
    let folder = folder();
    let error = refused(ControlExchange::attach(&folder.path().join("exchange"), DIMENSIONS));
    assert!(matches!(error, RegionError::Missing { .. }), "{error}");
}

#[test]
fn a_damaged_policy_is_put_out_of_force_and_the_next_one_judges() {
    // Version, length, checksum, a shape, a rule.
    for skip in [8, 16, 24, 24 * 8, 40 * 8] {
        let folder = folder();
        let path = folder.path().join("exchange");
        drop(open(&path));
        let mut control = attach(&path);
        let first = control.publish(&policy(1)).expect("published");
        damage(&path, SLOT_MARKER, 0, skip, &[0xa5, 0x5a, 0xa5, 0x5a]);
        assert_eq!(control.in_force(), None, "damage at {skip}");
        let mut dataplane = open(&path);
        assert!(
            matches!(
                dataplane.adopted(),
                Adopted::Damaged(SnapshotError::Checksum | SnapshotError::Length(_))
            ),
            "damage at {skip}: {:?}",
            dataplane.adopted()
        );
        assert!(!dataplane.has_policy() && !control.is_in_force(first));
        let mut workers = dataplane.take_workers();
        assert!(workers[0].policy.enter().is_none());
        control.publish(&policy(2)).expect("published");
        assert_eq!(judged_by(&workers[0].policy.enter().expect("in force")), Some(2));
    }
}

#[test]
fn a_second_process_of_a_kind_is_refused() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let dataplane = open(&path);
    let control = attach(&path);
    let error = refused(ControlExchange::attach(&path, DIMENSIONS));
    assert!(matches!(error, RegionError::Taken { kind: ProcessKind::Control, .. }), "{error}");
    let error = DataplaneExchange::open(&path, DIMENSIONS).err().expect("refused");
    assert!(matches!(error, RegionError::Taken { kind: ProcessKind::Dataplane, .. }), "{error}");
    drop((control, dataplane));
    let _dataplane = open(&path);
    attach(&path);
}

/// A dataplane whose main thread has let go while a worker still runs is not dead: its slots are in use.
#[test]
fn the_dataplane_lives_as_long_as_its_last_worker() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let mut dataplane = open(&path);
    let mut control = attach(&path);
    let mut workers = dataplane.take_workers();
    control.publish(&policy(1)).expect("published");
    assert!(workers.iter_mut().all(|worker| worker.policy.enter().is_some()));
    drop(dataplane);
    control.publish(&policy(2)).expect("published");
    assert!(control.publish(&policy(3)).is_err(), "the workers still read version 1");
    assert!(
        workers
            .iter_mut()
            .all(|worker| judged_by(&worker.policy.enter().expect("in force")) == Some(2))
    );
    control.publish(&policy(3)).expect("published");
    drop(workers);
    control.publish(&policy(4)).expect("nobody is left");
}

#[test]
fn regions_whose_names_differ_in_the_extension_only_do_not_meet() {
    let folder = folder();
    let first = open(&folder.path().join("line.1"));
    let second = open(&folder.path().join("line.2"));
    let third = open(&folder.path().join("line.new"));
    let controls = ["line.1", "line.2", "line.new"].map(|name| attach(&folder.path().join(name)));
    assert!(controls.iter().all(ControlExchange::is_current));
    drop((first, second, third));
}

#[test]
fn the_dataplane_says_what_it_does_until_it_is_gone() {
    let folder = folder();
    let path = folder.path().join("exchange");
    let dataplane = open(&path);
    let control = attach(&path);
    assert_eq!(control.dataplane().state, DataplaneState::Starting);
    assert_eq!(control.dataplane().pid, u64::from(std::process::id()));
    for state in [DataplaneState::Waiting, DataplaneState::Running, DataplaneState::Stopping] {
        dataplane.set_state(state);
        dataplane.heartbeat(7, 8);
        let report = control.dataplane();
        assert_eq!((report.state, report.heartbeat_ns, report.tsc_hz), (state, 7, 8));
    }
    drop(dataplane);
    assert_eq!((control.dataplane().state, control.dataplane().pid), (DataplaneState::Stopped, 0));
}

#[test]
fn a_file_written_by_an_unfinished_start_is_no_hindrance() {
    let folder = folder();
    let path = folder.path().join("exchange");
    std::fs::write(folder.path().join("exchange.new"), b"half").expect("written");
    let _dataplane = open(&path);
    let file = std::fs::File::open(&path).expect("there");
    let mut magic = [0; 8];
    file.read_exact_at(&mut magic, 0).expect("readable");
    assert_eq!(&magic, b"LLEXCHNG");
    assert!(!folder.path().join("exchange.new").exists());
    // The region is shared between its ends.
    let control = Arc::new(attach(&path));
    assert!(control.is_current());
}
