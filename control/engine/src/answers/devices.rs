//! Devices of the policy in force: showing them, and changing what the document says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use loadlock_api::{
    DEVICES_CHANGED_MAX, Device, DeviceChanges, DeviceQuery, Listing, PolicyAnswer, PolicyChanged,
};
use loadlock_exchange::Mode;
use loadlock_policy::{AddressMatch, Device as Known, DeviceEdit, Document};

use super::{Answer, REASON_EXAMPLE, conflict, mistakes, required};
use crate::backend::CoreBackend;
use crate::change::Change;
use crate::oui;
use crate::state::State;

fn line(device: &Known) -> Device {
    let text = |text: &Option<Arc<str>>| text.as_ref().map(ToString::to_string);
    let inventory = device.inventory.iter();
    let macs = device.addresses.iter().filter_map(|address| match address {
        AddressMatch::Mac(mac) => Some(*mac),
        _ => None,
    });
    Device {
        name: device.name.to_string(),
        addresses: device.addresses.iter().map(ToString::to_string).collect(),
        segment: text(&device.segment),
        side: device.side.map(|side| loadlock_api::Side::from(side).name().to_owned()),
        vlan: device.vlan.as_ref().map(ToString::to_string),
        role: text(&device.role),
        zone: text(&device.zone),
        mode: device.mode.map(Into::into),
        inventory: inventory.map(|(key, value)| ((*key).to_owned(), value.to_string())).collect(),
        vendor_by_mac: macs.into_iter().find_map(oui::vendor).map(str::to_owned),
    }
}

/// Stricter than before, or not at all different?
fn tightens(before: Option<Mode>, after: Option<Mode>) -> bool {
    match (before, after) {
        (None, Some(mode)) => mode >= Mode::Enforce,
        (Some(_), None) => false,
        (before, after) => after >= before,
    }
}

impl CoreBackend {
    pub(super) fn devices(&self, query: &DeviceQuery) -> Answer {
        let state = self.state_of(None)?;
        let fits = |wanted: &Option<String>, own: &Option<Arc<str>>| {
            wanted.as_deref().is_none_or(|wanted| own.as_deref() == Some(wanted))
        };
        let devices = state.document.devices().iter().filter(|device| {
            fits(&query.segment, &device.segment)
                && fits(&query.role, &device.role)
                && fits(&query.zone, &device.zone)
        });
        Ok(PolicyAnswer::Devices(Listing::take(devices.map(line), query.limit)))
    }

    pub(super) fn device(&self, name: &str) -> Answer {
        let state = self.state_of(None)?;
        let (found, _) = super::asked::device(&state.document, name)?;
        let mut devices = state.document.devices().iter();
        let named = devices.find(|device| {
            &*device.name == name || found.iter().any(|address| device.addresses.contains(address))
        });
        named.map(|device| PolicyAnswer::Device(line(device))).ok_or_else(|| {
            conflict(
                format!("no device of the policy in force has the address {name}"),
                "`loadlock device list` has them; `loadlock device set NAME --new --address …` adds one",
            )
        })
    }

    pub(super) fn change_devices(&self, changes: DeviceChanges, author: &str) -> Answer {
        required(&changes.reason, "the reason", REASON_EXAMPLE)?;
        if changes.devices.is_empty() || changes.devices.len() > DEVICES_CHANGED_MAX {
            return Err(conflict(
                format!(
                    "{} devices are to be changed, allowed are 1 to {DEVICES_CHANGED_MAX}",
                    changes.devices.len()
                ),
                "divide them into several changes",
            ));
        }
        let base = self.state_of(None)?;
        let names: Vec<&str> =
            changes.devices.iter().map(|change| change.name.as_str()).take(3).collect();
        let more = match changes.devices.len() {
            0..=3 => String::new(),
            all => format!(" and {} more", all - 3),
        };
        let reason = format!("device {}{more}: {}", names.join(", "), changes.reason);
        let edits = changes.devices.into_iter().map(|change| DeviceEdit {
            name: change.name,
            create: change.create,
            fields: change.fields.into_iter().collect(),
        });
        let edits: Vec<DeviceEdit> = edits.collect();
        let document = base.document.with_devices(&edits, "policy in force");
        let document = document.map_err(|errors| mistakes(&errors))?;
        if document.text() == base.document.text() {
            return Err(conflict(
                "all of that is so already, nothing changes".to_owned(),
                "`loadlock device show NAME` has what is in force",
            ));
        }
        let state = self.edited(&base, document)?;
        if self.settings().control.another_approver && loosens(&base, &state) {
            return self.to_be_approved(&base, &state, author, &reason);
        }
        let (author, base) = (author.to_owned(), base.number);
        self.change(Change::Edit { base, state, author, reason })
    }

    /// Stores as a proposal what may not be in force before another person has approved it.
    pub(super) fn to_be_approved(
        &self,
        base: &State,
        state: &State,
        author: &str,
        reason: &str,
    ) -> Answer {
        let proposed = self.submit(base, state, author, reason, "")?;
        let number = proposed.version.number;
        Ok(PolicyAnswer::Changed(PolicyChanged {
            version: proposed.version,
            generation: 0,
            confirm_by: None,
            next_step: Some(format!(
                "nothing is in force yet: another person runs `loadlock policy approve {number}`, then `loadlock policy apply {number}`"
            )),
        }))
    }
}

/// May more pass than before?
fn loosens(base: &State, state: &State) -> bool {
    let own = |document: &Document| -> BTreeMap<Arc<str>, Option<Mode>> {
        document.devices().iter().map(|device| (device.name.clone(), device.mode)).collect()
    };
    let (before, after) = (own(&base.document), own(&state.document));
    let mut names = before.keys().chain(after.keys());
    let get = |modes: &BTreeMap<Arc<str>, Option<Mode>>, name| modes.get(name).copied().flatten();
    base.policy != state.policy
        || names.any(|name| !tightens(get(&before, name), get(&after, name)))
}
