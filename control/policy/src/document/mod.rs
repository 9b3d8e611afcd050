//! What people write: devices with roles and zones, services by name, permits, refusals, assertions, and single rules.
//!
//! ```text
//!  text ──sections──► rows ──resolve──► Document ──expand(rules in force, now)──► Policy
//! ```
//!
//! A document says what people decide. What was learned stays unless the document lists all rules itself (`learned = "listed"`), or
//! refuses it. Text and comments stay as they were written; what follows from them is computed for a moment in time.

mod device;
mod expand;
mod json;
mod keys;
mod resolve;
mod sections;

use std::collections::BTreeMap;
use std::sync::Arc;

use loadlock_exchange::{DeviceAddress, Mode};
use loadlock_packet::{Side, VlanStack};

use crate::address::AddressMatch;
use crate::binding::Binding;
use crate::canonical;
use crate::error::PolicyErrors;
use crate::policy::Policy;
use crate::read;
use crate::rule::{Opens, Rule};
use crate::service::{Protocol, Service};
use crate::validate;
use crate::vlan::VlanMatch;

pub use device::{DEVICE_KEYS, DeviceEdit, INVENTORY_KEYS, check_device};
pub(crate) use expand::contains;

/// A valid policy document.
#[derive(Clone, Debug, Default)]
pub struct Document {
    text: Arc<str>,
    /// Rules that it lists itself.
    rules: Vec<Rule>,
    /// Bindings that it states.
    bindings: Vec<Binding>,
    learned_listed: bool,
    devices: Vec<Device>,
    zones: Vec<Zone>,
    permits: Vec<Permit>,
    refusals: Vec<Refusal>,
    islands: Vec<Island>,
    assertions: Vec<Assertion>,
}

/// A device of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Unique in its document.
    pub name: Arc<str>,
    /// Where it is seen; `None`: on every segment.
    pub segment: Option<Arc<str>>,
    /// Its addresses, each a single one.
    pub addresses: Vec<AddressMatch>,
    /// Side of its segment on which it is; `None`: either.
    pub side: Option<Side>,
    /// Its VLAN; `None`: untagged, unless a permit says otherwise.
    pub vlan: Option<VlanMatch>,
    /// What kind of device it is.
    pub role: Option<Arc<str>>,
    /// Where it belongs.
    pub zone: Option<Arc<str>>,
    /// Its own mode; `None`: that of its segment.
    pub mode: Option<Mode>,
    /// What is known of it besides, by [`INVENTORY_KEYS`].
    pub inventory: BTreeMap<&'static str, Arc<str>>,
}

/// The mode of one of a device's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMode {
    /// Segment; `None`: every one.
    pub segment: Option<Arc<str>>,
    /// Only in this VLAN; `None`: in any.
    pub vlans: Option<VlanStack>,
    /// The address.
    pub address: DeviceAddress,
    /// Its mode.
    pub mode: Mode,
}

/// A part of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Unique in its document.
    pub name: Arc<str>,
    /// Addresses that belong to it, besides those of its devices.
    pub networks: Vec<AddressMatch>,
}

/// One end of a permit, refusal or assertion: addresses, with what is known of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// As it was written.
    pub text: Arc<str>,
    pub ends: Vec<End>,
}

/// One address of a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub address: AddressMatch,
    /// Index of the device that has it.
    pub device: Option<usize>,
    pub segment: Option<Arc<str>>,
    pub side: Option<Side>,
    pub vlan: Option<VlanMatch>,
}

/// Who may talk what to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) services: Vec<Service>,
    pub(crate) segment: Option<Arc<str>>,
    pub(crate) vlan: Option<VlanMatch>,
    pub(crate) opens: Opens,
    pub(crate) midstream: bool,
    pub(crate) reason: Arc<str>,
    pub(crate) owner: Arc<str>,
    /// From when on it holds no more, ns since 1970.
    pub expires_ns: Option<u64>,
    line: usize,
}

/// What isn't permitted, whatever was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Waits for a decision; else it is denied for good.
    pub held: bool,
    pub(crate) from: Party,
    pub(crate) to: Party,
    /// Empty: everything.
    pub(crate) services: Vec<Service>,
    pub(crate) segment: Option<Arc<str>>,
    pub(crate) reason: Arc<str>,
    pub(crate) owner: Arc<str>,
}

/// A zone that is cut off: nothing crosses its boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Island {
    /// The zone.
    pub zone: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) owner: Arc<str>,
    /// Bytes of the document that say so.
    span: (usize, usize),
}

/// What must hold of every policy that is applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// In words.
    pub name: Arc<str>,
    /// True: every such conversation must be permitted. False: none may be.
    pub always: bool,
    pub(crate) from: Party,
    pub(crate) to: Party,
    /// Empty: everything.
    pub(crate) services: Vec<Service>,
    pub(crate) segment: Option<Arc<str>>,
    pub(crate) vlan: Option<VlanMatch>,
}

impl Document {
    /// Reads and validates a text; `place` is its name in messages. An empty text is a document that decides nothing.
    ///
    /// # Errors
    /// All mistakes at once, in the order of their lines.
    pub fn parse(text: &str, place: &str) -> Result<Self, PolicyErrors> {
        if text.trim().is_empty() {
            return Ok(Self { text: text.into(), ..Self::default() });
        }
        // Rules as a program writes them are read the short way; what has a mistake is read again, for its lines.
        if let Some((head, rules)) = canonical::split(text).filter(|(_, rules)| !rules.is_empty()) {
            let quick = read::with_table(head, place, |table, mut findings| {
                let document = resolve::document(table, text, &mut findings);
                read::rules(table, &mut findings);
                let bindings = read::bindings(table, &mut findings);
                let policy = validate::policy(rules, bindings, findings)?;
                Ok(document.with(&policy))
            });
            if quick.is_ok() {
                return quick;
            }
        }
        read::with_table(text, place, |table, mut findings| {
            let document = resolve::document(table, text, &mut findings);
            let rules = read::rules(table, &mut findings);
            let bindings = read::bindings(table, &mut findings);
            let policy = validate::policy(rules, bindings, findings)?;
            Ok(document.with(&policy))
        })
    }

    /// With the rules and bindings that it lists itself.
    fn with(self, listed: &Policy) -> Self {
        Self { rules: listed.rules().to_vec(), bindings: listed.bindings().to_vec(), ..self }
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The devices, in the order of the text.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The zones that are cut off.
    #[must_use]
    pub fn islands(&self) -> &[Island] {
        &self.islands
    }

    /// The zones, in the order of the text.
    #[must_use]
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// What must hold.
    #[must_use]
    pub fn assertions(&self) -> &[Assertion] {
        &self.assertions
    }

    /// When a permit expires next after `now_ns`.
    #[must_use]
    pub fn next_expiry_ns(&self, now_ns: u64) -> Option<u64> {
        let times = self.permits.iter().filter_map(|permit| permit.expires_ns);
        times.filter(|time| *time > now_ns).min()
    }

    /// Name of the device with this address on this segment.
    #[must_use]
    pub fn device_of(&self, address: AddressMatch, segment: &str) -> Option<&Device> {
        self.devices.iter().find(|device| {
            device.segment.as_deref().is_none_or(|own| own == segment)
                && device.addresses.contains(&address)
        })
    }

    /// The modes of single devices, one for each of their addresses; in a fixed order.
    #[must_use]
    pub fn device_modes(&self) -> Vec<AddressMode> {
        let own = self.devices.iter().filter_map(|device| Some((device, device.mode?)));
        let modes = own.flat_map(|(device, mode)| {
            device.addresses.iter().filter_map(move |address| {
                let address = match *address {
                    AddressMatch::Ip(prefix) => DeviceAddress::Ip(prefix.address()),
                    AddressMatch::Mac(mac) => DeviceAddress::Mac(mac),
                    AddressMatch::Any => return None,
                };
                let vlans = match device.vlan {
                    Some(VlanMatch::Exactly(vlans)) => Some(vlans),
                    Some(VlanMatch::Any) | None => None,
                };
                Some(AddressMode { segment: device.segment.clone(), vlans, address, mode })
            })
        });
        modes.collect()
    }

    /// The mode that both ends of a rule learn by, or one if the other has none of its own.
    #[must_use]
    pub fn mode_of(&self, rule: &Rule) -> Option<Mode> {
        let parts = rule.parts();
        let ends = [parts.client, parts.server].into_iter();
        ends.filter_map(|end| self.device_of(end, &parts.segment)?.mode).max()
    }

    /// Is a device learning, whatever its segment does?
    #[must_use]
    pub fn has_learning_device(&self) -> bool {
        self.devices.iter().any(|device| device.mode == Some(Mode::Learn))
    }

    /// Devices by role.
    #[must_use]
    pub fn roles(&self) -> BTreeMap<&str, usize> {
        let mut roles = BTreeMap::new();
        for role in self.devices.iter().filter_map(|device| device.role.as_deref()) {
            *roles.entry(role).or_default() += 1;
        }
        roles
    }
}

/// A part of the header space that an assertion is about, on one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Who asks.
    pub client: AddressMatch,
    /// Who answers.
    pub server: AddressMatch,
    /// The client's side; `None`: both.
    pub side: Option<Side>,
    /// VLANs.
    pub vlan: VlanMatch,
    /// What they talk, of one protocol.
    pub service: Service,
}

impl Assertion {
    /// The parts of the header space that it is about, on this segment. What must never be is asked of every VLAN and side; what must
    /// always be, of those that the devices have.
    pub fn spaces(&self, segment: &str) -> Vec<Space> {
        if self.segment.as_deref().is_some_and(|own| own != segment) {
            return Vec::new();
        }
        let services: Vec<Service> = match self.services.is_empty() {
            true => Protocol::ALL.into_iter().filter_map(Service::all_of).collect(),
            false => self.services.clone(),
        };
        let here = |end: &&End| end.segment.as_deref().is_none_or(|own| own == segment);
        let mut spaces = Vec::new();
        for from in self.from.ends.iter().filter(here) {
            for to in self.to.ends.iter().filter(here) {
                if from.device.is_some() && from.device == to.device {
                    continue;
                }
                let side = from.side.or(to.side.map(Side::other)).filter(|_| self.always);
                let own = from.vlan.or(to.vlan).filter(|_| self.always);
                let otherwise = if self.always { VlanMatch::DEFAULT } else { VlanMatch::Any };
                let vlan = self.vlan.or(own).unwrap_or(otherwise);
                let (client, server) = (from.address, to.address);
                spaces.extend(services.iter().map(|service| Space {
                    client,
                    server,
                    side,
                    vlan,
                    service: *service,
                }));
            }
        }
        spaces
    }
}
