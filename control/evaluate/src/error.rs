//! Why nothing could be measured.

use std::fmt;
use std::io;
use std::path::PathBuf;

use loadlock_generate::ScenarioError;
use loadlock_policy::{PolicyCompileError, PolicyErrors};
use loadlock_replay::ReplayError;

/// An evaluation failed.
#[derive(Debug)]
pub enum EvaluateError {
    /// The scenario can't be used.
    Scenario(ScenarioError),
    /// The scenario is a line of packets, and not a site.
    NotASite {
        /// The file.
        file: PathBuf,
    },
    /// What was learned is no valid policy: a defect.
    Policy {
        /// What is wrong.
        source: PolicyErrors,
    },
    /// The policy doesn't fit the allowlist.
    Compile {
        /// What is wrong.
        source: Box<PolicyCompileError>,
    },
    /// The capture can't be replayed.
    Replay(ReplayError),
    /// The labels can't be read.
    Labels {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// A file can't be written.
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A chart can't be drawn.
    Plot {
        /// The file.
        file: PathBuf,
        /// What the library said.
        problem: String,
    },
}

impl From<ScenarioError> for EvaluateError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl From<ReplayError> for EvaluateError {
    fn from(error: ReplayError) -> Self {
        Self::Replay(error)
    }
}

impl fmt::Display for EvaluateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => error.fmt(f),
            Self::NotASite { file } => write!(
                f,
                "scenario {}: is a line of packets; to evaluate, take a site such as config/scenarios/fab-40.toml",
                file.display()
            ),
            Self::Policy { .. } => write!(f, "what was learned is no valid policy"),
            Self::Compile { .. } => write!(f, "what was learned doesn't fit the allowlist"),
            Self::Replay(error) => error.fmt(f),
            Self::Labels { file, line: 0, problem } => {
                write!(f, "labels {}: {problem}", file.display())
            }
            Self::Labels { file, line, problem } => {
                write!(f, "labels {} line {line}: {problem}", file.display())
            }
            Self::Write { file, .. } => write!(
                f,
                "{} can't be written; check the permission and the free space",
                file.display()
            ),
            Self::Plot { file, problem } => {
                write!(f, "chart {} can't be drawn: {problem}", file.display())
            }
        }
    }
}

impl std::error::Error for EvaluateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Scenario(error) => error.source(),
            Self::Replay(error) => error.source(),
            Self::Policy { source } => Some(source),
            Self::Compile { source } => Some(source),
            Self::Write { source, .. } => Some(source),
            Self::NotASite { .. } | Self::Labels { .. } | Self::Plot { .. } => None,
        }
    }
}
