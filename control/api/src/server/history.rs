//! The last events, numbered, from which every stream reads at its own pace.
//!
//! One place serves three needs: `observe` without `-f`, a client that reconnects, and a slow client, whose loss is exactly
//! the distance between its position and the oldest event kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::event::{EventLine, Notice};
use crate::event_filter::EventFilter;
use crate::listing::Listing;

/// Most events looked at while the lock is held.
const BATCH_EVENTS: usize = 256;

/// Events in the order of their numbers. A number that is missing is an event that the server itself was too slow for.
pub(super) struct History {
    kept: Mutex<Kept>,
    /// Changes when there is something new to read.
    news: watch::Sender<()>,
    /// Tells this server's numbers from those of one before.
    pub(super) instance: u64,
    capacity: usize,
}

struct Kept {
    events: VecDeque<(u64, Arc<EventLine>)>,
    /// Number of the next event, from 1: a stream that has seen nothing yet is behind number 0.
    next: u64,
    /// No more will come.
    is_closed: bool,
}

/// What a stream reads.
pub(super) enum Read {
    /// An event and its number.
    Event(u64, Arc<EventLine>),
    /// Events lost, and the number of the last of them.
    Lost(u64, u64),
}

impl History {
    pub(super) fn new(capacity: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            kept: Mutex::new(Kept {
                events: VecDeque::with_capacity(capacity),
                next: 1,
                is_closed: false,
            }),
            news: watch::Sender::new(()),
            instance: now.as_nanos() as u64,
            capacity,
        }
    }

    /// Keeps what comes until the sender is gone.
    pub(super) async fn keep(self: Arc<Self>, mut events: Receiver<Notice>) {
        loop {
            match events.recv().await {
                Ok(Notice::Event(event)) => self.add(event),
                Ok(Notice::Missed(missed)) | Err(RecvError::Lagged(missed)) => self.skip(missed),
                Err(RecvError::Closed) => {
                    self.lock().is_closed = true;
                    self.news.send_replace(());
                    return;
                }
            }
        }
    }

    fn add(&self, event: Arc<EventLine>) {
        let mut kept = self.lock();
        if kept.events.len() == self.capacity {
            kept.events.pop_front();
        }
        let number = kept.next;
        kept.events.push_back((number, event));
        kept.next += 1;
        drop(kept);
        self.news.send_replace(());
    }

    fn skip(&self, missed: u64) {
        self.lock().next += missed;
        self.news.send_replace(());
    }

    /// The number that the next event will have.
    pub(super) fn next(&self) -> u64 {
        self.lock().next
    }

    /// Becomes ready whenever there may be something new.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Reads some of what is at `position` or later, and moves `position` behind it. `None` when there is nothing, and
    /// never will be. An empty result means: wait for news, unless `position` has moved.
    pub(super) fn read(&self, position: &mut u64, filter: &EventFilter) -> Option<Vec<Read>> {
        let kept = self.lock();
        if kept.is_closed && *position >= kept.next {
            return None;
        }
        let mut read = Vec::new();
        let first = kept.events.partition_point(|(number, _)| *number < *position);
        for (number, event) in kept.events.iter().skip(first).take(BATCH_EVENTS) {
            if *number > *position {
                read.push(Read::Lost(number - *position, number - 1));
            }
            if filter.fits(event) {
                read.push(Read::Event(*number, event.clone()));
            }
            *position = number + 1;
        }
        let is_all = first + BATCH_EVENTS >= kept.events.len();
        if is_all && *position < kept.next {
            read.push(Read::Lost(kept.next - *position, kept.next - 1));
            *position = kept.next;
        }
        Some(read)
    }

    /// The newest `limit` events kept, oldest first.
    pub(super) fn recent(&self, filter: &EventFilter, limit: u32) -> Listing<EventLine> {
        let kept: Vec<_> = self.lock().events.iter().map(|(_, event)| event.clone()).collect();
        let wanted = kept.iter().rev().filter(|event| filter.fits(event));
        let mut listing = Listing::take(wanted, limit);
        listing.items.reverse();
        Listing {
            items: listing.items.into_iter().map(|event| EventLine::clone(event)).collect(),
            total: listing.total,
            limit,
        }
    }

    /// Poison is ignored: every change under the lock leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::time::Time;
    use crate::traffic::{Side, Verdict};

    fn event(kind: EventKind) -> Arc<EventLine> {
        Arc::new(EventLine {
            time: Time::from_ns(0),
            kind,
            segment: "fab".to_owned(),
            words: String::new(),
            vlan: "untagged".to_owned(),
            client: "10.0.1.11".to_owned(),
            client_port: None,
            client_side: Side::A,
            server: "10.0.2.5".to_owned(),
            service: "tcp/5000".to_owned(),
            initiator: Side::A,
            verdict: Verdict::Allow,
            reason: None,
            rule: None,
            started: None,
            midstream: false,
            client_packets: 0,
            client_bytes: 0,
            server_packets: 0,
            server_bytes: 0,
        })
    }

    /// What is read, as numbers of events and (lost, newest lost).
    fn read(
        history: &History,
        position: &mut u64,
        kinds: &[EventKind],
    ) -> Vec<Result<u64, (u64, u64)>> {
        let read = history.read(position, &EventFilter::of_kinds(kinds)).unwrap();
        let of = |read| match read {
            Read::Event(number, _) => Ok(number),
            Read::Lost(count, newest) => Err((count, newest)),
        };
        read.into_iter().map(of).collect()
    }

    #[test]
    fn every_gap_is_counted_before_between_and_behind_what_is_kept() {
        let history = History::new(3);
        let mut position = history.next();
        for _ in 0..4 {
            history.add(event(EventKind::Started));
        }
        assert_eq!(read(&history, &mut position, &[]), [Err((1, 1)), Ok(2), Ok(3), Ok(4)]);
        history.add(event(EventKind::Started));
        history.skip(10);
        history.add(event(EventKind::Started));
        history.skip(2);
        assert_eq!(
            read(&history, &mut position, &[]),
            [Ok(5), Err((10, 15)), Ok(16), Err((2, 18))]
        );
        assert_eq!(position, history.next());
        assert_eq!(read(&history, &mut position, &[]), []);
    }

    #[test]
    fn a_filter_passes_over_events_and_not_over_gaps() {
        let history = History::new(1_000);
        let mut position = history.next();
        for _ in 0..2 * BATCH_EVENTS {
            history.add(event(EventKind::Started));
        }
        history.add(event(EventKind::Denied));
        history.skip(1);
        let mut all = Vec::new();
        while position < history.next() {
            all.extend(read(&history, &mut position, &[EventKind::Denied]));
        }
        let denied = 2 * BATCH_EVENTS as u64 + 1;
        assert_eq!(all, [Ok(denied), Err((1, denied + 1))]);
    }
}
