//! Port lists: CSV with a header of `direction,protocol,port`, and if they want `device` and `peer`, in any order.

use std::collections::HashMap;
use std::net::IpAddr;

use loadlock_learn::{Declared, DeclaredPort};
use loadlock_packet::Kind;

const COLUMNS: [&str; 5] = ["device", "direction", "protocol", "port", "peer"];

pub(crate) fn read(file: &str, text: &str, devices: &[IpAddr]) -> Result<Declared, Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| vec![error.to_string()])?.clone();
    let mut columns: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (at, name) in header.iter().enumerate() {
        match COLUMNS.iter().find(|known| known.eq_ignore_ascii_case(name)) {
            Some(known) => drop(columns.insert(known, at)),
            None => problems.push(format!(
                "line 1: column \"{name}\" isn't known, allowed are {}",
                COLUMNS.join(", ")
            )),
        }
    }
    for needed in ["direction", "protocol", "port"] {
        if !columns.contains_key(needed) {
            problems.push(format!("line 1: there is no column \"{needed}\", and it is needed"));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut declared = Declared::default();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |name: &str| columns.get(name).and_then(|at| record.get(*at)).unwrap_or("");
        match port(file, line, devices, field) {
            Ok(port) => declared.ports.push(port),
            Err(found) => {
                problems.extend(found.into_iter().map(|text| format!("line {line}: {text}")))
            }
        }
    }
    if problems.is_empty() { Ok(declared) } else { Err(problems) }
}

fn port<'r>(
    file: &str,
    line: u64,
    devices: &[IpAddr],
    field: impl Fn(&str) -> &'r str,
) -> Result<DeclaredPort, Vec<String>> {
    let mut problems = Vec::new();
    let mut wrong = |name: &str, found: &str, allowed: &str| {
        problems.push(format!("{name} \"{found}\" isn't allowed, allowed is {allowed}"));
    };
    let asks = match field("direction").to_ascii_lowercase().as_str() {
        "out" | "outbound" => true,
        "in" | "inbound" => false,
        found => {
            wrong("direction", found, "out (the device asks) or in (it is asked)");
            false
        }
    };
    let kind = match field("protocol").to_ascii_lowercase().as_str() {
        "tcp" => Kind::Tcp,
        "udp" => Kind::Udp,
        found => {
            wrong("protocol", found, "tcp or udp");
            Kind::Tcp
        }
    };
    let text = field("port");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last),
        _ => {
            wrong("port", text, "a port such as 5000, or a range such as 5000-5007");
            (0, 0)
        }
    };
    let mut address = |name: &str| match field(name) {
        "" | "any" => None,
        found => found.parse::<IpAddr>().map_or_else(
            |_| {
                wrong(name, found, "an IP address, or nothing for any");
                None
            },
            Some,
        ),
    };
    let (device, peer) = (address("device"), address("peer"));
    let devices = device.map_or_else(|| devices.to_vec(), |device| vec![device]);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(DeclaredPort { devices, asks, kind, ports, peer, place: format!("{file} line {line}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_any_order_of_columns() {
        let text = "protocol,port,direction,peer\ntcp,5000,in,10.0.2.10\nudp, 123-124 ,out,\n";
        let devices = ["10.0.1.1".parse().expect("an address")];
        let declared = read("ports.csv", text, &devices).expect("good");
        assert_eq!(declared.ports.len(), 2);
        assert_eq!(declared.ports[1].ports, (123, 124));
        assert!(declared.ports[1].asks && !declared.ports[0].asks);
        assert_eq!(declared.ports[0].place, "ports.csv line 2");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = "direction,protocol,port\nsideways,sctp,70000\n";
        let problems = read("ports.csv", text, &[]).unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(read("ports.csv", "direction,colour\n", &[]).unwrap_err().len() == 3);
    }
}
