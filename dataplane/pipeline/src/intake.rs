//! The first pass over a burst: each frame's key and hash, and its line of the flow table on its way.

use loadlock_packet::{
    Brief, Common, FlowKey, Frame, Headers, Ingress, Kind, Malformed, NarrowKey, Opening, Side,
    SourceWord, TcpFlags, WideKey, common, parse,
};

use crate::entry::{Entry, TableKey};
use crate::pipeline::BURST_FRAMES_MAX;
use crate::storage::Zeroed;
use crate::table::Table;

/// Frames ahead of which headers are fetched.
pub(crate) const PREFETCH_AHEAD: usize = 4;

/// How a frame was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A common frame of the narrow table.
    Narrow,
    /// A common frame of the wide table.
    Wide,
    /// Any other; it has a [`Reading`] in full.
    Rare,
}

/// What the full parser says.
pub(crate) type Reading = Result<Headers, Malformed>;

/// A frame between the two passes, in one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// Two words of a narrow key, five of a wide one; of common frames only.
    key: [u64; 5],
    /// Its conversation's hash, and from [`Slot::find_line`] on the line where that likely is.
    place: u64,
    pub source: SourceWord,
    pub frame_bytes: u32,
    pub tcp_flags: TcpFlags,
    pub sort: Sort,
}

const _: () = assert!(size_of::<Slot>() == 64);

impl Slot {
    #[inline(always)]
    pub fn narrow(&self) -> NarrowKey {
        NarrowKey([self.key[0], self.key[1]])
    }

    /// Where its conversation likely is.
    #[inline(always)]
    pub fn line(&self) -> usize {
        self.place as usize
    }

    #[inline(always)]
    pub fn wide(&self) -> WideKey {
        WideKey(self.key)
    }

    /// [`opening`] of this frame.
    #[inline(always)]
    pub fn opening<K: TableKey>(&self, key: &K) -> Opening {
        opening(key, self.tcp_flags)
    }
}

/// May a common frame with this key and these flags begin its conversation?
#[inline(always)]
pub(crate) fn opening<K: TableKey>(key: &K, tcp_flags: TcpFlags) -> Opening {
    if key.tail().kind() == Kind::Tcp { tcp_flags.opening() } else { Opening::May }
}

/// The frames of a burst, read.
pub(crate) struct Intake {
    pub slots: Box<[Slot]>,
    rare: Box<[Reading]>,
}

impl Intake {
    pub fn new() -> Self {
        let slot = Slot {
            key: [0; 5],
            place: 0,
            source: SourceWord(0),
            frame_bytes: 0,
            tcp_flags: TcpFlags(0),
            sort: Sort::Rare,
        };
        let rare = Err(Malformed::FrameTooShort);
        Self {
            slots: vec![slot; BURST_FRAMES_MAX].into_boxed_slice(),
            rare: vec![rare; BURST_FRAMES_MAX].into_boxed_slice(),
        }
    }

    /// Reads `frames` from `start` on, as many as there are slots, and returns the sum of their bytes. `dense`: of the narrow and the
    /// wide table, as in [`Table::likely`]. A function of its own: together with the second pass there aren't registers enough.
    #[inline(never)]
    pub fn take<F: Frame>(
        &mut self,
        ingress: Ingress,
        frames: &[F],
        start: usize,
        dense: [bool; 2],
        narrow: &Table<NarrowKey>,
        wide: &Table<WideKey>,
    ) -> u64 {
        // Two copies of the code, each of which knows its side.
        let from = |side| Ingress { side, ..ingress };
        match ingress.side {
            Side::A => self.take_from(from(Side::A), frames, start, dense, narrow, wide),
            Side::B => self.take_from(from(Side::B), frames, start, dense, narrow, wide),
        }
    }

    #[inline(always)]
    fn take_from<F: Frame>(
        &mut self,
        ingress: Ingress,
        frames: &[F],
        start: usize,
        dense: [bool; 2],
        narrow: &Table<NarrowKey>,
        wide: &Table<WideKey>,
    ) -> u64 {
        let (frames, slots) = (&frames[start..], &mut self.slots[start..]);
        let rare = &mut self.rare[start..];
        for frame in frames.iter().take(PREFETCH_AHEAD) {
            frame.prefetch();
        }
        let mut sum = 0;
        for (at, (frame, slot)) in frames.iter().zip(slots.iter_mut()).enumerate() {
            if let Some(ahead) = frames.get(at + PREFETCH_AHEAD) {
                ahead.prefetch();
            }
            let (head, frame_bytes) = (frame.head(), frame.frame_bytes());
            slot.frame_bytes = frame_bytes;
            sum += u64::from(frame_bytes);
            match common(head, frame_bytes, ingress) {
                Some(Common::Narrow(brief)) => {
                    slot.key[..2].copy_from_slice(&brief.key.0);
                    slot.common(Sort::Narrow, narrow, dense[0], &brief);
                }
                Some(Common::Wide(brief)) => {
                    slot.key = brief.key.0;
                    slot.common(Sort::Wide, wide, dense[1], &brief);
                }
                None => {
                    if let Some(reading) = rare.get_mut(at) {
                        read_in_full(reading, head, frame_bytes, ingress);
                        slot.rare(reading, narrow, wide);
                    }
                }
            }
        }
        if dense != [false; 2] {
            // The tags of large tables come from far: they were sent for above, and are asked only now.
            for slot in slots.iter_mut().take(frames.len()) {
                match slot.sort {
                    Sort::Narrow if dense[0] => slot.find_line(narrow, true),
                    Sort::Wide if dense[1] => slot.find_line(wide, true),
                    _ => {}
                }
            }
        }
        sum
    }

    /// Keeps a common frame, whose conversation has no line, for the third pass.
    #[inline]
    pub fn keep<K: TableKey>(&mut self, at: usize, brief: &Brief<K>, hash: u64, frame_bytes: u32) {
        if let Some(slot) = self.slots.get_mut(at) {
            let key = brief.key.flow_key().words();
            let sort = if K::NARROW { Sort::Narrow } else { Sort::Wide };
            let Brief { source, tcp_flags, .. } = *brief;
            *slot = Slot { key, place: hash, source, frame_bytes, tcp_flags, sort };
        }
    }

    /// What the full parser says of the rare frame at `at`.
    pub fn reading(&self, at: usize) -> &Reading {
        &self.rare[at]
    }
}

/// Out of line: the parser inlined here would take the registers of the common case.
#[cold]
#[inline(never)]
fn read_in_full(reading: &mut Reading, head: &[u8], frame_bytes: u32, ingress: Ingress) {
    *reading = parse(head, frame_bytes, ingress);
}

impl Slot {
    #[inline(always)]
    fn common<K: TableKey>(&mut self, sort: Sort, table: &Table<K>, dense: bool, brief: &Brief<K>)
    where
        Entry<K>: Zeroed,
    {
        self.place = table.hash(&brief.key);
        self.source = brief.source;
        self.tcp_flags = brief.tcp_flags;
        self.sort = sort;
        if dense {
            table.prefetch_tags(self.place);
        } else {
            self.find_line(table, false);
        }
    }

    /// Finds the line and sends for it.
    #[inline(always)]
    fn find_line<K: TableKey>(&mut self, table: &Table<K>, dense: bool)
    where
        Entry<K>: Zeroed,
    {
        let line = table.likely(self.place, dense);
        table.prefetch(line);
        self.place = line as u64;
    }

    #[inline(never)]
    fn rare(&mut self, reading: &Reading, narrow: &Table<NarrowKey>, wide: &Table<WideKey>) {
        self.sort = Sort::Rare;
        match reading {
            Ok(Headers { key: FlowKey::Narrow(key), .. }) => {
                self.place = narrow.hash(key);
                self.find_line(narrow, true);
            }
            Ok(Headers { key: FlowKey::Wide(key), .. }) => {
                self.place = wide.hash(key);
                self.find_line(wide, true);
            }
            Err(_) => {}
        }
    }
}
