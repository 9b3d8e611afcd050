//! Making and starting the sinks that are configured.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam::channel::bounded;
use loadlock_api::Notice;
use loadlock_settings::{EventChoice, OutwardSettings};
use tokio::sync::broadcast::Receiver;

use crate::board::{Board, Boards};
use crate::delivery::{Courier, Outlet};
use crate::feed::{Spool, feed, watch_alarms};
use crate::file::EventFile;
use crate::ipfix::Collector;
use crate::metrics::{Figures, server};
use crate::syslog::SyslogServer;

/// Where figures come from: control's core. The calls may wait for its turn, never longer than a few seconds.
pub trait Source: Send + Sync {
    /// All figures of one moment; `None` if the core doesn't answer.
    fn figures(&self) -> Option<Figures>;

    /// What `loadlock status` shows as alarms; `None` if the core doesn't answer.
    fn alarms(&self) -> Option<Vec<String>>;
}

/// The sinks, configured and not yet started, or at work.
pub struct Sinks {
    boards: Boards,
    metrics: Option<(SocketAddr, Arc<Board>)>,
    spools: Vec<Spool>,
    couriers: Vec<Courier>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    feeder: Option<JoinHandle<Receiver<Notice>>>,
}

impl Sinks {
    /// Those of a configuration. Opens and connects nothing.
    #[must_use]
    pub fn new(settings: &OutwardSettings) -> Self {
        Self::after(settings, &Boards::default())
    }

    /// The same, of which those that were there before under the same name and with the same target go on counting.
    #[must_use]
    pub fn after(settings: &OutwardSettings, before: &Boards) -> Self {
        let mut sinks = Self {
            boards: Boards::default(),
            metrics: None,
            spools: Vec::new(),
            couriers: Vec::new(),
            stop: Arc::default(),
            threads: Vec::new(),
            feeder: None,
        };
        let mut boards = Vec::new();
        if let Some(listen) = settings.metrics {
            let target = format!("http://{listen}/metrics");
            let board = before.continued("metrics".to_owned(), target, 0);
            sinks.metrics = Some((listen, board.clone()));
            boards.push(board);
        }
        let mut add = |name: String, target: String, room: u32, choice, outlet| {
            let board = before.continued(name, target, u64::from(room));
            boards.push(board.clone());
            sinks.add(board, room, choice, outlet);
        };
        if let Some(file) = &settings.file {
            let target = file.path.as_ref().map(|path| path.display().to_string());
            let target = target.unwrap_or_else(|| "standard output".to_owned());
            add("file".to_owned(), target, file.spool_events, file.events, EventFile::outlet(file));
        }
        let syslog = &settings.syslog;
        for (target, number) in syslog.targets.iter().zip(1..) {
            let outlet: Box<dyn Outlet> = Box::new(SyslogServer::new(target.clone(), syslog));
            let name = format!("syslog-{number}");
            add(name, target.to_string(), syslog.spool_events, syslog.events, outlet);
        }
        let ipfix = &settings.ipfix;
        let records = EventChoice { ended: true, denied: true, ..EventChoice::default() };
        for (target, number) in ipfix.targets.iter().zip(1..) {
            let outlet: Box<dyn Outlet> = Box::new(Collector::new(target.clone(), ipfix));
            let name = format!("ipfix-{number}");
            add(name, target.to_string(), ipfix.spool_events, records, outlet);
        }
        sinks.boards = Boards(Arc::new(boards));
        sinks
    }

    fn add(&mut self, board: Arc<Board>, room: u32, choice: EventChoice, outlet: Box<dyn Outlet>) {
        let (items, inbox) = bounded(room as usize);
        self.spools.push(Spool::new(items, board.clone(), choice));
        self.couriers.push(Courier { outlet, inbox, board, stop: self.stop.clone() });
    }

    /// The states of the sinks, for whoever reports them.
    #[must_use]
    pub fn boards(&self) -> Boards {
        self.boards.clone()
    }

    /// Starts the threads; none if nothing is configured.
    ///
    /// # Errors
    /// The system refuses a thread; those that run end with [`Sinks::finish`].
    pub fn start(
        &mut self,
        source: Arc<dyn Source>,
        mut events: Receiver<Notice>,
    ) -> io::Result<()> {
        if self.boards.0.is_empty() {
            return Ok(());
        }
        for courier in self.couriers.drain(..) {
            let name = courier.board.name().to_owned();
            self.threads.push(Builder::new().name(name).spawn(|| courier.run())?);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()?;
        let (spools, metrics) = (std::mem::take(&mut self.spools), self.metrics.take());
        let (stop, boards) = (self.stop.clone(), self.boards.clone());
        let work = move || {
            runtime.block_on(async {
                let alarm_spools = spools.iter().filter(|spool| spool.choice.alarm);
                let alarm_spools: Vec<Spool> = alarm_spools
                    .map(|spool| Spool::new(spool.items.clone(), spool.board.clone(), spool.choice))
                    .collect();
                let alarms = async {
                    if !alarm_spools.is_empty() {
                        watch_alarms(source.clone(), alarm_spools, &stop).await;
                    }
                };
                let metrics = async {
                    if let Some((listen, board)) = metrics {
                        server::serve(listen, source.clone(), board, boards, &stop).await;
                    }
                };
                tokio::join!(feed(&mut events, spools, &stop), alarms, metrics);
            });
            // Calls that wait for the core aren't waited for.
            runtime.shutdown_timeout(Duration::from_millis(100));
            events
        };
        self.feeder = Some(Builder::new().name("outward".to_owned()).spawn(work)?);
        Ok(())
    }

    /// Hands over what waits, for at most two seconds, and ends the threads. Returns where the events were read up to, so that others can
    /// read on from there; `None` if nobody read them.
    pub fn finish(self) -> Option<Receiver<Notice>> {
        self.stop.store(true, Ordering::Relaxed);
        let events = self.feeder.and_then(|feeder| feeder.join().ok());
        for thread in self.threads {
            // A panic there has been printed; nothing is left to be done about it.
            let _ = thread.join();
        }
        events
    }
}
