//! From rules to the tables of the exchange.

use std::collections::HashMap;
use std::fmt;

use loadlock_exchange::{
    BindingError, CompileError, PolicyImage, RuleEntry, RuleId, Seed, SegmentPolicy,
};
use loadlock_packet::{KeyTail, SEGMENTS_MAX, SegmentId};

use crate::binding::Binding;
use crate::policy::Policy;

/// A segment of the configuration, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentDefinition {
    /// Its name in the rules.
    pub name: String,
    /// Mode and infrastructure classes.
    pub policy: SegmentPolicy,
}

/// A rule of a segment that the configuration doesn't have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSegment {
    /// Name in the rule.
    pub segment: String,
    /// The first rule that has it.
    pub first_rule: RuleId,
    /// How many rules have it.
    pub rules: usize,
}

/// Why a policy can't be compiled for this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyCompileError {
    /// More segments than a dataplane can have.
    TooManySegments {
        /// How many there are.
        segments: usize,
    },
    /// Rules for segments that aren't configured.
    UnknownSegments {
        /// All of them, in the order of the rules.
        unknown: Vec<UnknownSegment>,
        /// The segments that are configured.
        configured: Vec<String>,
    },
    /// The tables can't be laid out.
    Tables(CompileError),
    /// The bindings can't be laid out.
    Bindings(BindingError),
}

impl fmt::Display for PolicyCompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManySegments { segments } => {
                write!(f, "{segments} segments, at most {SEGMENTS_MAX} are allowed")
            }
            Self::UnknownSegments { unknown, configured } => {
                for UnknownSegment { segment, first_rule, rules } in unknown {
                    write!(
                        f,
                        "segment \"{segment}\" of rule {first_rule} ({rules} in all) isn't configured; "
                    )?;
                }
                write!(
                    f,
                    "configured are: {}; correct the rules, or configure the segment",
                    configured.join(", ")
                )
            }
            Self::Tables(_) | Self::Bindings(_) => {
                f.write_str("the policy can't be laid out for the dataplane")
            }
        }
    }
}

impl std::error::Error for PolicyCompileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tables(error) => Some(error),
            Self::Bindings(error) => Some(error),
            _ => None,
        }
    }
}

impl Policy {
    /// Compiles the rules for a dataplane with these segments, in the order of their ids, and room for `rule_capacity`
    /// entries. `version` is the number under which the policy is stored; `seed` comes from the kernel's random source,
    /// or from the replay's settings. Linear in the number of rules; a million take less than a second.
    ///
    /// # Errors
    /// All unknown segments at once, or the one reason why the tables can't be laid out. The policy in force stays.
    pub fn compile(
        &self,
        segments: &[SegmentDefinition],
        version: u64,
        seed: Seed,
        rule_capacity: usize,
    ) -> Result<PolicyImage, PolicyCompileError> {
        self.compile_with(self.bindings(), segments, version, seed, rule_capacity)
    }

    /// [`Policy::compile`] with other bindings than its own, which don't contradict each other; without a copy of the rules.
    ///
    /// # Errors
    /// As there.
    pub fn compile_with(
        &self,
        bindings: &[Binding],
        segments: &[SegmentDefinition],
        version: u64,
        seed: Seed,
        rule_capacity: usize,
    ) -> Result<PolicyImage, PolicyCompileError> {
        let too_many = PolicyCompileError::TooManySegments { segments: segments.len() };
        let ids = (0..segments.len()).map(SegmentId::new).collect::<Option<Vec<_>>>();
        let ids = ids.ok_or(too_many)?;
        let names: HashMap<&str, SegmentId> =
            segments.iter().map(|segment| segment.name.as_str()).zip(ids).collect();
        let entries = self.entries(&names).map_err(|unknown| {
            let configured = segments.iter().map(|segment| segment.name.clone()).collect();
            PolicyCompileError::UnknownSegments { unknown, configured }
        })?;
        let policies: Vec<_> = segments.iter().map(|segment| segment.policy).collect();
        let image = PolicyImage::compile(version, &policies, &entries, seed, rule_capacity)
            .map_err(PolicyCompileError::Tables)?;
        // Bindings of segments that aren't there are about nobody here.
        let bound = bindings.iter().filter_map(|binding| {
            let segment = names.get(&*binding.parts().segment)?;
            Some(binding.entry(*segment))
        });
        let bound: Vec<_> = bound.collect();
        image.bind(&bound, rule_capacity).map_err(PolicyCompileError::Bindings)
    }

    fn entries(
        &self,
        ids: &HashMap<&str, SegmentId>,
    ) -> Result<Vec<RuleEntry>, Vec<UnknownSegment>> {
        let mut entries = Vec::with_capacity(self.rules().len());
        let mut unknown: Vec<UnknownSegment> = Vec::new();
        for rule in self.rules() {
            let name: &str = &rule.parts().segment;
            let Some(&segment) = ids.get(name) else {
                match unknown.iter_mut().find(|unknown| unknown.segment == name) {
                    Some(unknown) => unknown.rules += 1,
                    None => unknown.push(UnknownSegment {
                        segment: name.to_owned(),
                        first_rule: rule.id(),
                        rules: 1,
                    }),
                }
                continue;
            };
            let options = rule.options();
            rule.each_block(|block| {
                entries.push(RuleEntry {
                    shape: block.shape,
                    client_side: block.client_side,
                    client: block.client,
                    server: block.server,
                    service: block.service,
                    tail: KeyTail::new(segment, block.vlans, block.kind),
                    rule: rule.id(),
                    options,
                });
            });
        }
        if unknown.is_empty() { Ok(entries) } else { Err(unknown) }
    }
}
