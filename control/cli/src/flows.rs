//! `loadlock flows`: the live conversations.

use clap::Args;
use loadlock_api::{AddressFilter, Flow, FlowQuery, FlowState, LIMIT_MAX, Listing, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::{counted, traffic_bytes};

/// Arguments of `flows`.
#[derive(Args)]
pub struct Arguments {
    /// Only conversations of which this IP or MAC address is one end
    #[arg(long, value_name = "ADDRESS")]
    address: Option<AddressFilter>,
    /// Most conversations to list, newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

impl Arguments {
    /// Lists the conversations.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let query = FlowQuery { address: self.address, limit: self.limit };
        let client = self.reach.connect()?;
        self.view
            .show(|| client.flows(&query), |flows, wide| render(flows, &LocalTime::here(), wide))?;
        Ok(exit::OK)
    }
}

fn render(flows: &Listing<Flow>, zone: &LocalTime, wide: bool) -> String {
    if flows.items.is_empty() {
        return "no live conversations\n".to_owned();
    }
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("CLIENT → SERVER", Align::Left),
        ("VERDICT", Align::Left),
        ("RULE", Align::Right),
        ("PACKETS → ←", Align::Right),
        ("BYTES → ←", Align::Right),
        ("STARTED", Align::Left),
        ("VLAN", Align::Wide),
        ("CLIENT ON SIDE", Align::Wide),
        ("STATE", Align::Wide),
    ])
    .wide(wide);
    for flow in &flows.items {
        table.row([
            flow.segment.clone(),
            conversation(flow),
            flow.verdict.to_string(),
            flow.rule.map_or("-".to_owned(), |rule| rule.to_string()),
            format!("{} / {}", thousands(flow.client_packets), thousands(flow.server_packets)),
            format!("{} / {}", traffic_bytes(flow.client_bytes), traffic_bytes(flow.server_bytes)),
            zone.seconds(flow.started),
            flow.vlan.clone(),
            flow.client_side.name().to_owned(),
            flow.state.name().to_owned(),
        ]);
    }
    let count = match flows.is_cut() {
        false => counted(flows.total, "conversation", "conversations"),
        true => format!(
            "the newest {} of {} conversations; --limit shows up to {}, --address those of one device",
            thousands(flows.items.len() as u64),
            thousands(flows.total),
            thousands(LIMIT_MAX.into())
        ),
    };
    format!("{table}{count}\n")
}

/// Client, server and service, and what isn't as usual: VLAN, state.
fn conversation(flow: &Flow) -> String {
    let client = match flow.client_port {
        Some(port) if flow.client.contains(':') => format!("[{}]:{port}", flow.client),
        Some(port) => format!("{}:{port}", flow.client),
        None => flow.client.clone(),
    };
    let mut text = format!("{client} → {} {}", flow.server, flow.service);
    if flow.vlan != "untagged" {
        text.push_str(&format!(", VLAN {}", flow.vlan));
    }
    if flow.state != FlowState::Open {
        text.push_str(&format!(", {}", flow.state.name()));
    }
    if flow.initiator != flow.client_side {
        text.push_str(", opened by the server");
    }
    text
}
