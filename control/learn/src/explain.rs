//! Every decision in words: what, why, on what evidence, and what would change it.

use loadlock_packet::Side;

use crate::admission::AdmissionSettings;
use crate::candidate::{Candidate, Decisions, Hold, Outcome};
use crate::evidence::Evidence;
use crate::key::{Device, Tuple};
use crate::suspicion::{Charge, Conviction};

/// An explanation, as data: programs take the lines apart, people read them one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What it is about.
    pub subject: String,
    /// What was decided, in one word.
    pub decision: String,
    /// Why.
    pub reasons: Vec<String>,
    /// On what.
    pub evidence: Vec<String>,
    /// What would change it.
    pub would_change: Vec<String>,
    /// First and last use, ns since 1970, if there was any.
    pub used_ns: Option<(u64, u64)>,
}

/// What is held, in words.
pub(crate) fn hold_words(hold: Hold) -> String {
    match hold {
        Hold::Management(class) => {
            format!("{} across zones is never admitted without a person", class.words())
        }
        Hold::Suspicion => "it was first seen while its source's first contacts failed".to_owned(),
        Hold::Identity(mac) => {
            format!("another station, {mac}, spoke with the client's address")
        }
        Hold::FanOut { servers } => {
            format!(
                "its client asks {servers} servers for the same, hardly a few packets each: that looks like a scan"
            )
        }
        Hold::RareServer { users, role } => {
            format!(
                "only {users} of {role} devices of the role use this server, and nobody else does"
            )
        }
        Hold::ConvictedFirst { sources } => {
            format!("{sources} convicted sources used this server before anybody else did")
        }
        Hold::Declined => "a person refused it".to_owned(),
    }
}

/// Why something is admitted, without figures that change every day: it is part of a rule's text.
pub(crate) fn ground_words(candidate: &Candidate) -> &'static str {
    let grounds = &candidate.grounds;
    if grounds.approved {
        "approved by a person"
    } else if grounds.declared {
        "declared by the supplier"
    } else if grounds.by_role {
        "most of its role does it, on several days; not seen on the device itself"
    } else if candidate.evidence.is_some_and(|evidence| evidence.days.count() >= 2) {
        "on several days"
    } else if grounds.peers >= 2 {
        "role peers do the same"
    } else if grounds.period_s.is_some() {
        "strictly periodic"
    } else {
        "answered, in a learning time of a week at most"
    }
}

fn evidence_words(tuple: &Tuple, evidence: &Evidence) -> Vec<String> {
    let [client, server] = match tuple.client_side {
        Side::A => [0, 1],
        Side::B => [1, 0],
    };
    let mut words = vec![
        format!(
            "{} conversations on {} days, {} packets from the client and {} from the server",
            evidence.conversations,
            evidence.days.count(),
            evidence.packets[client],
            evidence.packets[server]
        ),
        format!(
            "direction: {} (confidence: {})",
            evidence.settled_basis().reason().trim_start_matches("learned; "),
            evidence.settled_basis().confidence()
        ),
    ];
    if let Some(gap) = evidence.days.longest_gap().filter(|gap| *gap > 1) {
        words.push(format!("longest time between two days of use: {gap} days"));
    }
    if !evidence.answered {
        words.push("nobody answered it".to_owned());
    }
    words
}

impl Decisions {
    /// Explains what became of a tuple; `None` if nothing is known of it.
    #[must_use]
    pub fn explain(&self, tuple: &Tuple, settings: &AdmissionSettings) -> Option<Explanation> {
        let at = self.candidates.binary_search_by_key(tuple, |candidate| candidate.tuple).ok()?;
        let candidate = &self.candidates[at];
        let mut reasons = self.reasons(candidate, settings);
        for role in candidate.roles.into_iter().flatten() {
            let members = self.roles.members(role.into()).len();
            reasons.push(format!("role: {} ({members} devices)", self.roles.name(role.into())));
        }
        let evidence = candidate.evidence;
        Some(Explanation {
            subject: tuple.to_string(),
            decision: match candidate.outcome {
                Outcome::Admitted => "admitted",
                Outcome::Held => "held",
                Outcome::Waiting => "waiting",
                Outcome::Withdrawn => "withdrawn",
            }
            .to_owned(),
            reasons,
            evidence: evidence.map_or_else(
                || vec!["none of its own: it follows from its role".to_owned()],
                |evidence| evidence_words(tuple, &evidence),
            ),
            would_change: self.would_change(candidate, settings),
            used_ns: evidence.map(|evidence| (evidence.first_seen_ns, evidence.last_seen_ns)),
        })
    }

    fn reasons(&self, candidate: &Candidate, settings: &AdmissionSettings) -> Vec<String> {
        let grounds = &candidate.grounds;
        let mut reasons = Vec::new();
        if let Some(hold) = candidate.hold {
            reasons.push(hold_words(hold));
        }
        if candidate.outcome == Outcome::Withdrawn {
            let source = candidate.tuple.client_device();
            reasons.push(format!(
                "its source {} was convicted, and it came in from {} on",
                source.address(),
                "the scan"
            ));
        }
        if grounds.recorded {
            reasons.push("everything seen is admitted (record-all)".to_owned());
        }
        if grounds.approved {
            reasons.push("approved by a person".to_owned());
        }
        if grounds.declared {
            reasons.push("declared by the supplier".to_owned());
        }
        if grounds.by_role {
            reasons.push(format!(
                "{} devices of its role, or of its network and vendor, do it",
                grounds.peers
            ));
        }
        if let Some(range) = candidate.range.and_then(|range| self.ranges.get(usize::from(range))) {
            let (first, last) = range.ports;
            reasons.push(format!("its port is negotiated by tcp/{}: {first}-{last}", range.parent));
        }
        if !grounds.by_role && !grounds.recorded {
            reasons.push(format!("days: {} of {} needed", grounds.days, settings.days_min));
            reasons.push(format!("role peers: {} of {} needed", grounds.peers, settings.peers_min));
            reasons.push(match grounds.period_s {
                Some(period) => format!("strictly periodic: every {period} s"),
                None => format!("not strictly periodic over {} cycles", settings.cycles_min),
            });
        }
        if !candidate.is_sound {
            reasons.push("it was never answered".to_owned());
        }
        if candidate.is_undetermined() {
            reasons.push(
                "it was met running, between two ports of no known service: who opens it isn't known"
                    .to_owned(),
            );
        }
        reasons
    }

    fn would_change(&self, candidate: &Candidate, settings: &AdmissionSettings) -> Vec<String> {
        let mut changes = Vec::new();
        match candidate.outcome {
            Outcome::Admitted => {
                changes
                    .push("a conviction of its source, if it came in during the scan".to_owned());
                changes.push("a person's refusal".to_owned());
            }
            Outcome::Held => changes.push("a person's approval, and nothing else".to_owned()),
            Outcome::Withdrawn => changes
                .push("a person who clears the source, or role peers who do the same".to_owned()),
            Outcome::Waiting => {
                if !candidate.is_sound {
                    changes.push("an answer".to_owned());
                }
                changes.push(format!(
                    "use on {} days, {} role peers with the same, {} strict cycles, a supplier's declaration, or a person's \
                     approval",
                    settings.days_min, settings.peers_min, settings.cycles_min
                ));
            }
        }
        changes
    }

    /// Explains why a source was convicted, and what that withdrew; `None` if it wasn't.
    #[must_use]
    pub fn explain_conviction(&self, source: &Device) -> Option<Explanation> {
        let conviction = self.convictions.iter().find(|found| found.source == *source)?;
        let mut evidence: Vec<String> = self
            .failed_contacts(conviction)
            .map(|tuple| format!("failed first contact: {tuple}"))
            .collect();
        let withdrawn = self.candidates.iter().filter(|candidate| {
            candidate.outcome == Outcome::Withdrawn && candidate.tuple.client_device() == *source
        });
        evidence.extend(withdrawn.map(|candidate| format!("withdrawn: {}", candidate.tuple)));
        Some(Explanation {
            subject: source.address(),
            decision: "convicted".to_owned(),
            reasons: vec![charge_words(conviction.charge)],
            evidence,
            would_change: vec![
                "answers to the contacts that failed".to_owned(),
                "a person who clears it".to_owned(),
            ],
            used_ns: Some((conviction.from_ns, conviction.at_ns)),
        })
    }

    fn failed_contacts<'d>(
        &'d self,
        conviction: &'d Conviction,
    ) -> impl Iterator<Item = Tuple> + 'd {
        // Facts are numbered in the order of tuples with evidence.
        let facts: Vec<Tuple> = self
            .candidates
            .iter()
            .filter(|candidate| candidate.evidence.is_some())
            .map(|candidate| candidate.tuple)
            .collect();
        conviction.failed.iter().filter_map(move |at| facts.get(*at as usize).copied())
    }
}

fn charge_words(charge: Charge) -> String {
    match charge {
        Charge::FailedContacts { failed } => format!(
            "{failed} of its first contacts failed, with too few successes between them: threshold random walk, false positives \
             1 %, detection 99 %"
        ),
        Charge::UnusedAddresses { tried } => {
            format!("it tried {tried} addresses from which nobody was ever heard")
        }
        Charge::FanOut { silent } => {
            format!("it asked {silent} servers for one service, and most didn't answer")
        }
        Charge::Lateral { servers } => {
            format!("it tried the file shares of {servers} machines, five of them within a day")
        }
        Charge::Pool { sources, failed } => format!(
            "{failed} first contacts of {sources} sources of its network failed: together they scan"
        ),
    }
}
