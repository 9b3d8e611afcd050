//! What changes between two policies, in meaning.

use std::collections::HashSet;

use crate::document::contains;
use crate::merge::BySubject;
use crate::policy::Policy;
use crate::rule::{Opens, Rule};
use crate::vlan::VlanMatch;

/// The difference of two policies; rules in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference<'p> {
    /// Permit what nothing like it permitted before.
    pub added: Vec<&'p Rule>,
    /// Permitted what nothing like it permits now.
    pub removed: Vec<&'p Rule>,
    /// Permit more than a rule before; that one second, `None` where a denial has gone.
    pub widened: Vec<(&'p Rule, Option<&'p Rule>)>,
    /// Permit less than a rule before; that one second, `None` for a new denial.
    pub narrowed: Vec<(&'p Rule, Option<&'p Rule>)>,
    /// New, and within what another rule of the new policy permits; that one second.
    pub shadowed: Vec<(&'p Rule, &'p Rule)>,
}

/// Beyond so many comparisons of what was removed with what was added, pairs aren't looked for: they are then added and removed.
const COMPARISONS_MAX: usize = 20_000_000;

/// True if `outer` permits everything that `inner` does.
#[must_use]
pub fn permits_all_of(outer: &Rule, inner: &Rule) -> bool {
    let (wide, tight) = (outer.parts(), inner.parts());
    let (options, wanted) = (outer.options(), inner.options());
    wide.segment == tight.segment
        && (wide.vlans == VlanMatch::Any || wide.vlans == tight.vlans)
        && contains(wide.client, tight.client)
        && contains(wide.server, tight.server)
        && (wide.client_side.is_none() || wide.client_side == tight.client_side)
        && wide.service.common(tight.service) == Some(tight.service)
        && options.client_opens >= wanted.client_opens
        && options.server_opens >= wanted.server_opens
        && options.midstream >= wanted.midstream
}

impl Policy {
    /// What changes from this policy to `new`. Linear, but for rules that aren't in both: those are compared with one another, up to
    /// a bound.
    #[must_use]
    pub fn difference<'p>(&'p self, new: &'p Self) -> Difference<'p> {
        let mut difference = Difference::default();
        let mut before: HashSet<BySubject<'p>> = self.rules().iter().map(BySubject).collect();
        let mut added = Vec::new();
        for rule in new.rules() {
            match before.take(&BySubject(rule)).map(|old| old.0) {
                Some(old) if old.options() == rule.options() => {}
                Some(old) if permits_all_of(rule, old) => {
                    difference.widened.push((rule, Some(old)))
                }
                Some(old) => difference.narrowed.push((rule, Some(old))),
                None if rule.parts().opens == Opens::Nobody => {
                    difference.narrowed.push((rule, None))
                }
                None => added.push(rule),
            }
        }
        let mut removed: Vec<&Rule> = before.into_iter().map(|old| old.0).collect();
        removed.sort_by_key(|rule| rule.id());
        let (holes, removed): (Vec<&Rule>, Vec<&Rule>) =
            removed.into_iter().partition(|rule| rule.parts().opens == Opens::Nobody);
        difference.widened.extend(holes.into_iter().map(|hole| (hole, None)));
        pair(&mut difference, added, removed);
        find_shadowed(&mut difference, new);
        difference
    }
}

/// Tells a rule that replaces another from one that is new.
fn pair<'p>(difference: &mut Difference<'p>, added: Vec<&'p Rule>, removed: Vec<&'p Rule>) {
    if added.len().saturating_mul(removed.len()) > COMPARISONS_MAX {
        (difference.added, difference.removed) = (added, removed);
        return;
    }
    let mut replaced = HashSet::new();
    for rule in added {
        let wider = removed.iter().filter(|old| permits_all_of(rule, old));
        let wider: Vec<_> = wider.collect();
        if let Some(first) = wider.first() {
            difference.widened.push((rule, Some(first)));
            replaced.extend(wider.iter().map(|old| old.id()));
            continue;
        }
        match removed.iter().find(|old| permits_all_of(old, rule)) {
            Some(old) => {
                difference.narrowed.push((rule, Some(old)));
                replaced.insert(old.id());
            }
            None => difference.added.push(rule),
        }
    }
    difference.removed = removed.into_iter().filter(|old| !replaced.contains(&old.id())).collect();
}

/// New rules that add nothing: only general rules can be the cause, of which there are few.
fn find_shadowed<'p>(difference: &mut Difference<'p>, new: &'p Policy) {
    let is_general = |rule: &&Rule| {
        let mut blocks = 0;
        let mut is_exact = true;
        rule.each_block(|block| {
            blocks += 1;
            let bits = if block.shape.narrow { 32 } else { 128 };
            is_exact &= block.shape.client_prefix == bits
                && block.shape.server_prefix == bits
                && block.shape.service_prefix == 16
                && block.shape.vlans_exact;
        });
        !is_exact || blocks > 1
    };
    let general: Vec<&Rule> = new
        .rules()
        .iter()
        .filter(|rule| rule.parts().opens != Opens::Nobody)
        .filter(is_general)
        .collect();
    if general.len().saturating_mul(difference.added.len()) > COMPARISONS_MAX {
        return;
    }
    let added = std::mem::take(&mut difference.added);
    for rule in added {
        let cause =
            general.iter().find(|wide| wide.id() != rule.id() && permits_all_of(wide, rule));
        match cause {
            Some(wide) => difference.shadowed.push((rule, wide)),
            None => difference.added.push(rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Policy, PolicyFile};

    fn policy(rules: &[(u32, &str, &str, &str, &str)]) -> Policy {
        let rules = rules.iter().map(|(id, client, server, service, opens)| {
            format!(
                "[[rule]]\nid = {id}\nsegment = \"fab\"\nclient = \"{client}\"\nserver = \"{server}\"\nservice = \"{service}\"\n\
                 opens = \"{opens}\"\nreason = \"r\"\n"
            )
        });
        PolicyFile::parse(&format!("format = 1\n{}", rules.collect::<String>()), "t")
            .expect("valid")
    }

    #[test]
    fn a_difference_speaks_in_meaning() {
        let old = policy(&[
            (1, "10.0.0.1", "10.0.1.1", "tcp/1", "client"),
            (2, "10.0.0.2", "10.0.1.1", "tcp/1", "client"),
            (3, "10.0.0.3", "10.0.1.1", "tcp/1", "client"),
            (4, "10.0.2.0/24", "10.0.1.1", "tcp/1", "client"),
            (5, "10.0.0.5", "10.0.1.1", "tcp/1", "both"),
            (6, "10.0.0.6", "10.0.1.1", "tcp/1", "client"),
        ]);
        let new = policy(&[
            (1, "10.0.0.1", "10.0.1.1", "tcp/1", "client"),
            (2, "10.0.0.2", "10.0.1.1", "tcp/1", "both"),
            (5, "10.0.0.5", "10.0.1.1", "tcp/1", "client"),
            (7, "10.0.0.3", "10.0.1.1", "tcp/1-8", "client"),
            (8, "10.0.2.9", "10.0.1.1", "tcp/1", "client"),
            (9, "10.0.0.9", "10.0.1.1", "tcp/9", "client"),
            (10, "any", "10.0.1.2", "udp/53", "client"),
            (11, "10.0.0.9", "10.0.1.2", "udp/53", "client"),
            (12, "10.0.0.8", "10.0.1.2", "udp/53", "nobody"),
        ]);
        let difference = old.difference(&new);
        let ids = |rules: Vec<&crate::Rule>| -> Vec<u32> {
            rules.iter().map(|rule| rule.id().number()).collect()
        };
        let firsts = |pairs: &[(&crate::Rule, Option<&crate::Rule>)]| -> Vec<(u32, Option<u32>)> {
            let number = |rule: &crate::Rule| rule.id().number();
            pairs.iter().map(|(a, b)| (number(a), b.map(number))).collect()
        };
        assert_eq!(ids(difference.added.clone()), [9, 10]);
        assert_eq!(ids(difference.removed.clone()), [6]);
        assert_eq!(firsts(&difference.widened), [(2, Some(2)), (7, Some(3))]);
        assert_eq!(firsts(&difference.narrowed), [(5, Some(5)), (12, None), (8, Some(4))]);
        let shadowed: Vec<_> =
            difference.shadowed.iter().map(|(a, b)| (a.id().number(), b.id().number())).collect();
        assert_eq!(shadowed, [(11, 10)]);
        assert_eq!(new.difference(&new), Default::default());
    }
}
