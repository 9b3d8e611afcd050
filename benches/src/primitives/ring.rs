//! The event ring against `rtrb` and `crossbeam::ArrayQueue`: records of 128 bytes from CPU 1 to CPU 0, in bursts of 32.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use core_affinity::CoreId;
use crossbeam::queue::ArrayQueue;
use loadlock_exchange::{
    ControlExchange, DataplaneExchange, Dimensions, RECORD_WORDS, Record, WorkerExchange,
};

use super::Primitive;
use crate::hugepages::HugeFolder;
use crate::in_memory::BURST;

/// The daemon's default.
const CAPACITY: usize = 65_536;
/// Records of a run.
const RECORDS: u64 = 20_000_000;

/// Measures each ring `runs` times.
///
/// # Errors
/// No memory for the exchange, or a ring loses records.
pub fn rings(runs: usize) -> io::Result<Primitive> {
    let mut measured = [
        ("loadlock", Vec::new()),
        ("rtrb, chunks", Vec::new()),
        ("rtrb, singly", Vec::new()),
        ("crossbeam ArrayQueue", Vec::new()),
    ];
    for _ in 0..runs {
        measured[0].1.push(loadlock()?);
        measured[1].1.push(rtrb_chunks()?);
        measured[2].1.push(rtrb_singly()?);
        measured[3].1.push(array_queue()?);
    }
    Ok(Primitive::of("records of 128 bytes from one CPU to another".to_owned(), &measured))
}

fn record(number: u64) -> Record {
    let mut record = [0; RECORD_WORDS];
    record[0] = number;
    record[RECORD_WORDS - 1] = number;
    record
}

/// Runs `send` on CPU 1 and `receive` on CPU 0 until all records are over, and returns records a second. `send` gets the number of the
/// next record and sends some, `receive` takes some; both return how many.
fn transfer(
    mut send: impl FnMut(u64) -> u64 + Send,
    mut receive: impl FnMut(&mut dyn FnMut(&Record)) + Send,
) -> io::Result<f64> {
    let begin = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let begin = &begin;
        let sender = scope.spawn(move || {
            core_affinity::set_for_current(CoreId { id: 1 });
            while !begin.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let mut sent = 0;
            while sent < RECORDS {
                let taken = send(sent);
                sent += taken;
                if taken == 0 {
                    std::hint::spin_loop();
                }
            }
        });
        let receiver = scope.spawn(move || {
            core_affinity::set_for_current(CoreId { id: 0 });
            begin.store(true, Ordering::Release);
            let start = Instant::now();
            let (mut received, mut wrong) = (0, 0u64);
            while received < RECORDS {
                receive(&mut |record| {
                    wrong +=
                        u64::from(record[0] != received || record[RECORD_WORDS - 1] != received);
                    received += 1;
                });
            }
            (start.elapsed().as_secs_f64(), wrong)
        });
        let died = |_| io::Error::other("a thread of the ring bench died");
        sender.join().map_err(died)?;
        let (seconds, wrong) = receiver.join().map_err(died)?;
        if wrong != 0 {
            return Err(io::Error::other(format!("{wrong} records were lost or torn")));
        }
        Ok(RECORDS as f64 / seconds)
    })
}

/// Both ends of an event ring in an exchange of its own.
///
/// # Errors
/// No memory.
pub fn event_ring(
    folder: &std::path::Path,
) -> io::Result<(DataplaneExchange, WorkerExchange, ControlExchange)> {
    let dimensions = Dimensions {
        workers: 1,
        ports: 2,
        ring_events: CAPACITY,
        rule_capacity: 1024,
        fingerprint: 0,
    };
    let file = folder.join("exchange");
    let mut dataplane = DataplaneExchange::open(&file, dimensions).map_err(io::Error::other)?;
    let control = ControlExchange::attach(&file, dimensions).map_err(io::Error::other)?;
    let worker = dataplane.take_workers().pop().ok_or_else(|| io::Error::other("no worker"))?;
    Ok((dataplane, worker, control))
}

fn loadlock() -> io::Result<f64> {
    let folder = HugeFolder::new("loadlock-ring")?;
    let (_dataplane, worker, mut control) = event_ring(folder.path())?;
    let mut producer = worker.events;
    let consumer = &mut control.events[0];
    transfer(
        move |next| {
            let burst = (BURST as u64).min(RECORDS - next);
            let sent = (next..next + burst)
                .take_while(|&number| producer.push_with(0, |slot| *slot = record(number)).is_ok())
                .count();
            producer.publish();
            sent as u64
        },
        move |take| {
            consumer.read_burst(BURST as u64, take);
            consumer.release();
        },
    )
}

fn rtrb_chunks() -> io::Result<f64> {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
    transfer(
        move |next| {
            let burst = (BURST as u64).min(RECORDS - next) as usize;
            let free = producer.slots().min(burst);
            let chunk = producer.write_chunk_uninit(free);
            chunk.map_or(0, |chunk| chunk.fill_from_iter((next..).map(record)) as u64)
        },
        move |take| {
            let filled = consumer.slots().min(BURST);
            if let Ok(chunk) = consumer.read_chunk(filled) {
                for record in chunk {
                    take(&record);
                }
            }
        },
    )
}

fn rtrb_singly() -> io::Result<f64> {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(CAPACITY);
    transfer(
        move |next| u64::from(producer.push(record(next)).is_ok()),
        move |take| {
            if let Ok(record) = consumer.pop() {
                take(&record);
            }
        },
    )
}

fn array_queue() -> io::Result<f64> {
    let queue = ArrayQueue::new(CAPACITY);
    let queue = &queue;
    transfer(
        move |next| u64::from(queue.push(record(next)).is_ok()),
        move |take| {
            if let Some(record) = queue.pop() {
                take(&record);
            }
        },
    )
}
