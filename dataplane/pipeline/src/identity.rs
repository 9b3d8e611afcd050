//! Is the sender of a frame who it says it is? Against the bindings of the policy, where a frame isn't plain: its conversation
//! has no line, the policy changed, or another station sends than the line knows.

use loadlock_exchange::{DropReason, Place, PolicyView};
use loadlock_packet::{Address, Claim, FlowKey, Headers, MacAddress, Side};

use crate::entry::{Entry, TableKey};
use crate::report::EventSink;
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::{Burst, Seen};
use crate::verdict::Verdict;

/// One end of a frame: a station, the address that it shows, and where it is.
struct End {
    side: Side,
    mac: MacAddress,
    address: Option<Address>,
}

impl End {
    fn of(key: &FlowKey, side: Side, mac: MacAddress) -> Self {
        Self { side, mac, address: Address::of(key, side) }
    }

    /// What the bindings say against it.
    fn fault(&self, policy: &PolicyView<'_>, place: Place) -> Option<DropReason> {
        let station = policy.station(place, self.mac);
        if station.is_some_and(|station| station.side != self.side) {
            return Some(DropReason::MacMoved);
        }
        let address = self.address?;
        match policy.owner(place, &address) {
            Some(owner) if owner.side != self.side => Some(DropReason::IpMoved),
            Some(owner) if owner.mac.is_some_and(|mac| mac != self.mac) => {
                Some(DropReason::DuplicateIp)
            }
            Some(_) => None,
            // IPv6 stations give themselves further addresses as they like (RFC 8981), IPv4 ones a link-local one in need, or
            // none while they ask for one.
            None => {
                let own = address.is_v6() || address.is_unspecified() || address.is_link_local();
                let spoofed = station.is_some_and(|station| station.has_ipv4) && !own;
                spoofed.then_some(DropReason::SourceMacSpoofed)
            }
        }
    }
}

/// What the bindings say against a claim of the station `source` on `side`. The frame's sender counts as well as the station it
/// names.
fn claim_fault(
    policy: &PolicyView<'_>,
    place: Place,
    claim: &Claim,
    side: Side,
    source: MacAddress,
) -> Option<DropReason> {
    let owner = policy.owner(place, &claim.address)?;
    let foreign = |mac| claim.mac != Some(mac) || source != mac;
    let false_claim = owner.side != side || owner.mac.is_some_and(foreign);
    false_claim.then_some(match claim.unasked {
        true => DropReason::GratuitousTakeover,
        false => DropReason::AddressClaimed,
    })
}

impl<S: EventSink> Burst<'_, S> {
    /// The verdict on a common frame: if its sender is who it says it is, by its conversation, which may be known to have no line.
    /// Two lookups more, none if nothing is bound.
    #[inline]
    pub fn hold<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        seen: &Seen<K>,
        absent: bool,
    ) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        self.enter(&seen.key.flow_key(), seen.source, seen.destination);
        if self.policy.holds_identity()
            && let Some(reason) = self.fault(&seen.key.flow_key(), seen.source)
        {
            return self.deny_foreign(reason, seen, None);
        }
        if absent { self.miss(table, seen) } else { self.track(table, seen) }
    }

    /// Why the sender of a frame that was read in full isn't who it says it is, or what it claims isn't so.
    #[inline]
    pub fn foreign_frame(&self, headers: &Headers) -> Option<DropReason> {
        if !self.policy.holds_identity() {
            return None;
        }
        self.fault(&headers.key, headers.source_mac).or_else(|| {
            let (claim, place) = (headers.claim.as_ref()?, Place::of(headers.key.tail()));
            claim_fault(&self.policy, place, claim, self.sender, headers.source_mac)
        })
    }

    /// Do the bindings say anything against this sender?
    #[inline]
    pub fn is_foreign(&self, key: &FlowKey, source: MacAddress) -> bool {
        self.policy.holds_identity() && self.fault(key, source).is_some()
    }

    #[inline(never)]
    fn fault(&self, key: &FlowKey, source: MacAddress) -> Option<DropReason> {
        End::of(key, self.sender, source).fault(&self.policy, Place::of(key.tail()))
    }

    /// The verdict on such a frame. Nothing is learned from it, it has no line, and counts in no conversation.
    #[cold]
    pub fn deny_foreign<K: TableKey>(
        &mut self,
        reason: DropReason,
        seen: &Seen<K>,
        claim: Option<Claim>,
    ) -> Verdict {
        let verdict = self.contradiction(reason);
        // The next frame of this conversation may come from its own station.
        self.deny_claim(verdict, reason, false, seen, claim);
        verdict
    }

    /// Forgets the other side's station if the bindings speak against it: as it stands in a new line it is only where the first
    /// packet was sent to, in an old one what was true under the policy before. Its next frame is looked at then.
    pub fn doubt_receiver<K: TableKey>(&self, entry: &mut Entry<K>) {
        if !self.policy.holds_identity() {
            return;
        }
        let side = self.sender.other();
        let key = entry.key.flow_key();
        let end = End::of(&key, side, entry.macs[side as usize]);
        if end.fault(&self.policy, Place::of(key.tail())).is_some() {
            entry.macs[side as usize] = MacAddress([0; 6]);
        }
    }
}
