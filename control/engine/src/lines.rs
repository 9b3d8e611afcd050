//! Keys and events in the API's words.

use loadlock_api::{EventKind as LineKind, EventLine, Flow, FlowState, Time, Verdict};
use loadlock_exchange::{Event, EventKind, RuleId};
use loadlock_packet::{FlowKey, Kind, Network, Side};
use loadlock_policy::{Policy, Service};
use loadlock_settings::Settings;

use crate::identity::{address_of, bound};
use crate::live::{LiveBasis, LiveFlow};

/// A conversation's ends in words.
pub(crate) struct Parties {
    pub client: String,
    pub client_port: Option<u16>,
    pub client_side: Side,
    pub server: String,
    pub service: String,
}

fn address(network: Network) -> String {
    match network {
        Network::Ip(address) => address.to_string(),
        Network::Link { mac, .. } => mac.to_string(),
    }
}

impl Parties {
    pub fn of(key: &FlowKey, client_side: Side) -> Self {
        let kind = key.tail().kind();
        let (client, server) = (key.endpoint(client_side), key.endpoint(client_side.other()));
        let has_port = matches!(kind, Kind::Tcp | Kind::Udp);
        let service = Service::of_key(kind, server.network, server.service);
        Self {
            client: address(client.network),
            client_port: has_port.then_some(client.service),
            client_side,
            server: address(server.network),
            service: service.map_or_else(
                || format!("{kind:?}/{}", server.service),
                |service| service.to_string(),
            ),
        }
    }

    fn words(&self) -> String {
        let port = self.client_port.map(|port| format!(" port {port}")).unwrap_or_default();
        let side = match self.client_side {
            Side::A => "a",
            Side::B => "b",
        };
        format!("{}{port} (side {side}) → {} {}", self.client, self.server, self.service)
    }
}

/// Side of the client: the rule's if it says one, else that of who spoke first. A negotiated conversation's rule is another one's.
fn client_side(policy: &Policy, rule: Option<RuleId>, initiator: Side) -> Side {
    let rule = rule.and_then(|rule| policy.rule(rule));
    rule.and_then(|rule| rule.parts().client_side).unwrap_or(initiator)
}

pub(crate) fn segment_name(settings: &Settings, key: &FlowKey) -> String {
    let index = key.tail().segment().index();
    let segment = settings.segments.get(index);
    segment.map_or_else(|| format!("segment {index}"), |segment| segment.name.to_string())
}

/// Whose frame it was, what it claims, and what speaks against it.
fn identity_words(settings: &Settings, policy: &Policy, event: &Event) -> String {
    let mac = event.macs[event.initiator as usize];
    let claims = event.claimed.map(|address| format!(", claims {address}")).unwrap_or_default();
    let (segment, vlans) = (segment_name(settings, &event.key), event.key.tail().vlans());
    let bound = bound(policy, &segment, vlans, address_of(event), mac);
    let bound = bound.map(|binding| format!("; bound: {binding}")).unwrap_or_default();
    format!(", from station {mac}{claims}{bound}")
}

/// An event as clients see it; `None` for a read-out of counters, which is no news. `started_ns`: when the conversation began, if that
/// is known.
pub(crate) fn event_line(
    settings: &Settings,
    policy: &Policy,
    event: &Event,
    started_ns: Option<u64>,
) -> Option<EventLine> {
    let (kind, reason) = match event.kind {
        EventKind::Started => (LineKind::Started, None),
        EventKind::Ended => (LineKind::Ended, None),
        EventKind::Denied(reason) => (LineKind::Denied, Some(reason)),
        EventKind::Counted => return None,
    };
    let own = event.rule.filter(|_| !event.flags.negotiated);
    let side = client_side(policy, own, event.initiator);
    let parties = Parties::of(&event.key, side);
    let verdict = match (event.kind, event.flags.forwarded) {
        (EventKind::Denied(_), false) => Verdict::Deny,
        (EventKind::Denied(_), true) => Verdict::WouldDeny,
        _ if event.flags.negotiated => Verdict::Allow,
        _ if event.rule.is_none() && !event.flags.learning => Verdict::WouldDeny,
        _ => Verdict::Allow,
    };
    let (client, server) = (side as usize, side.other() as usize);
    let packets: u64 = event.packets.iter().sum();
    let mut words = parties.words();
    match (reason, event.rule) {
        (Some(reason), _) => {
            words += &format!(": {} ({packets} packets)", reason.meaning());
            if reason.is_identity() {
                words += &identity_words(settings, policy, event);
            }
        }
        (None, Some(rule)) if event.flags.negotiated => {
            words += &format!(", its port negotiated by rule {rule}");
        }
        (None, None) if event.flags.negotiated => words += ", its port negotiated",
        (None, Some(rule)) => words += &format!(", rule {rule}"),
        (None, None) if event.flags.learning => words += ", being learned",
        (None, None) => {}
    }
    if event.flags.midstream {
        words += ", met running";
    }
    Some(EventLine {
        time: Time::from_ns(event.time_ns),
        kind,
        segment: segment_name(settings, &event.key),
        words,
        vlan: event.key.tail().vlans().to_string(),
        client: parties.client,
        client_port: parties.client_port,
        client_side: side.into(),
        server: parties.server,
        service: parties.service,
        initiator: event.initiator.into(),
        verdict,
        reason: reason.map(|reason| reason.name().to_owned()),
        rule: event.rule.map(RuleId::number),
        started: started_ns.map(Time::from_ns),
        midstream: event.flags.midstream,
        client_packets: event.packets[client],
        client_bytes: event.bytes[client],
        server_packets: event.packets[server],
        server_bytes: event.bytes[server],
    })
}

/// A live conversation as clients see it.
pub(crate) fn flow(settings: &Settings, policy: &Policy, key: &FlowKey, live: &LiveFlow) -> Flow {
    let (rule, verdict) = match live.basis {
        LiveBasis::Rule(rule) => (Some(rule), Verdict::Allow),
        LiveBasis::Negotiated(rule) => (rule, Verdict::Allow),
        LiveBasis::Learning => (None, Verdict::Allow),
        LiveBasis::WouldDeny => (None, Verdict::WouldDeny),
    };
    let own = rule.filter(|_| !matches!(live.basis, LiveBasis::Negotiated(_)));
    let side = client_side(policy, own, live.initiator);
    let parties = Parties::of(key, side);
    let (client, server) = (side as usize, side.other() as usize);
    let both_spoke = live.packets.iter().all(|packets| *packets > 0);
    let state = match (live.midstream, both_spoke) {
        (true, _) => FlowState::Midstream,
        (false, true) => FlowState::Open,
        (false, false) => FlowState::Opening,
    };
    Flow {
        segment: segment_name(settings, key),
        vlan: key.tail().vlans().to_string(),
        client: parties.client,
        client_port: parties.client_port,
        client_side: side.into(),
        server: parties.server,
        service: parties.service,
        initiator: live.initiator.into(),
        state,
        rule: rule.map(RuleId::number),
        verdict,
        started: Time::from_ns(live.started_ns),
        client_packets: live.packets[client],
        client_bytes: live.bytes[client],
        server_packets: live.packets[server],
        server_bytes: live.bytes[server],
    }
}
