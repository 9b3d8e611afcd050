//! Manufacturer Usage Descriptions (RFC 8520): access lists of `ietf-access-control-list` (RFC 8519), from and to the device.
//!
//! Read are matches on TCP and UDP ports (`eq`, `range`) and on IP networks of one host; names (`ietf-acldns`), controllers and
//! `my-controller` stand for any peer, since what they mean is the site's business. Entries that don't accept are passed over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use loadlock_learn::{Candidate, Decisions, Declared, DeclaredPort, Outcome};
use loadlock_packet::{Kind, Network};
use serde_json::{Value, json};

pub(crate) fn read(file: &str, text: &str, devices: &[IpAddr]) -> Result<Declared, Vec<String>> {
    let mud: Value = serde_json::from_str(text).map_err(|error| vec![error.to_string()])?;
    let lists = mud.pointer("/ietf-access-control-list:acls/acl").and_then(Value::as_array);
    let Some(lists) = lists else {
        return Err(vec![
            "there is no ietf-access-control-list:acls with a list of acl".to_owned(),
        ]);
    };
    let of_device = |direction: &str| -> Vec<&str> {
        let pointer = format!("/ietf-mud:mud/{direction}/access-lists/access-list");
        let named = mud.pointer(&pointer).and_then(Value::as_array);
        named.into_iter().flatten().filter_map(|list| list.get("name")?.as_str()).collect()
    };
    let (from, to) = (of_device("from-device-policy"), of_device("to-device-policy"));
    let mut problems = Vec::new();
    if from.is_empty() && to.is_empty() {
        problems.push("ietf-mud:mud names no access list from or to the device".to_owned());
    }
    let mut declared = Declared::default();
    for list in lists {
        let name = list.get("name").and_then(Value::as_str).unwrap_or("");
        let from_device = from.contains(&name);
        if !from_device && !to.contains(&name) {
            continue;
        }
        let entries = list.pointer("/aces/ace").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let entry_name = entry.get("name").and_then(Value::as_str).unwrap_or("");
            let place = format!("{file} list {name} entry {entry_name}");
            match port(entry, from_device, devices, place) {
                Ok(port) => declared.ports.extend(port),
                Err(problem) => problems.push(format!("list {name} entry {entry_name}: {problem}")),
            }
        }
    }
    // A conversation is in two lists, once for each direction of its packets.
    declared.ports.sort_by_key(|port| (port.asks, port.kind, port.ports, port.peer));
    declared.ports.dedup_by_key(|port| (port.asks, port.kind, port.ports, port.peer));
    if problems.is_empty() { Ok(declared) } else { Err(problems) }
}

/// What an entry declares; nothing if it doesn't accept, or isn't about ports.
fn port(
    entry: &Value,
    from_device: bool,
    devices: &[IpAddr],
    place: String,
) -> Result<Option<DeclaredPort>, String> {
    let action = entry.pointer("/actions/forwarding").and_then(Value::as_str);
    if action.is_none_or(|action| action != "accept") {
        return Ok(None);
    }
    let Some(matches) = entry.get("matches") else { return Ok(None) };
    let transport = [("tcp", Kind::Tcp), ("udp", Kind::Udp)];
    let found = transport.into_iter().find_map(|(name, kind)| Some((kind, matches.get(name)?)));
    let Some((kind, fields)) = found else { return Ok(None) };
    // Packets from the device go to the service's port if it asks, and come from it if it is asked.
    let (service, asks) = match (fields.get("destination-port"), fields.get("source-port")) {
        (Some(port), _) => (port, from_device),
        (None, Some(port)) => (port, !from_device),
        (None, None) => return Ok(None),
    };
    let ports = range(service)?;
    let network = |name: &str| {
        let ip = ["ipv4", "ipv6"].into_iter().find_map(|family| matches.get(family))?;
        let families = ["ipv4", "ipv6"].map(|family| format!("{name}-{family}-network"));
        families.iter().find_map(|field| ip.get(field)?.as_str())
    };
    let peer = network(if from_device { "destination" } else { "source" });
    let peer = peer.map(host).transpose()?.flatten();
    Ok(Some(DeclaredPort { devices: devices.to_vec(), asks, kind, ports, peer, place }))
}

fn range(port: &Value) -> Result<(u16, u16), String> {
    let number =
        |name: &str| port.get(name).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let operator = port.get("operator").and_then(Value::as_str).unwrap_or("eq");
    let ports = match operator {
        "eq" => number("port").map(|port| (port, port)),
        "range" => number("lower-port").zip(number("upper-port")),
        "gte" => number("port").map(|port| (port, u16::MAX)),
        "lte" => number("port").map(|port| (0, port)),
        _ => None,
    };
    let ports = ports.filter(|(first, last)| first <= last);
    ports.ok_or_else(|| {
        format!("port {port} isn't allowed, allowed are eq, range, gte and lte of 0 to 65535")
    })
}

/// A network of one host; a larger one is any peer.
fn host(text: &str) -> Result<Option<IpAddr>, String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().map_err(|_| {
        format!("network \"{text}\" isn't allowed, allowed is such as 10.0.2.10/32")
    })?;
    let whole = if address.is_ipv4() { "32" } else { "128" };
    Ok((bits.is_empty() || bits == whole).then_some(address))
}

/// The MUD file of a role: what its devices are admitted to ask, and to be asked.
#[must_use]
pub fn to_mud(decisions: &Decisions, role: u16, url: &str) -> String {
    let mut entries: [BTreeMap<String, Value>; 2] = Default::default();
    for candidate in decisions.candidates.iter().filter(|found| found.outcome == Outcome::Admitted)
    {
        for (asks, own) in [(true, candidate.roles[0]), (false, candidate.roles[1])] {
            if own == Some(role) {
                add(&mut entries, decisions, candidate, asks);
            }
        }
    }
    let [from, to] = entries.map(|entries| entries.into_values().collect::<Vec<_>>());
    let policy = |name: &str| json!({"access-lists": {"access-list": [{"name": name}]}});
    let list = |name: &str, entries: Vec<Value>| json!({"name": name, "type": "ipv4-acl-type", "aces": {"ace": entries}});
    let mud = json!({
        "ietf-mud:mud": {
            "mud-version": 1,
            "mud-url": url,
            "is-supported": true,
            "systeminfo": decisions.roles.name(role.into()),
            "from-device-policy": policy("from-device"),
            "to-device-policy": policy("to-device"),
        },
        "ietf-access-control-list:acls": {
            "acl": [list("from-device", from), list("to-device", to)],
        },
    });
    format!("{mud:#}\n")
}

/// Two entries of one right: packets from the device, and packets to it.
fn add(
    entries: &mut [BTreeMap<String, Value>; 2],
    decisions: &Decisions,
    candidate: &Candidate,
    asks: bool,
) {
    let tuple = &candidate.tuple;
    let transport = match tuple.kind {
        Kind::Tcp => "tcp",
        Kind::Udp => "udp",
        _ => return,
    };
    let Network::Ip(IpAddr::V4(peer)) = (if asks { tuple.server } else { tuple.client }) else {
        return;
    };
    let range = candidate.range.and_then(|range| decisions.ranges.get(usize::from(range)));
    let (first, last) = range.map_or((tuple.service, tuple.service), |range| range.ports);
    let port = json!({"operator": "range", "lower-port": first, "upper-port": last});
    let name = format!("{}-{peer}-{transport}-{first}", if asks { "ask" } else { "answer" });
    for (list, (end, from_device)) in
        entries.iter_mut().zip([("destination", true), ("source", false)])
    {
        let field = if from_device == asks { "destination-port" } else { "source-port" };
        let mut ip = serde_json::Map::new();
        ip.insert(format!("{end}-ipv4-network"), json!(format!("{peer}/32")));
        let mut matches = serde_json::Map::new();
        matches.insert("ipv4".to_owned(), ip.into());
        let mut fields = serde_json::Map::new();
        fields.insert(field.to_owned(), port.clone());
        matches.insert(transport.to_owned(), fields.into());
        let entry = json!({"name": name, "matches": matches, "actions": {"forwarding": "accept"}});
        list.insert(name.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in RFC 8520 section 9, shortened: a device that asks a cloud by TCP 443, and is asked on UDP 5353 to 5355 by one host.
    const EXAMPLE: &str = r#"{
      "ietf-mud:mud": {
        "mud-version": 1, "mud-url": "https://lighting.example.com/lightbulb2000", "is-supported": true,
        "from-device-policy": {"access-lists": {"access-list": [{"name": "fr"}]}},
        "to-device-policy": {"access-lists": {"access-list": [{"name": "to"}]}}
      },
      "ietf-access-control-list:acls": {"acl": [
        {"name": "to", "type": "ipv4-acl-type", "aces": {"ace": [
          {"name": "cl0-todev",
           "matches": {"ipv4": {"ietf-acldns:src-dnsname": "test.example.com", "protocol": 6},
                       "tcp": {"source-port": {"operator": "eq", "port": 443}}},
           "actions": {"forwarding": "accept"}},
          {"name": "local",
           "matches": {"ipv4": {"source-ipv4-network": "10.0.2.10/32"},
                       "udp": {"destination-port": {"operator": "range", "lower-port": 5353, "upper-port": 5355}}},
           "actions": {"forwarding": "accept"}}]}},
        {"name": "fr", "type": "ipv4-acl-type", "aces": {"ace": [
          {"name": "cl0-frdev",
           "matches": {"ipv4": {"ietf-acldns:dst-dnsname": "test.example.com", "protocol": 6},
                       "tcp": {"ietf-mud:direction-initiated": "from-device",
                               "destination-port": {"operator": "eq", "port": 443}}},
           "actions": {"forwarding": "accept"}},
          {"name": "no", "matches": {"tcp": {"destination-port": {"operator": "eq", "port": 23}}},
           "actions": {"forwarding": "drop"}}]}}]}
    }"#;

    #[test]
    fn rights_of_both_lists_are_read_once() {
        let device: IpAddr = "10.0.1.1".parse().expect("an address");
        let declared = read("bulb.json", EXAMPLE, &[device]).expect("good");
        let found: Vec<_> =
            declared.ports.iter().map(|p| (p.asks, p.kind, p.ports, p.peer)).collect();
        let host = "10.0.2.10".parse().ok();
        assert_eq!(
            found,
            [(false, Kind::Udp, (5353, 5355), host), (true, Kind::Tcp, (443, 443), None)]
        );
    }

    #[test]
    fn mistakes_name_their_entry() {
        let wrong = EXAMPLE.replace("\"port\": 443", "\"port\": 70000");
        let problems = read("bulb.json", &wrong, &[]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("cl0"), "{problems:?}");
        assert_eq!(read("bulb.json", "{}", &[]).unwrap_err().len(), 1);
    }

    #[test]
    fn the_file_of_a_role_without_rights_is_a_mud_file_all_the_same() {
        let text = to_mud(&Decisions::default(), 0, "https://example.com/role-1.json");
        assert_eq!(read("role-1.json", &text, &[]).expect("good"), Declared::default());
    }
}
