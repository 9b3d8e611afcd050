//! Policies from control to the workers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use loadlock_exchange::{
    ControlExchange, DataplaneExchange, Generation, Mode, PolicyImage, PolicyReader, PublishError,
    SegmentPolicy, SlotInUse, WorkerExchange,
};
use loadlock_packet::SegmentId;
use tempfile::TempDir;

use crate::fixtures::*;

struct Both {
    control: ControlExchange,
    workers: Vec<WorkerExchange>,
    _dataplane: DataplaneExchange,
    path: PathBuf,
    _folder: TempDir,
}

fn both() -> Both {
    let folder = folder();
    let path = folder.path().join("exchange");
    let mut dataplane = DataplaneExchange::open(&path, DIMENSIONS).expect("made");
    let workers = dataplane.take_workers();
    let control = ControlExchange::attach(&path, DIMENSIONS).expect("attached");
    Both { control, workers, _dataplane: dataplane, path, _folder: folder }
}

fn judged(policy: &mut PolicyReader) -> Option<u32> {
    policy.enter().as_ref().and_then(judged_by)
}

#[test]
fn workers_judge_by_what_is_published() {
    let mut both = both();
    for version in 1..=5_u32 {
        let generation = both.control.publish(&policy(version)).expect("published");
        assert_eq!(generation, Generation(version.into()));
        for worker in &mut both.workers {
            let view = worker.policy.enter().expect("in force");
            assert_eq!((view.generation(), judged_by(&view)), (generation.0, Some(version)));
            let segment = |number| view.segment(SegmentId::new(number).expect("below 16"));
            assert_eq!(segment(0), ENFORCED);
            assert!((1..16).all(|number| segment(number) == SegmentPolicy::CLOSED));
            assert_eq!(segment(0).mode, Mode::Enforce);
        }
        assert_eq!(both.control.in_force(), Some((generation, version.into())));
        assert_eq!(both.control.generations(), [Some(generation.0); 2]);
    }
}

#[test]
fn publishing_is_refused_while_a_worker_has_not_moved_on() {
    let mut both = both();
    both.control.publish(&policy(1)).expect("published");
    assert_eq!(judged(&mut both.workers[0].policy), Some(1));
    let busy = PublishError::Busy(SlotInUse { worker: 1, generation: 0 });
    assert_eq!(both.control.publish(&policy(2)), Err(busy), "worker 1 has never looked");
    assert_eq!(judged(&mut both.workers[1].policy), Some(1));
    both.control.publish(&policy(2)).expect("published");
    assert_eq!(judged(&mut both.workers[1].policy), Some(2));
    let busy = PublishError::Busy(SlotInUse { worker: 0, generation: 1 });
    assert_eq!(both.control.publish(&policy(3)), Err(busy), "worker 0 still reads version 1");
    assert_eq!(judged(&mut both.workers[0].policy), Some(2));
    both.control.publish(&policy(3)).expect("published");
    both.workers.remove(0);
    assert_eq!(judged(&mut both.workers[0].policy), Some(3));
    both.control.publish(&policy(4)).expect("worker 0 is offline");
    assert_eq!(both.control.generations(), [None, Some(3)]);
}

#[test]
fn a_policy_made_for_a_larger_region_is_refused() {
    let mut both = both();
    let rules: Vec<_> = (1..=600)
        .map(|number| loadlock_exchange::RuleEntry { service: number as u16, ..rule(number) })
        .collect();
    let image = PolicyImage::compile(1, &[], &rules, SEED, 600).expect("fits 600");
    let error = both.control.publish(&image).expect_err("too large");
    assert!(matches!(error, PublishError::TooLarge { rule_capacity: 64, .. }), "{error}");
    assert_eq!(both.control.in_force(), None);
    both.control.publish(&policy(1)).expect("published");
}

/// What a control that is killed inside `publish` leaves: a half-written slot that isn't in force.
#[test]
fn a_half_written_slot_does_not_judge() {
    let mut both = both();
    for version in [1, 2] {
        both.control.publish(&policy(version)).expect("published");
        assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(version)));
    }
    // Version 2 lies in the second slot; the first is being overwritten.
    damage(&both.path, SLOT_MARKER, 0, 8, &[0xee; 600]);
    drop(both.control);
    let mut control = ControlExchange::attach(&both.path, DIMENSIONS).expect("attached");
    assert_eq!(control.in_force(), Some((Generation(2), 2)));
    assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(2)));
    control.publish(&policy(3)).expect("published");
    assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(3)));
    assert_eq!(control.in_force(), Some((Generation(3), 3)));
}

/// A header that contradicts itself: the segment's mode is none of the three.
fn damage_header(path: &std::path::Path, slot: usize) {
    damage(path, SLOT_MARKER, slot, 8 * 8, &[9]);
}

#[test]
fn a_damaged_header_leaves_the_policy_before_it_in_force() {
    let mut both = both();
    both.control.publish(&policy(1)).expect("published");
    assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(1)));
    both.control.publish(&policy(2)).expect("published");
    damage_header(&both.path, 1);
    for _ in 0..3 {
        for worker in &mut both.workers {
            let view = worker.policy.enter().expect("the one before");
            assert_eq!((view.generation(), judged_by(&view)), (1, Some(1)));
        }
    }
    assert_eq!(both.control.in_force(), None, "control sees the damage");
    assert!(matches!(both.control.publish(&policy(3)), Err(PublishError::Busy(_))));
}

#[test]
fn a_damaged_first_policy_can_be_replaced() {
    let mut both = both();
    both.control.publish(&policy(1)).expect("published");
    damage_header(&both.path, 0);
    assert!(both.workers.iter_mut().all(|worker| worker.policy.enter().is_none()));
    both.control.publish(&policy(2)).expect("no worker reads a slot");
    assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(2)));
    both.control.publish(&policy(3)).expect("published");
    assert!(both.workers.iter_mut().all(|worker| judged(&mut worker.policy) == Some(3)));
}

/// Every verdict belongs to one version: the rule's number, the segment's version and the generation go together.
#[test]
fn a_thousand_swaps_under_way_give_the_old_verdict_or_the_new_never_neither() {
    let Both { mut control, workers, _dataplane, _folder, .. } = both();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                let done = &done;
                scope.spawn(move || {
                    let mut last = 0;
                    let mut verdicts = 0_u64;
                    while !done.load(Ordering::Relaxed) {
                        let Some(view) = worker.policy.enter() else {
                            std::thread::yield_now();
                            continue;
                        };
                        let generation = view.generation();
                        assert!(generation >= last);
                        last = generation;
                        for _ in 0..8 {
                            assert_eq!(judged_by(&view).map(u64::from), Some(generation));
                            verdicts += 1;
                        }
                        std::thread::yield_now();
                    }
                    (last, verdicts)
                })
            })
            .collect();
        for version in 1..=1000 {
            let image = policy(version);
            while control.publish(&image).is_err() {
                std::thread::yield_now();
            }
        }
        // Both workers see the last one before they are told to end.
        while control.generations() != [Some(1000); 2] {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        for thread in threads {
            let (last, verdicts) = thread.join().expect("no neither");
            assert!(last == 1000 && verdicts > 0);
        }
    });
}

#[test]
fn control_asks_for_a_new_report_at_each_attachment() {
    let both = both();
    let before = both.workers[0].control_epoch();
    drop(both.control);
    let control = ControlExchange::attach(&both.path, DIMENSIONS).expect("attached");
    assert_eq!(both.workers[0].control_epoch(), before + 1);
    control.ask_for_report();
    assert_eq!(both.workers[1].control_epoch(), before + 2);
}
