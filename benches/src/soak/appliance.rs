//! Both processes of the appliance as an operator has them, and what is done to them while they are under load.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::loadlock::{RuntimeFolder, Setup};
use crate::process::Process;

/// Permits the load and every new conversation to its servers. `MARK` makes two versions differ.
const POLICY: &str = r#"format = 1
[[rule]]
segment = "bench"
client = "10.0.0.0/8"
client_side = "a"
server = "10.0.0.0/8"
service = "tcp/5000"
reason = "the load"
[[rule]]
segment = "bench"
client = "192.0.2.1"
server = "192.0.2.2"
service = "tcp/MARK"
reason = "swapped again and again"
"#;
const PATIENCE: Duration = Duration::from_secs(30);

/// Sums over both ports of the segment, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Taken from the ports.
    pub received: u64,
    /// Sent on the other side.
    pub forwarded: u64,
    /// Dropped, for any reason.
    pub dropped: u64,
}

impl Counters {
    /// What was counted since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            received: self.received - before.received,
            forwarded: self.forwarded - before.forwarded,
            dropped: self.dropped - before.dropped,
        }
    }
}

/// A running appliance. Both processes end when this goes out of scope.
pub struct Appliance {
    program: PathBuf,
    folder: PathBuf,
    config: PathBuf,
    dataplane: Process,
    control: Option<Process>,
    kills: u32,
    swaps: u32,
    _runtime: RuntimeFolder,
}

impl Appliance {
    /// Starts both with `setup`'s configuration, puts the load's policy in force and returns when both work.
    ///
    /// # Errors
    /// A process doesn't start, with what it printed; or a verb is refused.
    pub fn start(program: &Path, setup: &Setup) -> io::Result<Self> {
        let folder = setup.folder.clone();
        let config = folder.join("loadlock.toml");
        fs::write(&config, setup.settings_text())?;
        let runtime = RuntimeFolder(Path::new("/var/run/dpdk").join(setup.prefix()));
        let mut command = Command::new(&setup.dataplane);
        command.arg("--config").arg(&config);
        let dataplane = Process::start(command, &folder.join("dataplane.log"))?;
        let mut appliance = Self {
            program: program.to_owned(),
            folder,
            config,
            dataplane,
            control: None,
            kills: 0,
            swaps: 0,
            _runtime: runtime,
        };
        // The worker's CPU is the dataplane's alone; what this thread starts from here on shares CPU 0.
        core_affinity::set_for_current(core_affinity::CoreId { id: 0 });
        appliance.start_control()?;
        appliance.swap()?;
        appliance.wait_until_attached()?;
        Ok(appliance)
    }

    fn start_control(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.arg("control").arg("--config").arg(&self.config);
        let log = self.folder.join(format!("control-{}.log", self.kills));
        let mut control = Process::start(command, &log)?;
        control.wait_for("control", PATIENCE, || Ok(self.ask(&["status"]).ok()))?;
        self.control = Some(control);
        Ok(())
    }

    fn wait_until_attached(&mut self) -> io::Result<()> {
        let (program, folder) = (self.program.clone(), self.folder.clone());
        self.dataplane.wait_for("control at the running dataplane", PATIENCE, || {
            let status = ask(&program, &folder, &["status"])?;
            let attached = status["control"]["state"] == "attached";
            Ok((attached && status["dataplane"]["state"] == "running").then_some(()))
        })
    }

    /// Kills control with SIGKILL, starts it again, and waits until it has the exchange.
    ///
    /// # Errors
    /// It doesn't come back.
    pub fn kill_control(&mut self) -> io::Result<()> {
        self.kills += 1;
        if let Some(control) = self.control.take() {
            control.kill()?;
        }
        self.start_control()?;
        self.wait_until_attached()
    }

    /// Puts another policy version in force: proposed, approved, applied.
    ///
    /// # Errors
    /// Control refuses; with its message.
    pub fn swap(&mut self) -> io::Result<()> {
        self.swaps += 1;
        let file = self.folder.join("policy.toml");
        fs::write(&file, POLICY.replace("MARK", &(1_000 + self.swaps % 50_000).to_string()))?;
        let file = file.display().to_string();
        let proposed = self.ask(&["policy", "propose", &file, "--reason", "soak"])?;
        let number = proposed["version"]["number"].to_string();
        self.ask(&["policy", "approve", &number])?;
        self.ask(&["policy", "apply", &number]).map(drop)
    }

    /// Policy versions put in force, and kills of control.
    #[must_use]
    pub fn done(&self) -> (u32, u32) {
        (self.swaps, self.kills)
    }

    /// Counters of both ports, as control tells them.
    ///
    /// # Errors
    /// Control doesn't answer.
    pub fn counters(&self) -> io::Result<Counters> {
        let status = self.ask(&["status"])?;
        let mut sum = Counters::default();
        for segment in status["segments"].as_array().into_iter().flatten() {
            for port in [&segment["side_a"], &segment["side_b"]] {
                let count = |name: &str| port[name].as_u64().unwrap_or(0);
                sum.received += count("received_packets");
                sum.forwarded += count("forwarded_packets");
                sum.dropped += count("dropped_packets");
            }
        }
        Ok(sum)
    }

    /// Drops by reason, as `loadlock drops` tells them.
    ///
    /// # Errors
    /// Control doesn't answer.
    pub fn drops(&self) -> io::Result<Value> {
        self.ask(&["drops"])
    }

    /// Memory without what is shared of the dataplane and of control, in KiB; control's is absent while it is started again.
    #[must_use]
    pub fn memory_kib(&self) -> (u64, Option<u64>) {
        let own = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let control = self.control.as_ref().and_then(|control| own(control.pid()));
        (own(self.dataplane.pid()).unwrap_or(0), control)
    }

    fn ask(&self, verb: &[&str]) -> io::Result<Value> {
        ask(&self.program, &self.folder, verb)
    }
}

fn ask(program: &Path, folder: &Path, verb: &[&str]) -> io::Result<Value> {
    let mut command = Command::new(program);
    command.args(verb).args(["-o", "json", "--socket"]).arg(folder.join("control.sock"));
    let output = command.output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("loadlock {}: {message}", verb.join(" "))));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
