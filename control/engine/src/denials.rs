//! What was denied, by kind of conversation: enough to answer "is it Loadlock?". Bounded, in memory, and taken up from the flow records at
//! the start; what was before those can't be known.

use std::collections::{HashMap, VecDeque};

use loadlock_api::{Denial, IsItMe, Time};
use loadlock_exchange::{DropReason, Event, EventKind, Mode};
use loadlock_learn::Tuple;
use loadlock_packet::{FlowKey, Network};
use loadlock_policy::AddressMatch;
use loadlock_store::{FlowRow, Usage};

use crate::core::Core;
use crate::history::{self, Outcome, hour_ns};
use crate::rows::tuple_key;
use crate::state::State;

/// Kinds of conversations kept; beyond, the one that was quiet longest goes.
const KINDS_MAX: usize = 50_000;
/// Rules kept that a change took away.
const REMOVED_MAX: usize = 50_000;

#[derive(Clone, Copy)]
struct Seen {
    /// One conversation of the kind.
    sample: FlowKey,
    reason: DropReason,
    forwarded: bool,
    conversations: u64,
    packets: u64,
    first_ns: u64,
    last_ns: u64,
}

/// A rule that a change took away, or narrowed.
struct Removed {
    version: u64,
    time_ns: u64,
    rule: loadlock_policy::Rule,
}

/// The log.
pub(crate) struct DenialLog {
    since_ns: u64,
    seen: HashMap<Tuple, Seen>,
    forgotten: u64,
    removed: VecDeque<Removed>,
}

impl DenialLog {
    /// An empty log that begins now.
    pub fn new(now_ns: u64) -> Self {
        Self { since_ns: now_ns, seen: HashMap::new(), forgotten: 0, removed: VecDeque::new() }
    }

    /// A log that goes on with what is on record, of which the newest comes first. It reaches back as far as there are records, or the first
    /// of those that it hasn't room for.
    pub fn restored(names: &[String], stored: &[FlowRow], usage: Usage, now_ns: u64) -> Self {
        let mut log = Self::new(now_ns);
        log.since_ns = usage.oldest_hour.map_or(now_ns, |hour| hour_ns(hour).min(now_ns));
        for row in stored {
            let Some((kind, tally)) = history::decode(names, &row.key, &row.value) else {
                continue;
            };
            let (reason, forwarded) = match kind.outcome {
                Outcome::Denied(reason) => (reason, false),
                Outcome::WouldDeny(reason) => (reason, true),
                Outcome::Permitted => continue,
            };
            let Some(sample) = tuple_key(&kind.tuple) else { continue };
            if log.seen.len() >= KINDS_MAX && !log.seen.contains_key(&kind.tuple) {
                log.forgotten += 1;
                continue;
            }
            let [first_ns, last_ns] =
                tally.seconds.map(|second| hour_ns(row.hour) + second * 1_000_000_000);
            // The newest record says what became of it last.
            let seen = log.seen.entry(kind.tuple).or_insert(Seen {
                sample,
                reason,
                forwarded,
                conversations: 0,
                packets: 0,
                first_ns,
                last_ns,
            });
            seen.conversations += tally.conversations;
            seen.packets += tally.packets;
            seen.first_ns = seen.first_ns.min(first_ns);
            seen.last_ns = seen.last_ns.max(last_ns);
        }
        log
    }

    /// Takes a denial into account; other events are nothing to it.
    pub fn observe(&mut self, event: &Event) {
        let EventKind::Denied(reason) = event.kind else { return };
        let tuple = Tuple::new(&event.key, event.initiator);
        if self.seen.len() >= KINDS_MAX && !self.seen.contains_key(&tuple) {
            self.forget();
        }
        let packets: u64 = event.packets.iter().sum();
        let new = Seen {
            sample: event.key,
            reason,
            forwarded: event.flags.forwarded,
            conversations: 0,
            packets: 0,
            first_ns: event.time_ns,
            last_ns: event.time_ns,
        };
        let seen = self.seen.entry(tuple).or_insert(new);
        seen.conversations += u64::from(!event.flags.repeated);
        seen.packets += packets;
        seen.last_ns = seen.last_ns.max(event.time_ns);
        (seen.reason, seen.forwarded) = (reason, event.flags.forwarded);
    }

    /// Lets the quietest half go at once, so that a scan costs little for each of its packets.
    fn forget(&mut self) {
        let mut times: Vec<u64> = self.seen.values().map(|seen| seen.last_ns).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        let before = self.seen.len();
        self.seen.retain(|_, seen| seen.last_ns > median);
        self.forgotten += (before - self.seen.len()) as u64;
    }

    /// True for denied answers to a denied question, which is told already. Both directions of one conversation are denied on their
    /// own, in any order; as in learning, many client ports make a service, and else the lower port does.
    fn is_answer(&self, tuple: &Tuple, seen: &Seen) -> bool {
        let question = Tuple::new(&seen.sample, tuple.client_side.other());
        self.seen.get(&question).is_some_and(|asked| {
            (asked.conversations, tuple.service) > (seen.conversations, question.service)
        })
    }

    /// Remembers which rules a change takes away.
    pub fn note_change(&mut self, old: &State, new: &State, now_ns: u64) {
        let difference = old.policy.difference(&new.policy);
        let narrowed = difference.narrowed.into_iter().map(|(rule, old)| old.unwrap_or(rule));
        for rule in difference.removed.into_iter().chain(narrowed) {
            if self.removed.len() >= REMOVED_MAX {
                self.removed.pop_front();
            }
            let (version, rule) = (new.number.0, rule.clone());
            self.removed.push_back(Removed { version, time_ns: now_ns, rule });
        }
    }
}

fn is_at(address: &AddressMatch, network: Network) -> bool {
    match (address, network) {
        (AddressMatch::Ip(prefix), Network::Ip(address)) => prefix.contains(address),
        (AddressMatch::Mac(mac), Network::Link { mac: own, .. }) => *mac == own,
        _ => false,
    }
}

impl Core {
    /// What was denied of a device, and why.
    pub(crate) fn is_it_me(&self, addresses: &[AddressMatch], device: String) -> IsItMe {
        let log = &self.denials;
        let concerns = |tuple: &Tuple| {
            addresses
                .iter()
                .any(|address| is_at(address, tuple.client) || is_at(address, tuple.server))
        };
        let mut seen: Vec<_> = log
            .seen
            .iter()
            .filter(|(tuple, seen)| concerns(tuple) && !log.is_answer(tuple, seen))
            .collect();
        seen.sort_by_key(|(tuple, seen)| (std::cmp::Reverse(seen.last_ns), **tuple));
        const SHOWN_MAX: usize = 50;
        let dropped: u64 = seen
            .iter()
            .filter(|(_, seen)| !seen.forwarded)
            .map(|(_, seen)| seen.conversations.max(1))
            .sum();
        let since = Time::from_ns(log.since_ns);
        let answer = match (dropped, seen.len()) {
            (0, 0) => format!(
                "no: Loadlock has blocked nothing of {device} that it was told of since {since}"
            ),
            (0, kinds) => format!(
                "no: Loadlock has blocked nothing of {device} since {since}; {kinds} kinds of conversations would be blocked in enforce mode"
            ),
            (dropped, _) => {
                let first = seen
                    .iter()
                    .filter(|(_, seen)| !seen.forwarded)
                    .map(|(_, seen)| seen.first_ns)
                    .min();
                format!(
                    "yes: Loadlock has blocked {dropped} connections of {device} since {}",
                    Time::from_ns(first.unwrap_or(log.since_ns))
                )
            }
        };
        let denials =
            seen.into_iter().take(SHOWN_MAX).map(|(tuple, seen)| self.denial(tuple, seen));
        IsItMe {
            answer,
            watching_since: since,
            forgotten: log.forgotten,
            denials: denials.collect(),
            device,
        }
    }

    fn denial(&self, tuple: &Tuple, seen: &Seen) -> Denial {
        let (cause, next_step) = self.cause(tuple, seen);
        Denial {
            tuple: self.words(tuple),
            segment: self
                .settings
                .segments
                .get(tuple.segment.index())
                .map(|segment| segment.name.to_string())
                .unwrap_or_default(),
            verdict: if seen.forwarded { "would-deny" } else { "deny" }.to_owned(),
            reason: seen.reason.meaning().to_owned(),
            conversations: seen.conversations,
            packets: seen.packets,
            since: Time::from_ns(seen.first_ns),
            last: Time::from_ns(seen.last_ns),
            cause,
            next_step,
        }
    }

    /// A tuple with the names of its devices.
    fn words(&self, tuple: &Tuple) -> String {
        let name = |network: Network| self.name_of(network, tuple.segment.index());
        let service = tuple.service().map_or_else(String::new, |service| service.to_string());
        format!("{} → {} {service}", name(tuple.client), name(tuple.server))
    }

    /// `etch-07 (10.0.1.7)`, or the address alone.
    pub(crate) fn name_of(&self, network: Network, segment: usize) -> String {
        let segment = self.settings.segments.get(segment).map(|segment| segment.name.to_string());
        crate::answers::device_words(&self.state.document, network, &segment.unwrap_or_default())
    }

    /// Why a conversation isn't permitted, as far as it is known, and what to do.
    fn cause(&self, tuple: &Tuple, seen: &Seen) -> (String, String) {
        let segment = self.settings.segments.get(tuple.segment.index());
        let segment = segment.map(|segment| segment.name.to_string()).unwrap_or_default();
        if seen.reason == DropReason::Quarantined {
            let document = &self.state.document;
            let quarantined = [tuple.client, tuple.server].into_iter().find_map(|network| {
                let device = crate::answers::device_at(document, network, &segment)?;
                (device.mode == Some(Mode::Quarantine)).then(|| device.name.to_string())
            });
            return match quarantined {
                Some(name) => (
                    format!("because {name} is in quarantine"),
                    format!(
                        "`loadlock policy list` says who put it there; `loadlock device set {name} --mode inherit --reason …` ends it"
                    ),
                ),
                None => (
                    format!("because a device of it, or segment {segment}, is in quarantine"),
                    "`loadlock device list` and `loadlock status` show the modes".to_owned(),
                ),
            };
        }
        let key = crate::answers::Asked::of_tuple(tuple, &segment);
        let gone = self.denials.removed.iter().rev().find(|gone| {
            gone.time_ns <= seen.last_ns && key.is_some_and(|key| key.matches(&gone.rule))
        });
        let service = tuple.service().map_or_else(String::new, |service| service.to_string());
        if let Some(gone) = gone {
            let number = gone.rule.id().number();
            return (
                format!(
                    "because policy {} took rule {number} away ({})",
                    gone.version,
                    gone.rule.parts().reason
                ),
                "`loadlock policy diff` shows what else changed; `loadlock policy rollback --reason …` undoes it, `loadlock allow` permits \
                     this alone for a time"
                    .to_owned(),
            );
        }
        let nearest = key.and_then(|key| key.nearest(&self.state.policy, 1).into_iter().next());
        let cause = match nearest {
            Some(nearest) => format!("no rule permits it; nearest is {nearest}"),
            None => "no rule is like it".to_owned(),
        };
        let client = AddressText(tuple.client);
        let server = AddressText(tuple.server);
        let next = format!(
            "if it is needed: `loadlock allow {client} {server} {service} --segment {segment} --for 8h --reason …`; if nobody knows it, \
             ask who runs the client before anything is permitted"
        );
        (cause, next)
    }
}

/// An address as a verb takes it.
struct AddressText(Network);

impl std::fmt::Display for AddressText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Network::Ip(address) => address.fmt(f),
            Network::Link { mac, .. } => mac.fmt(f),
        }
    }
}
