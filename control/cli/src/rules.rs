//! `loadlock rules list`: the policy in force.

use clap::{Args, Subcommand};
use loadlock_api::{LIMIT_DEFAULT, LIMIT_MAX, Listing, Rule, RuleQuery, thousands};

use crate::exit;
use crate::failure::Failure;
use crate::output::View;
use crate::reach::Reach;
use crate::table::{Align, Table};
use crate::units::counted;

/// Arguments of `rules`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the rules in words, with the reason of each
    List(List),
}

#[derive(Args)]
struct List {
    /// Only this segment's rules
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
    /// Most rules to list
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    view: View,
}

impl Arguments {
    /// Lists the rules.
    ///
    /// # Errors
    /// [`Failure::Client`], [`Failure::Settings`], [`Failure::Output`].
    pub fn run(&self) -> Result<u8, Failure> {
        let Action::List(list) = &self.action;
        let query = RuleQuery { segment: list.segment.clone(), limit: list.limit };
        let client = list.reach.connect()?;
        list.view.show(|| client.rules(&query), render)?;
        Ok(exit::OK)
    }
}

fn render(rules: &Listing<Rule>, wide: bool) -> String {
    if rules.items.is_empty() {
        return "no rules: in enforce mode nothing but infrastructure frames passes\n".to_owned();
    }
    let mut table = Table::new(&[
        ("RULE", Align::Right),
        ("SEGMENT", Align::Left),
        ("PERMITS", Align::Left),
        ("VLAN", Align::Wide),
        ("MIDSTREAM", Align::Wide),
        ("OWNER", Align::Wide),
        ("REASON", Align::Left),
    ])
    .wide(wide);
    for rule in &rules.items {
        table.row([
            rule.id.to_string(),
            rule.segment.clone(),
            rule.words.clone(),
            rule.vlan.clone(),
            if rule.midstream { "any time" } else { "grace time" }.to_owned(),
            rule.owner.clone().unwrap_or_else(|| "–".to_owned()),
            rule.reason.clone(),
        ]);
    }
    let count = match rules.is_cut() {
        false => counted(rules.total, "rule", "rules"),
        true => format!(
            "the first {} of {} rules; --limit shows up to {}",
            thousands(rules.items.len() as u64),
            thousands(rules.total),
            thousands(LIMIT_MAX.into())
        ),
    };
    format!("{table}{count}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadlock_api::{Opens, Side};

    fn rule() -> Rule {
        Rule {
            id: 7,
            segment: "fab".to_owned(),
            vlan: "untagged".to_owned(),
            client: "10.0.1.11".to_owned(),
            client_side: Some(Side::A),
            server: "10.0.2.5".to_owned(),
            service: "tcp/5000".to_owned(),
            opens: Opens::Client,
            midstream: false,
            reason: "learned".to_owned(),
            owner: None,
            words: "10.0.1.11 (side A) → 10.0.2.5 tcp/5000".to_owned(),
        }
    }

    #[test]
    fn a_cut_list_says_so() {
        let text = render(&Listing::take(vec![rule(), rule()], 1), false);
        assert_eq!(
            text,
            "RULE  SEGMENT  PERMITS                                 REASON\n   \
             7  fab      10.0.1.11 (side A) → 10.0.2.5 tcp/5000  learned\n\
             the first 1 of 2 rules; --limit shows up to 100,000\n"
        );
        assert!(render(&Listing::take(vec![rule()], 1), false).ends_with("learned\n1 rule\n"));
        assert!(render(&Listing::take(Vec::new(), 1), false).starts_with("no rules"));
    }
}
