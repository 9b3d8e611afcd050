//! Assertions, checked over the whole header space of the compiled policy.
//!
//! The space of an assertion is cut into cells until no entry of the allowlist covers a cell in part. Within such a cell every header meets
//! the same entries, so that one lookup in the compiled tables decides all of it. What is found is a real header, and the tables that
//! the dataplane would have are its witness.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use loadlock_api::{AssertionResult, BackendError};
use loadlock_exchange::{Found, Policy as Compiled, PolicyView};
use loadlock_packet::{Kind, MacAddress, Network, SegmentId, Side, VlanStack};
use loadlock_policy::{AddressMatch, Assertion, Block, Protocol, Service, Space, VlanMatch};
use loadlock_settings::Settings;

use super::asked::{device_words, key_of};
use crate::state::State;

/// Cells looked at for one assertion.
const CELLS_MAX: usize = 2_000_000;

/// Assertions of the document that fail, in words.
pub(super) fn failing(state: &State, settings: &Settings) -> Result<Vec<String>, BackendError> {
    let results = assertions(state, settings)?;
    let failing = results.into_iter().filter(|result| !result.holds);
    Ok(failing
        .map(|result| format!("\"{}\": {}", result.name, result.counterexample.unwrap_or_default()))
        .collect())
}

/// Checks every assertion of the document on the compiled policy.
pub(super) fn assertions(
    state: &State,
    settings: &Settings,
) -> Result<Vec<AssertionResult>, BackendError> {
    if state.document.assertions().is_empty() {
        return Ok(Vec::new());
    }
    let failed = |reason: String| BackendError::Conflict {
        reason,
        next_step: "make the policy smaller, or raise the limit that is named".to_owned(),
    };
    let image = state.compile(settings).map_err(failed)?;
    let header = Compiled::read(image.words()).map_err(|error| failed(error.to_string()))?;
    let view = header.view(image.words(), 1);
    let mut blocks: Vec<(usize, Block)> = Vec::new();
    for rule in state.policy.rules() {
        let own = |segment: &loadlock_settings::SegmentSettings| {
            segment.name.as_str() == &*rule.parts().segment
        };
        if let Some(at) = settings.segments.iter().position(own) {
            rule.each_block(|block| blocks.push((at, block)));
        }
    }
    let prover = Prover { state, settings, view, blocks };
    Ok(state.document.assertions().iter().map(|assertion| prover.check(assertion)).collect())
}

/// Addresses of one end, as bits: IPv4 in the lowest 32.
#[derive(Clone, Copy, Debug)]
struct Range {
    bits: u128,
    /// Leading bits that are fixed.
    prefix: u8,
    width: u8,
}

impl Range {
    fn contains(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.first(other.bits) == self.bits
    }

    fn first(self, bits: u128) -> u128 {
        let open = u32::from(self.width - self.prefix);
        (bits.checked_shr(open).unwrap_or(0)).checked_shl(open).unwrap_or(0)
    }

    fn meets(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    fn halves(self) -> [Self; 2] {
        let prefix = self.prefix + 1;
        let one = 1 << (self.width - prefix);
        [Self { prefix, ..self }, Self { prefix, bits: self.bits | one, ..self }]
    }
}

/// What is still open of the header space; segment, VLAN, side and protocol are fixed.
#[derive(Clone, Copy, Debug)]
struct Cell {
    client: Range,
    server: Range,
    service: Range,
}

impl Cell {
    fn contains(&self, other: &Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(own, other)| own.contains(other))
    }

    fn meets(&self, other: &Self) -> bool {
        self.parts().iter().zip(other.parts()).all(|(own, other)| own.meets(other))
    }

    fn parts(&self) -> [Range; 3] {
        [self.client, self.server, self.service]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Ipv4,
    Ipv6,
    Link,
}

impl Family {
    fn width(self) -> u8 {
        if self == Self::Ipv4 { 32 } else { 128 }
    }

    fn network(self, range: Range) -> Network {
        match self {
            Self::Ipv4 => Network::Ip(IpAddr::V4(Ipv4Addr::from_bits(range.bits as u32))),
            Self::Ipv6 => Network::Ip(IpAddr::V6(Ipv6Addr::from_bits(range.bits))),
            Self::Link => {
                let [a, b, c, d, e, f, x, y, z, ..] = range.bits.to_be_bytes();
                Network::Link { mac: MacAddress([a, b, c, d, e, f]), oui: [x, y, z] }
            }
        }
    }

    fn range(self, network: Network, prefix: u8) -> Option<Range> {
        let bits = match (self, network) {
            (Self::Ipv4, Network::Ip(IpAddr::V4(address))) => u128::from(address.to_bits()),
            (Self::Ipv6, Network::Ip(IpAddr::V6(address))) => address.to_bits(),
            (Self::Link, Network::Link { mac, oui }) => {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&mac.0);
                bytes[6..9].copy_from_slice(&oui);
                u128::from_be_bytes(bytes)
            }
            _ => return None,
        };
        Some(Range { bits, prefix, width: self.width() })
    }

    fn of(self, address: AddressMatch) -> Option<Range> {
        match address {
            AddressMatch::Any => Some(Range { bits: 0, prefix: 0, width: self.width() }),
            AddressMatch::Ip(prefix) => self.range(Network::Ip(prefix.address()), prefix.bits()),
            AddressMatch::Mac(mac) => self.range(Network::Link { mac, oui: [0; 3] }, 128),
        }
    }
}

/// What one search has in common.
struct Search<'p> {
    tail: (SegmentId, VlanStack),
    side: Side,
    protocol: Protocol,
    family: Family,
    always: bool,
    view: PolicyView<'p>,
    cells: usize,
}

/// A header that breaks an assertion.
struct Breach {
    client: Network,
    server: Network,
    service: Service,
    found: Option<Found>,
}

/// More cells than are looked at.
struct TooMany;

impl Search<'_> {
    /// A header of the cell that breaks the assertion.
    fn run(&mut self, cell: Cell, blocks: &[Cell]) -> Result<Option<Breach>, TooMany> {
        self.cells += 1;
        if self.cells > CELLS_MAX {
            return Err(TooMany);
        }
        let near: Vec<Cell> = blocks.iter().filter(|block| block.meets(&cell)).copied().collect();
        let Some(partial) = near.iter().find(|block| !block.contains(&cell)) else {
            return Ok(self.judge(&cell));
        };
        let mut halves = [cell; 2];
        let [client, server, service] = cell.parts();
        if !partial.service.contains(service) {
            [halves[0].service, halves[1].service] = service.halves();
        } else if !partial.server.contains(server) {
            [halves[0].server, halves[1].server] = server.halves();
        } else {
            [halves[0].client, halves[1].client] = client.halves();
        }
        // The half that the entry is in first: there something is permitted.
        if halves[1].meets(partial) && !halves[0].meets(partial) {
            halves.swap(0, 1);
        }
        for half in halves {
            if let Some(breach) = self.run(half, &near)? {
                return Ok(Some(breach));
            }
        }
        Ok(None)
    }

    fn judge(&self, cell: &Cell) -> Option<Breach> {
        let (client, server) = (self.family.network(cell.client), self.family.network(cell.server));
        let kind = self.protocol.kind();
        let service = Service::of_key(kind, server, cell.service.bits as u16)?;
        let key = key_of(self.tail, service, client, server, self.side)?;
        let found = self.view.find(&key, self.side);
        let breaks = match (self.always, found) {
            (true, found) => !found.is_some_and(|found| found.options.client_opens),
            (false, Some(found)) => {
                let options = found.options;
                options.client_opens || options.server_opens || options.midstream
            }
            (false, None) => false,
        };
        breaks.then_some(Breach { client, server, service, found })
    }
}

struct Prover<'p> {
    state: &'p State,
    settings: &'p Settings,
    view: PolicyView<'p>,
    blocks: Vec<(usize, Block)>,
}

impl Prover<'_> {
    fn check(&self, assertion: &Assertion) -> AssertionResult {
        let name = assertion.name.to_string();
        for (at, segment) in self.settings.segments.iter().enumerate() {
            for space in assertion.spaces(segment.name.as_str()) {
                let found = self.check_space(assertion.always, at, &space);
                if let Err(counterexample) = found {
                    return AssertionResult {
                        name,
                        holds: false,
                        counterexample: Some(counterexample),
                    };
                }
            }
        }
        AssertionResult { name, holds: true, counterexample: None }
    }

    fn check_space(&self, always: bool, at: usize, space: &Space) -> Result<(), String> {
        let Some(segment) = SegmentId::new(at) else { return Ok(()) };
        let protocol = space.service.protocol();
        for family in [Family::Ipv4, Family::Ipv6, Family::Link] {
            let fits = match family {
                Family::Ipv4 => {
                    !matches!(protocol, Protocol::Icmpv6) && !protocol.kind().is_link_layer()
                }
                Family::Ipv6 => {
                    !matches!(protocol, Protocol::Icmp) && !protocol.kind().is_link_layer()
                }
                Family::Link => protocol.kind().is_link_layer(),
            };
            let ends = family.of(space.client).zip(family.of(space.server));
            let (true, Some((client, server))) = (fits, ends) else { continue };
            for side in [Side::A, Side::B] {
                if space.side.is_some_and(|own| own != side) {
                    continue;
                }
                for vlans in self.vlans(at, space.vlan) {
                    let search = Search {
                        tail: (segment, vlans),
                        side,
                        protocol,
                        family,
                        always,
                        view: self.view,
                        cells: 0,
                    };
                    self.search(search, at, client, server, space.service)?;
                }
            }
        }
        Ok(())
    }

    fn search(
        &self,
        mut search: Search<'_>,
        at: usize,
        client: Range,
        server: Range,
        service: Service,
    ) -> Result<(), String> {
        let (kind, vlans, side) = (service.protocol().kind(), search.tail.1, search.side);
        let of_kind = |block: &Block| {
            block.kind == kind
                && block.client_side == side
                && (!block.shape.vlans_exact || block.vlans == vlans)
        };
        let cells: Vec<Cell> = self
            .blocks
            .iter()
            .filter(|(own, block)| *own == at && of_kind(block))
            .filter_map(|(_, block)| {
                let shape = block.shape;
                Some(Cell {
                    client: search.family.range(block.client, shape.client_prefix)?,
                    server: search.family.range(block.server, shape.server_prefix)?,
                    service: Range {
                        bits: block.service.into(),
                        prefix: shape.service_prefix,
                        width: 16,
                    },
                })
            })
            .collect();
        let mut outcome = Ok(None);
        service.each_block(|first, prefix| {
            if matches!(outcome, Ok(None)) {
                let service = Range { bits: first.into(), prefix, width: 16 };
                outcome = search.run(Cell { client, server, service }, &cells);
            }
        });
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(breach)) => Err(self.words(&search, at, &breach)),
            Err(TooMany) => Err(format!(
                "can't be decided: more than {CELLS_MAX} parts of the header space on segment {}; assert less at a time",
                self.settings.segments[at].name
            )),
        }
    }

    /// The VLANs that have to be looked at: those that rules name, and one that none does.
    fn vlans(&self, at: usize, wanted: VlanMatch) -> Vec<VlanStack> {
        if let VlanMatch::Exactly(vlans) = wanted {
            return vec![vlans];
        }
        let own = self.blocks.iter().filter(|(own, block)| *own == at && block.shape.vlans_exact);
        let mut vlans: Vec<VlanStack> = own.map(|(_, block)| block.vlans).collect();
        let free = (1..=4094).map(|id| VlanStack::new(id, 0)).find(|free| !vlans.contains(free));
        vlans.extend(free);
        vlans.sort_unstable_by_key(|vlans| (vlans.outer(), vlans.inner()));
        vlans.dedup();
        vlans
    }

    fn words(&self, search: &Search<'_>, at: usize, breach: &Breach) -> String {
        let segment = self.settings.segments[at].name.to_string();
        let name = |network| device_words(&self.state.document, network, &segment);
        let decided = match breach.found {
            Some(found) => {
                let rule = self.state.policy.rule(found.rule);
                let words = rule.map(loadlock_policy::Rule::words).unwrap_or_default();
                match search.always {
                    true => format!("rule {} doesn't let the client open it: {words}", found.rule),
                    false => format!("rule {} permits it: {words}", found.rule),
                }
            }
            None => "no rule permits it".to_owned(),
        };
        let port = match search.protocol.kind() {
            Kind::Tcp | Kind::Udp => format!(" port {}", crate::rows::CLIENT_PORT),
            _ => String::new(),
        };
        format!(
            "{}{port} → {} {} on segment {segment}, side {:?}, VLAN {}: {decided}",
            name(breach.client),
            name(breach.server),
            breach.service,
            search.side,
            VlanMatch::Exactly(search.tail.1)
        )
    }
}
