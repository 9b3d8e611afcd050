//! Medians, ranges and ratios.

use serde::Serialize;

/// Name of the program that ratios are told against.
pub const MACSWAP: &str = "testpmd macswap";

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

    /// As `median (min–max)`, divided by `unit`.
    #[must_use]
    pub fn text(&self, unit: f64, decimals: usize) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(|value| value / unit);
        format!("{median:.decimals$} ({min:.decimals$}–{max:.decimals$})")
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

/// One run of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Packets per second.
    pub pps: f64,
    /// As [`crate::process::Process::cpu_taken_away`].
    pub cpu_taken_away: f64,
}

/// A share of the CPU above which a figure says more about the machine than about the program.
const DISTURBED: f64 = 0.02;

/// One program's runs of a case.
#[derive(Clone, Debug, Serialize)]
pub struct Program {
    /// Which, and how it was set up where that differs within the case.
    pub name: String,
    /// Packets per second.
    pub pps: Spread,
    /// To testpmd macswap, run by run.
    pub ratio_to_macswap: Option<Spread>,
    /// To the case's first program, run by run.
    pub ratio_to_first: Spread,
    /// The share of the worst run's time in which something else had the CPU.
    pub cpu_taken_away_max: f64,
}

/// Figures of one case: programs that ran alternately.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The case's name.
    pub case: String,
    /// Frames of each capture.
    pub flows: u32,
    /// What they are.
    pub frames: &'static str,
    /// Rules of Loadlock's allowlist; of the first program where they differ.
    pub rules: u32,
    /// Runs of each program.
    pub runs: usize,
    /// The first program's, which is Loadlock, to testpmd macswap, run by run.
    pub ratio_to_macswap: Option<Spread>,
    /// All programs, Loadlock first.
    pub programs: Vec<Program>,
}

/// Names, and each run.
pub type Runs = [(String, Vec<Run>)];

impl Comparison {
    /// From alternating runs.
    #[must_use]
    pub fn of(case: &str, (flows, frames): (u32, &'static str), rules: u32, runs: &Runs) -> Self {
        let ratio = |to: &[Run], of: &[Run]| {
            Spread::of(&of.iter().zip(to).map(|(of, to)| of.pps / to.pps).collect::<Vec<_>>())
        };
        let macswap = runs.iter().find(|(name, _)| name == MACSWAP);
        let programs: Vec<Program> = runs
            .iter()
            .map(|(name, values)| Program {
                name: name.clone(),
                pps: Spread::of(&values.iter().map(|run| run.pps).collect::<Vec<_>>()),
                ratio_to_macswap: macswap.map(|(_, macswap)| ratio(macswap, values)),
                ratio_to_first: ratio(&runs[0].1, values),
                cpu_taken_away_max: values.iter().map(|run| run.cpu_taken_away).fold(0.0, f64::max),
            })
            .collect();
        Self {
            case: case.to_owned(),
            flows,
            frames,
            rules,
            runs: runs[0].1.len(),
            ratio_to_macswap: programs[0].ratio_to_macswap,
            programs,
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}: {} flows, {}, {} rules; median (min–max) of {} runs\n",
            self.case, self.flows, self.frames, self.rules, self.runs
        );
        for program in &self.programs {
            let Program { name, pps, ratio_to_macswap, ratio_to_first, cpu_taken_away_max } =
                program;
            let to_macswap = ratio_to_macswap.map_or(String::new(), |ratio| ratio.text(1.0, 3));
            text += &format!(
                "  {name:<28} {:>22} Mpps   {to_macswap:>20} × macswap   {:>20} × first\n",
                pps.text(1e6, 2),
                ratio_to_first.text(1.0, 3),
            );
            if *cpu_taken_away_max > DISTURBED {
                text += &format!(
                    "    disturbed: other programs had its CPU for {:.0} % of a run; end them and measure again\n",
                    cpu_taken_away_max * 100.0
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn ratios_are_taken_run_by_run() {
        let run = |pps| Run { pps, cpu_taken_away: 0.0 };
        let ours = ("loadlock".to_owned(), vec![run(1.0), run(6.0)]);
        let runs = [ours, (MACSWAP.to_owned(), vec![run(2.0), run(8.0)])];
        let comparison = Comparison::of("case", (4, "frames"), 1, &runs);
        let ratio = comparison.ratio_to_macswap.unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (0.5, 0.625, 0.75));
    }
}
