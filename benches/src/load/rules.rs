//! Compiled rules for the loads.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use loadlock_exchange::{RuleEntry, RuleId, RuleOptions, Shape};
use loadlock_packet::{FlowKey, Headers, Ingress, Network, SegmentId, Side, parse};

use super::frames::{PER_CLIENT, SERVICE, frame};
use super::{Frames, Load};

/// Exactly `count` rules that permit a load of `flows` conversations a capture: one for each client and its server, then others that
/// nobody uses. Where they are fewer than the clients, the first permits whole networks and the rest is unused.
///
/// # Errors
/// A frame of the load can't be parsed, which is a mistake in it.
pub fn rules(frames: Frames, flows: u32, count: u32) -> io::Result<Vec<RuleEntry>> {
    let sides: &[Side] = if frames == Frames::Opening { &[Side::A, Side::B] } else { &[Side::A] };
    let clients = flows.div_ceil(PER_CLIENT);
    let too_few = count < clients * sides.len() as u32;
    (0..count)
        .map(|at| {
            let client_side = sides[at as usize % sides.len()];
            let client = at / sides.len() as u32;
            let headers = opening(frames, client * PER_CLIENT, client_side)?;
            let whole_network = too_few && client == 0;
            rule(&headers, at, client_side, if whole_network { 8 } else { 0 })
        })
        .collect()
}

/// Client, server and service of each pair of hosts that talks in a load of IPv4: what an allowlist must permit at the least.
///
/// # Errors
/// The load is of another address family.
pub fn allowed_pairs(load: &Load) -> io::Result<Vec<(Ipv4Addr, Ipv4Addr, u16)>> {
    let clients = load.flows.div_ceil(PER_CLIENT);
    (0..clients)
        .map(|client| {
            let key = opening(load.frames, client * PER_CLIENT, Side::A)?.key;
            match [Side::A, Side::B].map(|side| key.endpoint(side).network) {
                [Network::Ip(IpAddr::V4(client)), Network::Ip(IpAddr::V4(server))] => {
                    Ok((client, server, SERVICE))
                }
                other => Err(io::Error::other(format!("{other:?} aren't IPv4 addresses"))),
            }
        })
        .collect()
}

/// The headers of a frame that the client of conversation `number` sends.
fn opening(frames: Frames, number: u32, client_side: Side) -> io::Result<Headers> {
    let frame = frame(frames, number, 0, client_side)?;
    let segment = SegmentId::new(0).ok_or_else(|| io::Error::other("no segment 0"))?;
    parse(&frame, frame.len() as u32, Ingress { segment, side: client_side })
        .map_err(|error| io::Error::other(format!("{error:?}")))
}

/// A rule for the client and the server of `headers`, or with `prefix` above 0 for as many leading bits of both.
fn rule(headers: &Headers, at: u32, client_side: Side, prefix: u8) -> io::Result<RuleEntry> {
    let narrow = matches!(headers.key, FlowKey::Narrow(_));
    let prefix = match (prefix, narrow) {
        (0, true) => 32,
        (0, false) => 128,
        (prefix, _) => prefix,
    };
    Ok(RuleEntry {
        shape: Shape {
            narrow,
            client_prefix: prefix,
            server_prefix: prefix,
            service_prefix: 16,
            vlans_exact: true,
        },
        client_side,
        client: headers.key.endpoint(client_side).network,
        server: headers.key.endpoint(client_side.other()).network,
        service: SERVICE,
        tail: headers.key.tail(),
        rule: RuleId::new(at + 1).ok_or_else(|| io::Error::other("too many rules"))?,
        options: RuleOptions::CLIENT_OPENS,
    })
}
