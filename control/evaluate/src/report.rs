//! The report: JSON for programs, a table for people, charts.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use loadlock_generate::Site;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::error::EvaluateError;
use crate::measures::{CONTESTANTS, Figures, Row, summarise};
use crate::plots;
use crate::site::{SiteRun, run_site};

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct ScenarioOptions {
    /// The site's file.
    pub scenario: PathBuf,
    /// Variants that are switched on.
    pub with: Vec<String>,
    /// Days, if not the scenario's.
    pub days: Option<u32>,
    /// The first seed.
    pub seed: u64,
    /// How many seeds, one after the other.
    pub seeds: u32,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario or the capture, with its variants.
    pub subject: String,
    /// The seeds; empty for a capture.
    pub seeds: Vec<u64>,
    /// What of a capture isn't in the figures, in words.
    pub remarks: Vec<String>,
    rows: Vec<(&'static str, Row, Row)>,
    runs: Vec<SiteRun>,
}

/// Evaluates a scenario with each seed.
///
/// # Errors
/// [`EvaluateError`].
pub fn evaluate_scenario(options: &ScenarioOptions) -> Result<Report, EvaluateError> {
    let text = fs::read_to_string(&options.scenario).map_err(|source| {
        let file = options.scenario.display().to_string();
        EvaluateError::Scenario(loadlock_generate::ScenarioError::Read { file, source })
    })?;
    if !Site::is_site(&text) {
        return Err(EvaluateError::NotASite { file: options.scenario.clone() });
    }
    let site = Site::open(&options.scenario, &options.with)?;
    let days = options.days.unwrap_or(site.days());
    let site = site.for_days(days);
    let seeds: Vec<u64> = (options.seed..).take(options.seeds as usize).collect();
    let runs: Result<Vec<SiteRun>, EvaluateError> =
        seeds.iter().map(|seed| run_site(&site, *seed)).collect();
    let runs = runs?;
    let figures: Vec<[Figures; 5]> = runs.iter().map(|run| run.figures).collect();
    let with = match options.with.is_empty() {
        true => String::new(),
        false => format!(" with {}", options.with.join(", ")),
    };
    Ok(Report {
        subject: format!("{}{with}", options.scenario.display()),
        seeds,
        remarks: Vec::new(),
        rows: summarise(&figures),
        runs,
    })
}

impl Report {
    pub(crate) fn of_capture(subject: String, figures: [Figures; 5], remarks: Vec<String>) -> Self {
        let rows = summarise(&[figures]);
        Self { subject, seeds: Vec::new(), remarks, rows, runs: Vec::new() }
    }

    /// The mean of a figure, by its key.
    #[must_use]
    pub fn row(&self, key: &str) -> Option<Row> {
        self.rows.iter().find(|(name, ..)| *name == key).map(|(_, mean, _)| *mean)
    }

    /// The worst of a figure over the seeds, by its key.
    #[must_use]
    pub fn worst(&self, key: &str) -> Option<Row> {
        self.rows.iter().find(|(name, ..)| *name == key).map(|(.., worst)| *worst)
    }

    /// The runs, one for each seed.
    #[must_use]
    pub fn runs(&self) -> &[SiteRun] {
        &self.runs
    }

    /// The report as JSON: every figure by its key, with its mean of each contestant; `worst` has the worst of all seeds.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.unwrap_or_else(|error| unreachable!("figures are numbers: {error}")) + "\n"
    }

    /// Writes the JSON, and the charts beside it: the same name with `-curve.svg`, `-forecast.svg`, `-blocked.svg`. Returns the files.
    ///
    /// # Errors
    /// [`EvaluateError::Write`], [`EvaluateError::Plot`].
    pub fn write(&self, file: &Path) -> Result<Vec<PathBuf>, EvaluateError> {
        fs::write(file, self.to_json())
            .map_err(|source| EvaluateError::Write { file: file.to_owned(), source })?;
        let mut files = vec![file.to_owned()];
        if let Some(run) = self.runs.first() {
            files.extend(plots::write(file, &self.subject, run)?);
        }
        Ok(files)
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("subject", &self.subject)?;
        map.serialize_entry("seeds", &self.seeds)?;
        for (name, mean, _) in &self.rows {
            map.serialize_entry(name, mean)?;
        }
        map.serialize_entry("worst", &Worst(&self.rows))?;
        if !self.remarks.is_empty() {
            map.serialize_entry("remarks", &self.remarks)?;
        }
        let curves: Vec<_> = self.runs.iter().map(|run| &run.curve).collect();
        map.serialize_entry("learning_curves", &curves)?;
        let questions: Vec<_> = self.runs.iter().map(|run| &run.questions).collect();
        map.serialize_entry("questions", &questions)?;
        let blocked: Vec<_> = self.runs.iter().map(|run| &run.blocked_by_class).collect();
        map.serialize_entry("blocked_by_class", &blocked)?;
        let admitted: Vec<_> = self.runs.iter().map(|run| &run.admitted_by_class).collect();
        map.serialize_entry("admitted_by_class", &admitted)?;
        map.end()
    }
}

struct Worst<'r>(&'r [(&'static str, Row, Row)]);

impl Serialize for Worst<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, _, worst) in self.0 {
            map.serialize_entry(name, worst)?;
        }
        map.end()
    }
}

/// A figure in few digits.
fn short(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value.fract() == 0.0 && value.abs() < 1e12 => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.1}"),
        value if value > 0.99 && value < 1.0 => format!("{value:.6}"),
        value => format!("{value:.4}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = self.seeds.len() > 1;
        match self.seeds.as_slice() {
            [] => writeln!(f, "{}", self.subject)?,
            [seed] => writeln!(f, "{}, seed {seed}", self.subject)?,
            [first, .., last] => {
                writeln!(f, "{}, seeds {first} to {last}: mean (worst)", self.subject)?;
            }
        }
        write!(f, "{:<36}", "")?;
        for name in CONTESTANTS {
            write!(f, " {name:>21}")?;
        }
        writeln!(f)?;
        for (name, mean, worst) in &self.rows {
            write!(f, "{name:<36}")?;
            for (mean, worst) in mean.values().into_iter().zip(worst.values()) {
                let cell = match several {
                    true => format!("{} ({})", short(mean), short(worst)),
                    false => short(mean),
                };
                write!(f, " {cell:>21}")?;
            }
            writeln!(f)?;
        }
        self.remarks.iter().try_for_each(|remark| writeln!(f, "{remark}"))
    }
}
