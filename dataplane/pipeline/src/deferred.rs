//! The third pass: from the first frame on whose conversation has no line, all that need more than counting. What the frames
//! without a line wait for is sent for on behalf of all at once: the memory of denied ones first, and the allowlist's lines for
//! those that aren't in it. Those that are in it are denied again; the others are judged in the order of their arrival.

use loadlock_exchange::Mode;
use loadlock_packet::{NarrowKey, Opening, TcpFlags, WideKey};

use crate::denied::DeniedId;
use crate::entry::{Entry, TableKey};
use crate::intake::{Reading, Slot, Sort};
use crate::pipeline::BURST_FRAMES_MAX;
use crate::report::EventSink;
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::{Burst, Seen};
use crate::verdict::{Verdict, VerdictWord};

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Deferral {
    /// Of a common frame, from [`Burst::prepare`] on.
    hash: u64,
    denied: DeniedId,
    /// Which frame of the burst it is.
    pub at: u8,
    /// It was looked up, and had no line.
    absent: bool,
}

/// Those of a burst.
pub(crate) struct Deferred {
    list: [Deferral; BURST_FRAMES_MAX],
    count: usize,
}

const _: () = assert!(BURST_FRAMES_MAX <= u8::MAX as usize);

impl Deferred {
    pub fn new() -> Self {
        let none = Deferral { hash: 0, denied: DeniedId::NONE, at: 0, absent: false };
        Self { list: [none; BURST_FRAMES_MAX], count: 0 }
    }

    pub fn clear(&mut self) {
        self.count = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Defers the frame at `at`, which was looked up in vain.
    #[inline(always)]
    pub fn absent(&mut self, at: usize) {
        self.push(at, true);
    }

    /// Defers the frames from `at` to `end`: one that is deferred could change how a later one is to be taken.
    #[cold]
    pub fn all_from(&mut self, at: usize, end: usize) {
        (at..end).for_each(|at| self.push(at, false));
    }

    #[inline(always)]
    fn push(&mut self, at: usize, absent: bool) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = Deferral { hash: 0, denied: DeniedId::NONE, at: at as u8, absent };
            self.count += 1;
        }
    }

    pub fn list(&self) -> &[Deferral] {
        &self.list[..self.count]
    }
}

/// Conversations of a burst, by their hashes: may name others too.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hashes(u64);

impl Hashes {
    #[inline(always)]
    pub fn add(&mut self, hash: u64) {
        self.0 |= 1 << (hash % 64);
    }

    #[inline(always)]
    pub fn may_have(self, hash: u64) -> bool {
        self.0 >> (hash % 64) & 1 == 1
    }
}

/// Both flow tables, and their [`Table::removals`] before the burst.
pub(crate) struct Tables<'a> {
    pub narrow: &'a mut Table<NarrowKey>,
    pub wide: &'a mut Table<WideKey>,
    pub removals: [u64; 2],
}

impl<'a, S: EventSink> Burst<'a, S> {
    /// Denies again what can be, and sends for what [`Burst::settle`] looks at for the others, which alone stay in the list.
    #[inline(never)]
    pub fn prepare(
        &mut self,
        tables: &Tables<'_>,
        slots: &[Slot],
        deferred: &mut Deferred,
        verdicts: &mut [VerdictWord],
    ) {
        let list = &mut deferred.list[..deferred.count];
        for deferral in &mut *list {
            let slot = &slots[usize::from(deferral.at)];
            match slot.sort {
                Sort::Narrow => self.fetch_denied(tables.narrow, &slot.narrow(), slot, deferral),
                Sort::Wide => self.fetch_denied(tables.wide, &slot.wide(), slot, deferral),
                Sort::Rare => {}
            }
        }
        let Tables { narrow, wide, removals } = tables;
        // What was taken out may have moved others to where they weren't looked for.
        let repeats = [
            self.repeats_denials(narrow) && narrow.removals() == removals[0],
            self.repeats_denials(wide) && wide.removals() == removals[1],
        ];
        let again = self.deny_run(slots, list, repeats, verdicts);
        let mut left = self.begun;
        let mut count = 0;
        for position in again..list.len() {
            let deferral = list[position];
            let at = usize::from(deferral.at);
            let slot = &slots[at];
            let word = match slot.sort {
                _ if !deferral.absent => None,
                Sort::Narrow => {
                    self.settled(narrow, &slot.narrow(), slot, &deferral, repeats[0], left)
                }
                Sort::Wide => self.settled(wide, &slot.wide(), slot, &deferral, repeats[1], left),
                Sort::Rare => None,
            };
            match word {
                Some(word) => verdicts[at] = word,
                None => {
                    left.add(deferral.hash);
                    list[count] = deferral;
                    count += 1;
                }
            }
        }
        deferred.count = count;
    }

    /// The verdict on a deferred frame, which begins with `head`.
    #[inline]
    pub fn settle(
        &mut self,
        tables: &mut Tables<'_>,
        slot: &Slot,
        deferral: &Deferral,
        reading: &Reading,
        head: &'a [u8],
    ) -> VerdictWord {
        self.head = head;
        let [narrow, wide] = tables.removals;
        match slot.sort {
            Sort::Narrow => {
                self.settle_in(tables.narrow, narrow, slot.narrow(), slot, deferral, head)
            }
            Sort::Wide => self.settle_in(tables.wide, wide, slot.wide(), slot, deferral, head),
            Sort::Rare => self.judge(tables.narrow, tables.wide, slot.frame_bytes, reading).into(),
        }
    }

    #[inline(always)]
    fn fetch_denied<K: TableKey>(
        &self,
        table: &Table<K>,
        key: &K,
        slot: &Slot,
        deferral: &mut Deferral,
    ) where
        Entry<K>: Zeroed,
    {
        let hash = table.hash(key);
        let opening = slot.opening(key);
        deferral.hash = hash;
        deferral.denied = DeniedId::new(hash, K::NARROW, self.sender, opening, slot.source);
        self.denied.prefetch(deferral.denied);
    }

    /// Denies a frame without a line again, or sends for what its judgement looks at.
    #[inline(always)]
    fn settled<K: TableKey>(
        &mut self,
        table: &Table<K>,
        key: &K,
        slot: &Slot,
        deferral: &Deferral,
        repeats: bool,
        left: Hashes,
    ) -> Option<VerdictWord>
    where
        Entry<K>: Zeroed,
    {
        let Deferral { hash, denied, .. } = *deferral;
        if repeats && self.is_free_of(left, hash) && !self.is_announced(key) {
            let word = self.deny_again(denied, hash, slot.tcp_flags, slot.frame_bytes);
            if word.is_some() {
                return word;
            }
        }
        self.refused.prefetch(hash);
        if !table.is_full() {
            table.prefetch_home(hash);
        }
        key.prefetch_rules(&self.policy, self.sender);
        key.prefetch_rules(&self.policy, self.sender.other());
        None
    }

    /// Can nothing that began, or was left for later, change how a frame of the conversation with this hash is taken? One of them may
    /// begin it, or negotiate its port.
    #[inline(always)]
    pub fn is_free_of(&self, left: Hashes, hash: u64) -> bool {
        left == Hashes::default() || (!left.may_have(hash) && self.helpers.bits() == 0)
    }

    /// Is what was denied before denied again, without the allowlist?
    #[inline(always)]
    pub fn repeats_denials<K: TableKey>(&self, table: &Table<K>) -> bool
    where
        Entry<K>: Zeroed,
    {
        let adopting = self.in_grace || table.adopts(self.moment.steady_ns);
        !adopting && self.mode_of_segment == Mode::Enforce
    }

    #[inline(always)]
    fn settle_in<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        removals: u64,
        key: K,
        slot: &Slot,
        deferral: &Deferral,
        head: &[u8],
    ) -> VerdictWord
    where
        Entry<K>: Zeroed,
    {
        // Another frame of this burst may have begun the conversation, or moved it to where it wasn't looked for.
        let absent =
            deferral.absent && table.removals() == removals && !self.begun.may_have(deferral.hash);
        let seen = Seen::common(key, deferral.hash, slot, head);
        self.hold(table, &seen, absent).into()
    }

    /// Denies frames of the list again, from the first on, as long as nothing else is to be asked about them than whether their like was
    /// denied. Returns how many: what is denied again and again is most of what comes here. Of its own, it has registers enough.
    #[inline(never)]
    fn deny_run(
        &mut self,
        slots: &[Slot],
        list: &[Deferral],
        [narrow, wide]: [bool; 2],
        verdicts: &mut [VerdictWord],
    ) -> usize {
        if self.begun != Hashes::default() || !self.expects_nothing() {
            return 0;
        }
        for (done, deferral) in list.iter().enumerate() {
            let at = usize::from(deferral.at);
            let (Some(slot), Some(verdict)) = (slots.get(at), verdicts.get_mut(at)) else {
                return done;
            };
            let repeats = match slot.sort {
                Sort::Narrow => narrow,
                Sort::Wide => wide,
                Sort::Rare => false,
            };
            if !(repeats && deferral.absent) {
                return done;
            }
            let Deferral { hash, denied, .. } = *deferral;
            match self.deny_again(denied, hash, slot.tcp_flags, slot.frame_bytes) {
                Some(word) => *verdict = word,
                None => return done,
            }
        }
        list.len()
    }

    /// Denies a frame as its like was denied before, if that is all there is to do. Only where [`Burst::repeats_denials`].
    #[inline(always)]
    pub fn deny_again(
        &mut self,
        id: DeniedId,
        hash: u64,
        tcp_flags: TcpFlags,
        frame_bytes: u32,
    ) -> Option<VerdictWord> {
        let reason = self.denied.count_known(id, self.generation(), frame_bytes, self.now)?;
        self.counts.denied_unreported += 1;
        // Other protocols have no flags.
        if tcp_flags.opening() == Opening::May {
            self.refused.remember(hash);
        }
        Some(Verdict::Deny(reason).into())
    }
}
