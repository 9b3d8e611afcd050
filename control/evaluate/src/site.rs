//! One run of a site: learn on its first days, enforce on the rest, with a person who answers.

use loadlock_generate::{Flow, Site};
use loadlock_learn::{
    AdmissionSettings, Answers, Decisions, Drift, LearnLimits, Learner, Loud, NS_PER_DAY, Outcome,
    Proposal, Volume, Window,
};
use loadlock_packet::{FlowKey, Side};

use crate::enforced::Enforced;
use crate::error::EvaluateError;
use crate::measures::Figures;
use crate::person::{Manner, Person};
use crate::tally::Tally;
use crate::truth::{Oracle, day_of, events, key};

/// How often the person looks at what is new; and at once, that is within the hour, where several devices of a role are blocked: that
/// is an alarm.
const REVIEW_HOURS: u64 = 8;
const HOUR_NS: u64 = NS_PER_DAY / 24;
/// The baseline's days.
const FIXED_DAYS: u32 = 30;
/// Rounds of questions before enforcing; later ones only repeat.
const ROUNDS_MAX: usize = 8;
const DRIFT_TUPLES_MAX: usize = 65_536;

/// A point of the learning curve, after so many days.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct CurvePoint {
    /// Days of learning.
    pub day: u32,
    /// Connection-weighted recall of the rest, with nobody answering: Loadlock, then recording all.
    pub recall: [f64; 2],
    /// Expected blocked conversations in the month after: estimate, lower and upper bound.
    pub forecast: [f64; 3],
    /// Blocked conversations in the month after, had it been enforced then.
    pub came: f64,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct SiteRun {
    /// Of each contestant.
    pub figures: [Figures; 5],
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// Blocked benign conversations by day of the scenario, of each contestant.
    pub blocked_by_day: [Vec<u32>; 3],
    /// The questions that the person answered, and what they were in truth.
    pub questions: Vec<String>,
    /// What was blocked most, for people: class and count of Loadlock.
    pub blocked_by_class: Vec<(String, u64)>,
    /// Classes of attacks that were admitted, and tuples of each, at most 20.
    pub admitted_by_class: Vec<(String, Vec<String>)>,
}

struct Run<'s> {
    site: &'s Site,
    seed: u64,
    oracle: &'s Oracle,
    segments: Vec<String>,
    windows: Vec<Window>,
}

/// Runs a site with a seed.
///
/// # Errors
/// [`EvaluateError`] if what was learned can't be compiled.
pub fn run_site(site: &Site, seed: u64) -> Result<SiteRun, EvaluateError> {
    let oracle = Oracle::of(site, seed);
    let windows = site.windows().into_iter().map(|window| Window {
        segment: None,
        from_ns: window.from_ns,
        until_ns: window.until_ns,
    });
    let run = Run {
        site,
        seed,
        oracle: &oracle,
        segments: (0..site.bays()).map(|bay| format!("bay-{bay}")).collect(),
        windows: windows.collect(),
    };
    run.run()
}

impl Run<'_> {
    fn learn_end_ns(&self, days: u32) -> u64 {
        self.site.start_ns() + u64::from(days) * NS_PER_DAY
    }

    fn run(&self) -> Result<SiteRun, EvaluateError> {
        let learn_days = self.site.learn_days();
        let settings = AdmissionSettings::default();
        let record_all = AdmissionSettings::record_all();
        let mut learner = Learner::new(&self.segments, LearnLimits::default());
        let mut longer = Learner::new(&self.segments, LearnLimits::default());
        learner.announce(self.windows.clone());
        let mut curve = Vec::new();
        let mut flows = self.site.flows(self.seed).peekable();
        for day in 1..=FIXED_DAYS.min(self.site.days()) {
            let end_ns = self.learn_end_ns(day);
            while let Some(flow) = flows.next_if(|flow| flow.time_ns < end_ns) {
                let Some(key) = key(&flow) else { continue };
                for event in events(&flow, key) {
                    if day <= learn_days {
                        learner.observe(&event);
                    }
                    longer.observe(&event);
                }
            }
            if day <= learn_days && (day <= 7 || day % 2 == 0) {
                curve.push(self.curve_point(&learner, day)?);
            }
        }
        let mut person = Person::new(self.oracle, Manner::LooksIntoIt);
        let (decisions, first) = self.prepare(&learner, &settings, &mut person)?;
        let recorded = learner.decide(&record_all, &Answers::default());
        let all = self.enforced(&learner, &recorded)?;
        let recorded_longer = longer.decide(&record_all, &Answers::default());
        let all_longer = self.enforced(&longer, &recorded_longer)?;
        let with = |manner| {
            let mut person = Person::new(self.oracle, manner);
            let (decisions, first) = self.prepare(&learner, &settings, &mut person)?;
            let mut figures = self.of_policy(&first, &decisions, learn_days);
            self.enforce(&learner, decisions, first, &mut person, &mut figures)?;
            self.count_cards(&person, &mut figures);
            Ok::<Figures, EvaluateError>(figures)
        };
        let mut measured = [
            self.of_policy(&first, &decisions, learn_days),
            self.of_policy(&all, &recorded, learn_days),
            self.of_policy(&all_longer, &recorded_longer, FIXED_DAYS),
            with(Manner::Nobody)?,
            with(Manner::SaysYes)?,
        ];
        measured[0].summary_lines = decisions.summaries().len() as f64;
        let blocked = self.enforce(&learner, decisions, first, &mut person, &mut measured[0])?;
        let blocked_all = self.enforce_fixed(&all, learn_days, &mut measured[1]);
        let blocked_longer = self.enforce_fixed(&all_longer, FIXED_DAYS, &mut measured[2]);
        self.count_cards(&person, &mut measured[0]);
        let (blocked_by_day, blocked_by_class, admitted_by_class) = blocked;
        Ok(SiteRun {
            figures: measured,
            curve,
            blocked_by_day: [blocked_by_day, blocked_all, blocked_longer],
            questions: person.questions,
            blocked_by_class,
            admitted_by_class,
        })
    }

    fn count_cards(&self, person: &Person<'_>, figures: &mut Figures) {
        figures.cards = person.cards as f64;
        figures.cards_per_device = person.cards as f64 / self.site.tools() as f64;
    }

    fn enforced(
        &self,
        learner: &Learner,
        decisions: &Decisions,
    ) -> Result<Enforced, EvaluateError> {
        let policy =
            learner.policy_of(decisions).map_err(|source| EvaluateError::Policy { source })?;
        Enforced::compile(&policy, &self.segments)
    }

    /// Asks the person until there is nothing new, and makes the first policy.
    fn prepare(
        &self,
        learner: &Learner,
        settings: &AdmissionSettings,
        person: &mut Person<'_>,
    ) -> Result<(Decisions, Enforced), EvaluateError> {
        let mut decisions = learner.decide(settings, &person.answers);
        for _ in 0..ROUNDS_MAX {
            let cards = decisions.cards(settings.cards_max);
            let review = decisions.review_cards();
            let mut changed = false;
            for card in cards.cards.iter().chain(&review) {
                changed |= person.answer(card);
            }
            if !changed && cards.left_out == 0 {
                break;
            }
            decisions = learner.decide(settings, &person.answers);
        }
        let enforced = self.enforced(learner, &decisions)?;
        Ok((decisions, enforced))
    }

    /// What the rest of the scenario would meet if the policy of this moment was enforced, with nobody answering.
    fn curve_point(&self, learner: &Learner, day: u32) -> Result<CurvePoint, EvaluateError> {
        let mut point = CurvePoint { day, ..CurvePoint::default() };
        for (at, settings) in
            [AdmissionSettings::default(), AdmissionSettings::record_all()].iter().enumerate()
        {
            let decisions = learner.decide(settings, &Answers::default());
            let enforced = self.enforced(learner, &decisions)?;
            let [permitted, all] = self.weigh(&enforced, day..self.site.days());
            point.recall[at] = permitted as f64 / all.max(1) as f64;
            if at == 0 {
                let month = day..(day + FIXED_DAYS).min(self.site.days());
                let share = f64::from(FIXED_DAYS) / f64::from(month.end - month.start);
                let [permitted, all] = self.weigh(&enforced, month);
                point.came = (all - permitted) as f64 * share;
                let readiness = decisions.readiness(&[]);
                let expected = readiness.blocks_per_month();
                point.forecast = [expected.value, expected.interval.0, expected.interval.1];
            }
        }
        Ok(point)
    }

    /// Benign conversations of these days that are permitted, and all.
    fn weigh(&self, enforced: &Enforced, days: std::ops::Range<u32>) -> [u64; 2] {
        let mut sums = [0, 0];
        for (tuple, truth) in &self.oracle.tuples {
            let count = truth.benign_in(days.clone());
            if count > 0 {
                sums[1] += count;
                sums[0] += if permits(enforced, tuple) { count } else { 0 };
            }
        }
        sums
    }

    /// What can be said of a policy without running it.
    fn of_policy(&self, enforced: &Enforced, decisions: &Decisions, learn_days: u32) -> Figures {
        let test = learn_days..self.site.days();
        let [permitted, all] = self.weigh(enforced, test.clone());
        let (mut needed, mut found) = (0u64, 0u64);
        let mut attack_tuples_admitted = 0.0;
        for (tuple, truth) in &self.oracle.tuples {
            let permits = permits(enforced, tuple);
            if truth.is_attack() && permits {
                attack_tuples_admitted += 1.0;
            }
            if truth.benign_in(test.clone()) > 0 {
                needed += 1;
                found += u64::from(permits);
            }
        }
        let admitted =
            decisions.candidates.iter().filter(|found| found.outcome == Outcome::Admitted);
        let (mut rules, mut right, mut unused) = (0u64, 0u64, 0u64);
        for candidate in admitted {
            rules += 1;
            right += u64::from(self.oracle.is_needed(&candidate.tuple));
            let used = self.oracle.tuples.get(&candidate.tuple);
            let uses = used.map_or(0, |truth| truth.benign_in(test.clone()));
            unused += u64::from(uses == 0 && candidate.range.is_none());
        }
        Figures {
            attack_tuples_admitted,
            rule_recall: found as f64 / needed.max(1) as f64,
            rule_precision: right as f64 / rules.max(1) as f64,
            first_policy_recall: permitted as f64 / all.max(1) as f64,
            permitted_never_used_share: unused as f64 / rules.max(1) as f64,
            rules: enforced.rules as f64,
            summary_lines: enforced.rules as f64,
            learn_days: f64::from(learn_days),
            ..Figures::default()
        }
    }

    /// Enforces a policy that nobody changes.
    fn enforce_fixed(
        &self,
        enforced: &Enforced,
        learn_days: u32,
        figures: &mut Figures,
    ) -> Vec<u32> {
        let mut tally = Tally::new(self.site);
        for flow in self.site.flows(self.seed) {
            let Some(key) = key(&flow) else { continue };
            if day_of(self.site, flow.time_ns) < learn_days {
                // The others have been enforcing for some time already.
                if day_of(self.site, flow.time_ns) >= self.site.learn_days() && flow.is_attack {
                    tally.attacks_forwarded += 1;
                }
                continue;
            }
            tally.count(&flow, enforced.permits(&key, opener(&flow)));
        }
        tally.fill(figures, learn_days);
        tally.blocked_by_day
    }

    /// Enforces, notes drift, and lets the person answer every eight hours. In announced windows everything is forwarded, and noted.
    #[expect(clippy::type_complexity, reason = "three lists that are taken apart at once")]
    fn enforce(
        &self,
        learner: &Learner,
        mut decisions: Decisions,
        mut enforced: Enforced,
        person: &mut Person<'_>,
        figures: &mut Figures,
    ) -> Result<(Vec<u32>, Vec<(String, u64)>, Vec<(String, Vec<String>)>), EvaluateError> {
        let settings = AdmissionSettings::default();
        let start_ns = self.learn_end_ns(self.site.learn_days());
        let mut hours = 0;
        let mut is_new = false;
        let mut drift = Drift::new(DRIFT_TUPLES_MAX);
        let mut tally = Tally::new(self.site);
        let mut volume = Volume::new(DRIFT_TUPLES_MAX);
        let mut used_by_attacks = std::collections::BTreeSet::new();
        for flow in self.site.flows(self.seed).filter(|flow| flow.time_ns >= start_ns) {
            while flow.time_ns >= start_ns + (hours + 1) * HOUR_NS {
                hours += 1;
                if !is_new {
                    continue;
                }
                let proposals = drift.proposals(&decisions);
                is_new = hours % REVIEW_HOURS != 0;
                let urgent = |proposal: &&Proposal| !is_new || proposal.kind.is_urgent();
                let mut changed = false;
                for proposal in proposals.iter().filter(urgent).take(settings.cards_max) {
                    changed |= person.consider(proposal, &mut drift);
                }
                if changed {
                    decisions = learner.decide(&settings, &person.answers);
                    enforced = self.enforced(learner, &decisions)?;
                }
            }
            let Some(key) = key(&flow) else { continue };
            let permitted = enforced.permits(&key, opener(&flow));
            let segment = key.tail().segment();
            let is_open = self.windows.iter().any(|window| window.is_open(segment, flow.time_ns));
            let tuple = loadlock_learn::Tuple::new(&key, opener(&flow));
            if !permitted {
                is_new = true;
                drift.note(tuple, flow.time_ns, 1);
            } else if let Some(usual) = learner.usual_bytes(&tuple) {
                volume.note(tuple, flow.time_ns, flow.bytes, usual);
                if flow.is_attack {
                    used_by_attacks.insert(tuple);
                }
            }
            tally.count(&flow, permitted || is_open);
        }
        tally.fill(figures, self.site.learn_days());
        let by_attacks = |loud: &&Loud| used_by_attacks.contains(&loud.tuple);
        figures.loud_attacks = volume.loud().filter(by_attacks).count() as f64;
        figures.loud_benign = volume.loud().count() as f64 - figures.loud_attacks;
        let mut admitted = std::collections::BTreeMap::new();
        for flow in self.site.flows(self.seed).filter(|flow| flow.is_attack) {
            let Some(key) = key(&flow) else { continue };
            let tuple = loadlock_learn::Tuple::new(&key, opener(&flow));
            if self.oracle.is_attack(&tuple) && enforced.permits(&key, opener(&flow)) {
                admitted
                    .entry(flow.class)
                    .or_insert_with(std::collections::BTreeSet::new)
                    .insert(tuple);
            }
        }
        figures.attack_tuples_admitted =
            admitted.values().map(std::collections::BTreeSet::len).sum::<usize>() as f64;
        const SHOWN_MAX: usize = 20;
        let admitted = admitted.into_iter().map(|(class, tuples)| {
            let words = tuples.iter().take(SHOWN_MAX).map(ToString::to_string);
            (self.site.class(class).to_owned(), words.collect())
        });
        let by_class = tally.blocked_by_class(self.site);
        Ok((tally.blocked_by_day, by_class, admitted.collect()))
    }
}

fn opener(flow: &Flow) -> Side {
    match flow.client_side {
        loadlock_generate::Side::A => Side::A,
        loadlock_generate::Side::B => Side::B,
    }
}

/// True if the tuple's client may open it.
fn permits(enforced: &Enforced, tuple: &loadlock_learn::Tuple) -> bool {
    // Any client port: rules don't name it.
    const CLIENT_PORT: u16 = 40_000;
    let tail = loadlock_packet::KeyTail::new(tuple.segment, tuple.vlans, tuple.kind)
        .of_client(tuple.client_side);
    let key: Option<FlowKey> = match tuple.client_side {
        Side::A => loadlock_learn::flow_key(
            tail,
            [tuple.client, tuple.server],
            [CLIENT_PORT, tuple.service],
        ),
        Side::B => loadlock_learn::flow_key(
            tail,
            [tuple.server, tuple.client],
            [tuple.service, CLIENT_PORT],
        ),
    };
    key.is_some_and(|key| enforced.permits(&key, tuple.client_side))
}
