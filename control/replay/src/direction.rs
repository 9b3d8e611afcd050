//! From which side a packet comes.
//!
//! Where the stations of a packet are on opposite sides, it comes from its sender's: that is what an appliance between
//! them would see, and a forged IP address doesn't change it. Where that can't tell the direction, the *pair* of
//! addresses does: the first packet between two addresses comes from the side of its station, those the same way from
//! there too, and those the other way from the other side, so that both directions of a conversation stay together. It
//! is the pair of IP addresses, or of stations for frames that aren't IP. The cases are:
//!
//! * both stations are on the same side (a mirror port that shows three hosts talking to one another),
//! * sender and receiver have the same address (a loopback capture, all zeros),
//! * the same sender and receiver carry both directions of one pair of IP addresses (a capture whose MAC addresses were
//!   made up or rewritten).

use std::collections::HashMap;
use std::net::IpAddr;

use loadlock_packet::{FlowKey, Headers, Ingress, MacAddress, Network, SegmentId, Side, parse};

use crate::stations::{KEPT_MAX, Placement, Stations};

/// Who sent a frame to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub source: MacAddress,
    pub destination: MacAddress,
    /// Sender's and receiver's IP address.
    pub ip: Option<[IpAddr; 2]>,
    /// The key, as if it came from side A.
    pub key: Option<FlowKey>,
}

impl Addresses {
    /// Reads a frame; `None` where it has no station as its sender.
    pub fn read(frame: &[u8], segment: SegmentId) -> Option<Self> {
        let destination = MacAddress(*frame.first_chunk()?);
        let source = MacAddress(*frame.get(6..)?.first_chunk()?);
        if source.is_group() {
            return None;
        }
        let bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let headers = parse(frame, bytes, Ingress { segment, side: Side::A });
        let key = headers.ok().map(|Headers { key, .. }| key);
        let ip =
            key.and_then(|key| match [Side::A, Side::B].map(|side| key.endpoint(side).network) {
                [Network::Ip(sender), Network::Ip(receiver)] => Some([sender, receiver]),
                _ => None,
            });
        Some(Self { source, destination, ip, key })
    }

    /// The two ends, lower first, and whether that is the receiver.
    fn pair(&self) -> Option<(Ends, bool)> {
        if self.destination.is_group() {
            return None;
        }
        let ends = match self.ip {
            Some(ends) => ends.map(End::Ip),
            None => [self.source, self.destination].map(End::Station),
        };
        match ends {
            [sender, receiver] if sender == receiver => None,
            [sender, receiver] if sender < receiver => Some(([sender, receiver], false)),
            [sender, receiver] => Some(([receiver, sender], true)),
        }
    }
}

type Ends = [End; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum End {
    Ip(IpAddr),
    Station(MacAddress),
}

/// The first packet between two ends.
#[derive(Clone, Copy)]
struct First {
    source: MacAddress,
    destination: MacAddress,
    /// It went from the higher end to the lower.
    down: bool,
}

/// What a first reading of the capture tells about directions.
#[derive(Default)]
pub(crate) struct Survey {
    stations: Stations,
    firsts: HashMap<Ends, First>,
    /// Some sender and receiver carry both directions of a pair of ends.
    two_way: bool,
    given: std::collections::BTreeMap<MacAddress, Side>,
}

impl Survey {
    /// Begins with sides that hold whatever the capture says.
    pub fn new(given: std::collections::BTreeMap<MacAddress, Side>) -> Self {
        Self { given, ..Self::default() }
    }

    /// Notes a frame, in the order of the capture.
    pub fn note(&mut self, addresses: &Addresses) {
        let Addresses { source, destination, .. } = *addresses;
        self.stations.talked(source, destination);
        let Some((ends, down)) = addresses.pair() else { return };
        match self.firsts.get(&ends) {
            None if self.firsts.len() < KEPT_MAX => {
                self.firsts.insert(ends, First { source, destination, down });
            }
            Some(first) if first.down != down => {
                self.two_way |= (first.source, first.destination) == (source, destination);
                if first.destination != source {
                    self.stations.answered(first.source, source);
                }
            }
            _ => {}
        }
    }

    /// Places the stations.
    pub fn finish(self) -> Directions {
        let placement = self.stations.place(&self.given);
        Directions { placement, firsts: self.firsts, two_way: self.two_way }
    }
}

/// How a packet's side was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// Its sender's side.
    Station,
    /// The pair of ends, because both stations are on one side or are the same.
    SameSide,
    /// The pair of ends, because its sender and receiver carry both directions.
    TwoWay,
}

/// Tells every packet's side; the same packets give the same sides.
pub(crate) struct Directions {
    pub placement: Placement,
    firsts: HashMap<Ends, First>,
    two_way: bool,
}

impl Directions {
    /// The side that a frame comes from, and how that was found. Nothing changes here.
    pub fn side(&self, addresses: &Addresses) -> (Side, Basis) {
        let Addresses { source, destination, .. } = *addresses;
        let side = self.station_side(source);
        if destination.is_group() {
            return (side, Basis::Station);
        }
        let opposite = self.placement.side(destination).is_none_or(|other| other != side);
        if opposite && !self.two_way {
            return (side, Basis::Station);
        }
        let first = addresses.pair().and_then(|(ends, down)| Some((self.firsts.get(&ends)?, down)));
        let Some((first, down)) = first else {
            let basis = if opposite { Basis::Station } else { Basis::SameSide };
            return (side, basis);
        };
        let answers = first.down != down;
        let two_way = answers && (first.source, first.destination) == (source, destination);
        if opposite && !two_way {
            return (side, Basis::Station);
        }
        let first_side = self.station_side(first.source);
        let side = if answers { first_side.other() } else { first_side };
        (side, if opposite { Basis::TwoWay } else { Basis::SameSide })
    }

    fn station_side(&self, mac: MacAddress) -> Side {
        self.placement.side(mac).unwrap_or(Side::A)
    }
}
