//! The short way of a burst while the live conversations fit into the cache: one pass, in which a frame is read, looked up and
//! counted at once. It ends at the first frame that needs more; that one and all behind it go the long way.

use loadlock_packet::{Brief, Common, Frame, Ingress, NarrowKey, Side, WideKey, common};

use crate::entry::{Entry, Plain, TableKey, Tick};
use crate::intake::PREFETCH_AHEAD;
use crate::storage::Zeroed;
use crate::table::Table;
use crate::track::COURSE;
use crate::verdict::VerdictWord;

/// Lines that may be in use, both tables together: a third of a megabyte, which stays in a core's second-level cache.
const LINES_MAX: usize = 5120;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// How many frames have their verdict, all of them allowed.
    pub frames: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The flow tables and what a frame must find in them.
pub(crate) struct Short<'a> {
    pub narrow: &'a mut Table<NarrowKey>,
    pub wide: &'a mut Table<WideKey>,
    pub plain: &'a [Plain; 2],
    pub now: Tick,
}

impl Short<'_> {
    /// Does the short way pay?
    #[inline]
    pub fn pays(&self) -> bool {
        let lines = self.narrow.length() + 2 * self.wide.length();
        lines <= LINES_MAX && !self.narrow.is_dense() && !self.wide.is_dense()
    }

    /// Counts and permits the frames of a burst up to the first that isn't plain. A function of its own: together with the long
    /// way there aren't registers enough.
    #[inline(never)]
    pub fn run<F: Frame>(
        &mut self,
        ingress: Ingress,
        frames: &[F],
        verdicts: &mut [VerdictWord],
    ) -> Run {
        // Two copies of the code, each of which knows its side.
        match ingress.side {
            Side::A => self.run_from(Ingress { side: Side::A, ..ingress }, frames, verdicts),
            Side::B => self.run_from(Ingress { side: Side::B, ..ingress }, frames, verdicts),
        }
    }

    #[inline(always)]
    fn run_from<F: Frame>(
        &mut self,
        ingress: Ingress,
        frames: &[F],
        verdicts: &mut [VerdictWord],
    ) -> Run {
        for frame in frames.iter().take(PREFETCH_AHEAD) {
            frame.prefetch();
        }
        let mut run = Run::default();
        for (at, (frame, verdict)) in frames.iter().zip(verdicts).enumerate() {
            if let Some(ahead) = frames.get(at + PREFETCH_AHEAD) {
                ahead.prefetch();
            }
            let (head, frame_bytes) = (frame.head(), frame.frame_bytes());
            let word = match common(head, frame_bytes, ingress) {
                Some(Common::Narrow(brief)) => {
                    count(self.narrow, &brief, &self.plain[0], frame_bytes, self.now)
                }
                Some(Common::Wide(brief)) => {
                    count(self.wide, &brief, &self.plain[1], frame_bytes, self.now)
                }
                None => None,
            };
            let Some(word) = word else { break };
            *verdict = word;
            run.frames += 1;
            run.bytes += u64::from(frame_bytes);
        }
        run
    }
}

/// Counts a frame if that is all that it needs, and its conversation lies where its hash starts.
#[inline(always)]
fn count<K: TableKey>(
    table: &mut Table<K>,
    brief: &Brief<K>,
    plain: &Plain,
    frame_bytes: u32,
    now: Tick,
) -> Option<VerdictWord>
where
    Entry<K>: Zeroed,
{
    let entry = table.at_home(&brief.key)?;
    let here = entry.key.same(&brief.key) & entry.is_plain(plain, brief.source);
    if !here || brief.tcp_flags.any(COURSE) {
        return None;
    }
    entry.count(plain.sender, frame_bytes, now);
    Some(entry.verdict)
}
