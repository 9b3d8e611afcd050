//! The three protocols of the region in all interleavings and all orders of visibility that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p loadlock-exchange --test loom --release`
//!
//! A model that can't fail proves nothing: at each one stands which weakening of the code was tried, and that loom
//! reported it.
//!
//! loom 0.7 finds out which orders matter from the last access to each atomic only (`rt/atomic.rs`, `last_access`): a thread
//! that loads a word just before it stores to it hides the other thread's loads from the search. `publish` does that, so
//! the models of the swap say themselves where threads may meet: see [`Swap::step`].
#![cfg(loom)]

use std::sync::Arc;

use loadlock_exchange::model::{
    Pair, Place, consumer, producer, publish, put_out_of_force, read, swap_reader, swap_writer,
    write,
};
use loadlock_exchange::{
    Consumer, Cursor, Expectation, Expected, ExpectedKey, InForce, Producer, RECORD_WORDS, Record,
    RingFull, RingMemory, Seed, Shared, SwapMemory, SwapReader, Word,
};
use loadlock_packet::negotiation::Helper;
use loadlock_packet::{FlowKey, Kind, NarrowKey, Side};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

struct Ring {
    written: Cursor,
    released: Cursor,
    slots: Vec<Shared<Record>>,
}

impl Ring {
    fn new(capacity: usize) -> Arc<Self> {
        let slots = (0..capacity).map(|_| Shared::new([0; RECORD_WORDS])).collect();
        Arc::new(Self { written: Cursor::new(0), released: Cursor::new(0), slots })
    }
}

impl RingMemory for Ring {
    fn write_cursor(&self) -> &Cursor {
        &self.written
    }
    fn read_cursor(&self) -> &Cursor {
        &self.released
    }
    fn slots(&self) -> &[Shared<Record>] {
        &self.slots
    }
}

/// Record `number`, recognisable in each of its words.
fn record(number: u64) -> Record {
    std::array::from_fn(|at| number * 100 + at as u64)
}

fn send_three(sender: &mut Producer<Ring>) {
    for number in 1..=3 {
        while sender.push(&record(number), 0) == Err(RingFull) {
            thread::yield_now();
        }
        sender.publish();
    }
}

fn receive_three(receiver: &mut Consumer<Ring>) {
    for number in 1..=3 {
        let received = loop {
            match receiver.next_record() {
                Some(received) => break received,
                None => thread::yield_now(),
            }
        };
        assert_eq!(received, record(number));
        receiver.release();
    }
    assert_eq!(receiver.next_record(), None);
}

/// With either end in the first thread, because of what the head of this file says: `release` loads what it stores.
///
/// Tried, and reported: `publish` stores with Relaxed; `next_record` loads with Relaxed; `release` stores with Relaxed;
/// `push` loads the read cursor with Relaxed; `push` compares with `>` instead of `>=`.
#[test]
fn ring_delivers_every_record_once_whole_and_in_order() {
    loom::model(|| {
        let ring = Ring::new(2);
        let (mut sender, mut receiver) = (producer(&ring), consumer(&ring));
        let worker = thread::spawn(move || send_three(&mut sender));
        receive_three(&mut receiver);
        worker.join().unwrap();
    });
    loom::model(|| {
        let ring = Ring::new(2);
        let (mut sender, mut receiver) = (producer(&ring), consumer(&ring));
        let control = thread::spawn(move || receive_three(&mut receiver));
        send_three(&mut sender);
        control.join().unwrap();
    });
}

/// Records become visible together, the reserve stays free, and a refused record isn't half there.
///
/// Tried, and reported: a `push` that publishes by itself, or compares with `>`.
#[test]
fn ring_refuses_when_full_and_takes_again_after_release() {
    loom::model(|| {
        let ring = Ring::new(4);
        let mut sender = producer(&ring);
        for number in 1..=3 {
            sender.push(&record(number), 1).unwrap();
        }
        assert_eq!(sender.push(&record(9), 1), Err(RingFull), "the reserve");
        let mut receiver = consumer(&ring);
        assert_eq!(receiver.next_record(), None, "not published");
        sender.publish();
        let worker = thread::spawn(move || {
            let taken = sender.push(&record(4), 1).is_ok();
            sender.publish();
            taken
        });
        for number in 1..=3 {
            assert_eq!(receiver.next_record(), Some(record(number)));
        }
        receiver.release();
        let taken = worker.join().unwrap();
        assert_eq!(receiver.next_record(), taken.then(|| record(4)));
    });
}

/// A killed consumer's successor begins at what wasn't released, while the producer goes on.
///
/// Tried, and reported: `next_record` stores the read cursor itself (release on reading); `release` with Relaxed.
#[test]
fn ring_gives_a_successor_what_was_not_released() {
    loom::model(|| {
        let ring = Ring::new(2);
        let mut sender = producer(&ring);
        sender.push(&record(1), 0).unwrap();
        sender.push(&record(2), 0).unwrap();
        sender.publish();
        let worker = thread::spawn(move || {
            let taken = sender.push(&record(3), 0).is_ok();
            sender.publish();
            taken
        });
        let mut first = consumer(&ring);
        assert_eq!(first.next_record(), Some(record(1)));
        first.release();
        assert_eq!(first.next_record(), Some(record(2)));
        drop(first);
        let mut second = consumer(&ring);
        assert_eq!(second.next_record(), Some(record(2)));
        second.release();
        let taken = worker.join().unwrap();
        assert_eq!(second.next_record(), taken.then(|| record(3)));
    });
}

struct Swap {
    current: Word,
    quiescent: Vec<Word>,
    slots: [Shared<[u64; 2]>; 2],
    meeting_point: Option<AtomicU64>,
}

impl Swap {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self::without_meeting_point(workers))
    }

    fn with_meeting_point(workers: usize) -> Arc<Self> {
        let meeting_point = Some(AtomicU64::new(0));
        Arc::new(Self { meeting_point, ..Self::without_meeting_point(workers) })
    }

    fn without_meeting_point(workers: usize) -> Self {
        Self {
            current: Word::new(0),
            quiescent: (0..workers).map(|_| Word::offline()).collect(),
            slots: [Shared::new([0; 2]), Shared::new([0; 2])],
            meeting_point: None,
        }
    }

    /// Makes loom try every order of the threads' steps. Relaxed, so that it orders nothing that the protocol doesn't; but
    /// next to the fences of a worker that comes online it would, so that models of that do without.
    fn step(&self) {
        if let Some(meeting_point) = &self.meeting_point {
            meeting_point.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes and publishes the next snapshot, if the slot is free: its content is its generation, twice.
    fn try_publish(self: &Arc<Self>) -> bool {
        let writer = swap_writer(self);
        self.step();
        let Ok(slot) = writer.free_slot() else { return false };
        let next = writer.in_force().map_or(0, |now| now.generation.0) + 1;
        write(&self.slots[slot], [next; 2]);
        self.step();
        publish(&writer, slot);
        true
    }

    fn assert_whole(&self, in_force: InForce) {
        assert_eq!(read(&self.slots[in_force.slot]), [in_force.generation.0; 2]);
    }
}

impl SwapMemory for Swap {
    fn current(&self) -> &Word {
        &self.current
    }
    fn quiescent(&self) -> &[Word] {
        &self.quiescent
    }
}

/// What a worker does in a burst: it may use the former snapshot until it announces the new one.
fn burst(swap: &Swap, reader: &mut SwapReader<Swap>, former: &mut Option<InForce>) {
    swap.step();
    let Some(now) = reader.look() else { return };
    if let Some(former) = *former {
        swap.assert_whole(former);
        assert!(now.generation >= former.generation, "generations never go back");
    }
    swap.assert_whole(now);
    if *former != Some(now) {
        swap.step();
        reader.announce(now);
        *former = Some(now);
    }
    swap.assert_whole(now);
}

/// Tried, and reported: `SwapWriter::publish` stores with Relaxed; `look` loads with Relaxed; `announce` stores with
/// Relaxed; `free_slot` loads the quiescence words with Relaxed; `free_slot` accepts `said + 1 >= generation`; `burst`
/// announces before it stops using the former snapshot.
#[test]
fn swap_never_shows_a_torn_or_reused_slot() {
    loom::model(|| {
        let swap = Swap::with_meeting_point(1);
        assert!(swap.try_publish());
        let mut reader = swap_reader(&swap, 0);
        let control = thread::spawn({
            let swap = swap.clone();
            move || {
                for _ in 0..3 {
                    swap.try_publish();
                }
            }
        });
        let mut former = None;
        for _ in 0..3 {
            burst(&swap, &mut reader, &mut former);
        }
        control.join().unwrap();
    });
}

/// Control looks once and publishes as it comes online: without the fences it could take the worker for offline while
/// that one still sees the snapshot before.
///
/// Tried, and reported: either SeqCst fence removed; either one weakened to AcqRel; `SwapReader::new` doesn't store.
#[test]
fn swap_is_safe_for_a_worker_that_comes_online_during_two_publications() {
    loom::model(|| {
        let swap = Swap::new(1);
        assert!(swap.try_publish());
        let control = thread::spawn({
            let swap = swap.clone();
            move || {
                swap.try_publish();
                swap.try_publish();
            }
        });
        let mut reader = swap_reader(&swap, 0);
        let mut former = None;
        burst(&swap, &mut reader, &mut former);
        burst(&swap, &mut reader, &mut former);
        control.join().unwrap();
    });
}

/// Tried, and reported: `Drop` of the reader stores with Relaxed; `free_slot` loads with Relaxed.
#[test]
fn swap_waits_for_a_worker_until_it_is_offline_and_not_longer() {
    loom::model(|| {
        let swap = Swap::with_meeting_point(1);
        assert!(swap.try_publish());
        let mut reader = swap_reader(&swap, 0);
        let worker = thread::spawn({
            let swap = swap.clone();
            move || {
                let mut former = None;
                burst(&swap, &mut reader, &mut former);
                drop(reader);
            }
        });
        swap.try_publish();
        swap.try_publish();
        worker.join().unwrap();
        assert!(swap.try_publish() && swap.try_publish(), "offline workers hold nothing");
    });
}

/// Tried, and reported: `free_slot` looks at the first worker only.
#[test]
fn swap_waits_for_every_worker() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let swap = Swap::with_meeting_point(2);
        assert!(swap.try_publish());
        let workers: Vec<_> = [0, 1]
            .map(|worker| {
                let mut reader = swap_reader(&swap, worker);
                let swap = swap.clone();
                thread::spawn(move || burst(&swap, &mut reader, &mut None))
            })
            .into();
        swap.try_publish();
        swap.try_publish();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A starting dataplane finds the snapshot damaged while control publishes a good one: the good one stays.
///
/// Tried, and reported: `put_out_of_force` as a plain store; its exchange with Relaxed.
#[test]
fn swap_keeps_what_control_publishes_while_a_damaged_snapshot_is_put_out_of_force() {
    loom::model(|| {
        let swap = Swap::new(1);
        assert!(swap.try_publish());
        let control = thread::spawn({
            let swap = swap.clone();
            move || swap.try_publish()
        });
        let reader = swap_reader(&swap, 0);
        let found = reader.look().expect("published before");
        swap.assert_whole(found);
        if found.generation.0 == 1 && !put_out_of_force(&*swap, found) {
            let newer = reader.look().expect("published meanwhile");
            assert_eq!(newer.generation.0, 2);
            swap.assert_whole(newer);
        }
        let published = control.join().unwrap();
        let now = swap_writer(&swap).in_force();
        assert_eq!(now.is_some(), published, "found {found:?}");
    });
}

/// The worker's part runs in the first thread, because of what the head of this file says: loom finds the places before
/// its stores where a reader may come in between from the reader's loads.
///
/// Tried, and reported: the release fence after the odd sequence removed; the acquire fence before the second look removed;
/// the even sequence stored with Relaxed; the first look with Relaxed; the odd sequence not stored.
#[test]
fn counters_are_read_as_of_one_moment() {
    loom::model(|| {
        let pair = Arc::new(Pair::default());
        let control = thread::spawn({
            let pair = pair.clone();
            move || {
                let [first, second] = pair.read();
                assert_eq!(first, second);
            }
        });
        pair.add();
        pair.add();
        control.join().unwrap();
        assert_eq!(pair.read(), [2, 2]);
    });
}

/// The slots have so many words that all interleavings would take hours; two forced changes of thread show each of the faults
/// named below.
fn few_preemptions(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Of an expectation that tells its port by the time it is over.
fn expected_port(port: u16) -> (ExpectedKey, Expectation) {
    let hosts = FlowKey::Narrow(NarrowKey([7, 0]));
    (
        ExpectedKey::new(&hosts, Kind::Tcp, Side::B, port),
        Expectation { helper: Helper::Ftp, once: true, until: 100 + u32::from(port) },
    )
}

/// A place is written anew twice: a reader finds what was said of a port, or nothing. Bounded for its time: unbounded it takes
/// minutes.
///
/// Tried, and reported: the release fence after the odd sequence removed; the acquire fence before the second look removed; the even
/// sequence stored with Relaxed; the first look with Relaxed.
#[test]
fn expectations_are_read_as_they_were_written() {
    few_preemptions(|| {
        let place = Arc::new(Place::default());
        let [one, two] = [1, 2].map(expected_port);
        let other = thread::spawn({
            let place = place.clone();
            move || {
                if let Some((key, Some(found))) = place.read() {
                    assert!((key, found) == one || (key, found) == two);
                }
            }
        });
        assert!(place.write(0, &one.0, one.1));
        assert!(place.write(2, &two.0, two.1));
        other.join().unwrap();
        assert_eq!(place.read(), Some((two.0, Some(two.1))));
    });
}

/// Two workers see the announced conversation: it is good for one.
///
/// Tried, and reported: the claim as a plain store.
#[test]
fn an_expectation_for_one_use_is_used_once() {
    few_preemptions(|| {
        let expected = Arc::new(Expected::new(1, Seed([1, 2])));
        let (key, expectation) = expected_port(1);
        assert!(expected.expect(&key, expectation, 50));
        let take = {
            let expected = expected.clone();
            move || expected.take(&key, 50).is_some()
        };
        let other = thread::spawn(take.clone());
        let own = take();
        assert!(own ^ other.join().unwrap());
    });
}

/// Two workers negotiate at the same time: neither gets in the other's place, and neither waits.
///
/// Tried, and reported: the claim as a plain store.
#[test]
fn expectations_of_two_workers_stay_whole() {
    few_preemptions(|| {
        let expected = Arc::new(Expected::new(1, Seed([1, 2])));
        let write = |port| {
            let expected = expected.clone();
            let (key, expectation) = expected_port(port);
            move || expected.expect(&key, expectation, 50)
        };
        let other = thread::spawn(write(1));
        let own = write(2)();
        let written = [other.join().unwrap(), own];
        for (port, written) in [1, 2].into_iter().zip(written) {
            let (key, expectation) = expected_port(port);
            let found = expected.take(&key, 50);
            assert_eq!(found, written.then_some(expectation));
        }
    });
}
