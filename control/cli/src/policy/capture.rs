//! `loadlock policy test --capture`: a capture under the policy in force and under a draft, judged here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use loadlock_api::{Listing, Time, printable, thousands};
use loadlock_packet::Network;
use loadlock_policy::{AddressMatch, Document, Policy, PolicyErrors, PolicyFile, Prefix};
use loadlock_replay::{Changed, ReplayOptions, compare};
use serde::Serialize;

use super::Test;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::table::{Align, Table};
use crate::units::counted;

/// What the comparison came to, for programs.
#[derive(Serialize)]
struct Answer {
    /// Packets judged.
    packets: u64,
    /// Why the capture ends early, if it does.
    fault: Option<String>,
    /// Reports of denials for which there was no room.
    left_out: u64,
    changes: Listing<Line>,
}

/// One conversation in one hour.
#[derive(Serialize)]
struct Line {
    client: String,
    server: String,
    service: String,
    now: &'static str,
    then: &'static str,
    hour: Time,
    packets: u64,
}

fn mistakes(errors: PolicyErrors) -> Failure {
    Failure::Policy(errors)
}

/// Judges, and prints what changes.
///
/// # Errors
/// [`Failure::Client`], [`Failure::Input`], [`Failure::Policy`], [`Failure::Usage`], [`Failure::Replay`], [`Failure::Output`].
pub fn run(test: &Test, capture: &Path) -> Result<(), Failure> {
    let client = test.ends.connect()?;
    let in_force = client.policy_text(None)?;
    let base = PolicyFile::parse(&in_force.rules, "policy in force").map_err(mistakes)?;
    let draft = test.which.draft()?;
    let (document, policy) = match (&draft.text, draft.version) {
        (Some(text), _) => {
            let document = Document::read(text, &draft.place).map_err(mistakes)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            let policy = document.expand(&base, now_ns).map_err(mistakes)?;
            (document, policy)
        }
        (None, version) => {
            let stored = client.policy_text(version)?;
            let document = Document::parse(&stored.source, "stored version").map_err(mistakes)?;
            (document, PolicyFile::parse(&stored.rules, "stored version").map_err(mistakes)?)
        }
    };
    let segment = segment(test, [&base, &policy])?;
    let comparison = compare(&ReplayOptions::new(capture), &segment, [&base, &policy])
        .map_err(Failure::Replay)?;
    let lines = comparison.changes.iter().map(|changed| line(changed, &document, &segment));
    let answer = Answer {
        packets: comparison.packets,
        fault: comparison.fault,
        left_out: comparison.left_out,
        changes: Listing::take(lines, test.limit),
    };
    test.ends.output.show(&answer, render)?;
    Ok(())
}

/// The segment that was named, or the only one there is.
fn segment(test: &Test, policies: [&Policy; 2]) -> Result<String, Failure> {
    if let Some(segment) = &test.segment {
        return Ok(segment.clone());
    }
    let rules = policies.into_iter().flat_map(|policy| policy.rules());
    let segments: BTreeSet<&str> = rules.map(|rule| &*rule.parts().segment).collect();
    let list: Vec<&str> = segments.into_iter().collect();
    match list.as_slice() {
        [only] => Ok((*only).to_owned()),
        _ => Err(Failure::Usage(format!(
            "the policies have the segments {}, the capture is of one\n    fix: name it by --segment.",
            if list.is_empty() { "-".to_owned() } else { list.join(", ") }
        ))),
    }
}

fn line(changed: &Changed, document: &Document, segment: &str) -> Line {
    let name = |network: Network| {
        let address = match network {
            Network::Ip(address) => AddressMatch::Ip(Prefix::host(address)),
            Network::Link { mac, .. } => AddressMatch::Mac(mac),
        };
        match document.device_of(address, segment) {
            Some(device) => format!("{} ({address})", device.name),
            None => address.to_string(),
        }
    };
    let service = changed.tuple.service();
    let (now, then) = if changed.becomes_denied { ("allow", "deny") } else { ("deny", "allow") };
    Line {
        client: name(changed.tuple.client),
        server: name(changed.tuple.server),
        service: service
            .map_or_else(|| format!("{:?}", changed.tuple.kind), |service| service.to_string()),
        now,
        then,
        hour: Time::from_ns(changed.hour_ns),
        packets: changed.packets,
    }
}

fn render(answer: &Answer) -> String {
    let mut table = Table::new(&[
        ("CLIENT", Align::Left),
        ("SERVER", Align::Left),
        ("SERVICE", Align::Left),
        ("NOW", Align::Left),
        ("THEN", Align::Left),
        ("HOUR", Align::Left),
        ("PACKETS", Align::Right),
    ]);
    for line in &answer.changes.items {
        table.row([
            line.client.clone(),
            line.server.clone(),
            line.service.clone(),
            line.now.to_owned(),
            line.then.to_owned(),
            LocalTime::here().seconds(line.hour),
            thousands(line.packets),
        ]);
    }
    let judged = counted(answer.packets, "packet", "packets");
    let mut out = match answer.changes.total {
        0 => format!("no verdict changes: {judged} judged\n"),
        total => format!(
            "{table}{} of {judged} judged\n",
            counted(total, "conversation-hour changes", "conversation-hours change")
        ),
    };
    if answer.left_out > 0 {
        out.push_str(&format!(
            "{} reports of denials had no room and aren't in it\n",
            thousands(answer.left_out)
        ));
    }
    if let Some(fault) = &answer.fault {
        out.push_str(&format!("the capture ends early: {}\n", printable(fault)));
    }
    out
}
