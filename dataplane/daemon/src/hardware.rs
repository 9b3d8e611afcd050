//! Hardware bypass: a relay beside the line that joins the two cables when this process stops saying that it works.
//!
//! ```text
//!   arm        once, before the first heartbeat: the frames are ours from now on; watch me
//!   heartbeat  every `bypass_heartbeat_ms`, as long as every worker polls
//!   disarm     at an ordered end, or when a worker hangs: join the cables now
//! ```
//! A process that is dead says nothing, which the relay's own clock must take for `disarm`. Drivers block, so that each has a
//! thread; the main thread says every 10 ms that all is well, and a driver that hears nothing for two heartbeats is silent too:
//! a main thread that hangs opens the relay as well.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use loadlock_settings::{HardwareBypass, Relay as Way, SegmentName, Settings};

mod gpio;

/// What is said to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// See the module.
    Arm,
    /// See the module.
    Heartbeat,
    /// See the module.
    Disarm,
}

impl Word {
    /// As a program gets it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Heartbeat => "heartbeat",
            Self::Disarm => "disarm",
        }
    }
}

/// A way to a relay. It may block, for about a heartbeat's time.
pub trait Driver: Send {
    /// Says a word; the text says why that failed.
    ///
    /// # Errors
    /// It didn't reach the relay.
    fn say(&mut self, word: Word) -> Result<(), String>;
}

/// Runs a program with the word and the segment's name.
pub struct Program {
    path: PathBuf,
    segment: String,
    patience: Duration,
}

impl Driver for Program {
    fn say(&mut self, word: Word) -> Result<(), String> {
        let child = Command::new(&self.path)
            .args([word.name(), &self.segment])
            .stdin(Stdio::null())
            .spawn();
        let child = child.map_err(|error| {
            format!("{} can't be run: {error}; check `bypass_command`", self.path.display())
        })?;
        self.wait(child, word)
    }
}

impl Program {
    fn wait(&self, mut child: Child, word: Word) -> Result<(), String> {
        let end = Instant::now() + self.patience;
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(format!(
                        "{} {} ended with {status}",
                        self.path.display(),
                        word.name()
                    ));
                }
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                Ok(None) => {
                    // Both fail only when it has ended meanwhile.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!(
                        "{} {} didn't end within {} ms and was killed",
                        self.path.display(),
                        word.name(),
                        self.patience.as_millis()
                    ));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// What the main thread tells the drivers' threads.
#[derive(Default)]
struct Sign {
    /// Milliseconds on the relays' clock up to which all was well.
    well_ms: AtomicU64,
    ends: AtomicBool,
}

/// Every relay of the configuration.
pub struct Relays {
    sign: Arc<Sign>,
    clock: Instant,
    threads: Vec<JoinHandle<()>>,
}

impl Relays {
    /// Starts a thread for each segment that has a relay. Nothing is said to it before [`Relays::all_is_well`].
    pub fn start(settings: &Settings) -> std::io::Result<Self> {
        let relays = settings.segments.iter().filter_map(|segment| {
            let HardwareBypass { relay, every } = segment.bypass.clone()?;
            let driver: Box<dyn Driver> = match relay {
                Way::Program(path) => {
                    Box::new(Program { path, segment: segment.name.to_string(), patience: every })
                }
                Way::Gpio { pulse, arm } => Box::new(gpio::Gpio::new(pulse, arm)),
            };
            Some((segment.name.clone(), driver, every))
        });
        Self::with(relays.collect())
    }

    fn with(relays: Vec<(SegmentName, Box<dyn Driver>, Duration)>) -> std::io::Result<Self> {
        let (sign, clock) = (Arc::new(Sign::default()), Instant::now());
        let mut threads = Vec::new();
        for (segment, driver, every) in relays {
            let relay = Relay { segment, driver, every, sign: sign.clone(), clock, failed: false };
            let thread = std::thread::Builder::new().name("bypass".to_owned());
            threads.push(thread.spawn(move || relay.run())?);
        }
        Ok(Self { sign, clock, threads })
    }

    /// Says that every worker polls; to be said again and again.
    pub fn all_is_well(&self) {
        self.sign.well_ms.store(millis(self.clock) + 1, Ordering::Release);
    }

    /// Says `disarm` to every relay, and waits until that is said.
    pub fn disarm(self) {
        self.sign.ends.store(true, Ordering::Release);
        for thread in self.threads {
            // A panic there has been printed; the relay hears nothing any more, which opens it.
            let _ = thread.join();
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

struct Relay {
    segment: SegmentName,
    driver: Box<dyn Driver>,
    every: Duration,
    sign: Arc<Sign>,
    clock: Instant,
    failed: bool,
}

impl Relay {
    fn run(mut self) {
        let mut armed = false;
        let mut due = Instant::now();
        while !self.sign.ends.load(Ordering::Acquire) {
            let well_ms = self.sign.well_ms.load(Ordering::Acquire);
            let silence = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX) * 2;
            let is_well = well_ms != 0 && millis(self.clock) < well_ms.saturating_add(silence);
            if is_well && Instant::now() >= due {
                if !armed {
                    armed = self.say(Word::Arm);
                }
                if armed {
                    self.say(Word::Heartbeat);
                }
                due = Instant::now() + self.every;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if armed {
            self.say(Word::Disarm);
        }
    }

    /// Says a word; of failures the first is printed, and the end of them.
    fn say(&mut self, word: Word) -> bool {
        let result = self.driver.say(word);
        match (&result, self.failed) {
            (Err(error), false) => {
                eprintln!("loadlock-dataplane: segment {}: hardware bypass: {error}", self.segment);
            }
            (Ok(()), true) => {
                eprintln!(
                    "loadlock-dataplane: segment {}: hardware bypass answers again",
                    self.segment
                );
            }
            _ => {}
        }
        self.failed = result.is_err();
        result.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    const EVERY: Duration = Duration::from_millis(20);

    /// Notes what is said, and when.
    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<Vec<(Word, Instant)>>>);

    impl Driver for Noted {
        fn say(&mut self, word: Word) -> Result<(), String> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((word, Instant::now()));
            Ok(())
        }
    }

    fn segment() -> SegmentName {
        let text = "[dataplane]\nworker_cores = [1]\n[[port]]\nname = \"a\"\ndevice = \"net_null\"\n[[port]]\nname = \"b\"\n\
                    device = \"net_null\"\n[[segment]]\nname = \"fab\"\nside_a = \"a\"\nside_b = \"b\"\n";
        Settings::parse(text, "test.toml").unwrap().segments[0].name.clone()
    }

    fn words(noted: &Noted) -> Vec<Word> {
        noted.0.lock().unwrap().iter().map(|(word, _)| *word).collect()
    }

    fn wait_for(noted: &Noted, count: usize) {
        let end = Instant::now() + Duration::from_secs(10);
        while words(noted).len() < count && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_relay_is_armed_when_all_is_well_beats_and_is_disarmed_at_the_end() {
        let noted = Noted::default();
        let relays = Relays::with(vec![(segment(), Box::new(noted.clone()), EVERY)]).unwrap();
        std::thread::sleep(EVERY);
        assert_eq!(words(&noted), [], "nothing runs yet");
        while words(&noted).len() < 4 {
            relays.all_is_well();
            std::thread::sleep(Duration::from_millis(5));
        }
        relays.disarm();
        let said = words(&noted);
        assert_eq!(said[..3], [Word::Arm, Word::Heartbeat, Word::Heartbeat]);
        assert_eq!(said.last(), Some(&Word::Disarm));
        assert_eq!(said.iter().filter(|word| **word != Word::Heartbeat).count(), 2);
    }

    #[test]
    fn heartbeats_stop_when_nobody_says_that_all_is_well() {
        let noted = Noted::default();
        let relays = Relays::with(vec![(segment(), Box::new(noted.clone()), EVERY)]).unwrap();
        relays.all_is_well();
        let last = Instant::now();
        wait_for(&noted, 2);
        std::thread::sleep(EVERY * 6);
        let beats = words(&noted).len();
        std::thread::sleep(EVERY * 4);
        assert_eq!(words(&noted).len(), beats);
        let latest = noted.0.lock().unwrap().iter().map(|(_, at)| *at).max().unwrap();
        assert!(latest - last < EVERY * 4, "{:?}", latest - last);
        relays.disarm();
    }

    #[test]
    fn a_program_gets_word_and_segment_and_is_not_waited_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay");
        let log = folder.path().join("log");
        let script = |text: String| {
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        script(format!("echo $@ >> {}", log.display()));
        let mut driver = Program {
            path: path.clone(),
            segment: "fab".to_owned(),
            patience: Duration::from_secs(5),
        };
        driver.say(Word::Arm).unwrap();
        driver.say(Word::Heartbeat).unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "arm fab\nheartbeat fab\n");
        script("exit 3".to_owned());
        assert!(driver.say(Word::Disarm).unwrap_err().contains("disarm ended with exit status: 3"));
        script("exec sleep 60".to_owned());
        driver.patience = Duration::from_millis(50);
        let began = Instant::now();
        assert!(driver.say(Word::Heartbeat).unwrap_err().contains("didn't end within 50 ms"));
        assert!(began.elapsed() < Duration::from_secs(5));
        driver.path = folder.path().join("nothing");
        assert!(driver.say(Word::Arm).unwrap_err().contains("can't be run"));
    }
}
