//! `loadlock top`: how hard the workers work, and what becomes of the packets, as it changes.
//!
//! ```text
//!   a thread: status + drops, again and again ──► Figures (what changed between two answers) ──► draw (a pure function) ──► terminal
//! ```
//!
//! It asks what `status` and `drops` ask; nothing is fetched in another way.

mod draw;
mod figures;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use clap::Args;
use loadlock_api::{Client, ClientError};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGTERM};

use crate::control::flag_of;
use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::reach::Reach;
use figures::{Figures, Sample};

/// Arguments of `top`.
///
/// LOAD is the share of its time that a worker spends with frames, POLLS the share of its polls that bring some. q, Esc and Ctrl-C leave.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reach: Reach,
    /// How often to ask
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    interval: u32,
}

/// How long a key may wait.
const KEY_TIME: Duration = Duration::from_millis(100);

impl Arguments {
    /// Shows it until a key or a signal ends it.
    ///
    /// # Errors
    /// [`Failure::Usage`] without a terminal; [`Failure::Client`] if the first answer doesn't come, later ones may stay away;
    /// [`Failure::Settings`], [`Failure::Signals`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        if !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "top needs a terminal to draw on, and standard output is none\n    fix: `loadlock status --watch` writes line by line, \
                 `loadlock status -o json` is for programs."
                    .to_owned(),
            ));
        }
        let client = self.reach.connect()?;
        let mut figures = Figures::new(fetch(&client)?, self.interval);
        // Ctrl-C comes as a key.
        let left = flag_of(&[SIGTERM, SIGHUP])?;
        let samples = follow(client, Duration::from_secs(self.interval.into()));

        // Before the terminal is touched, so that it is restored also if that fails half-way. A panic restores it before it speaks, by
        // the hook that `try_init` sets.
        let _restored = Restored;
        let mut terminal = ratatui::try_init()?;
        watch(&mut terminal, &mut figures, &samples, &left)?;
        Ok(exit::OK)
    }
}

/// Gives the terminal back when dropped.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        // If that fails there is no terminal any more.
        let _ = ratatui::try_restore();
    }
}

fn fetch(client: &Client) -> Result<Sample, ClientError> {
    Ok(Sample { status: client.status()?, drops: client.drops()? })
}

/// Asks on a thread of its own, which ends with the program: a control that hangs must not keep a key waiting.
fn follow(client: Client, interval: Duration) -> Receiver<Result<Sample, ClientError>> {
    let (sender, samples) = mpsc::channel();
    std::thread::spawn(move || {
        let mut due = Instant::now() + interval;
        loop {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due = Instant::now() + interval;
            if sender.send(fetch(&client)).is_err() {
                return;
            }
        }
    });
    samples
}

fn watch(
    terminal: &mut DefaultTerminal,
    figures: &mut Figures,
    samples: &Receiver<Result<Sample, ClientError>>,
    left: &AtomicBool,
) -> io::Result<()> {
    let zone = LocalTime::here();
    let mut is_new = true;
    while !left.load(Ordering::Relaxed) {
        match samples.try_recv() {
            Ok(answer) => {
                figures.take(answer.map_err(|error| error.to_string()));
                is_new = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Err(io::Error::other("the thread that asks has ended"));
            }
        }
        if std::mem::take(&mut is_new) {
            terminal.draw(|frame| draw::draw(frame, figures, &zone))?;
        }
        if event::poll(KEY_TIME)? {
            match event::read()? {
                Event::Key(key) if is_leaving(key) => return Ok(()),
                Event::Resize(..) => is_new = true,
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_leaving(key: KeyEvent) -> bool {
    let is_control_c =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (is_control_c || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q_escape_and_control_c_leave_and_no_other_key() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        for leaving in [
            key(KeyCode::Char('q'), KeyModifiers::NONE),
            key(KeyCode::Char('Q'), KeyModifiers::SHIFT),
            key(KeyCode::Esc, KeyModifiers::NONE),
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
        ] {
            assert!(is_leaving(leaving), "{leaving:?}");
        }
        for staying in [
            key(KeyCode::Char('c'), KeyModifiers::NONE),
            key(KeyCode::Char('x'), KeyModifiers::CONTROL),
            key(KeyCode::Enter, KeyModifiers::NONE),
        ] {
            assert!(!is_leaving(staying), "{staying:?}");
        }
    }
}
