//! From what was written to a [`Policy`]: every mistake is noted, none ends the reading.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use loadlock_exchange::{RULES_MAX, RuleId, SHAPES_MAX, Shape};
use loadlock_packet::Side;

use crate::address::AddressMatch;
use crate::binding::{self, Binding};
use crate::block::Block;
use crate::error::{PolicyError, PolicyErrors, Problem, Refused};
use crate::file::{BindingFile, FILE_FORMAT, PolicyFile, RuleFile, VlanFile};
use crate::policy::Policy;
use crate::rule::{Opens, Rule, RuleParts};
use crate::service::Service;
use crate::vlan::VlanMatch;

/// Where rules stand in their file; lines count from 1.
pub(crate) trait Places {
    /// Line of a rule's key, or of its header if it lacks the key.
    fn line(&self, rule: usize, key: &str) -> Option<usize>;
    /// Line of a binding's key, or of its header if it lacks the key.
    fn binding_line(&self, binding: usize, key: &str) -> Option<usize>;
}

/// For rules that aren't in a text.
pub(crate) struct NoPlaces;

impl Places for NoPlaces {
    fn line(&self, _rule: usize, _key: &str) -> Option<usize> {
        None
    }

    fn binding_line(&self, _binding: usize, _key: &str) -> Option<usize> {
        None
    }
}

/// Collects the mistakes of one file.
pub(crate) struct Findings<'a, P> {
    pub place: &'a str,
    pub places: P,
    pub errors: Vec<PolicyError>,
    /// Keys that are there with a value of another type, which was reported; they aren't missing.
    pub mistyped: HashSet<(usize, &'static str)>,
    /// The same of bindings.
    pub mistyped_bindings: HashSet<(usize, &'static str)>,
}

impl<'a, P: Places> Findings<'a, P> {
    /// No mistake yet.
    pub fn new(place: &'a str, places: P) -> Self {
        let (mistyped, mistyped_bindings) = (HashSet::new(), HashSet::new());
        Self { place, places, errors: Vec::new(), mistyped, mistyped_bindings }
    }

    /// Notes a mistake in a key of the rule with this index; an empty key is the rule as a whole.
    pub fn report(&mut self, rule: usize, key: &str, problem: Problem) {
        let line = self.places.line(rule, key);
        let point = if key.is_empty() { "" } else { "." };
        let key = format!("rule[#{}]{point}{key}", rule + 1);
        self.errors.push(PolicyError { place: self.place.to_owned(), line, key, problem });
    }

    /// Notes a mistake in a key of the binding with this index.
    pub fn report_binding(&mut self, binding: usize, key: &str, problem: Problem) {
        let line = self.places.binding_line(binding, key);
        let key = format!("binding[#{}].{key}", binding + 1);
        self.errors.push(PolicyError { place: self.place.to_owned(), line, key, problem });
    }

    /// Notes a mistake of the file as a whole.
    pub fn report_file(&mut self, line: Option<usize>, key: &str, problem: Problem) {
        let (place, key) = (self.place.to_owned(), key.to_owned());
        self.errors.push(PolicyError { place, line, key, problem });
    }
}

/// A text of the file for a message: without control characters, at most 80 characters long.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 80;
    let shown = |character: char| {
        if character.is_control() { '\u{fffd}' } else { character }
    };
    let mut excerpt: String = text.chars().take(CHARACTERS_MAX).map(shown).collect();
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// [`PolicyFile::validate`].
pub(crate) fn without_lines(file: PolicyFile, place: &str) -> Result<Policy, PolicyErrors> {
    let mut findings = Findings::new(place, NoPlaces);
    if file.format != FILE_FORMAT {
        let problem = Problem::Format { found: Some(file.format.to_string()) };
        findings.report_file(None, "format", problem);
    }
    policy(file.rule, file.binding, findings)
}

/// A canonical text without a mistake; `None` for any other. Its rules become valid ones one by one: what is written takes three times the
/// room of what it says.
pub(crate) fn canonical(text: &str, bindings: Vec<BindingFile>, place: &str) -> Option<Policy> {
    let mut findings = Findings::new(place, NoPlaces);
    let (mut texts, mut rules) = (Texts::default(), Vec::new());
    crate::canonical::read(text, |rule| {
        let id = rule.id.and_then(|id| RuleId::new(u32::try_from(id).ok()?))?;
        rules.push(one(rule, rules.len(), id, &mut texts, &mut findings)?);
        Some(())
    })?;
    rules.shrink_to_fit();
    let policy = together(rules, place).ok()?;
    let bindings = binding::validate(bindings, &mut findings);
    findings.errors.is_empty().then(|| Policy::from_checked(policy.into_rules(), bindings))
}

/// [`Policy::with_bindings`].
pub(crate) fn bindings_together(bindings: &[Binding], place: &str) -> Result<(), PolicyErrors> {
    let mut findings = Findings::new(place, NoPlaces);
    let numbered: Vec<_> = bindings.iter().cloned().enumerate().collect();
    binding::refuse_contradictions(&numbered, &mut findings);
    PolicyErrors::from_list(findings.errors).map_or(Ok(()), Err)
}

/// [`Policy::from_rules`].
pub(crate) fn together(mut rules: Vec<Rule>, place: &str) -> Result<Policy, PolicyErrors> {
    let mut findings = Findings::new(place, NoPlaces);
    let ids: Vec<_> = rules.iter().map(|rule| Some(rule.id())).collect();
    refuse_repeated_ids(&ids, &mut findings);
    let numbered: Vec<_> = rules.iter().enumerate().collect();
    refuse_same_meaning(&numbered, &mut findings);
    match PolicyErrors::from_list(findings.errors) {
        Some(errors) => Err(errors),
        None => {
            rules.sort_by_key(Rule::id);
            Ok(Policy::from_checked(rules, Vec::new()))
        }
    }
}

/// Validates rules one by one and then together. Mistakes that `findings` has already count too.
pub(crate) fn policy<P: Places>(
    written: Vec<RuleFile>,
    bindings: Vec<BindingFile>,
    mut findings: Findings<'_, P>,
) -> Result<Policy, PolicyErrors> {
    let mut texts = Texts::default();
    let ids = ids(&written, &mut findings);
    let mut rules: Vec<(usize, Rule)> = Vec::with_capacity(written.len());
    for (index, (rule, id)) in written.into_iter().zip(&ids).enumerate() {
        if let Some(rule) = one(rule, index, *id, &mut texts, &mut findings) {
            rules.push((index, rule));
        }
    }
    let numbered: Vec<_> = rules.iter().map(|(index, rule)| (*index, rule)).collect();
    refuse_same_meaning(&numbered, &mut findings);
    let bindings = binding::validate(bindings, &mut findings);
    if let Some(errors) = PolicyErrors::from_list(findings.errors) {
        return Err(errors);
    }
    let mut rules: Vec<_> = rules.into_iter().map(|(_, rule)| rule).collect();
    rules.sort_by_key(Rule::id);
    Ok(Policy::from_checked(rules, bindings))
}

/// The id of every rule. Without one in the file, it is the smallest that the file doesn't use.
fn ids<P: Places>(written: &[RuleFile], findings: &mut Findings<'_, P>) -> Vec<RuleId> {
    let mut given: Vec<Option<RuleId>> = Vec::with_capacity(written.len());
    for (index, rule) in written.iter().enumerate() {
        let id = rule.id.and_then(|id| RuleId::new(u32::try_from(id).ok()?));
        if let (Some(found), None) = (rule.id, id) {
            let (found, allowed) = (found.to_string(), "1 to 268435455");
            findings.report(index, "id", Problem::NotAllowed { found, allowed, instead: None });
        }
        given.push(id);
    }
    refuse_repeated_ids(&given, findings);
    let mut used: Vec<RuleId> = given.iter().copied().flatten().collect();
    used.sort_unstable();
    used.dedup();
    let mut used = used.into_iter().peekable();
    let mut next = 1;
    let mut too_many = false;
    let ids = given.into_iter().map(|id| {
        id.or_else(|| {
            while used
                .next_if(|used| used.number() <= next)
                .is_some_and(|used| used.number() == next)
            {
                next += 1;
            }
            let free = RuleId::new(next);
            next = next.saturating_add(1).min(RULES_MAX + 1);
            free
        })
        .unwrap_or_else(|| {
            too_many = true;
            RuleId::new(RULES_MAX).expect("the highest id is an id")
        })
    });
    let ids = ids.collect();
    if too_many {
        findings.report_file(None, "", Problem::TooManyRules);
    }
    ids
}

fn refuse_repeated_ids<P: Places>(given: &[Option<RuleId>], findings: &mut Findings<'_, P>) {
    let mut first: HashMap<RuleId, usize> = HashMap::with_capacity(given.len());
    for (index, id) in given.iter().enumerate() {
        let Some(id) = *id else { continue };
        match first.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(index);
            }
            Entry::Occupied(entry) => {
                let first_rule = entry.get() + 1;
                let first_line = findings.places.line(*entry.get(), "id");
                let problem = Problem::IdTwice { id: id.number(), first_rule, first_line };
                findings.report(index, "id", problem);
            }
        }
    }
}

/// Keeps one copy of each text: learned rules share a handful of reasons.
#[derive(Default)]
struct Texts {
    known: HashMap<String, Arc<str>>,
}

impl Texts {
    fn shared(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.known.get(&text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.as_str().into();
        self.known.insert(text, Arc::clone(&shared));
        shared
    }
}

/// What each mandatory key takes, for a message that it is missing.
const MANDATORY: [(&str, &str); 5] = [
    ("segment", "the name of a segment"),
    ("client", "the client's address, or \"any\""),
    ("server", "the server's address, or \"any\""),
    ("service", "what they talk, such as \"tcp/5000\""),
    ("reason", "a sentence that says why the rule is there"),
];

/// Validates one rule; `None` if it has a mistake.
fn one<P: Places>(
    written: RuleFile,
    index: usize,
    id: RuleId,
    texts: &mut Texts,
    findings: &mut Findings<'_, P>,
) -> Option<Rule> {
    let before = findings.errors.len();
    let present = [
        written.segment.is_some(),
        written.client.is_some(),
        written.server.is_some(),
        written.service.is_some(),
        written.reason.is_some(),
    ];
    for ((key, allowed), _) in MANDATORY.into_iter().zip(present).filter(|(_, there)| !there) {
        if !findings.mistyped.contains(&(index, key)) {
            findings.report(index, key, Problem::Missing { allowed });
        }
    }
    let mut field = Field { index, findings };
    let client = field.read("client", written.client.as_deref(), AddressMatch::from_text);
    let server = field.read("server", written.server.as_deref(), AddressMatch::from_text);
    let service = field.read("service", written.service.as_deref(), Service::from_text);
    let vlans = match &written.vlan {
        None => Some(VlanMatch::DEFAULT),
        Some(VlanFile::Text(text)) => field.read("vlan", Some(text), VlanMatch::from_text),
        Some(VlanFile::Id(id)) => {
            field.read("vlan", Some(&id.to_string()), |_| VlanMatch::from_id(*id))
        }
    };
    let side = Some(written.client_side.as_deref().unwrap_or("both"));
    let client_side = field.read("client_side", side, side_from_name);
    let opens = Some(written.opens.as_deref().unwrap_or(Opens::Client.name()));
    let opens = field.read("opens", opens, opens_from_name);
    let parts = RuleParts {
        id,
        segment: texts.shared(written.segment?),
        vlans: vlans?,
        client: client?,
        client_side: client_side?,
        server: server?,
        service: service?,
        opens: opens?,
        midstream: written.midstream.unwrap_or(false),
        reason: texts.shared(written.reason?),
        owner: written.owner.map(|owner| texts.shared(owner)),
    };
    match Rule::new(parts) {
        Ok(rule) => (findings.errors.len() == before).then_some(rule),
        Err((key, problem)) => {
            findings.report(index, key, problem);
            None
        }
    }
}

struct Field<'f, 'a, P> {
    index: usize,
    findings: &'f mut Findings<'a, P>,
}

impl<P: Places> Field<'_, '_, P> {
    /// Reads a value if it is there, and notes what is wrong with it.
    fn read<T>(
        &mut self,
        key: &str,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> Option<T> {
        let text = text?;
        match read(text) {
            Ok(value) => Some(value),
            Err(Refused { allowed, instead }) => {
                let problem = Problem::NotAllowed { found: excerpt(text), allowed, instead };
                self.findings.report(self.index, key, problem);
                None
            }
        }
    }
}

/// The one side of a binding.
pub(crate) fn required_side(name: &str) -> Result<Side, Refused> {
    let refused = Refused { allowed: "\"a\" or \"b\"", instead: None };
    side_from_name(name).ok().flatten().ok_or(refused)
}

fn side_from_name(name: &str) -> Result<Option<Side>, Refused> {
    match name {
        "a" => Ok(Some(Side::A)),
        "b" => Ok(Some(Side::B)),
        "both" => Ok(None),
        _ => Err(Refused { allowed: "\"a\", \"b\" or \"both\"", instead: None }),
    }
}

fn opens_from_name(name: &str) -> Result<Opens, Refused> {
    let allowed = "\"client\", \"server\", \"both\" or \"nobody\"";
    let refused = Refused { allowed, instead: None };
    Opens::ALL.into_iter().find(|opens| opens.name() == name).ok_or(refused)
}

/// Notes rules that have an entry of the allowlist in common, and shapes beyond what the allowlist takes.
fn refuse_same_meaning<P: Places>(rules: &[(usize, &Rule)], findings: &mut Findings<'_, P>) {
    let mut shapes: Vec<(Shape, usize, RuleId)> = Vec::new();
    let hasher = RandomState::new();
    let mut hashes: Vec<(u64, u32)> = Vec::with_capacity(rules.len());
    for (at, (_, rule)) in (0..).zip(rules) {
        rule.each_block(|block| {
            match shapes.iter_mut().find(|(shape, ..)| *shape == block.shape) {
                Some((_, count, _)) => *count += 1,
                None => shapes.push((block.shape, 1, rule.id())),
            }
            hashes.push((hasher.hash_one((&rule.parts().segment, block)), at));
        });
    }
    // Rules that share a hash are few; only those are compared, since a table of all blocks takes more room than all rules.
    hashes.sort_unstable();
    let mut alike: Vec<u32> = hashes
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter(|same| same.len() > 1)
        .flat_map(|same| same.iter().map(|(_, at)| *at))
        .collect();
    drop(hashes);
    alike.sort_unstable();
    alike.dedup();
    let mut seen: HashMap<(&str, Block), (usize, RuleId)> = HashMap::new();
    for (index, rule) in alike.into_iter().map(|at| rules[at as usize]) {
        let mut first = None;
        rule.each_block(|block| match seen.entry((&rule.parts().segment, block)) {
            Entry::Vacant(entry) => {
                entry.insert((index, rule.id()));
            }
            Entry::Occupied(entry) => first = first.or(Some(*entry.get())),
        });
        if let Some((first_index, first_id)) = first {
            let first_line = findings.places.line(first_index, "");
            let first_id = first_id.number();
            findings.report(index, "", Problem::SameMeaning { first_id, first_line });
        }
    }
    if shapes.len() > SHAPES_MAX {
        shapes.sort_by_key(|(_, count, first)| (*count, *first));
        let rarest = shapes.iter().take(8).map(|(.., first)| first.number()).collect();
        let problem = Problem::TooManyShapes { shapes: shapes.len(), rarest };
        findings.report_file(None, "", problem);
    }
}
