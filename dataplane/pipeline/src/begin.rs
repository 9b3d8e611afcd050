//! The first frame of a conversation: verdict, line, report.

use loadlock_exchange::{DropReason, EventKind, Midstream, Mode, RingFullPolicy, TableFull};
use loadlock_packet::{Kind, MacAddress, Opening, TcpFlags};

use crate::decide::{Adoption, Judgement, judge_first};
use crate::entry::{Entry, Flags, State, TableKey};
use crate::report::{EventSink, event, send};
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::{Burst, Seen};
use crate::verdict::{Verdict, VerdictWord};

impl<S: EventSink> Burst<'_, S> {
    /// The first frame of a conversation.
    pub fn miss<K: TableKey>(&mut self, table: &mut Table<K>, seen: &Seen<K>) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        let stateless = table.adopts(self.moment.steady_ns);
        let adopting = self.in_grace || stateless;
        let running = adopting || self.midstream == Midstream::Always;
        let opening = seen.opening;
        let tcp = seen.is_tcp();
        let refused = tcp && opening == Opening::MayNot && self.refused.contains(seen.hash);
        let known = if adopting { None } else { self.known_denied(seen) };
        let judgement = match known {
            Some(reason) => Judgement::Refuse(reason),
            None => {
                let by_rule = self.midstream != Midstream::Never;
                let adopt = Adoption { running, stateless, refused, by_rule };
                judge_first(&self.policy, &seen.key, self.sender, opening, adopt)
            }
        };
        let mut judgement = self.or_announced(judgement, &seen.key, opening);
        let has_room = table.has_room(seen.hash);
        let at_limit = self.at_limit(has_room);
        if let Some(reason) = at_limit
            && !matches!(judgement, Judgement::Refuse(_))
        {
            judgement = Judgement::Refuse(reason);
        }
        let mut verdict = judgement.on(seen.is_error).verdict(self.mode);
        if self.table_full == TableFull::Open
            && self.mode != Mode::Quarantine
            && !has_room
            && let Verdict::Deny(reason) = verdict
        {
            verdict = Verdict::WouldDeny(reason);
        }
        if tcp && opening == Opening::May {
            if verdict.forwards() {
                self.refused.forget(seen.hash);
            } else {
                self.refused.remember(seen.hash);
            }
        }
        if let Verdict::Deny(reason) | Verdict::WouldDeny(reason) = verdict {
            // A refused opening may be permitted yet, and the next segment with it; a limit passes. What is remembered hangs on a
            // conversation's key and is denied again by it alone, so it mustn't hang on stations, nor only be reported.
            let by_key = !self.policy.has_device_modes()
                || (!self.policy.has_station_modes() && !verdict.forwards());
            let lasting = !refused && at_limit.is_none() && by_key;
            self.deny(verdict, reason, lasting, seen);
        }
        if !verdict.forwards() {
            return verdict;
        }
        if !has_room {
            self.counts.flows_refused += 1;
            table.refused(self.moment.steady_ns.saturating_add(self.grace_ns));
            return verdict;
        }
        let met_running = opening == Opening::MayNot || matches!(judgement, Judgement::Adopt(_));
        let mut entry = self.entry(verdict, met_running, seen);
        if met_running && !running {
            entry.flags.set(Flags::AFTER_GRACE);
        }
        if let Some(line) = table.insert(entry, seen.hash) {
            self.begun.add(seen.hash);
            let entry = table.get_mut(line);
            self.start(entry, seen);
            if entry.state.is_parent() {
                return self.watch(entry.flags, verdict, seen);
            }
        }
        verdict
    }

    /// Why a segment that would rather drop than forget or be silent takes no new conversation now.
    #[inline]
    fn at_limit(&mut self, has_room: bool) -> Option<DropReason> {
        if self.table_full == TableFull::Closed && !has_room {
            return Some(DropReason::FlowTableFull);
        }
        let silent = self.ring_full == RingFullPolicy::Closed && self.events.is_full();
        silent.then_some(DropReason::EventRingFull)
    }

    /// A new line for the conversation that `seen` begins, or is the first seen of.
    #[inline]
    pub fn entry<K: TableKey>(
        &self,
        verdict: Verdict,
        met_running: bool,
        seen: &Seen<K>,
    ) -> Entry<K> {
        let tcp_flags = seen.tcp_flags;
        let kind = seen.key.tail().kind();
        let begins = seen.opening == Opening::May;
        let state = match kind {
            Kind::Tcp if begins => State::TCP_OPENING,
            Kind::Tcp if tcp_flags.any(TcpFlags::RST) => State::reset_by(self.sender),
            Kind::Tcp => State::TCP_OPEN,
            Kind::Udp => State::UDP,
            Kind::Icmp => State::ICMP,
            _ => State::OTHER,
        };
        let state = self.watched_state(state, &seen.key);
        // A SYN-ACK and an ICMP answer say that the other side asked.
        let syn_ack = tcp_flags.has(TcpFlags::SYN | TcpFlags::ACK);
        let answers = !begins && (kind == Kind::Icmp || syn_ack);
        let initiator = if answers { self.sender.other() } else { self.sender };
        let mut flags = Flags::new(initiator, self.roll_call);
        if met_running {
            flags.set(Flags::MIDSTREAM);
        }
        if syn_ack {
            flags.set(Flags::HANDSHAKE);
        }
        if tcp_flags.any(TcpFlags::FIN) {
            flags.set(Flags::fin(self.sender));
        }
        Entry {
            key: seen.key,
            bytes: [0; 2],
            packets: [0; 2],
            last_seen: self.now,
            verdict: VerdictWord::from(verdict),
            generation: self.generation(),
            state,
            flags,
            macs: [MacAddress([0; 6]); 2],
        }
    }

    /// Counts and reports a conversation's first frame.
    pub fn start<K: TableKey>(&mut self, entry: &mut Entry<K>, seen: &Seen<K>) {
        self.counts.flows_started += 1;
        entry.macs[self.sender.other() as usize] = seen.destination;
        self.doubt_receiver(entry);
        self.count_seen(entry, seen);
        self.report_start(entry);
    }

    pub fn report_start<K: TableKey>(&mut self, entry: &mut Entry<K>) {
        let event = event(EventKind::Started, entry, self.moment.clock_ns);
        if send(self.events, self.counts, &event) {
            entry.flags.clear(Flags::UNREPORTED);
        } else {
            entry.flags.set(Flags::UNREPORTED);
        }
    }

    pub fn end<K: TableKey>(&mut self, entry: &Entry<K>) {
        self.counts.flows_ended += 1;
        let event = event(EventKind::Ended, entry, self.moment.clock_ns);
        send(self.events, self.counts, &event);
    }
}
