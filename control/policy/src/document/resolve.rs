//! From rows to a document: names are looked up, values read, and what doesn't fit is reported.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use loadlock_exchange::Mode;
use loadlock_packet::Side;
use toml::de::DeTable;

use super::device::{self, INVENTORY_KEYS};
use super::keys::{ASSERT, DENY, DEVICE, HOLD, ISLAND, PERMIT, SERVICE, ZONE};
use super::sections::{self, Row};
use super::{Assertion, Device, Document, End, Island, Party, Permit, Refusal, Zone};
use crate::address::AddressMatch;
use crate::error::Problem;
use crate::read::TextFindings;
use crate::rule::{Opens, check_segment, check_text};
use crate::service::Service;
use crate::vlan::VlanMatch;

/// What names stand for.
struct Names<'d> {
    devices: &'d [Device],
    zones: &'d [Zone],
    services: HashMap<String, Vec<Service>>,
}

/// Reads everything but the rules.
pub(crate) fn document(
    table: &DeTable<'_>,
    text: &str,
    findings: &mut TextFindings<'_>,
) -> Document {
    let [
        zone_rows,
        device_rows,
        service_rows,
        permit_rows,
        deny_rows,
        hold_rows,
        island_rows,
        assert_rows,
    ] = [&ZONE, &DEVICE, &SERVICE, &PERMIT, &DENY, &HOLD, &ISLAND, &ASSERT]
        .map(|section| sections::read(table, section, findings));
    for rows in [&zone_rows, &device_rows, &service_rows, &assert_rows] {
        refuse_names_twice(rows, findings);
    }
    let zones: Vec<Zone> = zone_rows.iter().map(|row| zone(row, findings)).collect();
    let devices: Vec<Device> =
        device_rows.iter().map(|row| device(row, &zones, findings)).collect();
    refuse_addresses_twice(&device_rows, &devices, findings);
    let services = service_rows.iter().map(|row| {
        let ports = row.texts("port").iter();
        let ports = ports.filter_map(|port| literal_service(row, "port", port, findings)).collect();
        (row.text("name").unwrap_or_default().to_owned(), ports)
    });
    let services = services.collect();
    let names = Names { devices: &devices, zones: &zones, services };
    let permits = permit_rows.iter().filter_map(|row| permit(row, &names, findings)).collect();
    let refusals = deny_rows.iter().chain(&hold_rows);
    let refusals = refusals.filter_map(|row| refusal(row, &names, findings)).collect();
    let assertions =
        assert_rows.iter().filter_map(|row| assertion(row, &names, findings)).collect();
    let islands =
        island_rows.iter().filter_map(|row| island(row, &zones, text, findings)).collect();
    let learned_listed = crate::read::learned_is_listed(table, findings);
    Document {
        text: text.into(),
        rules: Vec::new(),
        bindings: Vec::new(),
        learned_listed,
        devices,
        zones,
        permits,
        refusals,
        islands,
        assertions,
    }
}

fn refuse_names_twice(rows: &[Row], findings: &mut TextFindings<'_>) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let Some(name) = row.text("name") else { continue };
        if check_text(name).is_err() || name.contains([':', ',']) {
            row.refuse(findings, "name", name, "1 to 500 characters, not all of them spaces, without ':', ',' and control characters");
        }
        if let Some(first_line) = seen.get(name) {
            let (name, first_line) = (name.to_owned(), *first_line);
            row.report(findings, "name", Problem::NameTwice { name, first_line });
        } else {
            seen.insert(name, row.line);
        }
    }
}

fn refuse_addresses_twice(rows: &[Row], devices: &[Device], findings: &mut TextFindings<'_>) {
    let mut seen: HashMap<(AddressMatch, Option<&str>), usize> = HashMap::new();
    for (row, device) in rows.iter().zip(devices) {
        for address in &device.addresses {
            let place = (*address, device.segment.as_deref());
            if let Some(first_line) = seen.insert(place, row.line) {
                let name = address.to_string();
                row.report(findings, "address", Problem::NameTwice { name, first_line });
            }
        }
    }
}

fn shared(text: Option<&str>) -> Option<Arc<str>> {
    text.map(Into::into)
}

fn zone(row: &Row, findings: &mut TextFindings<'_>) -> Zone {
    let networks = row.texts("network").iter();
    let networks = networks.filter_map(|text| address(row, "network", text, findings)).collect();
    Zone { name: row.text("name").unwrap_or_default().into(), networks }
}

fn address(
    row: &Row,
    key: &str,
    text: &str,
    findings: &mut TextFindings<'_>,
) -> Option<AddressMatch> {
    match AddressMatch::from_text(text) {
        Ok(address) => Some(address),
        Err(refused) => {
            let found = crate::validate::excerpt(text);
            let (allowed, instead) = (refused.allowed, refused.instead);
            row.report(findings, key, Problem::NotAllowed { found, allowed, instead });
            None
        }
    }
}

fn device(row: &Row, zones: &[Zone], findings: &mut TextFindings<'_>) -> Device {
    let mut addresses = Vec::new();
    for text in row.texts("address") {
        match address(row, "address", text, findings) {
            Some(AddressMatch::Any) => {
                row.refuse(findings, "address", text, "single IP or MAC addresses")
            }
            Some(AddressMatch::Ip(prefix))
                if AddressMatch::Ip(crate::Prefix::host(prefix.address()))
                    != AddressMatch::Ip(prefix) =>
            {
                row.refuse(findings, "address", text, "single IP or MAC addresses");
            }
            Some(address) => addresses.push(address),
            None => {}
        }
    }
    if let Some(found) =
        row.text("zone").filter(|zone| !zones.iter().any(|own| &*own.name == *zone))
    {
        unknown(row, "zone", "zone", found, zones.iter().map(|zone| &*zone.name), findings);
    }
    let mode = row.text("mode").and_then(Mode::from_name);
    if let (Some(found), None) = (row.text("mode"), mode) {
        let allowed = "\"learn\", \"monitor\", \"enforce\" or \"quarantine\"";
        row.refuse(findings, "mode", found, allowed);
    }
    Device {
        name: row.text("name").unwrap_or_default().into(),
        segment: segment(row, findings),
        addresses,
        side: side(row, findings),
        vlan: vlan(row, findings),
        role: shared(row.text("role")),
        zone: shared(row.text("zone")),
        mode,
        inventory: inventory(row, findings),
    }
}

fn inventory(row: &Row, findings: &mut TextFindings<'_>) -> BTreeMap<&'static str, Arc<str>> {
    let mut inventory = BTreeMap::new();
    for key in INVENTORY_KEYS {
        let Some(value) = row.text(key) else { continue };
        match device::check_inventory(key, value) {
            Ok(()) => drop(inventory.insert(key, value.into())),
            Err(allowed) => row.refuse(findings, key, value, allowed),
        }
    }
    inventory
}

fn segment(row: &Row, findings: &mut TextFindings<'_>) -> Option<Arc<str>> {
    let name = row.text("segment")?;
    if let Err(problem) = check_segment(name) {
        row.report(findings, "segment", problem);
    }
    Some(name.into())
}

fn side(row: &Row, findings: &mut TextFindings<'_>) -> Option<Side> {
    match row.text("side")? {
        "a" => Some(Side::A),
        "b" => Some(Side::B),
        "both" => None,
        found => {
            row.refuse(findings, "side", found, "\"a\", \"b\" or \"both\"");
            None
        }
    }
}

fn vlan(row: &Row, findings: &mut TextFindings<'_>) -> Option<VlanMatch> {
    let text = row.text("vlan")?;
    let vlan = VlanMatch::from_text(text);
    if let Err(refused) = &vlan {
        row.refuse(findings, "vlan", text, refused.allowed);
    }
    vlan.ok()
}

fn opens(row: &Row, findings: &mut TextFindings<'_>) -> Opens {
    let Some(text) = row.text("opens") else { return Opens::Client };
    let permitting = Opens::ALL.into_iter().filter(|opens| *opens != Opens::Nobody);
    permitting.into_iter().find(|opens| opens.name() == text).unwrap_or_else(|| {
        row.refuse(findings, "opens", text, "\"client\", \"server\" or \"both\"");
        Opens::Client
    })
}

fn checked_text(row: &Row, key: &str, findings: &mut TextFindings<'_>) -> Arc<str> {
    let text = row.text(key).unwrap_or_default();
    if row.text(key).is_some()
        && let Err(problem) = check_text(text)
    {
        row.report(findings, key, problem);
    }
    text.into()
}

fn unknown<'n>(
    row: &Row,
    key: &str,
    what: &'static str,
    found: &str,
    known: impl Iterator<Item = &'n str>,
    findings: &mut TextFindings<'_>,
) {
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(found, known);
    let rated = known.map(|known| (likeness(known), known));
    let nearest = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    let nearest = nearest.filter(|(likeness, _)| *likeness >= 0.5).map(|(_, name)| name.to_owned());
    let found = crate::validate::excerpt(found);
    row.report(findings, key, Problem::UnknownName { what, found, nearest });
}

fn literal_service(
    row: &Row,
    key: &str,
    text: &str,
    findings: &mut TextFindings<'_>,
) -> Option<Service> {
    match Service::from_text(text) {
        Ok(service) => Some(service),
        Err(refused) => {
            row.refuse(findings, key, text, refused.allowed);
            None
        }
    }
}

fn services(row: &Row, names: &Names<'_>, findings: &mut TextFindings<'_>) -> Vec<Service> {
    let mut services = Vec::new();
    for text in row.texts("service") {
        if text.contains('/') {
            services.extend(literal_service(row, "service", text, findings));
        } else if let Some(named) = names.services.get(text) {
            services.extend(named);
        } else {
            let known = names.services.keys().map(String::as_str);
            unknown(row, "service", "service", text, known, findings);
        }
    }
    services
}

fn of_device(names: &Names<'_>, index: usize) -> impl Iterator<Item = End> + use<> {
    let Device { segment, addresses, side, vlan, .. } = names.devices[index].clone();
    addresses.into_iter().map(move |address| End {
        address,
        device: Some(index),
        segment: segment.clone(),
        side,
        vlan,
    })
}

fn open_end(address: AddressMatch) -> End {
    End { address, device: None, segment: None, side: None, vlan: None }
}

fn party(row: &Row, key: &str, names: &Names<'_>, findings: &mut TextFindings<'_>) -> Party {
    let mut ends = Vec::new();
    let mut seen = HashSet::new();
    for text in row.texts(key) {
        let selected = |wanted: &dyn Fn(&Device) -> bool| -> Vec<End> {
            let devices = names.devices.iter().enumerate().filter(|(_, device)| wanted(device));
            devices.flat_map(|(index, _)| of_device(names, index)).collect()
        };
        let found = match text.split_once(':') {
            Some(("device", name)) => {
                let found = selected(&|device| &*device.name == name);
                if !names.devices.iter().any(|device| &*device.name == name) {
                    let known = names.devices.iter().map(|device| &*device.name);
                    unknown(row, key, "device", name, known, findings);
                }
                found
            }
            Some(("role", name)) => {
                let found = selected(&|device| device.role.as_deref() == Some(name));
                if found.is_empty() {
                    let known = names.devices.iter().filter_map(|device| device.role.as_deref());
                    unknown(row, key, "role", name, known, findings);
                }
                found
            }
            Some(("zone", name)) => {
                let mut found = selected(&|device| device.zone.as_deref() == Some(name));
                match names.zones.iter().find(|zone| &*zone.name == name) {
                    Some(zone) => found.extend(zone.networks.iter().copied().map(open_end)),
                    None => {
                        let known = names.zones.iter().map(|zone| &*zone.name);
                        unknown(row, key, "zone", name, known, findings);
                    }
                }
                found
            }
            _ => address(row, key, text, findings).map(open_end).into_iter().collect(),
        };
        ends.extend(found.into_iter().filter(|end| seen.insert((end.address, end.device))));
    }
    Party { text: row.texts(key).join(", ").into(), ends }
}

fn permit(row: &Row, names: &Names<'_>, findings: &mut TextFindings<'_>) -> Option<Permit> {
    let before = findings.errors.len();
    let permit = Permit {
        from: party(row, "from", names, findings),
        to: party(row, "to", names, findings),
        services: services(row, names, findings),
        segment: segment(row, findings),
        vlan: vlan(row, findings),
        opens: opens(row, findings),
        midstream: row.switch("midstream").unwrap_or(false),
        reason: checked_text(row, "reason", findings),
        owner: checked_text(row, "owner", findings),
        expires_ns: row.time("expires"),
        line: row.line,
    };
    (findings.errors.len() == before).then_some(permit)
}

fn refusal(row: &Row, names: &Names<'_>, findings: &mut TextFindings<'_>) -> Option<Refusal> {
    let before = findings.errors.len();
    let refusal = Refusal {
        held: row.section.name == HOLD.name,
        from: party(row, "from", names, findings),
        to: party(row, "to", names, findings),
        services: services(row, names, findings),
        segment: segment(row, findings),
        reason: checked_text(row, "reason", findings),
        owner: checked_text(row, "owner", findings),
    };
    (findings.errors.len() == before).then_some(refusal)
}

fn assertion(row: &Row, names: &Names<'_>, findings: &mut TextFindings<'_>) -> Option<Assertion> {
    let before = findings.errors.len();
    let assertion = Assertion {
        name: row.text("name").unwrap_or_default().into(),
        always: row.switch("always").unwrap_or(false),
        from: party(row, "from", names, findings),
        to: party(row, "to", names, findings),
        services: services(row, names, findings),
        segment: segment(row, findings),
        vlan: vlan(row, findings),
    };
    (findings.errors.len() == before).then_some(assertion)
}

fn island(
    row: &Row,
    zones: &[Zone],
    text: &str,
    findings: &mut TextFindings<'_>,
) -> Option<Island> {
    let name = row.text("zone")?;
    if !zones.iter().any(|zone| &*zone.name == name) {
        unknown(row, "zone", "zone", name, zones.iter().map(|zone| &*zone.name), findings);
        return None;
    }
    Some(Island {
        zone: name.into(),
        reason: checked_text(row, "reason", findings),
        owner: checked_text(row, "owner", findings),
        span: row.span(text),
    })
}
