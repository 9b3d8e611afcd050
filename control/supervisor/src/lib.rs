//! `loadlock run`: starts control and the dataplane, and starts again what dies.
//!
//! For one machine and for trying Loadlock out; an appliance runs the two as systemd units. A process that refuses to start for a
//! reason that a restart doesn't mend (configuration, port, exchange) ends the run, which names its exit code; one that
//! dies later is started again, at first after a tenth of a second, then ever more slowly.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process to be kept running.
#[derive(Clone, Debug)]
pub struct Program {
    /// Name in messages.
    pub name: &'static str,
    /// File to execute.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The exit codes of a first start that a second won't mend.
    pub refusals: &'static [u8],
}

/// Why the run ended other than by a signal.
#[derive(Debug)]
pub enum SuperviseError {
    /// A program can't be executed.
    Start {
        /// Which.
        program: Program,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A program refused to start; it has said why.
    Refused {
        /// Its name.
        name: &'static str,
        /// Its exit code.
        code: u8,
    },
}

impl fmt::Display for SuperviseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, source } => write!(
                f,
                "{}: can't execute {}: {source}; build or install it beside `loadlock`, or name it with --dataplane",
                program.name,
                program.path.display()
            ),
            Self::Refused { name, code } => {
                write!(f, "{name} refused to start with exit code {code}; see its message above")
            }
        }
    }
}

impl std::error::Error for SuperviseError {}

const POLL: Duration = Duration::from_millis(20);
const RESTART_FIRST: Duration = Duration::from_millis(100);
const RESTART_SLOWEST: Duration = Duration::from_secs(5);
/// One that has lived so long starts again quickly.
const SETTLED: Duration = Duration::from_secs(10);
/// Time for an orderly end before SIGKILL.
const END_PATIENCE: Duration = Duration::from_secs(10);

struct Kept {
    program: Program,
    child: Option<Child>,
    started: Instant,
    starts: u32,
    restart_at: Instant,
    pause: Duration,
}

impl Kept {
    fn start(program: Program) -> Result<Self, SuperviseError> {
        let now = Instant::now();
        let mut kept = Self {
            program,
            child: None,
            started: now,
            starts: 0,
            restart_at: now,
            pause: RESTART_FIRST,
        };
        kept.execute()?;
        Ok(kept)
    }

    fn execute(&mut self) -> Result<(), SuperviseError> {
        let child = Command::new(&self.program.path).args(&self.program.arguments).spawn();
        let child = child
            .map_err(|source| SuperviseError::Start { program: self.program.clone(), source })?;
        tracing::info!(name = self.program.name, pid = child.id(), "started");
        self.child = Some(child);
        self.started = Instant::now();
        self.starts += 1;
        Ok(())
    }

    /// Looks whether it lives, and starts it again when that is due.
    fn tend(&mut self) -> Result<(), SuperviseError> {
        let now = Instant::now();
        let Some(child) = &mut self.child else {
            return if now >= self.restart_at { self.execute() } else { Ok(()) };
        };
        let Ok(Some(status)) = child.try_wait() else { return Ok(()) };
        self.child = None;
        if self.starts == 1
            && let Some(code) = refusal(status, self.program.refusals)
        {
            return Err(SuperviseError::Refused { name: self.program.name, code });
        }
        if now - self.started >= SETTLED {
            self.pause = RESTART_FIRST;
        }
        tracing::error!(name = self.program.name, %status, again_in_ms = self.pause.as_millis(), "ended, starting it again");
        self.restart_at = now + self.pause;
        self.pause = (self.pause * 2).min(RESTART_SLOWEST);
        Ok(())
    }

    fn ask_to_end(&self) {
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It fails when the process has ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    fn wait_for_end(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let deadline = Instant::now() + END_PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                tracing::error!(name = self.program.name, "doesn't end, killing it");
                // Both fail only when it has ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// The exit code of a process that won't start better the second time.
fn refusal(status: ExitStatus, refusals: &[u8]) -> Option<u8> {
    let code = status.code().and_then(|code| u8::try_from(code).ok())?;
    refusals.contains(&code).then_some(code)
}

/// Runs `programs`, in this order, until `stop` is set; then ends them, last first, and waits for them.
///
/// # Errors
/// [`SuperviseError`]; the other programs have been ended too.
pub fn supervise(programs: Vec<Program>, stop: &AtomicBool) -> Result<(), SuperviseError> {
    let mut kept = Vec::with_capacity(programs.len());
    let result = keep(programs, &mut kept, stop);
    for process in kept.iter().rev() {
        process.ask_to_end();
    }
    for process in kept.iter_mut().rev() {
        process.wait_for_end();
    }
    result
}

fn keep(
    programs: Vec<Program>,
    kept: &mut Vec<Kept>,
    stop: &AtomicBool,
) -> Result<(), SuperviseError> {
    for program in programs {
        kept.push(Kept::start(program)?);
    }
    while !stop.load(Ordering::Relaxed) {
        for process in kept.iter_mut() {
            process.tend()?;
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn shell(script: &str) -> Program {
        Program {
            name: "shell",
            path: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            refusals: &[5],
        }
    }

    #[test]
    fn a_refusal_ends_the_run_with_its_code_and_ends_the_others() {
        let stop = AtomicBool::new(false);
        let started = Instant::now();
        let error = supervise(vec![shell("exec sleep 60"), shell("exit 5")], &stop).unwrap_err();
        assert!(error.to_string().contains("exit code 5"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_dies_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("starts");
        let stop = Arc::new(AtomicBool::new(false));
        let (watch, set) = (log.clone(), stop.clone());
        let watcher = std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_secs(20);
            let starts = || std::fs::read_to_string(&watch).unwrap_or_default().lines().count();
            while starts() < 3 && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
            set.store(true, Ordering::Relaxed);
            starts()
        });
        let script = format!("echo started >> {}; kill -9 $$", log.display());
        supervise(vec![shell(&script)], &stop).unwrap();
        assert!(watcher.join().unwrap() >= 3);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = Program { path: "/nonexistent/loadlock-dataplane".into(), ..shell("") };
        let error = supervise(vec![missing], &AtomicBool::new(false)).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/loadlock-dataplane"), "{error}");
    }
}
