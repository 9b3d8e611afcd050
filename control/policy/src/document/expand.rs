//! From a document to rules: permits become rules between addresses, refusals take rules out or cut them.

use std::collections::HashSet;
use std::sync::Arc;

use loadlock_exchange::RuleId;
use loadlock_packet::Side;

use super::{Document, End, Island, Permit, Refusal};
use crate::address::AddressMatch;
use crate::block::Block;
use crate::error::{PolicyError, PolicyErrors, Problem};
use crate::merge::{BySubject, is_learned, joined, subject};
use crate::policy::Policy;
use crate::rule::{Opens, Rule, RuleParts};
use crate::service::Service;
use crate::vlan::VlanMatch;

/// Most rules that the permits of a document may become.
pub const EXPANDED_MAX: usize = 1_000_000;

/// What is refused between two sets of addresses.
struct Cut<'d> {
    from: Ends<'d>,
    to: Ends<'d>,
    services: &'d [Service],
    segment: Option<&'d str>,
    reason: Arc<str>,
    owner: Arc<str>,
}

/// A set of addresses, or what is outside of one.
#[derive(Clone)]
struct Ends<'d> {
    members: Arc<HashSet<AddressMatch>>,
    wide: Arc<Vec<AddressMatch>>,
    _document: std::marker::PhantomData<&'d ()>,
}

impl Ends<'_> {
    fn new(addresses: impl Iterator<Item = AddressMatch>) -> Self {
        let (hosts, wide): (Vec<_>, Vec<_>) = addresses.partition(|address| is_host(*address));
        Self {
            members: Arc::new(hosts.into_iter().collect()),
            wide: Arc::new(wide),
            _document: std::marker::PhantomData,
        }
    }

    /// True if every address of the match is in the set.
    fn holds(&self, address: AddressMatch) -> bool {
        self.members.contains(&address) || self.wide.iter().any(|wide| contains(*wide, address))
    }

    /// The parts of the match that are in the set, if it isn't in it as a whole.
    fn parts_in(&self, address: AddressMatch) -> Vec<AddressMatch> {
        let all = self.members.iter().chain(self.wide.iter()).copied();
        let mut parts: Vec<_> = all.filter(|own| contains(address, *own)).collect();
        parts.sort_unstable();
        parts
    }
}

fn is_host(address: AddressMatch) -> bool {
    match address {
        AddressMatch::Any => false,
        AddressMatch::Ip(prefix) => prefix == crate::Prefix::host(prefix.address()),
        AddressMatch::Mac(_) => true,
    }
}

/// True if `outer` has every address that `inner` has.
pub(crate) fn contains(outer: AddressMatch, inner: AddressMatch) -> bool {
    match (outer, inner) {
        (AddressMatch::Any, _) => true,
        (AddressMatch::Ip(outer), AddressMatch::Ip(inner)) => {
            outer.bits() <= inner.bits() && outer.contains(inner.address())
        }
        (AddressMatch::Mac(outer), AddressMatch::Mac(inner)) => outer == inner,
        _ => false,
    }
}

impl Document {
    /// The rules that hold at `now_ns`: those of the document, what was learned (of `base`, unless the document lists it), and what the
    /// document refuses cut out. Rules that `base` has keep their numbers.
    ///
    /// # Errors
    /// Rules that mean the same, too many rules or shapes.
    pub fn expand(&self, base: &Policy, now_ns: u64) -> Result<Policy, PolicyErrors> {
        self.expand_with(&self.rules, base, self.learned_listed, now_ns)
    }

    /// The rules that hold at `now_ns`, after the document was in force already: what was learned since stays, also where the document
    /// listed what was learned before.
    ///
    /// # Errors
    /// As of [`Document::expand`].
    pub fn expand_again(&self, base: &Policy, now_ns: u64) -> Result<Policy, PolicyErrors> {
        let own: Vec<Rule> = self.rules.iter().filter(|rule| !is_learned(rule)).cloned().collect();
        self.expand_with(&own, base, false, now_ns)
    }

    fn expand_with(
        &self,
        rules: &[Rule],
        base: &Policy,
        learned_listed: bool,
        now_ns: u64,
    ) -> Result<Policy, PolicyErrors> {
        let mut joined = Joined::new(base, rules);
        for rule in rules {
            joined.keep(rule);
        }
        for (at, permit) in self.permits.iter().enumerate() {
            if permit.expires_ns.is_none_or(|time| time > now_ns) {
                self.expand_permit(at, permit, &mut joined)?;
            }
        }
        if !learned_listed {
            base.rules().iter().filter(|rule| is_learned(rule)).for_each(|rule| joined.keep(rule));
        }
        self.cut(joined.rules, base, &mut joined.numbers)
    }

    /// The same policy without what the document refuses: for rules that were learned since.
    ///
    /// # Errors
    /// Too many rules or shapes.
    pub fn cut_from(&self, policy: Policy) -> Result<Policy, PolicyErrors> {
        if self.cuts().is_empty() {
            return Ok(policy);
        }
        let mut numbers = Numbers::new(&policy, policy.rules());
        let rules = policy.rules().iter().filter(|rule| rule.parts().opens != Opens::Nobody);
        let mut kept: Vec<Rule> = rules.cloned().collect();
        kept.extend(self.rules.iter().filter(|rule| rule.parts().opens == Opens::Nobody).cloned());
        self.cut(kept, &policy, &mut numbers)
    }

    fn expand_permit(
        &self,
        at: usize,
        permit: &Permit,
        joined: &mut Joined<'_>,
    ) -> Result<(), PolicyErrors> {
        for (from, to) in pairs(permit) {
            let segment = match (&permit.segment, &from.segment, &to.segment) {
                (Some(segment), from, to) => {
                    let fits =
                        |own: &Option<Arc<str>>| own.as_ref().is_none_or(|own| own == segment);
                    (fits(from) && fits(to)).then_some(segment)
                }
                (None, Some(from), Some(to)) => (from == to).then_some(from),
                (None, Some(segment), None) | (None, None, Some(segment)) => Some(segment),
                (None, None, None) => {
                    return Err(mistake(
                        at,
                        permit,
                        "segment",
                        Problem::Missing {
                            allowed: "the name of a segment: neither end is a device of one",
                        },
                    ));
                }
            };
            let Some(segment) = segment else { continue };
            for service in &permit.services {
                if joined.rules.len() >= EXPANDED_MAX {
                    return Err(mistake(at, permit, "", Problem::TooManyRules));
                }
                let vlan = permit.vlan.or(from.vlan).or(to.vlan).unwrap_or(VlanMatch::DEFAULT);
                let parts = RuleParts {
                    id: joined.numbers.any(),
                    segment: segment.clone(),
                    vlans: vlan,
                    client: from.address,
                    client_side: from.side.or(to.side.map(Side::other)),
                    server: to.address,
                    service: *service,
                    opens: permit.opens,
                    midstream: permit.midstream,
                    reason: permit.reason.clone(),
                    owner: Some(permit.owner.clone()),
                };
                // Devices with addresses of several kinds talk by those that fit together.
                match Rule::new(parts) {
                    Ok(rule) => joined.keep(&rule),
                    Err(_) if from.device.is_some() || to.device.is_some() => {}
                    Err((key, problem)) => {
                        let key = match key {
                            "client" => "from",
                            "server" => "to",
                            other => other,
                        };
                        return Err(mistake(at, permit, key, problem));
                    }
                }
            }
        }
        Ok(())
    }

    fn cuts(&self) -> Vec<Cut<'_>> {
        let mut cuts = Vec::new();
        for Refusal { held, from, to, services, segment, reason, owner } in &self.refusals {
            let word = if *held { "held" } else { "denied" };
            cuts.push(Cut {
                from: Ends::new(from.ends.iter().map(|end| end.address)),
                to: Ends::new(to.ends.iter().map(|end| end.address)),
                services,
                segment: segment.as_deref(),
                reason: format!("{word}: {reason}").into(),
                owner: owner.clone(),
            });
        }
        cuts
    }

    /// Takes out of the rules what is refused, and numbers what is new.
    fn cut(
        &self,
        mut rules: Vec<Rule>,
        base: &Policy,
        numbers: &mut Numbers<'_>,
    ) -> Result<Policy, PolicyErrors> {
        for cut in self.cuts() {
            rules = apply_cut(rules, &cut, |_, _| false, numbers);
        }
        for island in &self.islands {
            rules = self.cut_island(rules, island, numbers);
        }
        rules.sort_by_key(Rule::id);
        // Bindings that the document doesn't state otherwise stay as they are.
        let bindings = joined(self.bindings.clone(), base.bindings().iter());
        Policy::from_rules(rules, "policy document")?.with_bindings(bindings, "policy document")
    }

    /// Nothing crosses the zone's boundary; what stays inside, or outside, isn't touched.
    fn cut_island(
        &self,
        rules: Vec<Rule>,
        island: &Island,
        numbers: &mut Numbers<'_>,
    ) -> Vec<Rule> {
        let zone = self.zones.iter().find(|zone| zone.name == island.zone);
        let networks = zone.into_iter().flat_map(|zone| zone.networks.iter().copied());
        let devices =
            self.devices.iter().filter(|device| device.zone.as_ref() == Some(&island.zone));
        let inside =
            Ends::new(networks.chain(devices.flat_map(|device| device.addresses.iter().copied())));
        let any = Ends::new([AddressMatch::Any].into_iter());
        let stays = |client, server| inside.holds(client) && inside.holds(server);
        let cut = |from: &Ends<'static>, to: &Ends<'static>| Cut {
            from: from.clone(),
            to: to.clone(),
            services: &[],
            segment: None,
            reason: format!("island {}: {}", island.zone, island.reason).into(),
            owner: island.owner.clone(),
        };
        let rules = apply_cut(rules, &cut(&inside, &any), stays, numbers);
        let rules = apply_cut(rules, &cut(&any, &inside), stays, numbers);
        // What a cut took from conversations inside the zone, where a rule has an open end.
        let inner = |rule: &Rule| {
            rule.parts().opens == Opens::Nobody && stays(rule.parts().client, rule.parts().server)
        };
        rules.into_iter().filter(|rule| !inner(rule)).collect()
    }

    /// The document with a section more at its end.
    ///
    /// # Errors
    /// Mistakes of the document that this makes.
    pub fn with_section(&self, section: &str, place: &str) -> Result<Self, PolicyErrors> {
        let mut text = self.text.trim_end().to_owned();
        if text.is_empty() {
            text.push_str("format = 1");
        }
        Self::parse(&format!("{text}\n\n{section}"), place)
    }

    /// The document without the sections that make this zone an island.
    ///
    /// # Errors
    /// None that the document didn't have.
    pub fn without_island(&self, zone: &str, place: &str) -> Result<Self, PolicyErrors> {
        let mut text = self.text.to_string();
        let islands = self.islands.iter().filter(|island| &*island.zone == zone);
        let mut spans: Vec<_> = islands.map(|island| island.span).collect();
        spans.sort_unstable();
        for (start, end) in spans.into_iter().rev() {
            text.replace_range(start..end, "");
        }
        Self::parse(&text, place)
    }
}

fn mistake(at: usize, permit: &Permit, key: &str, problem: Problem) -> PolicyErrors {
    let point = if key.is_empty() { "" } else { "." };
    PolicyErrors::from(PolicyError {
        place: "policy document".to_owned(),
        line: Some(permit.line),
        key: format!("permit[#{}]{point}{key}", at + 1),
        problem,
    })
}

/// Every pair of ends, but no device with itself.
fn pairs(permit: &Permit) -> impl Iterator<Item = (&End, &End)> {
    let all =
        permit.from.ends.iter().flat_map(|from| permit.to.ends.iter().map(move |to| (from, to)));
    all.filter(|(from, to)| from.device.is_none() || from.device != to.device)
}

/// Removes what is refused as a whole, and cuts what is refused in part.
fn apply_cut(
    rules: Vec<Rule>,
    cut: &Cut<'_>,
    stays: impl Fn(AddressMatch, AddressMatch) -> bool,
    numbers: &mut Numbers<'_>,
) -> Vec<Rule> {
    let mut kept = Vec::with_capacity(rules.len());
    let mut holes: Vec<Rule> = Vec::new();
    for rule in rules {
        let parts = rule.parts();
        let elsewhere = cut.segment.is_some_and(|segment| *segment != *parts.segment);
        if elsewhere || parts.opens == Opens::Nobody || stays(parts.client, parts.server) {
            kept.push(rule);
            continue;
        }
        let common = common_services(parts.service, cut.services);
        let is_whole = common.contains(&parts.service)
            && cut.from.holds(parts.client)
            && cut.to.holds(parts.server);
        if common.is_empty() || is_whole {
            if !is_whole {
                kept.push(rule);
            }
            continue;
        }
        for part in parts_of(&rule, cut, &common) {
            let part = RuleParts {
                opens: Opens::Nobody,
                midstream: false,
                reason: cut.reason.clone(),
                owner: Some(cut.owner.clone()),
                ..part
            };
            // Parts of a valid rule are valid but for a text that is too long, which is cut.
            let reason = part.reason.chars().take(crate::REASON_CHARACTERS_MAX).collect::<String>();
            if let Ok(hole) = Rule::new(RuleParts { reason: reason.into(), ..part }) {
                holes.push(hole);
            }
        }
        kept.push(rule);
    }
    // A hole that is there already stays as it is.
    let mut known: HashSet<_> = kept.iter().map(BySubject).collect();
    let mut new: Vec<&Rule> = holes.iter().filter(|hole| known.insert(BySubject(hole))).collect();
    new.sort_by(|a, b| in_order(a).cmp(&in_order(b)));
    let new: Vec<Rule> = new.into_iter().cloned().collect();
    for hole in new {
        if let Some(id) = numbers.of(&hole) {
            kept.push(hole.with_id(id));
        }
    }
    kept
}

/// By what it is about, one for both sides behind those for one.
fn in_order(rule: &Rule) -> impl Ord {
    let (segment, vlans, client, side, server, service) = subject(rule);
    (segment, vlans, client, side.map_or(2, |side| side as u8), server, service)
}

/// What of a service is among the refused ones; all of it if none is named.
fn common_services(service: Service, refused: &[Service]) -> Vec<Service> {
    if refused.is_empty() {
        return vec![service];
    }
    refused.iter().filter_map(|refused| service.common(*refused)).collect()
}

fn parts_of(rule: &Rule, cut: &Cut<'_>, services: &[Service]) -> Vec<RuleParts> {
    let whole_or_parts = |ends: &Ends<'_>, address| match ends.holds(address) {
        true => vec![address],
        false => ends.parts_in(address),
    };
    let parts = rule.parts();
    let mut all = Vec::new();
    for client in whole_or_parts(&cut.from, parts.client) {
        for server in whole_or_parts(&cut.to, parts.server) {
            for service in services {
                all.push(RuleParts { client, server, service: *service, ..parts.clone() });
            }
        }
    }
    all
}

/// Numbers of rules: those of the base for rules that it has, new ones behind.
struct Numbers<'p> {
    known: HashSet<BySubject<'p>>,
    used: HashSet<RuleId>,
    next: u32,
}

impl<'p> Numbers<'p> {
    fn new(base: &'p Policy, listed: &[Rule]) -> Self {
        let highest = |rules: &[Rule]| rules.iter().map(|rule| rule.id().number()).max();
        let next = highest(base.rules()).max(highest(listed)).unwrap_or(0) + 1;
        let known = base.rules().iter().map(BySubject).collect();
        Self { known, used: HashSet::new(), next }
    }

    /// A number that is replaced before the rule is kept.
    fn any(&self) -> RuleId {
        RuleId::new(1).expect("1 is a rule's number")
    }

    /// The rule's number; `None` when there are no more.
    fn of(&mut self, rule: &Rule) -> Option<RuleId> {
        if let Some(BySubject(known)) = self.known.get(&BySubject(rule))
            && self.used.insert(known.id())
        {
            return Some(known.id());
        }
        let id = RuleId::new(self.next)?;
        self.next += 1;
        self.used.insert(id);
        Some(id)
    }
}

/// Rules from several sources: of those with an entry in common the first is kept.
struct Joined<'p> {
    rules: Vec<Rule>,
    taken: HashSet<(Arc<str>, Block)>,
    numbers: Numbers<'p>,
    listed: HashSet<RuleId>,
}

impl<'p> Joined<'p> {
    fn new(base: &'p Policy, listed: &[Rule]) -> Self {
        let mut numbers = Numbers::new(base, listed);
        let listed: HashSet<RuleId> = listed.iter().map(Rule::id).collect();
        // What a person numbered keeps its number, whoever had it before.
        numbers.used.extend(&listed);
        Self { rules: Vec::new(), taken: HashSet::new(), numbers, listed }
    }

    fn keep(&mut self, rule: &Rule) {
        let mut is_free = true;
        rule.each_block(|block| {
            is_free &= !self.taken.contains(&(rule.parts().segment.clone(), block));
        });
        if !is_free {
            return;
        }
        let is_listed = self.listed.contains(&rule.id()) && self.rules.len() < self.listed.len();
        let id = if is_listed { Some(rule.id()) } else { self.numbers.of(rule) };
        let Some(id) = id else { return };
        rule.each_block(|block| {
            self.taken.insert((rule.parts().segment.clone(), block));
        });
        self.rules.push(rule.clone().with_id(id));
    }
}
