//! The only place that writes to the terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use loadlock_api::ClientError;
use loadlock_settings::LogLevel;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; may change.
    Table,
    /// The same with every column there is.
    Wide,
    /// For programs; the API's own JSON, on one line.
    Json,
}

/// `-o`, of every verb that answers.
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
            Format::Table | Format::Wide => write(&render(value)),
            Format::Json => write(&(loadlock_api::to_json(value)? + "\n")),
        }
    }
}

/// `-o` and `--watch`, of every verb that lists something.
#[derive(Args)]
pub struct View {
    #[command(flatten)]
    output: Output,
    /// Show it again and again until interrupted, every two seconds or as often as is said
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=3_600)
    )]
    watch: Option<u32>,
}

/// The cursor to the upper left corner, and all below it cleared.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

impl View {
    /// Asks with `fetch` and writes the answer: `render`'s text, told whether every column is wanted, or the value as JSON, a line each.
    /// With `--watch` again and again, also while control is away. Returns what was shown last.
    ///
    /// # Errors
    /// What `fetch` fails with, but while watching not that control can't be reached; standard output's.
    pub fn show<T: Serialize>(
        &self,
        mut fetch: impl FnMut() -> Result<T, ClientError>,
        render: impl Fn(&T, bool) -> String,
    ) -> Result<T, Failure> {
        let wide = self.output.format == Format::Wide;
        let Some(seconds) = self.watch else {
            let value = fetch()?;
            self.output.show(&value, |value| render(value, wide))?;
            return Ok(value);
        };
        let is_screen = io::stdout().is_terminal() && self.output.format != Format::Json;
        let mut is_first = true;
        loop {
            if is_screen {
                write(CLEAR)?;
            } else if self.output.format != Format::Json && !is_first {
                write("\n")?;
            }
            match fetch() {
                Ok(value) => self.output.show(&value, |value| render(value, wide))?,
                Err(error) if error.is_unreachable() && !is_first => complain(&error.to_string()),
                Err(error) => return Err(error.into()),
            }
            is_first = false;
            std::thread::sleep(Duration::from_secs(seconds.into()));
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

/// Sends what the daemons log to standard error, from `level` on; RUST_LOG overrules it. Returns what changes the level later.
pub fn log_to_stderr(level: LogLevel) -> impl Fn(LogLevel) + Send + Sync {
    let given = EnvFilter::try_from_default_env().ok();
    let is_given = given.is_some();
    let filter = given.unwrap_or_else(|| EnvFilter::new(level.as_str()));
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    let log = log.with_writer(io::stderr).with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    move |level| {
        if !is_given && let Err(error) = handle.reload(EnvFilter::new(level.as_str())) {
            complain(&format!("control.log can't be changed: {error}"));
        }
    }
}
