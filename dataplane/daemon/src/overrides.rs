//! What the main thread tells the workers to do with a segment's frames instead of judging them.

use std::sync::atomic::{AtomicU64, Ordering};

use loadlock_exchange::Handling;
use loadlock_packet::{SEGMENTS_MAX, SegmentId};

const BITS: usize = 2;
const _: () = assert!(SEGMENTS_MAX * BITS <= u64::BITS as usize);

/// One for each segment, as one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides(u64);

impl Overrides {
    /// Every segment is judged.
    pub const NONE: Self = Self(0);

    /// That of a segment.
    #[inline]
    pub fn of(self, segment: SegmentId) -> Handling {
        Handling::from_word(self.0 >> (segment.index() * BITS))
    }

    /// With that of a segment, which has none yet.
    pub fn with(self, segment: SegmentId, what: Handling) -> Self {
        Self(self.0 | (what as u64) << (segment.index() * BITS))
    }
}

/// Where the main thread leaves them and the workers look: a line that changes with a failure only. One load a round.
#[repr(align(128))]
#[derive(Default)]
pub struct OverrideBoard(AtomicU64);

impl OverrideBoard {
    /// What holds now. Nothing else hangs on when exactly a worker sees it.
    #[inline]
    pub fn now(&self) -> Overrides {
        Overrides(self.0.load(Ordering::Relaxed))
    }

    /// In force with each worker's next round.
    pub fn set(&self, overrides: Overrides) {
        self.0.store(overrides.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_has_its_own() {
        let all = (0..SEGMENTS_MAX).filter_map(SegmentId::new);
        let kinds = [Handling::Judged, Handling::Open, Handling::Closed];
        let overrides = all.clone().zip(kinds.into_iter().cycle());
        let board = OverrideBoard::default();
        board.set(overrides.clone().fold(Overrides::NONE, |set, (id, what)| set.with(id, what)));
        for (segment, what) in overrides {
            assert_eq!(board.now().of(segment), what);
        }
    }
}
