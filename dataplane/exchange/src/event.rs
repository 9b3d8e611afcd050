//! What a worker tells control, and its form in a ring slot.

use std::net::IpAddr;

use loadlock_packet::{Address, FlowKey, MacAddress, Side};

use crate::allowlist::RuleId;
use crate::reason::DropReason;
use crate::ring::{RECORD_WORDS, Record};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A conversation was first seen, or is reported again for a new control.
    Started,
    /// A conversation is over.
    Ended,
    /// A conversation goes on, its counters were read out and start at zero again.
    Counted,
    /// A frame was dropped, or would be. Reported once per conversation and interval; the packets say how many.
    Denied(DropReason),
}

/// Circumstances of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFlags {
    /// The conversation was met running: `initiator` is who spoke first, or who asked if the first frame was a SYN-ACK or
    /// an ICMP answer.
    pub midstream: bool,
    /// TCP: the responder's SYN-ACK was seen.
    pub handshake: bool,
    /// A repetition for a control that has newly attached.
    pub repeated: bool,
    /// The frames were forwarded (learn or monitor mode).
    pub forwarded: bool,
    /// Met running while the grace time for such conversations was over (or had never begun).
    pub after_grace: bool,
    /// No rule permits it, and it is forwarded because its segment learns: what a learner learns from.
    pub learning: bool,
    /// Its port was negotiated by another conversation; `rule` is the one that permits that.
    pub negotiated: bool,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When, in ns since 1970 by the dataplane's clock.
    pub time_ns: u64,
    /// Which conversation.
    pub key: FlowKey,
    /// Who sent its first packet.
    pub initiator: Side,
    /// Circumstances.
    pub flags: EventFlags,
    /// The rule that permits it.
    pub rule: Option<RuleId>,
    /// Packets from side A and from side B.
    pub packets: [u64; 2],
    /// Frame bytes from side A and from side B, without FCS.
    pub bytes: [u64; 2],
    /// Stations of side A and side B as last seen.
    pub macs: [MacAddress; 2],
    /// Of a denied frame of ARP or neighbour discovery: the address that it claims.
    pub claimed: Option<IpAddr>,
}

/// A record that no worker writes: the region is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// Unknown event number.
    Kind(u8),
    /// Unknown reason index.
    Reason(u8),
    /// A key whose kind is unknown or doesn't fit its form.
    Key,
    /// A claimed address of no kind.
    Claim(u8),
}

const STARTED: u8 = 1;
const ENDED: u8 = 2;
const DENIED: u8 = 3;
const COUNTED: u8 = 4;

const NARROW: u8 = 1;
const INITIATOR_B: u8 = 1 << 1;
const MIDSTREAM: u8 = 1 << 2;
const HANDSHAKE: u8 = 1 << 3;
const REPEATED: u8 = 1 << 4;
const FORWARDED: u8 = 1 << 5;
const AFTER_GRACE: u8 = 1 << 6;
const LEARNING: u8 = 1 << 7;

/// Of the second byte of flags.
const NEGOTIATED: u8 = 1;

fn mac_word(mac: MacAddress) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

fn mac_of(word: u64) -> MacAddress {
    let [a, b, c, d, e, f, _, _] = word.to_le_bytes();
    MacAddress([a, b, c, d, e, f])
}

impl Event {
    /// The ring slot's form: word 0 kind, flags, reason, more flags and the claim's kind (0, 4 or 6 in the upper half), rule; 1 time; 2–6 key;
    /// 7–8 packets; 9–10 bytes; 11–12 MACs; 13–14 the claimed address; 15 zero.
    #[must_use]
    pub fn encode(&self) -> Record {
        let mut record = [0; RECORD_WORDS];
        self.write(&mut record);
        record
    }

    /// Writes [`Event::encode`]'s form into a slot.
    #[inline(always)]
    pub fn write(&self, record: &mut Record) {
        let (kind, reason) = match self.kind {
            EventKind::Started => (STARTED, 0),
            EventKind::Ended => (ENDED, 0),
            EventKind::Counted => (COUNTED, 0),
            EventKind::Denied(reason) => (DENIED, reason as u8),
        };
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(matches!(self.key, FlowKey::Narrow(_)), NARROW)
            | flag(self.initiator == Side::B, INITIATOR_B)
            | flag(self.flags.midstream, MIDSTREAM)
            | flag(self.flags.handshake, HANDSHAKE)
            | flag(self.flags.repeated, REPEATED)
            | flag(self.flags.forwarded, FORWARDED)
            | flag(self.flags.after_grace, AFTER_GRACE)
            | flag(self.flags.learning, LEARNING);
        let more = flag(self.flags.negotiated, NEGOTIATED);
        let [r0, r1, r2, r3] = self.rule.map_or(0, RuleId::number).to_le_bytes();
        let (claim, claimed) = match self.claimed.map(Address::from) {
            None => (0, [0; 2]),
            Some(address) => (if address.is_v6() { 6 } else { 4 }, address.words()),
        };
        record[0] = u64::from_le_bytes([kind, flags, reason, more | claim << 4, r0, r1, r2, r3]);
        record[1] = self.time_ns;
        record[2..7].copy_from_slice(&self.key.words());
        record[7..9].copy_from_slice(&self.packets);
        record[9..11].copy_from_slice(&self.bytes);
        record[11] = mac_word(self.macs[0]);
        record[12] = mac_word(self.macs[1]);
        record[13..15].copy_from_slice(&claimed);
        record[15] = 0;
    }

    /// Reads a record and checks what it names.
    ///
    /// # Errors
    /// [`RecordError`] for what no worker writes; count it and go on with the next record.
    pub fn decode(record: &Record) -> Result<Self, RecordError> {
        let [kind, flags, reason, more, r0, r1, r2, r3] = record[0].to_le_bytes();
        let kind = match kind {
            STARTED => EventKind::Started,
            ENDED => EventKind::Ended,
            COUNTED => EventKind::Counted,
            DENIED => EventKind::Denied(
                DropReason::from_index(usize::from(reason)).ok_or(RecordError::Reason(reason))?,
            ),
            other => return Err(RecordError::Kind(other)),
        };
        let words = [record[2], record[3], record[4], record[5], record[6]];
        let key = FlowKey::from_words(words, flags & NARROW != 0).ok_or(RecordError::Key)?;
        Ok(Self {
            kind,
            time_ns: record[1],
            key,
            initiator: if flags & INITIATOR_B == 0 { Side::A } else { Side::B },
            flags: EventFlags {
                midstream: flags & MIDSTREAM != 0,
                handshake: flags & HANDSHAKE != 0,
                repeated: flags & REPEATED != 0,
                forwarded: flags & FORWARDED != 0,
                after_grace: flags & AFTER_GRACE != 0,
                learning: flags & LEARNING != 0,
                negotiated: more & NEGOTIATED != 0,
            },
            rule: RuleId::new(u32::from_le_bytes([r0, r1, r2, r3])),
            packets: [record[7], record[8]],
            bytes: [record[9], record[10]],
            macs: [mac_of(record[11]), mac_of(record[12])],
            claimed: match more >> 4 {
                0 => None,
                4 => Some(Address::v4_of(record[13]).into()),
                6 => Some(Address::v6_of([record[13], record[14]]).into()),
                other => return Err(RecordError::Claim(other)),
            },
        })
    }
}
