//! Which events a client wants.

use loadlock_exchange::DropReason;

use crate::address::AddressFilter;
use crate::event::{EventKind, EventLine};
use crate::traffic::Verdict;

/// Query of `GET /v1/events` and `GET /v1/events/recent`. An event fits if it fits every part that isn't empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these kinds.
    pub kinds: Vec<EventKind>,
    /// In one of these segments. A name that no segment has fits no event: the stream may be older than the configuration.
    pub segments: Vec<String>,
    /// This address is one end of the conversation.
    pub address: Option<AddressFilter>,
    /// Denied for one of these reasons.
    pub reasons: Vec<DropReason>,
    /// With one of these verdicts: `deny` comes from `enforce`, `would-deny` from the modes that only report.
    pub verdicts: Vec<Verdict>,
}

impl EventFilter {
    /// Events of these kinds.
    #[must_use]
    pub fn of_kinds(kinds: &[EventKind]) -> Self {
        Self { kinds: kinds.to_vec(), ..Self::default() }
    }

    /// True if the event is wanted. Allocates when it looks for an address.
    #[must_use]
    pub fn fits(&self, event: &EventLine) -> bool {
        fn among<T>(wanted: &[T], is_it: impl Fn(&T) -> bool) -> bool {
            wanted.is_empty() || wanted.iter().any(is_it)
        }
        among(&self.kinds, |kind| *kind == event.kind)
            && among(&self.verdicts, |verdict| *verdict == event.verdict)
            && among(&self.segments, |segment| *segment == event.segment)
            && among(&self.reasons, |reason| event.reason.as_deref() == Some(reason.name()))
            && self.address.is_none_or(|address| {
                let text = address.to_string();
                [&event.client, &event.server].contains(&&text)
            })
    }

    /// The query parameters that say it, in the order of the fields.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, String)> {
        let list = |words: Vec<&str>| words.join(",");
        let kinds = list(self.kinds.iter().map(|kind| kind.name()).collect());
        let reasons = list(self.reasons.iter().map(|reason| reason.name()).collect());
        let verdicts = list(self.verdicts.iter().map(|verdict| verdict.name()).collect());
        let mut parameters = vec![("kind", kinds), ("reason", reasons), ("verdict", verdicts)];
        parameters.extend(self.segments.iter().map(|segment| ("segment", segment.clone())));
        parameters.extend(self.address.map(|address| ("address", address.to_string())));
        parameters.retain(|(_, value)| !value.is_empty());
        parameters
    }
}
