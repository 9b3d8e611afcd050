//! The third pass: from the first frame on whose conversation has no line, all that need more than counting, in the order of their
//! arrival. What the frames without a line wait for is sent for on behalf of all at once: the memory of denied ones first, and
//! the allowlist's lines for those that aren't in it.

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
        let none = Deferral { hash: 0, at: 0, absent: false };
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
            *place = Deferral { hash: 0, at: at as u8, absent };
            self.count += 1;
        }
    }

    pub fn list(&mut self) -> &mut [Deferral] {
        &mut self.list[..self.count]
    }
}

/// The conversations that a burst began, by their hashes: may say so of others too.
#[derive(Clone, Copy, Default)]
pub(crate) struct Begun(u64);

impl Begun {
    #[inline(always)]
    pub fn add(&mut self, hash: u64) {
        self.0 |= 1 << (hash % 64);
    }

    #[inline(always)]
    fn may_have(self, hash: u64) -> bool {
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
    /// Sends for what [`Burst::settle`] looks at.
    #[inline(never)]
    pub fn prepare(&self, tables: &Tables<'_>, slots: &[Slot], deferred: &mut [Deferral]) {
        for deferral in &mut *deferred {
            let slot = &slots[usize::from(deferral.at)];
            deferral.hash = match slot.sort {
                Sort::Narrow => self.fetch_denied(tables.narrow, &slot.narrow(), slot),
                Sort::Wide => self.fetch_denied(tables.wide, &slot.wide(), slot),
                Sort::Rare => 0,
            };
        }
        let repeats = [self.repeats_denials(tables.narrow), self.repeats_denials(tables.wide)];
        for deferral in deferred.iter().filter(|deferral| deferral.absent) {
            let slot = &slots[usize::from(deferral.at)];
            match slot.sort {
                Sort::Narrow => self.fetch_rules(&slot.narrow(), slot, deferral.hash, repeats[0]),
                Sort::Wide => self.fetch_rules(&slot.wide(), slot, deferral.hash, repeats[1]),
                Sort::Rare => {}
            }
        }
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
    fn fetch_denied<K: TableKey>(&self, table: &Table<K>, key: &K, slot: &Slot) -> u64
    where
        Entry<K>: Zeroed,
    {
        let hash = table.hash(key);
        self.denied.prefetch(self.id_of_denied(key, slot, hash));
        hash
    }

    #[inline(always)]
    fn fetch_rules<K: TableKey>(&self, key: &K, slot: &Slot, hash: u64, remembering: bool) {
        let denied = self.id_of_denied(key, slot, hash);
        self.refused.prefetch(hash);
        if !remembering || self.denied.known(denied, self.generation()).is_none() {
            key.prefetch_rules(&self.policy, self.sender);
            key.prefetch_rules(&self.policy, self.sender.other());
        }
    }

    #[inline(always)]
    fn id_of_denied<K: TableKey>(&self, key: &K, slot: &Slot, hash: u64) -> DeniedId {
        DeniedId::new(hash, K::NARROW, self.sender, slot.opening(key), slot.source)
    }

    /// Is what was denied before denied again, without the allowlist?
    #[inline(always)]
    pub fn repeats_denials<K: TableKey>(&self, table: &Table<K>) -> bool
    where
        Entry<K>: Zeroed,
    {
        let adopting = self.in_grace || table.adopts(self.moment.steady_ns);
        !adopting && self.mode == Mode::Enforce
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
        if absent && self.repeats_denials(table) && !self.is_announced(&key) {
            let id = self.id_of_denied(&key, slot, deferral.hash);
            let again = self.deny_again(id, deferral.hash, slot.tcp_flags, slot.frame_bytes);
            if let Some(word) = again {
                return word;
            }
        }
        let seen = Seen::common(key, deferral.hash, slot, head);
        self.hold(table, &seen, absent).into()
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
