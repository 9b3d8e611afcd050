//! One client's event stream (server-sent events, WHATWG HTML 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::STREAM_SIGN_OF_LIFE;
use super::history::{History, Read};
use super::routes::Shared;
use crate::event::Lost;
use crate::event_filter::EventFilter;

/// Where a stream is.
struct Reader {
    history: Arc<History>,
    news: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    filter: EventFilter,
    position: u64,
    ready: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

/// A stream from now on, or from behind the event with the id `last`.
pub(super) fn response(
    shared: &Shared,
    filter: EventFilter,
    last: Option<&str>,
    permit: OwnedSemaphorePermit,
) -> impl IntoResponse {
    let history = shared.history.clone();
    let next = history.next();
    let mut ready = VecDeque::new();
    // A comment at once, so that a client sees the stream open; ids show where to go on even before the first event.
    let opening = Event::default().comment("open");
    ready.push_back(if last.is_none() { opening.id(id(&history, next)) } else { opening });
    let position = match last.map(|last| resume(&history, last, next)) {
        None => next,
        Some(Some(position)) => position,
        Some(None) => {
            ready.push_back(lost(&history, None, next));
            next
        }
    };
    let (news, stopping) = (history.news(), shared.stopping.clone());
    let reader = Reader { history, news, stopping, filter, position, ready, _permit: permit };
    let alive = KeepAlive::new().interval(STREAM_SIGN_OF_LIFE).text("alive");
    Sse::new(unfold(reader, next_event)).keep_alive(alive)
}

/// `None` at the end: the server stops, or there will be no more events.
async fn next_event(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    loop {
        if let Some(event) = reader.ready.pop_front() {
            return Some((Ok(event), reader));
        }
        if *reader.stopping.borrow() {
            return None;
        }
        // Before reading: what comes after the read then is news.
        reader.news.mark_unchanged();
        let before = reader.position;
        for read in reader.history.read(&mut reader.position, &reader.filter)? {
            let event = match read {
                Read::Event(number, line) => {
                    let event = Event::default().id(id(&reader.history, number + 1));
                    // An event that can't be written would be a defect of its type; the stream goes on without it.
                    crate::to_json(&*line).ok().map(|json| event.data(json))
                }
                Read::Lost(count, newest) => Some(lost(&reader.history, Some(count), newest + 1)),
            };
            reader.ready.extend(event);
        }
        if reader.position == before {
            tokio::select! {
                _ = reader.news.changed() => {}
                _ = reader.stopping.changed() => {}
            }
        }
    }
}

/// The position behind the event `last`; `None` if that is an id of another server.
fn resume(history: &History, last: &str, next: u64) -> Option<u64> {
    let (instance, number) = last.split_once('-')?;
    let instance = u64::from_str_radix(instance, 16).ok()?;
    let number: u64 = number.parse().ok()?;
    (instance == history.instance && number < next).then_some(number + 1)
}

fn lost(history: &History, count: Option<u64>, next: u64) -> Event {
    let json = crate::to_json(&Lost::new(count)).unwrap_or_default();
    Event::default().id(id(history, next)).data(json)
}

/// Id of what comes right before the event numbered `next`.
fn id(history: &History, next: u64) -> String {
    format!("{:x}-{}", history.instance, next - 1)
}
