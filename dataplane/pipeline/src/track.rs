//! One frame and its conversation: hit, TCP's course, denials and their reports. The first frame of one is in `begin.rs`.

use loadlock_exchange::{
    DropReason, Event, EventFlags, EventKind, Expected, Infrastructure, Midstream, Mode,
    PolicyView, RingFullPolicy, TableFull,
};
use loadlock_packet::negotiation::Helpers;
use loadlock_packet::{
    Claim, FlowKey, Fragment, FrameClass, Headers, Kind, MacAddress, NarrowKey, Opening, SegmentId,
    Side, TcpFlags, WideKey,
};

use crate::clock::Moment;
use crate::decide::{Adoption, judge_first};
use crate::deferred::{Hashes, Tables};
use crate::denied::{DeniedId, DeniedReports};
use crate::entry::{Entry, Flags, Plain, State, TableKey, Tick};
use crate::fragments::Fragments;
use crate::intake::{Reading, Slot, Sort};
use crate::refused::RefusedOpenings;
use crate::report::{Counts, EventSink, send};
use crate::storage::Zeroed;
use crate::table::{Place, Table};
use crate::verdict::{Basis, Verdict, VerdictWord};
use crate::watched::Watched;

/// What stays the same for a burst, and where its reports go.
pub(crate) struct Burst<'a, S> {
    pub policy: PolicyView<'a>,
    /// Of the frame that is being judged: the segment's, unless a device has its own.
    pub mode: Mode,
    pub mode_of_segment: Mode,
    /// Stations have modes of their own, so that a line's verdict holds only between those that it knows.
    pub by_station: bool,
    pub segment: SegmentId,
    pub infrastructure: Infrastructure,
    pub midstream: Midstream,
    pub table_full: TableFull,
    pub ring_full: RingFullPolicy,
    pub sender: Side,
    pub moment: Moment,
    pub now: Tick,
    /// Running conversations are adopted for a time, so that what is denied now mayn't be later.
    pub in_grace: bool,
    pub grace_ns: u64,
    pub roll_call: u8,
    /// The conversations that this burst began.
    pub begun: Hashes,
    /// Conversations that may still be judged again in this burst; others keep their verdict.
    pub judge_again_left: usize,
    pub events: &'a mut S,
    pub counts: &'a mut Counts,
    pub denied: &'a mut DeniedReports,
    pub refused: &'a mut RefusedOpenings,
    pub fragments: &'a mut Fragments,
    /// Of the frame that is being judged: its first buffer segment.
    pub head: &'a [u8],
    pub helpers: Helpers,
    pub watched: &'a mut Watched,
    pub expected: &'a Expected,
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

/// One frame that has a key, as far as its judgement needs it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<K> {
    pub key: K,
    pub hash: u64,
    pub frame_bytes: u32,
    pub tcp_flags: TcpFlags,
    pub opening: Opening,
    /// Sender's station.
    pub source: MacAddress,
    /// Receiver's station or group.
    pub destination: MacAddress,
    /// An ICMP error.
    pub is_error: bool,
}

impl<K: TableKey> Seen<K> {
    /// Of a frame that was read in full.
    fn rare(key: K, hash: u64, frame_bytes: u32, headers: &Headers) -> Self {
        Self {
            key,
            hash,
            frame_bytes,
            tcp_flags: headers.tcp_flags,
            opening: headers.opening,
            source: headers.source_mac,
            destination: headers.destination_mac,
            is_error: headers.quote.is_some(),
        }
    }

    /// Of a common frame, which begins with `head`.
    #[inline]
    pub fn common(key: K, hash: u64, slot: &Slot, head: &[u8]) -> Self {
        Self {
            key,
            hash,
            frame_bytes: slot.frame_bytes,
            tcp_flags: slot.tcp_flags,
            opening: slot.opening(&key),
            source: slot.source.mac(),
            destination: MacAddress(head.first_chunk().copied().unwrap_or_default()),
            is_error: false,
        }
    }

    pub fn is_tcp(&self) -> bool {
        self.key.tail().kind() == Kind::Tcp
    }
}

/// TCP flags that change where a connection stands.
pub(crate) const COURSE: u8 = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;

impl<'a, S: EventSink> Burst<'a, S> {
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
        let Place::Here(entry) = table.place(key, slot.line()) else { return Look::Absent };
        if slot.tcp_flags.any(COURSE) || !entry.is_plain(plain, slot.source) {
            return Look::Special;
        }
        entry.count(plain.sender, slot.frame_bytes, self.now);
        Look::Plain(entry.verdict)
    }

    /// Needs a frame that isn't plain at first sight no more than counting after all? Where stations have modes, one between those that
    /// its line knows; and one whose conversation's turn to be judged again hasn't come.
    #[inline(never)]
    pub fn look_closer(
        &self,
        tables: &mut Tables<'_>,
        plain: &[Plain; 2],
        slot: &Slot,
        head: &[u8],
    ) -> Option<VerdictWord> {
        if !self.by_station && self.judge_again_left > 0 || slot.tcp_flags.any(COURSE) {
            return None;
        }
        match slot.sort {
            Sort::Narrow => self.goes_on(tables.narrow, &slot.narrow(), &plain[0], slot, head),
            Sort::Wide => self.goes_on(tables.wide, &slot.wide(), &plain[1], slot, head),
            Sort::Rare => None,
        }
    }

    fn goes_on<K: TableKey>(
        &self,
        table: &mut Table<K>,
        key: &K,
        plain: &Plain,
        slot: &Slot,
        head: &[u8],
    ) -> Option<VerdictWord>
    where
        Entry<K>: Zeroed,
    {
        let Place::Here(entry) = table.place(key, slot.line()) else { return None };
        let receiver = MacAddress(head.first_chunk().copied().unwrap_or_default());
        let waits = self.judge_again_left == 0
            && entry.is_plain_but_stale(plain, slot.source)
            && !self.is_foreign(&key.flow_key(), slot.source.mac());
        let between_known =
            || self.by_station && entry.is_plain_between(plain, slot.source, receiver);
        if !(waits || between_known()) {
            return None;
        }
        entry.count(plain.sender, slot.frame_bytes, self.now);
        Some(entry.verdict)
    }

    /// The verdict on a frame that isn't plain.
    #[cold]
    #[inline(never)]
    pub fn special(
        &mut self,
        tables: &mut Tables<'_>,
        slot: &Slot,
        reading: &Reading,
        head: &'a [u8],
    ) -> VerdictWord {
        self.head = head;
        let Tables { narrow, wide, .. } = tables;
        let verdict = match slot.sort {
            Sort::Narrow => {
                let key = slot.narrow();
                self.hold(narrow, &Seen::common(key, narrow.hash(&key), slot, head), false)
            }
            Sort::Wide => {
                let key = slot.wide();
                self.hold(wide, &Seen::common(key, wide.hash(&key), slot, head), false)
            }
            Sort::Rare => self.judge(narrow, wide, slot.frame_bytes, reading),
        };
        verdict.into()
    }

    /// The verdict on a frame that was read in full.
    pub fn judge(
        &mut self,
        narrow: &mut Table<NarrowKey>,
        wide: &mut Table<WideKey>,
        frame_bytes: u32,
        reading: &Reading,
    ) -> Verdict {
        let headers = match reading {
            Ok(headers) => headers,
            Err(malformed) => {
                self.enter_unread();
                return self.contradiction((*malformed).into());
            }
        };
        self.enter(&headers.key, headers.source_mac, headers.destination_mac);
        if let Some(reason) = self.foreign_frame(headers) {
            return match headers.key {
                FlowKey::Narrow(key) => {
                    let seen = Seen::rare(key, narrow.hash(&key), frame_bytes, headers);
                    self.deny_foreign(reason, &seen, headers.claim)
                }
                FlowKey::Wide(key) => {
                    let seen = Seen::rare(key, wide.hash(&key), frame_bytes, headers);
                    self.deny_foreign(reason, &seen, headers.claim)
                }
            };
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
            && self.mode != Mode::Quarantine
            && let Some(verdict) = self.related(narrow, wide, quote)
        {
            return verdict;
        }
        match headers.key {
            FlowKey::Narrow(key) => {
                let seen = Seen::rare(key, narrow.hash(&key), frame_bytes, headers);
                self.whole_or_fragment(narrow, &seen, headers.fragment)
            }
            FlowKey::Wide(key) => {
                let seen = Seen::rare(key, wide.hash(&key), frame_bytes, headers);
                self.whole_or_fragment(wide, &seen, headers.fragment)
            }
        }
    }

    fn whole_or_fragment<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        seen: &Seen<K>,
        fragment: Option<Fragment>,
    ) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_first()) {
            if self.mode == Mode::Quarantine {
                return self.deny_quarantined(seen);
            }
            return self.follow(seen, &fragment);
        }
        let verdict = self.track(table, seen);
        if let Some(fragment) = &fragment {
            self.lead(&seen.key.flow_key(), fragment, verdict);
        }
        verdict
    }

    /// The verdict on a frame whose conversation may have a line.
    #[inline(never)]
    pub fn track<K: TableKey>(&mut self, table: &mut Table<K>, seen: &Seen<K>) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        match table.find(&seen.key, seen.hash) {
            Some(line) => self.hit(table, line, seen),
            None => self.miss(table, seen),
        }
    }

    /// Counts a frame, and notes from which station it came.
    pub fn count_seen<K>(&self, entry: &mut Entry<K>, seen: &Seen<K>) {
        entry.count(self.sender, seen.frame_bytes, self.now);
        entry.macs[self.sender as usize] = seen.source;
    }

    /// A frame whose conversation has a line: perhaps the policy changed, TCP's course goes on, or there is something to
    /// report.
    fn hit<K: TableKey>(&mut self, table: &mut Table<K>, line: usize, seen: &Seen<K>) -> Verdict
    where
        Entry<K>: Zeroed,
    {
        let generation = self.generation();
        let entry = table.get_mut(line);
        let mut over = entry.state == State::OVER;
        if self.mode == Mode::Quarantine && entry.generation == generation && !over {
            // A station in quarantine speaks with the addresses of others, whose conversation goes on.
            return self.deny_quarantined(seen);
        }
        if !over && entry.generation != generation && self.judge_again_left > 0 {
            self.judge_again_left -= 1;
            let judgement = self.again(&seen.key, entry.flags, entry.verdict);
            match judgement.on(seen.is_error).verdict(self.mode) {
                Verdict::Deny(_) => over = true,
                verdict => {
                    entry.generation = generation;
                    entry.verdict = VerdictWord::from(verdict);
                    entry.state = self.watched_state(entry.state, &seen.key);
                    if self.by_station {
                        entry.macs[self.sender.other() as usize] = seen.destination;
                    }
                    self.doubt_receiver(entry);
                }
            }
        }
        if over {
            self.end(entry);
            table.remove(line);
            // The frame may begin a conversation of its own, by another rule.
            return self.miss(table, seen);
        }
        if seen.is_tcp() {
            if seen.opening == Opening::May && self.begins_anew(entry) {
                return self.begin_anew(entry, seen);
            }
            self.tcp_course(entry, seen.tcp_flags);
        }
        if entry.flags.unreported() {
            self.report_start(entry);
        }
        self.count_seen(entry, seen);
        let verdict = entry.verdict.verdict();
        if let Verdict::WouldDeny(reason) = verdict {
            self.deny(verdict, reason, false, seen);
        }
        if entry.state.is_parent() {
            return self.watch(entry.flags, verdict, seen);
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
    fn begin_anew<K: TableKey>(&mut self, entry: &mut Entry<K>, seen: &Seen<K>) -> Verdict {
        let adopt = Adoption::default();
        let judgement = judge_first(&self.policy, &seen.key, self.sender, Opening::May, adopt);
        let judgement = self.or_announced(judgement, &seen.key, Opening::May);
        let verdict = judgement.verdict(self.mode);
        if let Verdict::Deny(reason) | Verdict::WouldDeny(reason) = verdict {
            self.deny(verdict, reason, false, seen);
            return verdict;
        }
        self.refused.forget(seen.hash);
        self.end(entry);
        *entry = self.entry(verdict, false, seen);
        self.start(entry, seen);
        verdict
    }

    fn tcp_course<K: TableKey>(&mut self, entry: &mut Entry<K>, flags: TcpFlags) {
        let reset = State::reset_by(self.sender);
        if flags.has(TcpFlags::RST) {
            entry.state = reset;
            return;
        }
        // Who has reset a connection sends nothing more on it: that RST was forged, or out of the window.
        if entry.state == reset && !flags.has(TcpFlags::SYN) {
            entry.state = self.watched_state(State::TCP_OPEN, &entry.key);
        }
        if entry.state == State::TCP_OPENING && flags.has(TcpFlags::ACK) {
            let answered = flags.has(TcpFlags::SYN) && self.sender != entry.flags.initiator();
            if answered {
                entry.flags.set(Flags::HANDSHAKE);
            }
            // An initiator that goes on without an answer passing here has it another way (asymmetric routing).
            if answered || !flags.has(TcpFlags::SYN) {
                entry.state = self.watched_state(State::TCP_OPEN, &entry.key);
            }
        }
        if flags.has(TcpFlags::FIN) {
            entry.flags.set(Flags::fin(self.sender));
            if entry.flags.has(Flags::FIN_A | Flags::FIN_B) {
                entry.state = State::TCP_CLOSING;
            }
        }
    }

    #[cold]
    fn deny_quarantined<K: TableKey>(&mut self, seen: &Seen<K>) -> Verdict {
        let verdict = Verdict::Deny(DropReason::Quarantined);
        self.deny(verdict, DropReason::Quarantined, false, seen);
        verdict
    }

    fn denied_id<K: TableKey>(&self, seen: &Seen<K>) -> DeniedId {
        DeniedId::new(seen.hash, K::NARROW, self.sender, seen.opening, seen.source.into())
    }

    /// Why the policy in force denied such a frame lately. Doesn't hold while conversations are adopted, nor for frames that a line
    /// lets pass.
    pub fn known_denied<K: TableKey>(&self, seen: &Seen<K>) -> Option<DropReason> {
        self.denied.known(self.denied_id(seen), self.generation())
    }

    /// Reports a frame that is dropped, or would be, unless its like was reported lately. `lasting`: until the policy changes,
    /// the next one without a line gets the same verdict.
    pub fn deny<K: TableKey>(
        &mut self,
        verdict: Verdict,
        reason: DropReason,
        lasting: bool,
        seen: &Seen<K>,
    ) {
        self.deny_claim(verdict, reason, lasting, seen, None);
    }

    /// The same of a frame that claims an address.
    pub fn deny_claim<K: TableKey>(
        &mut self,
        verdict: Verdict,
        reason: DropReason,
        lasting: bool,
        seen: &Seen<K>,
        claim: Option<Claim>,
    ) {
        let denied = self.denied_id(seen);
        let until = if lasting { self.generation() } else { self.generation().wrapping_sub(1) };
        let due = self.denied.count(denied, reason, until, seen.frame_bytes, self.now);
        let Some(due) = due else {
            self.counts.denied_unreported += 1;
            return;
        };
        let by_sender = |value: u32| {
            let mut pair = [0; 2];
            pair[self.sender as usize] = u64::from(value);
            pair
        };
        let mut macs = [seen.source; 2];
        macs[self.sender.other() as usize] = seen.destination;
        let event = Event {
            kind: EventKind::Denied(reason),
            time_ns: self.moment.clock_ns,
            key: seen.key.flow_key(),
            initiator: self.sender,
            flags: EventFlags { forwarded: verdict.forwards(), ..EventFlags::default() },
            rule: None,
            packets: by_sender(due.packets),
            bytes: by_sender(due.bytes),
            macs,
            claimed: claim.map(|claim| claim.address.into()),
        };
        if send(self.events, self.counts, &event) {
            self.denied.reported(due, self.now);
        } else {
            self.denied.refused(due, self.now);
        }
    }
}
