//! Takes the link of a segment's one port down while the other's is, so that redundancy protocols and people see at once that the way
//! is cut.

use std::time::{Duration, Instant};

use loadlock_packet::Side;

/// A port that was let up has this long to find its link; so long its being down isn't taken for a failure.
const SETTLE: Duration = Duration::from_secs(5);
/// Without a change for so long, the hold is the configured one again.
const CALM: Duration = Duration::from_secs(60);
/// The hold doubles with each change, so many times at most: 64-fold.
const DOUBLINGS_MAX: u32 = 6;

/// What is to be done with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub side: Side,
    /// Let its link up, or take it down.
    pub up: bool,
}

/// The two ports of a segment.
#[derive(Debug)]
pub struct LinkPair {
    hold: Duration,
    /// Taken down by us.
    forced: Option<Side>,
    /// Since when there is reason for a step.
    reason_since: Option<(Step, Instant)>,
    /// Let up lately.
    settling: Option<(Side, Instant)>,
    changes: u32,
    changed_at: Option<Instant>,
}

impl LinkPair {
    /// A pair whose links are taken as they are. `hold`: how long a link must be down, or up again, before the other follows.
    pub fn new(hold: Duration) -> Self {
        Self {
            hold,
            forced: None,
            reason_since: None,
            settling: None,
            changes: 0,
            changed_at: None,
        }
    }

    /// What is due, given which links are up, A's first. Asked again and again; each step once.
    pub fn look(&mut self, up: [bool; 2], now: Instant) -> Option<Step> {
        if self.changed_at.is_some_and(|at| now - at >= CALM) {
            (self.changes, self.changed_at) = (0, None);
        }
        if self.settling.is_some_and(|(side, at)| up[side as usize] || now - at >= SETTLE) {
            self.settling = None;
        }
        let wanted = self.wanted(up);
        let Some(step) = wanted else {
            self.reason_since = None;
            return None;
        };
        let since = match self.reason_since {
            Some((same, since)) if same == step => since,
            _ => now,
        };
        self.reason_since = Some((step, since));
        if now - since < self.hold * (1 << self.changes.min(DOUBLINGS_MAX)) {
            return None;
        }
        self.reason_since = None;
        self.changes += 1;
        self.changed_at = Some(now);
        if step.up {
            (self.forced, self.settling) = (None, Some((step.side, now)));
        } else {
            (self.forced, self.settling) = (Some(step.side), None);
        }
        Some(step)
    }

    fn wanted(&self, up: [bool; 2]) -> Option<Step> {
        let is_up = |side: Side| up[side as usize];
        if let Some(side) = self.forced {
            // Its own link says nothing: it is down because of us.
            return is_up(side.other()).then_some(Step { side, up: true });
        }
        let settling = self.settling.map(|(side, _)| side);
        let failed = |side: Side| !is_up(side) && settling != Some(side);
        match (failed(Side::A), failed(Side::B)) {
            (true, false) if is_up(Side::B) || settling == Some(Side::B) => {
                Some(Step { side: Side::B, up: false })
            }
            (false, true) if is_up(Side::A) || settling == Some(Side::A) => {
                Some(Step { side: Side::A, up: false })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(100);
    const MS: Duration = Duration::from_millis(1);
    const DOWN_B: Step = Step { side: Side::B, up: false };
    const UP_B: Step = Step { side: Side::B, up: true };

    /// Steps by the time in ms, asked every 10 ms; `links` says which are up then, as far as it is for them to say.
    fn steps(until_ms: u32, mut links: impl FnMut(u32) -> [bool; 2]) -> Vec<(u32, Step)> {
        let (mut pair, start) = (LinkPair::new(HOLD), Instant::now());
        let (mut forced, mut steps) = ([false; 2], Vec::new());
        for ms in (0..until_ms).step_by(10) {
            let [a, b] = links(ms);
            if let Some(step) = pair.look([a && !forced[0], b && !forced[1]], start + MS * ms) {
                forced[step.side as usize] = !step.up;
                steps.push((ms, step));
            }
        }
        steps
    }

    #[test]
    fn the_other_side_follows_down_and_up_after_the_hold() {
        let found = steps(2_000, |ms| [!(200..800).contains(&ms), true]);
        // The second hold is twice the first.
        assert_eq!(found, [(300, DOWN_B), (1_000, UP_B)]);
    }

    #[test]
    fn shorter_than_the_hold_is_nothing() {
        assert_eq!(steps(2_000, |ms| [ms % 200 >= 90, true]), []);
        assert_eq!(steps(2_000, |ms| [true, ms % 200 >= 90]), []);
    }

    #[test]
    fn both_down_is_left_alone() {
        assert_eq!(steps(2_000, |ms| [ms < 500, ms < 500]), []);
    }

    /// 10 ms up, 190 down, for ten minutes; and a second each way.
    #[test]
    fn flaps_are_bounded() {
        assert!(steps(600_000, |ms| [ms % 200 < 10, true]).len() <= 2);
        let found = steps(60_000, |ms| [ms / 1_000 % 2 == 0, true]);
        assert!(found.len() <= 6, "{found:?}");
    }

    #[test]
    fn a_port_let_up_has_time_to_find_its_link() {
        // B's link takes three seconds after it was let up.
        let (mut pair, start) = (LinkPair::new(HOLD), Instant::now());
        assert_eq!(pair.look([false, true], start), None);
        assert_eq!(pair.look([false, true], start + HOLD), Some(DOWN_B));
        assert_eq!(pair.look([true, false], start + HOLD * 2), None);
        assert_eq!(pair.look([true, false], start + HOLD * 4), Some(UP_B));
        for ms in (0..3_000).step_by(10) {
            assert_eq!(pair.look([true, false], start + HOLD * 4 + MS * ms), None, "{ms}");
        }
        // It never comes: then it is B that is down.
        let late = start + HOLD * 4 + SETTLE;
        assert_eq!(pair.look([true, false], late), None);
        let down_a = Step { side: Side::A, up: false };
        assert_eq!(pair.look([true, false], late + HOLD * 4), Some(down_a));
    }

    #[test]
    fn calm_brings_the_configured_hold_back() {
        let found = steps(100_000, |ms| {
            [!(200..800).contains(&ms) && !(90_000..91_000).contains(&ms), true]
        });
        assert_eq!(found[2], (90_100, DOWN_B));
    }
}
