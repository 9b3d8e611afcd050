//! How fast and how large: run by `cargo test --release -p loadlock-learn --test speed -- --ignored --nocapture`.

mod fab;

use std::time::Instant;

use fab::{START_NS, learner_of, tcp, work};
use loadlock_learn::{AdmissionSettings, Answers, LearnLimits, Learner};

/// Resident memory of this process in MiB.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

#[test]
#[ignore = "a measurement: scripts/perf/measure runs it"]
fn events_a_second() {
    let events: Vec<_> = work(200, 60).iter().flat_map(fab::Talk::events).collect();
    let mut best = 0f64;
    for _ in 0..5 {
        let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
        let started = Instant::now();
        events.iter().for_each(|event| learner.observe(event));
        best = best.max(events.len() as f64 / started.elapsed().as_secs_f64());
    }
    println!("{} events: {:.2} million a second (best of 5)", events.len(), best / 1e6);
}

#[test]
#[ignore = "a measurement: scripts/perf/measure runs it"]
fn memory_of_a_million_keys() {
    let before = resident_mib();
    let mut learner = Learner::new(&["fab".to_owned()], LearnLimits::default());
    for number in 0..1_000_000u32 {
        let client = (3 + (number >> 8 & 0x3f) as u8, number as u8);
        let talk =
            tcp(client, (1, (number >> 14 & 0x3f) as u8), 1000 + (number >> 16) as u16, START_NS);
        talk.events().iter().for_each(|event| learner.observe(event));
    }
    println!("{:?} keys: {:.0} MiB at the highest", learner.counts(), resident_mib() - before);
}

#[test]
#[ignore = "a measurement: scripts/perf/measure runs it"]
fn readiness_of_three_hundred_devices() {
    let learner = learner_of(&work(250, 30));
    let settings = AdmissionSettings::default();
    let started = Instant::now();
    let decisions = learner.decide(&settings, &Answers::default());
    let readiness = decisions.readiness(&[]);
    println!(
        "{} devices, {} candidates: {:.0} ms",
        readiness.devices.len(),
        decisions.candidates.len(),
        started.elapsed().as_secs_f64() * 1e3
    );
}
