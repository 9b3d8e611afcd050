//! What a policy says of a segment as a whole; one word of a snapshot each.

use loadlock_packet::negotiation::Helpers;

/// What a segment, or a device, does with frames that no rule permits; the later ones are the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Forward, and learn the conversation.
    Learn = 0,
    /// Forward, and report as would-deny.
    Monitor = 1,
    /// Drop.
    Enforce = 2,
    /// Drop everything but infrastructure frames, whatever rules say.
    Quarantine = 3,
}

impl Mode {
    /// Every mode, the strictest last.
    pub const ALL: [Self; 4] = [Self::Learn, Self::Monitor, Self::Enforce, Self::Quarantine];

    /// The mode with this discriminant.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        Self::ALL.get(bits as usize).copied()
    }

    /// The name in configuration, API and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Learn => "learn",
            Mode::Monitor => "monitor",
            Mode::Enforce => "enforce",
            Mode::Quarantine => "quarantine",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Frame classes forwarded without a rule in every mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Infrastructure {
    /// ARP.
    pub arp: bool,
    /// IPv6 neighbour and router discovery.
    pub neighbour_discovery: bool,
    /// To 01:80:c2:00:00:00–0f.
    pub link_local: bool,
}

/// When conversations that already run are taken on, if a rule permits them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Midstream {
    /// In the grace time after the start, and later by rules that say so.
    #[default]
    Grace = 0,
    /// At any time.
    Always = 1,
    /// Not even by rules that say so; only what a full flow table can't remember goes on.
    Never = 2,
}

impl Midstream {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Grace, Self::Always, Self::Never];

    /// The name in configuration and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grace => "grace",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// The way of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|midstream| midstream.name() == name)
    }
}

/// What a segment does about a conversation that the flow table has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TableFull {
    /// As the rules say, by a look-up for each frame.
    #[default]
    Static = 0,
    /// Forward it, permitted or not; what isn't is counted as would-deny.
    Open = 1,
    /// Drop it in enforce mode, permitted or not.
    Closed = 2,
}

impl TableFull {
    /// Every answer.
    pub const ALL: [Self; 3] = [Self::Static, Self::Open, Self::Closed];
}

/// What a segment does about a new conversation while the event ring is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RingFullPolicy {
    /// As the rules say, and report it later.
    #[default]
    Static = 0,
    /// Drop it in enforce mode: nothing passes that nobody knows of.
    Closed = 1,
}

/// A segment's part of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SegmentPolicy {
    /// Mode.
    pub mode: Mode,
    /// Infrastructure classes.
    pub infrastructure: Infrastructure,
    /// Conversations that already run.
    pub midstream: Midstream,
    /// Protocols whose negotiated ports are opened.
    pub helpers: Helpers,
    /// When the flow table is full.
    pub table_full: TableFull,
    /// When the event ring is full.
    pub ring_full: RingFullPolicy,
}

impl SegmentPolicy {
    /// Nothing permitted: what segments that aren't configured have.
    pub const CLOSED: Self = Self {
        mode: Mode::Enforce,
        infrastructure: Infrastructure {
            arp: false,
            neighbour_discovery: false,
            link_local: false,
        },
        midstream: Midstream::Grace,
        helpers: Helpers::NONE,
        table_full: TableFull::Static,
        ring_full: RingFullPolicy::Static,
    };

    /// One word of a snapshot.
    pub(crate) fn to_word(self) -> u64 {
        let Infrastructure { arp, neighbour_discovery, link_local } = self.infrastructure;
        self.mode as u64
            | (self.midstream as u64) << 24
            | u64::from(arp) << 8
            | u64::from(neighbour_discovery) << 9
            | u64::from(link_local) << 10
            | u64::from(self.helpers.bits()) << 16
            | (self.table_full as u64) << 32
            | (self.ring_full as u64) << 40
    }

    /// The opposite; `None`: no such word is written.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        let mode = Mode::from_bits(word & 0xff)?;
        let infrastructure = Infrastructure {
            arp: word & 1 << 8 != 0,
            neighbour_discovery: word & 1 << 9 != 0,
            link_local: word & 1 << 10 != 0,
        };
        let midstream = *Midstream::ALL.get((word >> 24 & 0xff) as usize)?;
        let helpers = Helpers::from_bits((word >> 16) as u8);
        let table_full = *TableFull::ALL.get((word >> 32 & 0xff) as usize)?;
        let ring_full = match word >> 40 & 0xff {
            0 => RingFullPolicy::Static,
            1 => RingFullPolicy::Closed,
            _ => return None,
        };
        Some(Self { mode, infrastructure, midstream, helpers, table_full, ring_full })
    }
}
