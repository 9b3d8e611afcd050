//! The way to the dataplane: attach to the exchange, and publish what is in force.

use std::time::Instant;

use loadlock_exchange::{ControlExchange, Generation, PublishError, RegionError};

use super::{ATTACH_EVERY, Core, PUBLISH_AGAIN, now_ns};
use crate::state::State;

impl Core {
    pub(super) fn attach_if_due(&mut self, now: Instant) {
        if now < self.attach_due {
            return;
        }
        self.attach_due = now + ATTACH_EVERY;
        if let Some(exchange) = &self.exchange {
            exchange.heartbeat(now_ns());
            if exchange.is_current() {
                let published = Generation(self.generation);
                if self.publish_due.is_none() && !exchange.is_in_force(published) {
                    tracing::error!(
                        "a starting dataplane refused the policy in the exchange: it is published again"
                    );
                    self.publish_due = Some(now);
                }
                return;
            }
            tracing::info!("the dataplane has made a new exchange");
            self.exchange = None;
            self.generation = 0;
        }
        match ControlExchange::attach(&self.settings.exchange.path, self.settings.dimensions()) {
            Ok(exchange) => self.attached(exchange, now),
            Err(RegionError::Missing { .. }) => {}
            Err(error) => {
                let text = error.to_string();
                if self.attach_error.as_ref() != Some(&text) {
                    tracing::warn!("{text}");
                    self.attach_error = Some(text);
                }
            }
        }
    }

    pub(super) fn attached(&mut self, mut exchange: ControlExchange, now: Instant) {
        let instance = exchange.instance();
        for cursor in self.stored_cursors.iter().filter(|cursor| cursor.instance == instance) {
            if let Some(ring) = exchange.events.get_mut(cursor.worker as usize) {
                ring.skip_to(cursor.position);
            }
        }
        tracing::info!(path = %self.settings.exchange.path.display(), "attached to the exchange");
        self.attach_error = None;
        self.live.clear_flows();
        self.exchange = Some(exchange);
        self.tell_bypasses();
        self.publish_due = Some(now);
    }

    pub(crate) fn publish_if_due(&mut self, now: Instant) {
        if self.publish_due.is_none_or(|due| now < due) {
            return;
        }
        let modes = self.modes_in_force();
        let Some(exchange) = &mut self.exchange else { return };
        let in_force = State { modes, ..self.state.clone() };
        let image = match in_force.compile(&self.settings) {
            Ok(image) => image,
            Err(error) => {
                self.publish_due = None;
                self.fail(format!("policy version {}: {error}", self.state.number));
                return;
            }
        };
        match exchange.publish(&image) {
            Ok(generation) => {
                self.generation = generation.0;
                self.publish_due = None;
                tracing::info!(
                    version = self.state.number.0,
                    generation = generation.0,
                    "policy in force"
                );
            }
            Err(PublishError::Busy(_)) => self.publish_due = Some(now + PUBLISH_AGAIN),
            Err(error @ PublishError::TooLarge { .. }) => {
                self.publish_due = None;
                self.fail(error.to_string());
            }
        }
    }
}
