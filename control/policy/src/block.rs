//! What one rule becomes in the allowlist: one entry for each side, family and block of services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_exchange::Shape;
use loadlock_packet::{Kind, MacAddress, Network, Side, VlanStack};

use crate::address::AddressMatch;
use crate::rule::Rule;
use crate::vlan::VlanMatch;

/// An entry of the allowlist without segment, rule and options. Parts that its shape leaves open are zero, so that two
/// blocks are equal exactly if they have the same key in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Which parts count.
    pub shape: Shape,
    /// The client's side.
    pub client_side: Side,
    /// The client's address.
    pub client: Network,
    /// The server's address.
    pub server: Network,
    /// First value of the server's service field.
    pub service: u16,
    /// VLANs; untagged where they don't count.
    pub vlans: VlanStack,
    /// Kind of key.
    pub kind: Kind,
}

/// The family of the addresses of a block.
#[derive(Clone, Copy)]
enum Family {
    Ipv4,
    Ipv6,
    Link([u8; 3]),
}

impl Rule {
    /// Calls `each` with every block of the rule: at most 2 sides × 2 families × 30 ranges of ports, mostly one.
    pub fn each_block(&self, mut each: impl FnMut(Block)) {
        let families = self.families();
        let service = self.parts().service;
        let candidates = [
            (families.ipv4, Family::Ipv4),
            (families.ipv6, Family::Ipv6),
            (families.link, Family::Link(service.oui())),
        ];
        for (_, family) in candidates.into_iter().filter(|(holds, _)| *holds) {
            match self.parts().client_side {
                Some(side) => self.blocks_of(family, side, &mut each),
                None => {
                    self.blocks_of(family, Side::A, &mut each);
                    self.blocks_of(family, Side::B, &mut each);
                }
            }
        }
    }

    fn blocks_of(&self, family: Family, client_side: Side, each: &mut impl FnMut(Block)) {
        let parts = self.parts();
        let (client, client_prefix) = network(parts.client, family);
        let (server, server_prefix) = network(parts.server, family);
        let (vlans, vlans_exact) = match parts.vlans {
            VlanMatch::Any => (VlanStack::UNTAGGED, false),
            VlanMatch::Exactly(vlans) => (vlans, true),
        };
        parts.service.each_block(|service, service_prefix| {
            each(Block {
                shape: Shape {
                    narrow: matches!(family, Family::Ipv4),
                    client_prefix,
                    server_prefix,
                    service_prefix,
                    vlans_exact,
                },
                client_side,
                client,
                server,
                service,
                vlans,
                kind: parts.service.protocol().kind(),
            });
        });
    }
}

/// The address in the key, and how many of its leading bits count. A station counts with all 16 bytes of its field, so that
/// the OUI behind the MAC address counts too, and with the same shape as an IPv6 address.
fn network(address: AddressMatch, family: Family) -> (Network, u8) {
    const NO_MAC: MacAddress = MacAddress([0; 6]);
    match (address, family) {
        (AddressMatch::Ip(prefix), _) => (Network::Ip(prefix.address()), prefix.bits()),
        (AddressMatch::Mac(mac), Family::Link(oui)) => (Network::Link { mac, oui }, 128),
        (AddressMatch::Any | AddressMatch::Mac(_), Family::Ipv4) => {
            (Network::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 0)
        }
        (AddressMatch::Any | AddressMatch::Mac(_), Family::Ipv6) => {
            (Network::Ip(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), 0)
        }
        (AddressMatch::Any, Family::Link(_)) => (Network::Link { mac: NO_MAC, oui: [0; 3] }, 0),
    }
}
