//! Answers to why: rules, candidates, convictions.

use loadlock_api::{BackendError, Explanation, ExplanationKind, ExplanationQuery, Listing, Time};
use loadlock_exchange::RuleId;
use loadlock_learn::{Candidate, Decisions, Tuple};
use loadlock_packet::Network;
use loadlock_policy::{AddressMatch, Rule, VlanMatch};

use crate::core::Core;

impl Core {
    /// Explains what the query asks about. Weighs all evidence anew.
    pub(crate) fn explain(
        &self,
        query: &ExplanationQuery,
    ) -> Result<Listing<Explanation>, BackendError> {
        let decisions = self.decide();
        let found = match query.kind {
            ExplanationKind::Rule => vec![self.explain_rule(&decisions, &query.subject)?],
            ExplanationKind::Candidate => self.explain_candidates(&decisions, &query.subject),
            ExplanationKind::Conviction => convictions(&decisions, &query.subject),
        };
        if found.is_empty() {
            return Err(BackendError::Conflict {
                reason: format!("there is no {} \"{}\"", query.kind.name(), query.subject),
                next_step: match query.kind {
                    ExplanationKind::Rule => "`loadlock rules list` has the numbers",
                    ExplanationKind::Candidate => {
                        "give client, server and service, or some of them; none at all lists every candidate"
                    }
                    ExplanationKind::Conviction => {
                        "give the address of a convicted source; none at all lists every conviction"
                    }
                }
                .to_owned(),
            });
        }
        Ok(Listing::take(found, query.limit))
    }

    fn explain_rule(
        &self,
        decisions: &Decisions,
        subject: &str,
    ) -> Result<Explanation, BackendError> {
        let id = subject.trim().parse().ok().and_then(RuleId::new);
        let rule = id.and_then(|id| self.state.policy.rule(id));
        let rule = rule.ok_or_else(|| BackendError::Conflict {
            reason: format!("the policy in force has no rule \"{subject}\""),
            next_step: "`loadlock rules list` has the numbers".to_owned(),
        })?;
        let is_about = |candidate: &&Candidate| self.is_rule_of(rule, &candidate.tuple);
        let candidate = decisions.candidates.iter().find(is_about);
        let explained = candidate
            .and_then(|candidate| decisions.explain(&candidate.tuple, &self.admission()))
            .map(of_learning);
        let explanation = explained.unwrap_or_else(|| Explanation {
            subject: String::new(),
            decision: "in force".to_owned(),
            reasons: Vec::new(),
            evidence: vec!["none of its own that is still known".to_owned()],
            would_change: vec!["a person's decision".to_owned()],
            owner: None,
            first_used: None,
            last_used: None,
        });
        let text = rule.parts().reason.to_string();
        Ok(Explanation {
            subject: format!("rule {}: {}", rule.id().number(), rule.words()),
            reasons: std::iter::once(text).chain(explanation.reasons).collect(),
            owner: rule.parts().owner.as_ref().map(ToString::to_string),
            ..explanation
        })
    }

    /// True if the rule is the one of this tuple, or a range that it falls into.
    fn is_rule_of(&self, rule: &Rule, tuple: &Tuple) -> bool {
        let parts = rule.parts();
        let host = |network: Network| match network {
            Network::Ip(address) => AddressMatch::Ip(loadlock_policy::Prefix::host(address)),
            Network::Link { mac, .. } => AddressMatch::Mac(mac),
        };
        let segment = self.settings.segments.get(tuple.segment.index());
        let (first, last) = parts.service.range();
        segment.is_some_and(|segment| segment.name.as_str() == &*parts.segment)
            && parts.vlans == VlanMatch::Exactly(tuple.vlans)
            && parts.client == host(tuple.client)
            && parts.server == host(tuple.server)
            && parts.client_side.is_none_or(|side| side == tuple.client_side)
            && tuple.service().is_some_and(|own| own.protocol() == parts.service.protocol())
            && (first..=last).contains(&tuple.service)
    }

    fn explain_candidates(&self, decisions: &Decisions, subject: &str) -> Vec<Explanation> {
        let words: Vec<String> = words(subject).map(str::to_owned).collect();
        let fits = |candidate: &&Candidate| {
            let own = candidate.tuple.to_string();
            words.iter().all(|word| self::words(&own).any(|own| own == word))
        };
        let settings = self.admission();
        let found = decisions.candidates.iter().filter(fits);
        found
            .filter_map(|candidate| decisions.explain(&candidate.tuple, &settings))
            .map(of_learning)
            .collect()
    }
}

/// The parts of a tuple's text, however they are joined: `10.0.1.11 → 10.0.2.1 tcp/5000`, `10.0.1.11 > 10.0.2.1 tcp/5000`.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let joints = |character: char| character.is_whitespace() || "→>,".contains(character);
    text.split(joints).filter(|word| !word.is_empty() && *word != "-")
}

fn convictions(decisions: &Decisions, subject: &str) -> Vec<Explanation> {
    let wanted = subject.trim();
    let found = decisions.convictions.iter();
    let found = found.filter(|found| wanted.is_empty() || found.source.address() == wanted);
    found.filter_map(|found| decisions.explain_conviction(&found.source)).map(of_learning).collect()
}

fn of_learning(explanation: loadlock_learn::Explanation) -> Explanation {
    let loadlock_learn::Explanation { subject, decision, reasons, evidence, would_change, used_ns } =
        explanation;
    let used = used_ns.map(|(first, last)| [first, last].map(Time::from_ns));
    Explanation {
        subject,
        decision,
        reasons,
        evidence,
        would_change,
        owner: None,
        first_used: used.map(|[first, _]| first),
        last_used: used.map(|[_, last]| last),
    }
}
