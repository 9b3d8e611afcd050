//! Evidence as the store keeps it: JSON arrays, readable with any SQLite shell, ordered fields, no names repeated per row.

use std::net::IpAddr;

use loadlock_learn::{
    Basis, Days, Evidence, EvidenceChanges, EvidenceRow, EvidenceSubject, Starts, Tuple,
};
use loadlock_packet::{FlowKey, KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};
use loadlock_settings::Settings;
use loadlock_store::EvidenceRow as StoredRow;
use serde_json::{Value, json};

/// A client port that no service has; a rule never depends on it.
pub(crate) const CLIENT_PORT: u16 = 49_152;

/// Keys to remove and rows to write.
pub(crate) fn encode(changes: &EvidenceChanges) -> (Vec<Vec<u8>>, Vec<StoredRow>) {
    let removed = changes.removed.iter().map(key).collect();
    let written = changes
        .written
        .iter()
        .map(|row| StoredRow { key: key(&row.subject), value: value(&row.evidence) });
    (removed, written.collect())
}

#[cfg(test)]
/// Reads stored rows; the second value counts those that can't be read.
pub(crate) fn decode(rows: &[StoredRow]) -> (Vec<EvidenceRow>, usize) {
    let read: Vec<EvidenceRow> = rows.iter().filter_map(decode_row).collect();
    let unread = rows.len() - read.len();
    (read, unread)
}

/// What a stored row says; `None` for what isn't the evidence of a conversation.
pub(crate) fn decode_row(row: &StoredRow) -> Option<EvidenceRow> {
    Some(EvidenceRow { subject: subject(&row.key)?, evidence: evidence(&row.value)? })
}

/// A key of the conversations that a subject is about, with a client port that no service has; `None` for what no frame can be, or no
/// segment has.
pub(crate) fn subject_key(settings: &Settings, subject: &EvidenceSubject) -> Option<FlowKey> {
    let segments = &settings.segments;
    let at = segments.iter().position(|segment| segment.name.as_str() == subject.segment)?;
    let tail = KeyTail::new(SegmentId::new(at)?, subject.vlans, subject.kind);
    let tail = subject.client_side.map_or(tail, |client| tail.of_client(client));
    let mut services = subject.services;
    if let Some(client) = subject.client_side {
        services[client as usize] = match subject.kind {
            Kind::Tcp | Kind::Udp => CLIENT_PORT,
            Kind::Icmp => 0,
            _ => services[client.other() as usize],
        };
    }
    loadlock_learn::flow_key(tail, subject.networks, services)
}

/// The same of a tuple.
pub(crate) fn tuple_key(tuple: &Tuple) -> Option<FlowKey> {
    let tail = KeyTail::new(tuple.segment, tuple.vlans, tuple.kind).of_client(tuple.client_side);
    let own = match tuple.kind {
        Kind::Tcp | Kind::Udp => CLIENT_PORT,
        Kind::Icmp => 0,
        _ => tuple.service,
    };
    let (client, server) = ((tuple.client, own), (tuple.server, tuple.service));
    let [a, b] = match tuple.client_side {
        Side::A => [client, server],
        Side::B => [server, client],
    };
    loadlock_learn::flow_key(tail, [a.0, b.0], [a.1, b.1])
}

fn key(subject: &EvidenceSubject) -> Vec<u8> {
    let side = subject.client_side.map(|side| side as u8);
    let [a, b] = subject.networks.map(network_text);
    json!([
        subject.segment,
        subject.vlans.outer(),
        subject.vlans.inner(),
        subject.kind as u8,
        side,
        a,
        b,
        subject.services
    ])
    .to_string()
    .into_bytes()
}

fn subject(key: &[u8]) -> Option<EvidenceSubject> {
    let value: Value = serde_json::from_slice(key).ok()?;
    let [segment, outer, inner, kind, side, a, b, services] = value.as_array()?.as_slice() else {
        return None;
    };
    let client_side = match side {
        Value::Null => None,
        side => Some(Side::from_bit(small(side)?)),
    };
    Some(EvidenceSubject {
        segment: segment.as_str()?.to_owned(),
        vlans: VlanStack::new(small(outer)?, small(inner)?),
        kind: Kind::from_bits(small(kind)?)?,
        client_side,
        networks: [network(a.as_str()?)?, network(b.as_str()?)?],
        services: [small(services.get(0)?)?, small(services.get(1)?)?],
    })
}

fn value(evidence: &Evidence) -> Vec<u8> {
    json!([
        evidence.first_seen_ns,
        evidence.last_seen_ns,
        evidence.conversations,
        evidence.packets,
        evidence.bytes,
        evidence.opened,
        evidence.spoke,
        evidence.answered,
        evidence.handshake,
        evidence.after_grace,
        evidence.hours,
        evidence.weekdays,
        evidence.basis.map(|basis| basis as u8),
        evidence.group,
        evidence.asked,
        [
            u64::from(evidence.days.parts().0),
            evidence.days.parts().1[0],
            evidence.days.parts().1[1]
        ],
        evidence.starts.seconds(),
        evidence.answered_ns,
        evidence.failed_ns,
        evidence.macs_first.map(mac_text),
        evidence.macs_last.map(mac_text)
    ])
    .to_string()
    .into_bytes()
}

fn evidence(value: &[u8]) -> Option<Evidence> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let at = |index: usize| value.get(index);
    let days = at(15)?;
    let words = [days.get(1)?.as_u64()?, days.get(2)?.as_u64()?];
    let starts: Option<Vec<u32>> = at(16)?.as_array()?.iter().map(small).collect();
    let basis = match at(12)? {
        Value::Null => None,
        basis => Some(*Basis::ALL.get(usize::from(small::<u8>(basis)?))?),
    };
    Some(Evidence {
        first_seen_ns: at(0)?.as_u64()?,
        last_seen_ns: at(1)?.as_u64()?,
        conversations: at(2)?.as_u64()?,
        packets: pair(at(3)?, Value::as_u64)?,
        bytes: pair(at(4)?, Value::as_u64)?,
        opened: pair(at(5)?, Value::as_bool)?,
        spoke: pair(at(6)?, Value::as_bool)?,
        answered: at(7)?.as_bool()?,
        handshake: at(8)?.as_bool()?,
        after_grace: at(9)?.as_bool()?,
        hours: small(at(10)?)?,
        weekdays: small(at(11)?)?,
        basis,
        group: pair(at(13)?, Value::as_bool)?,
        asked: pair(at(14)?, Value::as_bool)?,
        days: Days::from_parts(small(days.get(0)?)?, words),
        starts: Starts::from_seconds(&starts?),
        answered_ns: at(17)?.as_u64()?,
        failed_ns: at(18)?.as_u64()?,
        macs_first: pair(at(19)?, mac)?,
        macs_last: pair(at(20)?, mac)?,
    })
}

pub(crate) fn small<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    T::try_from(value.as_u64()?).ok()
}

fn pair<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<[T; 2]> {
    Some([read(value.get(0)?)?, read(value.get(1)?)?])
}

/// Twelve hexadecimal digits.
pub(crate) fn mac_text(mac: MacAddress) -> String {
    mac.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn mac(value: &Value) -> Option<MacAddress> {
    let text = value.as_str().filter(|text| text.len() == 12)?;
    let bits = u64::from_str_radix(text, 16).ok()?;
    let [_, _, bytes @ ..] = bits.to_be_bytes();
    Some(MacAddress(bytes))
}

/// An IP address, or six to nine bytes in hexadecimal: MAC and, for SNAP, OUI.
pub(crate) fn network_text(network: Network) -> String {
    match network {
        Network::Ip(address) => address.to_string(),
        Network::Link { mac, oui } => {
            let bytes = mac.0.iter().chain(&oui);
            bytes.map(|byte| format!("{byte:02x}")).collect()
        }
    }
}

pub(crate) fn network(text: &str) -> Option<Network> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Network::Ip(address));
    }
    let digit = |at: usize| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..9).map_while(digit).collect();
    let (mac, oui) = bytes.split_first_chunk::<6>()?;
    let oui = <[u8; 3]>::try_from(oui).ok()?;
    (text.len() == 18).then_some(Network::Link { mac: MacAddress(*mac), oui })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_round_trip() {
        let link = Network::Link { mac: MacAddress([2, 0, 0, 0, 0, 1]), oui: [0, 0, 0x0c] };
        for (networks, client_side) in [
            (
                [Network::Ip("10.0.0.1".parse().unwrap()), Network::Ip("fd00::1".parse().unwrap())],
                None,
            ),
            ([link, link], Some(Side::B)),
        ] {
            let row = EvidenceRow {
                subject: EvidenceSubject {
                    segment: "fab".to_owned(),
                    vlans: VlanStack::new(7, 4094),
                    kind: Kind::Snap,
                    client_side,
                    networks,
                    services: [0, 5000],
                },
                evidence: Evidence {
                    first_seen_ns: u64::MAX,
                    last_seen_ns: 2,
                    conversations: 3,
                    packets: [4, 5],
                    bytes: [6, 7],
                    opened: [true, false],
                    spoke: [false, true],
                    answered: true,
                    handshake: false,
                    after_grace: true,
                    hours: 1 << 23,
                    weekdays: 1 << 6,
                    basis: Some(Basis::FanIn),
                    group: [true, false],
                    asked: [false, true],
                    days: Days::only(20_000),
                    starts: Starts::from_seconds(&[5, 9]),
                    answered_ns: 8,
                    failed_ns: u64::MAX,
                    macs_first: [MacAddress([2, 0, 0, 0, 0, 1]), MacAddress([0xff; 6])],
                    macs_last: [MacAddress([2, 0, 0, 0, 0, 3]), MacAddress([0; 6])],
                },
            };
            let changes =
                EvidenceChanges { removed: vec![row.subject.clone()], written: vec![row.clone()] };
            let (removed, written) = encode(&changes);
            assert_eq!(removed[0], written[0].key);
            assert_eq!(decode(&written), (vec![row], 0));
        }
        let garbage = StoredRow { key: b"[1]".to_vec(), value: b"{".to_vec() };
        assert_eq!(decode(&[garbage]), (Vec::new(), 1));
    }
}
