//! What systemd is told of this process (`sd_notify(3)`): that it is ready once every worker polls, and that it lives as long as they do.
//!
//! The watchdog is fed by the workers' heartbeats, not by the thread that sends: a process whose workers stand still is started again though its
//! main thread is well. Without systemd nothing is sent.

use std::time::{Duration, Instant};

use sd_notify::{NotifyState, notify};

/// What was told, and what it was based on.
pub struct Service {
    /// Whether all workers must move for a sign of life, or one, as `dataplane.worker_hung` says.
    all_needed: bool,
    /// Half of what systemd allows between two signs of life; None: it doesn't ask for any.
    every: Option<Duration>,
    told: Option<Instant>,
    /// The workers' heartbeats when systemd was told last.
    beats: Vec<u64>,
}

impl Service {
    /// Reads what systemd asks for. `all_needed`: one worker that stands still is enough for a restart.
    pub fn new(all_needed: bool) -> Self {
        Self {
            all_needed,
            every: sd_notify::watchdog_enabled().map(|time| time / 2),
            told: None,
            beats: Vec::new(),
        }
    }

    /// Tells systemd what is due, by the workers' heartbeats as they are now, at most one message a call. Called some times a second.
    pub fn look(&mut self, beats: impl Iterator<Item = u64>, now: Instant) {
        if let Some(state) = self.due(beats, now) {
            tell(&state);
        }
    }

    /// Tells systemd that the process ends in order.
    pub fn ends(&self) {
        tell(&[NotifyState::Stopping]);
    }

    fn due(
        &mut self,
        beats: impl Iterator<Item = u64>,
        now: Instant,
    ) -> Option<Vec<NotifyState<'static>>> {
        let beats: Vec<u64> = beats.collect();
        if self.told.is_some_and(|told| self.every.is_none_or(|every| now - told < every)) {
            return None;
        }
        if self.beats.is_empty() {
            // The first look is what the next ones are compared with.
            self.beats = beats;
            return None;
        }
        let mut moved = self.beats.iter().zip(&beats).map(|(before, now)| now > before);
        let lives = if self.all_needed || self.told.is_none() {
            moved.all(|moved| moved)
        } else {
            moved.any(|moved| moved)
        };
        if !lives {
            return None;
        }
        self.beats = beats;
        let first = self.told.replace(now).is_none();
        Some(if first {
            vec![NotifyState::Ready, NotifyState::Status("all workers poll")]
        } else {
            vec![NotifyState::Watchdog]
        })
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // It fails when systemd is gone, and then nobody waits for it.
    let _ = notify(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(every_ms: Option<u64>) -> Service {
        Service {
            all_needed: true,
            every: every_ms.map(Duration::from_millis),
            told: None,
            beats: Vec::new(),
        }
    }

    #[test]
    fn ready_comes_when_every_worker_moves_and_the_watchdog_stops_with_one() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut service = service(Some(1_000));
        let mut due = |beats: [u64; 2], ms| {
            service.due(beats.into_iter(), at(ms)).map(|due| format!("{:?}", due[0]))
        };
        assert_eq!(due([0, 0], 0), None);
        assert_eq!(due([5, 0], 100), None, "one doesn't poll yet");
        assert_eq!(due([6, 7], 200).unwrap(), "Ready");
        assert_eq!(due([9, 9], 300), None, "not due");
        assert_eq!(due([10, 10], 1_200).unwrap(), "Watchdog");
        assert_eq!(due([99, 10], 2_500), None, "one stands still");
        assert_eq!(due([199, 10], 9_500), None);
        assert_eq!(due([200, 11], 9_600).unwrap(), "Watchdog");
    }

    #[test]
    fn where_the_others_go_on_one_that_moves_is_enough_but_not_to_be_ready() {
        let start = Instant::now();
        let mut service = Service { all_needed: false, ..service(Some(1)) };
        let at = |ms| start + Duration::from_millis(ms);
        let told = [([1, 1], 0), ([2, 1], 10), ([3, 2], 20), ([4, 2], 30), ([4, 2], 40)]
            .map(|(beats, ms)| service.due(beats.into_iter(), at(ms)).is_some());
        assert_eq!(told, [false, false, true, true, false]);
    }

    #[test]
    fn without_a_watchdog_ready_is_all() {
        let mut service = service(None);
        let now = Instant::now();
        let told: Vec<bool> =
            (0..5).map(|beat| service.due([beat].into_iter(), now).is_some()).collect();
        assert_eq!(told, [false, true, false, false, false]);
    }
}
