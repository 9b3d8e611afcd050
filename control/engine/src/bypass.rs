//! Segments whose frames nobody judges because a person says so: durable first, then told to the dataplane, then answered.

use std::time::{Duration, Instant};

use loadlock_api::{BackendError, Bypass, BypassBody, BypassChanged, Time};
use loadlock_exchange::{DataplaneState, Handling};
use loadlock_packet::SegmentId;
use loadlock_store::NewBypass;

use crate::answers::store_error;
use crate::core::{Core, now_ns};

/// The dataplane looks every 10 ms, and says so then.
const PATIENCE: Duration = Duration::from_secs(2);

/// A segment's bypass, if it is in one.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    since_ns: u64,
    /// [`u64::MAX`]: until it is taken out.
    until_ns: u64,
    author: String,
    reason: String,
}

impl Held {
    /// What the store has of each of these segments, by name. What ended while no control ran is ended soon.
    pub fn of(stored: &[NewBypass], segments: &[String]) -> Vec<Option<Self>> {
        let held = |segment: &String| {
            stored.iter().find(|bypass| bypass.segment == *segment).map(Self::new)
        };
        segments.iter().map(held).collect()
    }

    fn new(stored: &NewBypass) -> Self {
        let until_ns = match stored.for_ns {
            0 => u64::MAX,
            for_ns => stored.time_ns.saturating_add(for_ns),
        };
        Self {
            since_ns: stored.time_ns,
            until_ns,
            author: stored.actor.clone(),
            reason: stored.reason.clone(),
        }
    }

    /// As the API shows it.
    pub fn shown(&self) -> Bypass {
        Bypass {
            since: Time::from_ns(self.since_ns),
            until: (self.until_ns != u64::MAX).then(|| Time::from_ns(self.until_ns)),
            author: self.author.clone(),
            reason: self.reason.clone(),
        }
    }
}

impl Core {
    /// Puts a segment into bypass or takes it out. Into it anew changes its time and reason.
    pub(crate) fn set_bypass(
        &mut self,
        segment: &str,
        change: &BypassBody,
        author: &str,
    ) -> Result<BypassChanged, BackendError> {
        let names = self.segment_names();
        let position = names.iter().position(|name| name == segment);
        let at = position.ok_or_else(|| self.unknown_segment(segment))?;
        let previous = self.bypasses[at].as_ref().map(Held::shown);
        if change.on || previous.is_some() {
            let for_ns = change.seconds.map_or(0, |seconds| seconds * 1_000_000_000);
            self.record_bypass(at, change.on, for_ns, author, change.reason.trim())?;
        }
        let in_force = self.wait_for_handling(at)?;
        let bypass = self.bypasses[at].as_ref().map(Held::shown);
        Ok(BypassChanged { segment: segment.to_owned(), bypass, previous, in_force })
    }

    fn record_bypass(
        &mut self,
        at: usize,
        on: bool,
        for_ns: u64,
        author: &str,
        reason: &str,
    ) -> Result<(), BackendError> {
        let segment = self.settings.segments[at].name.to_string();
        tracing::warn!(segment, on, author, reason, "bypass");
        let new = NewBypass {
            segment,
            on,
            time_ns: now_ns(),
            for_ns,
            actor: author.to_owned(),
            reason: reason.to_owned(),
        };
        let stored = new.clone();
        self.storage.with(move |store| store.record_bypass(&stored)).map_err(store_error)?;
        self.bypasses[at] = on.then(|| Held::new(&new));
        self.tell_bypasses();
        Ok(())
    }

    /// Ends those whose time is over. The dataplane ends them by itself, also without control.
    pub(crate) fn end_bypasses_if_due(&mut self) {
        let now = now_ns();
        for at in 0..self.bypasses.len() {
            if self.bypasses[at].as_ref().is_none_or(|held| held.until_ns > now) {
                continue;
            }
            if let Err(error) = self.record_bypass(at, false, 0, "loadlock", "its time is over") {
                self.fail(format!("a bypass has ended, and that can't be recorded: {error}"));
                // The dataplane has ended it; asking the disk again and again helps nobody.
                self.bypasses[at] = None;
            }
        }
    }

    /// Writes what holds into the exchange: after each change, and when the exchange is another one.
    pub(crate) fn tell_bypasses(&self) {
        let Some(exchange) = &self.exchange else { return };
        for (at, held) in self.bypasses.iter().enumerate() {
            if let Some(segment) = SegmentId::new(at) {
                exchange.set_bypass(segment, held.as_ref().map_or(0, |held| held.until_ns));
            }
        }
    }

    /// Waits until a dataplane that runs does what is to hold. False: none runs.
    fn wait_for_handling(&self, at: usize) -> Result<bool, BackendError> {
        let deadline = Instant::now() + PATIENCE;
        let port = self.settings.segments[at].side_a.0;
        loop {
            let Some(exchange) = &self.exchange else { return Ok(false) };
            if exchange.dataplane().state != DataplaneState::Running {
                return Ok(false);
            }
            let is_open = exchange.port_state(port).handling == Handling::Open;
            if is_open == self.bypasses[at].is_some() {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                // Out of bypass, a failure may keep it open.
                if self.bypasses[at].is_none() {
                    return Ok(true);
                }
                return Err(BackendError::Conflict {
                    reason: format!(
                        "it is recorded, but after {} s the dataplane doesn't say that it does it",
                        PATIENCE.as_secs()
                    ),
                    next_step: "look at `loadlock status` and the dataplane's log".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
