//! What is counted while a policy is enforced.

use loadlock_generate::{Flow, Site};

use crate::measures::Figures;
use crate::truth::day_of;

/// Conversations while a policy is enforced.
pub(crate) struct Tally<'s> {
    site: &'s Site,
    benign: u64,
    blocked: u64,
    pub attacks_forwarded: u64,
    pub blocked_by_day: Vec<u32>,
    blocked_of: std::collections::BTreeMap<u16, u64>,
}

impl<'s> Tally<'s> {
    pub fn new(site: &'s Site) -> Self {
        Self {
            site,
            benign: 0,
            blocked: 0,
            attacks_forwarded: 0,
            blocked_by_day: vec![0; site.days() as usize + 1],
            blocked_of: std::collections::BTreeMap::new(),
        }
    }

    pub fn count(&mut self, flow: &Flow, forwarded: bool) {
        if flow.is_attack {
            self.attacks_forwarded += u64::from(forwarded);
            return;
        }
        self.benign += 1;
        if !forwarded {
            self.blocked += 1;
            let day = day_of(self.site, flow.time_ns) as usize;
            self.blocked_by_day[day] += 1;
            *self.blocked_of.entry(flow.class).or_default() += 1;
        }
    }

    pub fn fill(&self, figures: &mut Figures, learn_days: u32) {
        let weeks = f64::from(self.site.days() - learn_days) / 7.0;
        let hundreds = self.site.tools() as f64 / 100.0;
        figures.benign_connections = self.benign as f64;
        figures.benign_blocked = self.blocked as f64;
        figures.benign_blocked_share = self.blocked as f64 / self.benign.max(1) as f64;
        figures.connection_recall = 1.0 - figures.benign_blocked_share;
        figures.benign_blocks_per_100_devices_week = self.blocked as f64 / weeks / hundreds;
        figures.attack_connections_forwarded = self.attacks_forwarded as f64;
    }

    pub fn blocked_by_class(&self, site: &Site) -> Vec<(String, u64)> {
        let mut classes: Vec<(String, u64)> = self
            .blocked_of
            .iter()
            .map(|(class, count)| (site.class(*class).to_owned(), *count))
            .collect();
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        classes
    }
}
