//! One frame and its conversation: hit, miss, TCP's course, reports.

use loadlock_exchange::{
    DropReason, Event, EventFlags, EventKind, Infrastructure, Midstream, Mode, PolicyView,
};
use loadlock_packet::{
    FlowKey, FrameClass, Headers, Kind, MacAddress, NarrowKey, Opening, Side, TcpFlags, WideKey,
};

use crate::clock::Moment;
use crate::decide::{Adoption, Judgement, judge_again, judge_first};
use crate::denied::{DeniedKey, DeniedReports};
use crate::entry::{Entry, Flags, Plain, State, TableKey, Tick};
use crate::fragments::Fragments;
use crate::intake::{Reading, Slot};
use crate::refused::RefusedOpenings;
use crate::report::{Counts, EventSink, event, send};
use crate::storage::Zeroed;
use crate::table::Table;
use crate::verdict::{Basis, Verdict, VerdictWord};

/// What stays the same for a burst, and where its reports go.
pub(crate) struct Burst<'a, S> {
    pub policy: PolicyView<'a>,
    pub mode: Mode,
    pub infrastructure: Infrastructure,
    pub midstream: Midstream,
    pub sender: Side,
    pub moment: Moment,
    pub now: Tick,
    /// Running conversations are adopted for a time, so that what is denied now mayn't be later.
    pub in_grace: bool,
    pub grace_ns: u64,
    pub roll_call: u8,
    pub events: &'a mut S,
    pub counts: &'a mut Counts,
    pub denied: &'a mut DeniedReports,
    pub refused: &'a mut RefusedOpenings,
    pub fragments: &'a mut Fragments,
}

/// What the flow table says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Counted; this is the verdict.
    Plain(VerdictWord),
    /// Something else is to be done, or it wasn't looked up.
    Special,
    /// Its conversation has no line.
    Absent,
}

/// One frame that has a key.
pub(crate) struct Seen<'a> {
    pub headers: &'a Headers,
    pub hash: u64,
    pub frame_bytes: u32,
}

fn hash(narrow: &Table<NarrowKey>, wide: &Table<WideKey>, key: &FlowKey) -> u64 {
    match key {
        FlowKey::Narrow(key) => narrow.hash(key),
        FlowKey::Wide(key) => wide.hash(key),
    }
}

const COURSE: u8 = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;

impl<S: EventSink> Burst<'_, S> {
    #[inline(always)]
    pub fn generation(&self) -> u16 {
        self.policy.generation() as u16
    }

    /// Counts a packet if that is all that its conversation's line needs.
    #[inline(always)]
    pub fn look<K: TableKey>(
        &self,
        table: &mut Table<K>,
        key: &K,
        slot: &Slot,
        plain: &Plain,
    ) -> Look
    where
        Entry<K>: Zeroed,
    {
        let Some(entry) = table.entry_mut(key, slot.line()) else { return Look::Absent };
        if !entry.is_plain(plain, slot.source) || slot.tcp_flags.any(COURSE) {
            return Look::Special;
        }
        self.count(entry, plain.sender, slot.frame_bytes);
        Look::Plain(entry.verdict)
    }

    /// Denies a common frame without a line as its like was denied before, if that is all there is to do.
    #[inline(never)]
    pub fn deny_again<K: TableKey>(
        &mut self,
        table: &Table<K>,
        key: &K,
        slot: &Slot,
    ) -> Option<VerdictWord>
    where
        Entry<K>: Zeroed,
    {
        let adopting = self.in_grace || table.adopts(self.moment.steady_ns);
        if adopting || self.mode != Mode::Enforce {
            return None;
        }
        let (hash, flow) = (table.hash(key), key.flow_key());
        let tcp = flow.tail().kind() == Kind::Tcp;
        let opening = if tcp { slot.tcp_flags.opening() } else { Opening::May };
        let narrow = matches!(flow, FlowKey::Narrow(_));
        let denied = DeniedKey { words: flow.words(), narrow, sender: self.sender, opening };
        let generation = self.generation();
        let reason =
            self.denied.count_known(&denied, hash, generation, slot.frame_bytes, self.now)?;
        self.counts.denied_unreported += 1;
        if tcp && opening == Opening::May {
            self.refused.remember(hash);
        }
        Some(Verdict::Deny(reason).into())
    }

    /// The verdict on a frame that isn't plain.
    #[cold]
    #[inline(never)]
    pub fn judge(
        &mut self,
        narrow: &mut Table<NarrowKey>,
        wide: &mut Table<WideKey>,
        slot: &Slot,
        look: Look,
        reading: &Reading,
    ) -> Verdict {
        let headers = match reading {
            Ok(headers) => headers,
            Err(malformed) => {
                let reason = (*malformed).into();
                return match Judgement::Refuse(reason).verdict(self.mode) {
                    // Learning a contradiction is impossible; it passes, and counts.
                    Verdict::Allow(_) => Verdict::WouldDeny(reason),
                    other => other,
                };
            }
        };
        let frame_bytes = slot.frame_bytes;
        if let Some(reason) = self.foreign(headers) {
            let hash = hash(narrow, wide, &headers.key);
            return self.deny_foreign(reason, &Seen { headers, hash, frame_bytes });
        }
        let unconditional = match headers.class {
            FrameClass::Ordinary => false,
            FrameClass::Arp => self.infrastructure.arp,
            FrameClass::NeighbourDiscovery => self.infrastructure.neighbour_discovery,
            FrameClass::LinkLocal => self.infrastructure.link_local,
        };
        if unconditional {
            return Verdict::Allow(Basis::Infrastructure);
        }
        if let Some(quote) = headers.quote
            && let Some(verdict) = self.related(narrow, wide, quote)
        {
            return verdict;
        }
        let seen = Seen { headers, hash: hash(narrow, wide, &headers.key), frame_bytes };
        if let Some(fragment) = headers.fragment.filter(|fragment| !fragment.is_first()) {
            return self.follow(&seen, &fragment);
        }
        let verdict = match headers.key {
            FlowKey::Narrow(key) => self.track(narrow, key, look, &seen),
            FlowKey::Wide(key) => self.track(wide, key, look, &seen),
        };
        if let Some(fragment) = &headers.fragment {
            self.lead(&seen, fragment, verdict);
        }
        verdict
    }

    fn track<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        key: K,
        look: Look,
        seen: &Seen<'_>,
    ) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        if look != Look::Absent
            && let Some(line) = table.find(&key, seen.hash)
        {
            return self.hit(table, line, seen);
        }
        self.miss(table, key, seen)
    }

    #[inline(always)]
    fn count<K>(&self, entry: &mut Entry<K>, sender: Side, frame_bytes: u32) {
        let from = sender as usize;
        entry.packets[from] = entry.packets[from].wrapping_add(1);
        entry.bytes[from] += u64::from(frame_bytes);
        entry.last_seen = self.now;
    }

    /// Counts a frame, and notes from which station it came.
    fn count_seen<K>(&self, entry: &mut Entry<K>, seen: &Seen<'_>) {
        self.count(entry, self.sender, seen.frame_bytes);
        entry.macs[self.sender as usize] = seen.headers.source_mac;
    }

    /// A frame whose conversation has a line: perhaps the policy changed, TCP's course goes on, or there is something to
    /// report.
    fn hit<K: TableKey>(&mut self, table: &mut Table<K>, line: usize, seen: &Seen<'_>) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        let generation = self.generation();
        let entry = table.get_mut(line);
        let key = entry.key;
        let mut over = entry.state == State::OVER;
        if !over && entry.generation != generation {
            let judgement = judge_again(&self.policy, &key.flow_key(), entry.flags);
            match judgement.on(seen.headers).verdict(self.mode) {
                Verdict::Deny(_) => over = true,
                verdict => {
                    entry.generation = generation;
                    entry.verdict = VerdictWord::from(verdict);
                    self.doubt_receiver(entry);
                }
            }
        }
        if over {
            self.end(entry);
            table.remove(line);
            // The frame may begin a conversation of its own, by another rule.
            return self.miss(table, key, seen);
        }
        if key.flow_key().tail().kind() == Kind::Tcp {
            if seen.headers.opening == Opening::May && self.begins_anew(entry) {
                return self.begin_anew(entry, seen);
            }
            self.tcp_course(entry, seen.headers.tcp_flags);
        }
        if entry.flags.unreported() {
            self.report_start(entry);
        }
        self.count_seen(entry, seen);
        let verdict = entry.verdict.verdict();
        if let Verdict::WouldDeny(reason) = verdict {
            self.deny(verdict, reason, false, seen);
        }
        verdict
    }

    /// Does a SYN on this line begin another conversation with the same key? Not when its initiator repeats it, or sends one
    /// into the open connection, which the responder answers with a challenge (RFC 5961).
    fn begins_anew<K>(&self, entry: &Entry<K>) -> bool {
        let by_initiator =
            entry.flags.initiator() == self.sender && !entry.flags.has(Flags::MIDSTREAM);
        let closing = entry.state.is_closing() || entry.flags.any(Flags::FIN_A | Flags::FIN_B);
        !by_initiator || closing
    }

    /// A SYN that isn't the known initiator's needs a rule of its own direction; denied, it leaves the running
    /// conversation alone.
    fn begin_anew<K: TableKey>(&mut self, entry: &mut Entry<K>, seen: &Seen<'_>) -> Verdict {
        let key = entry.key.flow_key();
        let judgement =
            judge_first(&self.policy, &key, self.sender, Opening::May, Adoption::default());
        let verdict = judgement.verdict(self.mode);
        if let Verdict::Deny(reason) | Verdict::WouldDeny(reason) = verdict {
            self.deny(verdict, reason, false, seen);
            return verdict;
        }
        self.refused.forget(seen.hash);
        self.end(entry);
        *entry = self.entry(entry.key, verdict, false, seen);
        self.start(entry, seen);
        verdict
    }

    fn tcp_course<K>(&mut self, entry: &mut Entry<K>, flags: TcpFlags) {
        let reset = State::reset_by(self.sender);
        if flags.has(TcpFlags::RST) {
            entry.state = reset;
            return;
        }
        // Who has reset a connection sends nothing more on it: that RST was forged, or out of the window.
        if entry.state == reset && !flags.has(TcpFlags::SYN) {
            entry.state = State::TCP_OPEN;
        }
        if entry.state == State::TCP_OPENING && flags.has(TcpFlags::ACK) {
            let answered = flags.has(TcpFlags::SYN) && self.sender != entry.flags.initiator();
            if answered {
                entry.flags.set(Flags::HANDSHAKE);
            }
            // An initiator that goes on without an answer passing here has it another way (asymmetric routing).
            if answered || !flags.has(TcpFlags::SYN) {
                entry.state = State::TCP_OPEN;
            }
        }
        if flags.has(TcpFlags::FIN) {
            entry.flags.set(Flags::fin(self.sender));
            if entry.flags.has(Flags::FIN_A | Flags::FIN_B) {
                entry.state = State::TCP_CLOSING;
            }
        }
    }

    /// The first frame of a conversation.
    fn miss<K: TableKey>(&mut self, table: &mut Table<K>, key: K, seen: &Seen<'_>) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        let stateless = table.adopts(self.moment.steady_ns);
        let adopting = self.in_grace || stateless;
        let running = adopting || self.midstream == Midstream::Always;
        let opening = seen.headers.opening;
        let tcp = key.flow_key().tail().kind() == Kind::Tcp;
        let refused = tcp && opening == Opening::MayNot && self.refused.contains(seen.hash);
        let known = if adopting { None } else { self.known_denied(seen) };
        let judgement = match known {
            Some(reason) => Judgement::Refuse(reason),
            None => {
                let by_rule = self.midstream != Midstream::Never;
                let adopt = Adoption { running, stateless, refused, by_rule };
                judge_first(&self.policy, &key.flow_key(), self.sender, opening, adopt)
            }
        };
        let verdict = judgement.on(seen.headers).verdict(self.mode);
        if tcp && opening == Opening::May {
            if verdict.forwards() {
                self.refused.forget(seen.hash);
            } else {
                self.refused.remember(seen.hash);
            }
        }
        if let Verdict::Deny(reason) | Verdict::WouldDeny(reason) = verdict {
            // A refused opening may be permitted yet, and the next segment with it.
            let lasting = !refused;
            self.deny(verdict, reason, lasting, seen);
        }
        if !verdict.forwards() {
            return verdict;
        }
        if table.is_full() {
            self.counts.flows_refused += 1;
            table.refused(self.moment.steady_ns.saturating_add(self.grace_ns));
            return verdict;
        }
        let met_running = opening == Opening::MayNot || matches!(judgement, Judgement::Adopt(_));
        let mut entry = self.entry(key, verdict, met_running, seen);
        if met_running && !running {
            entry.flags.set(Flags::AFTER_GRACE);
        }
        if let Some(line) = table.insert(entry, seen.hash) {
            self.start(table.get_mut(line), seen);
        }
        verdict
    }

    /// A new line for the conversation that `seen` begins, or is the first seen of.
    fn entry<K: TableKey>(
        &self,
        key: K,
        verdict: Verdict,
        met_running: bool,
        seen: &Seen<'_>,
    ) -> Entry<K> {
        let tcp_flags = seen.headers.tcp_flags;
        let kind = key.flow_key().tail().kind();
        let begins = seen.headers.opening == Opening::May;
        let state = match kind {
            Kind::Tcp if begins => State::TCP_OPENING,
            Kind::Tcp if tcp_flags.any(TcpFlags::RST) => State::reset_by(self.sender),
            Kind::Tcp => State::TCP_OPEN,
            Kind::Udp => State::UDP,
            Kind::Icmp => State::ICMP,
            _ => State::OTHER,
        };
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
            key,
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
    fn start<K: TableKey>(&mut self, entry: &mut Entry<K>, seen: &Seen<'_>) {
        self.counts.flows_started += 1;
        entry.macs[self.sender.other() as usize] = seen.headers.destination_mac;
        self.doubt_receiver(entry);
        self.count_seen(entry, seen);
        self.report_start(entry);
    }

    fn report_start<K: TableKey>(&mut self, entry: &mut Entry<K>) {
        let event = event(EventKind::Started, entry, self.moment.clock_ns);
        if send(self.events, self.counts, &event) {
            entry.flags.clear(Flags::UNREPORTED);
        } else {
            entry.flags.set(Flags::UNREPORTED);
        }
    }

    fn end<K: TableKey>(&mut self, entry: &Entry<K>) {
        self.counts.flows_ended += 1;
        let event = event(EventKind::Ended, entry, self.moment.clock_ns);
        send(self.events, self.counts, &event);
    }

    fn denied_key(&self, seen: &Seen<'_>) -> DeniedKey {
        let Headers { key, opening, .. } = *seen.headers;
        let narrow = matches!(key, FlowKey::Narrow(_));
        DeniedKey { words: key.words(), narrow, sender: self.sender, opening }
    }

    /// Why the policy in force denied such a frame lately. Doesn't hold while conversations are adopted, nor for frames that a line
    /// lets pass.
    fn known_denied(&self, seen: &Seen<'_>) -> Option<DropReason> {
        self.denied.known(&self.denied_key(seen), seen.hash, self.generation())
    }

    /// Reports a frame that is dropped, or would be, unless its like was reported lately. `lasting`: until the policy changes,
    /// the next one without a line gets the same verdict.
    pub fn deny(&mut self, verdict: Verdict, reason: DropReason, lasting: bool, seen: &Seen<'_>) {
        let key = seen.headers.key;
        let denied = self.denied_key(seen);
        let until = if lasting { self.generation() } else { self.generation().wrapping_sub(1) };
        let due = self.denied.count(&denied, reason, until, seen.hash, seen.frame_bytes, self.now);
        let Some(due) = due else {
            self.counts.denied_unreported += 1;
            return;
        };
        let by_sender = |value: u32| {
            let mut pair = [0; 2];
            pair[self.sender as usize] = u64::from(value);
            pair
        };
        let mut macs = [seen.headers.source_mac; 2];
        macs[self.sender.other() as usize] = seen.headers.destination_mac;
        let event = Event {
            kind: EventKind::Denied(reason),
            time_ns: self.moment.clock_ns,
            key,
            initiator: self.sender,
            flags: EventFlags { forwarded: verdict.forwards(), ..EventFlags::default() },
            rule: None,
            packets: by_sender(due.packets),
            bytes: by_sender(due.bytes),
            macs,
            claimed: seen.headers.claim.map(|claim| claim.address.into()),
        };
        if send(self.events, self.counts, &event) {
            self.denied.reported(due, self.now);
        } else {
            self.denied.refused(due, self.now);
        }
    }
}
