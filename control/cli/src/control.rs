//! `loadlock control`: the daemon that learns, keeps versions and publishes.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use loadlock_engine::Reloads;
use loadlock_settings::{Machine, Settings};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Where both processes look for their configuration unless told otherwise.
pub const CONFIG_DEFAULT: &str = "/etc/loadlock/loadlock.toml";

/// Arguments of `control`.
#[derive(Args)]
pub struct Arguments {
    /// The configuration file, the same as the dataplane's
    #[arg(long, value_name = "FILE", default_value = CONFIG_DEFAULT)]
    config: PathBuf,
}

impl Arguments {
    /// Runs until SIGTERM or SIGINT; SIGHUP reloads the configuration.
    ///
    /// # Errors
    /// [`Failure::Settings`], [`Failure::Machine`], [`Failure::Signals`], [`Failure::Engine`].
    pub fn run(&self) -> Result<u8, Failure> {
        let settings = Settings::load(&self.config)?;
        settings.check_machine(&Machine::here()?)?;
        let set_log = output::log_to_stderr(settings.control.log);
        let stop = flag_of(&[SIGTERM, SIGINT])?;
        let reloads = Reloads { asked: flag_of(&[SIGHUP])?, set_log: Box::new(set_log) };
        let teller = tell_systemd(settings.control.socket.clone(), stop.clone());
        let ended = loadlock_engine::run(&settings, &stop, reloads).map_err(Failure::Engine);
        stop.store(true, Ordering::Relaxed);
        // It ends by itself once `stop` is set, and has nothing to say that matters then.
        let _ = teller.join();
        ended.map(|()| exit::OK)
    }
}

/// Tells systemd that control is ready once its API answers, and that it ends once `stop` is set. Without systemd nothing is sent.
fn tell_systemd(socket: PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut ready = false;
        while !stop.load(Ordering::Relaxed) {
            if !ready && UnixStream::connect(&socket).is_ok() {
                ready = true;
                tell(&NotifyState::Ready);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        tell(&NotifyState::Stopping);
    })
}

fn tell(state: &NotifyState<'_>) {
    // It fails when systemd is gone, and then nobody waits for it.
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

/// A flag that any of these signals sets.
///
/// # Errors
/// [`Failure::Signals`].
pub fn flag_of(signals: &[i32]) -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in signals {
        signal_hook::flag::register(*signal, flag.clone()).map_err(Failure::Signals)?;
    }
    Ok(flag)
}
