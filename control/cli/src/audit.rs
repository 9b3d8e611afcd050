//! `loadlock audit`: who did what, and whether the log that says so is whole.

use clap::{Args, Subcommand};
use loadlock_api::{AuditCheck, AuditLog, AuditQuery, LIMIT_MAX, Time, printable, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::{self, LocalTime};
use crate::output::{Output, View};
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

/// Arguments of `audit`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List what was done, the latest first
    List(List),
    /// Check every entry and the chain of hashes; ends with code 1 if one is broken
    Verify(Verify),
}

#[derive(Args)]
struct List {
    /// Only what this one did
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only such: proposed, approved, rejected, applied, learned, confirmed, reverted, bypass-on, bypass-off, reloaded, captured or account
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only from then on, such as 2026-11-01 or 2026-11-01T08:00
    #[arg(long, value_name = "TIME", value_parser = local_time::read)]
    since: Option<Time>,
    /// Only entries before this number: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// Most entries to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

#[derive(Args)]
struct Verify {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

impl Arguments {
    /// Lists or checks.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::List(list) => {
                let query = AuditQuery {
                    actor: list.actor.clone(),
                    action: list.action.clone(),
                    since: list.since,
                    before: list.before,
                    limit: list.limit,
                };
                let (client, zone) = (list.reach.connect()?, LocalTime::here());
                list.view.show(|| client.audit(&query), |log, wide| render(log, wide, &zone))?;
                Ok(exit::OK)
            }
            Action::Verify(verify) => {
                let check = verify.reach.connect()?.check_audit()?;
                verify.output.show(&check, render_check)?;
                Ok(if check.is_whole { exit::OK } else { exit::NO })
            }
        }
    }
}

fn render(log: &AuditLog, wide: bool, zone: &LocalTime) -> String {
    let entries = &log.entries;
    if entries.total == 0 {
        return "no such entry\n".to_owned();
    }
    let mut table = Table::new(&[
        ("NUMBER", Align::Right),
        ("TIME", Align::Left),
        ("WHO", Align::Left),
        ("DID", Align::Left),
        ("VERSION", Align::Right),
        ("SHA-256", Align::Wide),
        ("NOTE", Align::Left),
    ])
    .wide(wide);
    for entry in &entries.items {
        table.row([
            entry.number.to_string(),
            zone.seconds(entry.time),
            entry.actor.clone(),
            entry.action.clone(),
            if entry.version == 0 { "–".to_owned() } else { entry.version.to_string() },
            entry.sha256.clone(),
            entry.note.clone(),
        ]);
    }
    let mut text = table.to_string();
    if log.damaged > 0 {
        let damaged = counted(log.damaged, "damaged entry isn't", "damaged entries aren't");
        text.push_str(&format!("{damaged} shown; `loadlock audit verify` names the first\n"));
    }
    let shown = entries.items.len() as u64 + log.damaged;
    text.push_str(&match (shown < entries.total, entries.items.last()) {
        (true, Some(last)) => format!(
            "the latest {} of {} entries; --before {} shows those before\n",
            thousands(shown),
            thousands(entries.total),
            last.number
        ),
        _ => format!("{}\n", counted(entries.total, "entry", "entries")),
    });
    text
}

fn render_check(check: &AuditCheck) -> String {
    let whole = counted(check.whole_entries, "entry", "entries");
    let last = check.last_sha256.as_deref().unwrap_or("none");
    match &check.finding {
        None => format!(
            "the audit log is whole: {whole}\nSHA-256 of the last: {}\nnote it elsewhere: a log that was cut at its end is whole too, but \
             `loadlock audit list -o wide` then no longer has this entry\n",
            printable(last)
        ),
        Some(finding) => format!(
            "NOT whole: {}; {whole} before it {} whole\nkeep the store and its backups for the auditor: the log was changed or damaged on \
             disk. `loadlock backup` refuses it, an older backup has the log as it was\n",
            printable(finding),
            if check.whole_entries == 1 { "is" } else { "are" }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_log_is_told_with_its_first_broken_entry() {
        let check = AuditCheck {
            is_whole: false,
            whole_entries: 2,
            last_sha256: Some("ab".repeat(32)),
            broken_entry: Some(3),
            finding: Some("entry 3 of the audit log is damaged\u{1b}".to_owned()),
        };
        assert_eq!(
            render_check(&check).lines().next(),
            Some(
                "NOT whole: entry 3 of the audit log is damaged\\u{1b}; 2 entries before it are whole"
            )
        );
    }
}
