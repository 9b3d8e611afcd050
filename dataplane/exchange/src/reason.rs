//! The closed list of reasons for which a frame is dropped, or would be. Each is a counter of its own.

use loadlock_packet::Malformed;

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $text:literal, )+) => {
        /// Why a frame is dropped, or would be in enforce mode. The discriminant is the counter's index.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason { $( $(#[doc = $doc])+ $name, )+ }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [DropReason] = &[ $( DropReason::$name, )+ ];

            /// The name in counters, verdicts, API and documents; stable.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( DropReason::$name => $text, )+ }
            }

            /// What it means, for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $( DropReason::$name => concat!($($doc),+).trim_ascii(), )+ }
            }
        }
    };
}

reasons! {
    /// no rule permits this conversation
    NoRule = "no_rule",
    /// belongs to no conversation that was seen to begin, though a rule would permit it
    NotOpened = "not_opened",
    /// a rule permits the conversation, but not that this side opens it
    WrongDirection = "wrong_direction",
    /// the transmit queue didn't take the frame
    TransmitRefused = "transmit_refused",
    /// shorter than an Ethernet header
    FrameTooShort = "frame_too_short",
    /// headers split over buffer segments
    HeaderSplit = "header_split",
    /// source address is a group address
    SourceMacGroup = "source_mac_group",
    /// ends inside a VLAN tag
    VlanTruncated = "vlan_truncated",
    /// VLAN id 4095
    VlanReserved = "vlan_reserved",
    /// 802.3 length and frame contradict each other
    LlcLength = "llc_length",
    /// IPv4 header truncated, or version or header length wrong
    Ipv4Header = "ipv4_header",
    /// IPv4 total length and frame contradict each other
    Ipv4Length = "ipv4_length",
    /// IPv6 header truncated or version wrong
    Ipv6Header = "ipv6_header",
    /// IPv6 payload length and frame contradict each other
    Ipv6Length = "ipv6_length",
    /// IPv6 extension headers truncated or too many
    Ipv6Extensions = "ipv6_extensions",
    /// IPv6 routing header type 0
    Ipv6RoutingZero = "ipv6_routing_zero",
    /// TCP header truncated or data offset wrong
    TcpHeader = "tcp_header",
    /// UDP length and packet contradict each other
    UdpLength = "udp_length",
    /// ICMP header truncated
    IcmpHeader = "icmp_header",
    /// first fragment without the whole transport header, or a later one that overlaps it
    FragmentTiny = "fragment_tiny",
    /// fragment of a packet longer than 65,535 bytes
    FragmentTooLong = "fragment_too_long",
    /// ICMP error about no conversation that runs here, and no rule permits it by type
    IcmpErrorUnrelated = "icmp_error_unrelated",
    /// fragment whose first one wasn't seen, came later, or was forgotten
    FragmentUnknown = "fragment_unknown",
    /// fragment with the identification of another protocol's packet
    FragmentProtocol = "fragment_protocol",
    /// fragment that overlaps the first one, or belongs to a packet of which one did
    FragmentOverlap = "fragment_overlap",
    /// negotiates a port of another host than the one that speaks, or a port below 1024
    NegotiationForbidden = "negotiation_forbidden",
    /// the source address is bound to another station of this side
    DuplicateIp = "duplicate_ip",
    /// the source address is bound to the other side
    IpMoved = "ip_moved",
    /// the source station is bound to the other side
    MacMoved = "mac_moved",
    /// the source station is bound to other IPv4 addresses than this one
    SourceMacSpoofed = "source_mac_spoofed",
    /// ARP or neighbour discovery that claims an address bound to another station
    AddressClaimed = "address_claimed",
    /// the same unasked (gratuitous ARP, unsolicited advertisement), which takes the address over
    GratuitousTakeover = "gratuitous_takeover",
    /// the segment is closed, because its configuration answers a failure by dropping everything
    SegmentClosed = "segment_closed",
    /// the flow table is full, and the segment's configuration forwards only what it can remember
    FlowTableFull = "flow_table_full",
    /// the event ring is full, and the segment's configuration forwards only what it can report
    EventRingFull = "event_ring_full",
    /// one of the two devices, or the segment, is in quarantine
    Quarantined = "quarantined",
}

/// Counters reserved for reasons in the region; more than there are, so that a new one doesn't move the layout.
pub const REASONS_MAX: usize = 64;
const _: () = assert!(DropReason::ALL.len() <= REASONS_MAX);

impl DropReason {
    /// The reason with this index.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }
}

impl DropReason {
    /// Is the sender not who the bindings say it is?
    #[must_use]
    pub fn is_identity(self) -> bool {
        matches!(
            self,
            Self::DuplicateIp
                | Self::IpMoved
                | Self::MacMoved
                | Self::SourceMacSpoofed
                | Self::AddressClaimed
                | Self::GratuitousTakeover
        )
    }
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::FrameTooShort => DropReason::FrameTooShort,
            Malformed::HeaderSplit => DropReason::HeaderSplit,
            Malformed::SourceMacGroup => DropReason::SourceMacGroup,
            Malformed::VlanTruncated => DropReason::VlanTruncated,
            Malformed::VlanReserved => DropReason::VlanReserved,
            Malformed::LlcLength => DropReason::LlcLength,
            Malformed::Ipv4Header => DropReason::Ipv4Header,
            Malformed::Ipv4Length => DropReason::Ipv4Length,
            Malformed::Ipv6Header => DropReason::Ipv6Header,
            Malformed::Ipv6Length => DropReason::Ipv6Length,
            Malformed::Ipv6Extensions => DropReason::Ipv6Extensions,
            Malformed::Ipv6RoutingZero => DropReason::Ipv6RoutingZero,
            Malformed::TcpHeader => DropReason::TcpHeader,
            Malformed::UdpLength => DropReason::UdpLength,
            Malformed::IcmpHeader => DropReason::IcmpHeader,
            Malformed::FragmentTiny => DropReason::FragmentTiny,
            Malformed::FragmentTooLong => DropReason::FragmentTooLong,
        }
    }
}
