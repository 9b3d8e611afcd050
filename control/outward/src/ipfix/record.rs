//! One conversation as a data record.

use std::net::IpAddr;

use loadlock_api::{EventKind, EventLine, Verdict};
use loadlock_policy::{Protocol, Service};

use super::template::{IPV4, IPV6, Template};

/// Ethernet header, which octetDeltaCount leaves out; each VLAN tag is four bytes more.
const LINK_HEADER_BYTES: u64 = 14;

/// What goes into a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    start_ms: u64,
    end_ms: u64,
    source: IpAddr,
    destination: IpAddr,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    icmp: u16,
    packets: u64,
    octets: u64,
    reverse_packets: u64,
    reverse_octets: u64,
    firewall_event: u8,
    forwarding_status: u8,
    vlan: u16,
    rule: u32,
}

impl Record {
    /// `None` for what isn't between two IP addresses, and for an event without a record.
    pub fn of(event: &EventLine) -> Option<Self> {
        let (source, destination): (IpAddr, IpAddr) =
            (event.client.parse().ok()?, event.server.parse().ok()?);
        if source.is_ipv4() != destination.is_ipv4() {
            return None;
        }
        let service = Service::from_text(&event.service).ok()?;
        let (first, _) = service.range();
        let (protocol, port, icmp) = match service.protocol() {
            Protocol::Tcp => (6, first, 0),
            Protocol::Udp => (17, first, 0),
            Protocol::Icmp => (1, 0, first),
            Protocol::Icmpv6 => (58, 0, first),
            Protocol::Ip | Protocol::Fragment => (u8::try_from(first).ok()?, 0, 0),
            Protocol::Ether | Protocol::Llc | Protocol::Snap => return None,
        };
        let end_ms = event.time.ns() / 1_000_000;
        // IANA's registries of both elements: 2 flow deleted, 3 flow denied; forwarded for an unknown reason 64, dropped by ACL 130.
        let firewall_event = match event.kind {
            EventKind::Ended => 2,
            EventKind::Denied => 3,
            EventKind::Started => return None,
        };
        let forwarding_status = if event.verdict == Verdict::Deny { 130 } else { 64 };
        let tags: Vec<u16> = event.vlan.split('.').filter_map(|tag| tag.parse().ok()).collect();
        let link_bytes = LINK_HEADER_BYTES + 4 * tags.len() as u64;
        let octets = |bytes: u64, packets: u64| bytes.saturating_sub(link_bytes * packets);
        Some(Self {
            // Where the start isn't known the record is a moment.
            start_ms: event.started.map_or(end_ms, |time| time.ns() / 1_000_000),
            end_ms,
            source,
            destination,
            source_port: event.client_port.unwrap_or(0),
            destination_port: port,
            protocol,
            icmp,
            packets: event.client_packets,
            octets: octets(event.client_bytes, event.client_packets),
            reverse_packets: event.server_packets,
            reverse_octets: octets(event.server_bytes, event.server_packets),
            firewall_event,
            forwarding_status,
            vlan: tags.first().copied().unwrap_or(0),
            rule: event.rule.unwrap_or(0),
        })
    }

    pub fn template(&self) -> &'static Template {
        if self.source.is_ipv4() { &IPV4 } else { &IPV6 }
    }

    /// In the order of the template's elements.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(120);
        bytes.extend(self.start_ms.to_be_bytes());
        bytes.extend(self.end_ms.to_be_bytes());
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        bytes.extend(self.source_port.to_be_bytes());
        bytes.extend(self.destination_port.to_be_bytes());
        bytes.push(self.protocol);
        bytes.extend(self.icmp.to_be_bytes());
        for count in [self.packets, self.octets, self.reverse_packets, self.reverse_octets] {
            bytes.extend(count.to_be_bytes());
        }
        // The source is who the record is about first: the initiator (RFC 5103, section 6.3).
        bytes.extend([1, self.firewall_event, self.forwarding_status]);
        bytes.extend(self.vlan.to_be_bytes());
        bytes.extend(self.rule.to_be_bytes());
        bytes
    }
}
