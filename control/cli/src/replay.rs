//! `loadlock replay`: the dataplane's pipeline and the learner over a capture.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use loadlock_exchange::Infrastructure;
use loadlock_learn::AdmissionPolicy;
use loadlock_packet::MacAddress;
use loadlock_packet::negotiation::Helpers;
use loadlock_replay::{
    INFRASTRUCTURE, LearnUntil, OptionError, Output, ReplayError, ReplayOptions, parse_helpers,
    parse_infrastructure, parse_macs, summary,
};

use crate::exit;
use crate::failure::Failure;
use crate::output;

/// Arguments of `replay`.
#[derive(Args)]
pub struct Arguments {
    /// The capture: pcap or pcapng, plain or gzip
    capture: PathBuf,
    /// Learn up to here, then enforce: a fraction of the time span, `280s` from the start, or an RFC 3339 time [default: 0.5, with
    /// --policy 0]
    #[arg(long, value_name = "FRACTION|TIME")]
    learn_until: Option<LearnUntil>,
    /// What becomes a rule: `record-all` (everything seen), or `evidence` (as the appliance decides; needs days)
    #[arg(long, value_name = "POLICY", default_value = "record-all", value_parser = admission)]
    admission: AdmissionPolicy,
    /// A supplier's declaration: a port list (CSV: direction,protocol,port and if wanted device and peer) or a MUD file (RFC 8520, JSON); what it
    /// covers is admitted, and compared with what was seen
    #[arg(long, value_name = "FILE")]
    declared: Vec<PathBuf>,
    /// The devices that the declarations are for, unless a list names them
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',', requires = "declared")]
    declared_for: Vec<IpAddr>,
    /// Write a MUD file of each role found into this folder
    #[arg(long, value_name = "FOLDER")]
    save_mud: Option<PathBuf>,
    /// Rules in force from the first packet on
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Segment whose rules judge [default: the policy's, else `replay`]
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Write the report here, as JSON (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write one JSON line per packet here (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    /// Write the policy in force at the end here (`-`: standard output)
    #[arg(long, value_name = "FILE")]
    save_policy: Option<PathBuf>,
    /// Stations on side A
    #[arg(long, value_name = "MAC,…", value_parser = macs)]
    side_a: Option<Macs>,
    /// Stations on side B
    #[arg(long, value_name = "MAC,…", value_parser = macs)]
    side_b: Option<Macs>,
    /// File with lines of a MAC address and `a` or `b`
    #[arg(long, value_name = "FILE")]
    sides: Option<PathBuf>,
    /// Write the sides of all stations here, for --sides of another replay
    #[arg(long, value_name = "FILE")]
    save_sides: Option<PathBuf>,
    /// Frame classes that pass without a rule: `arp`, `nd`, `link-local` or `none` [default: all three]
    #[arg(long, value_name = "CLASS,…", value_parser = parse_infrastructure)]
    infrastructure: Option<Infrastructure>,
    /// Protocols whose negotiated ports are opened: `ftp`, `dcerpc`, `tftp` or `none` [default: none]
    #[arg(long, value_name = "PROTOCOL,…", value_parser = parse_helpers)]
    helpers: Option<Helpers>,
    /// A capture that ends within a packet is no error
    #[arg(long)]
    allow_truncated: bool,
    /// Take VLAN tags off first: for captures that have one direction tagged and the other not
    #[arg(long)]
    ignore_vlans: bool,
}

/// One argument with several stations.
#[derive(Clone)]
struct Macs(Vec<MacAddress>);

fn macs(text: &str) -> Result<Macs, OptionError> {
    parse_macs(text).map(Macs)
}

fn admission(text: &str) -> Result<AdmissionPolicy, String> {
    let names = AdmissionPolicy::NAMES.join(" or ");
    AdmissionPolicy::from_name(text).ok_or_else(|| format!("allowed: {names}"))
}

impl Arguments {
    fn options(&self) -> ReplayOptions {
        let file = |path: &Option<PathBuf>| path.clone().map(Output::from);
        let stations = |macs: &Option<Macs>| macs.clone().map_or_else(Vec::new, |macs| macs.0);
        ReplayOptions {
            segment: self.segment.clone(),
            learn_until: self.learn_until,
            admission: self.admission,
            declared: self.declared.clone(),
            declared_for: self.declared_for.clone(),
            save_mud: self.save_mud.clone(),
            policy: self.policy.clone(),
            report: file(&self.report),
            verdicts: file(&self.verdicts),
            save_policy: file(&self.save_policy),
            save_sides: file(&self.save_sides),
            side_a: stations(&self.side_a),
            side_b: stations(&self.side_b),
            sides: self.sides.clone(),
            infrastructure: self.infrastructure.unwrap_or(INFRASTRUCTURE),
            helpers: self.helpers.unwrap_or_default(),
            allow_truncated: self.allow_truncated,
            ignore_vlans: self.ignore_vlans,
            ..ReplayOptions::new(&self.capture)
        }
    }

    /// Replays, and prints what became of the packets unless standard output is taken.
    ///
    /// # Errors
    /// [`Failure::Replay`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let options = self.options();
        let outputs =
            [&options.report, &options.verdicts, &options.save_policy, &options.save_sides];
        let quiet = outputs.into_iter().flatten().any(|output| *output == Output::Stdout);
        let result = loadlock_replay::run(&options);
        let report = match &result {
            Ok(report) => Some(report),
            Err(ReplayError::Incomplete { report, .. }) => Some(&**report),
            Err(_) => None,
        };
        if let Some(report) = report.filter(|_| !quiet) {
            output::write(&summary(report))?;
        }
        result.map_err(Failure::Replay)?;
        Ok(exit::OK)
    }
}
