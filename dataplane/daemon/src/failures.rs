//! What each segment does about what fails: looked at by the main thread, obeyed by the workers.
//!
//! Not here: a full flow table or ring, which a worker meets in the middle of a burst (`pipeline`), and what happens when
//! this process is gone.

use std::time::{Duration, Instant};

use loadlock_exchange::{Adopted, DataplaneExchange, Handling};
use loadlock_packet::SegmentId;
use loadlock_settings::{Answer, SegmentSettings, Settings};

use crate::overrides::Overrides;

/// What was seen of the failures so far.
pub struct Failures {
    segments: Vec<(SegmentId, SegmentSettings)>,
    control: Silence,
    /// Until then a segment that waits for a policy gets no frame judged.
    wait_until: Instant,
    damaged_at_start: bool,
    said: Overrides,
}

/// For how long a word hasn't moved, by this process's own clock: the other's may be set.
struct Silence {
    word: u64,
    since: Instant,
    allowed: Duration,
}

impl Silence {
    fn is_over(&mut self, word: u64, now: Instant) -> bool {
        if word != self.word {
            (self.word, self.since) = (word, now);
        }
        now - self.since >= self.allowed
    }
}

/// What holds at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Situation {
    has_policy: bool,
    damaged: bool,
    waiting: bool,
    control_dead: bool,
}

impl Failures {
    /// From now on.
    pub fn new(settings: &Settings, exchange: &DataplaneExchange) -> Self {
        let numbered = settings.segments.iter().enumerate();
        let now = Instant::now();
        Self {
            segments: numbered
                .filter_map(|(at, segment)| Some((SegmentId::new(at)?, segment.clone())))
                .collect(),
            control: Silence {
                word: exchange.control_heartbeat_ns(),
                since: now,
                allowed: settings.dataplane.control_silence,
            },
            wait_until: now + settings.dataplane.policy_wait,
            damaged_at_start: matches!(exchange.adopted(), Adopted::Damaged(_)),
            said: Overrides::NONE,
        }
    }

    /// Looks at everything, says what changed, and returns what the workers shall do. `now_ns` is the time since 1970.
    pub fn look(&mut self, exchange: &DataplaneExchange, now_ns: u64) -> Overrides {
        let now = Instant::now();
        let has_policy = exchange.has_policy();
        let situation = Situation {
            has_policy,
            damaged: (self.damaged_at_start && !has_policy) || exchange.is_policy_refused(),
            waiting: now < self.wait_until,
            control_dead: self.control.is_over(exchange.control_heartbeat_ns(), now),
        };
        let mut overrides = Overrides::NONE;
        for (id, segment) in &self.segments {
            let bypassed = exchange.bypass_until_ns(*id) > now_ns;
            let (what, why) = match bypassed {
                true => (Handling::Open, "it is in bypass"),
                false => situation.answer(segment),
            };
            if what != self.said.of(*id) {
                say(segment, what, why);
            }
            overrides = overrides.with(*id, what);
        }
        self.said = overrides;
        overrides
    }

    /// Is any segment to forward before there is a policy?
    pub fn opens(&mut self, exchange: &DataplaneExchange, now_ns: u64) -> bool {
        let overrides = self.look(exchange, now_ns);
        self.segments.iter().any(|(id, _)| overrides.of(*id) == Handling::Open)
    }
}

impl Situation {
    /// The strictest of what the segment answers to each failure: one that closes means it whatever else is the matter.
    fn answer(self, segment: &SegmentSettings) -> (Handling, &'static str) {
        let corrupt = (self.damaged, segment.policy_corrupt, "its policy is damaged");
        // A damaged policy at the start is none: who answers that as one without policy says "static".
        let says = self.damaged && segment.policy_corrupt != Answer::Static;
        let none = (!self.has_policy && !says, segment.no_policy, "there is no policy");
        let dead = (self.control_dead, segment.control_dead, "control is silent");
        let answers = [corrupt, none, dead].into_iter().filter(|(holds, ..)| *holds);
        let find = |wanted: Answer| {
            answers.clone().find(|(_, answer, _)| *answer == wanted).map(|(.., why)| why)
        };
        if let Some(why) = find(Answer::Closed) {
            return (Handling::Closed, why);
        }
        if let Some(why) = find(Answer::Open) {
            return (Handling::Open, why);
        }
        if !self.has_policy && self.waiting {
            return (Handling::Closed, "it waits for a policy");
        }
        (Handling::Judged, "")
    }
}

fn say(segment: &SegmentSettings, what: Handling, why: &str) {
    let name = &segment.name;
    match what {
        Handling::Judged => eprintln!("loadlock-dataplane: segment {name} is judged again"),
        Handling::Open => {
            eprintln!("loadlock-dataplane: segment {name} forwards everything unjudged: {why}");
        }
        Handling::Closed => {
            eprintln!("loadlock-dataplane: segment {name} drops everything: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[dataplane]
worker_cores = [1]
[[port]]
name = "a"
device = "net_null"
[[port]]
name = "b"
device = "net_null"
[[segment]]
name = "fab"
side_a = "a"
side_b = "b"
"#;

    fn segment(keys: &str) -> SegmentSettings {
        let settings = Settings::parse(&format!("{FILE}{keys}"), "test.toml").unwrap();
        settings.segments[0].clone()
    }

    fn of(situation: Situation, keys: &str) -> Handling {
        situation.answer(&segment(keys)).0
    }

    const WELL: Situation =
        Situation { has_policy: true, damaged: false, waiting: false, control_dead: false };

    #[test]
    fn by_default_nothing_but_waiting_stops_judging() {
        for control_dead in [false, true] {
            for has_policy in [false, true] {
                for damaged in [false, true] {
                    let situation = Situation { has_policy, damaged, control_dead, ..WELL };
                    assert_eq!(of(situation, ""), Handling::Judged, "{situation:?}");
                }
            }
        }
        let waiting = Situation { has_policy: false, waiting: true, ..WELL };
        assert_eq!(of(waiting, ""), Handling::Closed);
    }

    #[test]
    fn each_failure_is_answered_as_its_key_says_and_by_no_other() {
        let dead = Situation { control_dead: true, ..WELL };
        let none = Situation { has_policy: false, ..WELL };
        let damaged = Situation { damaged: true, ..WELL };
        let at_start = Situation { damaged: true, has_policy: false, waiting: true, ..WELL };
        let cases = [
            ("control_dead", vec![dead], vec![WELL, none, damaged]),
            ("no_policy", vec![none], vec![WELL, dead, damaged]),
            ("policy_corrupt", vec![damaged, at_start], vec![WELL, none, dead]),
        ];
        for (key, met, others) in cases {
            for (word, what) in [("open", Handling::Open), ("closed", Handling::Closed)] {
                let keys = format!("{key} = \"{word}\"");
                for situation in &met {
                    assert_eq!(of(*situation, &keys), what, "{keys} {situation:?}");
                }
                for situation in &others {
                    assert_eq!(of(*situation, &keys), Handling::Judged, "{keys} {situation:?}");
                }
            }
        }
        assert_eq!(of(at_start, "no_policy = \"open\""), Handling::Open, "damaged is none");
    }

    #[test]
    fn of_two_failures_the_closed_answer_holds() {
        let both = Situation { has_policy: false, control_dead: true, ..WELL };
        let keys = "control_dead = \"open\"\nno_policy = \"closed\"";
        assert_eq!(of(both, keys), Handling::Closed);
        let keys = "control_dead = \"closed\"\nno_policy = \"open\"";
        assert_eq!(of(both, keys), Handling::Closed);
    }

    #[test]
    fn a_clock_that_is_set_back_is_a_sign_of_life() {
        let start = Instant::now();
        let mut silence = Silence { word: 9, since: start, allowed: Duration::from_secs(1) };
        assert!(!silence.is_over(9, start + Duration::from_millis(999)));
        assert!(silence.is_over(9, start + Duration::from_secs(1)));
        assert!(!silence.is_over(3, start + Duration::from_secs(1)));
    }
}
