//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use super::Mac;

/// What an ARP packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpOperation {
    /// Who has the target's address?
    Request,
    /// The sender has the sender's address.
    Reply,
}

/// An ARP packet; all fields may be set freely, for spoofing tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: ArpOperation,
    /// Sender's Ethernet address.
    pub sender_mac: Mac,
    /// Sender's IPv4 address.
    pub sender_ipv4: Ipv4Addr,
    /// Target's Ethernet address; zero in a request.
    pub target_mac: Mac,
    /// Target's IPv4 address.
    pub target_ipv4: Ipv4Addr,
}

impl Arp {
    /// A request for `target` by the sender.
    pub fn request(sender_mac: Mac, sender_ipv4: Ipv4Addr, target_ipv4: Ipv4Addr) -> Self {
        Self {
            operation: ArpOperation::Request,
            sender_mac,
            sender_ipv4,
            target_mac: Mac::ZERO,
            target_ipv4,
        }
    }

    /// The answer to this request by the host at `mac`.
    pub fn answered_by(self, mac: Mac) -> Self {
        Self {
            operation: ArpOperation::Reply,
            sender_mac: mac,
            sender_ipv4: self.target_ipv4,
            target_mac: self.sender_mac,
            target_ipv4: self.sender_ipv4,
        }
    }

    /// The 28 bytes on the wire.
    pub(super) fn encode(&self) -> Vec<u8> {
        let operation: u8 = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        let mut packet = vec![0, 1, 8, 0, 6, 4, 0, operation];
        packet.extend_from_slice(&self.sender_mac.0);
        packet.extend_from_slice(&self.sender_ipv4.octets());
        packet.extend_from_slice(&self.target_mac.0);
        packet.extend_from_slice(&self.target_ipv4.octets());
        packet
    }
}
