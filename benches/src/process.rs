//! Peers as child processes: started with their output kept, ended by a signal, never left behind.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child that is ended with SIGINT, then SIGKILL, when it goes out of scope.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`. It is killed should the calling thread end before it.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let output = File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let end_with_parent = || {
            // SAFETY: a plain system call, which async-signal-safety allows between fork and exec.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure makes one system call and touches no memory of the parent's.
        unsafe { command.pre_exec(end_with_parent) };
        Ok(Self { child: command.spawn()?, log: log.to_owned() })
    }

    /// The share of its time that its busiest thread wanted to run and couldn't, because something else had its CPU. A forwarder
    /// polls without a pause, so that this is what a figure of it lacks.
    #[must_use]
    pub fn cpu_taken_away(&self) -> f64 {
        let folder = format!("/proc/{}/task", self.child.id());
        let threads = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            // Time running and time waiting for a CPU, in ns (Documentation/scheduler/sched-stats.rst).
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let mut words = text.split_whitespace().map(str::parse::<u64>);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        });
        times.max().map_or(0.0, |(ran, waited)| waited as f64 / (ran + waited).max(1) as f64)
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, as a crash would end it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// What it has printed so far.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn output(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// Waits until `ready` gives something.
    ///
    /// # Errors
    /// The process has ended, or the time is over; with its output.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        time: Duration,
        mut ready: impl FnMut() -> io::Result<Option<T>>,
    ) -> io::Result<T> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(value) = ready()? {
                return Ok(value);
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let output = self.output()?;
                return Err(io::Error::other(format!("waiting for {what}: {ended:?}\n{output}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // SAFETY: a plain system call; the child isn't reaped yet, so the pid is its own.
            unsafe { libc::kill(pid, libc::SIGINT) };
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Both fail when it has ended in time, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
