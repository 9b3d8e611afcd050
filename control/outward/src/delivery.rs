//! From a spool to its receiver: batches, reconnecting, giving up at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError};

use crate::board::Board;
use crate::item::Item;

/// Most items handed over at a time.
const BATCH_ITEMS: usize = 256;
/// The longest time without a look at the receiver.
const IDLE: Duration = Duration::from_millis(200);
/// Wait after the second failure in a row; doubled up to the longest.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Time for what waits to be handed over when control ends.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// Where items go. Called by its sink's thread only, which may wait in it.
pub(crate) trait Outlet: Send {
    /// Makes ready for [`Outlet::deliver`]. The text says what failed, with the value and the next step.
    fn connect(&mut self) -> Result<(), String>;

    /// Hands the items over in their order.
    fn deliver(&mut self, items: &[Item]) -> Delivery;

    /// Called when nothing waits, five times a second.
    fn idle(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Items from the first on that needn't be offered again.
    pub taken: usize,
    /// Of those, items that have no form for the receiver.
    pub skipped: usize,
    /// Of those, items that the receiver will never have.
    pub lost: usize,
    /// What stopped it; the outlet has to be connected again.
    pub failure: Option<String>,
}

/// The state of one sink's thread.
pub(crate) struct Courier {
    pub outlet: Box<dyn Outlet>,
    pub inbox: Receiver<Item>,
    pub board: Arc<Board>,
    pub stop: Arc<AtomicBool>,
}

impl Courier {
    /// Works until `stop`, and then for at most two seconds more until nothing waits.
    pub fn run(mut self) {
        let mut batch: Vec<Item> = Vec::with_capacity(BATCH_ITEMS);
        let mut is_connected = false;
        let mut back_off = Duration::ZERO;
        let mut end: Option<Instant> = None;
        loop {
            if end.is_none() && self.stop.load(Ordering::Relaxed) {
                end = Some(Instant::now() + LAST_CHANCE);
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            let waiting = batch.len();
            let outcome = match is_connected {
                false => self.outlet.connect(),
                true => match self.fill(&mut batch) {
                    Filled::Nothing if end.is_some() => break,
                    Filled::End => break,
                    Filled::Nothing => self.outlet.idle(),
                    Filled::Some => self.hand_over(&mut batch),
                },
            };
            // Connecting alone is no progress: a disk that is full can still be opened.
            if is_connected && (outcome.is_ok() || batch.len() != waiting) {
                back_off = Duration::ZERO;
            }
            match outcome {
                Ok(()) if is_connected => {}
                Ok(()) => {
                    is_connected = true;
                    self.board.connected();
                }
                Err(error) => {
                    is_connected = false;
                    self.board.failed(&error);
                    self.wait(back_off, end);
                    back_off = (back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
                }
            }
        }
        let left = batch.len() + self.inbox.try_iter().count();
        if left > 0 {
            self.board.lost(left as u64);
            self.board.took(left as u64);
            tracing::warn!(sink = self.board.name(), left, "events given up at the end of control");
        }
    }

    fn fill(&self, batch: &mut Vec<Item>) -> Filled {
        if batch.is_empty() {
            match self.inbox.recv_timeout(IDLE) {
                Ok(item) => batch.push(item),
                Err(RecvTimeoutError::Timeout) => return Filled::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Filled::End,
            }
        }
        batch.extend(self.inbox.try_iter().take(BATCH_ITEMS - batch.len()));
        Filled::Some
    }

    fn hand_over(&mut self, batch: &mut Vec<Item>) -> Result<(), String> {
        let Delivery { taken, skipped, lost, failure } = self.outlet.deliver(batch);
        batch.drain(..taken.min(batch.len()));
        self.board.lost(lost as u64);
        self.board.sent(taken.saturating_sub(lost + skipped) as u64);
        self.board.took((lost + skipped) as u64);
        failure.map_or(Ok(()), Err)
    }

    fn wait(&self, time: Duration, end: Option<Instant>) {
        let until = Instant::now() + time;
        let until = end.map_or(until, |end| end.min(until));
        while Instant::now() < until {
            if end.is_none() && self.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50).min(time));
        }
    }
}

enum Filled {
    Some,
    Nothing,
    /// Nobody feeds it any more.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::now;
    use crossbeam::channel::bounded;
    use std::sync::Mutex;

    /// Fails each third connection and takes two items of a batch at a time.
    struct Fragile {
        calls: usize,
        got: Arc<Mutex<Vec<u64>>>,
    }

    impl Outlet for Fragile {
        fn connect(&mut self) -> Result<(), String> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err("refused".to_owned()),
                _ => Ok(()),
            }
        }

        fn deliver(&mut self, items: &[Item]) -> Delivery {
            let taken = items.len().min(2);
            for item in &items[..taken] {
                let Item::Lost { count, .. } = item else { panic!("{item:?}") };
                self.got.lock().unwrap().push(*count);
            }
            Delivery { taken, failure: Some("gone".to_owned()), ..Delivery::default() }
        }
    }

    #[test]
    fn each_item_arrives_once_and_in_order_over_broken_connections() {
        let (items, inbox) = bounded(100);
        let board = Arc::new(Board::new("test".to_owned(), String::new(), 100));
        for count in 0..9 {
            board.queued(1);
            items.send(Item::Lost { time: now(), count }).unwrap();
        }
        drop(items);
        let got = Arc::new(Mutex::new(Vec::new()));
        let outlet = Box::new(Fragile { calls: 0, got: got.clone() });
        Courier { outlet, inbox, board: board.clone(), stop: Arc::default() }.run();
        assert_eq!(*got.lock().unwrap(), (0..9).collect::<Vec<_>>());
        let status = board.status();
        assert_eq!((status.sent, status.lost, status.waiting), (9, 0, 0));
    }

    #[test]
    fn what_nobody_takes_is_lost_at_the_end() {
        struct Deaf;
        impl Outlet for Deaf {
            fn connect(&mut self) -> Result<(), String> {
                Err("refused".to_owned())
            }
            fn deliver(&mut self, _: &[Item]) -> Delivery {
                unreachable!("it never connects")
            }
        }
        let (items, inbox) = bounded(10);
        let board = Arc::new(Board::new("test".to_owned(), String::new(), 10));
        items.send(Item::Lost { time: now(), count: 1 }).unwrap();
        let stop = Arc::new(AtomicBool::new(true));
        let began = Instant::now();
        Courier { outlet: Box::new(Deaf), inbox, board: board.clone(), stop }.run();
        assert!(began.elapsed() < LAST_CHANCE + Duration::from_secs(2));
        assert_eq!(board.status().lost, 1);
        assert_eq!(board.status().error.as_deref(), Some("refused"));
    }
}
