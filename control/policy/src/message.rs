//! Names of ICMP messages. A name stands for one type and one code, so that it permits exactly what it says.

/// ICMP (IANA "ICMP Type Numbers").
pub(crate) const ICMP: &[(&str, u8, u8)] = &[
    ("echo", 8, 0),
    ("net-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("ttl-exceeded", 11, 0),
    ("reassembly-exceeded", 11, 1),
    ("timestamp", 13, 0),
];

/// ICMPv6 (IANA "ICMPv6 Parameters").
pub(crate) const ICMP_V6: &[(&str, u8, u8)] = &[
    ("echo", 128, 0),
    ("no-route", 1, 0),
    ("address-unreachable", 1, 3),
    ("port-unreachable", 1, 4),
    ("packet-too-big", 2, 0),
    ("hop-limit-exceeded", 3, 0),
    ("reassembly-exceeded", 3, 1),
    ("multicast-listener-query", 130, 0),
    ("multicast-listener-report", 131, 0),
    ("router-solicitation", 133, 0),
    ("router-advertisement", 134, 0),
    ("neighbour-solicitation", 135, 0),
    ("neighbour-advertisement", 136, 0),
    ("multicast-listener-report-v2", 143, 0),
];

/// Type and code of a name.
pub(crate) fn number(names: &[(&str, u8, u8)], name: &str) -> Option<[u8; 2]> {
    names.iter().find(|(known, ..)| *known == name).map(|(_, kind, code)| [*kind, *code])
}

/// Name of a type and code.
pub(crate) fn name(names: &[(&'static str, u8, u8)], number: [u8; 2]) -> Option<&'static str> {
    names.iter().find(|(_, kind, code)| [*kind, *code] == number).map(|(name, ..)| *name)
}
