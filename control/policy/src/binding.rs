//! Which station has which address, on which side: what identity is held to.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use loadlock_exchange::BindingEntry;
use loadlock_packet::{MacAddress, SegmentId, Side, VlanStack};

use crate::error::{Problem, Refused};
use crate::file::{BindingFile, VlanFile};
use crate::rule::{check_segment, check_text, side_name};
use crate::validate::{Findings, Places, excerpt, required_side};
use crate::vlan::VlanMatch;

/// Start of the reason of every binding that was learned.
pub const LEARNED: &str = "learned";

/// The fields of a binding, for [`Binding::new`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingParts {
    /// Name of the segment.
    pub segment: Arc<str>,
    /// Exactly these tags.
    pub vlans: VlanStack,
    /// The address; `None` for a station without one.
    pub address: Option<IpAddr>,
    /// The station; `None`: any on this side, as behind a router.
    pub mac: Option<MacAddress>,
    /// Where it is.
    pub side: Side,
    /// Why: 1 to [`crate::REASON_CHARACTERS_MAX`] characters, none of them a control character.
    pub reason: Arc<str>,
}

/// A binding of an address that a host can have, a station that can send, or both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binding {
    parts: BindingParts,
}

/// What two bindings mayn't say differently: segment, VLANs and address, or station if there is no address.
pub(crate) type BindingSubject<'a> = (&'a str, VlanStack, Option<IpAddr>, Option<MacAddress>);

impl Binding {
    /// Makes a binding.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn new(parts: BindingParts) -> Result<Self, (&'static str, Problem)> {
        check_segment(&parts.segment).map_err(|problem| ("segment", problem))?;
        check_text(&parts.reason).map_err(|problem| ("reason", problem))?;
        if let Some(address) = parts.address {
            check_address(address).map_err(|problem| ("address", problem))?;
        }
        if let Some(mac) = parts.mac {
            check_mac(mac).map_err(|problem| ("mac", problem))?;
        }
        if parts.address.is_none() && parts.mac.is_none() {
            return Err(("address", Problem::Missing { allowed: "an IP address, or a `mac`" }));
        }
        Ok(Self { parts })
    }

    /// Every field.
    #[must_use]
    pub fn parts(&self) -> &BindingParts {
        &self.parts
    }

    /// Was it learned, and not stated by a person?
    #[must_use]
    pub fn is_learned(&self) -> bool {
        self.parts.reason.starts_with(LEARNED)
    }

    /// One sentence for people: `10.0.1.11 is 02:00:00:00:00:01 on side a in VLAN 10`.
    #[must_use]
    pub fn words(&self) -> String {
        self.to_string()
    }

    pub(crate) fn subject(&self) -> BindingSubject<'_> {
        let BindingParts { segment, vlans, address, mac, .. } = &self.parts;
        (segment, *vlans, *address, if address.is_none() { *mac } else { None })
    }

    pub(crate) fn entry(&self, segment: SegmentId) -> BindingEntry {
        let BindingParts { vlans, address, mac, side, .. } = self.parts;
        BindingEntry { segment, vlans, side, address, mac }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindingParts { vlans, address, mac, side, .. } = &self.parts;
        match (address, mac) {
            (Some(address), Some(mac)) => write!(f, "{address} is {mac}")?,
            (Some(address), None) => write!(f, "{address} is any station")?,
            (None, Some(mac)) => write!(f, "station {mac} is")?,
            (None, None) => {}
        }
        write!(f, " on side {}", side_name(Some(*side)))?;
        if *vlans == VlanStack::UNTAGGED { Ok(()) } else { write!(f, " in VLAN {vlans}") }
    }
}

fn not_allowed(found: impl fmt::Display, allowed: &'static str) -> Problem {
    Problem::NotAllowed { found: found.to_string(), allowed, instead: None }
}

/// 0.0.0.0, ::, groups, broadcast and loopback belong to nobody on a link.
fn check_address(address: IpAddr) -> Result<(), Problem> {
    let broadcast = address == IpAddr::from([255; 4]);
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
        return Err(not_allowed(address, "the address of one host"));
    }
    Ok(())
}

fn check_mac(mac: MacAddress) -> Result<(), Problem> {
    if mac.is_group() || mac == MacAddress([0; 6]) {
        return Err(not_allowed(mac, "the address of one station, neither zero nor a group"));
    }
    Ok(())
}

const MANDATORY: [(&str, &str); 3] = [
    ("segment", "the name of a segment"),
    ("side", "\"a\" or \"b\""),
    ("reason", "a sentence that says why the binding is there"),
];

/// Validates bindings one by one and then together.
pub(crate) fn validate<P: Places>(
    written: Vec<BindingFile>,
    findings: &mut Findings<'_, P>,
) -> Vec<Binding> {
    let one = |(index, written)| one(written, index, findings).map(|binding| (index, binding));
    let numbered: Vec<(usize, Binding)> = written.into_iter().enumerate().filter_map(one).collect();
    refuse_contradictions(&numbered, findings);
    let mut bindings: Vec<Binding> = numbered.into_iter().map(|(_, binding)| binding).collect();
    bindings.sort_unstable();
    bindings
}

fn one<P: Places>(
    written: BindingFile,
    index: usize,
    findings: &mut Findings<'_, P>,
) -> Option<Binding> {
    let present = [written.segment.is_some(), written.side.is_some(), written.reason.is_some()];
    let mut sound = true;
    for ((key, allowed), _) in MANDATORY.into_iter().zip(present).filter(|(_, there)| !there) {
        sound = false;
        if !findings.mistyped_bindings.contains(&(index, key)) {
            findings.report_binding(index, key, Problem::Missing { allowed });
        }
    }
    let mut read = |key: &str, text: Option<&str>, problem: Option<Refused>| {
        if let (Some(text), Some(Refused { allowed, instead })) = (text, problem) {
            let problem = Problem::NotAllowed { found: excerpt(text), allowed, instead };
            findings.report_binding(index, key, problem);
            sound = false;
        }
    };
    let plain = |allowed| Refused { allowed, instead: None };
    let address = written.address.as_deref().map(str::parse::<IpAddr>);
    let address_allowed = "an IPv4 or IPv6 address such as \"10.0.1.11\"";
    let bad = matches!(address, Some(Err(_))).then(|| plain(address_allowed));
    read("address", written.address.as_deref(), bad);
    let mac = written.mac.as_deref().map(crate::address::mac_from_text);
    let bad = (mac == Some(None)).then(|| plain("a MAC address such as \"02:00:00:00:00:01\""));
    read("mac", written.mac.as_deref(), bad);
    let side = written.side.as_deref().map(required_side);
    read("side", written.side.as_deref(), side.clone().and_then(Result::err));
    let (vlan_text, vlan) = match &written.vlan {
        None => (None, Ok(VlanMatch::DEFAULT)),
        Some(VlanFile::Text(text)) => (Some(text.clone()), VlanMatch::from_text(text)),
        Some(VlanFile::Id(id)) => (Some(id.to_string()), VlanMatch::from_id(*id)),
    };
    let vlans = vlan.and_then(|vlan| match vlan {
        VlanMatch::Exactly(vlans) => Ok(vlans),
        VlanMatch::Any => Err(plain("\"untagged\", or the VLAN in which it is bound")),
    });
    read("vlan", vlan_text.as_deref(), vlans.clone().err());
    if !sound {
        return None;
    }
    let parts = BindingParts {
        segment: written.segment?.as_str().into(),
        vlans: vlans.ok()?,
        address: address.and_then(Result::ok),
        mac: mac.flatten(),
        side: side?.ok()?,
        reason: written.reason?.as_str().into(),
    };
    match Binding::new(parts) {
        Ok(binding) => Some(binding),
        Err((key, problem)) => {
            findings.report_binding(index, key, problem);
            None
        }
    }
}

/// Notes addresses bound twice, and stations on two sides.
pub(crate) fn refuse_contradictions<P: Places>(
    bindings: &[(usize, Binding)],
    findings: &mut Findings<'_, P>,
) {
    let mut subjects: HashMap<BindingSubject<'_>, usize> = HashMap::new();
    let mut sides: HashMap<(&str, VlanStack, MacAddress), (Side, usize)> = HashMap::new();
    for (index, binding) in bindings {
        let BindingParts { segment, vlans, mac, side, .. } = binding.parts();
        let mut first = subjects.get(&binding.subject()).copied();
        subjects.entry(binding.subject()).or_insert(*index);
        let mut key = if binding.parts.address.is_some() { "address" } else { "mac" };
        if let (None, Some(mac)) = (first, mac) {
            let (known, at) = *sides.entry((segment, *vlans, *mac)).or_insert((*side, *index));
            if known != *side {
                (first, key) = (Some(at), "side");
            }
        }
        if let Some(first) = first {
            let first_line = findings.places.binding_line(first, "");
            let problem =
                Problem::BoundTwice { words: binding.words(), first: first + 1, first_line };
            findings.report_binding(*index, key, problem);
        }
    }
}

impl From<&Binding> for BindingFile {
    fn from(binding: &Binding) -> Self {
        let BindingParts { segment, vlans, address, mac, side, reason } = binding.parts();
        Self {
            segment: Some(segment.to_string()),
            vlan: Some(VlanFile::Text(VlanMatch::Exactly(*vlans).to_string())),
            side: Some(side_name(Some(*side)).to_owned()),
            address: address.map(|address| address.to_string()),
            mac: mac.map(|mac| mac.to_string()),
            reason: Some(reason.to_string()),
        }
    }
}
