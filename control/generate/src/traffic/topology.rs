//! The hosts of a scenario.

use std::net::Ipv4Addr;

use crate::conversation::{Host, Side};
use crate::frame::Mac;
use crate::scenario::Scenario;

/// The hosts of a line. MAC addresses are locally administered: 02:4c:4c, side, number.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    pub tools: Vec<Host>,
    pub mes: Host,
    pub eda: Host,
    pub recipe: Host,
    pub infrastructure: Host,
    pub gateway: Host,
    /// The office PC: behind the gateway, so with the gateway's MAC address.
    pub office: Option<Host>,
}

impl Topology {
    /// Gives every host of the scenario its addresses.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let vlan = scenario.line.vlan;
        let host = |side: Side, number: u16, address: Ipv4Addr| {
            let [high, low] = number.to_be_bytes();
            let side_byte = match side {
                Side::A => 0x0a,
                Side::B => 0x0b,
            };
            let mac = Mac([0x02, 0x4c, 0x4c, side_byte, high, low]);
            Host { vlan, ..Host::new(side, mac, address) }
        };
        let addresses = &scenario.addresses;
        let first_tool = addresses.first_tool.to_bits();
        let tools = (0..scenario.line.tools as u16)
            .map(|index| {
                let address = Ipv4Addr::from_bits(first_tool + u32::from(index));
                host(Side::A, index + 1, address)
            })
            .collect();
        let gateway = host(Side::B, 1, addresses.gateway);
        let office = scenario
            .intruder
            .as_ref()
            .map(|intruder| Host { ipv4: Some(intruder.address), ..gateway });
        Self {
            tools,
            mes: host(Side::B, 10, addresses.mes),
            eda: host(Side::B, 20, addresses.eda),
            recipe: host(Side::B, 30, addresses.recipe),
            infrastructure: host(Side::B, 40, addresses.infrastructure),
            gateway,
            office,
        }
    }
}
