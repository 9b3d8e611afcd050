//! Real captures: the same split, each contestant through the real pipeline, nobody answering questions.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;

use loadlock_learn::AdmissionPolicy;
use loadlock_replay::{LearnUntil, Output, ReplayOptions, ReplayReport};
use serde::Deserialize;

use crate::error::EvaluateError;
use crate::labels::{Label, Labels};
use crate::measures::Figures;
use crate::report::Report;

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// The capture.
    pub capture: PathBuf,
    /// What its packets are; `None`: all benign.
    pub labels: Option<PathBuf>,
    /// Up to where is learned.
    pub learn_until: LearnUntil,
    /// Frames count without their VLAN tags.
    pub ignore_vlans: bool,
}

/// A line of verdicts as replay writes them.
#[derive(Deserialize)]
struct VerdictLine {
    n: u64,
    verdict: String,
    flow: Option<String>,
}

/// Days of the baseline.
const FIXED_DAYS: u64 = 30;
const S_PER_DAY: f64 = 86_400.0;

/// Evaluates a capture.
///
/// # Errors
/// [`EvaluateError`].
pub fn evaluate_capture(options: &CaptureOptions) -> Result<Report, EvaluateError> {
    let labels = match &options.labels {
        Some(file) => Labels::read(file)?,
        None => Labels::default(),
    };
    let loadlock = judge(options, &labels, AdmissionPolicy::Evidence)?;
    let record_all = judge(options, &labels, AdmissionPolicy::RecordAll)?;
    let is_long = loadlock.span_s / S_PER_DAY > FIXED_DAYS as f64;
    let fixed = if is_long {
        let learn_until = LearnUntil::Elapsed { ns: FIXED_DAYS * 86_400_000_000_000 };
        let longer = CaptureOptions { learn_until, ..options.clone() };
        judge(&longer, &labels, AdmissionPolicy::RecordAll)?
    } else {
        record_all.never_enforcing()
    };
    let mut remarks = vec![format!(
        "{} packets in {:.2} h; conversations after learning: {} benign, {} of attacks",
        loadlock.packets,
        loadlock.span_s / 3_600.0,
        loadlock.benign,
        loadlock.attacks
    )];
    if !is_long {
        remarks.push(
            "fixed-30-days is still learning when the capture ends: it blocks nothing".to_owned(),
        );
    }
    if loadlock.ignored > 0 {
        remarks.push(format!("{} packets with other labels are in no figure", loadlock.ignored));
    }
    remarks.push("nobody answers questions: what is held or waits is blocked".to_owned());
    let [loadlock, record_all, fixed] =
        [loadlock, record_all, fixed].map(|judged| judged.figures());
    // Nobody answers anyway.
    let figures = [loadlock, record_all, fixed, loadlock, Figures::unknown()];
    Ok(Report::of_capture(options.capture.display().to_string(), figures, remarks))
}

/// What one contestant did.
#[derive(Clone, Debug, Default)]
struct Judged {
    span_s: f64,
    packets: u64,
    rules: usize,
    stations: usize,
    learn_days: f64,
    /// Conversations after learning, and those with a denied packet.
    benign: u64,
    blocked: u64,
    attacks: u64,
    forwarded: u64,
    ignored: u64,
    /// Clients, servers and services of attacks that were forwarded whole.
    attack_tuples: BTreeSet<String>,
}

fn judge(
    options: &CaptureOptions,
    labels: &Labels,
    admission: AdmissionPolicy,
) -> Result<Judged, EvaluateError> {
    let folder = tempfile::tempdir()
        .map_err(|source| EvaluateError::Write { file: std::env::temp_dir(), source })?;
    let verdicts = folder.path().join("verdicts.jsonl");
    let report = loadlock_replay::run(&ReplayOptions {
        learn_until: Some(options.learn_until),
        admission,
        verdicts: Some(Output::File(verdicts.clone())),
        ignore_vlans: options.ignore_vlans,
        allow_truncated: true,
        ..ReplayOptions::new(&options.capture)
    })?;
    let text = fs::read_to_string(&verdicts)
        .map_err(|source| EvaluateError::Write { file: verdicts.clone(), source })?;
    Ok(tally(&text, labels, &report))
}

fn tally(verdicts: &str, labels: &Labels, report: &ReplayReport) -> Judged {
    let learned = report.phases.learn.packets;
    let share = learned as f64 / report.packets.max(1) as f64;
    let mut judged = Judged {
        span_s: report.span_s,
        packets: report.packets,
        rules: report.policy.rules,
        stations: report.sides.stations_a + report.sides.stations_b,
        learn_days: report.span_s / S_PER_DAY * share,
        ..Judged::default()
    };
    let mut flows: HashMap<String, (Label, bool)> = HashMap::new();
    for line in verdicts.lines() {
        let Ok(line) = serde_json::from_str::<VerdictLine>(line) else { continue };
        if line.n <= learned {
            continue;
        }
        let label = labels.of(line.n);
        if label == Label::Ignored {
            judged.ignored += 1;
            continue;
        }
        let Some(flow) = line.flow else { continue };
        // A conversation that an attack takes part in is an attack's.
        let known = flows.entry(both_ways(&flow)).or_insert((label, false));
        if label == Label::Attack {
            known.0 = Label::Attack;
        }
        known.1 |= line.verdict == "deny";
    }
    for (flow, (label, denied)) in &flows {
        if *label == Label::Attack {
            judged.attacks += 1;
            if !denied {
                judged.forwarded += 1;
                judged.attack_tuples.insert(without_client_port(flow));
            }
        } else {
            judged.benign += 1;
            judged.blocked += u64::from(*denied);
        }
    }
    judged
}

impl Judged {
    /// The same time, in which nothing is enforced yet.
    fn never_enforcing(&self) -> Self {
        let learn_days = self.span_s / S_PER_DAY;
        Self { blocked: 0, forwarded: self.attacks, learn_days, ..self.clone() }
    }

    fn figures(&self) -> Figures {
        let weeks = (self.span_s / S_PER_DAY - self.learn_days) / 7.0;
        let hundreds = self.stations as f64 / 100.0;
        let blocked_share = self.blocked as f64 / self.benign.max(1) as f64;
        let per_week = self.blocked as f64 / (weeks * hundreds);
        Figures {
            attack_tuples_admitted: self.attack_tuples.len() as f64,
            benign_blocks_per_100_devices_week: if self.blocked == 0 { 0.0 } else { per_week },
            connection_recall: 1.0 - blocked_share,
            first_policy_recall: 1.0 - blocked_share,
            benign_connections: self.benign as f64,
            benign_blocked: self.blocked as f64,
            benign_blocked_share: blocked_share,
            attack_connections_forwarded: self.forwarded as f64,
            rules: self.rules as f64,
            learn_days: self.learn_days,
            ..Figures::unknown()
        }
    }
}

/// The parts of a flow's text: `kind`, one end, the other end.
fn ends(flow: &str) -> Option<(&str, &str, &str)> {
    let (kind, rest) = flow.split_once(' ')?;
    let (from, to) = rest.split_once(" > ")?;
    Some((kind, from, to.split(" vlan").next().unwrap_or(to)))
}

/// The same text for both directions.
fn both_ways(flow: &str) -> String {
    match ends(flow) {
        Some((kind, from, to)) if from > to => format!("{kind} {to} > {from}"),
        Some((kind, from, to)) => format!("{kind} {from} > {to}"),
        None => flow.to_owned(),
    }
}

/// A flow's text without the higher port, which mostly is the client's: good enough to count.
fn without_client_port(flow: &str) -> String {
    let Some((kind, from, to)) = ends(flow) else { return flow.to_owned() };
    let port = |end: &str| end.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let host = |end: &str| end.rsplit_once(':').map_or(end.to_owned(), |(host, _)| host.to_owned());
    match (port(from), port(to)) {
        (Some(a), Some(b)) if a > b => format!("{kind} {} > {to}", host(from)),
        (Some(_), Some(_)) => format!("{kind} {} > {from}", host(to)),
        _ => flow.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_are_one_conversation_and_its_service() {
        let there = both_ways("tcp 10.0.0.9:40000 > 10.0.0.1:502 vlan 7");
        let back = both_ways("tcp 10.0.0.1:502 > 10.0.0.9:40000");
        assert_eq!(there, back);
        assert_eq!(without_client_port(&there), "tcp 10.0.0.9 > 10.0.0.1:502");
    }
}
