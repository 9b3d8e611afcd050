//! The rules of the verdict: what the allowlist and the segment's mode make of a conversation.

use loadlock_exchange::{DropReason, Found, Mode, PolicyView, RuleId};
use loadlock_packet::{FlowKey, Kind, MacAddress, Network, Opening, Side};

use crate::entry::{Flags, TableKey};
use crate::verdict::{Basis, Verdict};

/// What the allowlist says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// A rule permits the conversation, and its sender to open it.
    Permit(RuleId),
    /// A rule permits the conversation, which was met running.
    Adopt(RuleId),
    /// Its port was negotiated by a conversation that this rule permits; or that the segment learns.
    Negotiated(Option<RuleId>),
    Refuse(DropReason),
}

impl Judgement {
    /// With the reason that fits such a frame: of an ICMP error, that it isn't about anything permitted.
    #[inline]
    pub fn on(self, is_error: bool) -> Self {
        match self {
            Judgement::Refuse(_) if is_error => Judgement::Refuse(DropReason::IcmpErrorUnrelated),
            other => other,
        }
    }

    /// What a segment in `mode` does about it.
    #[inline]
    pub fn verdict(self, mode: Mode) -> Verdict {
        match (self, mode) {
            (_, Mode::Quarantine) => Verdict::Deny(DropReason::Quarantined),
            (Judgement::Permit(rule) | Judgement::Adopt(rule), _) => {
                Verdict::Allow(Basis::Rule(rule))
            }
            (Judgement::Negotiated(rule), _) => Verdict::Allow(Basis::Negotiated(rule)),
            (Judgement::Refuse(_), Mode::Learn) => Verdict::Allow(Basis::Learning),
            (Judgement::Refuse(reason), Mode::Monitor) => Verdict::WouldDeny(reason),
            (Judgement::Refuse(reason), Mode::Enforce) => Verdict::Deny(reason),
        }
    }
}

/// Which conversations are taken on without having been seen to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adoption {
    /// Running ones: the grace time after start, a full flow table, or a segment that always does.
    pub running: bool,
    /// All that a rule permits, because the flow table is full and can't remember who asked.
    pub stateless: bool,
    /// This one not: its opening was denied, so that it doesn't run.
    pub refused: bool,
    /// Rules that let themselves be met running at any time are taken at their word.
    pub by_rule: bool,
}

/// The verdict on a conversation that `sender` opens now, and that no flow table knows: for control, which asks before it changes
/// anything. It knows no stations of IP conversations, so that a mode which a device has by its MAC alone isn't in it.
#[must_use]
pub fn first_verdict(policy: &PolicyView<'_>, key: &FlowKey, sender: Side) -> Verdict {
    let station = |side| match key.endpoint(side).network {
        Network::Link { mac, .. } => mac,
        Network::Ip(_) => MacAddress([0; 6]),
    };
    let mode = policy.mode_of(key, &[Side::A, Side::B].map(station));
    let (opening, adopt) = (Opening::May, Adoption::default());
    let judgement = match key {
        FlowKey::Narrow(key) => judge_first(policy, key, sender, opening, adopt),
        FlowKey::Wide(key) => judge_first(policy, key, sender, opening, adopt),
    };
    judgement.verdict(mode)
}

/// Judges the first frame of a conversation that isn't in the flow table.
///
/// Of a conversation that is adopted, a frame that couldn't begin it passes if a rule permits the conversation in either
/// direction. So does one of a protocol that has neither ports nor a beginning (other IP protocols, the link layer), since of a
/// running exchange either side may be heard first. UDP from a server's port is an answer nobody asked for, also
/// in the grace time: a client asks again, and a rule that was learned from a server that speaks first says so. Only a
/// full table, which can't tell, lets it pass. A TCP SYN and an ICMP query always need a rule in their own direction.
#[inline]
pub(crate) fn judge_first<K: TableKey>(
    policy: &PolicyView<'_>,
    key: &K,
    sender: Side,
    opening: Opening,
    adopt: Adoption,
) -> Judgement {
    let forward = key.rule(policy, sender);
    if opening == Opening::May
        && let Some(Found { rule, options }) = forward
        && options.client_opens
    {
        return Judgement::Permit(rule);
    }
    let reverse = key.rule(policy, sender.other());
    if opening == Opening::May
        && let Some(Found { rule, options }) = reverse
        && options.server_opens
    {
        return Judgement::Permit(rule);
    }
    let kind = key.tail().kind();
    let tells = matches!(kind, Kind::Tcp | Kind::Icmp | Kind::Udp);
    let adopted = (adopt.running && (opening == Opening::MayNot || !tells))
        || (adopt.stateless && kind == Kind::Udp);
    for found in [forward, reverse].into_iter().flatten() {
        let at_any_time = adopt.by_rule && opening == Opening::MayNot && found.options.midstream;
        if (at_any_time || adopted) && !adopt.refused {
            return Judgement::Adopt(found.rule);
        }
    }
    Judgement::Refuse(match (forward, reverse, opening) {
        (None, None, _) => DropReason::NoRule,
        (_, _, Opening::May) => DropReason::WrongDirection,
        (_, _, Opening::MayNot) => DropReason::NotOpened,
    })
}

/// Judges a conversation in the flow table again, because the policy changed.
#[inline]
pub(crate) fn judge_again<K: TableKey>(
    policy: &PolicyView<'_>,
    key: &K,
    flags: Flags,
) -> Judgement {
    let initiator = flags.initiator();
    let either_way = flags.has(Flags::MIDSTREAM);
    let forward = key.rule(policy, initiator);
    if let Some(found) = forward.filter(|found| either_way || found.options.client_opens) {
        return Judgement::Permit(found.rule);
    }
    let reverse = key.rule(policy, initiator.other());
    if let Some(found) = reverse.filter(|found| either_way || found.options.server_opens) {
        return Judgement::Permit(found.rule);
    }
    Judgement::Refuse(match forward.or(reverse) {
        Some(_) => DropReason::WrongDirection,
        None => DropReason::NoRule,
    })
}
