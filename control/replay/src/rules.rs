//! Rules: those given, those learned, and both joined into the policy in force.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use loadlock_exchange::{PolicyView, RuleId, Seed, SegmentPolicy};
use loadlock_policy::{
    AddressMatch, Opens, Policy, PolicyFile, Protocol, Rule, RuleParts, SegmentDefinition,
    VlanMatch,
};

use crate::error::ReplayError;
use crate::options::{RULE_CAPACITY, ReplayOptions, SEGMENT_DEFAULT};

/// The rules that a replay starts with.
pub(crate) struct Given {
    pub segment: Arc<str>,
    /// The rules and bindings of that segment.
    pub policy: Policy,
}

/// Reads the policy file, if there is one, and finds the segment that is replayed.
pub(crate) fn given(options: &ReplayOptions) -> Result<Given, ReplayError> {
    let chosen = options.segment.as_deref();
    let Some(file) = &options.policy else {
        let segment = chosen.unwrap_or(SEGMENT_DEFAULT).into();
        return Ok(Given { segment, policy: Policy::default() });
    };
    let policy = read(file)?;
    let of_rules = policy.rules().iter().map(|rule| rule.parts().segment.to_string());
    let of_bindings = policy.bindings().iter().map(|binding| binding.parts().segment.to_string());
    let mut segments: Vec<String> = of_rules.chain(of_bindings).collect();
    segments.sort_unstable();
    segments.dedup();
    let segment: Arc<str> = match (chosen, segments.as_slice()) {
        (Some(name), []) => name.into(),
        (Some(name), named) if named.iter().any(|segment| segment == name) => name.into(),
        (Some(name), _) => {
            let (file, segment) = (file.clone(), name.to_owned());
            return Err(ReplayError::SegmentAbsent { file, segment, segments });
        }
        (None, []) => SEGMENT_DEFAULT.into(),
        (None, [only]) => only.as_str().into(),
        (None, _) => return Err(ReplayError::SegmentOpen { file: file.clone(), segments }),
    };
    let policy = policy.of_segment(&segment).map_err(ReplayError::Policy)?;
    Ok(Given { segment, policy })
}

fn read(file: &Path) -> Result<Policy, ReplayError> {
    let text = fs::read_to_string(file)
        .map_err(|source| ReplayError::ReadPolicy { file: file.to_owned(), source })?;
    PolicyFile::parse(&text, &file.display().to_string()).map_err(ReplayError::Policy)
}

/// Given and learned rules together.
#[derive(Debug)]
pub(crate) struct Joined {
    pub policy: Policy,
    /// Rules that learning added, or earlier learned ones that it widened.
    pub learned: Vec<RuleId>,
    /// Learned rules left out, because a person's rule decides about the same conversations.
    pub left_out: Vec<String>,
}

impl Joined {
    /// Nothing is learned yet.
    pub fn only_given(given: &Policy) -> Self {
        Self { policy: given.clone(), learned: Vec::new(), left_out: Vec::new() }
    }
}

/// Adds learned rules to the given ones, which keep their numbers. What a person's rule is about, it decides alone, as in
/// [`Policy::with_learned`]; but unlike there nothing given goes, since what one capture doesn't show isn't gone. A rule that
/// was learned earlier is widened: who opens it, and whether it may be met running.
pub(crate) fn join(given: &Policy, learned: &Policy) -> Result<Joined, ReplayError> {
    let bindings = || given.bindings().to_vec();
    if given.rules().is_empty() {
        let policy =
            learned.clone().with_bindings(bindings(), "policy").map_err(ReplayError::Join)?;
        let learned = policy.rules().iter().map(Rule::id).collect();
        return Ok(Joined { policy, learned, left_out: Vec::new() });
    }
    let mut rules = given.rules().to_vec();
    let mut alike: HashMap<Ends, Vec<usize>> = HashMap::new();
    for (at, rule) in rules.iter().enumerate() {
        alike.entry(ends(rule.parts())).or_default().push(at);
    }
    let mut taken: HashSet<RuleId> = rules.iter().map(Rule::id).collect();
    let mut free = (1..).map_while(RuleId::new);
    let mut added = Vec::new();
    let mut left_out = Vec::new();
    for rule in learned.rules() {
        let alike = alike.get(&ends(rule.parts())).map_or(&[][..], Vec::as_slice);
        let given = alike.iter().copied().find(|&at| overlap(rules[at].parts(), rule.parts()));
        let (at, parts) = match given {
            Some(at) if may_widen(rules[at].parts(), rule.parts()) => {
                (Some(at), widened(rules[at].parts(), rule.parts()))
            }
            Some(_) => {
                left_out.push(rule.words());
                continue;
            }
            None => {
                let id = free.by_ref().find(|id| !taken.contains(id)).unwrap_or(rule.id());
                (None, RuleParts { id, ..rule.parts().clone() })
            }
        };
        taken.insert(parts.id);
        added.push(parts.id);
        // The parts are those of two valid rules, so that this can't fail; if it did, the rule is left out.
        match (at, Rule::new(parts)) {
            (Some(at), Ok(rule)) => rules[at] = rule,
            (None, Ok(rule)) => rules.push(rule),
            (_, Err(_)) => left_out.push(rule.words()),
        }
    }
    let policy = Policy::from_rules(rules, "joined policy")
        .and_then(|policy| policy.with_bindings(bindings(), "policy"))
        .map_err(ReplayError::Join)?;
    Ok(Joined { policy, learned: added, left_out })
}

type Ends = (AddressMatch, AddressMatch, VlanMatch, Protocol, [u8; 3]);

fn ends(parts: &RuleParts) -> Ends {
    let service = parts.service;
    (parts.client, parts.server, parts.vlans, service.protocol(), service.oui())
}

/// True if the allowlist may have a common entry for both, whose ends are the same.
fn overlap(given: &RuleParts, learned: &RuleParts) -> bool {
    let (first, last) = given.service.range();
    let (learned_first, learned_last) = learned.service.range();
    let sides = |a: &RuleParts, b: &RuleParts| match (a.client_side, b.client_side) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    given.segment == learned.segment
        && first <= learned_last
        && learned_first <= last
        && sides(given, learned)
}

/// True if the given rule was itself learned, and widening it permits nothing but what was learned now.
fn may_widen(given: &RuleParts, learned: &RuleParts) -> bool {
    let was_learned = given.owner.is_none() && given.reason.starts_with(LEARNED);
    was_learned && given.service == learned.service && given.client_side == learned.client_side
}

fn widened(given: &RuleParts, learned: &RuleParts) -> RuleParts {
    RuleParts {
        opens: if given.opens == learned.opens { given.opens } else { Opens::Both },
        midstream: given.midstream || learned.midstream,
        ..given.clone()
    }
}

/// How the reason of every rule begins that the learner makes.
const LEARNED: &str = "learned";

/// A policy as the pipeline takes it.
pub(crate) struct InForce {
    image: loadlock_exchange::PolicyImage,
    header: loadlock_exchange::Policy,
    generation: u64,
}

impl InForce {
    /// Compiles rules for the one segment of a replay.
    pub fn compile(
        policy: &Policy,
        segment: &str,
        behaviour: SegmentPolicy,
        generation: u64,
    ) -> Result<Self, ReplayError> {
        // Fixed, since nobody can prepare collisions against a replay that he doesn't see, and the same capture must
        // give the same table.
        let seed = Seed([0x6c6f_6164_6c6f_636b, 0x7265_706c_6179_2031]);
        let segments = [SegmentDefinition { name: segment.to_owned(), policy: behaviour }];
        let image = policy
            .compile(&segments, generation, seed, RULE_CAPACITY)
            .map_err(ReplayError::Compile)?;
        let header = loadlock_exchange::Policy::read(image.words())
            .unwrap_or_else(|_| loadlock_exchange::Policy::none());
        Ok(Self { image, header, generation })
    }

    /// What the pipeline asks.
    #[inline]
    pub fn view(&self) -> PolicyView<'_> {
        self.header.view(self.image.words(), self.generation)
    }
}
