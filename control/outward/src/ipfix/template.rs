//! The two templates: which elements are in a record, in which order (RFC 7011, section 3.4.1; numbers by IANA).

/// Reverse direction of an element (RFC 5103, section 6.1).
const REVERSE: u32 = 29305;
/// The number kept for examples (RFC 5612), until Loadlock has one of its own.
const EXAMPLE: u32 = 32473;

/// One element of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub id: u16,
    pub bytes: u16,
    /// 0 for IANA's.
    pub enterprise: u32,
}

const fn element(id: u16, bytes: u16) -> Element {
    Element { id, bytes, enterprise: 0 }
}

const fn of(enterprise: u32, id: u16, bytes: u16) -> Element {
    Element { id, bytes, enterprise }
}

/// One template.
#[derive(Debug)]
pub(super) struct Template {
    pub id: u16,
    pub elements: &'static [Element],
}

macro_rules! elements {
    ($source:expr, $destination:expr, $icmp:expr) => {
        &[
            element(152, 8), // flowStartMilliseconds
            element(153, 8), // flowEndMilliseconds
            $source,
            $destination,
            element(7, 2),  // sourceTransportPort
            element(11, 2), // destinationTransportPort
            element(4, 1),  // protocolIdentifier
            $icmp,
            element(2, 8),     // packetDeltaCount
            element(1, 8),     // octetDeltaCount
            of(REVERSE, 2, 8), // reversePacketDeltaCount
            of(REVERSE, 1, 8), // reverseOctetDeltaCount
            element(239, 1),   // biflowDirection
            element(233, 1),   // firewallEvent
            element(89, 1),    // forwardingStatus
            element(58, 2),    // vlanId
            of(EXAMPLE, 1, 4), // the rule's number
        ]
    };
}

/// IPv4: sourceIPv4Address, destinationIPv4Address, icmpTypeCodeIPv4.
pub(super) static IPV4: Template =
    Template { id: 256, elements: elements!(element(8, 4), element(12, 4), element(32, 2)) };
/// IPv6: sourceIPv6Address, destinationIPv6Address, icmpTypeCodeIPv6.
pub(super) static IPV6: Template =
    Template { id: 257, elements: elements!(element(27, 16), element(28, 16), element(139, 2)) };

impl Template {
    /// The template record.
    pub fn definition(&self) -> Vec<u8> {
        let count = u16::try_from(self.elements.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::new();
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(count.to_be_bytes());
        for element in self.elements {
            let enterprise_bit = if element.enterprise == 0 { 0 } else { 0x8000 };
            bytes.extend((element.id | enterprise_bit).to_be_bytes());
            bytes.extend(element.bytes.to_be_bytes());
            if element.enterprise != 0 {
                bytes.extend(element.enterprise.to_be_bytes());
            }
        }
        bytes
    }
}
