//! What was learned goes to the disk, and only then are the events it came from given back to the rings.

use std::time::Instant;

use loadlock_store::Cursor;

use super::{Core, SAVE_AGAIN, SAVE_EVERY};
use crate::rows;
use crate::stations;
use crate::storage::{Batch, Saved};

impl Core {
    pub(super) fn save_if_due(&mut self, now: Instant) {
        if self.saving.is_some() || self.events_unsaved == 0 || now < self.save_due {
            return;
        }
        let (changes, seen) = (self.learner.take_changes(), self.stations.take_changes());
        let (removed, mut rows) = rows::encode(&changes);
        rows.extend(stations::encode(&seen));
        let flows = self.history.take_unsaved();
        self.storage.save(Batch { removed, rows, flows, cursors: self.cursors() });
        self.saving = Some((changes, seen));
        self.events_unsaved = 0;
        self.save_due = now + SAVE_EVERY;
    }

    /// There is more to be written.
    pub(crate) fn note_unsaved(&mut self, count: usize) {
        self.events_unsaved += count as u64;
    }

    pub(super) fn cursors(&self) -> Vec<Cursor> {
        let Some(exchange) = &self.exchange else { return Vec::new() };
        let instance = exchange.instance();
        let rings = exchange.events.iter().zip(0..);
        rings.map(|(ring, worker)| Cursor { instance, worker, position: ring.position() }).collect()
    }

    /// A batch is on disk, or couldn't be put there.
    pub(super) fn conclude(&mut self, saved: Saved, now: Instant) {
        let changes = self.saving.take();
        match &saved.result {
            Ok(()) => {
                if let Some(exchange) = &mut self.exchange {
                    let instance = exchange.instance();
                    for cursor in saved.cursors.iter().filter(|cursor| cursor.instance == instance)
                    {
                        if let Some(ring) = exchange.events.get_mut(cursor.worker as usize) {
                            ring.release_to(cursor.position);
                        }
                    }
                }
                self.stored_cursors = saved.cursors;
            }
            Err(error) => {
                self.fail(error.to_string());
                if let Some((changes, seen)) = changes {
                    self.learner.keep_unsaved(&changes);
                    self.stations.keep_unsaved(&seen);
                }
                self.history.keep_unsaved(saved.flows);
                self.events_unsaved += 1;
                self.save_due = now + SAVE_AGAIN;
            }
        }
    }

    /// Puts everything learned on disk and gives the rings back.
    pub(super) fn finish(&mut self) {
        while self.drain() > 0 {}
        if self.saving.is_some()
            && let Some(saved) = self.storage.wait_saved()
        {
            self.conclude(saved, Instant::now());
        }
        self.save_due = Instant::now();
        self.version_due = self.save_due;
        self.save_if_due(self.save_due);
        if self.saving.is_some()
            && let Some(saved) = self.storage.wait_saved()
        {
            self.conclude(saved, Instant::now());
        }
        self.version_if_due(Instant::now());
        tracing::info!("control has ended; the dataplane keeps the policy in force");
    }
}
