//! The fake behind a real socket.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use loadlock_api::*;
use tokio::sync::oneshot;

use super::Fake;

/// A server on a thread of its own, with a runtime of one thread; stops when dropped.
pub struct Served {
    pub backend: Arc<Fake>,
    pub socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start(socket: PathBuf) -> Self {
        Self::start_with(ServeOptions::new(&socket))
    }

    pub fn start_with(options: ServeOptions) -> Self {
        let socket = options.socket.clone();
        let backend = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel();
        let served = backend.clone();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let shutdown = async {
                let _ = stopped.await;
            };
            runtime.block_on(serve(&options, served, shutdown)).unwrap();
        });
        let started = Instant::now();
        while Client::connect(&socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "the server doesn't start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { backend, socket, stop: Some(stop), thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    /// Stops the server in order, and says how long that took.
    pub fn stop(&mut self) -> Duration {
        let started = Instant::now();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        started.elapsed()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}
