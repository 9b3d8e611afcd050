//! Why a scenario can't be generated.

use std::fmt;
use std::io;
use std::path::PathBuf;

use loadlock_capture::CaptureWriteError;

use crate::scenario::ScenarioError;

/// Generating failed.
#[derive(Debug)]
pub enum GenerateError {
    /// The scenario can't be used.
    Scenario(ScenarioError),
    /// No output was asked for.
    NothingToWrite,
    /// The split isn't above 0 and below 1.
    SplitFraction {
        /// Value found.
        found: f64,
    },
    /// A capture can't be written.
    Capture {
        /// The capture.
        file: PathBuf,
        /// What is wrong.
        source: CaptureWriteError,
    },
    /// The labels or the folder for the sides can't be written.
    Write {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<ScenarioError> for GenerateError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl fmt::Display for GenerateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => fmt::Display::fmt(error, f),
            Self::NothingToWrite => write!(
                f,
                "no output is asked for; give at least one of --out, --labels and --sides"
            ),
            Self::SplitFraction { found } => {
                write!(f, "split fraction {found}; allowed is 0.0001 to 0.9999, such as 0.5")
            }
            Self::Capture { file, .. } => {
                write!(f, "capture {} can't be written", file.display())
            }
            Self::Write { path, .. } => write!(
                f,
                "{} can't be written; check the permission and the free space",
                path.display()
            ),
        }
    }
}

impl std::error::Error for GenerateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Displayed as itself, so its source is the next in the chain.
            Self::Scenario(error) => error.source(),
            Self::Capture { source, .. } => Some(source),
            Self::Write { source, .. } => Some(source),
            Self::NothingToWrite | Self::SplitFraction { .. } => None,
        }
    }
}
