//! What is wrong with a scenario file.

use std::fmt;
use std::io;

/// A scenario can't be used.
#[derive(Debug)]
pub enum ScenarioError {
    /// The file can't be read.
    Read {
        /// The file's name.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The text isn't TOML.
    Syntax {
        /// The file's name.
        file: String,
        /// Line, column and reason.
        source: Box<toml::de::Error>,
    },
    /// Keys have wrong values, are missing or unknown.
    Invalid {
        /// The file's name.
        file: String,
        /// All of them, in the order of the sections.
        problems: Vec<ScenarioProblem>,
    },
}

/// One wrong key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioProblem {
    /// The key with its section, such as `line.tools`.
    pub key: String,
    /// The value found, or `nothing`.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
}

impl fmt::Display for ScenarioProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, found, allowed } = self;
        write!(f, "{key}: found {found}; allowed is {allowed}")
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, .. } => write!(
                f,
                "scenario {file}: can't be read; check the path, or start from config/scenarios/demo.toml"
            ),
            Self::Syntax { file, .. } => write!(f, "scenario {file}: isn't TOML"),
            Self::Invalid { file, problems } => {
                write!(f, "scenario {file}: {} to correct:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ScenarioError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Syntax { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}
