//! Medians, ranges and ratios.

use serde::Serialize;

/// Median, least and most of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        Self {
            median: median(values.to_vec()),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The median; of an even number the mean of the middle two.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Figures of one load.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Conversations.
    pub flows: u32,
    /// Rules of the enforced allowlist.
    pub rules: u32,
    /// Runs of each program, alternating.
    pub runs: usize,
    /// Ours, packets per second.
    pub loadlock_pps: Spread,
    /// testpmd macswap, packets per second.
    pub macswap_pps: Spread,
    /// Ours by macswap's, pair by pair.
    pub ratio_to_macswap: Spread,
}

impl Line {
    /// From runs in pairs.
    #[must_use]
    pub fn of(flows: u32, rules: u32, loadlock: &[f64], macswap: &[f64]) -> Self {
        let ratios: Vec<f64> =
            loadlock.iter().zip(macswap).map(|(ours, peer)| ours / peer).collect();
        Self {
            flows,
            rules,
            runs: loadlock.len(),
            loadlock_pps: Spread::of(loadlock),
            macswap_pps: Spread::of(macswap),
            ratio_to_macswap: Spread::of(&ratios),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mpps = |spread: Spread| {
            let [median, min, max] = [spread.median, spread.min, spread.max].map(|pps| pps / 1e6);
            format!("{median:.2} Mpps ({min:.2}–{max:.2})")
        };
        let Spread { median, min, max } = self.ratio_to_macswap;
        format!(
            "{:>8} flows, {} rules: loadlock {}, testpmd macswap {}, ratio {median:.3} ({min:.3}–{max:.3})",
            self.flows,
            self.rules,
            mpps(self.loadlock_pps),
            mpps(self.macswap_pps),
        )
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn medians() {
        assert_eq!(super::median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(super::median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
