//! From the core's broadcast into the spools, without ever waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam::channel::{Sender, TrySendError};
use loadlock_api::Notice;
use loadlock_settings::EventChoice;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::board::{Board, now};
use crate::item::{AlarmLine, AlarmState, Item};
use crate::sinks::Source;

/// Between two looks at the alarms. Each costs the core about a millisecond.
const ALARMS_EVERY: Duration = Duration::from_secs(5);
/// The longest time that a request to stop isn't noticed.
const STOP_NOTICED: Duration = Duration::from_millis(100);

/// The way into one sink's spool.
pub(crate) struct Spool {
    pub items: Sender<Item>,
    pub board: Arc<Board>,
    pub choice: EventChoice,
    /// Items lost since the last that fitted.
    gap: u64,
}

impl Spool {
    pub fn new(items: Sender<Item>, board: Arc<Board>, choice: EventChoice) -> Self {
        Self { items, board, choice, gap: 0 }
    }

    /// Puts the item into the spool, after a note about what was lost before it. If it doesn't fit it is lost: what waits already is
    /// older, and tells how it began.
    fn offer(&mut self, item: &Item) {
        if !item.is_chosen(self.choice) {
            return;
        }
        if self.gap > 0 && self.try_send(Item::Lost { time: now(), count: self.gap }) {
            self.gap = 0;
        }
        if self.gap > 0 || !self.try_send(item.clone()) {
            self.lose(1);
        }
    }

    fn lose(&mut self, count: u64) {
        self.gap += count;
        self.board.lost(count);
    }

    fn try_send(&self, item: Item) -> bool {
        self.board.queued(1);
        match self.items.try_send(item) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.board.took(1);
                false
            }
        }
    }
}

/// Hands on what comes until `stop`, then what is still there.
pub(crate) async fn feed(events: &mut Receiver<Notice>, mut spools: Vec<Spool>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match timeout(STOP_NOTICED, events.recv()).await {
            Ok(Ok(notice)) => take(&mut spools, notice),
            Ok(Err(RecvError::Lagged(count))) => lose(&mut spools, count),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => {}
        }
    }
    loop {
        match events.try_recv() {
            Ok(notice) => take(&mut spools, notice),
            Err(TryRecvError::Lagged(count)) => lose(&mut spools, count),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

fn take(spools: &mut [Spool], notice: Notice) {
    match notice {
        Notice::Event(event) => offer(spools, &Item::Event(event)),
        Notice::Missed(count) => lose(spools, count),
    }
}

fn offer(spools: &mut [Spool], item: &Item) {
    spools.iter_mut().for_each(|spool| spool.offer(item));
}

/// Of those that are missing nobody knows the kind, so they are missing everywhere.
fn lose(spools: &mut [Spool], count: u64) {
    spools.iter_mut().for_each(|spool| spool.lose(count));
}

/// Tells when alarms come and go, until `stop`.
pub(crate) async fn watch_alarms(
    source: Arc<dyn Source>,
    mut spools: Vec<Spool>,
    stop: &AtomicBool,
) {
    let mut looks = interval(ALARMS_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        if timeout(STOP_NOTICED, looks.tick()).await.is_err() {
            continue;
        }
        let source = source.clone();
        // It waits for the core's turn.
        let Ok(Some(alarms)) = tokio::task::spawn_blocking(move || source.alarms()).await else {
            continue;
        };
        for line in changes(&mut known, alarms) {
            offer(&mut spools, &Item::Alarm(Arc::new(line)));
        }
    }
}

/// What is new, and what is over. The same alarm with another figure is neither.
fn changes(known: &mut BTreeMap<String, String>, alarms: Vec<String>) -> Vec<AlarmLine> {
    let line = |state, words| AlarmLine { time: now(), kind: "alarm", state, words };
    let present: BTreeMap<String, String> =
        alarms.into_iter().map(|words| (identity(&words), words)).collect();
    let gone = known.iter().filter(|(key, _)| !present.contains_key(*key));
    let gone: Vec<_> = gone.map(|(_, words)| line(AlarmState::Cleared, words.clone())).collect();
    let new = present.iter().filter(|(key, _)| !known.contains_key(*key));
    let lines = new.map(|(_, words)| line(AlarmState::Raised, words.clone())).chain(gone).collect();
    *known = present;
    lines
}

/// The alarm's place as it is, and the rest without figures.
fn identity(alarm: &str) -> String {
    let (place, rest) = alarm.split_once(": ").unwrap_or(("", alarm));
    let is_figure = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.');
    let rest = rest.replace(is_figure, "");
    format!("{place}: {rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel::bounded;

    fn lost(count: u64) -> Item {
        Item::Alarm(Arc::new(AlarmLine {
            time: now(),
            kind: "alarm",
            state: AlarmState::Raised,
            words: count.to_string(),
        }))
    }

    #[test]
    fn what_does_not_fit_is_lost_and_told_in_its_place() {
        let (items, inbox) = bounded(2);
        let board = Arc::new(Board::new("file".to_owned(), String::new(), 2));
        let choice = EventChoice { alarm: true, ..EventChoice::default() };
        let mut spool = Spool::new(items, board.clone(), choice);
        for number in 0..5 {
            spool.offer(&lost(number));
        }
        assert_eq!((board.status().lost, board.status().waiting), (3, 2));
        assert_eq!(inbox.try_iter().count(), 2);
        spool.offer(&lost(5));
        let told: Vec<_> = inbox.try_iter().collect();
        assert!(matches!(told[0], Item::Lost { count: 3, .. }), "{told:?}");
        assert!(matches!(&told[1], Item::Alarm(alarm) if alarm.words == "5"), "{told:?}");
    }

    #[test]
    fn what_was_not_put_into_words_is_lost_too() {
        let (items, inbox) = bounded(8);
        let board = Arc::new(Board::new("file".to_owned(), String::new(), 8));
        let choice = EventChoice { alarm: true, ..EventChoice::default() };
        let mut spools = [Spool::new(items, board.clone(), choice)];
        take(&mut spools, Notice::Missed(70_000));
        offer(&mut spools, &lost(1));
        assert_eq!(board.status().lost, 70_000);
        assert!(matches!(inbox.try_recv(), Ok(Item::Lost { count: 70_000, .. })));
    }

    #[test]
    fn an_alarm_comes_once_and_goes_once_whatever_its_figures() {
        let mut known = BTreeMap::new();
        let mut told = |alarms: &[&str]| -> Vec<(AlarmState, String)> {
            let alarms = alarms.iter().map(|alarm| (*alarm).to_owned()).collect();
            let lines = changes(&mut known, alarms).into_iter();
            lines.map(|line| (line.state, line.words)).collect()
        };
        let first = told(&["worker 0: 5 lost", "worker 1: 5 lost"]);
        assert_eq!(first.len(), 2);
        assert_eq!(told(&["worker 0: 1,006 lost", "worker 1: 5 lost"]), []);
        let over = told(&["worker 1: 7 lost"]);
        assert_eq!(over, [(AlarmState::Cleared, "worker 0: 1,006 lost".to_owned())]);
    }
}
