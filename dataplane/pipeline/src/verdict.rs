//! The outcome for one frame.

use loadlock_exchange::{DropReason, REASONS_MAX, RuleId};

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

/// A [`Verdict`] in 32 bits, as bursts and flow entries keep it: 0 learning; or one of the upper four bits, and below it the
/// number of the rule or reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct VerdictWord(u32);

const RULE: u32 = 1 << 31;
const WOULD_DENY: u32 = 1 << 30;
const DENY: u32 = 1 << 29;
const INFRASTRUCTURE: u32 = 1 << 28;
const NUMBER: u32 = INFRASTRUCTURE - 1;
const _: () = assert!(loadlock_exchange::RULES_MAX <= NUMBER);

impl From<Verdict> for VerdictWord {
    #[inline]
    fn from(verdict: Verdict) -> Self {
        Self(match verdict {
            Verdict::Allow(Basis::Learning) => 0,
            Verdict::Allow(Basis::Rule(rule)) => RULE | rule.number(),
            Verdict::Allow(Basis::Infrastructure) => INFRASTRUCTURE,
            Verdict::WouldDeny(reason) => WOULD_DENY | reason as u32,
            Verdict::Deny(reason) => DENY | reason as u32,
        })
    }
}

impl VerdictWord {
    /// An [`Basis::Learning`] one.
    pub const LEARNING: Self = Self(0);
    /// The bit of verdicts whose frames are reported again and again.
    pub(crate) const REPEATED: u32 = WOULD_DENY;

    /// The verdict.
    #[inline]
    #[must_use]
    pub fn verdict(self) -> Verdict {
        let reason = || DropReason::from_index((self.0 & NUMBER) as usize);
        if self.0 & RULE != 0 {
            RuleId::new(self.0 & NUMBER)
                .map_or(Verdict::Allow(Basis::Learning), |rule| Verdict::Allow(Basis::Rule(rule)))
        } else if self.0 & WOULD_DENY != 0 {
            Verdict::WouldDeny(reason().unwrap_or(DropReason::NoRule))
        } else if self.0 & DENY != 0 {
            Verdict::Deny(reason().unwrap_or(DropReason::NoRule))
        } else if self.0 & INFRASTRUCTURE != 0 {
            Verdict::Allow(Basis::Infrastructure)
        } else {
            Verdict::Allow(Basis::Learning)
        }
    }

    /// True for a [`Verdict::Allow`].
    #[inline]
    #[must_use]
    pub fn is_allowed(self) -> bool {
        self.0 & (DENY | WOULD_DENY) == 0
    }

    /// True unless the frame is dropped.
    #[inline]
    #[must_use]
    pub fn forwards(self) -> bool {
        self.0 & DENY == 0
    }

    /// Of a verdict that isn't allowed: its reason's place among the counters.
    #[inline]
    pub(crate) fn reason_index(self) -> usize {
        const { assert!(REASONS_MAX.is_power_of_two()) };
        self.0 as usize % REASONS_MAX
    }

    pub(crate) fn rule_id(self) -> Option<RuleId> {
        self.verdict().rule()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        let rule = RuleId::new(loadlock_exchange::RULES_MAX).unwrap();
        let allowed = [Basis::Rule(rule), Basis::Learning, Basis::Infrastructure];
        let denied = DropReason::ALL.iter().flat_map(|&reason| {
            assert_eq!(reason as u32 & !NUMBER, 0);
            assert_eq!(VerdictWord::from(Verdict::Deny(reason)).reason_index(), reason as usize);
            [Verdict::WouldDeny(reason), Verdict::Deny(reason)]
        });
        for verdict in allowed.map(Verdict::Allow).into_iter().chain(denied) {
            let word = VerdictWord::from(verdict);
            assert_eq!(word.verdict(), verdict);
            assert_eq!(word.forwards(), verdict.forwards());
            assert_eq!(word.is_allowed(), matches!(verdict, Verdict::Allow(_)));
        }
    }
}
