//! Policy answers as text for people.

use loadlock_api::{
    AssertionResult, Listing, PolicyChanged, PolicyDiff, PolicyText, PolicyVersion, Proposed,
    RuleChange, TestResult, printable, thousands,
};

use crate::local_time::LocalTime;
use crate::table::{Align, Table};
use crate::units::counted;

pub fn versions(versions: &Listing<PolicyVersion>, wide: bool) -> String {
    let mut table = Table::new(&[
        ("VERSION", Align::Right),
        ("STATE", Align::Left),
        ("MADE", Align::Left),
        ("BY", Align::Left),
        ("APPROVED BY", Align::Left),
        ("TICKET", Align::Left),
        ("REASON", Align::Left),
        ("MADE OVER", Align::Wide),
        ("SHA256", Align::Wide),
    ])
    .wide(wide);
    for version in &versions.items {
        table.row([
            version.number.to_string(),
            version.state.clone(),
            LocalTime::here().seconds(version.created),
            version.author.clone(),
            version.approver.clone().unwrap_or_default(),
            version.ticket.clone(),
            version.reason.clone(),
            version.previous.map_or("–".to_owned(), |previous| previous.to_string()),
            version.sha256.clone(),
        ]);
    }
    let count = match versions.is_cut() {
        false => counted(versions.total, "version", "versions"),
        true => format!(
            "the newest {} of {} versions; --limit shows more",
            thousands(versions.items.len() as u64),
            thousands(versions.total)
        ),
    };
    format!("{table}{count}\n")
}

pub fn version(version: &PolicyVersion) -> String {
    let next = match version.state.as_str() {
        "approved" => {
            format!("; next: loadlock policy apply {} --confirm-within 10m", version.number)
        }
        "proposed" => format!("; next: loadlock policy approve {}", version.number),
        _ => String::new(),
    };
    format!("policy version {}: {}{next}\n", version.number, version.state)
}

pub fn text(text: &PolicyText) -> String {
    let version = &text.version;
    let mut out = format!(
        "policy version {}: {}\nmade       {} by {}: {}\n",
        version.number,
        version.state,
        LocalTime::here().seconds(version.created),
        printable(&version.author),
        printable(&version.reason)
    );
    if !version.ticket.is_empty() {
        out.push_str(&format!("ticket     {}\n", printable(&version.ticket)));
    }
    if let Some(previous) = version.previous {
        out.push_str(&format!("made over  version {previous}\n"));
    }
    out.push_str(&format!("sha256     {}\n", version.sha256));
    for (segment, mode) in &text.modes {
        out.push_str(&format!("mode       {mode} on segment {}\n", printable(segment)));
    }
    for entry in &text.audit {
        let note = if entry.note.is_empty() {
            String::new()
        } else {
            format!(": {}", printable(&entry.note))
        };
        out.push_str(&format!(
            "audit {:<5}{} {} by {}{note}\n",
            entry.number,
            LocalTime::here().seconds(entry.time),
            entry.action,
            printable(&entry.actor)
        ));
    }
    let rules = text.rules.matches("\n[[rule]]\n").count() as u64;
    out.push_str(&format!("\n{}; the document:\n", counted(rules, "rule", "rules")));
    out.push_str(&shown(&document(text, false)));
    out
}

/// A text with line breaks, its hidden characters escaped.
fn shown(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", printable(line))).collect()
}

/// The document as it can be proposed again.
pub fn document(text: &PolicyText, rules: bool) -> String {
    if rules {
        let rest = text.rules.strip_prefix("format = 1\n").unwrap_or(&text.rules);
        return format!(
            "format = 1\n# Every rule of version {}; learned ones that are deleted here go.\nlearned = \"listed\"\n{rest}",
            text.version.number
        );
    }
    if text.source.trim().is_empty() {
        return "format = 1\n# Nobody has written anything yet: all rules are learned (`loadlock policy export --rules`).\n".to_owned();
    }
    text.source.clone()
}

fn changes(out: &mut String, title: &str, between: &str, list: &Listing<RuleChange>) {
    if list.items.is_empty() {
        return;
    }
    out.push_str(&format!("{title} ({})\n", thousands(list.total)));
    for change in &list.items {
        let other = change.other.as_ref().map(|other| format!("{between}{}", printable(other)));
        out.push_str(&format!(
            "  rule {} on {}: {}{}  [{}]\n",
            change.rule,
            printable(&change.segment),
            printable(&change.words),
            other.unwrap_or_default(),
            printable(&change.reason)
        ));
    }
    if list.is_cut() {
        out.push_str(&format!(
            "  and {} more; --limit shows them\n",
            thousands(list.total - list.items.len() as u64)
        ));
    }
}

pub fn difference(diff: &PolicyDiff) -> String {
    let mut out = String::new();
    for mode in &diff.modes {
        out.push_str(&format!("mode: {}\n", printable(mode)));
    }
    changes(&mut out, "removed: permits no more", "", &diff.removed);
    changes(&mut out, "narrowed: permits less", "; was ", &diff.narrowed);
    changes(&mut out, "added: permits what nothing permitted", "", &diff.added);
    changes(&mut out, "widened: permits more", "; was ", &diff.widened);
    changes(&mut out, "shadowed: adds nothing", "; within ", &diff.shadowed);
    changes(&mut out, "unused for 90 days", "", &diff.unused);
    if out.is_empty() {
        out.push_str("nothing changes\n");
    }
    let to = if diff.to == 0 { "the draft".to_owned() } else { format!("version {}", diff.to) };
    format!("from version {} to {to}\n{out}", diff.from)
}

pub fn proposed(proposed: &Proposed) -> String {
    let mut out = difference(&proposed.diff);
    for failing in &proposed.failing {
        out.push_str(&format!("doesn't hold: {}\n", printable(failing)));
    }
    let state = match proposed.failing.is_empty() {
        true => format!("next: loadlock policy approve {}", proposed.version.number),
        false => "it can't be applied until all that must hold does".to_owned(),
    };
    out.push_str(&format!(
        "policy version {}: {}; {state}\n",
        proposed.version.number, proposed.version.state
    ));
    out
}

pub fn changed(changed: &PolicyChanged) -> String {
    let publication = match changed.generation {
        0 => "enforced as soon as the dataplane runs".to_owned(),
        generation => format!("generation {}", thousands(generation)),
    };
    let mut out = format!(
        "policy version {}: {}, {publication}\n",
        changed.version.number, changed.version.state
    );
    if let Some(confirm_by) = changed.confirm_by {
        out.push_str(&format!("until      {}\n", LocalTime::here().seconds(confirm_by)));
    }
    if let Some(next_step) = &changed.next_step {
        out.push_str(&format!("next       {}\n", printable(next_step)));
    }
    out
}

/// `3, 22–23`: hours of the day in UTC.
fn hours(hours: &[u8]) -> String {
    let mut parts: Vec<(u8, u8)> = Vec::new();
    for hour in hours {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *hour => *last = *hour,
            _ => parts.push((*hour, *hour)),
        }
    }
    let part = |(first, last): (u8, u8)| match first == last {
        true => first.to_string(),
        false => format!("{first}–{last}"),
    };
    parts.into_iter().map(part).collect::<Vec<_>>().join(", ")
}

pub fn test(result: &TestResult) -> String {
    let span = match &result.span {
        Some((first, last)) => format!(
            " from {} to {}",
            LocalTime::here().seconds(*first),
            LocalTime::here().seconds(*last)
        ),
        None => String::new(),
    };
    let judged = format!(
        "{} judged{span}",
        counted(result.judged, "record of conversations", "records of conversations")
    );
    if result.changes.items.is_empty() {
        return format!("no verdict changes: {judged}\n");
    }
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("CLIENT", Align::Left),
        ("SERVER", Align::Left),
        ("SERVICE", Align::Left),
        ("NOW", Align::Left),
        ("THEN", Align::Left),
        ("HOURS UTC", Align::Left),
        ("DAYS", Align::Right),
        ("SEEN", Align::Right),
    ]);
    for change in &result.changes.items {
        table.row([
            change.segment.clone(),
            change.client.clone(),
            change.server.clone(),
            change.service.clone(),
            change.now.clone(),
            change.then.clone(),
            hours(&change.hours),
            change.days.to_string(),
            thousands(change.conversations),
        ]);
    }
    format!(
        "{table}{} of {}\n",
        counted(result.changes.total, "verdict changes", "verdicts change"),
        judged
    )
}

pub fn assertions(results: &[AssertionResult]) -> String {
    if results.is_empty() {
        return "the policy asserts nothing; write [[assert]] sections into it\n".to_owned();
    }
    let mut out = String::new();
    for result in results {
        let word = if result.holds { "holds" } else { "FAILS" };
        out.push_str(&format!("{word}  {}\n", printable(&result.name)));
        if let Some(counterexample) = &result.counterexample {
            out.push_str(&format!("       {}\n", printable(counterexample)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn hours_are_joined() {
        assert_eq!(super::hours(&[0, 1, 2, 7, 22, 23]), "0–2, 7, 22–23");
        assert_eq!(super::hours(&[]), "");
    }
}
