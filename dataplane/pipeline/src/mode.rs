//! By which mode a frame is judged: that of its segment, unless one of its devices has its own.
//!
//! Looked up where a frame isn't plain, so that conversations that go on don't pay for it; and nothing at all while no device has a mode.

use loadlock_exchange::{DropReason, Mode};
use loadlock_packet::{FlowKey, MacAddress};

use crate::report::EventSink;
use crate::track::Burst;
use crate::verdict::Verdict;

impl<S: EventSink> Burst<'_, S> {
    /// Sets the mode of a frame between these stations. Before anything else that may depend on it.
    #[inline(always)]
    pub fn enter(&mut self, key: &FlowKey, source: MacAddress, destination: MacAddress) {
        if self.policy.has_device_modes() {
            self.mode = self.policy.mode_of(key, &[source, destination]);
        }
    }

    /// The same of a frame that couldn't be read: by its sender's station, in any VLAN.
    #[cold]
    pub fn enter_unread(&mut self) {
        if self.policy.has_device_modes() {
            let source = self.head.get(6..).and_then(|bytes| bytes.first_chunk().copied());
            let source = MacAddress(source.unwrap_or_default());
            self.mode = self.policy.mode_of_station(self.segment, source);
        }
    }

    /// The verdict on what contradicts itself, or what was said before: learning it is impossible, so it passes there, and counts.
    pub fn contradiction(&self, reason: DropReason) -> Verdict {
        match self.mode {
            Mode::Learn | Mode::Monitor => Verdict::WouldDeny(reason),
            Mode::Enforce | Mode::Quarantine => Verdict::Deny(reason),
        }
    }
}
