//! What people said, as the store keeps it: answers and windows, one JSON object each, the oldest first.

use std::collections::BTreeSet;

use loadlock_api::Time;
use loadlock_learn::{Answers, Device, Subject, SubjectKind, Tuple};
use loadlock_packet::{Kind, SegmentId, Side, VlanStack};
use loadlock_store::Answer as Stored;
use serde_json::{Value, json};

use crate::rows::{network, network_text, small};

/// Everything that was said so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub answers: Answers,
    /// Questions that are answered, by id.
    pub answered: BTreeSet<String>,
    /// Given answers, the oldest first.
    pub given: Vec<loadlock_api::GivenAnswer>,
    /// Windows, the oldest first.
    pub windows: Vec<loadlock_api::Window>,
    /// Entries that couldn't be read.
    pub unread: usize,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// A question was answered.
    Answer { id: String, kind: String, words: String, approve: bool, subject: Subject },
    /// A window was announced.
    Window { segment: String, from_ns: u64, until_ns: u64, monitor: bool },
    /// A window was closed before its time.
    Closed { window: u64, until_ns: u64 },
}

impl Said {
    /// All entries of the store, for these segments. What is about others stays in the store.
    pub fn of(stored: &[Stored], segments: &[String]) -> Self {
        let mut said = Self::default();
        for entry in stored {
            match decode(&entry.content.content, segments) {
                Some(decoded) => said.take(entry, decoded),
                None => said.unread += 1,
            }
        }
        said
    }

    /// Takes an entry that is in the store.
    pub fn take(&mut self, stored: &Stored, entry: Entry) {
        let (number, content) = (stored.number, &stored.content);
        let (author, reason) = (content.author.clone(), content.reason.clone());
        match entry {
            Entry::Answer { id, kind, words, approve, subject } => {
                self.answers.take(&subject, approve);
                self.answered.insert(id);
                let time = Time::from_ns(content.created_ns);
                let given = loadlock_api::GivenAnswer {
                    number,
                    time,
                    author,
                    kind,
                    approve,
                    reason,
                    words,
                };
                self.given.push(given);
            }
            Entry::Window { segment, from_ns, until_ns, monitor } => {
                self.windows.push(loadlock_api::Window {
                    number,
                    segment,
                    from: Time::from_ns(from_ns),
                    until: Time::from_ns(until_ns),
                    open: false,
                    monitor,
                    author,
                    reason,
                });
            }
            Entry::Closed { window, until_ns } => {
                for known in self.windows.iter_mut().filter(|known| known.number == window) {
                    known.until = Time::from_ns(until_ns.min(known.until.ns()));
                }
            }
        }
    }
}

impl Entry {
    /// As JSON. `segments` are the names of the segments, in the order of their ids.
    pub fn encode(&self, segments: &[String]) -> String {
        let value = match self {
            Self::Answer { id, kind, words, approve, subject } => json!({
                "entry": "answer",
                "id": id,
                "kind": kind,
                "words": words,
                "approve": approve,
                "about": match subject.kind {
                    SubjectKind::Permit => "permit",
                    SubjectKind::Convicted => "convicted",
                    SubjectKind::Claimed => "claimed",
                    SubjectKind::Moved => "moved",
                },
                "tuples": subject.tuples.iter().map(|tuple| tuple_value(tuple, segments)).collect::<Vec<_>>(),
                "devices": subject.devices.iter().map(|device| device_value(device, segments)).collect::<Vec<_>>(),
                "moved": subject.moved.map(|(from, to)| [network_text(from), network_text(to)]),
            }),
            Self::Window { segment, from_ns, until_ns, monitor } => json!({
                "entry": "window",
                "segment": segment,
                "from_ns": from_ns,
                "until_ns": until_ns,
                "monitor": monitor,
            }),
            Self::Closed { window, until_ns } => {
                json!({ "entry": "closed", "window": window, "until_ns": until_ns })
            }
        };
        value.to_string()
    }
}

fn segment_name(segment: SegmentId, segments: &[String]) -> Option<&String> {
    segments.get(segment.index())
}

fn segment_id(name: &Value, segments: &[String]) -> Option<SegmentId> {
    let name = name.as_str()?;
    let at = segments.iter().position(|known| known == name)?;
    SegmentId::new(at)
}

fn tuple_value(tuple: &Tuple, segments: &[String]) -> Value {
    json!([
        segment_name(tuple.segment, segments),
        tuple.vlans.outer(),
        tuple.vlans.inner(),
        tuple.kind as u8,
        tuple.client_side as u8,
        network_text(tuple.client),
        network_text(tuple.server),
        tuple.service
    ])
}

fn device_value(device: &Device, segments: &[String]) -> Value {
    json!([
        segment_name(device.segment, segments),
        device.vlans.outer(),
        device.vlans.inner(),
        device.side as u8,
        network_text(device.network)
    ])
}

fn tuple(value: &Value, segments: &[String]) -> Option<Tuple> {
    let [segment, outer, inner, kind, side, client, server, service] = value.as_array()?.as_slice()
    else {
        return None;
    };
    Some(Tuple {
        segment: segment_id(segment, segments)?,
        vlans: VlanStack::new(small(outer)?, small(inner)?),
        kind: Kind::from_bits(small(kind)?)?,
        client_side: Side::from_bit(small(side)?),
        client: network(client.as_str()?)?,
        server: network(server.as_str()?)?,
        service: small(service)?,
    })
}

fn device(value: &Value, segments: &[String]) -> Option<Device> {
    let [segment, outer, inner, side, address] = value.as_array()?.as_slice() else { return None };
    Some(Device {
        segment: segment_id(segment, segments)?,
        vlans: VlanStack::new(small(outer)?, small(inner)?),
        side: Side::from_bit(small(side)?),
        network: network(address.as_str()?)?,
    })
}

fn decode(text: &str, segments: &[String]) -> Option<Entry> {
    let value: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    let number = |name: &str| value.get(name)?.as_u64();
    match value.get("entry")?.as_str()? {
        "answer" => {
            let kind = match value.get("about")?.as_str()? {
                "permit" => SubjectKind::Permit,
                "convicted" => SubjectKind::Convicted,
                "claimed" => SubjectKind::Claimed,
                "moved" => SubjectKind::Moved,
                _ => return None,
            };
            // What is about segments that aren't configured any more is left out; the rest holds.
            let tuples = value.get("tuples")?.as_array()?.iter();
            let devices = value.get("devices")?.as_array()?.iter();
            let moved = match value.get("moved")? {
                Value::Null => None,
                pair => Some((network(pair.get(0)?.as_str()?)?, network(pair.get(1)?.as_str()?)?)),
            };
            let subject = Subject {
                kind,
                tuples: tuples.filter_map(|value| tuple(value, segments)).collect(),
                devices: devices.filter_map(|value| device(value, segments)).collect(),
                moved,
            };
            let approve = value.get("approve")?.as_bool()?;
            Some(Entry::Answer {
                id: text("id")?,
                kind: text("kind")?,
                words: text("words")?,
                approve,
                subject,
            })
        }
        "window" => Some(Entry::Window {
            segment: text("segment")?,
            from_ns: number("from_ns")?,
            until_ns: number("until_ns")?,
            monitor: value.get("monitor")?.as_bool()?,
        }),
        "closed" => {
            Some(Entry::Closed { window: number("window")?, until_ns: number("until_ns")? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use loadlock_packet::Network;
    use loadlock_store::NewAnswer;

    use super::*;

    fn ip(text: &str) -> Network {
        Network::Ip(text.parse().unwrap())
    }

    #[test]
    fn what_was_said_is_the_same_after_a_restart() {
        let segments = ["fab".to_owned(), "bay".to_owned()];
        let device = Device {
            segment: SegmentId::new(1).unwrap(),
            vlans: VlanStack::new(7, 0),
            side: Side::B,
            network: ip("10.0.0.9"),
        };
        let tuple = Tuple {
            segment: device.segment,
            vlans: device.vlans,
            kind: Kind::Tcp,
            client_side: Side::B,
            client: device.network,
            server: ip("fd00::1"),
            service: 5000,
        };
        let subject = Subject {
            kind: SubjectKind::Permit,
            tuples: vec![tuple],
            devices: vec![device],
            moved: Some((ip("10.0.0.1"), ip("10.0.0.2"))),
        };
        let answer = |subject: &Subject, approve| Entry::Answer {
            id: "ab".to_owned(),
            kind: "held".to_owned(),
            words: "may it?".to_owned(),
            approve,
            subject: subject.clone(),
        };
        let moved = Subject { kind: SubjectKind::Moved, ..subject.clone() };
        let entries = [
            answer(&subject, true),
            answer(&moved, true),
            Entry::Window { segment: "fab".to_owned(), from_ns: 5, until_ns: 9, monitor: true },
            Entry::Closed { window: 3, until_ns: 7 },
        ];
        let stored: Vec<Stored> = (1..)
            .zip(&entries)
            .map(|(number, entry)| Stored {
                number,
                content: NewAnswer {
                    created_ns: number,
                    author: "ada".to_owned(),
                    reason: "why".to_owned(),
                    content: entry.encode(&segments),
                },
            })
            .collect();
        for (stored, entry) in stored.iter().zip(&entries) {
            assert_eq!(decode(&stored.content.content, &segments).as_ref(), Some(entry));
        }
        let said = Said::of(&stored, &segments);
        assert_eq!(said.answers.approved.iter().copied().collect::<Vec<_>>(), [tuple]);
        assert_eq!(said.answers.moved.get(&ip("10.0.0.1")), Some(&ip("10.0.0.2")));
        assert_eq!((said.windows[0].until.ns(), said.windows[0].number), (7, 3));
        assert_eq!((said.given.len(), said.unread), (2, 0));
        // Its segment isn't configured any more.
        let other = Said::of(&stored, &["fab".to_owned()]);
        assert!(other.answers.approved.is_empty());
        // The later answer holds.
        let mut answers = said.answers;
        answers.take(&subject, false);
        assert!(answers.approved.is_empty() && answers.declined.contains(&tuple));
    }
}
