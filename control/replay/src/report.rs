//! The report: what was replayed, what became of it, and what was learned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use loadlock_exchange::DropReason;
use loadlock_packet::Side;
use loadlock_pipeline::Verdict;
use serde::{Deserialize, Serialize};

use crate::engine::{Outcome, PhaseCounts};
use crate::learning::{DeclaredReport, EvidenceReport, NotAdmitted};
use crate::time::{NS_PER_SECOND, rfc3339};

/// Number of the report's form. It grows when a key changes its meaning or goes; keys may be added without.
pub const REPORT_FORMAT: u32 = 1;
/// Stations that are listed on each side; the counts are of all.
pub const STATIONS_LISTED_MAX: usize = 1000;

/// Packets by name of verdict: `allow`, `would-deny`, `deny`, all three always present.
pub type VerdictCounts = BTreeMap<String, u64>;
/// Packets by name of verdict and of reason; reasons that no packet had are absent.
pub type ReasonCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// The report on a replay, in the order of its JSON. The crate's documentation explains every key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct ReplayReport {
    pub format: u32,
    pub capture: String,
    pub complete: bool,
    pub fault: Option<String>,
    pub segment: String,
    pub packets: u64,
    pub bytes: u64,
    pub cut_packets: u64,
    pub first_time_ns: Option<u64>,
    pub last_time_ns: Option<u64>,
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    pub span_s: f64,
    pub flows: FlowReport,
    pub verdicts: VerdictCounts,
    pub reasons: ReasonCounts,
    pub malformed: BTreeMap<String, u64>,
    pub phases: PhasesReport,
    pub policy: PolicyReport,
    pub learned_rules: LearnedReport,
    pub evidence: EvidenceReport,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_admitted: Vec<NotAdmitted>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredReport>,
    pub sides: SidesReport,
    pub reconciliation: Reconciliation,
    pub speed: Speed,
}

/// Conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct FlowReport {
    pub started: u64,
    pub ended: u64,
    pub refused: u64,
    pub denied_reports: u64,
}

/// Both phases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct PhasesReport {
    pub learn: PhaseReport,
    pub enforce: PhaseReport,
}

/// One phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct PhaseReport {
    pub packets: u64,
    pub bytes: u64,
    pub verdicts: VerdictCounts,
    pub reasons: ReasonCounts,
}

/// The policy at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct PolicyReport {
    pub rules: usize,
    pub rules_given: usize,
    pub sha256: String,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct LearnedReport {
    pub count: usize,
    pub rules: Vec<LearnedRule>,
    pub left_out: Vec<String>,
}

/// One learned rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct LearnedRule {
    pub rule: u32,
    pub words: String,
    pub reason: String,
}

/// Where the stations are, and how packets got their direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct SidesReport {
    pub stations_a: usize,
    pub stations_b: usize,
    pub a: Vec<String>,
    pub b: Vec<String>,
    pub same_side_pairs: usize,
    pub same_side_packets: u64,
    pub two_way_packets: u64,
    pub stationless_packets: u64,
    pub not_kept_packets: u64,
}

/// Every packet has one verdict, and is forwarded or dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct Reconciliation {
    pub received: u64,
    pub forwarded: u64,
    pub dropped: u64,
    pub exact: bool,
}

/// The only figures that differ between two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "documented once, in the crate's documentation, for readers of the JSON"
)]
pub struct Speed {
    pub survey_s: f64,
    pub replay_s: f64,
    pub packets_per_second: f64,
}

/// What the first reading of the capture counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CaptureFigures {
    pub packets: u64,
    pub bytes: u64,
    pub cut_packets: u64,
    /// Time of the first packet.
    pub opening_ns: u64,
    /// Earliest and latest time.
    pub times_ns: Option<[u64; 2]>,
}

impl CaptureFigures {
    /// From the earliest to the latest time.
    pub fn span_ns(&self) -> u64 {
        self.times_ns.map_or(0, |[first, last]| last - first)
    }
}

impl ReplayReport {
    pub(crate) fn new(
        capture: &Path,
        fault: Option<String>,
        figures: &CaptureFigures,
        sides: SidesReport,
        outcome: &Outcome,
        speed: Speed,
    ) -> Self {
        let [learn, enforce] = &outcome.counts;
        let both = || [learn, enforce].into_iter();
        let reasons = reasons(both());
        let time = |at: usize| figures.times_ns.map(|times| times[at]);
        Self {
            format: REPORT_FORMAT,
            capture: capture.display().to_string(),
            complete: fault.is_none(),
            fault,
            segment: outcome.segment.clone(),
            packets: figures.packets,
            bytes: figures.bytes,
            cut_packets: figures.cut_packets,
            first_time_ns: time(0),
            last_time_ns: time(1),
            first_time: time(0).map(rfc3339),
            last_time: time(1).map(rfc3339),
            span_s: figures.span_ns() as f64 / NS_PER_SECOND as f64,
            flows: FlowReport {
                started: outcome.flows_started,
                ended: outcome.flows_ended,
                refused: outcome.flows_refused,
                denied_reports: outcome.denied_events,
            },
            verdicts: verdicts(both()),
            malformed: malformed(&reasons),
            reasons,
            phases: PhasesReport { learn: phase(learn), enforce: phase(enforce) },
            policy: PolicyReport {
                rules: outcome.policy().rules().len(),
                rules_given: outcome.rules_given,
                sha256: outcome.policy().hash().to_string(),
            },
            learned_rules: learned(outcome),
            evidence: outcome.lesson.summary(),
            not_admitted: outcome.lesson.not_admitted(),
            declared: outcome.lesson.quadrants(),
            sides,
            reconciliation: reconciliation(figures.packets, [learn, enforce]),
            speed,
        }
    }

    /// The report as JSON, with a line break at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps have text as keys and no number is infinite, so that this can't fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Packets of a verdict.
    #[must_use]
    pub fn packets_of(&self, verdict: &str) -> u64 {
        self.verdicts.get(verdict).copied().unwrap_or(0)
    }
}

fn phase(counts: &PhaseCounts) -> PhaseReport {
    PhaseReport {
        packets: counts.packets,
        bytes: counts.bytes,
        verdicts: verdicts([counts]),
        reasons: reasons([counts]),
    }
}

const VERDICTS: [&str; 3] = ["allow", "would-deny", "deny"];

fn verdicts<'a>(phases: impl IntoIterator<Item = &'a PhaseCounts>) -> VerdictCounts {
    let mut counts: VerdictCounts = VERDICTS.map(|name| (name.to_owned(), 0)).into();
    for (verdict, packets) in phases.into_iter().flat_map(PhaseCounts::verdicts) {
        *counts.entry(verdict.name().to_owned()).or_default() += packets;
    }
    counts
}

fn reasons<'a>(phases: impl IntoIterator<Item = &'a PhaseCounts>) -> ReasonCounts {
    let mut counts: ReasonCounts = VERDICTS.map(|name| (name.to_owned(), BTreeMap::new())).into();
    for (verdict, packets) in phases.into_iter().flat_map(PhaseCounts::verdicts) {
        let of_verdict = counts.entry(verdict.name().to_owned()).or_default();
        *of_verdict.entry(verdict.reason().to_owned()).or_default() += packets;
    }
    counts
}

/// Names of the reasons that a frame's own form gives.
fn malformed_reasons() -> BTreeSet<&'static str> {
    let others = [
        DropReason::NoRule,
        DropReason::NotOpened,
        DropReason::WrongDirection,
        DropReason::TransmitRefused,
        DropReason::SegmentClosed,
        DropReason::FlowTableFull,
        DropReason::EventRingFull,
    ];
    let form = DropReason::ALL.iter().filter(|reason| !others.contains(reason));
    form.map(|reason| reason.name()).collect()
}

fn malformed(reasons: &ReasonCounts) -> BTreeMap<String, u64> {
    let names = malformed_reasons();
    let mut counts = BTreeMap::new();
    for (reason, packets) in reasons.values().flatten() {
        if names.contains(reason.as_str()) {
            *counts.entry(reason.clone()).or_default() += packets;
        }
    }
    counts
}

fn learned(outcome: &Outcome) -> LearnedReport {
    let rule = |id| outcome.policy().rule(id);
    let rules: Vec<_> = outcome
        .joined
        .learned
        .iter()
        .filter_map(|id| rule(*id))
        .map(|rule| LearnedRule {
            rule: rule.id().number(),
            words: rule.words(),
            reason: rule.parts().reason.to_string(),
        })
        .collect();
    LearnedReport { count: rules.len(), rules, left_out: outcome.joined.left_out.clone() }
}

fn reconciliation(packets: u64, phases: [&PhaseCounts; 2]) -> Reconciliation {
    let tallies = || phases.into_iter().flat_map(|phase| &phase.tallies).map(|tally| tally.tally());
    let received = tallies().map(|tally| tally.received_packets).sum();
    let forwarded = tallies().map(|tally| tally.forwarded_packets).sum();
    let dropped = tallies().map(|tally| tally.dropped_packets()).sum();
    let with = |wanted: fn(&Verdict) -> bool| -> u64 {
        let all = phases.into_iter().flat_map(PhaseCounts::verdicts);
        all.filter(|(verdict, _)| wanted(verdict)).map(|(_, packets)| packets).sum()
    };
    let exact = received == packets
        && received == forwarded + dropped
        && forwarded == with(|verdict| verdict.forwards())
        && dropped == with(|verdict| !verdict.forwards());
    Reconciliation { received, forwarded, dropped, exact }
}

impl SidesReport {
    /// Adds a station.
    pub(crate) fn station(&mut self, mac: loadlock_packet::MacAddress, side: Side) {
        let (count, list) = match side {
            Side::A => (&mut self.stations_a, &mut self.a),
            Side::B => (&mut self.stations_b, &mut self.b),
        };
        *count += 1;
        if list.len() < STATIONS_LISTED_MAX {
            list.push(mac.to_string());
        }
    }
}
