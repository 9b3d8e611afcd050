//! The allowlist, slowly: every rule against the key, field by field.

use std::cmp::Reverse;
use std::net::IpAddr;

use loadlock_exchange::{RuleEntry, Shape};
use loadlock_packet::{FlowKey, Network, Side};

/// The rule that permits `key` with its client on `client`: the most specific one that matches.
pub fn find<'a>(rules: &'a [RuleEntry], key: &FlowKey, client: Side) -> Option<&'a RuleEntry> {
    rules
        .iter()
        .filter(|rule| permits(rule, key, client))
        .min_by_key(|rule| (Reverse(specificity(rule.shape)), rule.shape))
}

/// True if both rules say the same, so that one is too much.
pub fn same_key(a: &RuleEntry, b: &RuleEntry) -> bool {
    let shape = a.shape;
    shape == b.shape
        && a.client_side == b.client_side
        && same_tail(a, b.tail.vlans(), b.tail)
        && same_prefix(a.client, b.client, shape.client_prefix)
        && same_prefix(a.server, b.server, shape.server_prefix)
        && same_service(a.service, b.service, shape.service_prefix)
}

fn permits(rule: &RuleEntry, key: &FlowKey, client: Side) -> bool {
    let shape = rule.shape;
    let (asks, serves) = (key.endpoint(client), key.endpoint(client.other()));
    matches!(key, FlowKey::Narrow(_)) == shape.narrow
        && key.tail().asker().is_none_or(|asker| asker == client)
        && rule.client_side == client
        && same_tail(rule, key.tail().vlans(), key.tail())
        && same_prefix(rule.client, asks.network, shape.client_prefix)
        && same_prefix(rule.server, serves.network, shape.server_prefix)
        && same_service(rule.service, serves.service, shape.service_prefix)
}

fn same_tail(
    rule: &RuleEntry,
    vlans: loadlock_packet::VlanStack,
    tail: loadlock_packet::KeyTail,
) -> bool {
    rule.tail.segment() == tail.segment()
        && rule.tail.kind() == tail.kind()
        && (!rule.shape.vlans_exact || rule.tail.vlans() == vlans)
}

fn same_service(a: u16, b: u16, prefix: u8) -> bool {
    u32::from(a ^ b) >> (16 - u32::from(prefix)) == 0
}

fn same_prefix(a: Network, b: Network, prefix: u8) -> bool {
    let different = u128::from_be_bytes(bits(a)) ^ u128::from_be_bytes(bits(b));
    different.checked_shr(128 - u32::from(prefix)).unwrap_or(0) == 0
}

fn bits(network: Network) -> [u8; 16] {
    let mut bytes = [0; 16];
    match network {
        Network::Ip(IpAddr::V4(address)) => bytes[..4].copy_from_slice(&address.octets()),
        Network::Ip(IpAddr::V6(address)) => bytes = address.octets(),
        Network::Link { mac, oui } => {
            bytes[..6].copy_from_slice(&mac.0);
            bytes[6..9].copy_from_slice(&oui);
        }
    }
    bytes
}

fn specificity(shape: Shape) -> u32 {
    u32::from(shape.client_prefix)
        + u32::from(shape.server_prefix)
        + u32::from(shape.service_prefix)
        + u32::from(shape.vlans_exact)
}
