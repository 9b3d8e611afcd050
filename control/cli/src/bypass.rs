//! `loadlock bypass`: forward everything of a segment, unjudged.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use loadlock_api::{Bypass, BypassBody, BypassChanged, Handling, SegmentStatus, Status, printable};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::Output;
use crate::policy::seconds;
use crate::reach::Reach;
use crate::table::{Align, Table};

/// Arguments of `bypass`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Forward all frames of a segment, unjudged and unlearned; an alarm as long as it lasts
    On(On),
    /// Judge them again; conversations that run meanwhile are adopted for flows.midstream_grace_s
    Off(Off),
    /// Which segments are in bypass, since when, by whom and why
    Status(Show),
}

#[derive(Args)]
struct Of {
    /// Name of the segment; without it, every segment
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    segment: Option<String>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct On {
    /// End by itself after this time, such as 30m; at most 30d
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<u64>,
    /// Why; it stands in the audit log and in the alarm
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Args)]
struct Off {
    /// Why; it stands in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    of: Of,
}

#[derive(Args)]
struct Show {
    #[command(flatten)]
    of: Of,
}

impl Arguments {
    /// Changes it or shows it.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::On(on) => {
                change(&on.of, BypassBody { on: true, seconds: on.time, reason: on.reason.clone() })
            }
            Action::Off(off) => {
                change(&off.of, BypassBody { on: false, seconds: None, reason: off.reason.clone() })
            }
            Action::Status(Show { of }) => {
                let status = of.reach.connect()?.status()?;
                let chosen = chosen(&status, of.segment.as_deref());
                of.output.show(&chosen, |segments| render(segments, &LocalTime::here()))?;
                Ok(exit::OK)
            }
        }
    }
}

fn change(of: &Of, body: BypassBody) -> Result<u8, Failure> {
    let client = of.reach.connect()?;
    let segments = match &of.segment {
        Some(segment) => vec![segment.clone()],
        None => client.status()?.segments.into_iter().map(|segment| segment.name).collect(),
    };
    let mut changes = Vec::new();
    for segment in segments {
        changes.push(client.set_bypass(&segment, &body)?);
    }
    of.output.show(&changes, |changes| {
        let zone = LocalTime::here();
        changes.iter().map(|change| changed(change, &zone)).collect()
    })?;
    Ok(exit::OK)
}

fn chosen(status: &Status, segment: Option<&str>) -> Vec<SegmentStatus> {
    let wanted = |one: &&SegmentStatus| segment.is_none_or(|name| one.name == name);
    status.segments.iter().filter(wanted).cloned().collect()
}

fn changed(change: &BypassChanged, zone: &LocalTime) -> String {
    let segment = printable(&change.segment);
    let done = if change.in_force { "" } else { ", as soon as the dataplane runs" };
    match (&change.bypass, &change.previous) {
        (Some(bypass), _) => format!(
            "segment {segment}: in bypass{}{done}: everything is forwarded, unjudged\n",
            until(bypass, zone)
        ),
        (None, Some(_)) => format!("segment {segment}: judged again{done}\n"),
        (None, None) => format!("segment {segment}: wasn't in bypass\n"),
    }
}

fn until(bypass: &Bypass, zone: &LocalTime) -> String {
    bypass.until.map_or_else(String::new, |until| format!(" until {}", zone.seconds(until)))
}

fn render(segments: &Vec<SegmentStatus>, zone: &LocalTime) -> String {
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("FRAMES ARE", Align::Left),
        ("BYPASS SINCE", Align::Left),
        ("UNTIL", Align::Left),
        ("WHO", Align::Left),
        ("REASON", Align::Left),
    ]);
    let none = || "-".to_owned();
    for segment in segments {
        let bypass = segment.bypass.as_ref();
        let handling = match (segment.handling, bypass) {
            (Handling::Judged, None) => "judged",
            (Handling::Judged, Some(_)) => "judged until the dataplane runs",
            (Handling::Open, _) => "forwarded unjudged",
            (Handling::Closed, _) => "dropped",
        };
        table.row([
            segment.name.clone(),
            handling.to_owned(),
            bypass.map_or_else(none, |bypass| zone.seconds(bypass.since)),
            bypass.and_then(|bypass| bypass.until).map_or_else(none, |until| zone.seconds(until)),
            bypass.map_or_else(none, |bypass| bypass.author.clone()),
            bypass.map_or_else(none, |bypass| bypass.reason.clone()),
        ]);
    }
    table.to_string()
}
