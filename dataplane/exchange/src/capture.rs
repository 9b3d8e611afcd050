//! Frames that a person wants to see: control says which, the workers copy them out, bounded in every respect.
//!
//! ```text
//!   control ── CaptureOrder ──► one block in the region ──► CaptureSource::order       (a seqlock, as in counters.rs)
//!   control ◄── Reassembly ◄── a second ring per worker ◄── CaptureSource::push        (ring.rs; a frame is one record or several)
//! ```
//!
//! The block is written by control and read by the workers, none of which waits: what is just being written, or was when control
//! was killed, is no order. An order has a time, which each worker measures with its own clock, so that one left behind ends by itself.
//! What was ordered before a worker came is nothing to it. Both sides check what they read: an order is brought within the limits here,
//! a record that doesn't fit the ones before it is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use loadlock_packet::{MacAddress, Outline, SegmentId, Side};

use crate::allowlist::RuleId;
use crate::counters::Block;
use crate::reason::DropReason;
use crate::region::{Region, RegionRing};
use crate::ring::{Producer, RECORD_WORDS, Record, RingFull};
use crate::sync::Ordering;

/// Slots of each worker's ring: 128 KiB.
pub(crate) const CAPTURE_RECORDS: usize = 1024;
/// Most addresses of an order.
pub const CAPTURE_ADDRESSES_MAX: usize = 8;
/// Most bytes of a frame that are kept.
pub const CAPTURE_FRAME_BYTES_MAX: usize = 2_048;
/// Most frames that a worker hands over for one order.
pub const CAPTURE_FRAMES_MAX: u32 = 10_000;
/// Longest time of an order, in seconds.
pub const CAPTURE_S_MAX: u32 = 600;

/// Number, flags and frame bytes, frames, milliseconds; then four words an address.
const ORDER_WORDS: usize = 4 + 4 * CAPTURE_ADDRESSES_MAX;
/// Up to the next multiple of 128 bytes, less the sequence word.
const BLOCK_WORDS: usize = 47;
/// Where the order lies in the region.
pub(crate) type OrderBlock = Block<BLOCK_WORDS>;
const _: () = assert!(ORDER_WORDS <= BLOCK_WORDS);

const ARMED: u64 = 1;
const ALL: u64 = 1 << 1;
const PAYLOAD: u64 = 1 << 2;

/// Addresses that make a frame one to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureAddress {
    /// The leading bits of an IP address.
    Ip {
        /// The address.
        address: IpAddr,
        /// How many bits count, at most 32 or 128.
        bits: u8,
    },
    /// A station.
    Mac(MacAddress),
}

impl CaptureAddress {
    fn words(self) -> [u64; 4] {
        match self {
            Self::Ip { address: IpAddr::V4(v4), bits } => [4, bits.into(), v4.to_bits().into(), 0],
            Self::Ip { address: IpAddr::V6(v6), bits } => {
                let value = v6.to_bits();
                [6, bits.into(), (value >> 64) as u64, value as u64]
            }
            Self::Mac(MacAddress([a, b, c, d, e, f])) => {
                [1, 0, u64::from_le_bytes([a, b, c, d, e, f, 0, 0]), 0]
            }
        }
    }

    fn from_words([kind, bits, high, low]: [u64; 4]) -> Option<Self> {
        let bits = u8::try_from(bits).ok()?;
        match kind {
            4 if bits <= 32 => {
                let address = IpAddr::from(u32::try_from(high).ok()?.to_be_bytes());
                Some(Self::Ip { address, bits })
            }
            6 if bits <= 128 => {
                let value = u128::from(high) << 64 | u128::from(low);
                Some(Self::Ip { address: IpAddr::from(value.to_be_bytes()), bits })
            }
            1 => {
                let [a, b, c, d, e, f, _, _] = high.to_le_bytes();
                Some(Self::Mac(MacAddress([a, b, c, d, e, f])))
            }
            _ => None,
        }
    }

    fn fits(&self, outline: &Outline) -> bool {
        match *self {
            Self::Mac(mac) => outline.stations.contains(&Some(mac)),
            Self::Ip { address, bits } => {
                let same = |found: &IpAddr| match (address, *found) {
                    (IpAddr::V4(own), IpAddr::V4(found)) => {
                        let differs = own.to_bits() ^ found.to_bits();
                        differs.leading_zeros() >= bits.into()
                    }
                    (IpAddr::V6(own), IpAddr::V6(found)) => {
                        let differs = own.to_bits() ^ found.to_bits();
                        differs.leading_zeros() >= bits.into()
                    }
                    _ => false,
                };
                outline.addresses.iter().flatten().any(same)
            }
        }
    }
}

/// What is to be captured. It lies in place: a worker allocates nothing for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureOrder {
    /// Frames with one of these at either end.
    pub addresses: [Option<CaptureAddress>; CAPTURE_ADDRESSES_MAX],
    /// Also those that are forwarded; else only denied ones, and such as would be.
    pub all: bool,
    /// What is behind the headers too.
    pub payload: bool,
    /// Bytes of each frame, at most [`CAPTURE_FRAME_BYTES_MAX`].
    pub frame_bytes_max: usize,
    /// Frames of each worker, at most [`CAPTURE_FRAMES_MAX`].
    pub frames_max: u32,
    /// From when a worker takes it up, at most [`CAPTURE_S_MAX`].
    pub time: Duration,
}

impl CaptureOrder {
    /// Does a frame belong to one of the addresses?
    #[must_use]
    pub fn wants(&self, outline: &Outline) -> bool {
        self.addresses.iter().flatten().any(|address| address.fits(outline))
    }

    /// Writes an order, or that there is none. Only control calls it, which has one thread for that. Returns the order's number.
    pub(crate) fn tell(order: Option<&Self>, block: &OrderBlock) -> u64 {
        let number = block.word(0).wrapping_add(1).max(1);
        let mut words = [0; ORDER_WORDS];
        words[0] = number;
        if let Some(order) = order {
            let flag = |set: bool, bit| if set { bit } else { 0 };
            words[1] = ARMED
                | flag(order.all, ALL)
                | flag(order.payload, PAYLOAD)
                | (order.frame_bytes_max as u64) << 32;
            words[2] = order.frames_max.into();
            words[3] = u64::try_from(order.time.as_millis()).unwrap_or(u64::MAX);
            let places = words[4..].chunks_exact_mut(4);
            for (place, address) in places.zip(&order.addresses) {
                place.copy_from_slice(&address.map_or([0; 4], CaptureAddress::words));
            }
        }
        block.update(|block| {
            for (word, value) in block.iter().zip(words) {
                word.store(value, Ordering::Relaxed);
            }
        });
        number
    }

    /// Reads what the region says; `None`: nothing is to be captured. What is beyond the limits is brought within them, what is no
    /// address is left out.
    fn read(words: &[u64; BLOCK_WORDS]) -> Option<Self> {
        let flags = words[1];
        if flags & ARMED == 0 {
            return None;
        }
        let address = |at| {
            let place = std::array::from_fn(|word| words[4 + 4 * at + word]);
            CaptureAddress::from_words(place)
        };
        Some(Self {
            addresses: std::array::from_fn(address),
            all: flags & ALL != 0,
            payload: flags & PAYLOAD != 0,
            frame_bytes_max: ((flags >> 32) as usize).min(CAPTURE_FRAME_BYTES_MAX),
            frames_max: words[2].min(CAPTURE_FRAMES_MAX.into()) as u32,
            time: Duration::from_millis(words[3].min(u64::from(CAPTURE_S_MAX) * 1_000)),
        })
    }
}

/// What became of a captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureVerdict {
    /// Forwarded, by a rule if there is one.
    Allowed(Option<RuleId>),
    /// Forwarded, and dropped if the segment enforced.
    WouldDeny(DropReason),
    /// Dropped.
    Denied(DropReason),
    /// Forwarded without having been judged.
    Unjudged,
}

const VERDICT_ALLOWED: u8 = 0;
const VERDICT_WOULD_DENY: u8 = 1;
const VERDICT_DENIED: u8 = 2;
const VERDICT_UNJUDGED: u8 = 3;

/// A frame on its way to control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedFrame {
    /// Which order it was captured for.
    pub number: u64,
    /// When, in ns since 1970 by the dataplane's clock.
    pub time_ns: u64,
    /// Where it came in.
    pub segment: SegmentId,
    /// From which side.
    pub side: Side,
    /// What became of it.
    pub verdict: CaptureVerdict,
    /// Its length, without FCS.
    pub frame_bytes: u32,
    /// Its first bytes, at most [`CAPTURE_FRAME_BYTES_MAX`].
    pub data: Vec<u8>,
}

/// The first part has the frame's figures in words 0–3, every further one its place in word 0; the rest is data.
const FIRST: u8 = 1;
const FURTHER: u8 = 2;
const SIDE_B: u8 = 1;
const FIRST_AT: usize = 4;
const FURTHER_AT: usize = 1;
const FIRST_BYTES: usize = (RECORD_WORDS - FIRST_AT) * 8;
const FURTHER_BYTES: usize = (RECORD_WORDS - FURTHER_AT) * 8;

/// Records of a frame with so many bytes of data.
fn records_of(bytes: usize) -> usize {
    1 + bytes.saturating_sub(FIRST_BYTES).div_ceil(FURTHER_BYTES)
}
const _: () = assert!(CAPTURE_FRAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(CAPTURE_FRAME_BYTES_MAX.div_ceil(FURTHER_BYTES) + 1 < CAPTURE_RECORDS / 4);

fn put(record: &mut Record, at: usize, data: &[u8]) {
    let mut chunks = data.chunks(8);
    for word in &mut record[at..] {
        let mut bytes = [0; 8];
        if let Some(chunk) = chunks.next() {
            bytes[..chunk.len()].copy_from_slice(chunk);
        }
        *word = u64::from_le_bytes(bytes);
    }
}

impl CapturedFrame {
    fn first(&self) -> Record {
        let (verdict, reason, rule) = match self.verdict {
            CaptureVerdict::Allowed(rule) => (VERDICT_ALLOWED, 0, rule.map_or(0, RuleId::number)),
            CaptureVerdict::WouldDeny(reason) => (VERDICT_WOULD_DENY, reason as u8, 0),
            CaptureVerdict::Denied(reason) => (VERDICT_DENIED, reason as u8, 0),
            CaptureVerdict::Unjudged => (VERDICT_UNJUDGED, 0, 0),
        };
        let side = if self.side == Side::B { SIDE_B } else { 0 };
        let [low, high] = (self.data.len() as u16).to_le_bytes();
        let segment = self.segment.index() as u8;
        let mut record = [0; RECORD_WORDS];
        record[0] = u64::from_le_bytes([FIRST, side, verdict, reason, segment, low, high, 0]);
        record[1] = self.time_ns;
        record[2] = u64::from(self.frame_bytes) | u64::from(rule) << 32;
        record[3] = self.number;
        put(&mut record, FIRST_AT, &self.data[..self.data.len().min(FIRST_BYTES)]);
        record
    }

    fn read_first(record: &Record) -> Option<(Self, usize)> {
        let [_, side, verdict, reason, segment, low, high, _] = record[0].to_le_bytes();
        let reason = DropReason::from_index(reason.into());
        let rule = (record[2] >> 32) as u32;
        let frame_bytes = record[2] as u32;
        let bytes = usize::from(u16::from_le_bytes([low, high]));
        if bytes > CAPTURE_FRAME_BYTES_MAX || bytes > frame_bytes as usize {
            return None;
        }
        let verdict = match verdict {
            VERDICT_ALLOWED => CaptureVerdict::Allowed(RuleId::new(rule)),
            VERDICT_WOULD_DENY => CaptureVerdict::WouldDeny(reason?),
            VERDICT_DENIED => CaptureVerdict::Denied(reason?),
            VERDICT_UNJUDGED => CaptureVerdict::Unjudged,
            _ => return None,
        };
        let frame = Self {
            number: record[3],
            time_ns: record[1],
            segment: SegmentId::new(segment.into())?,
            side: if side & SIDE_B == 0 { Side::A } else { Side::B },
            verdict,
            frame_bytes,
            data: Vec::with_capacity(bytes),
        };
        Some((frame, bytes))
    }
}

/// A worker's end: it alone uses it.
pub struct CaptureSource {
    region: Arc<Region>,
    /// Number of the order that was read last, or that was there before this worker.
    known: Option<u64>,
    ring: Producer<RegionRing>,
}

impl CaptureSource {
    pub(crate) fn new(region: Arc<Region>, worker: usize) -> Self {
        let ring = Arc::new(RegionRing::captures(region.clone(), worker));
        let known = region.capture_order().try_read().map(|words| words[0]);
        Self { ring: Producer::new(ring), known, region }
    }

    /// Number of the order that was read last, and that order, if it is another one than before; its `None` says to stop. One load of a
    /// line that doesn't change while there is nothing new.
    #[inline]
    pub fn order(&mut self) -> Option<(u64, Option<CaptureOrder>)> {
        let block = self.region.capture_order();
        if self.known == Some(block.word(0)) {
            return None;
        }
        self.changed()
    }

    #[cold]
    fn changed(&mut self) -> Option<(u64, Option<CaptureOrder>)> {
        let words = self.region.capture_order().try_read()?;
        let is_first = self.known.replace(words[0]).is_none();
        let order = if is_first { None } else { CaptureOrder::read(&words) };
        Some((words[0], order))
    }

    /// Hands a frame to control, which sees it after [`CaptureSource::publish`].
    ///
    /// # Errors
    /// [`RingFull`]: none of it was taken.
    pub fn push(&mut self, frame: &CapturedFrame) -> Result<(), RingFull> {
        let more = records_of(frame.data.len()) - 1;
        // So many slots stay free behind the first that the others have room.
        self.ring.push(&frame.first(), more as u64)?;
        let rest = frame.data.get(FIRST_BYTES..).unwrap_or_default();
        for (at, data) in (1_u64..).zip(rest.chunks(FURTHER_BYTES)) {
            let mut record = [0; RECORD_WORDS];
            record[0] = u64::from(FURTHER) | at << 8;
            put(&mut record, FURTHER_AT, data);
            self.ring.push(&record, 0)?;
        }
        Ok(())
    }

    /// Makes what was pushed visible. Call once a burst in which something was.
    pub fn publish(&mut self) {
        self.ring.publish();
    }
}

/// Puts the records of one worker's ring together.
#[derive(Debug, Default)]
pub struct Reassembly {
    open: Option<Open>,
    damaged: u64,
}

/// A frame of which parts are still to come.
#[derive(Debug)]
struct Open {
    frame: CapturedFrame,
    bytes: usize,
    part: u64,
}

impl Reassembly {
    /// Takes the next record; returns the frame that it completes. What no worker writes, or not there, is counted and thrown away, with
    /// the frame to which it should have belonged.
    pub fn take(&mut self, record: &Record) -> Option<CapturedFrame> {
        let open = self.open.take();
        let [kind, ..] = record[0].to_le_bytes();
        let (mut open, data_at) = match (kind, open) {
            (FIRST, cut) => {
                self.damaged += u64::from(cut.is_some());
                let Some((frame, bytes)) = CapturedFrame::read_first(record) else {
                    self.damaged += 1;
                    return None;
                };
                (Open { frame, bytes, part: 0 }, FIRST_AT)
            }
            (FURTHER, Some(open)) if record[0] >> 8 == open.part + 1 => {
                (Open { part: open.part + 1, ..open }, FURTHER_AT)
            }
            _ => {
                self.damaged += 1;
                return None;
            }
        };
        for word in &record[data_at..] {
            let left = open.bytes - open.frame.data.len();
            open.frame.data.extend_from_slice(&word.to_le_bytes()[..left.min(8)]);
        }
        if open.frame.data.len() == open.bytes {
            return Some(open.frame);
        }
        self.open = Some(open);
        None
    }

    /// Records, or frames with parts missing, that were thrown away.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }
}
