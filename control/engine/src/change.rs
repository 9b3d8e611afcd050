//! Changes that a person asks for: durable, published, in force with every worker before the answer.

use std::time::{Duration, Instant};

use loadlock_api::{BackendError, ModeChanged};
use loadlock_exchange::Mode;

use crate::core::Core;

impl Core {
    pub(crate) fn unknown_segment(&self, found: &str) -> BackendError {
        let known = self.settings.segments.iter().map(|segment| segment.name.to_string());
        BackendError::UnknownSegment { found: found.to_owned(), known: known.collect() }
    }

    /// Sets a mode: drains what was seen under the old one, makes a durable version, publishes, waits for the workers.
    pub(crate) fn set_mode(
        &mut self,
        segment: &str,
        mode: Mode,
        author: &str,
    ) -> Result<ModeChanged, BackendError> {
        let position =
            self.settings.segments.iter().position(|known| known.name.as_str() == segment);
        let at = position.ok_or_else(|| self.unknown_segment(segment))?;
        let previous = self.state.modes[at];
        if previous != mode {
            let deadline = Instant::now() + Duration::from_secs(1);
            while self.drain() > 0 && Instant::now() < deadline {}
            let mut modes = self.state.modes.clone();
            modes[at] = mode;
            let reason = format!("mode of {segment}: {} to {}", previous.name(), mode.name());
            self.make_version(modes, author, &reason)
                .map_err(|reason| BackendError::Store { reason })?;
            self.wait_for_workers()?;
        }
        Ok(ModeChanged {
            segment: segment.to_owned(),
            mode: mode.into(),
            previous: previous.into(),
            policy_version: self.state.number.0,
            generation: self.generation,
        })
    }

    /// Publishes what is due and waits until every worker that is online judges by it.
    pub(crate) fn wait_for_workers(&mut self) -> Result<(), BackendError> {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            self.publish_if_due(Instant::now());
            let Some(exchange) = &self.exchange else { return Ok(()) };
            let generations = exchange.generations();
            let behind = generations.iter().flatten().any(|said| *said < self.generation);
            if self.publish_due.is_none() && !behind {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(BackendError::Conflict {
                    reason: format!(
                        "policy version {} is stored, but after 2 s not every worker judges by it (workers: {generations:?}, \
                         published: {})",
                        self.state.number, self.generation
                    ),
                    next_step: "look at `loadlock status`: a worker that stays behind hangs"
                        .to_owned(),
                });
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}
