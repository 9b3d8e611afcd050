//! What is measured, of each contestant.

use serde::Serialize;

/// One figure of each contestant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// Loadlock.
    pub loadlock: f64,
    /// Everything that was seen in the same time.
    #[serde(rename = "record-all")]
    pub record_all: f64,
    /// Everything that was seen in thirty days.
    #[serde(rename = "fixed-30-days")]
    pub fixed_30_days: f64,
    /// Loadlock, and nobody answers a question.
    #[serde(rename = "loadlock-nobody")]
    pub nobody: f64,
    /// Loadlock, and somebody who says yes to everything.
    #[serde(rename = "loadlock-yes")]
    pub yes: f64,
}

/// The figures of one contestant in one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Tuples of attacks that its policy permits.
    pub attack_tuples_admitted: f64,
    /// Blocked benign conversations per hundred devices and week of enforcement.
    pub benign_blocks_per_100_devices_week: f64,
    /// Share of benign tuples needed after learning that its policy permits.
    pub rule_recall: f64,
    /// Share of permitted tuples that somebody's work needs.
    pub rule_precision: f64,
    /// Questions to a person, per device.
    pub cards_per_device: f64,
    /// Share of benign conversations after learning that were forwarded.
    pub connection_recall: f64,
    /// The same, had nobody changed the first policy or announced a window.
    pub first_policy_recall: f64,
    /// Benign conversations while it enforced.
    pub benign_connections: f64,
    /// Those blocked.
    pub benign_blocked: f64,
    /// Their share.
    pub benign_blocked_share: f64,
    /// Conversations of attacks after the learning time that were forwarded.
    pub attack_connections_forwarded: f64,
    /// Rights that attacks used, and whose volume was an alarm.
    pub loud_attacks: f64,
    /// Those of benign work.
    pub loud_benign: f64,
    /// Share of permitted tuples that nobody used while it enforced.
    pub permitted_never_used_share: f64,
    /// Rules.
    pub rules: f64,
    /// Lines that a person reads; for the baselines, the rules.
    pub summary_lines: f64,
    /// Questions to a person.
    pub cards: f64,
    /// Days of learning.
    pub learn_days: f64,
}

impl Figures {
    /// Nothing is known.
    pub(crate) fn unknown() -> Self {
        let none = f64::NAN;
        Self {
            attack_tuples_admitted: none,
            benign_blocks_per_100_devices_week: none,
            rule_recall: none,
            rule_precision: none,
            cards_per_device: none,
            connection_recall: none,
            first_policy_recall: none,
            benign_connections: none,
            benign_blocked: none,
            benign_blocked_share: none,
            attack_connections_forwarded: none,
            loud_attacks: none,
            loud_benign: none,
            permitted_never_used_share: none,
            rules: none,
            summary_lines: none,
            cards: none,
            learn_days: none,
        }
    }
}

/// How a figure is read from [`Figures`].
type Reading = fn(&Figures) -> f64;

/// Every figure: its key, whether less is better, and how it is read.
pub(crate) const FIGURES: [(&str, bool, Reading); 18] = [
    ("attack_tuples_admitted", true, |f| f.attack_tuples_admitted),
    ("benign_blocks_per_100_devices_week", true, |f| f.benign_blocks_per_100_devices_week),
    ("rule_recall", false, |f| f.rule_recall),
    ("rule_precision", false, |f| f.rule_precision),
    ("cards_per_device", true, |f| f.cards_per_device),
    ("connection_recall", false, |f| f.connection_recall),
    ("first_policy_recall", false, |f| f.first_policy_recall),
    ("benign_connections", false, |f| f.benign_connections),
    ("benign_blocked", true, |f| f.benign_blocked),
    ("benign_blocked_share", true, |f| f.benign_blocked_share),
    ("attack_connections_forwarded", true, |f| f.attack_connections_forwarded),
    ("loud_attacks", false, |f| f.loud_attacks),
    ("loud_benign", true, |f| f.loud_benign),
    ("permitted_never_used_share", true, |f| f.permitted_never_used_share),
    ("rules", true, |f| f.rules),
    ("summary_lines", true, |f| f.summary_lines),
    ("cards", true, |f| f.cards),
    ("learn_days", true, |f| f.learn_days),
];

/// The contestants' names, Loadlock first.
pub const CONTESTANTS: [&str; 5] =
    ["loadlock", "record-all", "fixed-30-days", "loadlock-nobody", "loadlock-yes"];

impl Row {
    pub(crate) fn of(values: [f64; 5]) -> Self {
        let [loadlock, record_all, fixed_30_days, nobody, yes] = values;
        Self { loadlock, record_all, fixed_30_days, nobody, yes }
    }

    pub(crate) fn values(&self) -> [f64; 5] {
        [self.loadlock, self.record_all, self.fixed_30_days, self.nobody, self.yes]
    }
}

/// The mean of every figure over runs, and its worst.
pub(crate) fn summarise(runs: &[[Figures; 5]]) -> Vec<(&'static str, Row, Row)> {
    let figures = FIGURES.iter();
    figures
        .map(|(name, less_is_better, read)| {
            let of = |contestant: usize| runs.iter().map(move |run| read(&run[contestant]));
            let mean = |at| of(at).sum::<f64>() / runs.len().max(1) as f64;
            let worse = if *less_is_better { f64::max } else { f64::min };
            // What is unknown has no worst either.
            let worst = |at| of(at).reduce(worse).unwrap_or(f64::NAN);
            (*name, Row::of([0, 1, 2, 3, 4].map(mean)), Row::of([0, 1, 2, 3, 4].map(worst)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_has_neither_mean_nor_worst() {
        let known = |blocked| Figures { benign_blocked: blocked, ..Figures::unknown() };
        let runs = [3.0, 5.0].map(|blocked| {
            let mut run = [Figures::unknown(); 5];
            run[0] = known(blocked);
            run
        });
        let summary = summarise(&runs);
        let (_, mean, worst) = summary.iter().find(|row| row.0 == "benign_blocked").unwrap();
        assert_eq!((mean.loadlock, worst.loadlock), (4.0, 5.0));
        for (name, mean, worst) in summary {
            assert!(mean.yes.is_nan() && worst.yes.is_nan(), "{name}: {mean:?} {worst:?}");
        }
    }
}
