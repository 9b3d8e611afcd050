//! Records in bytes. Denied ones come first in their hour, so that they are found without reading the others.

use std::net::IpAddr;

use loadlock_exchange::DropReason;
use loadlock_learn::Tuple;
use loadlock_packet::{Kind, MacAddress, Network, SegmentId, Side, VlanStack};
use loadlock_store::FlowRow;

use super::{FlowKind, Outcome, Tally};

const DENIED: u8 = 0;
const WOULD_DENY: u8 = 1;
const PERMITTED: u8 = 2;
const IPV4: u8 = 4;
const IPV6: u8 = 6;
const LINK: u8 = 9;

/// Keys of denied conversations, really or in enforce mode, come before this.
pub(crate) const BEHIND_DENIED: &[u8] = &[PERMITTED];

/// A record as a row. The segment stands there by name: ids change with the configuration.
pub(super) fn encode(names: &[String], hour: u32, kind: &FlowKind, tally: &Tally) -> FlowRow {
    let FlowKind { outcome, tuple } = kind;
    let (outcome, reason) = match outcome {
        Outcome::Denied(reason) => (DENIED, Some(reason.name())),
        Outcome::WouldDeny(reason) => (WOULD_DENY, Some(reason.name())),
        Outcome::Permitted => (PERMITTED, None),
    };
    let mut key = vec![outcome];
    // By name, as everywhere outside: numbers of reasons may change with a release.
    if let Some(reason) = reason {
        key.push(reason.len() as u8);
        key.extend(reason.as_bytes());
    }
    key.push(tuple.kind as u8 | (tuple.client_side as u8) << 7);
    for vlan in [tuple.vlans.outer(), tuple.vlans.inner()] {
        key.extend(vlan.to_be_bytes());
    }
    key.extend(tuple.service.to_be_bytes());
    for network in [tuple.client, tuple.server] {
        match network {
            Network::Ip(IpAddr::V4(address)) => {
                key.push(IPV4);
                key.extend(address.octets());
            }
            Network::Ip(IpAddr::V6(address)) => {
                key.push(IPV6);
                key.extend(address.octets());
            }
            Network::Link { mac, oui } => {
                key.push(LINK);
                key.extend(mac.0.iter().chain(&oui));
            }
        }
    }
    key.extend(names.get(tuple.segment.index()).map_or(&[][..], |name| name.as_bytes()));
    let mut value = Vec::with_capacity(12);
    let [first, last] = tally.seconds;
    for number in [tally.conversations, tally.packets, tally.bytes, first, last] {
        push_number(&mut value, number);
    }
    FlowRow { hour, key, value }
}

/// What a row says; `None` for one that can't be read, or of a segment that isn't configured.
pub(crate) fn decode(names: &[String], key: &[u8], value: &[u8]) -> Option<(FlowKind, Tally)> {
    let mut key = Reader(key);
    let outcome = match key.take()? {
        [DENIED] => Outcome::Denied(key.reason()?),
        [WOULD_DENY] => Outcome::WouldDeny(key.reason()?),
        [PERMITTED] => Outcome::Permitted,
        _ => return None,
    };
    let [kind] = key.take()?;
    let client_side = Side::from_bit(kind >> 7);
    let kind = Kind::from_bits(kind & 0x7f)?;
    let [outer, inner, service] = [key.take()?, key.take()?, key.take()?].map(u16::from_be_bytes);
    let (client, server) = (key.network()?, key.network()?);
    let segment = names.iter().position(|name| name.as_bytes() == key.0)?;
    let tuple = Tuple {
        segment: SegmentId::new(segment)?,
        vlans: VlanStack::new(outer, inner),
        client,
        client_side,
        server,
        kind,
        service,
    };
    let mut value = Reader(value);
    let mut number = || value.number();
    let (conversations, packets, bytes) = (number()?, number()?, number()?);
    let seconds = [number()?, number()?];
    let tally = Tally { conversations, packets, bytes, seconds };
    Some((FlowKind { outcome, tuple }, tally))
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn network(&mut self) -> Option<Network> {
        Some(match self.take()? {
            [IPV4] => Network::Ip(IpAddr::from(self.take::<4>()?)),
            [IPV6] => Network::Ip(IpAddr::from(self.take::<16>()?)),
            [LINK] => Network::Link { mac: MacAddress(self.take()?), oui: self.take()? },
            _ => return None,
        })
    }

    fn reason(&mut self) -> Option<DropReason> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        DropReason::ALL.iter().find(|reason| reason.name().as_bytes() == name).copied()
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
