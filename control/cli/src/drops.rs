//! `loadlock drops`: what was dropped, where and why.

use clap::Args;
use loadlock_api::{DropCount, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table};

/// Arguments of `drops`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

impl Arguments {
    /// Shows the drop counters.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let client = self.reach.connect()?;
        self.view.show(|| client.drops(), |drops, _| render(drops))?;
        Ok(exit::OK)
    }
}

fn render(drops: &[DropCount]) -> String {
    if drops.is_empty() {
        return "nothing was dropped, and nothing would have been\n".to_owned();
    }
    let mut table = Table::new(&[
        ("SEGMENT", Align::Left),
        ("PORT", Align::Left),
        ("DROPPED", Align::Right),
        ("WOULD DENY", Align::Right),
        ("REASON", Align::Left),
        ("MEANING", Align::Left),
    ]);
    for drop in drops {
        table.row([
            drop.segment.clone(),
            drop.port.clone(),
            thousands(drop.dropped_packets),
            thousands(drop.would_deny_packets),
            drop.reason.clone(),
            drop.meaning.clone(),
        ]);
    }
    let sum = |count: fn(&DropCount) -> u64| thousands(drops.iter().map(count).sum());
    table.row([
        "all".to_owned(),
        String::new(),
        sum(|drop| drop.dropped_packets),
        sum(|drop| drop.would_deny_packets),
        String::new(),
        String::new(),
    ]);
    table.to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_drops_are_said_in_words() {
        assert_eq!(super::render(&[]), "nothing was dropped, and nothing would have been\n");
    }
}
