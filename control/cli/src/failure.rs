//! Why a verb ended without its result, and with which code.

use std::error::Error;
use std::fmt;
use std::io;

use loadlock_api::{ClientError, ErrorCode};
use loadlock_engine::EngineError;
use loadlock_evaluate::EvaluateError;
use loadlock_generate::GenerateError;
use loadlock_replay::ReplayError;
use loadlock_settings::{MachineError, SettingsErrors};
use loadlock_supervisor::SuperviseError;

use crate::device::DeviceMistakes;
use crate::exit;

/// A verb's failure. Displayed as what goes to stderr: place, value, what is allowed, next step.
#[derive(Debug)]
pub enum Failure {
    /// Control didn't answer, or not as wished.
    Client(ClientError),
    /// The configuration has mistakes.
    Settings(SettingsErrors),
    /// The machine doesn't say what it has.
    Machine(MachineError),
    /// Arguments that don't go together; the text says which, and what to do.
    Usage(String),
    /// Nothing could be generated.
    Generate(GenerateError),
    /// Nothing could be measured.
    Evaluate(EvaluateError),
    /// A replay didn't come to its end.
    Replay(ReplayError),
    /// Control couldn't start, or ended by itself.
    Engine(EngineError),
    /// A supervised process.
    Supervise(SuperviseError),
    /// Signals can't be received.
    Signals(io::Error),
    /// The system doesn't tell where this program lies.
    OwnPath(io::Error),
    /// A policy document has mistakes.
    Policy(loadlock_policy::PolicyErrors),
    /// A list of devices has mistakes.
    Devices(DeviceMistakes),
    /// A file that the verb was given can't be read.
    Input {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder that the verb was told to write can't be written.
    Write {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store, worked on without control.
    Store(loadlock_store::StoreError),
    /// Standard output can't be written.
    Output(io::Error),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Refused { body, .. })
                if body.code == ErrorCode::StoreFailed =>
            {
                exit::STORE
            }
            Self::Client(ClientError::Refused { body, .. })
                if matches!(
                    body.code,
                    ErrorCode::InvalidPolicy | ErrorCode::InvalidConfiguration
                ) =>
            {
                exit::CONFIGURATION
            }
            Self::Client(error) if error.is_unreachable() => exit::UNREACHABLE,
            Self::Client(_) => exit::REFUSED,
            Self::Settings(_) | Self::Machine(_) | Self::Policy(_) | Self::Devices(_) => {
                exit::CONFIGURATION
            }
            Self::Evaluate(error) => evaluate_code(error),
            Self::Replay(error) => replay_code(error),
            Self::Store(_) => exit::STORE,
            Self::Engine(EngineError::Store(_) | EngineError::StoredPolicy { .. }) => exit::STORE,
            Self::Engine(_) | Self::Supervise(_) | Self::Signals(_) | Self::OwnPath(_) => {
                exit::PROCESS
            }
            Self::Input { .. } => exit::INPUT,
            Self::Usage(_) => exit::USAGE,
            Self::Generate(GenerateError::Scenario(_)) => exit::CONFIGURATION,
            Self::Generate(GenerateError::NothingToWrite | GenerateError::SplitFraction { .. }) => {
                exit::USAGE
            }
            Self::Generate(GenerateError::Capture { .. } | GenerateError::Write { .. })
            | Self::Write { .. }
            | Self::Output(_) => exit::OUTPUT,
        }
    }

    /// True if whoever read the output has gone, as in `loadlock flows | head`: that is no failure.
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Settings(errors) => errors.fmt(f),
            Self::Machine(error) => error.fmt(f),
            Self::Policy(errors) => {
                write!(f, "{errors}\n    fix: correct every line that is named, then try again.")
            }
            Self::Store(error) => error.fmt(f),
            Self::Devices(mistakes) => mistakes.fmt(f),
            Self::Usage(text) => f.write_str(text),
            Self::Generate(error) => with_causes(error, f),
            Self::Evaluate(error) => with_causes(error, f),
            Self::Replay(error) => with_causes(error, f),
            Self::Engine(error) => error.fmt(f),
            Self::Supervise(error) => error.fmt(f),
            Self::Signals(error) => {
                write!(
                    f,
                    "signals can't be received: {error}\n    fix: start it from another supervisor."
                )
            }
            Self::OwnPath(error) => {
                write!(
                    f,
                    "the system doesn't tell where this program lies: {error}\n    fix: mount /proc."
                )
            }
            Self::Input { path, source } => write!(
                f,
                "can't read {}: {source}\n    fix: name a file that this user may read, or - for standard input.",
                path.display()
            ),
            Self::Write { path, source } if source.kind() == io::ErrorKind::AlreadyExists => {
                write!(
                    f,
                    "can't write {}: {source}\n    fix: name another file; one that exists is never written over.",
                    path.display()
                )
            }
            Self::Write { path, source } => write!(
                f,
                "can't write {}: {source}\n    fix: name a place with room that this user may write.",
                path.display()
            ),
            Self::Output(error) => write!(
                f,
                "can't write to standard output: {error}\n    fix: check the free space where it goes."
            ),
        }
    }
}

/// Bad input is the capture, the policy or a list of stations; what can't be written is an output.
fn replay_code(error: &ReplayError) -> u8 {
    match error {
        ReplayError::Write { .. } => exit::OUTPUT,
        ReplayError::BothSides { .. } => exit::USAGE,
        _ => exit::INPUT,
    }
}

/// Bad input is the capture or its labels; a site is configuration.
fn evaluate_code(error: &EvaluateError) -> u8 {
    match error {
        EvaluateError::Scenario(_) | EvaluateError::NotASite { .. } => exit::CONFIGURATION,
        EvaluateError::Write { .. } | EvaluateError::Plot { .. } => exit::OUTPUT,
        EvaluateError::Replay(error) => replay_code(error),
        EvaluateError::Labels { .. } => exit::INPUT,
        EvaluateError::Policy { .. } | EvaluateError::Compile { .. } => exit::PROCESS,
    }
}

/// The chain of an error whose text doesn't contain its cause.
fn with_causes(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Display::fmt(error, f)?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

impl Error for Failure {}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<SettingsErrors> for Failure {
    fn from(errors: SettingsErrors) -> Self {
        Self::Settings(errors)
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        Self::Machine(error)
    }
}

impl From<GenerateError> for Failure {
    fn from(error: GenerateError) -> Self {
        Self::Generate(error)
    }
}

impl From<EvaluateError> for Failure {
    fn from(error: EvaluateError) -> Self {
        Self::Evaluate(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
