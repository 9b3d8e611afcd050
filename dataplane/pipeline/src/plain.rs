//! The short way of a burst while the live conversations fit into the cache: one pass, in which a frame is read, looked up and
//! counted at once, or denied as its like was before. One without a line that wasn't is left for the third pass. It ends at the
//! first frame that needs more; that one and all behind it go the long way.

use loadlock_packet::{Brief, Common, Frame, Ingress, Side, common};

use crate::deferred::{Deferred, Hashes, Tables};
use crate::denied::DeniedId;
use crate::entry::{Entry, Plain, State, TableKey};
use crate::intake::{Intake, PREFETCH_AHEAD, opening};
use crate::report::EventSink;
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::{Burst, COURSE};
use crate::verdict::VerdictWord;

/// Lines that may be in use, those of both tables and of the denied ones together: 128 KiB, which stay in a core's second-level cache beside the frames. With twice
/// as many the long way, which sends for lines ahead, is faster in the daemon.
const LINES_MAX: usize = 2048;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many frames have their verdict, or are left for the third pass.
    pub frames: usize,
    /// Their bytes.
    pub bytes: u64,
    /// All of them that have their verdict are allowed.
    pub all_allowed: bool,
}

impl Run {
    /// Before the first frame.
    pub const NONE: Self = Self { frames: 0, bytes: 0, all_allowed: true };
}

/// Where frames are left for the third pass.
pub(crate) struct Later<'a> {
    pub intake: &'a mut Intake,
    pub deferred: &'a mut Deferred,
    /// Of those frames.
    pub hashes: Hashes,
}

impl<S: EventSink> Burst<'_, S> {
    /// Does the short way pay?
    #[inline]
    pub fn is_small(&self, tables: &Tables<'_>) -> bool {
        let Tables { narrow, wide, .. } = tables;
        let lines = narrow.length() + 2 * wide.length() + self.denied.live(self.now);
        lines <= LINES_MAX && !narrow.is_dense() && !wide.is_dense() && !self.by_station
    }

    /// Gives the frames up to the first that needs more their verdicts. A function of its own: together with the long
    /// way there aren't registers enough.
    #[inline(never)]
    pub fn short<F: Frame>(
        &mut self,
        tables: &mut Tables<'_>,
        plain: &[Plain; 2],
        ingress: Ingress,
        frames: &[F],
        verdicts: &mut [VerdictWord],
        later: &mut Later<'_>,
    ) -> Run {
        // Two copies of the code, each of which knows its side.
        match ingress.side {
            Side::A => {
                let ingress = Ingress { side: Side::A, ..ingress };
                self.short_from(tables, plain, ingress, frames, verdicts, later)
            }
            Side::B => {
                let ingress = Ingress { side: Side::B, ..ingress };
                self.short_from(tables, plain, ingress, frames, verdicts, later)
            }
        }
    }

    #[inline(always)]
    fn short_from<F: Frame>(
        &mut self,
        tables: &mut Tables<'_>,
        plain: &[Plain; 2],
        ingress: Ingress,
        frames: &[F],
        verdicts: &mut [VerdictWord],
        later: &mut Later<'_>,
    ) -> Run {
        for frame in frames.iter().take(PREFETCH_AHEAD) {
            frame.prefetch();
        }
        let denied_before = self.counts.denied_unreported;
        let mut run = Run::NONE;
        for (at, (frame, verdict)) in frames.iter().zip(verdicts).enumerate() {
            if let Some(ahead) = frames.get(at + PREFETCH_AHEAD) {
                ahead.prefetch();
            }
            let (head, frame_bytes) = (frame.head(), frame.frame_bytes());
            let word = match common(head, frame_bytes, ingress) {
                Some(Common::Narrow(brief)) => {
                    self.at_once(tables.narrow, &brief, &plain[0], (at, frame_bytes), later)
                }
                Some(Common::Wide(brief)) => {
                    self.at_once(tables.wide, &brief, &plain[1], (at, frame_bytes), later)
                }
                None => None,
            };
            let Some(word) = word else { break };
            *verdict = word;
            run.frames += 1;
            run.bytes += u64::from(frame_bytes);
        }
        run.all_allowed = self.counts.denied_unreported == denied_before;
        run
    }

    /// Counts a frame if that is all that it needs and its conversation lies where its hash starts; one of which nothing lies there is
    /// denied as its like was before, or left for later. `None`: it needs more.
    #[inline(always)]
    fn at_once<K: TableKey>(
        &mut self,
        table: &mut Table<K>,
        brief: &Brief<K>,
        plain: &Plain,
        (at, frame_bytes): (usize, u32),
        later: &mut Later<'_>,
    ) -> Option<VerdictWord>
    where
        Entry<K>: Zeroed,
    {
        let hash = table.hash(&brief.key);
        let entry = table.at_home(hash)?;
        if entry.key.same(&brief.key) & entry.is_plain(plain, brief.source) {
            if brief.tcp_flags.any(COURSE) {
                return None;
            }
            entry.count(plain.sender, frame_bytes, self.now);
            return Some(entry.verdict);
        }
        if entry.state != State::EMPTY {
            return None;
        }
        Some(self.deny_at_once(table, brief, hash, (at, frame_bytes), later))
    }

    /// Out of line: inlined it would take the registers of the common case.
    #[inline(never)]
    fn deny_at_once<K: TableKey>(
        &mut self,
        table: &Table<K>,
        brief: &Brief<K>,
        hash: u64,
        (at, frame_bytes): (usize, u32),
        later: &mut Later<'_>,
    ) -> VerdictWord
    where
        Entry<K>: Zeroed,
    {
        let free = self.is_free_of(later.hashes, hash);
        if free && self.repeats_denials(table) && !self.is_announced(&brief.key) {
            let opening = opening(&brief.key, brief.tcp_flags);
            let id = DeniedId::new(hash, K::NARROW, self.sender, opening, brief.source);
            if let Some(word) = self.deny_again(id, hash, brief.tcp_flags, frame_bytes) {
                return word;
            }
        }
        later.intake.keep(at, brief, hash, frame_bytes);
        later.deferred.absent(at);
        later.hashes.add(hash);
        VerdictWord::LEARNING
    }
}
