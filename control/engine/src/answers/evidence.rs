//! What kept evidence says about a draft: conversations whose verdict would change, and rules that nobody uses.

use std::collections::HashMap;

use loadlock_api::{BackendError, Listing, RuleChange, TestResult, Time, VerdictChange};
use loadlock_exchange::{Mode, Policy as Compiled, PolicyImage, PolicyView, RuleId};
use loadlock_learn::{Evidence, EvidenceRow, Tuple};
use loadlock_packet::{FlowKey, Side};
use loadlock_pipeline::{Basis, Verdict, first_verdict};
use loadlock_policy::Service;
use loadlock_store::Store;

use super::asked::{device_words, verdict_words};
use super::{change_line, store_error};
use crate::backend::CoreBackend;
use crate::history::{self, FlowKind, hour_ns};
use crate::rows::{self, subject_key, tuple_key};
use crate::state::State;

/// From so much evidence on, a rule that it doesn't show counts as unused.
const UNUSED_NS: u64 = 90 * 86_400 * 1_000_000_000;

/// A conversation of the evidence: its key, who opened it, and who is its client.
struct Seen {
    key: FlowKey,
    openers: Vec<Side>,
    client: Side,
    evidence: Evidence,
}

/// Hands all kept evidence over as conversations; what no frame can be, or no segment has, is left out. Reads the disk beside the thread
/// that writes, which goes on.
fn each_conversation(
    backend: &CoreBackend,
    mut each: impl FnMut(Seen),
) -> Result<(), BackendError> {
    Store::read_evidence(&backend.settings().control.store, |row| {
        if let Some(seen) = rows::decode_row(&row).and_then(|row| seen(backend, &row)) {
            each(seen);
        }
    })
    .map_err(store_error)
}

/// All of it at once.
fn conversations(backend: &CoreBackend) -> Result<Vec<Seen>, BackendError> {
    let mut all = Vec::new();
    each_conversation(backend, |seen| all.push(seen))?;
    Ok(all)
}

fn seen(backend: &CoreBackend, row: &EvidenceRow) -> Option<Seen> {
    let subject = &row.subject;
    let key = subject_key(&backend.settings(), subject)?;
    let mut openers: Vec<Side> =
        [Side::A, Side::B].into_iter().filter(|side| row.evidence.opened[*side as usize]).collect();
    // Met running: then its client is taken to have opened it, else whoever spoke.
    let client = subject.client_side.or(openers.first().copied()).unwrap_or(Side::A);
    if openers.is_empty() {
        openers.push(client);
    }
    Some(Seen { key, openers, client, evidence: row.evidence })
}

/// A policy as the dataplane would have it.
struct Judge {
    image: PolicyImage,
    header: Compiled,
}

impl Judge {
    fn of(backend: &CoreBackend, state: &State) -> Result<Self, BackendError> {
        let failed = |reason: String| BackendError::Conflict {
            reason,
            next_step: "make the policy smaller, or raise the limit that is named".to_owned(),
        };
        let image = state.compile(&backend.settings()).map_err(failed)?;
        let header = Compiled::read(image.words()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { image, header })
    }

    fn view(&self) -> PolicyView<'_> {
        self.header.view(self.image.words(), 1)
    }
}

/// The strictest verdict on any of the ways in which it was opened.
fn verdict(view: &PolicyView<'_>, key: &FlowKey, openers: &[Side]) -> Verdict {
    let verdicts = openers.iter().map(|side| first_verdict(view, key, *side));
    let strictness = |verdict: &Verdict| match verdict {
        Verdict::Allow(Basis::Rule(_) | Basis::Infrastructure | Basis::Negotiated(_)) => 0,
        Verdict::Allow(Basis::Learning) => 1,
        Verdict::WouldDeny(_) => 2,
        Verdict::Deny(_) => 3,
    };
    verdicts.max_by_key(strictness).unwrap_or(Verdict::Allow(Basis::Learning))
}

/// What would change for one kind of conversation, and how it was used.
struct Changed {
    key: FlowKey,
    client: Side,
    now: Verdict,
    then: Verdict,
    hours: u32,
    days: u32,
    /// Flow records up to this time say what the evidence says already.
    evidence_ns: u64,
    /// Of its latest flow record, to count days once.
    day: Option<u32>,
    last_seen_ns: u64,
    conversations: u64,
}

/// Judges all kept evidence and all flow records under both policies by the dataplane's own classifier, and lists what would change.
pub(super) fn test(
    backend: &CoreBackend,
    now: &State,
    then: &State,
    limit: u32,
) -> Result<TestResult, BackendError> {
    let (judge_now, judge_then) = (Judge::of(backend, now)?, Judge::of(backend, then)?);
    let (view_now, view_then) = (judge_now.view(), judge_then.view());
    // In a segment that learns all is forwarded; what a rule permitted and none does any more counts all the same.
    let judge = |key: &FlowKey, openers: &[Side]| {
        let (before, after) = (verdict(&view_now, key, openers), verdict(&view_then, key, openers));
        let differs =
            before.name() != after.name() || before.rule().is_some() != after.rule().is_some();
        differs.then_some((before, after))
    };
    let mut changes: HashMap<Tuple, Changed> = HashMap::new();
    let (mut judged, mut span) = (0, None::<(u64, u64)>);
    let mut count = |first: u64, last: u64| {
        judged += 1;
        let known = span.get_or_insert((first, last));
        *known = (known.0.min(first), known.1.max(last));
    };
    each_conversation(backend, |Seen { key, openers, client, evidence }| {
        count(evidence.first_seen_ns, evidence.last_seen_ns);
        let Some((now, then)) = judge(&key, &openers) else { return };
        let changed = Changed {
            key,
            client,
            now,
            then,
            hours: evidence.hours,
            days: evidence.days.count(),
            evidence_ns: evidence.last_seen_ns,
            day: None,
            last_seen_ns: evidence.last_seen_ns,
            conversations: evidence.conversations,
        };
        changes.insert(Tuple::new(&key, client), changed);
    })?;
    let names: Vec<String> =
        backend.settings().segments.iter().map(|segment| segment.name.to_string()).collect();
    let each_record = |hour: u32, key: &[u8], value: &[u8]| {
        let Some((FlowKind { tuple, .. }, tally)) = history::decode(&names, key, value) else {
            return;
        };
        let Some(key) = tuple_key(&tuple) else { return };
        let [first_ns, last_ns] =
            tally.seconds.map(|second| hour_ns(hour) + second * 1_000_000_000);
        count(first_ns, last_ns);
        let client = tuple.client_side;
        let Some((now, then)) = judge(&key, &[client]) else { return };
        let changed = changes.entry(tuple).or_insert(Changed {
            key,
            client,
            now,
            then,
            hours: 0,
            days: 0,
            evidence_ns: 0,
            day: None,
            last_seen_ns: 0,
            conversations: 0,
        });
        changed.add(hour, last_ns, tally.conversations);
    };
    Store::read_flows(&backend.settings().control.store, 0, each_record).map_err(store_error)?;
    let mut changes: Vec<_> = changes
        .into_values()
        .map(|changed| (changed.then.rule().is_some(), line(backend, then, &changed)))
        .collect();
    // What would be lost first, then what is used most.
    changes.sort_by_key(|(is_permitted, line)| {
        (
            *is_permitted,
            std::cmp::Reverse(line.conversations),
            line.client.clone(),
            line.server.clone(),
            line.service.clone(),
        )
    });
    Ok(TestResult {
        judged,
        span: span.map(|(first, last)| (Time::from_ns(first), Time::from_ns(last))),
        changes: Listing::take(changes.into_iter().map(|(_, line)| line), limit),
    })
}

impl Changed {
    /// Joins a flow record. They come in the order of time.
    fn add(&mut self, hour: u32, last_ns: u64, conversations: u64) {
        if last_ns <= self.evidence_ns {
            return;
        }
        self.hours |= 1 << (hour % 24);
        let day = hour / 24;
        self.days += u32::from(self.day != Some(day));
        self.day = Some(day);
        self.conversations += conversations;
        self.last_seen_ns = self.last_seen_ns.max(last_ns);
    }
}

fn line(backend: &CoreBackend, then: &State, changed: &Changed) -> VerdictChange {
    let (key, client) = (&changed.key, changed.client);
    let tail = key.tail();
    let settings = backend.settings();
    let segment = settings.segments.get(tail.segment().index());
    let segment = segment.map(|segment| segment.name.to_string()).unwrap_or_default();
    let (client, server) = (key.endpoint(client), key.endpoint(client.other()));
    let service = Service::of_key(tail.kind(), server.network, server.service);
    VerdictChange {
        client: device_words(&then.document, client.network, &segment),
        server: device_words(&then.document, server.network, &segment),
        service: service
            .map_or_else(|| format!("{:?}", tail.kind()), |service| service.to_string()),
        segment,
        now: verdict_words(changed.now),
        then: verdict_words(changed.then),
        hours: (0..24).filter(|hour| changed.hours >> hour & 1 == 1).collect(),
        days: changed.days,
        last_seen: Time::from_ns(changed.last_seen_ns),
        conversations: changed.conversations,
    }
}

/// Rules of both policies that no conversation of the last 90 days used. Only of segments that learn, since use is recorded there alone,
/// and only where evidence reaches back so far.
pub(super) fn unused(
    backend: &CoreBackend,
    from: &State,
    to: &State,
) -> Result<Vec<RuleChange>, BackendError> {
    if !from.modes.contains(&Mode::Learn) {
        return Ok(Vec::new());
    }
    let conversations = conversations(backend)?;
    let mut spans: HashMap<usize, (u64, u64)> = HashMap::new();
    for seen in &conversations {
        let evidence = &seen.evidence;
        let span = spans
            .entry(seen.key.tail().segment().index())
            .or_insert((evidence.first_seen_ns, evidence.last_seen_ns));
        *span = (span.0.min(evidence.first_seen_ns), span.1.max(evidence.last_seen_ns));
    }
    spans.retain(|at, (first, last)| {
        from.modes.get(*at) == Some(&Mode::Learn) && *last - *first >= UNUSED_NS
    });
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let judge = Judge::of(backend, to)?;
    let view = judge.view();
    let mut used: HashMap<RuleId, u64> = HashMap::new();
    for seen in &conversations {
        if let Some(found) = view.find(&seen.key, seen.client) {
            let last = used.entry(found.rule).or_default();
            *last = (*last).max(seen.evidence.last_seen_ns);
        }
    }
    let settings = backend.settings();
    let names: HashMap<&str, u64> = spans
        .iter()
        .filter_map(|(at, (_, last))| Some((settings.segments.get(*at)?.name.as_str(), *last)))
        .collect();
    let is_unused = |rule: &&loadlock_policy::Rule| {
        names
            .get(&*rule.parts().segment)
            .is_some_and(|last| used.get(&rule.id()).is_none_or(|used| used + UNUSED_NS < *last))
    };
    let kept = to.policy.rules().iter().filter(|rule| from.policy.rule(rule.id()) == Some(rule));
    Ok(kept.filter(is_unused).map(|rule| change_line(rule, None)).collect())
}
