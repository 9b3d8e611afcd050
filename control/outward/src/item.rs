//! What goes to the sinks.

use std::sync::Arc;

use loadlock_api::{EventKind, EventLine, Time};
use loadlock_settings::EventChoice;
use serde::Serialize;

/// One thing to tell. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// A conversation.
    Event(Arc<EventLine>),
    /// An alarm.
    Alarm(Arc<AlarmLine>),
    /// So many items are missing here.
    Lost { time: Time, count: u64 },
}

impl Item {
    /// Is it among what the sink is configured for? A gap always is.
    pub fn is_chosen(&self, choice: EventChoice) -> bool {
        match self {
            Self::Event(event) => match event.kind {
                EventKind::Started => choice.started,
                EventKind::Ended => choice.ended,
                EventKind::Denied => choice.denied,
            },
            Self::Alarm(_) => choice.alarm,
            Self::Lost { .. } => true,
        }
    }

    /// When it happened.
    pub fn time(&self) -> Time {
        match self {
            Self::Event(event) => event.time,
            Self::Alarm(alarm) => alarm.time,
            Self::Lost { time, .. } => *time,
        }
    }

    /// The word for what it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Event(event) => event.kind.name(),
            Self::Alarm(_) => "alarm",
            Self::Lost { .. } => "lost",
        }
    }
}

/// An alarm of `loadlock status` that came or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmLine {
    /// When it was noticed, by the wall clock.
    pub time: Time,
    /// Always `alarm`.
    pub kind: &'static str,
    /// Which of the two.
    pub state: AlarmState,
    /// The alarm, as it was last shown.
    pub words: String,
}

/// Did it come or go?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmState {
    /// It came.
    Raised,
    /// It went.
    Cleared,
}

impl AlarmState {
    /// The name in every format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use loadlock_api::{Side, Verdict};

    /// A conversation that has ended.
    pub(crate) fn event(client: &str, server: &str, service: &str) -> EventLine {
        EventLine {
            time: Time::from_ns(1_777_896_191_000_000_250),
            kind: EventKind::Ended,
            segment: "fab".to_owned(),
            words: format!("{client} → {server} {service}"),
            vlan: "untagged".to_owned(),
            client: client.to_owned(),
            client_port: Some(40_000),
            client_side: Side::A,
            server: server.to_owned(),
            service: service.to_owned(),
            initiator: Side::A,
            verdict: Verdict::Allow,
            reason: None,
            rule: Some(7),
            started: None,
            midstream: false,
            client_packets: 5,
            client_bytes: 600,
            server_packets: 4,
            server_bytes: 900,
        }
    }
}
