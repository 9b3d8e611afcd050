//! What is known of a conversation or a key.

use loadlock_exchange::{Event, EventKind};
use loadlock_packet::{Kind, MacAddress, Side};

use crate::days::{Days, Starts};

/// From what the direction of a rule was taken, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Basis {
    /// Nothing but the last resort: the lower port is the service, and side B's if both are the same.
    Assumed = 0,
    /// Who sent the first packet.
    FirstPacket = 1,
    /// The conversation answers a request: an ICMP reply, or a station's answer to a multicast.
    Answer = 2,
    /// One port is used by several peers or several ports of one peer.
    FanIn = 3,
    /// The SYN of a TCP connection whose answer wasn't reported yet, or never came.
    Syn = 4,
    /// A TCP handshake.
    Handshake = 5,
}

impl Basis {
    /// Every basis, the weakest first.
    pub const ALL: [Self; 6] =
        [Self::Assumed, Self::FirstPacket, Self::Answer, Self::FanIn, Self::Syn, Self::Handshake];

    /// The reason of a learned rule, in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Assumed => {
                "learned; direction assumed: it was met running, and the lower port is taken for the service"
            }
            Self::FirstPacket => "learned; direction from the first packet",
            Self::Answer => "learned; direction from the request that it answers",
            Self::FanIn => {
                "learned; direction from fan-in: several peers or ports use this one port"
            }
            Self::Syn => "learned; direction from the SYN",
            Self::Handshake => "learned; direction from the TCP handshake",
        }
    }

    /// How sure the direction is, in words.
    #[must_use]
    pub fn confidence(self) -> &'static str {
        match self {
            Self::Assumed => "low",
            Self::FirstPacket => "fair",
            Self::Answer | Self::FanIn => "good",
            Self::Syn | Self::Handshake => "certain",
        }
    }
}

/// What was seen of one key, or of one conversation whose direction is open. Pairs name side A first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The earliest event, in ns since 1970.
    pub first_seen_ns: u64,
    /// The latest event, in ns since 1970.
    pub last_seen_ns: u64,
    /// Conversations that were reported as begun. 0: known only from repeated reports, or from an end.
    pub conversations: u64,
    /// Packets from each side.
    pub packets: [u64; 2],
    /// Frame bytes from each side, without FCS.
    pub bytes: [u64; 2],
    /// Each side was seen to send the first packet of a conversation, and needs the right to.
    pub opened: [bool; 2],
    /// Each side was seen to send anything.
    pub spoke: [bool; 2],
    /// Each side is a multicast or broadcast station, which only ever receives.
    pub group: [bool; 2],
    /// In one conversation, both sides spoke; with TCP, the server also accepted, or the conversation was met running.
    pub answered: bool,
    /// In one TCP conversation, the server accepted.
    pub handshake: bool,
    /// Was met running after the grace time, and needs the right to.
    pub after_grace: bool,
    /// Hours of the day (UTC) in which it was seen; bit 0 is 0:00 to 0:59.
    pub hours: u32,
    /// Days of the week (UTC) on which it was seen; bit 0 is Monday.
    pub weekdays: u8,
    /// From what the direction was taken; `None` as long as it is open.
    pub basis: Option<Basis>,
    /// TCP met running by its SYN-ACK: this side had asked, and both went on talking.
    pub asked: [bool; 2],
    /// Days (UTC) on which it was seen.
    pub days: Days,
    /// The first times at which a conversation began.
    pub starts: Starts,
    /// When it was first answered; `u64::MAX`: never.
    pub answered_ns: u64,
    /// When a conversation first ended without an answer; `u64::MAX`: never.
    pub failed_ns: u64,
    /// Stations of the earliest event.
    pub macs_first: [MacAddress; 2],
    /// Stations of the latest event.
    pub macs_last: [MacAddress; 2],
}

const NS_PER_HOUR: u64 = 3_600_000_000_000;

impl Evidence {
    /// What one event says; nothing for a denial. A day has this length.
    pub(crate) fn of_event(event: &Event, day_ns: u64) -> Option<Self> {
        let (begun, counted) = match event.kind {
            EventKind::Started => (u64::from(!event.flags.repeated), false),
            EventKind::Ended | EventKind::Counted => (0, true),
            EventKind::Denied(_) => return None,
        };
        let count = |pair: [u64; 2]| if counted { pair } else { [0; 2] };
        let packets = count(event.packets);
        let initiator = event.initiator as usize;
        let mut spoke = event.packets.map(|packets| packets > 0);
        // An answer that was seen first names its asker as the initiator, who hasn't been heard then.
        spoke[initiator] |= !event.flags.midstream;
        let kind = event.key.tail().kind();
        // What was met running was opened unseen; within the grace time no right to open is needed for it.
        let mut opened = [false; 2];
        opened[initiator] = !event.flags.midstream;
        let responder = event.initiator.other() as usize;
        let mut group = [false; 2];
        group[responder] = event.macs[responder].is_group();
        let accepted = event.flags.handshake && kind == Kind::Tcp;
        // A SYN-ACK that nobody asked for is how an idle host is probed (nmap's zombie scan): the RST that answers it is one
        // packet. Only if both go on was it the answer to a SYN that wasn't seen.
        let continues = packets.iter().all(|packets| *packets >= 2);
        let handshake = accepted && (!event.flags.midstream || continues);
        let mut asked = [false; 2];
        asked[initiator] = handshake && event.flags.midstream;
        let both = packets.iter().all(|packets| *packets > 0);
        let running = event.flags.midstream && !accepted;
        let answered = handshake || (both && (kind != Kind::Tcp || running));
        let has_answer = matches!(kind, Kind::Tcp | Kind::Udp | Kind::Icmp);
        let failed = event.kind == EventKind::Ended && !answered && has_answer;
        let time_if = |holds: bool| if holds { event.time_ns } else { u64::MAX };
        let hour = event.time_ns / NS_PER_HOUR;
        Some(Self {
            first_seen_ns: event.time_ns,
            last_seen_ns: event.time_ns,
            conversations: begun,
            packets,
            bytes: count(event.bytes),
            opened,
            spoke,
            group,
            answered,
            handshake,
            after_grace: event.flags.midstream && event.flags.after_grace,
            hours: 1 << (hour % 24),
            // 1970-01-01 was a Thursday.
            weekdays: 1 << ((hour / 24 + 3) % 7),
            basis: None,
            asked,
            days: Days::only(u32::try_from(event.time_ns / day_ns.max(1)).unwrap_or(u32::MAX)),
            starts: if begun > 0 { Starts::only(event.time_ns) } else { Starts::default() },
            answered_ns: time_if(answered),
            failed_ns: time_if(failed && !event.flags.midstream),
            macs_first: event.macs,
            macs_last: event.macs,
        })
    }

    /// Joins what is known from two sources. The order doesn't matter, nor how the sources are grouped.
    pub(crate) fn join(&mut self, other: &Self) {
        let sum = |a: [u64; 2], b: [u64; 2]| [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])];
        let either = |a: [bool; 2], b: [bool; 2]| [a[0] | b[0], a[1] | b[1]];
        let stations = |macs: [MacAddress; 2]| macs.map(|mac| mac.0);
        let first = |e: &Self| (e.first_seen_ns, stations(e.macs_first));
        if first(other) < first(self) {
            (self.first_seen_ns, self.macs_first) = (other.first_seen_ns, other.macs_first);
        }
        let last = |e: &Self| (e.last_seen_ns, stations(e.macs_last));
        if last(other) > last(self) {
            (self.last_seen_ns, self.macs_last) = (other.last_seen_ns, other.macs_last);
        }
        self.conversations = self.conversations.saturating_add(other.conversations);
        self.packets = sum(self.packets, other.packets);
        self.bytes = sum(self.bytes, other.bytes);
        self.opened = either(self.opened, other.opened);
        self.spoke = either(self.spoke, other.spoke);
        self.group = either(self.group, other.group);
        self.answered |= other.answered;
        self.handshake |= other.handshake;
        self.after_grace |= other.after_grace;
        self.hours |= other.hours;
        self.weekdays |= other.weekdays;
        self.basis = self.basis.max(other.basis);
        self.asked = either(self.asked, other.asked);
        self.days.join(other.days);
        self.starts.join(other.starts);
        self.answered_ns = self.answered_ns.min(other.answered_ns);
        self.failed_ns = self.failed_ns.min(other.failed_ns);
    }

    /// The part that tells how much and when, and from which no rule follows.
    pub(crate) fn without_rights(self) -> Self {
        let no = [false; 2];
        let (handshake, after_grace) = (false, false);
        let asked = no;
        Self {
            opened: no,
            spoke: no,
            group: no,
            handshake,
            after_grace,
            asked,
            basis: None,
            ..self
        }
    }

    /// True if joining `other` changed what rules depend on. Who spoke matters only as long as the direction is open.
    pub(crate) fn bears_on_rules(&self, before: &Self) -> bool {
        let rights = |e: &Self| (e.opened, e.handshake, e.after_grace, e.basis);
        let never = u64::MAX;
        let weight = |e: &Self| (e.days, e.answered_ns != never, e.failed_ns != never, e.starts);
        let direction = |e: &Self| (e.spoke, e.group, e.asked);
        rights(self) != rights(before)
            || weight(self) != weight(before)
            || (self.basis.is_none() && direction(self) != direction(before))
    }

    /// The strongest basis of a settled key.
    pub(crate) fn settled_basis(&self) -> Basis {
        let basis = self.basis.unwrap_or(Basis::Assumed);
        if self.handshake { basis.max(Basis::Handshake) } else { basis }
    }

    pub(crate) fn has_spoken(&self, side: Side) -> bool {
        self.spoke[side as usize]
    }

    pub(crate) fn is_group(&self, side: Side) -> bool {
        self.group[side as usize]
    }

    pub(crate) fn has_opened(&self, side: Side) -> bool {
        self.opened[side as usize]
    }
}

#[cfg(test)]
mod tests {
    use loadlock_exchange::EventFlags;
    use loadlock_packet::FlowKey;

    use super::*;
    use crate::days::NS_PER_DAY;

    fn event(kind: EventKind, time_ns: u64) -> Event {
        Event {
            kind,
            time_ns,
            key: FlowKey::from_words([0; 5], true).expect("TCP"),
            initiator: Side::A,
            flags: EventFlags::default(),
            rule: None,
            packets: [3, 0],
            bytes: [300, 0],
            macs: [loadlock_packet::MacAddress([0; 6]); 2],
            claimed: None,
        }
    }

    #[test]
    fn times_fall_into_their_hour_and_day() {
        // 2024-01-07 (a Sunday) 23:30 UTC.
        let evidence =
            Evidence::of_event(&event(EventKind::Started, 1_704_670_200_000_000_000), NS_PER_DAY);
        let evidence = evidence.expect("not a denial");
        assert_eq!((evidence.hours, evidence.weekdays), (1 << 23, 1 << 6));
    }

    #[test]
    fn packets_are_counted_from_ends_and_conversations_from_beginnings() {
        let mut evidence =
            Evidence::of_event(&event(EventKind::Started, 10), NS_PER_DAY).expect("begun");
        assert_eq!((evidence.conversations, evidence.packets), (1, [0, 0]));
        evidence
            .join(&Evidence::of_event(&event(EventKind::Ended, 20), NS_PER_DAY).expect("ended"));
        assert_eq!(
            (evidence.conversations, evidence.packets, evidence.answered),
            (1, [3, 0], false)
        );
        assert_eq!(evidence.last_seen_ns, 20);
    }
}
