//! A valid set of rules.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::binding::Binding;
use crate::error::PolicyErrors;
use crate::rule::Rule;
use crate::validate;

/// Valid rules in the order of their ids, no two of which have the same id or mean the same; and bindings in a fixed order, none
/// of which contradict each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    bindings: Vec<Binding>,
}

/// SHA-256 of a policy's canonical text; displayed as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyHash(pub [u8; 32]);

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Policy {
    /// Joins rules to a policy; `place` names their origin in messages.
    ///
    /// # Errors
    /// All conflicts between the rules at once: ids given twice, rules that mean the same, too many shapes.
    pub fn from_rules(rules: Vec<Rule>, place: &str) -> Result<Self, PolicyErrors> {
        validate::together(rules, place)
    }

    /// For rules that [`validate`] has checked and sorted.
    pub(crate) fn from_checked(rules: Vec<Rule>, bindings: Vec<Binding>) -> Self {
        Self { rules, bindings }
    }

    pub(crate) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }

    /// The same rules with other bindings; `place` names their origin in messages.
    ///
    /// # Errors
    /// All contradictions between the bindings at once.
    pub fn with_bindings(
        mut self,
        mut bindings: Vec<Binding>,
        place: &str,
    ) -> Result<Self, PolicyErrors> {
        bindings.sort_unstable();
        validate::bindings_together(&bindings, place)?;
        self.bindings = bindings;
        Ok(self)
    }

    /// The bindings, in the order of segments, VLANs and addresses.
    #[must_use]
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The rules and bindings of one segment.
    ///
    /// # Errors
    /// None for the part of a valid policy; what [`Policy::from_rules`] says else.
    pub fn of_segment(&self, segment: &str) -> Result<Self, PolicyErrors> {
        let rules = self.rules.iter().filter(|rule| *rule.parts().segment == *segment);
        let bindings = self.bindings.iter().filter(|binding| *binding.parts().segment == *segment);
        Self::from_rules(rules.cloned().collect(), "policy")?
            .with_bindings(bindings.cloned().collect(), "policy")
    }

    /// The rules, in the order of their ids.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this number, in logarithmic time.
    #[must_use]
    pub fn rule(&self, id: loadlock_exchange::RuleId) -> Option<&Rule> {
        let at = self.rules.binary_search_by_key(&id, Rule::id).ok()?;
        self.rules.get(at)
    }

    /// SHA-256 of [`Policy::to_toml`].
    #[must_use]
    pub fn hash(&self) -> PolicyHash {
        PolicyHash(Sha256::digest(self.to_toml()).into())
    }
}
