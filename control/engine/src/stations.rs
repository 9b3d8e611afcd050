//! What bindings are learned from, as the store keeps it: JSON arrays among the evidence, told from it by their first word.

use loadlock_learn::{Seen, Sender, StationRow};
use loadlock_packet::VlanStack;
use loadlock_store::EvidenceRow as StoredRow;
use serde_json::{Value, json};

use crate::rows::{mac, mac_text, small};

const STATION: &str = "station";

/// Is this stored row one of these?
pub(crate) fn is_station(row: &StoredRow) -> bool {
    row.key.starts_with(b"[\"station\"")
}

/// Rows to write.
pub(crate) fn encode(rows: &[StationRow]) -> impl Iterator<Item = StoredRow> {
    rows.iter().map(|StationRow { segment, vlans, sender, seen }| {
        let sender = match sender {
            Sender::Address(address) => address.to_string(),
            Sender::Station(station) => mac_text(*station),
        };
        let key = json!([STATION, segment, vlans.outer(), vlans.inner(), sender]);
        let value = json!([seen.sides, mac_text(seen.mac), seen.several]);
        StoredRow { key: key.to_string().into_bytes(), value: value.to_string().into_bytes() }
    })
}

/// Reads stored rows; the second value counts those that can't be read.
pub(crate) fn decode(rows: &[StoredRow]) -> (Vec<StationRow>, usize) {
    let read: Vec<StationRow> = rows.iter().filter_map(row).collect();
    let unread = rows.len() - read.len();
    (read, unread)
}

fn row(stored: &StoredRow) -> Option<StationRow> {
    let key: Value = serde_json::from_slice(&stored.key).ok()?;
    let value: Value = serde_json::from_slice(&stored.value).ok()?;
    let [_, segment, outer, inner, sender] = key.as_array()?.as_slice() else { return None };
    let [sides, station, several] = value.as_array()?.as_slice() else { return None };
    let sender = match sender.as_str()?.parse() {
        Ok(address) => Sender::Address(address),
        Err(_) => Sender::Station(mac(sender)?),
    };
    let side = |at: usize| sides.get(at)?.as_bool();
    let seen =
        Seen { sides: [side(0)?, side(1)?], mac: mac(station)?, several: several.as_bool()? };
    let vlans = VlanStack::new(small(outer)?, small(inner)?);
    Some(StationRow { segment: segment.as_str()?.to_owned(), vlans, sender, seen })
}

#[cfg(test)]
mod tests {
    use loadlock_packet::MacAddress;

    use super::*;

    #[test]
    fn rows_round_trip() {
        let station = MacAddress([2, 0, 0, 0, 0, 0xfe]);
        let senders = [
            Sender::Address("10.0.0.1".parse().unwrap()),
            Sender::Address("fd00::1".parse().unwrap()),
            Sender::Station(station),
        ];
        let rows = senders.map(|sender| StationRow {
            segment: "fab".to_owned(),
            vlans: VlanStack::new(7, 4094),
            sender,
            seen: Seen { sides: [true, false], mac: station, several: true },
        });
        let stored: Vec<StoredRow> = encode(&rows).collect();
        assert!(stored.iter().all(is_station));
        assert_eq!(decode(&stored), (rows.to_vec(), 0));
        let garbage = StoredRow { key: b"[\"station\",1]".to_vec(), value: b"{".to_vec() };
        assert!(is_station(&garbage));
        assert_eq!(decode(&[garbage]), (Vec::new(), 1));
    }
}
