//! Conversations and devices that somebody asks about.

use loadlock_api::{BackendError, TupleAnswer, TupleQuery};
use loadlock_exchange::{Mode, Policy as Compiled};
use loadlock_learn::{Tuple, flow_key};
use loadlock_packet::{FlowKey, KeyTail, Kind, Network, SegmentId, Side, VlanStack};
use loadlock_pipeline::{Basis, Verdict, first_verdict};
use loadlock_policy::{
    AddressMatch, Device, Document, Opens, Policy, Prefix, Protocol, Rule, Service, VlanMatch,
};
use loadlock_settings::Settings;

use super::conflict;
use crate::backend::CoreBackend;
use crate::rows::CLIENT_PORT;
use crate::state::State;

/// Rules shown as near.
const NEAREST: usize = 3;

/// A conversation, with the name of its segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'s> {
    pub segment: &'s str,
    pub segment_id: SegmentId,
    pub vlans: VlanStack,
    pub client: Network,
    pub client_side: Option<Side>,
    pub server: Network,
    pub service: Service,
}

fn contains(address: AddressMatch, network: Network) -> bool {
    match (address, network) {
        (AddressMatch::Any, _) => true,
        (AddressMatch::Ip(prefix), Network::Ip(address)) => prefix.contains(address),
        (AddressMatch::Mac(mac), Network::Link { mac: own, .. }) => mac == own,
        _ => false,
    }
}

/// A key of this conversation; `None` for one that no frame has.
pub(super) fn key_of(
    tail: (SegmentId, VlanStack),
    service: Service,
    client: Network,
    server: Network,
    side: Side,
) -> Option<FlowKey> {
    let kind = service.protocol().kind();
    let tail = KeyTail::new(tail.0, tail.1, kind).of_client(side);
    let (wanted, _) = service.range();
    let own = match kind {
        Kind::Tcp | Kind::Udp => CLIENT_PORT,
        Kind::Icmp => 0,
        _ => wanted,
    };
    match side {
        Side::A => flow_key(tail, [client, server], [own, wanted]),
        Side::B => flow_key(tail, [server, client], [wanted, own]),
    }
}

impl<'s> Asked<'s> {
    /// What a learned or denied tuple is about; `None` for one that no frame has.
    pub fn of_tuple(tuple: &Tuple, segment: &'s str) -> Option<Self> {
        Some(Self {
            segment,
            segment_id: tuple.segment,
            vlans: tuple.vlans,
            client: tuple.client,
            client_side: Some(tuple.client_side),
            server: tuple.server,
            service: tuple.service()?,
        })
    }

    pub fn key(&self, side: Side) -> Option<FlowKey> {
        key_of((self.segment_id, self.vlans), self.service, self.client, self.server, side)
    }

    /// True if the rule is about this conversation.
    pub fn matches(&self, rule: &Rule) -> bool {
        self.differences(rule).is_empty()
    }

    /// What would have to be otherwise for the rule to be about this conversation.
    fn differences(&self, rule: &Rule) -> Vec<String> {
        let parts = rule.parts();
        let mut differences = Vec::new();
        let mut note = |fits: bool, what: &str, rules: String| {
            if !fits {
                differences.push(format!("{what} ({rules} there)"));
            }
        };
        note(*parts.segment == *self.segment, "segment", parts.segment.to_string());
        note(parts.vlans.contains(self.vlans), "VLAN", parts.vlans.to_string());
        note(contains(parts.client, self.client), "client", parts.client.to_string());
        note(contains(parts.server, self.server), "server", parts.server.to_string());
        let same_service = parts.service.common(self.service) == Some(self.service);
        note(same_service, "service", parts.service.to_string());
        let same_side = match (parts.client_side, self.client_side) {
            (Some(rules), Some(own)) => rules == own,
            _ => true,
        };
        note(same_side, "client's side", parts.client_side.map_or("both", side_word).to_owned());
        differences
    }

    /// The rules that differ in the fewest fields, with what differs; never those that fit.
    pub fn nearest(&self, policy: &Policy, count: usize) -> Vec<String> {
        let mut best: Vec<(usize, &Rule, Vec<String>)> = Vec::new();
        for rule in policy.rules().iter().filter(|rule| rule.parts().opens != Opens::Nobody) {
            let worst = best.last().map_or(usize::MAX, |(differ, ..)| *differ);
            let mismatches = self.mismatches(rule);
            if mismatches == 0 || mismatches > 2 || (best.len() >= count && mismatches >= worst) {
                continue;
            }
            best.push((mismatches, rule, self.differences(rule)));
            best.sort_by_key(|(differ, rule, _)| (*differ, rule.id()));
            best.truncate(count);
        }
        best.into_iter()
            .map(|(_, rule, differences)| {
                format!(
                    "rule {} ({}): differs in {}",
                    rule.id(),
                    rule.words(),
                    differences.join(", ")
                )
            })
            .collect()
    }

    /// How many fields differ; without allocation, for a scan over all rules.
    fn mismatches(&self, rule: &Rule) -> usize {
        let parts = rule.parts();
        let side = matches!((parts.client_side, self.client_side), (Some(a), Some(b)) if a != b);
        usize::from(*parts.segment != *self.segment)
            + usize::from(!parts.vlans.contains(self.vlans))
            + usize::from(!contains(parts.client, self.client))
            + usize::from(!contains(parts.server, self.server))
            + usize::from(parts.service.common(self.service) != Some(self.service))
            + usize::from(side)
    }

    /// How many other clients may ask this server for this.
    fn others(&self, policy: &Policy) -> usize {
        let like = |rule: &&Rule| {
            let parts = rule.parts();
            *parts.segment == *self.segment
                && contains(parts.server, self.server)
                && parts.service.common(self.service) == Some(self.service)
                && parts.opens != Opens::Nobody
                && !contains(parts.client, self.client)
        };
        policy.rules().iter().filter(like).count()
    }
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::A => "a",
        Side::B => "b",
    }
}

/// A verdict with its rule or reason: `allow (rule 12)`.
pub(crate) fn verdict_words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow(Basis::Rule(rule)) => format!("allow (rule {rule})"),
        Verdict::Allow(Basis::Learning) => {
            "allow (the segment learns; no rule permits it)".to_owned()
        }
        Verdict::Allow(Basis::Infrastructure) => "allow (infrastructure)".to_owned(),
        Verdict::Allow(Basis::Negotiated(Some(rule))) => {
            format!("allow (port negotiated by a conversation of rule {rule})")
        }
        Verdict::Allow(Basis::Negotiated(None)) => {
            "allow (port negotiated by a conversation that is learned)".to_owned()
        }
        Verdict::WouldDeny(reason) | Verdict::Deny(reason) => {
            format!("{} ({})", verdict.name(), reason.meaning())
        }
    }
}

fn host(network: Network) -> AddressMatch {
    match network {
        Network::Ip(address) => AddressMatch::Ip(Prefix::host(address)),
        Network::Link { mac, .. } => AddressMatch::Mac(mac),
    }
}

/// The device with this address.
pub(crate) fn device_at<'d>(
    document: &'d Document,
    network: Network,
    segment: &str,
) -> Option<&'d Device> {
    document.device_of(host(network), segment)
}

/// `etch-07 (10.0.1.7)`, or the address alone.
pub(crate) fn device_words(document: &Document, network: Network, segment: &str) -> String {
    let address = host(network);
    match document.device_of(address, segment) {
        Some(device) => format!("{} ({address})", device.name),
        None => address.to_string(),
    }
}

/// The addresses of a device by its name, or an address itself; and how to call it.
pub(super) fn device(
    document: &Document,
    text: &str,
) -> Result<(Vec<AddressMatch>, String), BackendError> {
    if let Some(device) = document.devices().iter().find(|device| &*device.name == text) {
        let list: Vec<String> = device.addresses.iter().map(ToString::to_string).collect();
        return Ok((device.addresses.clone(), format!("{text} ({})", list.join(", "))));
    }
    match AddressMatch::from_text(text) {
        Ok(address) if address != AddressMatch::Any => {
            let named =
                document.devices().iter().find(|device| device.addresses.contains(&address));
            let words = named.map_or_else(
                || address.to_string(),
                |device| format!("{} ({address})", device.name),
            );
            Ok((vec![address], words))
        }
        _ => Err(conflict(
            format!("\"{text}\" is neither a device of the policy in force nor an address"),
            "give an address such as 10.0.1.7, or write the device into the policy",
        )),
    }
}

impl CoreBackend {
    /// As [`device`], of the policy in force.
    pub(crate) fn device_called(
        &self,
        text: &str,
    ) -> Result<(Vec<AddressMatch>, String), BackendError> {
        device(&self.state_of(None)?.document, text)
    }
}

/// One address of a device or of a text.
fn network(document: &Document, what: &str, text: &str) -> Result<Vec<Network>, BackendError> {
    let (addresses, _) = device(document, text)?;
    let single = |address: &AddressMatch| match address {
        AddressMatch::Ip(prefix)
            if *address == AddressMatch::Ip(Prefix::host(prefix.address())) =>
        {
            Some(Network::Ip(prefix.address()))
        }
        AddressMatch::Mac(mac) => Some(Network::Link { mac: *mac, oui: [0; 3] }),
        _ => None,
    };
    let networks: Vec<Network> = addresses.iter().filter_map(single).collect();
    if networks.len() == addresses.len() {
        return Ok(networks);
    }
    Err(conflict(
        format!("{what} is {text}, allowed is a single address"),
        "give one address of it",
    ))
}

/// Why a conversation is permitted or not, on each segment that is asked about.
pub(super) fn explain(
    state: &State,
    settings: &Settings,
    query: &TupleQuery,
) -> Result<Vec<TupleAnswer>, BackendError> {
    let service = Service::from_text(&query.service).map_err(|refused| {
        let reason = format!("service is \"{}\"; allowed: {}", query.service, refused.allowed);
        conflict(reason, "give one service, such as tcp/5000")
    })?;
    if service.range().0 != service.range().1 && service.protocol() != Protocol::Icmp {
        let reason = format!("service is {service}, a range; allowed is a single one");
        return Err(conflict(reason, "give one port of it, such as tcp/5000"));
    }
    let vlan = query.vlan.as_deref().unwrap_or("untagged");
    let vlans = match VlanMatch::from_text(vlan) {
        Ok(VlanMatch::Exactly(vlans)) => vlans,
        _ => {
            let reason = format!(
                "vlan is \"{vlan}\"; allowed are untagged, an id, or two ids such as 10.20"
            );
            return Err(conflict(reason, "give the VLAN of the conversation"));
        }
    };
    let clients = network(&state.document, "client", &query.client)?;
    let servers = network(&state.document, "server", &query.server)?;
    if let Some(wanted) = &query.segment
        && !settings.segments.iter().any(|segment| segment.name.as_str() == wanted)
    {
        let known = settings.segments.iter().map(|segment| segment.name.to_string()).collect();
        return Err(BackendError::UnknownSegment { found: wanted.clone(), known });
    }
    let image = state.compile(settings).map_err(|reason| BackendError::Store { reason })?;
    let header = Compiled::read(image.words())
        .map_err(|error| BackendError::Store { reason: error.to_string() })?;
    let view = header.view(image.words(), 1);
    let mut answers = Vec::new();
    for (at, segment) in settings.segments.iter().enumerate() {
        let name = segment.name.to_string();
        if query.segment.as_ref().is_some_and(|wanted| *wanted != name) {
            continue;
        }
        let Some(segment_id) = SegmentId::new(at) else { continue };
        for client in &clients {
            for server in &servers {
                let asked = Asked {
                    segment: &name,
                    segment_id,
                    vlans,
                    client: *client,
                    client_side: None,
                    server: *server,
                    service,
                };
                let verdicts = [Side::A, Side::B]
                    .into_iter()
                    .filter_map(|side| Some((side, first_verdict(&view, &asked.key(side)?, side))));
                // Nobody says on which side the client is: that on which a rule knows it, if there is one.
                let best = verdicts.min_by_key(|(_, verdict)| verdict.rule().is_none());
                if let Some((side, verdict)) = best {
                    let mode = asked.key(side).map(|key| view.mode_of(&key, &[]));
                    let mode = mode.unwrap_or(state.modes[at]);
                    answers.push(answer(state, &asked, side, verdict, mode));
                }
            }
        }
    }
    if answers.is_empty() {
        let reason = format!(
            "no frame can be {} → {} {}: addresses and service are of different kinds",
            query.client, query.server, query.service
        );
        return Err(conflict(
            reason,
            "give two IPv4 addresses, two IPv6 addresses, or two MAC addresses with ether/…",
        ));
    }
    Ok(answers)
}

fn answer(
    state: &State,
    asked: &Asked<'_>,
    side: Side,
    verdict: Verdict,
    mode: Mode,
) -> TupleAnswer {
    let name = |network| device_words(&state.document, network, asked.segment);
    let rule = verdict.rule().and_then(|rule| state.policy.rule(rule));
    let hole = state
        .policy
        .rules()
        .iter()
        .find(|rule| rule.parts().opens == Opens::Nobody && asked.matches(rule));
    let why = match (rule, hole) {
        (Some(rule), _) => {
            let owner = rule.parts().owner.as_ref().map_or("learning", |owner| owner);
            format!(
                "rule {}: {} ({}; owner: {owner})",
                rule.id(),
                rule.words(),
                rule.parts().reason
            )
        }
        (None, Some(rule)) => {
            format!("rule {} denies it: {} ({})", rule.id(), rule.words(), rule.parts().reason)
        }
        (None, None) => verdict_words(verdict),
    };
    let (mut nearest, mut next_steps) = (Vec::new(), Vec::new());
    if mode == Mode::Quarantine {
        next_steps.push(
            "end the quarantine: loadlock device set NAME --mode inherit, or loadlock mode set SEGMENT enforce"
                .to_owned(),
        );
    } else if rule.is_none() {
        nearest = asked.nearest(&state.policy, NEAREST);
        let others = asked.others(&state.policy);
        if others > 0 {
            nearest
                .push(format!("{others} rules let other clients ask this server for this service"));
        }
        let (client, server) = (host(asked.client), host(asked.server));
        next_steps.push(format!(
            "permit it for a time: loadlock allow {client} {server} {} --segment {} --for 8h --reason …",
            asked.service, asked.segment
        ));
        next_steps.push(
            "permit it for good: loadlock policy export, add a [[permit]], loadlock policy propose"
                .to_owned(),
        );
    }
    let side = side_word(side);
    TupleAnswer {
        segment: asked.segment.to_owned(),
        tuple: format!(
            "{} → {} {} (client on side {side}, VLAN {}, mode {})",
            name(asked.client),
            name(asked.server),
            asked.service,
            VlanMatch::Exactly(asked.vlans),
            mode.name()
        ),
        verdict: verdict.name().to_owned(),
        why,
        nearest,
        next_steps,
    }
}
