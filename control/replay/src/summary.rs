//! The report in words.

use std::fmt::{self, Write};

use loadlock_exchange::DropReason;

use crate::report::{PhaseReport, ReplayReport};

/// Learned rules that are listed; the report has all.
const RULES_LISTED_MAX: usize = 40;

/// What a person wants to know after a replay, in lines of text.
#[must_use]
pub fn summary(report: &ReplayReport) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = write_summary(&mut text, report);
    text
}

fn write_summary(text: &mut String, report: &ReplayReport) -> fmt::Result {
    let ReplayReport { capture, packets, bytes, span_s, segment, .. } = report;
    writeln!(text, "capture   {capture}: {packets} packets, {bytes} bytes, {span_s:.3} s")?;
    if let Some(first) = &report.first_time {
        writeln!(text, "          from {first}")?;
    }
    if let Some(fault) = &report.fault {
        writeln!(text, "          INCOMPLETE: {fault}")?;
    }
    let sides = &report.sides;
    writeln!(
        text,
        "segment   {segment}: {} stations on side A, {} on side B",
        sides.stations_a, sides.stations_b
    )?;
    let by_pair = sides.same_side_packets + sides.two_way_packets;
    if by_pair > 0 {
        writeln!(
            text,
            "          {by_pair} packets have no direction by their stations, and have it by the first packet of their \
             pair of addresses; --sides may say better"
        )?;
    }
    let flows = &report.flows;
    writeln!(text, "flows     {} started, {} ended", flows.started, flows.ended)?;
    write_phase(text, "learn", &report.phases.learn)?;
    write_phase(text, "enforce", &report.phases.enforce)?;
    write_rules(text, report)?;
    let count = &report.reconciliation;
    let exact = if count.exact { "exact" } else { "NOT EXACT: report this" };
    writeln!(
        text,
        "counters  {} received = {} forwarded + {} dropped, {exact}",
        count.received, count.forwarded, count.dropped
    )?;
    writeln!(text, "speed     {:.0} packets/s", report.speed.packets_per_second)
}

fn write_phase(text: &mut String, name: &str, phase: &PhaseReport) -> fmt::Result {
    if phase.packets == 0 {
        return Ok(());
    }
    writeln!(text, "{name:<9} {} packets", phase.packets)?;
    for (verdict, reasons) in &phase.reasons {
        for (reason, packets) in reasons {
            writeln!(text, "  {packets:>10}  {verdict:<10}  {}", meaning(reason))?;
        }
    }
    Ok(())
}

fn meaning(reason: &str) -> &str {
    match reason {
        "rule" => "a rule permits it",
        "learning" => "learned",
        "infrastructure" => "ARP, neighbour discovery or link-local group",
        _ => {
            let known = DropReason::ALL.iter().find(|known| known.name() == reason);
            known.map_or(reason, |reason| reason.meaning())
        }
    }
}

fn write_rules(text: &mut String, report: &ReplayReport) -> fmt::Result {
    let learned = &report.learned_rules;
    writeln!(text, "policy    {} rules, {} of them learned", report.policy.rules, learned.count)?;
    for rule in learned.rules.iter().take(RULES_LISTED_MAX) {
        writeln!(text, "  {:>10}  {}", rule.rule, rule.words)?;
    }
    let more = learned.count.saturating_sub(RULES_LISTED_MAX);
    if more > 0 {
        writeln!(text, "              and {more} more; --save-policy or --report has them all")?;
    }
    if !report.not_admitted.is_empty() {
        writeln!(
            text,
            "waiting   {} that were answered are no rules yet",
            report.not_admitted.len()
        )?;
        for found in report.not_admitted.iter().take(RULES_LISTED_MAX) {
            let reasons = found.reasons.join("; ");
            writeln!(text, "  {:>10}  {}: {reasons}", found.decision, found.candidate)?;
        }
        let more = report.not_admitted.len().saturating_sub(RULES_LISTED_MAX);
        if more > 0 {
            writeln!(text, "              and {more} more; --report has them all")?;
        }
    }
    if let Some(declared) = &report.declared {
        writeln!(
            text,
            "declared  {} declared and seen, {} declared and never seen, {} seen and not declared, {} neither",
            declared.declared_seen.len(),
            declared.declared_unseen.len(),
            declared.undeclared_seen.len(),
            declared.neither
        )?;
        for (what, words) in
            [("never seen", &declared.declared_unseen), ("not declared", &declared.undeclared_seen)]
        {
            for words in words.iter().take(RULES_LISTED_MAX) {
                writeln!(text, "          {what}: {words}")?;
            }
        }
    }
    for words in &learned.left_out {
        writeln!(text, "  left out, because a given rule decides about the same: {words}")?;
    }
    Ok(())
}
