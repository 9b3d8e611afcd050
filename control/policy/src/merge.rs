//! Joining learned rules to a policy without renumbering what is there.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use loadlock_exchange::RuleId;
use loadlock_packet::{MacAddress, Side, VlanStack};

use crate::address::AddressMatch;
use crate::binding::Binding;
use crate::error::PolicyErrors;
use crate::policy::Policy;
use crate::rule::{Rule, RuleParts};
use crate::service::Service;
use crate::vlan::VlanMatch;

/// What a rule is about, without number, text and options.
pub(crate) type Subject<'a> =
    (&'a str, VlanMatch, AddressMatch, Option<Side>, AddressMatch, Service);

pub(crate) fn subject(rule: &Rule) -> Subject<'_> {
    let RuleParts { segment, vlans, client, client_side, server, service, .. } = rule.parts();
    (segment, *vlans, *client, *client_side, *server, *service)
}

/// A rule in a set of what rules are about: eight bytes, where its subject takes ninety.
#[derive(Clone, Copy)]
pub(crate) struct BySubject<'p>(pub &'p Rule);

impl PartialEq for BySubject<'_> {
    fn eq(&self, other: &Self) -> bool {
        subject(self.0) == subject(other.0)
    }
}

impl Eq for BySubject<'_> {}

impl Hash for BySubject<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        subject(self.0).hash(state);
    }
}

/// Start of the reason of every rule that the learner makes.
const LEARNED: &str = "learned";

/// True for a rule that the learner made.
pub(crate) fn is_learned(rule: &Rule) -> bool {
    rule.parts().owner.is_none() && rule.parts().reason.starts_with(LEARNED)
}

impl Policy {
    /// This policy with the learned rules of the segments that are learning, as they are now in `learned`.
    ///
    /// A learned rule that has an entry of the allowlist in common with a person's rule is left out: the person's decides.
    /// A rule that stays keeps its number; new ones are numbered from the highest on. In a learning segment, learned
    /// rules that `learned` doesn't have any more go, and rules that a person wrote stay as they are. Segments that aren't
    /// learning stay untouched, but for the rules `of_device`: those of single devices that learn.
    ///
    /// # Errors
    /// The policy's limits: too many rules or shapes.
    pub fn with_learned(
        &self,
        learned: &Policy,
        is_learning: impl Fn(&str) -> bool + Copy,
        of_device: impl Fn(&Rule) -> bool,
    ) -> Result<Policy, PolicyErrors> {
        let learns = |rule: &Rule| is_learning(&rule.parts().segment) || of_device(rule);
        let mut found: HashSet<BySubject<'_>> =
            learned.rules().iter().filter(|rule| learns(rule)).map(BySubject).collect();
        let mut rules = Vec::with_capacity(self.rules().len() + found.len());
        for rule in self.rules() {
            match found.take(&BySubject(rule)).map(|new| new.0) {
                Some(new) if is_learned(rule) => rules.push(new.clone().with_id(rule.id())),
                Some(_) => rules.push(rule.clone()),
                None if is_learned(rule) && learns(rule) => {}
                None => rules.push(rule.clone()),
            }
        }
        let highest = self.rules().last().map_or(0, |rule| rule.id().number());
        // A person's rule may cover a learned one in other words: both sides, a range of ports.
        let mut covered = HashSet::new();
        for rule in self.rules().iter().filter(|rule| !is_learned(rule)) {
            rule.each_block(|block| {
                covered.insert((&*rule.parts().segment, block));
            });
        }
        let mut new: Vec<&Rule> = found.into_iter().map(|new| new.0).collect();
        new.retain(|rule| {
            let mut is_covered = false;
            rule.each_block(|block| {
                is_covered |= covered.contains(&(&*rule.parts().segment, block))
            });
            !is_covered
        });
        new.sort_unstable_by_key(|rule| rule.id());
        let numbers = (highest + 1..).map_while(RuleId::new);
        rules.extend(numbers.zip(new).map(|(id, rule)| rule.clone().with_id(id)));
        let bindings = self.bindings_with_learned(learned, is_learning);
        Policy::from_rules(rules, "learned rules")?.with_bindings(bindings, "learned bindings")
    }

    /// Learned bindings of learning segments are those of `learned`, unless a person's say otherwise; all others stay.
    fn bindings_with_learned(
        &self,
        learned: &Policy,
        is_learning: impl Fn(&str) -> bool,
    ) -> Vec<Binding> {
        let stays =
            |binding: &&Binding| !(binding.is_learned() && is_learning(&binding.parts().segment));
        let own = self.bindings().iter().filter(stays).cloned().collect();
        let learned = learned.bindings().iter();
        joined(own, learned.filter(|binding| is_learning(&binding.parts().segment)))
    }
}

/// `own`, and those of `others` that say nothing else of the same address or station.
pub(crate) fn joined<'a>(
    mut own: Vec<Binding>,
    others: impl Iterator<Item = &'a Binding>,
) -> Vec<Binding> {
    let subjects: HashSet<_> = own.iter().map(Binding::subject).collect();
    let sides: HashMap<_, _> =
        own.iter().filter_map(|binding| Some((station(binding)?, binding.parts().side))).collect();
    let fits = |binding: &&Binding| {
        let moved = station(binding)
            .and_then(|station| sides.get(&station))
            .is_some_and(|side| *side != binding.parts().side);
        !subjects.contains(&binding.subject()) && !moved
    };
    let new: Vec<Binding> = others.filter(fits).cloned().collect();
    own.extend(new);
    own
}

fn station(binding: &Binding) -> Option<(&str, VlanStack, MacAddress)> {
    let parts = binding.parts();
    Some((&parts.segment, parts.vlans, parts.mac?))
}

#[cfg(test)]
mod tests {
    use crate::{Policy, PolicyFile};

    fn policy(rules: &[(u32, &str, &str, &str)]) -> Policy {
        let text: String = rules
            .iter()
            .map(|(id, segment, service, reason)| {
                format!(
                    "[[rule]]\nid = {id}\nsegment = \"{segment}\"\nvlan = \"untagged\"\nclient = \"10.0.0.1\"\nclient_side = \"a\"\n\
                     server = \"10.0.0.2\"\nservice = \"{service}\"\nreason = \"{reason}\"\n"
                )
            })
            .collect();
        PolicyFile::parse(&format!("format = 1\n{text}"), "test").expect("valid")
    }

    fn lines(policy: &Policy) -> Vec<(u32, String)> {
        let line = |rule: &crate::Rule| {
            (rule.id().number(), format!("{} {}", rule.parts().service, rule.parts().reason))
        };
        policy.rules().iter().map(line).collect()
    }

    #[test]
    fn numbers_stay_and_new_rules_come_behind() {
        let old = policy(&[
            (1, "fab", "tcp/1", "learned; assumed"),
            (2, "fab", "tcp/2", "by hand"),
            (5, "fab", "tcp/5", "learned; gone now"),
            (6, "ward", "tcp/6", "learned; not learning"),
        ]);
        let learned = policy(&[
            (1, "fab", "tcp/9", "learned; new"),
            (2, "fab", "tcp/2", "learned; hand-written is kept"),
            (3, "fab", "tcp/1", "learned; handshake"),
            (4, "ward", "tcp/7", "learned; not learning"),
        ]);
        let merged =
            old.with_learned(&learned, |segment| segment == "fab", |_| false).expect("valid");
        assert_eq!(
            lines(&merged),
            [
                (1, "tcp/1 learned; handshake".to_owned()),
                (2, "tcp/2 by hand".to_owned()),
                (6, "tcp/6 learned; not learning".to_owned()),
                (7, "tcp/9 learned; new".to_owned()),
            ]
        );
    }

    #[test]
    fn what_a_person_wrote_for_both_sides_covers_what_is_learned_for_one() {
        let text = "format = 1\n[[rule]]\nsegment = \"fab\"\nclient = \"10.0.0.1\"\nserver = \"10.0.0.2\"\n\
                    service = \"tcp/2\"\nreason = \"by hand\"";
        let old = PolicyFile::parse(text, "test").expect("valid");
        let learned =
            policy(&[(1, "fab", "tcp/2", "learned; same"), (2, "fab", "tcp/3", "learned; new")]);
        let merged = old.with_learned(&learned, |_| true, |_| false).expect("no conflict");
        let expected = [(1, "tcp/2 by hand".to_owned()), (2, "tcp/3 learned; new".to_owned())];
        assert_eq!(lines(&merged), expected);
    }
}
