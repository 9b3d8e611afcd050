//! Bytes a flow and a rule, computed by the code that takes them.

use std::io;

use loadlock_exchange::{PolicyImage, Seed, SegmentPolicy};
use loadlock_pipeline::{Capacity, Pipeline, Timeouts};
use serde::Serialize;

use super::{Bench, Figures};
use crate::load::{Frames, rules};

/// What the figures are taken with.
const FLOWS: usize = 1 << 20;
const RULES: u32 = 100_000;
/// The smallest table, for the family that isn't looked at.
const FEWEST: usize = 1024;

/// Figures of [`super::Case::Memory`], in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    case: &'static str,
    per_flow_narrow: f64,
    per_flow_wide: f64,
    per_rule_narrow: f64,
    per_rule_wide: f64,
}

/// [`super::Case::Memory`].
pub fn memory(_: &Bench, found: &mut dyn FnMut(Figures)) -> io::Result<()> {
    let none = tables(FEWEST, FEWEST)?;
    let per_flow = |bytes: usize| (bytes - none) as f64 / (FLOWS - FEWEST) as f64;
    found(Figures::Memory(Memory {
        case: "memory",
        per_flow_narrow: per_flow(tables(FLOWS, FEWEST)?),
        per_flow_wide: per_flow(tables(FEWEST, FLOWS)?),
        per_rule_narrow: per_rule(Frames::Short)?,
        per_rule_wide: per_rule(Frames::Ipv6)?,
    }));
    Ok(())
}

fn tables(narrow: usize, wide: usize) -> io::Result<usize> {
    let timeouts = Timeouts {
        tcp_opening_ns: 0,
        tcp_open_ns: 0,
        tcp_closing_ns: 0,
        udp_ns: 0,
        icmp_ns: 0,
        other_ns: 0,
        grace_ns: 0,
        denied_report_ns: 0,
        fragment_ns: 0,
    };
    let pipeline =
        Pipeline::new(Capacity { narrow, wide, fragments: 64 }, &timeouts, Seed([1, 2]), false)?;
    Ok(pipeline.status().table_bytes)
}

fn per_rule(frames: Frames) -> io::Result<f64> {
    let entries = rules(frames, 1, RULES)?;
    let capacity = entries.len();
    let image = PolicyImage::compile(1, &[SegmentPolicy::CLOSED], &entries, Seed([1, 2]), capacity)
        .map_err(io::Error::other)?;
    Ok((image.words().len() * 8) as f64 / f64::from(RULES))
}

impl Memory {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "memory: {:.1} bytes a flow IPv4, {:.1} IPv6 and link layer; {:.1} bytes a rule and snapshot IPv4, {:.1} IPv6\n",
            self.per_flow_narrow, self.per_flow_wide, self.per_rule_narrow, self.per_rule_wide
        )
    }
}
