//! What decides whether a candidate is admitted: the settings, and what people and suppliers said.

use std::collections::{BTreeMap, BTreeSet};

use loadlock_packet::{Network, SegmentId};

use crate::days::NS_PER_DAY;
use crate::declared::Declared;
use crate::key::{Device, Tuple};

/// Whether evidence is weighed at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdmissionPolicy {
    /// Everything seen is admitted: for replaying a capture that is too short for days, and as a baseline to compare with.
    RecordAll,
    /// A candidate must have earned it.
    #[default]
    Evidence,
}

impl AdmissionPolicy {
    /// The names in settings and on the command line.
    pub const NAMES: [&'static str; 2] = ["record-all", "evidence"];

    /// By name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "record-all" => Some(Self::RecordAll),
            "evidence" => Some(Self::Evidence),
            _ => None,
        }
    }

    /// The name in settings and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordAll => "record-all",
            Self::Evidence => "evidence",
        }
    }
}

/// The thresholds of admission. The defaults are what `loadlock evaluate` was measured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdmissionSettings {
    /// Whether evidence is weighed at all.
    pub policy: AdmissionPolicy,
    /// Different days on which a key must have been answered to stand by itself.
    pub days_min: u32,
    /// Different days that make a habit: of a role, of many servers of one client.
    pub habit_days_min: u32,
    /// Sides were found from who talks to whom, as in a capture, and not by ports: then an address on the other side is no sign that
    /// somebody forges it.
    pub sides_guessed: bool,
    /// Strict cycles that stand for days.
    pub cycles_min: u32,
    /// Role peers with the same key that stand for days.
    pub peers_min: usize,
    /// Most unused addresses that a source may try before it is convicted.
    pub unused_addresses_max: usize,
    /// Servers of one service from which on one client's thin contacts look like a scan.
    pub fan_out_servers: usize,
    /// A server that a smaller share of a role uses, and nobody else, is held for a person.
    pub rare_share: f64,
    /// What this share of a role does on several days is admitted for every member of the role.
    pub role_share: f64,
    /// Cards that are shown to a person at a time.
    pub cards_max: usize,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        Self {
            policy: AdmissionPolicy::Evidence,
            days_min: 2,
            habit_days_min: 2,
            sides_guessed: false,
            cycles_min: 5,
            peers_min: 2,
            unused_addresses_max: 8,
            fan_out_servers: 8,
            rare_share: 0.25,
            role_share: 0.5,
            cards_max: 50,
        }
    }
}

impl AdmissionSettings {
    /// For learning that is over after this time, with nobody to ask. In eight days a weekly job isn't seen twice: that something was
    /// seen on one day only doesn't speak against it then, and what was answered, and isn't suspicious, is admitted.
    #[must_use]
    pub fn for_learning_of(learn_ns: u64) -> Self {
        let settings = Self::default();
        let days_min = if learn_ns <= 8 * NS_PER_DAY { 1 } else { settings.days_min };
        Self { days_min, ..settings }
    }

    /// Everything seen is admitted.
    #[must_use]
    pub fn record_all() -> Self {
        Self { policy: AdmissionPolicy::RecordAll, ..Self::default() }
    }
}

/// An announced time in which other things happen than normally. What is seen in it never enters the baseline by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The segment; `None` for all.
    pub segment: Option<SegmentId>,
    /// The first moment, ns since 1970.
    pub from_ns: u64,
    /// The first moment after it.
    pub until_ns: u64,
}

impl Window {
    /// True if the window is open in this segment at this time.
    #[must_use]
    pub fn is_open(&self, segment: SegmentId, time_ns: u64) -> bool {
        self.segment.is_none_or(|own| own == segment)
            && (self.from_ns..self.until_ns).contains(&time_ns)
    }
}

/// What people and suppliers said. All of it outranks evidence, except that a conviction outranks a supplier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Admitted by a person, held or not.
    pub approved: BTreeSet<Tuple>,
    /// Refused by a person.
    pub declined: BTreeSet<Tuple>,
    /// Sources that a person knows to be what they look like: a vulnerability scanner, an inventory.
    pub cleared: BTreeSet<Device>,
    /// Devices whose change of station a person confirmed: a spare part.
    pub stations: BTreeSet<Device>,
    /// Names of roles that a person gave; devices with the same name are one role, whatever they talk.
    pub roles: BTreeMap<Device, String>,
    /// Hosts that moved: from which address, and to which. What was admitted with the old one is admitted with the new one.
    pub moved: BTreeMap<Network, Network>,
    /// What suppliers declare.
    pub declared: Declared,
}
