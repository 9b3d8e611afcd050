//! Events on the wire: one JSON object per `data:` line of the stream.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;
use crate::traffic::{Side, Verdict};

/// What happened.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A conversation was first seen.
    Started,
    /// A conversation is over.
    Ended,
    /// Frames were dropped, or would be.
    Denied,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Started, Self::Ended, Self::Denied];

    /// The name in API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Denied => "denied",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventLine {
    /// When, by the dataplane's clock.
    pub time: Time,
    /// What.
    pub kind: EventKind,
    /// Segment in which it happened.
    pub segment: String,
    /// The event as a sentence, without time, kind and segment.
    pub words: String,
    /// `untagged`, `10`, or `10.20` with the outer tag first.
    pub vlan: String,
    /// Address of the client: by the rule if there is one, else who opened the conversation.
    pub client: String,
    /// The client's port; null where the protocol has none.
    pub client_port: Option<u16>,
    /// Side on which the client is.
    pub client_side: Side,
    /// Address of the server.
    pub server: String,
    /// What they talk, such as `tcp/5000`.
    pub service: String,
    /// Side that sent the first packet seen.
    pub initiator: Side,
    /// What became of the frames.
    pub verdict: Verdict,
    /// Name of the reason, such as `no_rule`; null unless denied.
    pub reason: Option<String>,
    /// Rule that permits the conversation.
    pub rule: Option<u32>,
    /// When the conversation was first seen; null for a denial, and where it isn't known.
    #[serde(default)]
    pub started: Option<Time>,
    /// The conversation was met running.
    pub midstream: bool,
    /// Packets from the client; for a denial those since the last report of the same conversation.
    pub client_packets: u64,
    /// Frame bytes from the client, without FCS.
    pub client_bytes: u64,
    /// Packets from the server.
    pub server_packets: u64,
    /// Frame bytes from the server, without FCS.
    pub server_bytes: u64,
}

impl EventLine {
    /// What `loadlock explain drop` calls the kind of conversation that was denied: eight hexadecimal digits over segment, VLAN, ends and
    /// service (FNV-1a, 32 bits). Two kinds may share one, in which case both are explained. `None` for what wasn't denied.
    #[must_use]
    pub fn denial_id(&self) -> Option<String> {
        if self.kind != EventKind::Denied {
            return None;
        }
        let parts = [&self.segment, &self.vlan, &self.client, &self.server, &self.service];
        let bytes = parts.into_iter().flat_map(|part| part.bytes().chain([0]));
        let hash = bytes
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Some(format!("{hash:08x}"))
    }
}

/// What control tells those who listen, within the process.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An event.
    Event(Arc<EventLine>),
    /// So many events weren't put into words here, since more came than anybody reads.
    Missed(u64),
}

/// Events that this client didn't get, in the place where they are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lost {
    /// Always `lost`.
    pub kind: LostTag,
    /// How many, of all kinds, also of those that the client filters out; null when control was restarted meanwhile
    /// and nobody knows.
    pub count: Option<u64>,
}

/// The word `lost`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LostTag {
    /// The only value.
    Lost,
}

impl Lost {
    /// So many events are missing; `None` if nobody knows.
    #[must_use]
    pub fn new(count: Option<u64>) -> Self {
        Self { kind: LostTag::Lost, count }
    }
}

/// What an event stream carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum StreamItem {
    /// An event.
    Event(Box<EventLine>),
    /// A gap.
    Lost(Lost),
}

impl StreamItem {
    /// Reads one `data:` line.
    ///
    /// # Errors
    /// serde_json's; an event of a kind that this version doesn't know is one of them.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        // Not serde's untagged reading: that forgets which field was wrong.
        #[derive(Deserialize)]
        struct Kind {
            kind: String,
        }
        let Kind { kind } = serde_json::from_str(json)?;
        if kind == "lost" {
            serde_json::from_str(json).map(Self::Lost)
        } else {
            serde_json::from_str(json).map(Self::Event)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_in_its_own_kind() {
        let item = StreamItem::Lost(Lost::new(Some(17)));
        let json = serde_json::to_string(&item).unwrap();
        assert_eq!(json, r#"{"kind":"lost","count":17}"#);
        assert_eq!(StreamItem::from_json(&json).unwrap(), item);
        assert_eq!(
            StreamItem::from_json(r#"{"kind":"lost","count":null}"#).unwrap(),
            StreamItem::Lost(Lost::new(None))
        );
    }

    #[test]
    fn a_wrong_event_is_refused_with_its_field() {
        let error = StreamItem::from_json(r#"{"kind":"started"}"#).unwrap_err();
        assert!(error.to_string().contains("time"), "{error}");
        assert!(StreamItem::from_json(r#"{"count":1}"#).is_err());
    }

    #[test]
    fn kinds_are_found_by_name() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(EventKind::from_name("lost"), None);
    }
}
