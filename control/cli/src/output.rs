//! The only place that writes to the terminal.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; may change.
    Table,
    /// For programs; the API's own JSON, on one line.
    Json,
}

/// `-o`, of every verb that shows something.
#[derive(Args)]
pub struct Output {
    /// How to write the result
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub format: Format,
}

impl Output {
    /// Writes a result: `render`'s text, or the value as JSON.
    ///
    /// # Errors
    /// The system's, when standard output can't be written.
    pub fn show<T: Serialize>(
        &self,
        value: &T,
        render: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => write(&render(value)),
            Format::Json => write(&(loadlock_api::to_json(value)? + "\n")),
        }
    }
}

/// Writes text to standard output at once, so that a follower sees each line as it comes. Hidden characters are escaped where the text is
/// put together, not here: it has line breaks of its own.
///
/// # Errors
/// The system's.
pub fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a message to standard error. If that fails there is nobody left to tell.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Sends what the daemons log to standard error, from `level` on; RUST_LOG overrules it.
pub fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
}
