//! Pktgen-DPDK as a child process, one start a scenario, with the scenario's Lua script and its settings in the environment.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::result::Found;
use super::{Choices, Scenario};

/// How Pktgen is started.
#[derive(Clone, Debug)]
pub struct Pktgen {
    /// The program.
    pub program: PathBuf,
    /// EAL's arguments, such as `-l 0-4 -a 0000:3b:00.0 -a 0000:3b:00.1`.
    pub eal: Vec<String>,
    /// Which cores serve which port, such as `[1:2].0,[3:4].1`.
    pub map: String,
    /// The folder of the scripts.
    pub scripts: PathBuf,
    /// A scenario that takes longer is ended.
    pub patience: Duration,
}

impl Pktgen {
    /// Runs a scenario; its output and its result lie in `folder` afterwards.
    ///
    /// # Errors
    /// Pktgen can't be started, takes too long, or leaves no result; the message names its log.
    pub fn run(&self, scenario: Scenario, choices: &Choices, folder: &Path) -> io::Result<Found> {
        let name = scenario.name();
        let result = folder.join(format!("{name}.json"));
        let log = folder.join(format!("{name}.log"));
        match std::fs::remove_file(&result) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let output = File::create(&log)?;
        let mut command = Command::new(&self.program);
        command.args(&self.eal).args(["--", "-P", "-m", &self.map, "-f"]);
        command.arg(self.scripts.join(format!("{name}.lua")));
        command.envs(environment(choices)).env("LOADLOCK_RESULT", &result);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let told =
            |what: String| io::Error::other(format!("{what}; its output is {}", log.display()));
        let mut child = command.spawn().map_err(|error| {
            io::Error::other(format!(
                "{}: {error}; name Pktgen's program with --pktgen",
                self.program.display()
            ))
        })?;
        let deadline = Instant::now() + self.patience;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                // Fails when it has ended meanwhile.
                let _ = child.kill();
                child.wait()?;
                let minutes = self.patience.as_secs() / 60;
                return Err(told(format!("Pktgen hasn't ended after {minutes} minutes")));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        if !result.is_file() {
            return Err(told(format!("Pktgen ended with {status} and left no result")));
        }
        Found::load(&result)
    }
}

/// The settings as the scripts read them.
fn environment(choices: &Choices) -> Vec<(&'static str, String)> {
    fn list<T: ToString>(values: &[T]) -> Option<String> {
        let words: Vec<String> = values.iter().map(T::to_string).collect();
        (!words.is_empty()).then(|| words.join(","))
    }
    let number = |value: Option<f64>| value.map(|value| value.to_string());
    let Choices { seconds, confirm_seconds, sizes, flows, minutes } = choices;
    [
        ("LOADLOCK_SECONDS", number(*seconds)),
        ("LOADLOCK_CONFIRM_SECONDS", number(*confirm_seconds)),
        ("LOADLOCK_SIZES", list(sizes)),
        ("LOADLOCK_FLOWS", list(flows)),
        ("LOADLOCK_MINUTES", number(*minutes)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}
