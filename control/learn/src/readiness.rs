//! Whether a device, or a segment, can be enforced: what of the calendar was seen, and what a block would cost.

use std::collections::{BTreeMap, BTreeSet};

use crate::candidate::{Candidate, Decisions, Outcome};
use crate::days::{NS_PER_DAY, day_of};
use crate::forecast::{Estimate, Incidence};
use crate::key::Device;

/// Which parts of the calendar the evidence covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// All three shifts: something was seen in each third of the day.
    pub shifts: bool,
    /// A Saturday and a Sunday.
    pub weekend: bool,
    /// Seven days in a row.
    pub week: bool,
    /// The last and the first day of a month.
    pub month_end: bool,
    /// A maintenance window.
    pub maintenance: bool,
}

/// How ready one device is.
#[derive(Clone, Debug, PartialEq)]
pub struct Readiness {
    /// Which.
    pub device: Device,
    /// Its role's name, if it has one.
    pub role: Option<String>,
    /// Days on which it was seen.
    pub days: u32,
    /// What of the calendar was seen of it.
    pub calendar: Calendar,
    /// Its tuples: admitted, held, waiting and answered.
    pub tuples: [usize; 3],
    /// Expected blocked conversations a month, if it was enforced today.
    pub blocks_per_month: Estimate,
    /// What is missing, in words.
    pub gaps: Vec<String>,
}

/// How ready a site is, and each of its devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteReadiness {
    /// Days of evidence.
    pub days: u32,
    /// Services of roles that exist and weren't seen.
    pub unseen: Estimate,
    /// Services of roles that the next thirty days will bring.
    pub new_per_month: Estimate,
    /// Devices with a role or with tuples of their own, in order.
    pub devices: Vec<Readiness>,
}

impl SiteReadiness {
    /// Expected blocked conversations a month over all devices, if all were enforced today.
    #[must_use]
    pub fn blocks_per_month(&self) -> Estimate {
        let sum = |of: fn(&Estimate) -> f64| {
            self.devices.iter().map(|device| of(&device.blocks_per_month)).sum()
        };
        Estimate {
            value: sum(|estimate| estimate.value),
            interval: (sum(|estimate| estimate.interval.0), sum(|estimate| estimate.interval.1)),
        }
    }
}

/// A day in a month's length of enforcement.
const MONTH_DAYS: f64 = 30.0;

impl Decisions {
    /// How ready the site is, with the windows that were announced so far (first and last moment, ns).
    ///
    /// A service of a role is one species for the forecast: with sixty etchers, a weekly job that one was seen to do isn't unseen for the
    /// others. Takes time in proportion to the candidates.
    #[must_use]
    pub fn readiness(&self, windows: &[(u64, u64)]) -> SiteReadiness {
        let Some((from_ns, until_ns)) = self.span_ns else { return SiteReadiness::default() };
        let days = day_of(until_ns) - day_of(from_ns) + 1;
        let incidence = Incidence::count(days, self.days_of_services().into_iter());
        let new_per_month = incidence.new_within(MONTH_DAYS);
        let mut by_device: BTreeMap<Device, Vec<&Candidate>> = BTreeMap::new();
        for candidate in &self.candidates {
            for device in [candidate.tuple.client_device(), candidate.tuple.server_device()] {
                by_device.entry(device).or_default().push(candidate);
            }
        }
        let count = by_device.len().max(1) as f64;
        let devices = by_device.into_iter();
        let devices = devices.map(|(device, candidates)| {
            // A service that is yet to be seen meets one device, and is used once before it is noticed.
            let share = |value: f64| value / count;
            let missing = missing_per_month(&candidates, days) / 2.0;
            let (low, high) = new_per_month.interval;
            let blocks_per_month = Estimate {
                value: missing + share(new_per_month.value),
                interval: (share(low), missing + share(high)),
            };
            self.of_device(device, &candidates, windows, blocks_per_month)
        });
        let devices = devices.collect();
        SiteReadiness { days, unseen: incidence.unseen(), new_per_month, devices }
    }

    /// Days on which each service of each role, or of a device without one, was seen. Sources of scans don't count.
    fn days_of_services(&self) -> Vec<u32> {
        let mut days: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        for candidate in &self.candidates {
            let counts = candidate.is_sound && candidate.outcome != Outcome::Withdrawn;
            let Some(evidence) = candidate.evidence.filter(|_| counts) else { continue };
            let tuple = candidate.tuple;
            let [client, server] = candidate.roles;
            let service = match candidate.range {
                Some(range) => (1, range),
                None => (0, tuple.service),
            };
            let ends = (client.ok_or(tuple.client), server.ok_or(tuple.server));
            days.entry((ends, tuple.kind, service)).or_default().extend(evidence.days.iter());
        }
        days.into_values().map(|days| u32::try_from(days.len()).unwrap_or(u32::MAX)).collect()
    }

    fn of_device(
        &self,
        device: Device,
        candidates: &[&Candidate],
        windows: &[(u64, u64)],
        blocks_per_month: Estimate,
    ) -> Readiness {
        let mut days = BTreeSet::new();
        let mut hours = 0;
        let mut tuples = [0; 3];
        for candidate in candidates {
            let at = match (candidate.outcome, candidate.is_sound) {
                (Outcome::Admitted, _) => 0,
                (Outcome::Held, _) => 1,
                (Outcome::Waiting, true) => 2,
                _ => continue,
            };
            tuples[at] += 1;
            if let Some(evidence) = &candidate.evidence {
                days.extend(evidence.days.iter());
                hours |= evidence.hours;
            }
        }
        let calendar = calendar(&days, hours, windows);
        let role = self.devices.binary_search(&device).ok().and_then(|at| self.roles.of(at));
        let role = role.map(|role| self.roles.name(role).to_owned());
        let gaps = gaps(&calendar, &tuples, role.is_some(), days.len());
        let days = u32::try_from(days.len()).unwrap_or(u32::MAX);
        Readiness { device, role, days, calendar, tuples, blocks_per_month, gaps }
    }
}

/// Conversations a month of what was answered and isn't admitted.
fn missing_per_month(candidates: &[&Candidate], days: u32) -> f64 {
    let missing = |candidate: &&&Candidate| {
        candidate.is_sound && matches!(candidate.outcome, Outcome::Held | Outcome::Waiting)
    };
    let conversations = candidates.iter().filter(missing).filter_map(|found| found.evidence);
    let conversations: u64 = conversations.map(|evidence| evidence.conversations).sum();
    conversations as f64 / f64::from(days.max(1)) * MONTH_DAYS
}

fn calendar(days: &BTreeSet<u32>, hours: u32, windows: &[(u64, u64)]) -> Calendar {
    const SHIFTS: [u32; 3] = [0xff, 0xff00, 0xff_0000];
    // 1970-01-01 was a Thursday.
    let weekday = |day: &u32| (day + 3) % 7;
    let has = |wanted: u32| days.iter().any(|day| weekday(day) == wanted);
    let mut run = 0;
    let mut longest = 0;
    let mut before = None;
    for day in days {
        run = if before == Some(day.wrapping_sub(1)) { run + 1 } else { 1 };
        longest = longest.max(run);
        before = Some(*day);
    }
    let month_end = days.iter().any(|day| day_of_month(day + 1) == 1 && days.contains(&(day + 1)));
    let seen = |window: &&(u64, u64)| {
        let days_of = window.0 / NS_PER_DAY..=window.1 / NS_PER_DAY;
        days_of.into_iter().any(|day| days.contains(&(day as u32)))
    };
    Calendar {
        shifts: SHIFTS.iter().all(|shift| hours & shift != 0),
        weekend: has(5) && has(6),
        week: longest >= 7,
        month_end,
        maintenance: windows.iter().any(|window| seen(&window)),
    }
}

/// The day of the month, 1 to 31, of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn day_of_month(day: u32) -> u32 {
    let shifted = day + 719_468;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

fn gaps(calendar: &Calendar, tuples: &[usize; 3], has_role: bool, days: usize) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut missing = |holds: bool, words: &str| {
        if !holds {
            gaps.push(words.to_owned());
        }
    };
    missing(calendar.shifts, "not seen in every shift");
    missing(calendar.weekend, "no weekend was seen");
    missing(calendar.week, "no whole week was seen");
    missing(calendar.month_end, "no end of a month was seen: monthly jobs are unknown");
    missing(calendar.maintenance, "no maintenance window was seen");
    missing(has_role, "no role peers: it stands on its own evidence alone");
    missing(days >= 2, "seen on one day only");
    if tuples[1] > 0 {
        gaps.push(format!("{} candidates wait for a person", tuples[1]));
    }
    if tuples[2] > 0 {
        gaps.push(format!("{} answered candidates wait for evidence", tuples[2]));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_months_are_right() {
        // 1970-01-01, 2000-02-29, 2026-03-01, 2026-12-31.
        for (day, expected) in [(0, 1), (11_016, 29), (20_513, 1), (20_818, 31)] {
            assert_eq!(day_of_month(day), expected, "{day}");
        }
    }

    #[test]
    fn a_calendar_is_covered_by_what_was_seen() {
        // 2026-03-23, a Monday, to 2026-04-05.
        let days: BTreeSet<u32> = (20_535..20_549).collect();
        let covered = calendar(&days, 0xff_ffff, &[]);
        assert!(covered.shifts && covered.weekend && covered.week && covered.month_end);
        assert!(!covered.maintenance);
        let short = calendar(&(20_535..20_540).collect(), 0xff, &[]);
        assert_eq!(short, Calendar::default());
    }
}
