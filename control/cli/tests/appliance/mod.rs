//! Both processes on this machine, for tests: a folder, a configuration, children with logs, and waiting without sleeps.
//!
//! ```no_run
//! let Some(site) = Site::open() else { return };           // one at a time; None: this machine can't, and it says why
//! site.configure(&format!("{}{PORTS_AND_SEGMENTS}", site.base("clock = \"capture\"", "")));
//! let appliance = Appliance::start(site);                  // control and dataplane; running and attached
//! wait_until("frames", PATIENCE, || appliance.site.port("fab-a")["received_packets"] == 8);
//! appliance.stop();                                        // in order, with code 0; a drop does it without the check
//! ```
//!
//! Not for what a test asserts: that stands in the test. Logs are shown when a test fails.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

pub mod captures;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough on a busy machine with two cores; whoever waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Only one test of a binary has a dataplane at a time: workers poll a whole core.
static TURN: Mutex<()> = Mutex::new(());
static SITES: AtomicU32 = AtomicU32::new(0);

/// The place of one appliance: its folder, its exchange, its turn.
pub struct Site {
    folder: TempDir,
    name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// A new place; waits until it is this test's turn. None, with a printed reason, on a machine with one CPU.
    pub fn open() -> Option<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores < 2 {
            println!("skipped: a worker needs a CPU of its own, and this machine has one");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::Builder::new().prefix("loadlock-test-").tempdir().unwrap();
        let name = format!("loadlock-test-{}-{number}", std::process::id());
        Some(Self { folder, name, _turn: turn })
    }

    /// A file in this place's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The exchange file.
    pub fn exchange(&self) -> PathBuf {
        Path::new("/dev/shm").join(&self.name).join("exchange")
    }

    /// The configuration but for ports and segments, with small tables, workers that may share their core, and everything learned that is seen: tests have seconds; `dataplane` and `control` are more lines of those tables.
    pub fn base(&self, dataplane: &str, control: &str) -> String {
        format!(
            "[dataplane]\nmain_core = 0\nworker_cores = [1]\nfile_prefix = \"{name}\"\nhugepages = false\n\
             watchdog_ms = 5000\nmbufs = 8191\nmbuf_cache = 128\n{dataplane}\n\
             [exchange]\npath = \"{exchange}\"\nevent_ring_events = 16384\nrule_capacity = 4096\n\
             [flows]\nnarrow_capacity = 16384\nwide_capacity = 4096\n\
             [control]\ncore = 0\nsocket = \"control.sock\"\nstore = \"loadlock.db\"\nversion_interval_s = 1\nadmission = \"record-all\"\n{control}\n",
            name = self.name,
            exchange = self.exchange().display(),
        )
    }

    /// Writes the configuration file.
    pub fn configure(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("loadlock.toml")
    }

    /// Runs `loadlock` to its end.
    pub fn loadlock<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Output {
        Command::new(loadlock()).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// Runs a client verb, such as `["rules", "list"]`, and reads its JSON; None while control doesn't answer.
    pub fn ask(&self, verb: &[&str]) -> Option<Value> {
        let reach = ["-o", "json", "--socket", "control.sock"];
        let output = self.loadlock(&[verb, &reach].concat());
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// `loadlock status`; null while control doesn't answer.
    pub fn status(&self) -> Value {
        self.ask(&["status"]).unwrap_or_default()
    }

    /// The status of one port; null while control doesn't answer.
    pub fn port(&self, name: &str) -> Value {
        let status = self.status();
        let segments = status["segments"].as_array().cloned().unwrap_or_default();
        let ports = segments.iter().flat_map(|segment| [&segment["side_a"], &segment["side_b"]]);
        ports.into_iter().find(|port| port["port"] == name).cloned().unwrap_or_default()
    }

    /// Sets a segment's mode, and returns the answer.
    pub fn set_mode(&self, segment: &str, mode: &str) -> Value {
        self.ask(&["mode", "set", segment, mode]).expect("control answers")
    }

    /// Starts `loadlock control`.
    pub fn control(&self) -> Process {
        Process::start("control", &loadlock(), &["control"], self)
    }

    /// Starts `loadlock-dataplane`.
    pub fn dataplane(&self) -> Process {
        Process::start("dataplane", &dataplane(), &[], self)
    }

    /// Starts `loadlock run`.
    pub fn run(&self) -> Process {
        Process::start("run", &loadlock(), &["run"], self)
    }

    /// Waits until both processes are at work.
    pub fn wait_until_running(&self) -> Value {
        let mut status = Value::Null;
        wait_until("control is attached and the dataplane runs", PATIENCE, || {
            status = self.status();
            status["control"]["state"] == "attached" && status["dataplane"]["state"] == "running"
        });
        status
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let shared = self.exchange();
        let _ = fs::remove_dir_all(shared.parent().unwrap());
        // EAL leaves its runtime folder behind.
        let _ = fs::remove_dir_all(Path::new("/var/run/dpdk").join(&self.name));
    }
}

/// A child with its log; a drop ends it.
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a program with `--config` and its output in a log of its own.
    pub fn start(name: &'static str, program: &Path, arguments: &[&str], site: &Site) -> Self {
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let log = site.path(&format!("{name}-{number}.log"));
        let output = File::create(&log).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg("--config").arg(site.config());
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        // A group of its own, so that what `loadlock run` started can be ended with it.
        let child = command.process_group(0).spawn().unwrap();
        Self { name, child, log, status: None }
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        pid(u64::from(self.child.id()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        if self.ended().is_none() {
            self.signal(Signal::TERM);
        }
        self.wait()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_until(self.name, PATIENCE, || self.ended().is_some());
        self.status.unwrap()
    }

    /// What it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.ended().is_none() {
            let _ = kill_process(self.pid(), Signal::TERM);
            let deadline = Instant::now() + PATIENCE;
            while self.ended().is_none() && Instant::now() < deadline {
                std::thread::sleep(POLL);
            }
        }
        if self.ended().is_none() {
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            println!("── log of {} ──\n{}", self.name, self.log());
        }
    }
}

/// Control and the dataplane as two children; the fields drop in this order.
pub struct Appliance {
    /// `loadlock-dataplane`.
    pub dataplane: Process,
    /// `loadlock control`.
    pub control: Process,
    /// Where they are.
    pub site: Site,
}

impl Appliance {
    /// Starts both with the site's configuration, and waits until they are at work.
    pub fn start(site: Site) -> Self {
        let control = site.control();
        let dataplane = site.dataplane();
        let appliance = Self { dataplane, control, site };
        appliance.site.wait_until_running();
        appliance
    }

    /// Ends both in order, the dataplane first, and gives the place back.
    pub fn stop(self) -> Site {
        let Self { mut dataplane, mut control, site } = self;
        for process in [&mut dataplane, &mut control] {
            let status = process.stop();
            assert!(status.success(), "{} ended with {status}:\n{}", process.name, process.log());
        }
        site
    }
}

/// Polls until `is_done`; panics after `deadline`, naming what was waited for.
pub fn wait_until(what: &str, deadline: Duration, mut is_done: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !is_done() {
        assert!(Instant::now() < end, "after {} s still waiting for: {what}", deadline.as_secs());
        std::thread::sleep(POLL);
    }
}

/// A process id as `loadlock status` shows it.
pub fn pid(number: u64) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).expect("a process id isn't 0")
}

/// The program `loadlock` of this build.
pub fn loadlock() -> PathBuf {
    env!("CARGO_BIN_EXE_loadlock").into()
}

/// The program `loadlock-dataplane` beside it.
///
/// # Panics
/// It isn't built: cargo builds only the binaries of the crate under test by itself.
pub fn dataplane() -> PathBuf {
    let path = loadlock().with_file_name("loadlock-dataplane");
    assert!(path.is_file(), "{} isn't there: `cargo build --workspace` first", path.display());
    path
}
