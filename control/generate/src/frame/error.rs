//! Why a frame can't be built.

use std::fmt;

use super::VlanTag;

/// A layer can't hold what it was given, or layers don't go together. The fix is in the caller's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// A part is longer than its length field can say.
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        found_bytes: usize,
        /// The longest allowed.
        allowed_bytes: usize,
    },
    /// A VLAN above 4095 or a priority above 7.
    Tag {
        /// The tag as given.
        tag: VlanTag,
    },
    /// A fragment offset that isn't a multiple of 8, or is above 65,528.
    FragmentOffset {
        /// Offset as given, in bytes.
        offset_bytes: u32,
    },
    /// No fragment fits in the MTU.
    MtuTooSmall {
        /// The MTU as given, in bytes.
        mtu: usize,
        /// The smallest that works for this packet, in bytes.
        needed: usize,
    },
    /// Fragments were asked of a frame that isn't IP.
    NotIp,
    /// Fragments were asked of a packet that is given as a fragment already.
    AlreadyFragment,
    /// ICMP over IPv6 or ICMPv6 over IPv4.
    WrongFamily {
        /// The transport as given.
        transport: &'static str,
        /// The network layer as given.
        network: &'static str,
    },
}

impl FrameError {
    /// A part that is too long.
    pub(super) fn too_long(part: &'static str, found_bytes: usize, allowed_bytes: usize) -> Self {
        Self::TooLong { part, found_bytes, allowed_bytes }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { part, found_bytes, allowed_bytes } => {
                write!(f, "{part} has {found_bytes} bytes, {allowed_bytes} at most fit; shorten it")
            }
            Self::Tag { tag } => write!(
                f,
                "tag with VLAN {} and priority {}; allowed are VLAN 0-4095 and priority 0-7",
                tag.vlan, tag.priority
            ),
            Self::FragmentOffset { offset_bytes } => write!(
                f,
                "fragment offset of {offset_bytes} bytes; allowed are multiples of 8 up to 65528"
            ),
            Self::MtuTooSmall { mtu, needed } => write!(
                f,
                "no fragment of this packet fits in an MTU of {mtu}; give at least {needed}"
            ),
            Self::NotIp => write!(f, "only IPv4 and IPv6 packets can be cut into fragments"),
            Self::AlreadyFragment => {
                write!(f, "the packet is a fragment already; leave out its fragment fields")
            }
            Self::WrongFamily { transport, network } => {
                write!(f, "{transport} doesn't go over {network}")
            }
        }
    }
}

impl std::error::Error for FrameError {}
