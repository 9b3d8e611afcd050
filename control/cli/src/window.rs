//! `loadlock window`: announced times in which other things happen than normally.

use clap::{Args, Subcommand};
use loadlock_api::{
    LIMIT_DEFAULT, LIMIT_MAX, Listing, WINDOW_S_MAX, Window, WindowBody, printable,
};

use crate::exit;
use crate::failure::Failure;
use crate::local_time::LocalTime;
use crate::output::{Output, View};
use crate::reach::Reach;
use crate::table::{Align, Table};

/// Arguments of `window`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Open a maintenance window from now on: what is new in it never enters the baseline by itself
    Open(Open),
    /// Close one before its time
    Close(Close),
    /// List all windows, the latest first
    List(List),
}

#[derive(Args)]
struct Open {
    /// Name of the segment
    segment: String,
    /// How long
    #[arg(long, value_name = "HOURS", value_parser = hours)]
    hours: u32,
    /// An enforced segment forwards everything meanwhile, and reports what it would deny
    #[arg(long)]
    monitor: bool,
    /// Why: the work order, the change
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Close {
    /// The window's number
    number: u64,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct List {
    /// Most windows to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

/// Hours with a fraction, in seconds.
fn hours(text: &str) -> Result<u32, String> {
    const S_PER_HOUR: f64 = 3_600.0;
    let most = f64::from(WINDOW_S_MAX) / S_PER_HOUR;
    let seconds = text.parse::<f64>().ok().map(|hours| hours * S_PER_HOUR);
    let allowed = seconds.filter(|seconds| (1.0..=f64::from(WINDOW_S_MAX)).contains(seconds));
    allowed
        .map(|seconds| seconds as u32)
        .ok_or_else(|| format!("allowed is a number of hours up to {most}, for example 4 or 0.5"))
}

impl Arguments {
    /// Opens, closes or lists.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        match &self.action {
            Action::Open(open) => {
                let window = open.reach.connect()?.open_window(&WindowBody {
                    segment: open.segment.clone(),
                    seconds: open.hours,
                    monitor: open.monitor,
                    reason: open.reason.clone(),
                })?;
                open.output.show(&window, render)?;
            }
            Action::Close(close) => {
                let window = close.reach.connect()?.close_window(close.number)?;
                close.output.show(&window, render)?;
            }
            Action::List(list) => {
                let client = list.reach.connect()?;
                list.view.show(|| client.windows(list.limit), |windows, _| render_list(windows))?;
            }
        }
        Ok(exit::OK)
    }
}

fn render(window: &Window) -> String {
    let state = if window.open { "open" } else { "closed" };
    let effect = if window.monitor { "; an enforced segment only reports" } else { "" };
    format!(
        "window {} of segment {}: {state} until {}{effect}\n",
        window.number,
        printable(&window.segment),
        LocalTime::here().seconds(window.until)
    )
}

fn render_list(windows: &Listing<Window>) -> String {
    let mut table = Table::new(&[
        ("WINDOW", Align::Right),
        ("SEGMENT", Align::Left),
        ("STATE", Align::Left),
        ("FROM", Align::Left),
        ("UNTIL", Align::Left),
        ("WHO", Align::Left),
        ("REASON", Align::Left),
    ]);
    let zone = LocalTime::here();
    for window in &windows.items {
        table.row([
            window.number.to_string(),
            window.segment.clone(),
            if window.open { "open" } else { "closed" }.to_owned(),
            zone.seconds(window.from),
            zone.seconds(window.until),
            window.author.clone(),
            window.reason.clone(),
        ]);
    }
    if windows.items.is_empty() { "no windows\n".to_owned() } else { table.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_have_a_fraction_and_have_a_limit() {
        assert_eq!(hours("0.5"), Ok(1_800));
        for wrong in ["0", "-1", "x", "721", "NaN"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }
}
