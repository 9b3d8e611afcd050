//! `loadlock policy shadow`: what a draft would do with live traffic.

use clap::{Args, Subcommand};
use loadlock_api::{LIMIT_MAX, ShadowStatus, printable, thousands};

use super::{Ends, Which};
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table};

/// Arguments of `policy shadow`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start with a draft; one that runs already ends
    Start(Start),
    /// What it would have allowed and denied since
    Status(Status),
    /// End it, and show its last figures
    Stop(Ends),
}

#[derive(Args)]
struct Start {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ends: Ends,
}

#[derive(Args)]
struct Status {
    /// Most kinds of conversations to list, what would change first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

impl Arguments {
    pub fn run(&self) -> Result<(), Failure> {
        match &self.action {
            Action::Start(start) => {
                let status = start.ends.connect()?.start_shadow(&start.which.draft()?)?;
                start.ends.output.show(&status, render)?;
            }
            Action::Status(status) => {
                let client = status.reach.connect()?;
                status.view.show(|| client.shadow(status.limit), |status, _| render(status))?;
            }
            Action::Stop(ends) => {
                let status = ends.connect()?.stop_shadow()?;
                ends.output.show(&status, render)?;
            }
        }
        Ok(())
    }
}

fn render(status: &ShadowStatus) -> String {
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("CLIENT", Align::Left),
        ("SERVER", Align::Left),
        ("SERVICE", Align::Left),
        ("NOW", Align::Left),
        ("DRAFT", Align::Left),
        ("SEEN", Align::Right),
        ("LAST", Align::Left),
    ]);
    let zone = LocalTime::here();
    for row in &status.rows.items {
        table.row([
            row.segment.clone(),
            row.client.clone(),
            row.server.clone(),
            row.service.clone(),
            row.now.clone(),
            row.then.clone(),
            thousands(row.conversations),
            zone.seconds(row.last),
        ]);
    }
    let rows = match status.rows.items.is_empty() {
        true => "no conversation was reported since\n".to_owned(),
        false => table.to_string(),
    };
    let more = match status.rows.is_cut() {
        true => format!(
            "the first {} of {} kinds; --limit shows more\n",
            thousands(status.rows.items.len() as u64),
            thousands(status.rows.total)
        ),
        false => String::new(),
    };
    format!(
        "{} judges since {}, started by {}: would allow {} conversations, would deny {}{}\n{rows}{more}",
        printable(&status.draft),
        zone.seconds(status.started),
        printable(&status.author),
        thousands(status.would_allow),
        thousands(status.would_deny),
        match status.left_out {
            0 => String::new(),
            count => format!("; {} of them aren't listed, for want of room", thousands(count)),
        }
    )
}
