//! `loadlock bindings`: which station has which address, and the verb that gives an address to another.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};
use loadlock_api::{
    Binding, BindingRenewal, BindingRenewed, LIMIT_DEFAULT, LIMIT_MAX, Listing, RuleQuery, Side,
    thousands,
};

use crate::exit;
use crate::failure::Failure;
use crate::output::{Output, View};
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

/// Arguments of `bindings`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the bindings, and how each is held
    List(List),
    /// Give an address to another station: a device was exchanged, or DHCP gave its address away
    Renew(Renew),
}

#[derive(Args)]
struct List {
    /// Only this segment's bindings
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Most bindings to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Renew {
    /// Name of the segment
    segment: String,
    /// The IP address
    address: IpAddr,
    /// Its station from now on, such as 02:00:00:00:00:01; any: whichever is on that side
    #[arg(value_name = "MAC|any")]
    mac: String,
    /// The VLAN [default: untagged]
    #[arg(long, value_name = "VLAN")]
    vlan: Option<String>,
    /// Side of the segment [default: as before]
    #[arg(long, value_name = "SIDE")]
    side: Option<SideName>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum SideName {
    A,
    B,
}

impl Arguments {
    /// Lists or renews.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::List(list) => {
                let query = RuleQuery { segment: list.segment.clone(), limit: list.limit };
                let client = list.reach.connect()?;
                list.view.show(|| client.bindings(&query), |bindings, _| render(bindings))?;
            }
            Action::Renew(renew) => {
                let renewal = BindingRenewal {
                    address: renew.address,
                    mac: renew.mac.clone(),
                    vlan: renew.vlan.clone(),
                    side: renew.side.map(|side| match side {
                        SideName::A => Side::A,
                        SideName::B => Side::B,
                    }),
                };
                let renewed = renew.reach.connect()?.renew_binding(&renew.segment, &renewal)?;
                renew.output.show(&renewed, render_renewed)?;
            }
        }
        Ok(exit::OK)
    }
}

fn render(bindings: &Listing<Binding>) -> String {
    if bindings.items.is_empty() {
        return "no bindings: any station may use any address\n".to_owned();
    }
    let columns = ["SEGMENT", "VLAN", "SIDE", "ADDRESS", "STATION", "HELD", "REASON"];
    let mut table = Table::new(&columns.map(|name| (name, Align::Left)));
    for binding in &bindings.items {
        table.row([
            binding.segment.clone(),
            binding.vlan.clone(),
            binding.side.name().to_owned(),
            binding.address.clone().unwrap_or_else(|| "–".to_owned()),
            binding.mac.clone().unwrap_or_else(|| "any".to_owned()),
            binding.held.clone(),
            binding.reason.clone(),
        ]);
    }
    let count = match bindings.is_cut() {
        false => counted(bindings.total, "binding", "bindings"),
        true => format!(
            "the first {} of {} bindings; --limit shows up to {}",
            thousands(bindings.items.len() as u64),
            thousands(bindings.total),
            thousands(LIMIT_MAX.into())
        ),
    };
    format!("{table}{count}\n")
}

fn render_renewed(renewed: &BindingRenewed) -> String {
    let binding = &renewed.binding;
    let before = match &renewed.previous {
        Some(before) => format!("before: {}", before.words),
        None => "not bound before".to_owned(),
    };
    let publication = match renewed.generation {
        0 => "in force as soon as the dataplane runs".to_owned(),
        generation => format!("in force as generation {}", thousands(generation)),
    };
    format!(
        "segment {}: {} ({before}), policy version {}, {publication}\n",
        loadlock_api::printable(&binding.segment),
        binding.words,
        thousands(renewed.policy_version)
    )
}
