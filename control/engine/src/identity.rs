//! Bindings as people see and change them, and what was seen that speaks against them.

use std::net::IpAddr;
use std::sync::Arc;

use loadlock_api::{
    BackendError, Binding, BindingRenewal, BindingRenewed, Listing, RuleQuery, Time, thousands,
};
use loadlock_exchange::{DropReason, Event, EventKind, Identity, Mode};
use loadlock_packet::{MacAddress, Network, Side, VlanStack};
use loadlock_policy::{Binding as PolicyBinding, BindingParts, Policy, VlanMatch};
use loadlock_settings::Settings;

use crate::core::Core;
use crate::lines::segment_name;
use crate::state::State;

/// Violations that are remembered for [`loadlock_api::Status::alarms`]; beyond, the oldest goes.
const VIOLATIONS_MAX: usize = 16;
/// How long after its last frame one is an alarm.
const ALARM_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// Frames of one station that weren't who they said.
#[derive(Clone, Debug)]
struct Violation {
    segment: String,
    vlans: VlanStack,
    reason: DropReason,
    address: Option<IpAddr>,
    mac: MacAddress,
    side: Side,
    packets: u64,
    /// When control heard of it last.
    last_ns: u64,
    dropped: bool,
}

/// The latest violations.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

/// The address that a denied frame shows or claims.
pub(crate) fn address_of(event: &Event) -> Option<IpAddr> {
    let shown = match event.key.endpoint(event.initiator).network {
        Network::Ip(address) => Some(address),
        Network::Link { .. } => None,
    };
    let about_claim = matches!(
        event.kind,
        EventKind::Denied(DropReason::AddressClaimed | DropReason::GratuitousTakeover)
    );
    if about_claim { event.claimed.or(shown) } else { shown }
}

impl Violations {
    /// Takes an event into account. Alarms go by control's own clock: a dataplane may have that of a capture.
    pub fn observe(&mut self, settings: &Settings, event: &Event) {
        let EventKind::Denied(reason) = event.kind else { return };
        if !reason.is_identity() {
            return;
        }
        let segment = segment_name(settings, &event.key);
        let (vlans, address) = (event.key.tail().vlans(), address_of(event));
        let mac = event.macs[event.initiator as usize];
        let same = |known: &Violation| {
            (known.reason, known.address, known.mac, known.vlans) == (reason, address, mac, vlans)
                && known.segment == segment
        };
        let packets: u64 = event.packets.iter().sum();
        let before = self.0.iter().position(same).map(|at| self.0.remove(at).packets);
        if self.0.len() == VIOLATIONS_MAX {
            self.0.remove(0);
        }
        self.0.push(Violation {
            segment,
            vlans,
            reason,
            address,
            mac,
            side: event.initiator,
            packets: before.unwrap_or(0).saturating_add(packets),
            last_ns: crate::core::now_ns(),
            dropped: !event.flags.forwarded,
        });
    }

    /// Forgets those about this address: its binding was renewed.
    fn settle(&mut self, segment: &str, vlans: VlanStack, address: IpAddr) {
        self.0.retain(|known| {
            (known.segment.as_str(), known.vlans, known.address) != (segment, vlans, Some(address))
        });
    }

    /// One sentence each, the latest first.
    pub fn alarms(&self, policy: &Policy, now_ns: u64) -> Vec<String> {
        let fresh = |known: &&Violation| now_ns.saturating_sub(known.last_ns) < ALARM_NS;
        self.0.iter().rev().filter(fresh).map(|known| known.words(policy)).collect()
    }
}

fn name(side: Side) -> &'static str {
    loadlock_api::Side::from(side).name()
}

impl Violation {
    fn words(&self, policy: &Policy) -> String {
        let Self { segment, mac, side, address, .. } = self;
        let vlan = match self.vlans {
            VlanStack::UNTAGGED => String::new(),
            vlans => format!(", VLAN {vlans}"),
        };
        let what = match address {
            Some(address) => format!("as {address}"),
            None => "below IP".to_owned(),
        };
        let done = if self.dropped { "dropped" } else { "forwarded, would be dropped" };
        let bound = bound(policy, segment, self.vlans, *address, *mac)
            .map(|binding| format!("bound: {binding}; "))
            .unwrap_or_default();
        let next = match address {
            Some(address) => format!(
                "if that is in order: loadlock bindings renew {segment} {address} {mac}{} --side {}",
                match self.vlans {
                    VlanStack::UNTAGGED => String::new(),
                    vlans => format!(" --vlan {vlans}"),
                },
                name(*side)
            ),
            None => "look for the station".to_owned(),
        };
        format!(
            "segment {segment}, side {}{vlan}: station {mac} sends {what}: {} ({}; {} packets {done}); {bound}{next}",
            name(*side),
            self.reason.meaning(),
            self.reason.name(),
            thousands(self.packets)
        )
    }
}

/// The binding that speaks against a frame of `mac` as `address`.
pub(crate) fn bound<'a>(
    policy: &'a Policy,
    segment: &str,
    vlans: VlanStack,
    address: Option<IpAddr>,
    mac: MacAddress,
) -> Option<&'a PolicyBinding> {
    let here = |binding: &&PolicyBinding| {
        let parts = binding.parts();
        (&*parts.segment, parts.vlans) == (segment, vlans)
    };
    let mut bindings = policy.bindings().iter().filter(here);
    let of_address = address
        .and_then(|address| bindings.clone().find(|known| known.parts().address == Some(address)));
    of_address.or_else(|| bindings.find(|known| known.parts().mac == Some(mac)))
}

/// The bindings that the dataplane is to hold: a person's always, learned ones once their segment has learned, as strictly as the
/// configuration says for their side.
pub(crate) fn held(state: &State, settings: &Settings) -> Vec<PolicyBinding> {
    let held = state.policy.bindings().iter().filter_map(|binding| {
        let parts = binding.parts();
        let at = settings
            .segments
            .iter()
            .position(|segment| segment.name.as_str() == &*parts.segment)?;
        if binding.is_learned() && state.modes.get(at) == Some(&Mode::Learn) {
            return None;
        }
        match settings.segments[at].identity[parts.side as usize] {
            Identity::MacIp => Some(binding.clone()),
            Identity::Ip if parts.address.is_some() => {
                PolicyBinding::new(BindingParts { mac: None, ..parts.clone() }).ok()
            }
            Identity::Ip | Identity::Off => None,
        }
    });
    held.collect()
}

impl Core {
    /// The bindings of the policy in force.
    pub(crate) fn bindings(&self, query: &RuleQuery) -> Result<Listing<Binding>, BackendError> {
        if let Some(name) = &query.segment {
            self.segment_at(name)?;
        }
        let wanted = |binding: &&PolicyBinding| {
            query.segment.as_ref().is_none_or(|name| *name == *binding.parts().segment)
        };
        let bindings = self.state.policy.bindings().iter().filter(wanted);
        Ok(Listing::take(bindings.map(|binding| self.binding(binding)), query.limit))
    }

    fn binding(&self, binding: &PolicyBinding) -> Binding {
        let parts = binding.parts();
        let at = self.segment_at(&parts.segment).ok();
        let identity = at.map(|at| self.settings.segments[at].identity[parts.side as usize]);
        let learning = at.is_some_and(|at| self.state.modes[at] == Mode::Learn);
        let held = match identity {
            None | Some(Identity::Off) => "off",
            Some(_) if learning && binding.is_learned() => "learning",
            Some(Identity::Ip) if parts.address.is_none() => "off",
            Some(Identity::Ip) => Identity::Ip.name(),
            Some(Identity::MacIp) if parts.mac.is_none() => Identity::Ip.name(),
            Some(Identity::MacIp) => Identity::MacIp.name(),
        };
        Binding {
            segment: parts.segment.to_string(),
            vlan: VlanMatch::Exactly(parts.vlans).to_string(),
            side: parts.side.into(),
            address: parts.address.map(|address| address.to_string()),
            mac: parts.mac.map(|mac| mac.to_string()),
            held: held.to_owned(),
            reason: parts.reason.to_string(),
            words: binding.words(),
        }
    }

    fn segment_at(&self, name: &str) -> Result<usize, BackendError> {
        let position = self.settings.segments.iter().position(|known| known.name.as_str() == name);
        position.ok_or_else(|| self.unknown_segment(name))
    }

    /// Gives an address to another station, by a person's word: a durable version, published, in force with every worker.
    pub(crate) fn renew(
        &mut self,
        segment: &str,
        renewal: &BindingRenewal,
        author: &str,
    ) -> Result<BindingRenewed, BackendError> {
        self.segment_at(segment)?;
        let refuse = |reason: String| BackendError::Conflict {
            reason,
            next_step: "look at `loadlock bindings list`, and correct the command".to_owned(),
        };
        let vlans = match VlanMatch::from_text(renewal.vlan.as_deref().unwrap_or("untagged")) {
            Ok(VlanMatch::Exactly(vlans)) => vlans,
            _ => return Err(refuse(format!("the VLAN {:?} isn't one", renewal.vlan))),
        };
        let is_same = |binding: &PolicyBinding| {
            let parts = binding.parts();
            (&*parts.segment, parts.vlans, parts.address) == (segment, vlans, Some(renewal.address))
        };
        let bindings = self.state.policy.bindings();
        let before = bindings.iter().find(|binding| is_same(binding)).cloned();
        let side = match (renewal.side, &before) {
            (Some(side), _) => side.into(),
            (None, Some(before)) => before.parts().side,
            (None, None) => {
                let address = renewal.address;
                return Err(refuse(format!(
                    "{address} isn't bound in segment {segment}, VLAN {vlans}, so that --side must say where it is"
                )));
            }
        };
        let mac = match renewal.mac.as_str() {
            "any" => None,
            text => Some(mac_of(text).ok_or_else(|| {
                refuse(format!(
                    "{text:?} is neither a MAC address such as 02:00:00:00:00:01 nor \"any\""
                ))
            })?),
        };
        let renewed = PolicyBinding::new(BindingParts {
            segment: segment.into(),
            vlans,
            address: Some(renewal.address),
            mac,
            side,
            reason: format!("renewed by {author}").as_str().into(),
        })
        .map_err(|(key, problem)| refuse(format!("{key} {problem}")))?;
        // A station that a person places is where he says, whatever was learned of it.
        let stays = |binding: &&PolicyBinding| {
            let parts = binding.parts();
            let moved = mac.is_some()
                && (&*parts.segment, parts.vlans, parts.mac) == (segment, vlans, mac)
                && parts.side != side
                && binding.is_learned();
            !is_same(binding) && !moved
        };
        let mut all: Vec<PolicyBinding> = bindings.iter().filter(stays).cloned().collect();
        all.push(renewed.clone());
        let policy = Policy::clone(&self.state.policy)
            .with_bindings(all, "bindings")
            .map_err(|errors| refuse(errors.to_string()))?;
        let reason = format!("segment {segment}: {renewed}");
        self.append(
            State { policy: Arc::new(policy), ..self.state.clone() },
            author,
            &reason,
            true,
        )
        .map_err(|reason| BackendError::Store { reason })?;
        self.stations.forget(segment, vlans, renewal.address);
        self.violations.settle(segment, vlans, renewal.address);
        self.wait_for_workers()?;
        Ok(BindingRenewed {
            previous: before.map(|before| self.binding(&before)),
            binding: self.binding(&renewed),
            time: Time::from_ns(crate::core::now_ns()),
            policy_version: self.state.number.0,
            generation: self.generation,
        })
    }
}

fn mac_of(text: &str) -> Option<MacAddress> {
    use loadlock_policy::AddressMatch;
    match AddressMatch::from_text(text) {
        Ok(AddressMatch::Mac(mac)) => Some(mac),
        _ => None,
    }
}
