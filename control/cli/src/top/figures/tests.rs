//! Rates from two answers, and what happens when a counter was made anew.

use loadlock_api::Time;

use super::*;

/// The moment of the fake's answers.
pub const NOW_NS: u64 = 1_777_896_191_000_000_250;

#[path = "../../../../api/tests/fake/figures.rs"]
#[allow(dead_code, reason = "lists that are no business of this verb")]
mod fake;

/// The fake control's answer.
pub fn sample() -> Sample {
    Sample { status: fake::status(), drops: fake::drops() }
}

/// The same two seconds later, after some work.
pub fn later() -> Sample {
    let mut later = sample();
    later.status.time = Time::from_ns(NOW_NS + 2_000_000_000);
    let worker = &mut later.status.workers[0];
    // 100,000 bursts of 12 frames and 2,400 cycles, at 2·10⁹ cycles a second: 6 % of two seconds.
    worker.bursts += 100_000;
    worker.empty_polls += 300_000;
    worker.received_packets += 1_200_000;
    worker.sampled_bursts += 1_000;
    worker.sampled_cycles += 2_400_000;
    let port = &mut later.status.segments[0].side_a;
    port.received_packets += 1_200_000;
    port.received_bytes += 1_200_000 * 100;
    port.forwarded_packets += 1_199_000;
    port.forwarded_bytes += 1_199_000 * 100;
    port.dropped_packets += 1_000;
    port.missed_packets += 20;
    later.drops[1].dropped_packets += 1_000;
    later
}

/// Both answers.
pub fn figures() -> Figures {
    let mut figures = Figures::new(sample(), 1);
    figures.take(Ok(later()));
    figures
}

#[test]
fn work_is_what_changed_between_two_answers() {
    let figures = figures();
    let work = figures.work(&figures.status().workers[0]);
    assert_eq!(
        work,
        Work {
            load: Some(0.06),
            polls: Some(0.25),
            packets_per_burst: Some(12.0),
            cycles_per_packet: Some(200.0),
            received_pps: Some(600_000),
        }
    );
    let traffic = figures.traffic(&figures.status().segments[0].side_a);
    assert_eq!(
        traffic,
        Traffic {
            received_pps: Some(600_000),
            received_bits_per_s: Some(480_000_000),
            forwarded_pps: Some(599_500),
            forwarded_bits_per_s: Some(479_600_000),
            dropped_pps: Some(500),
            lost_pps: Some(10),
        }
    );
}

#[test]
fn one_answer_has_no_rates_and_an_idle_worker_no_cycles() {
    let first = Figures::new(sample(), 1);
    assert_eq!(first.work(&first.status().workers[0]), Work::default());
    assert_eq!(first.traffic(&first.status().segments[0].side_a), Traffic::default());
    assert!(first.dropped().iter().all(|drop| drop.dropped_pps.is_none()));

    let mut idle = Figures::new(sample(), 1);
    let mut later = sample();
    later.status.time = Time::from_ns(NOW_NS + 1_000_000_000);
    later.status.workers[0].empty_polls += 5;
    idle.take(Ok(later));
    let work = idle.work(&idle.status().workers[0]);
    assert_eq!((work.load, work.polls, work.received_pps), (Some(0.0), Some(0.0), Some(0)));
    assert_eq!((work.packets_per_burst, work.cycles_per_packet), (None, None));
}

#[test]
fn a_dataplane_that_began_anew_gives_no_nonsense() {
    let mut figures = Figures::new(later(), 1);
    let mut anew = sample();
    anew.status.time = Time::from_ns(NOW_NS + 3_000_000_000);
    figures.take(Ok(anew.clone()));
    assert_eq!(figures.work(&figures.status().workers[0]), Work::default());
    assert_eq!(figures.traffic(&figures.status().segments[0].side_a), Traffic::default());
    // More workers than before, and a clock that stands.
    anew.status.workers.push(WorkerStatus { index: 1, ..WorkerStatus::default() });
    figures.take(Ok(anew));
    assert_eq!(figures.work(&figures.status().workers[1]), Work::default());
    assert_eq!(figures.work(&figures.status().workers[0]).received_pps, None);
}

#[test]
fn drops_are_summed_by_reason_with_the_most_at_present_first() {
    let mut later = later();
    let mut new = later.drops[0].clone();
    (new.reason, new.dropped_packets) = ("malformed".to_owned(), 10);
    later.drops.push(new);
    later.drops.push(later.drops[2].clone());
    let mut figures = Figures::new(sample(), 1);
    figures.take(Ok(later));
    let dropped = figures.dropped();
    let shown: Vec<_> = dropped
        .iter()
        .map(|drop| (drop.reason.as_str(), drop.dropped_pps.unwrap(), drop.dropped))
        .collect();
    assert_eq!(
        shown,
        [
            ("wrong_direction", 617, 2_468),
            ("ipv4_length", 500, 1_007),
            ("malformed", 5, 10),
            ("no_rule", 0, 560),
        ]
    );
}

#[test]
fn trouble_stays_until_there_is_an_answer() {
    let mut figures = figures();
    figures.take(Err("control isn't running".to_owned()));
    assert_eq!(figures.trouble(), Some("control isn't running"));
    assert_eq!(figures.work(&figures.status().workers[0]).polls, Some(0.25));
    figures.take(Ok(later()));
    assert_eq!(figures.trouble(), None);
}
