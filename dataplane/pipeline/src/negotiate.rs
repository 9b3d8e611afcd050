//! Negotiated ports: what a permitted conversation negotiates is permitted too, for its two hosts, one direction and a time.
//!
//! Only lines in a `PARENT` state are read, and only their segments that begin with a message. What may be opened goes into
//! [`Expected`], which the workers share; a conversation that no rule permits is looked up there when it begins.

use std::net::IpAddr;

use loadlock_exchange::{DropReason, Expectation, ExpectedKey, Mode, RuleId};
use loadlock_packet::negotiation::{End, Helper, Helpers, Said, ftp, rpc, tftp};
use loadlock_packet::{Content, FlowKey, Kind, Network, Opening, Side, content};

use crate::decide::{Judgement, judge_again};
use crate::entry::{Flags, State, Tick};
use crate::limits::ticks;
use crate::report::EventSink;
use crate::track::{Burst, Seen};
use crate::verdict::{Basis, Verdict, VerdictWord};
use crate::watched::{Segment, begins};

/// How long a negotiated port is open for its conversation to begin.
const OPEN_NS: u64 = 30_000_000_000;
/// The same of an RPC endpoint, which clients remember and use for several conversations.
const ENDPOINT_OPEN_NS: u64 = 300_000_000_000;
/// Ports below are services of their own, whatever a message says.
const PORT_MIN: u16 = 1024;

/// A conversation that may negotiate.
#[derive(Clone, Copy)]
struct Parent {
    helper: Helper,
    client: Side,
}

impl<S: EventSink> Burst<'_, S> {
    /// The state of a line that would be in `state`: whether its content is read.
    pub fn watched_state(&self, state: State, key: &FlowKey) -> State {
        let (plain, parent) = match state {
            State::TCP_OPEN | State::TCP_PARENT => (State::TCP_OPEN, State::TCP_PARENT),
            State::UDP | State::UDP_PARENT => (State::UDP, State::UDP_PARENT),
            other => return other,
        };
        let kind = key.tail().kind();
        let read = |side| self.helpers.on(kind, key.endpoint(side).service).is_some();
        if self.helpers != Helpers::NONE && (read(Side::A) || read(Side::B)) {
            parent
        } else {
            plain
        }
    }

    /// Judges a conversation in the flow table again; a negotiated one by the right of those that may have negotiated it.
    pub fn again(&self, key: &FlowKey, flags: Flags, verdict: VerdictWord) -> Judgement {
        let judgement = judge_again(&self.policy, key, flags);
        if !verdict.is_negotiated() || !matches!(judgement, Judgement::Refuse(_)) {
            return judgement;
        }
        let kind = key.tail().kind();
        let switched_on = Helper::ALL
            .into_iter()
            .filter(|helper| self.helpers.has(*helper) && helper.kind() == kind);
        let right =
            switched_on.filter_map(|helper| self.right(helper, key, flags.initiator())).next();
        match right {
            None if self.mode == Mode::Learn => Judgement::Negotiated(None),
            None => judgement,
            rule => Judgement::Negotiated(rule),
        }
    }

    /// The rule for the conversation by which `helper` negotiated this one, which `opener` opens.
    fn right(&self, helper: Helper, key: &FlowKey, opener: Side) -> Option<RuleId> {
        let clients = match helper {
            Helper::Ftp => [Some(opener), Some(opener.other())],
            Helper::Rpc => [Some(opener), None],
            Helper::Tftp => [Some(opener.other()), None],
        };
        let parent = key.with_ports(helper.port());
        let rules = clients.into_iter().flatten();
        rules.filter_map(|client| self.policy.find(&parent, client)).map(|found| found.rule).next()
    }

    /// What the sender of this frame would open, if it is a conversation that could be negotiated.
    fn announcement(&self, key: &FlowKey) -> Option<ExpectedKey> {
        if self.helpers == Helpers::NONE || self.expected.is_quiet(self.now) {
            return None;
        }
        let kind = key.tail().kind();
        let to = self.sender.other();
        matches!(kind, Kind::Tcp | Kind::Udp)
            .then(|| ExpectedKey::new(key, kind, to, key.endpoint(to).service))
    }

    /// Was this conversation negotiated? Uses nothing up.
    pub fn is_announced(&self, key: &FlowKey) -> bool {
        self.announcement(key).is_some_and(|key| self.expected.is_expected(&key, self.now))
    }

    /// Permits what was refused, if it was negotiated, and the negotiating conversation is permitted still.
    pub fn or_announced(&self, judgement: Judgement, key: &FlowKey, opening: Opening) -> Judgement {
        if opening == Opening::MayNot || !matches!(judgement, Judgement::Refuse(_)) {
            return judgement;
        }
        let Some(announced) = self.announcement(key) else { return judgement };
        let Some(expectation) = self.expected.take(&announced, self.now) else { return judgement };
        if !self.helpers.has(expectation.helper) {
            return judgement;
        }
        match self.right(expectation.helper, key, self.sender) {
            None if self.mode != Mode::Learn => judgement,
            rule => Judgement::Negotiated(rule),
        }
    }

    /// Reads a frame of a conversation that may negotiate. The verdict on it is `verdict`, unless it negotiates what it must not.
    #[cold]
    pub fn watch(
        &mut self,
        key: &FlowKey,
        flags: Flags,
        verdict: Verdict,
        seen: &Seen<'_>,
    ) -> Verdict {
        let Some(parent) = self.parent(key, flags, verdict) else { return verdict };
        let Some(content) = content(seen.head, seen.frame_bytes) else { return verdict };
        if parent.helper == Helper::Tftp {
            if self.sender == parent.client && tftp::is_request(content.bytes) {
                let port = key.endpoint(parent.client).service;
                self.expect(key, parent, parent.client, port);
            }
            return verdict;
        }
        if begins(seen.headers.tcp_flags, flags, self.sender) {
            self.watched.begin(seen.hash, self.sender, content.sequence);
            return verdict;
        }
        if self.read(key, parent, &content, seen.hash) {
            return verdict;
        }
        let reason = DropReason::NegotiationForbidden;
        let refused = match Judgement::Refuse(reason).verdict(self.mode) {
            Verdict::Allow(_) => Verdict::WouldDeny(reason),
            other => other,
        };
        self.deny(refused, reason, false, seen);
        refused
    }

    /// Who is the client of a permitted conversation with a service that negotiates. Of one met running its rule says it.
    fn parent(&self, key: &FlowKey, flags: Flags, verdict: Verdict) -> Option<Parent> {
        let met_running = flags.has(Flags::MIDSTREAM);
        [Side::A, Side::B].into_iter().find_map(|client| {
            let service = key.endpoint(client.other()).service;
            let helper = self.helpers.on(key.tail().kind(), service)?;
            let permitted = match verdict {
                Verdict::Allow(Basis::Rule(_)) => self.policy.find(key, client).is_some(),
                Verdict::Allow(Basis::Learning) => !met_running,
                _ => false,
            };
            let opened = met_running || flags.initiator() == client;
            (permitted && opened).then_some(Parent { helper, client })
        })
    }

    /// Reads a segment where messages begin. False: it says what it must not.
    fn read(&mut self, key: &FlowKey, parent: Parent, content: &Content<'_>, hash: u64) -> bool {
        let bytes = content.bytes;
        if bytes.is_empty() {
            return true;
        }
        let segment = self.watched.place(hash, self.sender, content.sequence, bytes.len());
        if segment == Segment::Repeated {
            return true;
        }
        let by_client = self.sender == parent.client;
        let Network::Ip(server) = key.endpoint(parent.client.other()).network else { return true };
        let Network::Ip(own) = key.endpoint(self.sender).network else { return true };
        let mut asked = *self.watched.asked(hash);
        let (mut permitted, mut unread) = (true, !content.whole);
        let mut offered = None;
        let say = |said| match said {
            Said::Nothing if by_client => asked = false,
            Said::Nothing => {}
            Said::Unread => unread = true,
            _ if segment == Segment::Astray => unread = true,
            Said::Asks => asked = true,
            // A server answers; what it says unasked may be an echo of what somebody else made it say.
            Said::Offers { .. } if !by_client && !asked => {}
            Said::Offers { address, port } => {
                asked &= by_client;
                permitted &= is_own(address, own) && port >= PORT_MIN;
                offered = Some(port);
            }
        };
        let end = match parent.helper {
            Helper::Rpc => rpc::messages(bytes, by_client, server, say),
            Helper::Ftp | Helper::Tftp => ftp::lines(bytes, by_client, say),
        };
        let next = content.sequence.wrapping_add(bytes.len() as u32);
        let end = if content.whole { end } else { End::Later };
        self.watched.ended(hash, self.sender, next, end);
        *self.watched.asked(hash) = asked;
        self.counts.negotiated_unread += u64::from(unread);
        if let Some(port) = offered
            && permitted
        {
            self.expect(key, parent, self.sender, port);
        }
        permitted
    }

    /// Expects the other end to open a conversation to `port` of the host on side `to`.
    fn expect(&mut self, key: &FlowKey, parent: Parent, to: Side, port: u16) {
        let (open_ns, once) = match parent.helper {
            Helper::Ftp | Helper::Tftp => (OPEN_NS, true),
            Helper::Rpc => (ENDPOINT_OPEN_NS, false),
        };
        let until: Tick = self.now.wrapping_add(ticks(open_ns));
        let announced = ExpectedKey::new(key, parent.helper.kind(), to, port);
        let expectation = Expectation { helper: parent.helper, once, until };
        if self.expected.expect(&announced, expectation, self.now) {
            self.counts.negotiated_opened += 1;
        } else {
            self.counts.negotiated_unread += 1;
        }
    }
}

fn is_own(named: Option<IpAddr>, own: IpAddr) -> bool {
    named.is_none_or(|named| named.to_canonical() == own.to_canonical())
}
