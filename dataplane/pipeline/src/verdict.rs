//! The outcome for one frame.

use loadlock_exchange::{DropReason, RuleId};

/// Why a frame is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// A rule permits its conversation.
    Rule(RuleId),
    /// No rule, but the segment learns.
    Learning,
    /// ARP, neighbour discovery or a link-local group, as the segment is configured.
    Infrastructure,
}

/// What is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward.
    Allow(Basis),
    /// Forward, because the segment doesn't enforce; else it would be dropped.
    WouldDeny(DropReason),
    /// Drop.
    Deny(DropReason),
}

impl Verdict {
    /// True unless the frame is dropped.
    #[inline]
    #[must_use]
    pub fn forwards(self) -> bool {
        !matches!(self, Verdict::Deny(_))
    }

    /// The name in verdict files and documents; stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Allow(_) => "allow",
            Verdict::WouldDeny(_) => "would-deny",
            Verdict::Deny(_) => "deny",
        }
    }

    /// The reason's name in verdict files and documents; stable.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::Allow(Basis::Rule(_)) => "rule",
            Verdict::Allow(Basis::Learning) => "learning",
            Verdict::Allow(Basis::Infrastructure) => "infrastructure",
            Verdict::WouldDeny(reason) | Verdict::Deny(reason) => reason.name(),
        }
    }

    /// The rule that permits the frame.
    #[must_use]
    pub fn rule(self) -> Option<RuleId> {
        match self {
            Verdict::Allow(Basis::Rule(rule)) => Some(rule),
            _ => None,
        }
    }
}

/// A verdict as a flow entry keeps it, in 32 bits: 0 learning; bit 31 and a rule; bit 30 and a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Cached(u32);

impl From<Verdict> for Cached {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::WouldDeny(reason) | Verdict::Deny(reason) => Self::would_deny(reason),
            Verdict::Allow(_) => verdict.rule().map_or(Self::LEARNING, Self::rule),
        }
    }
}

const RULE: u32 = 1 << 31;
const WOULD_DENY: u32 = 1 << 30;

impl Cached {
    pub const LEARNING: Self = Self(0);

    pub fn rule(rule: RuleId) -> Self {
        Self(RULE | rule.number())
    }

    pub fn would_deny(reason: DropReason) -> Self {
        Self(WOULD_DENY | reason as u32)
    }

    #[inline(always)]
    pub fn verdict(self) -> Verdict {
        if self.0 & RULE != 0 {
            match RuleId::new(self.0 & !RULE) {
                Some(rule) => Verdict::Allow(Basis::Rule(rule)),
                None => Verdict::Allow(Basis::Learning),
            }
        } else if self.0 & WOULD_DENY != 0 {
            let reason = DropReason::from_index((self.0 & !WOULD_DENY) as usize);
            Verdict::WouldDeny(reason.unwrap_or(DropReason::NoRule))
        } else {
            Verdict::Allow(Basis::Learning)
        }
    }

    /// The bit of verdicts whose frames are reported again and again.
    pub const REPEATED: u32 = WOULD_DENY;

    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn rule_id(self) -> Option<RuleId> {
        self.verdict().rule()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_verdicts_round_trip() {
        let rule = RuleId::new(loadlock_exchange::RULES_MAX).unwrap();
        assert_eq!(Cached::rule(rule).verdict(), Verdict::Allow(Basis::Rule(rule)));
        assert_eq!(Cached::LEARNING.verdict(), Verdict::Allow(Basis::Learning));
        for &reason in DropReason::ALL {
            assert_eq!(Cached::would_deny(reason).verdict(), Verdict::WouldDeny(reason));
        }
    }
}
