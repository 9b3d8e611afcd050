//! How much has not been seen yet.
//!
//! Incidence by day: each day is a sample, each tuple a species. Honest for a site, not for a device: a device has too few
//! tuples for its rare ones to say anything.

/// How often tuples were seen, by day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Incidence {
    /// Days, T.
    pub days: u32,
    /// Different tuples, S.
    pub seen: u32,
    /// Tuples of exactly one day, Q1.
    pub once: u32,
    /// Tuples of exactly two days, Q2.
    pub twice: u32,
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Lower and upper bound.
    pub interval: (f64, f64),
}

impl Incidence {
    /// Counts tuples by the number of days of each.
    pub fn count(days: u32, days_of_each: impl Iterator<Item = u32>) -> Self {
        let mut incidence = Self { days, ..Self::default() };
        for own in days_of_each {
            incidence.seen += 1;
            incidence.once += u32::from(own == 1);
            incidence.twice += u32::from(own == 2);
        }
        incidence
    }

    /// Tuples that exist and weren't seen: Chao2, f̂0 = ((T−1)/T)·Q1²/(2·Q2), in the bias-corrected form
    /// ((T−1)/T)·Q1(Q1−1)/(2(Q2+1)) where Q2 = 0 (Chao, "Estimating the population size for capture-recapture data with unequal
    /// catchability", Biometrics 43, 1987). The interval is log-normal, with the variance given there (eq. 13 of Chao 1987, as in Colwell's
    /// EstimateS for classic Chao2).
    #[must_use]
    pub fn unseen(&self) -> Estimate {
        let (t, q1, q2) = (f64::from(self.days), f64::from(self.once), f64::from(self.twice));
        if self.days < 2 || self.once == 0 {
            return Estimate::default();
        }
        let k = (t - 1.0) / t;
        let (value, variance) = if self.twice > 0 {
            let r = q1 / q2;
            (
                k * q1 * q1 / (2.0 * q2),
                q2 * (k / 2.0 * r.powi(2) + k.powi(2) * r.powi(3) + k.powi(2) / 4.0 * r.powi(4)),
            )
        } else {
            let value = k * q1 * (q1 - 1.0) / 2.0;
            let chao = f64::from(self.seen) + value;
            let variance = k * q1 * (q1 - 1.0) / 2.0
                + k.powi(2) * q1 * (2.0 * q1 - 1.0).powi(2) / 4.0
                - k.powi(2) * q1.powi(4) / (4.0 * chao);
            (value, variance.max(0.0))
        };
        Estimate { value, interval: log_normal(value, variance) }
    }

    /// Different tuples that `more` further days will bring: f̂0·[1 − (1 − Q1/(T·f̂0 + Q1))^t*] (Colwell, Chao, Gotelli et al., "Models and
    /// estimators linking individual-based and sample-based rarefaction, extrapolation and comparison of assemblages", J. Plant
    /// Ecology 5, 2012, eq. 18). The bounds are those of the unseen, extrapolated alike.
    #[must_use]
    pub fn new_within(&self, more: f64) -> Estimate {
        let unseen = self.unseen();
        let (t, q1) = (f64::from(self.days), f64::from(self.once));
        let extrapolate = |f0: f64| {
            if f0 <= 0.0 { 0.0 } else { f0 * (1.0 - (1.0 - q1 / (t * f0 + q1)).powf(more)) }
        };
        let (low, high) = unseen.interval;
        Estimate {
            value: extrapolate(unseen.value),
            interval: (extrapolate(low), extrapolate(high)),
        }
    }
}

/// The log-normal 95 % interval of an estimate of what is unseen (Chao 1987): value / K to value · K.
fn log_normal(value: f64, variance: f64) -> (f64, f64) {
    const NORMAL_975: f64 = 1.959_963_984_540_054;
    if value <= 0.0 {
        return (0.0, 0.0);
    }
    let k = (NORMAL_975 * (1.0 + variance / value.powi(2)).ln().sqrt()).exp();
    (value / k, value * k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chao2_gives_the_textbook_value() {
        // 30 days, 20 tuples once, 10 twice: 29/30 · 400/20.
        let incidence = Incidence { days: 30, seen: 200, once: 20, twice: 10 };
        let unseen = incidence.unseen();
        assert!((unseen.value - 19.333_333).abs() < 1e-5, "{unseen:?}");
        assert!(unseen.interval.0 < 19.4 && unseen.interval.1 > 19.3, "{unseen:?}");
        let month = incidence.new_within(30.0);
        assert!(month.value > 0.0 && month.value < unseen.value, "{month:?}");
        let ever = incidence.new_within(1e9);
        assert!((ever.value - unseen.value).abs() < 1e-6);
    }

    #[test]
    fn without_singletons_nothing_is_unseen() {
        assert_eq!(Incidence { days: 9, seen: 50, once: 0, twice: 3 }.unseen().value, 0.0);
        assert!(Incidence { days: 9, seen: 50, once: 4, twice: 0 }.unseen().value > 0.0);
        assert_eq!(Incidence { days: 1, seen: 50, once: 50, twice: 0 }.unseen().value, 0.0);
    }

    #[test]
    fn a_known_population_is_covered_by_the_interval() {
        // 300 tuples, each seen on a day with probability 0.05: after 20 days 300·0.95^20 ≈ 107 are unseen.
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        let counts: Vec<u32> =
            (0..300).map(|_| (0..20).map(|_| u32::from(random() < 0.05)).sum()).collect();
        let unseen = counts.iter().filter(|count| **count == 0).count() as f64;
        let seen = counts.iter().copied().filter(|count| *count > 0);
        let (low, high) = Incidence::count(20, seen).unseen().interval;
        assert!((low..high).contains(&unseen), "{low} {unseen} {high}");
    }
}
