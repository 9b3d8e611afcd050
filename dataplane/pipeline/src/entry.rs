//! One line of the flow table: a conversation with both its directions.

use std::mem::offset_of;

use loadlock_exchange::{Found, PolicyView, Seed, hash_narrow, hash_wide};
use loadlock_packet::{FlowKey, KeyTail, MacAddress, NarrowKey, Side, SourceWord, WideKey};

use crate::storage::Zeroed;
use crate::verdict::VerdictWord;

/// Time in units of 2²⁴ ns (16.8 ms): coarse enough for 32 bits to last two years.
pub(crate) type Tick = u32;

/// The tick of a time in ns.
#[inline]
pub(crate) fn tick(now_ns: u64) -> Tick {
    (now_ns >> 24) as u32
}

/// Where a conversation stands. Zero is an empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct State(u8);

impl State {
    pub const EMPTY: Self = Self(0);
    pub const TCP_OPENING: Self = Self(1);
    /// Timed out; only its report is still to be sent.
    pub const OVER: Self = Self(2);
    pub const TCP_OPEN: Self = Self(Self::SETTLED | 3);
    pub const TCP_CLOSING: Self = Self(Self::SETTLED | 4);
    pub const UDP: Self = Self(Self::SETTLED | 5);
    pub const ICMP: Self = Self(Self::SETTLED | 6);
    pub const OTHER: Self = Self(Self::SETTLED | 7);
    /// Open, and its content is read for ports that it negotiates; so none of its packets is plain.
    pub const TCP_PARENT: Self = Self(8);
    /// The same of UDP.
    pub const UDP_PARENT: Self = Self(9);
    /// A RST of side A was seen; it is one as long as A sends nothing else. Not settled, so that this is noticed.
    pub const TCP_RESET_A: Self = Self(10);
    /// The same of side B.
    pub const TCP_RESET_B: Self = Self(11);
    pub const COUNT: usize = 12;
    /// Set where a packet without SYN, FIN or RST doesn't change the state.
    const SETTLED: u8 = 0x80;

    /// Is its content read?
    pub fn is_parent(self) -> bool {
        matches!(self, Self::TCP_PARENT | Self::UDP_PARENT)
    }

    /// After a RST of `sender`.
    pub fn reset_by(sender: Side) -> Self {
        match sender {
            Side::A => Self::TCP_RESET_A,
            Side::B => Self::TCP_RESET_B,
        }
    }

    /// Is a TCP connection over, as far as its segments tell?
    pub fn is_closing(self) -> bool {
        matches!(self, Self::TCP_CLOSING | Self::TCP_RESET_A | Self::TCP_RESET_B)
    }

    pub fn index(self) -> usize {
        usize::from(self.0 & !Self::SETTLED)
    }
}

/// Circumstances of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The initiator is on side B.
    pub const INITIATOR_B: u8 = 1;
    /// Met running: the initiator is only who spoke first.
    pub const MIDSTREAM: u8 = 1 << 1;
    /// The responder's SYN-ACK was seen.
    pub const HANDSHAKE: u8 = 1 << 2;
    /// The ring refused its event; the next packet reports it.
    pub const UNREPORTED: u8 = 1 << 3;
    /// Met running after the grace time.
    pub const AFTER_GRACE: u8 = 1 << 4;
    /// Side A has sent FIN.
    pub const FIN_A: u8 = 1 << 5;
    /// Side B has sent FIN.
    pub const FIN_B: u8 = 1 << 6;
    /// Equal to the pipeline's bit: has answered the current roll-call. Each roll-call turns the bit over, so that a line is
    /// reported once however the sweep meets it.
    pub const ROLL_CALL: u8 = 1 << 7;

    pub fn new(initiator: Side, roll_call: u8) -> Self {
        let side = if initiator == Side::B { Self::INITIATOR_B } else { 0 };
        Self(side | (roll_call & Self::ROLL_CALL))
    }

    /// The bit for a FIN of `sender`.
    pub fn fin(sender: Side) -> u8 {
        match sender {
            Side::A => Self::FIN_A,
            Side::B => Self::FIN_B,
        }
    }

    pub fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    pub fn unreported(self) -> bool {
        self.any(Self::UNREPORTED)
    }

    pub fn answered(self, roll_call: u8) -> bool {
        (self.0 ^ roll_call) & Self::ROLL_CALL == 0
    }

    /// Reported in the current roll-call.
    pub fn answer(&mut self, roll_call: u8) {
        self.0 = (self.0 & !(Self::ROLL_CALL | Self::UNREPORTED)) | roll_call;
    }

    #[inline]
    pub fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }

    pub fn set(&mut self, bits: u8) {
        self.0 |= bits;
    }

    pub fn clear(&mut self, bits: u8) {
        self.0 &= !bits;
    }

    pub fn initiator(self) -> Side {
        Side::from_bit(self.0)
    }
}

/// A conversation. 64 bytes narrow, 128 wide; every line belongs to one worker, so there are no atomics.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Entry<K> {
    pub key: K,
    /// Frame bytes from side A and from side B.
    pub bytes: [u64; 2],
    /// Packets from side A and from side B. The sweep reads them out before they can wrap.
    pub packets: [u32; 2],
    /// Stations of side A and side B, zero until seen.
    pub macs: [MacAddress; 2],
    /// This and the next three are read as one word by [`Entry::is_plain`].
    pub verdict: VerdictWord,
    /// Low half of the generation that judged; the sweep marks lines it finds behind, so that it can't come round.
    pub generation: u16,
    pub state: State,
    pub flags: Flags,
    pub last_seen: Tick,
}

/// What a packet must find in a line to need nothing but counting.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    /// What a line's word must be, by the mask, for a packet to be plain at first sight.
    sight: u64,
    /// The same after a closer look.
    word: u64,
    mac_at: usize,
    pub sender: Side,
}

impl Plain {
    const JUDGED: u64 = 0xffff << 32;
    const SETTLED: u64 = (State::SETTLED as u64) << 48;
    const UNREPORTED: u64 = (Flags::UNREPORTED as u64) << 56;
    const MASK: u64 =
        VerdictWord::REPEATED as u64 | Self::JUDGED | Self::SETTLED | Self::UNREPORTED;

    /// Outside of the mask, so that no line has it.
    const NEVER: u64 = 1;

    /// For packets of `sender` under the policy of `generation`; `never`: none is plain at first sight.
    pub fn new<K>(generation: u16, sender: Side, never: bool) -> Self {
        let mac_at = offset_of!(Entry<K>, macs) + sender as usize * size_of::<MacAddress>();
        let word = u64::from(generation) << 32 | Self::SETTLED;
        let sight = if never { word | Self::NEVER } else { word };
        Self { sight, word, mac_at, sender }
    }
}

const _: () = assert!(Plain::NEVER & Plain::MASK == 0);

impl<K> Entry<K> {
    /// A packet without SYN, FIN or RST from station `source` only needs counting here: the line was judged by the policy in
    /// force and permitted, its state is settled, nothing is to be reported, and the station is the known one.
    #[inline(always)]
    pub fn is_plain(&self, plain: &Plain, source: SourceWord) -> bool {
        let judged = self.word(offset_of!(Self, verdict)) & Plain::MASK == plain.sight;
        judged & self.knows(plain, source)
    }

    /// [`Entry::is_plain`], also where nothing is at first sight, for a packet to this station.
    pub fn is_plain_between(
        &self,
        plain: &Plain,
        source: SourceWord,
        receiver: MacAddress,
    ) -> bool {
        let plain = Plain { sight: plain.word, ..*plain };
        self.is_plain(&plain, source) && self.macs[plain.sender.other() as usize] == receiver
    }

    #[inline(always)]
    fn knows(&self, plain: &Plain, source: SourceWord) -> bool {
        SourceWord::beginning(self.word(plain.mac_at).to_le_bytes()) == source
    }

    /// Counts a packet of `sender`.
    #[inline(always)]
    pub fn count(&mut self, sender: Side, frame_bytes: u32, now: Tick) {
        let from = sender as usize;
        self.packets[from] = self.packets[from].wrapping_add(1);
        self.bytes[from] += u64::from(frame_bytes);
        self.last_seen = now;
    }

    /// [`Entry::is_plain`] but for the policy that judged the line: an earlier one.
    pub fn is_plain_but_stale(&self, plain: &Plain, source: SourceWord) -> bool {
        let word = self.word(offset_of!(Self, verdict)) | Plain::JUDGED;
        word & Plain::MASK == plain.word | Plain::JUDGED && self.knows(plain, source)
    }

    /// Eight bytes of the line as a little-endian number.
    #[inline(always)]
    fn word(&self, at: usize) -> u64 {
        const { assert!(offset_of!(Self, macs) + 16 <= size_of::<Self>()) };
        const { assert!(offset_of!(Self, last_seen) - offset_of!(Self, verdict) == 8) };
        debug_assert!(at + 8 <= size_of::<Self>());
        // SAFETY: `at` is the offset of `verdict` or of a station, and by the assertions above eight bytes from there belong to
        // the entry; they are initialised, because `macs` to `last_seen` follow each other without padding.
        let place = unsafe { std::ptr::from_ref(self).cast::<u8>().add(at) };
        // SAFETY: as above.
        unsafe { place.cast::<u64>().read_unaligned() }
    }
}

// SAFETY: integers and arrays of them; all bits zero is an empty line.
unsafe impl Zeroed for Entry<NarrowKey> {}
// SAFETY: as above.
unsafe impl Zeroed for Entry<WideKey> {}

const _: () = assert!(size_of::<Entry<NarrowKey>>() == 64);
const _: () = assert!(size_of::<Entry<WideKey>>() == 128);

/// A key that a table can hold.
pub(crate) trait TableKey: Copy + Eq {
    /// Of the narrow table?
    const NARROW: bool;
    /// Equality, word by word: a compare of 16 bytes at once waits for the two stores that wrote them.
    fn same(&self, other: &Self) -> bool;
    fn hash(&self, seed: Seed) -> u64;
    fn flow_key(self) -> FlowKey;
    fn tail(&self) -> KeyTail;
    /// The rule under which side `client` is the conversation's client, if it permits anything: one that lets nobody open is a hole in
    /// more general ones.
    fn rule(&self, policy: &PolicyView<'_>, client: Side) -> Option<Found>;
    /// Fetches what [`TableKey::rule`] looks at first.
    fn prefetch_rules(&self, policy: &PolicyView<'_>, client: Side);
}

impl TableKey for NarrowKey {
    const NARROW: bool = true;

    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        (self.0[0] ^ other.0[0]) | (self.0[1] ^ other.0[1]) == 0
    }

    #[inline]
    fn hash(&self, seed: Seed) -> u64 {
        hash_narrow(self.0, seed)
    }

    #[inline]
    fn flow_key(self) -> FlowKey {
        FlowKey::Narrow(self)
    }

    #[inline]
    fn tail(&self) -> KeyTail {
        NarrowKey::tail(self)
    }

    #[inline]
    fn rule(&self, policy: &PolicyView<'_>, client: Side) -> Option<Found> {
        policy.find_narrow(self, client).filter(Found::permits)
    }

    #[inline]
    fn prefetch_rules(&self, policy: &PolicyView<'_>, client: Side) {
        policy.prefetch_narrow(self, client);
    }
}

impl TableKey for WideKey {
    const NARROW: bool = false;

    #[inline(always)]
    fn same(&self, other: &Self) -> bool {
        let words = self.0.iter().zip(&other.0);
        words.fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }

    #[inline]
    fn hash(&self, seed: Seed) -> u64 {
        hash_wide(self.0, seed)
    }

    #[inline]
    fn flow_key(self) -> FlowKey {
        FlowKey::Wide(self)
    }

    #[inline]
    fn tail(&self) -> KeyTail {
        WideKey::tail(self)
    }

    #[inline]
    fn rule(&self, policy: &PolicyView<'_>, client: Side) -> Option<Found> {
        policy.find_wide(self, client).filter(Found::permits)
    }

    #[inline]
    fn prefetch_rules(&self, policy: &PolicyView<'_>, client: Side) {
        policy.prefetch_wide(self, client);
    }
}
