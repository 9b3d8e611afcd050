//! Rules over the hosts of [`super::packet`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::{
    BindingEntry, Infrastructure, Mode, RuleEntry, RuleId, RuleOptions, SegmentPolicy, Shape,
};
use loadlock_packet::negotiation::Helpers;
use loadlock_packet::{KeyTail, Kind, MacAddress, Network, SegmentId, Side, VlanStack};

use super::packet::Sort;

/// Permits conversations of a client, or of any, with a service of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub number: u32,
    pub sort: Sort,
    pub client_side: Side,
    /// `None`: any.
    pub client: Option<u8>,
    pub server: u8,
    pub service: u16,
    pub options: RuleOptions,
}

impl Rule {
    /// Host 1 on A may use `service` of host 1 on B.
    pub fn to_b(number: u32, sort: Sort, service: u16) -> Self {
        Self {
            number,
            sort,
            client_side: Side::A,
            client: Some(1),
            server: 1,
            service,
            options: RuleOptions::CLIENT_OPENS,
        }
    }

    pub fn with(self, options: RuleOptions) -> Self {
        Self { options, ..self }
    }

    pub fn midstream(mut self) -> Self {
        self.options.midstream = true;
        self
    }

    pub fn id(&self) -> RuleId {
        RuleId::new(self.number).unwrap()
    }

    pub fn entry(&self) -> RuleEntry {
        let narrow = self.sort.is_narrow();
        let full = if narrow { 32 } else { 128 };
        let kind = match self.sort {
            Sort::Tcp4 | Sort::Tcp6 => Kind::Tcp,
            Sort::Udp4 | Sort::Udp6 => Kind::Udp,
            Sort::Ping4 | Sort::Unreachable4 | Sort::TooBig6 => Kind::Icmp,
            Sort::Gre4 => Kind::OtherIp,
            Sort::Profinet => Kind::NonIp,
        };
        RuleEntry {
            shape: Shape {
                narrow,
                client_prefix: if self.client.is_some() { full } else { 0 },
                server_prefix: full,
                service_prefix: 16,
                vlans_exact: true,
            },
            client_side: self.client_side,
            client: network(self.sort, self.client_side, self.client.unwrap_or(0)),
            server: network(self.sort, self.client_side.other(), self.server),
            service: self.service,
            tail: KeyTail::new(SegmentId::new(0).unwrap(), VlanStack::UNTAGGED, kind),
            rule: self.id(),
            options: self.options,
        }
    }
}

fn network(sort: Sort, side: Side, host: u8) -> Network {
    match sort {
        Sort::Profinet => {
            Network::Link { mac: MacAddress([2, 0, 0, 0, side as u8, host]), oui: [0; 3] }
        }
        _ if sort.is_narrow() => Network::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, side as u8, host))),
        _ => {
            Network::Ip(IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, side as u16, 0, 0, 0, host.into())))
        }
    }
}

/// A segment in `mode` without infrastructure classes.
pub fn segment(mode: Mode) -> SegmentPolicy {
    SegmentPolicy { mode, ..SegmentPolicy::CLOSED }
}

/// A segment in `mode` with all infrastructure classes.
/// What is bound: a host's address to its station, or to its side alone.
pub fn bound(narrow: bool, side: Side, host: u8, station: Option<u8>) -> BindingEntry {
    let sort = if narrow { Sort::Tcp4 } else { Sort::Tcp6 };
    let address = match network(sort, side, host) {
        Network::Ip(address) => Some(address),
        Network::Link { .. } => None,
    };
    BindingEntry {
        segment: SegmentId::new(0).unwrap(),
        vlans: VlanStack::UNTAGGED,
        side,
        address,
        mac: station.map(|station| MacAddress([2, 0, 0, 0, side as u8, station])),
    }
}

pub fn open_infrastructure(mode: Mode) -> SegmentPolicy {
    let infrastructure = Infrastructure { arp: true, neighbour_discovery: true, link_local: true };
    SegmentPolicy { mode, infrastructure, ..SegmentPolicy::CLOSED }
}
