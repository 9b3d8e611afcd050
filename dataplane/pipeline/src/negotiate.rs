//! Negotiated ports: what a permitted conversation negotiates is permitted too, for its two hosts, one direction and a time.
//!
//! Only lines in a `PARENT` state are read, and only their segments that begin with a message. What may be opened goes into
//! [`Expected`], which the workers share; a conversation that no rule permits is looked up there when it begins.

use std::net::IpAddr;

use loadlock_exchange::{DropReason, Expectation, ExpectedKey, Mode, RuleId};
use loadlock_packet::negotiation::{End, Helper, Helpers, Said, ftp, rpc, tftp};
use loadlock_packet::{Content, FlowKey, Kind, Network, Opening, Side, content};

use crate::decide::{Judgement, judge_again};
use crate::entry::{Flags, State, TableKey, Tick};
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
    #[inline]
    pub fn watched_state<K: TableKey>(&self, state: State, key: &K) -> State {
        let (plain, parent) = match state {
            State::TCP_OPEN | State::TCP_PARENT => (State::TCP_OPEN, State::TCP_PARENT),
            State::UDP | State::UDP_PARENT => (State::UDP, State::UDP_PARENT),
            other => return other,
        };
        if self.helpers != Helpers::NONE && self.may_negotiate(&key.flow_key()) {
            parent
        } else {
            plain
        }
    }

    #[cold]
    fn may_negotiate(&self, key: &FlowKey) -> bool {
        let kind = key.tail().kind();
        let services = [Side::A, Side::B].map(|side| key.endpoint(side).service);
        services.into_iter().any(|service| self.helpers.on(kind, service).is_some())
    }

    /// Judges a conversation in the flow table again; a negotiated one by the right of those that may have negotiated it.
    #[inline]
    pub fn again<K: TableKey>(&self, key: &K, flags: Flags, verdict: VerdictWord) -> Judgement {
        let judgement = judge_again(&self.policy, key, flags);
        match judgement {
            Judgement::Refuse(_) if verdict.is_negotiated() => {
                self.again_negotiated(judgement, &key.flow_key(), flags)
            }
            judgement => judgement,
        }
    }

    #[cold]
    fn again_negotiated(&self, refused: Judgement, key: &FlowKey, flags: Flags) -> Judgement {
        let kind = key.tail().kind();
        let fits = |helper: &Helper| self.helpers.has(*helper) && helper.kind() == kind;
        let mut helpers = Helper::ALL.into_iter().filter(fits);
        match helpers.find_map(|helper| self.right(helper, key, flags.initiator())) {
            None if self.mode == Mode::Learn => Judgement::Negotiated(None),
            None => refused,
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

    /// Nothing is expected, as far as this burst is concerned: no frame need be looked up.
    #[inline]
    pub fn expects_nothing(&self) -> bool {
        self.helpers == Helpers::NONE || self.expected.is_quiet(self.now)
    }

    /// What the sender of this frame would open, if it is a conversation that could be negotiated.
    fn announcement(&self, key: &FlowKey) -> Option<ExpectedKey> {
        let kind = key.tail().kind();
        let to = self.sender.other();
        matches!(kind, Kind::Tcp | Kind::Udp)
            .then(|| ExpectedKey::new(key, kind, to, key.endpoint(to).service))
    }

    /// Was this conversation negotiated? Uses nothing up.
    #[inline]
    pub fn is_announced<K: TableKey>(&self, key: &K) -> bool {
        !self.expects_nothing()
            && self
                .announcement(&key.flow_key())
                .is_some_and(|key| self.expected.is_expected(&key, self.now))
    }

    /// Permits what was refused, if it was negotiated, and the negotiating conversation is permitted still.
    #[inline]
    pub fn or_announced<K: TableKey>(
        &self,
        judgement: Judgement,
        key: &K,
        opening: Opening,
    ) -> Judgement {
        match judgement {
            Judgement::Refuse(_) if opening == Opening::May && !self.expects_nothing() => {
                self.announced(judgement, &key.flow_key())
            }
            judgement => judgement,
        }
    }

    #[cold]
    fn announced(&self, refused: Judgement, key: &FlowKey) -> Judgement {
        let Some(announced) = self.announcement(key) else { return refused };
        let Some(expectation) = self.expected.take(&announced, self.now) else { return refused };
        if !self.helpers.has(expectation.helper) {
            return refused;
        }
        match self.right(expectation.helper, key, self.sender) {
            None if self.mode != Mode::Learn => refused,
            rule => Judgement::Negotiated(rule),
        }
    }

    /// Reads a frame of a conversation that may negotiate. The verdict on it is `verdict`, unless it negotiates what it must not.
    #[cold]
    pub fn watch<K: TableKey>(
        &mut self,
        flags: Flags,
        verdict: Verdict,
        seen: &Seen<K>,
    ) -> Verdict {
        let key = &seen.key.flow_key();
        let Some(parent) = self.parent(key, flags, verdict) else { return verdict };
        let Some(content) = content(self.head, seen.frame_bytes) else { return verdict };
        if parent.helper == Helper::Tftp {
            if self.sender == parent.client && tftp::is_request(content.bytes) {
                let port = key.endpoint(parent.client).service;
                self.expect(key, parent, parent.client, port);
            }
            return verdict;
        }
        if begins(seen.tcp_flags, flags, self.sender) {
            self.watched.begin(seen.hash, self.sender, content.sequence);
            return verdict;
        }
        if self.read(key, parent, &content, seen.hash) {
            return verdict;
        }
        let reason = DropReason::NegotiationForbidden;
        let refused = self.contradiction(reason);
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
